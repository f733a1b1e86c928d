// What is known of the cluster just now, and whether it is of now at all: asked once a second.
// A connection that is lost is a state of its own: whatever shows a figure reads `sinceMs` too, and greys what is older than STALE_MS.

import { computed, signal } from '@preact/signals';
import type { ClusterMessage, NodeMessage } from '../../src/api/http/page/messages.ts';
import { STALE_MS } from '../health.ts';
import { ask } from './api.ts';

const EVERY_MS = 1000;
const ANSWER_MS_MAX = 2500;
/** An answer that is older should have been followed by another. */
const LATE_MS = 1500;
const TICK_MS = 250;
/** Rates are of about this long: of a second they jump. */
const RATE_MS = 3000;

export const cluster = signal<ClusterMessage | undefined>(undefined);
/** By the browser's own clock, which nobody compares with a node's. */
const answeredAtMs = signal(0);
export const nowMs = signal(performance.now());
/** Why the last question got no answer. */
export const failure = signal('');

/** How old the newest answer is: 0 as long as answers come as they should, so that nothing is drawn anew for the passing of time. */
export const sinceMs = computed(() => {
  const ms = cluster.value === undefined ? 0 : nowMs.value - answeredAtMs.value;
  return ms < LATE_MS ? 0 : Math.floor(ms / TICK_MS) * TICK_MS;
});
export const connected = computed(() => cluster.value !== undefined && sinceMs.value <= STALE_MS);

export interface Rates {
  readonly writes: number;
  readonly applied: number;
  readonly refused: number;
  readonly conflicts: number;
}

/** By region; none for one that has just started or does not answer. */
export const rates = signal<ReadonlyMap<string, Rates>>(new Map());
const looks = new Map<string, NodeMessage[]>();

/** Whom it makes sense to ask, and what to say of the others. */
export function answering(): { readonly regions: readonly string[]; readonly silent: readonly string[] } {
  const all = cluster.peek()?.regions ?? [];
  const answers = ({ problem }: (typeof all)[number]): boolean => problem === '';
  return {
    regions: all.filter(answers).map(({ name }) => name),
    silent: all.filter((each) => !answers(each)).map(({ name }) => `${name} does not answer`),
  };
}

/** How often the page has been given figures: what else it asks for is asked again every so many. */
export const beats = signal(0);

export function startLive(): () => void {
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = async (): Promise<void> => {
    const beganMs = performance.now();
    try {
      const answer = await ask<ClusterMessage>('/ui/api/cluster', {}, { timeoutMs: ANSWER_MS_MAX });
      answeredAtMs.value = performance.now();
      rates.value = ratesOf(answer);
      cluster.value = answer;
      failure.value = '';
      beats.value++;
    } catch (error) {
      failure.value = error instanceof Error ? error.message : String(error);
    }
    nowMs.value = performance.now();
    if (!stopped) timer = setTimeout(() => void look(), Math.max(100, EVERY_MS - (performance.now() - beganMs)));
  };
  const ticking = setInterval(() => (nowMs.value = performance.now()), TICK_MS);
  void look();
  return () => {
    stopped = true;
    clearTimeout(timer);
    clearInterval(ticking);
  };
}

function ratesOf({ regions }: ClusterMessage): Map<string, Rates> {
  const found = new Map<string, Rates>();
  for (const { name, node } of regions) {
    if (node === null) continue;
    const kept = (looks.get(name) ?? []).filter(
      (look) => look.startedAtMs === node.startedAtMs && look.nowMs >= node.nowMs - RATE_MS,
    );
    const first = kept[0];
    if (kept.at(-1)?.nowMs !== node.nowMs) kept.push(node);
    looks.set(name, kept);
    const seconds = first === undefined ? 0 : (node.nowMs - first.nowMs) / 1000;
    if (first === undefined || seconds <= 0) continue;
    const perS = (counter: 'accepted' | 'appliedRemote' | 'refused' | 'conflicts'): number =>
      (node.counters[counter] - first.counters[counter]) / seconds;
    found.set(name, {
      writes: perS('accepted'),
      applied: perS('appliedRemote'),
      refused: perS('refused'),
      conflicts: perS('conflicts'),
    });
  }
  return found;
}
