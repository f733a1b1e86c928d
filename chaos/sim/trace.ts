// What happened in a run: a running hash over everything (two runs of a seed must agree on it), and the last lines for people.

export type TraceValue = string | number;

const KEPT = 4096;

export class Trace {
  #a = 0x811c9dc5;
  #b = 0x2545f491;
  count = 0;
  readonly #ring: (readonly [time: number, values: readonly TraceValue[]])[] = [];
  readonly #now: () => number;
  /** Called for each line, for --verbose. */
  listener: ((line: string) => void) | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(...values: TraceValue[]): void {
    const time = this.#now();
    this.#number(time);
    for (const value of values) {
      if (typeof value === 'number') this.#number(value);
      else this.#text(value);
    }
    this.#ring[this.count % KEPT] = [time, values];
    this.count++;
    this.listener?.(line(time, values));
  }

  /** Counts towards the hash and not among the lines. */
  mix(value: number): void {
    this.#number(value);
  }

  hash(): string {
    const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
    return hex(this.#a) + hex(this.#b);
  }

  tail(lines: number): string[] {
    const from = Math.max(0, this.count - Math.min(lines, KEPT));
    const result: string[] = [];
    for (let i = from; i < this.count; i++) {
      const [time, values] = this.#ring[i % KEPT]!;
      result.push(line(time, values));
    }
    return result;
  }

  #number(value: number): void {
    const whole = Math.floor(value);
    this.#word(whole | 0);
    this.#word(Math.floor(whole / 2 ** 32) | 0);
    this.#word(((value - whole) * 2 ** 31) | 0);
  }

  #text(text: string): void {
    for (let i = 0; i < text.length; i++) this.#a = Math.imul(this.#a ^ text.charCodeAt(i), 0x01000193);
    this.#word(text.length);
  }

  #word(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193);
    this.#b = Math.imul(this.#b ^ (this.#a >>> 13) ^ word, 0x85ebca6b);
    this.#a ^= this.#b >>> 16;
  }
}

function line(time: number, values: readonly TraceValue[]): string {
  return `${time.toFixed(2).padStart(10)} ${values.join(' ')}`;
}
