// When what lately landed in a shard's log did so, by this node's clock: for the history of a key. What is older is told by the leases that stand in
// the log (key-history.ts).
// I12 a ring of POINTS_MAX points; landings within STEP_MS of each other share one.

const POINTS_MAX = 2048;
const STEP_MS = 5;

export class Landings {
  /** The last offset of each point, and when its first one landed. Both ascend, from #next on. */
  readonly #offsets: number[] = [];
  readonly #timesMs: number[] = [];
  #next = 0;
  /** Of all batches that landed since the process started, those of peers too: the shard's load. */
  ops = 0;

  add(offset: number, nowMs: number): void {
    const last = (this.#next + this.#offsets.length - 1) % Math.max(1, this.#offsets.length);
    const sinceMs = nowMs - (this.#timesMs[last] ?? -Infinity);
    if (sinceMs >= 0 && sinceMs < STEP_MS) {
      this.#offsets[last] = offset;
      return;
    }
    if (this.#offsets.length < POINTS_MAX) {
      this.#offsets.push(offset);
      this.#timesMs.push(nowMs);
      return;
    }
    this.#offsets[this.#next] = offset;
    this.#timesMs[this.#next] = nowMs;
    this.#next = (this.#next + 1) % POINTS_MAX;
  }

  /** To within STEP_MS; undefined: it was before what is remembered, or has not landed. */
  at(offset: number): number | undefined {
    const { length } = this.#offsets;
    const place = (rank: number): number => (this.#next + rank) % length;
    // Nobody knows what landed together with the oldest point, once something has been forgotten or the log was there before.
    if (length === 0 || offset < this.#offsets[place(0)]! || offset > this.#offsets[place(length - 1)]!)
      return undefined;
    let low = 0;
    let high = length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#offsets[place(middle)]! >= offset) high = middle;
      else low = middle + 1;
    }
    return this.#timesMs[place(low)];
  }
}
