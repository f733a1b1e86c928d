// Which keys are written, or read, most: of one op in SAMPLE_MEAN, so that it costs the hot path a subtraction a request.
// For people (`causeway status`, `top`): a key is what somebody wrote, and must never become a label of a metric.
//
// I12 two windows of PLACES names each; a name that is not among the heaviest goes (metrics/space-saving.ts).

import { SpaceSaving } from '../metrics/space-saving.ts';

/** Ops for one that is looked at, on average. */
export const SAMPLE_MEAN = 64;
/** A key with more than 1 in PLACES of the ops of a window is found for certain. */
const PLACES = 128;
/** One that was looked at less often may have come once. */
const SAMPLES_MIN = 3;
/** What is told is of this window and the one before. */
const WINDOW_MS = 60_000;

export interface HotKey {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
  /** About. */
  readonly perS: number;
  /** Of all ops of that time, 0 … 1. */
  readonly share: number;
}

interface Named {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
}

export class HotKeys {
  #current = new SpaceSaving(PLACES);
  #before: SpaceSaving | undefined;
  readonly #monotonicMs: () => number;
  #sinceMs: number;
  /** Ops to pass over before the next that is looked at. */
  #skip = 0;
  #seed: number;

  /** `seed`: where in the sequence of gaps it begins. */
  constructor(monotonicMs: () => number, seed = 1) {
    this.#monotonicMs = monotonicMs;
    this.#sinceMs = monotonicMs();
    this.#seed = seed;
  }

  written(ops: readonly Named[]): void {
    let at = this.#skip;
    for (; at < ops.length; at += this.#gap()) this.#look(ops[at]!, ops[at]!.key);
    this.#skip = at - ops.length;
  }

  read(of: Omit<Named, 'key'>, keys: readonly string[]): void {
    let at = this.#skip;
    for (; at < keys.length; at += this.#gap()) this.#look(of, keys[at]!);
    this.#skip = at - keys.length;
  }

  /** Heaviest first. */
  top(k: number): HotKey[] {
    this.#turn();
    const sums = new Map<string, number>();
    let total = 0;
    for (const window of this.#before === undefined ? [this.#current] : [this.#before, this.#current]) {
      total += window.total;
      // What came at least so often: an inherited count would make a cold key look hot.
      for (const { name, count, error } of window.top(PLACES)) sums.set(name, (sums.get(name) ?? 0) + count - error);
    }
    const seconds = (this.#monotonicMs() - this.#sinceMs + (this.#before === undefined ? 0 : WINDOW_MS)) / 1000;
    return [...sums]
      .filter(([, count]) => count >= SAMPLES_MIN)
      .toSorted(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
      .slice(0, k)
      .map(([name, count]) => ({
        ...partsOf(name),
        perS: (count * SAMPLE_MEAN) / Math.max(1, seconds),
        share: count / total,
      }));
  }

  #look({ namespace, collection }: Omit<Named, 'key'>, key: string): void {
    this.#turn();
    this.#current.add(`${namespace}/${collection}/${key}`);
  }

  #turn(): void {
    const ageMs = this.#monotonicMs() - this.#sinceMs;
    if (ageMs < WINDOW_MS) return;
    const windows = Math.floor(ageMs / WINDOW_MS);
    this.#before = windows === 1 ? this.#current : undefined;
    this.#current = new SpaceSaving(PLACES);
    this.#sinceMs += windows * WINDOW_MS;
  }

  /** Not always the same: requests that are all alike would show the same of their ops every time. (Park and Miller's generator.) */
  #gap(): number {
    this.#seed = (this.#seed * 48_271) % 0x7fff_ffff;
    return 1 + (this.#seed % (2 * SAMPLE_MEAN - 1));
  }
}

/** Names of namespaces and collections have no slash. */
function partsOf(name: string): Named {
  const first = name.indexOf('/');
  const second = name.indexOf('/', first + 1);
  return {
    namespace: name.slice(0, first),
    collection: name.slice(first + 1, second),
    key: name.slice(second + 1),
  };
}
