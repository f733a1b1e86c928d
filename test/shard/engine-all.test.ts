// Ops that are sequenced together: all of them, or nothing has happened.

import { describe, expect, test } from 'vitest';
import type { Intent } from '../../src/merge/types.ts';
import { readBatchHeader } from '../../src/record/batch.ts';
import type { Idempotency, MergeTypeName } from '../../src/record/op.ts';
import type { AllResult, EngineCondition, EngineOp } from '../../src/shard/engine.ts';
import { collection, EU, lastBatch, put, ship, ShardHost, US } from '../support/shard-kit.ts';

interface More {
  readonly condition?: EngineCondition;
  readonly idempotency?: Idempotency;
  readonly issuedAtMs?: number;
}

function op(key: string, intent: Intent, more: More = {}, type: MergeTypeName = 'register-lww'): EngineOp {
  return { collection: collection(type), key, intent, ...more };
}

function all(host: ShardHost, ops: readonly EngineOp[]): AllResult {
  return host.engine.admitAll(ops, host.states, host.nowMs);
}

const ABSENT: EngineCondition = { kind: 'absent' };
const add = (by: bigint): Intent => ({ kind: 'increment', by });
const named = (seq: number): More => ({ idempotency: { kind: 'producer', producer: 7, seq }, issuedAtMs: 1 });

