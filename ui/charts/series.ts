// Points of several regions on one time axis, as a chart takes them. Pure.
// A region that did not say for a while has a gap there: a line across it would claim what nobody knows.

import type { HistoryMessage } from '../../src/api/http/page/messages.ts';

/** Longer without a point: nothing was known in between. */
const GAP_S = 15;

export interface Point {
  readonly atMs: number;
  readonly writes: number;
  readonly applied: number;
  readonly conflicts: number;
  readonly lagMs: Readonly<Record<string, number | null>>;
}

export interface Series {
  readonly label: string;
  readonly points: readonly Point[];
  readonly value: (point: Point) => number | null;
}

/** Seconds, then a column per series. undefined: no point of its own there, and the line goes on; null: a gap. */
export function alignedOf(series: readonly Series[]): [number[], ...(number | null | undefined)[][]] {
  const at = series.map(
    ({ points, value }) => new Map(points.map((point) => [Math.round(point.atMs / 1000), value(point)])),
  );
  const moments = [...new Set(at.flatMap((each) => [...each.keys()]))].toSorted((a, b) => a - b);
  const columns = at.map((each) => {
    let last: number | undefined;
    const column = moments.map((second): number | null | undefined => {
      const value = each.get(second);
      if (value === undefined) return last !== undefined && second - last > GAP_S ? null : undefined;
      last = second;
      return value;
    });
    return column;
  });
  return [moments, ...columns];
}

/** Longer without a point: its last one is not of now. */
const NOW_S = 5;

/** What a column ends with; null: nothing, or nothing of now. */
export function newestOf(moments: readonly number[], column: readonly (number | null | undefined)[]): number | null {
  const at = column.findLastIndex((value) => value !== undefined);
  return at === -1 || moments.at(-1)! - moments[at]! > NOW_S ? null : column[at]!;
}

/** The lag behind the region that it is furthest behind of; null: of one it is not known. */
export function worstLag({ lagMs }: Point): number | null {
  const lags = Object.values(lagMs);
  return lags.length === 0 || lags.some((lag) => lag === null) ? null : Math.max(...lags.map((lag) => lag ?? 0));
}

export function pointsOf(told: HistoryMessage): Point[] {
  return told.atMs.map((atMs, i) => ({
    atMs,
    writes: told.writes[i]!,
    applied: told.applied[i]!,
    conflicts: told.conflicts[i]!,
    lagMs: Object.fromEntries(Object.entries(told.lagMs).map(([peer, lags]) => [peer, lags[i] ?? null])),
  }));
}
