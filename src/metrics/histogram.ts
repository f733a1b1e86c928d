// A histogram with fixed bounds: counted where things happen, read when somebody scrapes.
// One add() is a search in a dozen numbers and two sums. Nothing is allocated, and nothing is ever reset: rates are whoever reads' to take.

export class Histogram {
  /** Upper bounds, ascending, in the unit of the values; above the last one there is one bucket more. */
  readonly bounds: readonly number[];
  /** By bucket, not cumulative: one more than bounds. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** `times`: so many things had this value. */
  add(value: number, times = 1): void {
    const { bounds } = this;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= bounds[middle]!) high = middle;
      else low = middle + 1;
    }
    this.counts[low]! += times;
    this.sum += value * times;
  }

  get count(): number {
    let count = 0;
    for (const bucket of this.counts) count += bucket;
    return count;
  }
}

/** From a tenth of a millisecond, where a local read lies, to ten seconds, where deadlines do. */
export const CALL_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** The promise is 5 s; a WAN's own delay lies between 5 and 300 ms. */
export const LAG_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800,
];

/** An fdatasync takes 0.1 ms on a good disk and seconds on one that fails. */
export const SYNC_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

export const COMMIT_BYTES = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];

export const COMMIT_ENTRIES = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** Below a few milliseconds nobody notices a turn of the event loop. */
export const DELAY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
