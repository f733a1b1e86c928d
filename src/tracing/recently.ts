// A map that forgets: what is remembered between two stages of a write, in case the later one comes.
// I12 `max` entries; at the bound the oldest is forgotten, and the later stage does without.

export class Recently<Value> {
  readonly #max: number;
  readonly #entries = new Map<string, Value>();

  constructor(max: number) {
    this.#max = max;
  }

  set(key: string, value: Value): void {
    if (this.#entries.size >= this.#max) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    this.#entries.set(key, value);
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key);
  }

  take(key: string): Value | undefined {
    const value = this.#entries.get(key);
    this.#entries.delete(key);
    return value;
  }

  get size(): number {
    return this.#entries.size;
  }
}
