// Causal convergence of small histories, by bad patterns (Bouajjani, Enea, Guerraoui, Hamza: On Verifying Causal Consistency, POPL 2017).
// Values are unique, so a read names its write; a history is causally convergent (CCv) iff none of these is in it:
//   ThinAirRead      a read of what nobody wrote
//   CyclicCO         causal order (session order and reads-from, transitively) has a cycle
//   WriteCOInitRead  a key reads as absent after a write to it, causally
//   WriteCORead      a read of a write that another one, causally between them, has replaced
//   CyclicCF         what reads say of the order in which concurrent writes win contradicts itself or the causal order
// The histories are those of circles (chaos/traffic/circles.ts): sessions that share the registers of one `{tag}`.

import { keyName } from '../../history/names.ts';
import type { ReadRecord, WriteRecord } from '../../history/records.ts';
import type { Check } from './check.ts';

interface Node {
  readonly call: WriteRecord | ReadRecord;
  /** Of a write the value, of a read what it saw; undefined: absent. */
  readonly value: string | undefined;
}

/** Beyond, a history is cut off: the closure is cubic. Circles have about thirty. */
const NODES_MAX = 200;

export const causal: Check = {
  name: 'causal',
  promise: 'small histories of several sessions have none of the patterns that causal convergence forbids',
  anyTime: true,
  judge: (recording, found) => {
    const histories = new Map<string, Node[]>();
    for (const call of recording.calls) {
      const tag = /^\{[^}]+\}/.exec(call.key)?.[0];
      if (tag === undefined || call.session === undefined || call.collection !== 'registers') continue;
      if (call.outcome === 'failed') continue;
      const nodes = histories.get(tag) ?? [];
      histories.set(tag, nodes);
      if (call.kind === 'read') {
        nodes.push({ call, value: call.view?.type === 'register-lww' ? call.view.value : undefined });
      } else if (call.intent.kind === 'put') {
        nodes.push({ call, value: call.intent.value });
      }
    }
    let calls = 0;
    for (const [tag, nodes] of histories) {
      const some = nodes.slice(0, NODES_MAX);
      calls += some.length;
      for (const problem of badPatterns(some)) found(`${tag}: ${problem}`);
    }
    return { looked: calls, facts: { histories: histories.size } };
  },
};

function badPatterns(all: readonly Node[]): string[] {
  const readValues = new Set(all.filter(({ call }) => call.kind === 'read').map(({ value }) => value));
  // A write whose outcome is not known happened if somebody saw it; else nothing can be said of it.
  const nodes = all.filter(({ call, value }) => call.kind === 'read' || call.outcome === 'ok' || readValues.has(value));
  const n = nodes.length;
  const problems: string[] = [];
  const before: boolean[][] = nodes.map(() => new Array<boolean>(n).fill(false));
  const writerOf = new Map<string, number>();
  nodes.forEach(({ call, value }, i) => {
    if (call.kind === 'write') writerOf.set(keyName(call.key, value!), i);
  });
  const lastOf = new Map<string, number>();
  const readsFrom = new Map<number, number>();
  nodes.forEach(({ call, value }, i) => {
    const session = call.session!;
    const last = lastOf.get(session);
    if (last !== undefined) before[last]![i] = true;
    // A session knows nothing of its own write whose answer it did not get: its token is as before.
    if (call.kind === 'read' || call.outcome === 'ok') lastOf.set(session, i);
    if (call.kind !== 'read' || value === undefined) return;
    const writer = writerOf.get(keyName(call.key, value));
    if (writer === undefined) {
      problems.push(`ThinAirRead: ${textOf(nodes[i]!)}, which nobody wrote`);
      return;
    }
    readsFrom.set(i, writer);
    before[writer]![i] = true;
  });
  close(before);
  if (before.some((row, i) => row[i])) {
    problems.push(`CyclicCO: ${cycleText(nodes, before)}`);
    // Everything else would follow from the cycle.
    return problems;
  }
  const wins: boolean[][] = before.map((row) => [...row]);
  nodes.forEach((read, r) => {
    if (read.call.kind !== 'read') return;
    const writer = readsFrom.get(r);
    nodes.forEach((other, w) => {
      if (other.call.kind !== 'write' || other.call.key !== read.call.key || w === writer || !before[w]![r]) return;
      if (read.value === undefined) problems.push(`WriteCOInitRead: ${textOf(read)} after ${textOf(other)}`);
      else if (writer !== undefined && before[writer]![w])
        problems.push(`WriteCORead: ${textOf(read)}, which ${textOf(other)} had replaced before`);
      // Both were there for this read, and it shows which of them wins.
      else if (writer !== undefined) wins[w]![writer] = true;
    });
  });
  close(wins);
  if (problems.length === 0 && wins.some((row, i) => row[i])) problems.push(`CyclicCF: ${cycleText(nodes, wins)}`);
  return problems;
}

/** Transitively, in place. */
function close(edges: boolean[][]): void {
  const n = edges.length;
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < n; i++) {
      if (!edges[i]![k]) continue;
      for (let j = 0; j < n; j++) if (edges[k]![j]) edges[i]![j] = true;
    }
  }
}

function cycleText(nodes: readonly Node[], edges: readonly (readonly boolean[])[]): string {
  const on = nodes.filter((_, i) => edges[i]![i]);
  return `${on.map(textOf).join('; ')} come before each other`;
}

function textOf({ call, value }: Node): string {
  const what =
    call.kind === 'write'
      ? `wrote ${call.key} = '${value}'`
      : `read ${call.key} as ${value === undefined ? 'absent' : `'${value}'`}`;
  return `${call.session} ${what} at ${call.endMs} ms`;
}
