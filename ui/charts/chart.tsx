// A line per region over time: uPlot on a canvas, with its legend as a table that follows the pointer.

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';
import { timeOfDay } from '../format.ts';
import { colour, coloursChanged } from '../theme.ts';
import { alignedOf, newestOf, type Series } from './series.ts';

/** As told apart without colours. */
const DASHES: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [10, 4, 2, 4], [4, 2], [12, 3], [1, 2]];
const HEIGHT = 190;

export interface ChartProps {
  /** What it shows, with the newest figures: for who does not see it. */
  readonly says: string;
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
  /** Of the axis, where it is round. */
  readonly tick?: (value: number) => string;
  /** In powers of ten, from 1 on. */
  readonly logarithmic?: boolean;
  /** A line across, with its words. */
  readonly bound?: { readonly at: number; readonly says: string };
  /** Unix seconds at both ends. */
  readonly from: number;
  readonly to: number;
}

export function Chart(props: ChartProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const labels = props.series.map(({ label }) => label).join(' ');
  useEffect(() => {
    const element = box.current!;
    const made = new uPlot(optionsOf(latest, element), dataOf(latest.current), element);
    plot.current = made;
    const observer = new ResizeObserver(([entry]) =>
      made.setSize({ width: Math.max(240, Math.floor(entry!.contentRect.width)), height: HEIGHT }),
    );
    observer.observe(element);
    const recolour = coloursChanged.subscribe(() => made.redraw(false));
    return () => {
      recolour();
      observer.disconnect();
      made.destroy();
    };
  }, [labels, props.logarithmic]);
  useEffect(() => {
    plot.current?.setData(dataOf(props), true);
  });
  return <div ref={box} class="chart" role="img" aria-label={props.says} />;
}

function dataOf({ series, logarithmic }: ChartProps): uPlot.AlignedData {
  const [moments, ...columns] = alignedOf(series);
  // There is no 0 on such an axis, and a lag below 0 is two clocks' offset.
  const shown =
    logarithmic === true
      ? columns.map((column) => column.map((value) => (typeof value === 'number' ? Math.max(1, value) : value)))
      : columns;
  return [moments, ...shown] as uPlot.AlignedData;
}

function optionsOf(props: { readonly current: ChartProps }, element: HTMLElement): uPlot.Options {
  const { series, logarithmic = false } = props.current;
  const format = (value: number | null): string => (value === null ? '–' : props.current.format(value));
  const onlyTens = (_: uPlot, splits: number[]): (number | null)[] =>
    splits.map((split) => (isTen(split) ? split : null));
  const grid = { stroke: () => colour('--line', element), width: 1, ...(logarithmic ? { filter: onlyTens } : {}) };
  const axis = {
    stroke: () => colour('--dim', element),
    grid,
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  return {
    width: Math.max(240, element.clientWidth),
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    cursor: { points: { size: 6 }, drag: { setScale: false, x: false, y: false } },
    legend: { live: true },
    scales: {
      x: { time: true, range: () => [props.current.from, props.current.to] },
      y: logarithmic
        ? {
            distr: 3,
            range: (_, min, max) => [
              Math.min(10, tens(min ?? 1, Math.floor)),
              Math.max(10_000, tens(max ?? 1, Math.ceil)),
            ],
          }
        : { range: (_, __, max) => [0, Math.max(10, (max ?? 0) * 1.1)] },
    },
    axes: [
      {
        ...axis,
        grid: { ...grid, show: false },
        space: 64,
        size: 26,
        values: (_, splits) => splits.map((at) => timeOfDay(at * 1000).slice(0, at % 60 === 0 ? 5 : 8)),
      },
      {
        ...axis,
        size: 58,
        space: 28,
        values: (_, splits) =>
          splits.map((split) => (logarithmic && !isTen(split) ? '' : (props.current.tick ?? format)(split))),
        ...(logarithmic ? { filter: onlyTens } : {}),
      },
    ],
    series: [
      { value: (_, at) => (at === null ? 'newest' : timeOfDay(at * 1000)), label: 'at' },
      ...series.map(({ label }, i) => ({
        label,
        stroke: () => colour(`--series-${i % 7}`, element),
        width: 1.75,
        dash: [...DASHES[i % DASHES.length]!],
        points: { show: false },
        value: (u: uPlot, value: number | null, s: number, index: number | null) =>
          format(index === null ? newest(u, s) : value),
      })),
    ],
    hooks: { draw: [(u) => drawBound(u, props.current, element)] },
  };
}

function newest(u: uPlot, series: number): number | null {
  return newestOf([...u.data[0]], u.data[series] as (number | null | undefined)[]);
}

function tens(value: number, round: (exponent: number) => number): number {
  return 10 ** round(Math.log10(Math.max(1, value)));
}

function isTen(value: number): boolean {
  return Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6);
}

function drawBound(u: uPlot, { bound }: ChartProps, element: HTMLElement): void {
  if (bound === undefined) return;
  const { ctx, bbox } = u;
  const y = u.valToPos(bound.at, 'y', true);
  if (y < bbox.top || y > bbox.top + bbox.height) return;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour('--dim', element);
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = 'left';
  ctx.fillText(bound.says, bbox.left + 6 * devicePixelRatio, y - 5 * devicePixelRatio);
  ctx.restore();
}
