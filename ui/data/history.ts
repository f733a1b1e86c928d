// The last hour, from each region that answers, and kept up to date: what was there before the page was opened comes from the nodes.

import { signal } from '@preact/signals';
import type { HistoryMessage } from '../../src/api/http/page/messages.ts';
import { pointsOf, type Point } from '../charts/series.ts';
import { ask } from './api.ts';
import { beats, cluster } from './live.ts';

const HOUR_MS = 3_600_000;
/** In beats of the live figures. */
const EVERY = 2;

/** By region, oldest first. */
export const histories = signal<ReadonlyMap<string, readonly Point[]>>(new Map());
const asking = new Set<string>();

export function startHistory(): () => void {
  return beats.subscribe((beat) => {
    if (beat % EVERY !== 1) return;
    for (const { name, node, problem } of cluster.peek()?.regions ?? []) {
      if (node !== null && problem === '') void learn(name);
    }
  });
}

async function learn(region: string): Promise<void> {
  if (asking.has(region)) return;
  asking.add(region);
  try {
    const known = histories.peek().get(region) ?? [];
    const told = await ask<HistoryMessage>('/ui/api/history', { region, sinceMs: Math.floor(known.at(-1)?.atMs ?? 0) });
    const points = pointsOf(told);
    if (points.length === 0) return;
    // What it tells begins before what is known: its clock was set back, or it tells everything anew.
    const kept = known.filter(({ atMs }) => atMs < points[0]!.atMs && atMs > told.nowMs - HOUR_MS);
    histories.value = new Map(histories.peek()).set(region, [...kept, ...points]);
  } catch {
    // A region that does not answer is shown as such; its line stands still.
  } finally {
    asking.delete(region);
  }
}
