// The checker of the kill test, on histories that are wrong on purpose: a checker that has never failed proves nothing.

import { expect, test } from 'vitest';
import { Ledger, type RegionAnswers } from '../../chaos/cluster/ledger.ts';

interface State {
  sets: Record<string, string[]>;
  registers: Record<string, string>;
  counters: Record<string, bigint>;
}

function answers(state: State): RegionAnswers {
  return {
    region: 'west',
    set: (key) => Promise.resolve(new Set(state.sets[key] ?? [])),
    registers: (keys) => Promise.resolve(keys.map((key) => state.registers[key])),
    counter: (key) => Promise.resolve(state.counters[key] ?? 0n),
  };
}

function ledger(): Ledger {
  const made = new Ledger();
  made.record({ kind: 'add', set: 's', element: 'sure' }, 'acknowledged');
  made.record({ kind: 'add', set: 's', element: 'maybe' }, 'unknown');
  made.record({ kind: 'add', set: 's', element: 'never' }, 'refused');
  made.record({ kind: 'put', key: 'sure', value: '1' }, 'acknowledged');
  made.record({ kind: 'put', key: 'maybe', value: '2' }, 'unknown');
  made.record({ kind: 'put', key: 'never', value: '3' }, 'refused');
  made.record({ kind: 'increment', counter: 'c', by: 10 }, 'acknowledged');
  made.record({ kind: 'increment', counter: 'c', by: 5 }, 'unknown');
  made.record({ kind: 'increment', counter: 'c', by: 100 }, 'refused');
  return made;
}

const RIGHT: State = { sets: { s: ['sure'] }, registers: { sure: '1' }, counters: { c: 10n } };

test.each<[string, State]>([
  ['unknown ops left out', RIGHT],
  [
    'unknown ops taken in',
    { sets: { s: ['maybe', 'sure'] }, registers: { sure: '1', maybe: '2' }, counters: { c: 15n } },
  ],
])('nothing is found with %s', async (_what, state) => {
  expect(await ledger().check(answers(state))).toEqual([]);
});

test.each<[string, State, string]>([
  ['a lost element', { ...RIGHT, sets: {} }, 'set s lost the acknowledged sure'],
  ['an element that was refused', { ...RIGHT, sets: { s: ['sure', 'never'] } }, 'was refused'],
  ['an element from nowhere', { ...RIGHT, sets: { s: ['sure', 'ghost'] } }, 'nobody wrote'],
  ['a lost register', { ...RIGHT, registers: {} }, 'register sure lost the acknowledged 1'],
  ['a register that was refused', { ...RIGHT, registers: { sure: '1', never: '3' } }, 'was refused'],
  ['a value that nobody wrote', { ...RIGHT, registers: { sure: '7' } }, 'only 1 was ever written'],
  ['a lost increment', { ...RIGHT, counters: { c: 9n } }, 'counter c is 9, expected 10 to 15'],
  ['a doubled increment', { ...RIGHT, counters: { c: 20n } }, 'counter c is 20, expected 10 to 15'],
  ['a counter that is gone', { ...RIGHT, counters: {} }, 'counter c is 0'],
])('%s is found', async (_what, state, says) => {
  const findings = await ledger().check(answers(state));
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({ region: 'west' });
  expect(findings[0]?.what).toContain(says);
});

test('outcomes are counted', () => {
  expect(ledger().counts).toEqual({ acknowledged: 3, unknown: 3, refused: 3 });
});
