// Histograms of latencies in microseconds, and their travel between processes.

import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

/** Longer ones count as this. */
const MICROS_MAX = 600_000_000;

export function newLatency(): Histogram {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: MICROS_MAX, numberOfSignificantValueDigits: 3 });
}

export function recordMicros(into: Histogram, micros: number): void {
  into.recordValue(Math.min(MICROS_MAX, Math.max(1, Math.round(micros))));
}

export function encodeLatency(histogram: Histogram): string {
  return encodeIntoCompressedBase64(histogram);
}

export function mergeLatencies(encoded: readonly string[]): Histogram {
  const all = newLatency();
  for (const each of encoded) all.add(decodeFromCompressedBase64(each));
  return all;
}

/** Milliseconds with two decimals, less what is taken off (an injected delay). */
export function percentileMs(histogram: Histogram, percentile: number, lessMs = 0): number {
  return Math.round((histogram.getValueAtPercentile(percentile) / 1000 - lessMs) * 100) / 100;
}