describe('admitAll', () => {
  test('sequences all, each on what those before it have made, as one batch', () => {
    const [eu, us] = [
      new ShardHost(EU, { members: [EU, US] }).open(1),
      new ShardHost(US, { members: [EU, US] }).open(2),
    ];
    const before = eu.engine.origins.durable.get(eu.own) ?? 0;
    const result = all(eu, [
      op('a', put('1'), { condition: ABSENT }),
      op('a', put('2'), { condition: { kind: 'exists' } }),
      op('n', add(2n), {}, 'counter-pn'),
      op('n', add(3n), { condition: { kind: 'exists' } }, 'counter-pn'),
    ]);
    expect(result).toMatchObject({
      kind: 'all',
      results: [1, 2, 3, 4].map((n) => ({ kind: 'sequenced', version: { seq: before + n } })),
    });
    eu.seal();
    expect(readBatchHeader(lastBatch(eu)).count).toBe(4);
    ship(eu, us);
    for (const host of [eu, us]) {
      expect(host.view('register-lww', 'a')).toBe('2');
      expect(host.view('counter-pn', 'n')).toBe('5');
    }
  });

  test('a version that an earlier op of the same write will have can be its condition only when it is known', () => {
    const eu = new ShardHost(EU).open(1);
    const version = eu.version('register-lww', 'a', put('1'));
    const cas: EngineCondition = { kind: 'version', version };
    expect(all(eu, [op('a', put('2'), { condition: cas }), op('b', put('2'))]).kind).toBe('all');
    // It has moved by the first op.
    expect(all(eu, [op('a', put('3')), op('a', put('4'), { condition: cas })])).toMatchObject({
      kind: 'none',
      at: 1,
      error: { code: 'PRECONDITION_FAILED' },
    });
  });

  test('all are taken when the first ones push the idempotency window past the time at which the later ones were issued', () => {
    const eu = new ShardHost(EU, { idempotencyEntriesMax: 3 }).open(1);
    eu.nowMs += 10_000;
    for (let seq = 1; seq <= 3; seq++) eu.write('register-lww', 'a', put('x'), named(seq));
    // Nothing is forgotten yet; the fourth name forgets the first, which is younger than the write's time of issue.
    const named4 = (seq: number): More => ({ ...named(seq), issuedAtMs: eu.nowMs - 5000 });
    const ops = [op('a', put('4'), named4(4)), op('b', put('5'), named4(5))];
    const result = all(eu, ops);
    expect(result).toMatchObject({ kind: 'all', results: [{ kind: 'sequenced' }, { kind: 'sequenced' }] });
    eu.seal();
    expect(all(eu, ops)).toMatchObject({ kind: 'all', results: [{ kind: 'duplicate' }, { kind: 'duplicate' }] });
  });

  test.each<[string, EngineOp, string]>([
    ['a condition', op('taken', put('x'), { condition: ABSENT }), 'PRECONDITION_FAILED'],
    ['an intent that the type does not take', op('s', add(1n)), 'WRONG_OPERATION'],
    [
      'a set that would be too large',
      op('s', { kind: 'set-add', elements: [Buffer.alloc(5000)] }, {}, 'set-aw'),
      'TOO_LARGE',
    ],
  ])('%s that fails leaves nothing behind', (_name, bad, code) => {
    const eu = new ShardHost(EU).open(1);
    eu.write('register-lww', 'taken', put('first'));
    const before = { offset: eu.engine.takenOffset, digest: eu.digest(), known: eu.engine.idempotencySize };
    // Also not of what was open before.
    eu.admit('register-lww', 'open', put('kept'));
    const open = eu.engine.openOps;
    const result = all(eu, [op('a', put('1'), named(1)), op('taken', put('2')), bad, op('z', put('3'), named(2))]);
    expect(result).toMatchObject({ kind: 'none', at: 2, error: { code, outcome: 'not-applied' } });
    expect(eu.engine.openOps).toBe(open);
    expect(eu.engine.takenOffset).toBe(before.offset);
    expect(eu.engine.idempotencySize).toBe(before.known);
    eu.seal();
    expect(eu.view('register-lww', 'open')).toBe('kept');
    expect(eu.view('register-lww', 'taken')).toBe('first');
    expect(eu.view('register-lww', 'a')).toBeUndefined();
    expect(eu.restart().digest()).toBe(eu.digest());
  });

  test('I5: a refusal opens no batch, whose first stamp would hold promises down', () => {
    const eu = new ShardHost(EU).open(1);
    eu.seal();
    expect(all(eu, [op('a', put('1')), op('a', put('2'), { condition: ABSENT })]).kind).toBe('none');
    expect(eu.engine.openOps).toBe(0);
    expect(eu.engine.seal(eu.nowMs)).toBeUndefined();
  });

  test('I2: a retry is recognised as a whole, whatever its conditions say by then', () => {
    const eu = new ShardHost(EU).open(1);
    const ops = [op('a', put('1'), { ...named(1), condition: ABSENT }), op('b', put('1'), named(2))];
    const first = all(eu, ops);
    eu.seal();
    const again = all(eu, ops);
    expect(again.kind).toBe('all');
    if (first.kind !== 'all' || again.kind !== 'all') throw new Error('not sequenced');
    expect(again.results).toEqual(first.results.map((result) => ({ ...result, kind: 'duplicate' })));
    expect(eu.engine.openOps).toBe(0);
  });

  test('I2: what was applied in part is another write, and is refused', () => {
    const eu = new ShardHost(EU).open(1);
    eu.write('register-lww', 'b', put('1'), { idempotency: { kind: 'key', key: 'mine' }, issuedAtMs: 1 });
    const known = { idempotency: { kind: 'key', key: 'mine' } as const, issuedAtMs: 1 };
    for (const ops of [
      [op('a', put('2'), named(1)), op('b', put('2'), known)],
      [op('b', put('2'), known), op('a', put('2'), named(1))],
    ]) {
      expect(all(eu, ops)).toMatchObject({ kind: 'none', at: 1, error: { code: 'PRECONDITION_FAILED' } });
    }
    expect(all(eu, [op('c', put('1'), named(3)), op('d', put('1'), named(3))])).toMatchObject({
      kind: 'none',
      at: 1,
      error: { code: 'INVALID_ARGUMENT' },
    });
    expect(eu.engine.openOps).toBe(0);
  });

  test('I2: what can no longer be told is refused', () => {
    const eu = new ShardHost(EU, { idempotencyEntriesMax: 2 }).open(1);
    for (let seq = 1; seq <= 4; seq++) eu.write('register-lww', 'k', put('x'), named(seq));
    expect(all(eu, [op('a', put('1'), named(9)), op('b', put('1'), named(1))])).toMatchObject({
      kind: 'none',
      error: { code: 'IDEMPOTENCY_WINDOW_PASSED', outcome: 'unknown' },
    });
  });

  test('without an origin nothing is taken', () => {
    expect(all(new ShardHost(EU), [op('a', put('1'))])).toMatchObject({ kind: 'none', error: { code: 'NOT_READY' } });
  });
});
