// Lag and throughput over the last hour, of every region, as the regions themselves remember it.

import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { Chart } from '../charts/chart.tsx';
import { alignedOf, newestOf, worstLag, type Point, type Series } from '../charts/series.ts';
import { cluster } from '../data/live.ts';
import { histories } from '../data/history.ts';
import { rate, span } from '../format.ts';
import { Card } from '../parts/card.tsx';

const BAD_MS = 5000;
const WINDOWS = [
  { says: '5 min', seconds: 300 },
  { says: '1 hour', seconds: 3600 },
] as const;

const chosen = signal<number | undefined>(undefined);

export function Charts(): JSX.Element {
  const regions = cluster.value!.regions.map(({ name }) => name);
  const points = (name: string): readonly Point[] => histories.value.get(name) ?? [];
  const to = Math.round(cluster.value!.nowMs / 1000);
  const first = Math.min(to, ...regions.map((name) => Math.round((points(name)[0]?.atMs ?? Infinity) / 1000)));
  // Until the reader chooses: all there is, up to the hour.
  const seconds = chosen.value ?? (to - first > WINDOWS[0].seconds ? WINDOWS[1].seconds : WINDOWS[0].seconds);
  const within = regions.map((name) => ({
    name,
    points: points(name).filter(({ atMs }) => atMs / 1000 >= to - seconds),
  }));
  const from = to - seconds;
  const lags = within.map(({ name, points: of }) => ({ label: name, points: of, value: worstLag }));
  const writes = within.map(({ name, points: of }) => ({
    label: name,
    points: of,
    value: ({ writes: each }: Point) => each,
  }));
  const newest = (series: readonly Series[], say: (value: number | null) => string): string => {
    const [moments, ...columns] = alignedOf(series);
    return series.map(({ label }, i) => `${label} ${say(newestOf(moments, columns[i]!))}`).join(', ');
  };
  const tools = (
    <div class="choices" role="group" aria-label="How far back">
      {WINDOWS.map(({ says, seconds: each }) => (
        <button key={says} type="button" aria-pressed={each === seconds} onClick={() => (chosen.value = each)}>
          {says}
        </button>
      ))}
    </div>
  );
  return (
    <>
      <Card
        title="Replication lag"
        note="of each region, behind the region that it is furthest behind of"
        class="half"
        tools={tools}
      >
        <Chart
          says={`Replication lag over time. Now: ${newest(lags, span)}.`}
          series={lags}
          format={span}
          tick={(ms) => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`)}
          logarithmic
          bound={{ at: BAD_MS, says: '5 s: what replication promises' }}
          from={from}
          to={to}
        />
      </Card>
      <Card title="Writes" note="accepted from clients and durable, a second" class="half" tools={tools}>
        <Chart
          says={`Writes a second over time. Now: ${newest(writes, rate)}.`}
          series={writes}
          format={rate}
          from={from}
          to={to}
        />
      </Card>
    </>
  );
}
