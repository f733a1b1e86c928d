// Timelines as SVG: one time axis for all plots, with the faults shaded through all of them. Colours come from the page's style, so that
// they follow light and dark.

import type { FaultRecord } from '../history/records.ts';
import type { Series, Stretch, Timeline } from './series.ts';

const WIDTH = 1000;
const LEFT = 56;
const RIGHT = 12;
const PLOT_HEIGHT = 120;
const STATE_ROW = 18;
const LANE = 15;
/** Faults that are named above the plots side by side; more are shaded and not named. */
const LANES_MAX = 4;
const LABEL_CHAR = 6.2;

export interface Plot {
  readonly title: string;
  readonly series: readonly Series[];
  /** Orders of magnitude instead of amounts. */
  readonly logarithmic?: boolean;
  readonly unit: string;
}

export function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** The names of the faults, over the first plot. */
export function faultsSvg(timeline: Timeline, faults: readonly FaultRecord[]): string {
  const lanes: number[] = [];
  const labels: string[] = [];
  for (const { name, says, startMs } of [...faults].sort((a, b) => a.startMs - b.startMs)) {
    const x = xOf(timeline, startMs);
    const width = name.length * LABEL_CHAR + 10;
    let lane = lanes.findIndex((until) => until <= x);
    if (lane === -1) lane = lanes.length;
    if (lane >= LANES_MAX) continue;
    lanes[lane] = x + width;
    labels.push(
      `<text class="fault-name" x="${Math.min(x, WIDTH - RIGHT - width).toFixed(1)}" y="${lane * LANE + 11}">${escapeText(name)}<title>${escapeText(says)}</title></text>`,
    );
  }
  const height = Math.max(1, Math.min(LANES_MAX, lanes.length)) * LANE;
  return svg(height, labels.join(''), 'faults');
}

export function plotSvg(timeline: Timeline, plot: Plot, faults: readonly FaultRecord[]): string {
  const all = plot.series.flatMap(({ values }) => values.filter((value) => value !== undefined));
  const max = Math.max(1, ...all);
  const top = plot.logarithmic === true ? Math.max(1000, 10 ** Math.ceil(Math.log10(max))) : niceTop(max);
  const bottom = PLOT_HEIGHT;
  const yOf = (value: number): number => {
    const part = plot.logarithmic === true ? Math.log10(Math.max(1, value)) / Math.log10(top) : value / top;
    return bottom - part * (PLOT_HEIGHT - 8);
  };
  const ticks =
    plot.logarithmic === true
      ? Array.from({ length: Math.round(Math.log10(top)) + 1 }, (_, i) => 10 ** i)
      : [0, top / 2, top];
  const grid = ticks.map((value) => {
    const y = yOf(value).toFixed(1);
    return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/><text class="tick" x="${LEFT - 6}" y="${y}" text-anchor="end" dominant-baseline="middle">${amount(value, plot)}</text>`;
  });
  const lines = plot.series.map(({ name, values }, i) => {
    const path = pathOf(values, (bin) => xOf(timeline, (bin + 0.5) * timeline.binMs), yOf);
    return `<path class="line region-${i}" d="${path}"><title>${escapeText(name)}</title></path>`;
  });
  return svg(PLOT_HEIGHT + 4, `${shades(timeline, faults, PLOT_HEIGHT)}${grid.join('')}${lines.join('')}`, plot.title);
}

/** One row per region: what it said of itself. */
export function statesSvg(
  timeline: Timeline,
  rows: readonly { readonly region: string; readonly stretches: readonly Stretch[] }[],
  faults: readonly FaultRecord[],
): string {
  const height = rows.length * STATE_ROW;
  const bars = rows.map(({ region, stretches }, row) => {
    const y = row * STATE_ROW + 3;
    const rects = stretches.map(({ fromMs, toMs, state }) => {
      const x = xOf(timeline, fromMs);
      const width = Math.max(1, xOf(timeline, toMs) - x);
      return `<rect class="state ${classOf(state)}" x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${STATE_ROW - 7}"><title>${escapeText(`${region}: ${state}`)}</title></rect>`;
    });
    return `<text class="tick" x="${LEFT - 6}" y="${y + 6}" text-anchor="end" dominant-baseline="middle">${escapeText(region)}</text>${rects.join('')}`;
  });
  return svg(height, `${shades(timeline, faults, height)}${bars.join('')}`, 'states of the regions');
}

export function axisSvg(timeline: Timeline): string {
  const stepMs = niceStepMs(timeline.lastMs / 8);
  const ticks: string[] = [];
  for (let ms = 0; ms <= timeline.lastMs; ms += stepMs) {
    const x = xOf(timeline, ms).toFixed(1);
    ticks.push(`<text class="tick" x="${x}" y="12" text-anchor="middle">${timeText(ms)}</text>`);
  }
  return svg(18, ticks.join(''), 'time since the start');
}

function classOf(state: string): string {
  if (state === 'ready') return 'good';
  if (state === 'down') return 'bad';
  return 'fair';
}

function shades(timeline: Timeline, faults: readonly FaultRecord[], height: number): string {
  return faults
    .map(({ says, startMs, endMs }) => {
      const x = xOf(timeline, startMs);
      const width = Math.max(2, xOf(timeline, endMs) - x);
      return `<rect class="fault" x="${x.toFixed(1)}" y="0" width="${width.toFixed(1)}" height="${height}"><title>${escapeText(`${says}, ${timeText(startMs)} to ${timeText(endMs)}`)}</title></rect>`;
    })
    .join('');
}

function svg(height: number, content: string, label: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeText(label)}">${content}</svg>`;
}

function xOf({ lastMs }: Timeline, ms: number): number {
  return LEFT + (Math.min(ms, lastMs) / lastMs) * (WIDTH - LEFT - RIGHT);
}

/** Broken where there is nothing to show. */
function pathOf(
  values: readonly (number | undefined)[],
  x: (bin: number) => number,
  y: (value: number) => number,
): string {
  let path = '';
  let pen = false;
  values.forEach((value, bin) => {
    if (value !== undefined) path += `${pen ? 'L' : 'M'}${x(bin).toFixed(1)} ${y(value).toFixed(1)}`;
    // A point alone is drawn as a dot.
    if (value !== undefined && !pen && values[bin + 1] === undefined) path += 'h0.1';
    pen = value !== undefined;
  });
  return path;
}

function niceTop(max: number): number {
  const magnitude = 10 ** Math.floor(Math.log10(max));
  return [1, 2, 5, 10].map((n) => n * magnitude).find((top) => top >= max)!;
}

function niceStepMs(ms: number): number {
  return (
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200].map((s) => s * 1000).find((step) => step >= ms) ??
    14_400_000
  );
}

export function timeText(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 120) return `${Number.isInteger(seconds) ? seconds : seconds.toFixed(1)} s`;
  const rest = Math.round(seconds % 60);
  return `${Math.floor(seconds / 60)} min${rest === 0 ? '' : ` ${rest} s`}`;
}

function amount(value: number, { unit, logarithmic }: Plot): string {
  if (logarithmic === true && value >= 1000) return `${value / 1000} s`;
  return logarithmic === true ? `${value} ${unit}` : `${value}`;
}
