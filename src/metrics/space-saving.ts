// The heaviest names of a stream in bounded memory (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data
// Streams, 2005).
// A name that is not among the `size` counted ones takes the place of the one with the least count, and inherits that count as its error. So
// a count is never too low, too high by at most its error, and every name with more than total ÷ size is among them.

export interface Counted {
  readonly name: string;
  /** At least as often as it came. */
  readonly count: number;
  /** It came at least count - error times. */
  readonly error: number;
}

interface Place {
  name: string;
  count: number;
  error: number;
}

export class SpaceSaving {
  readonly #size: number;
  readonly #places = new Map<string, Place>();
  #total = 0;

  constructor(size: number) {
    if (!(size >= 1)) throw new RangeError(`a sketch has room for at least one name; got ${size}`);
    this.#size = size;
  }

  get total(): number {
    return this.#total;
  }

  /** Costs a walk over all places when the name is new and there is no room: whoever has a busy stream samples it. */
  add(name: string, times = 1): void {
    this.#total += times;
    const place = this.#places.get(name);
    if (place !== undefined) {
      place.count += times;
      return;
    }
    if (this.#places.size < this.#size) {
      this.#places.set(name, { name, count: times, error: 0 });
      return;
    }
    let least: Place | undefined;
    for (const other of this.#places.values()) if (least === undefined || other.count < least.count) least = other;
    this.#places.delete(least!.name);
    this.#places.set(name, { name, count: least!.count + times, error: least!.count });
  }

  /** Heaviest first; equal counts by name. */
  top(k: number): Counted[] {
    return [...this.#places.values()]
      .map(({ name, count, error }) => ({ name, count, error }))
      .toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
      .slice(0, k);
  }
}
