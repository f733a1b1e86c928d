// Samples of one peer's replication lag per op: origin's stamp to landed here, by our clock. A ring of the last samples; when it
// wraps, the oldest goes. The clocks' offset is in it, so for people it stands beside the offset; I14's lag is by watermark.

const SAMPLES_MAX = 512;
const WINDOW_MS = 60_000;

export class LagSamples {
  readonly #lags: number[] = [];
  readonly #times: number[] = [];
  #next = 0;

  add(nowMs: number, lagMs: number): void {
    this.#lags[this.#next] = lagMs;
    this.#times[this.#next] = nowMs;
    this.#next = (this.#next + 1) % SAMPLES_MAX;
  }

  /** Of the last minute; undefined without samples. */
  percentiles(nowMs: number): { p50: number; p99: number } | undefined {
    const recent = this.#lags.filter((_, i) => nowMs - this.#times[i]! <= WINDOW_MS).sort((a, b) => a - b);
    if (recent.length === 0) return undefined;
    return { p50: recent[Math.floor(recent.length * 0.5)]!, p99: recent[Math.floor(recent.length * 0.99)]! };
  }
}
