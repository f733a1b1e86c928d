// Two variants measured one beside the other, many times, and what can be said of their difference.
// The machine's own drift (other work, heat, a disk that fills) moves both of a pair; which of the two comes first alternates, so that what
// the first leaves behind falls on both alike.

export interface Pair {
  readonly off: number;
  readonly on: number;
  /** How much more `on` is, of `off`. */
  readonly percent: number;
}

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** 97.5 % quantiles of Student's t, by degrees of freedom from 1. Beyond the table: the last is a little too wide. */
const T = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** 95 %, of the mean. One value alone has none: infinitely wide. */
export function intervalOf(values: readonly number[]): Interval {
  const n = values.length;
  if (n === 0) throw new RangeError('an interval of nothing');
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, low: -Infinity, high: Infinity };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = T[Math.min(n - 1, T.length) - 1]! * Math.sqrt(variance / n);
  return { mean, low: mean - half, high: mean + half };
}

export async function runPairs(
  pairs: number,
  measure: (variant: 'off' | 'on', pair: number) => Promise<number>,
): Promise<Pair[]> {
  const measured: Pair[] = [];
  for (let i = 0; i < pairs; i++) {
    const values = { off: 0, on: 0 };
    for (const variant of i % 2 === 0 ? (['off', 'on'] as const) : (['on', 'off'] as const)) {
      values[variant] = await measure(variant, i);
    }
    measured.push({ ...values, percent: (values.on / values.off - 1) * 100 });
  }
  return measured;
}
