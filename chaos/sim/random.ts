// The simulator's randomness: xoshiro128** (Blackman and Vigna, 2018), seeded through splitmix32.
// Everything that a run decides comes from one seed, through generators that are forked by name: what the network draws
// does not shift what the workload draws, so that a seed stays comparable when one of them changes.

import type { Random } from '../../src/system/system.ts';

function splitmix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}

export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;
  readonly #low: number;
  readonly #high: number;
  readonly #stream: string;

  /** `seed`: a safe integer ≥ 0. `stream`: the name of the generator. */
  constructor(seed: number, stream = '') {
    this.#stream = stream;
    this.#low = seed >>> 0;
    this.#high = Math.floor(seed / 2 ** 32) >>> 0;
    let hash = 0x811c9dc5;
    for (let i = 0; i < stream.length; i++) hash = Math.imul(hash ^ stream.charCodeAt(i), 0x01000193);
    const mix = splitmix32(this.#low ^ Math.imul(this.#high, 0x85ebca6b) ^ hash);
    this.#a = mix();
    this.#b = mix();
    this.#c = mix();
    this.#d = mix() | 1; // never all zero
  }

  /** A generator of its own for one purpose; does not move this one. */
  fork(stream: string): SeededRandom {
    return new SeededRandom(this.#high * 2 ** 32 + this.#low, `${this.#stream}/${stream}`);
  }

  uint32(): number {
    const b5 = Math.imul(this.#b, 5);
    const result = Math.imul((b5 << 7) | (b5 >>> 25), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  float(): number {
    return this.uint32() / 2 ** 32;
  }

  uint48(): number {
    return (this.uint32() & 0xffff) * 2 ** 32 + this.uint32();
  }

  /** Uniform in 0 … n - 1. */
  below(n: number): number {
    return Math.floor(this.float() * n);
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + this.float() * (to - from);
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** Spread over orders of magnitude: small values as likely as large ones. */
  logBetween(from: number, to: number): number {
    return Math.exp(this.between(Math.log(from), Math.log(to)));
  }

  shuffled<T>(items: readonly T[]): T[] {
    const all = [...items];
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    return all;
  }
}
