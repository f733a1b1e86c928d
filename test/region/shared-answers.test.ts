// A region of two nodes asked at one of them: cuts through shards of both, digests, histories and conflicts, and what is said when an owner is away.

import { describe, expect, test } from 'vitest';
import { CausewayError } from '../../src/errors/errors.ts';
import type { ShardId } from '../../src/record/ids.ts';
import type { KeyHistory, ReadResult, ScanResult, ShardDigest, WriteResult } from '../../src/region/region.ts';
import { Pending, put } from '../support/node-kit.ts';
import { SharedCluster, type SharedNode } from '../support/shared-kit.ts';
import { textOf } from '../support/shard-kit.ts';

const KEYS = Array.from({ length: 16 }, (_, i) => `k${String(i).padStart(2, '0')}`);
const NAMES = { namespace: 'shop', collection: 'register-lww' } as const;

function write({ region }: SharedNode, key: string, value: string): Pending<readonly WriteResult[]> {
  const pending = new Pending<readonly WriteResult[]>();
  const request = { ops: [put(key, value)], durability: { kind: 'local' }, deadlineMs: 5000 } as const;
  region.write(request, (results) => pending.answer(results));
  return pending;
}

function stable(
  { region }: SharedNode,
  keys: readonly string[],
  deadlineMs = 5000,
): Pending<ReadResult | CausewayError> {
  const pending = new Pending<ReadResult | CausewayError>();
  region.read({ ...NAMES, keys, consistency: { kind: 'stable' }, deadlineMs }, (result) => pending.answer(result));
  return pending;
}

async function started(): Promise<{ shared: SharedCluster; first: SharedNode; second: SharedNode }> {
  const shared = await SharedCluster.started();
  const [first, second] = shared.nodes as [SharedNode, SharedNode];
  for (const [i, key] of KEYS.entries()) write(i % 2 === 0 ? first : second, key, `of ${key}`);
  await shared.cluster.run(1000);
  return { shared, first, second };
}

const written = ({ value }: Pending<ReadResult | CausewayError>): (string | undefined)[] => {
  if (value === undefined || value instanceof CausewayError) throw value ?? new Error('no answer');
  return value.views.map((view) => textOf(view));
};

describe('a stable read of keys of two nodes', () => {
  test('is one cut: both nodes are asked for the same stamp', async () => {
    const { shared, first } = await started();
    const read = stable(first, KEYS);
    await shared.cluster.until(() => read.answers.length > 0);
    expect(written(read)).toEqual(KEYS.map((key) => `of ${key}`));
    const { asOfStamp, unchangedSince } = read.value as ReadResult;
    expect(asOfStamp).toBeGreaterThan(0);
    expect(unchangedSince).toBeLessThanOrEqual(asOfStamp!);
  });

  test('lacks no write that one in the answer was made after, while keys of both are written and nodes are slow to answer each other', async () => {
    const { shared, first, second } = await started();
    const [here, there] = shared.cluster.shards
      .slice(0, 2)
      .map((shard) => KEYS.find((key) => at(first, key) === shard)!) as [string, string];
    // Always `here` before `there`, each at its own node: no cut has the second without the first.
    const pair = (n: number): void => {
      const value = String(n).padStart(6, '0');
      chain(shared, write(first, here, value), () => write(second, there, value));
    };
    pair(0);
    await shared.cluster.run(500);
    // Longer than the front takes to follow: two nodes that answered each for itself would answer of two moments.
    shared.wayMs = 150;
    const reads: Pending<ReadResult | CausewayError>[] = [];
    for (let i = 0; i < 800; i++) {
      if (i % 16 === 0) pair(i);
      if (i % 5 === 0) reads.push(stable(i % 2 === 0 ? first : second, [here, there], 4000));
      await shared.cluster.run(25);
    }
    await shared.cluster.run(5000);
    const answered = reads.filter(({ value }) => !(value instanceof CausewayError)).map(written);
    expect(answered.length).toBeGreaterThan(reads.length / 2);
    expect(new Set(answered.map(([value]) => value)).size).toBeGreaterThan(5);
    for (const [one, two] of answered) expect(Number(one), `${one} ${two}`).toBeGreaterThanOrEqual(Number(two));
    for (const { value } of reads) {
      if (value instanceof CausewayError) expect(value.code).toBe('CONSISTENCY_NOT_REACHED');
    }
  });

  test('says who did not answer', async () => {
    const { shared, first } = await started();
    shared.away.add('eu-1');
    const read = stable(first, KEYS);
    await shared.cluster.until(() => read.answers.length > 0);
    expect(read.value).toMatchObject({ code: 'UNAVAILABLE' });
    expect((read.value as CausewayError).message).toContain('eu-1');
  });
});

function at({ node }: SharedNode, key: string): ShardId {
  return node.shardFor(NAMES.namespace, NAMES.collection, key)!;
}

function chain(shared: SharedCluster, pending: Pending<unknown>, then: () => void): void {
  void shared.cluster.scheduler.after(
    1,
    () => (pending.answers.length > 0 ? then() : chain(shared, pending, then)),
    shared.eu.life,
  );
}

test('a stable scan of two nodes is one cut, also while other keys are written', async () => {
  const { shared, first, second } = await started();
  const pending: Pending<ScanResult | CausewayError>[] = [];
  let n = 0;
  for (let i = 0; i < 80; i++) {
    write(i % 2 === 0 ? first : second, `other ${n++ % 50}`, 'beside');
    if (i % 20 === 10) {
      const scan = new Pending<ScanResult | CausewayError>();
      const range = { ...NAMES, prefix: 'k', limit: 10, bytesMax: 1e6 };
      first.region.scan({ ...range, consistency: { kind: 'stable' }, deadlineMs: 5000 }, (page) => scan.answer(page));
      pending.push(scan);
    }
    await shared.cluster.run(50);
  }
  await shared.cluster.until(() => pending.every(({ answers }) => answers.length > 0));
  for (const { value } of pending) {
    if (value instanceof CausewayError) throw value;
    expect(value!.entries.map(({ key }) => key)).toEqual(KEYS.slice(0, 10));
    expect(value!.next).toBe(KEYS[9]);
    expect(value!.asOfStamp).toBeGreaterThan(0);
  }
});

describe('digests', () => {
  const digests = async (
    shared: SharedCluster,
    { region }: SharedNode,
  ): Promise<readonly ShardDigest[] | CausewayError> => {
    const pending = new Pending<readonly ShardDigest[] | CausewayError>();
    region.allDigests(shared.eu.clock.nowMs(), (result) => pending.answers.push(result));
    await shared.cluster.until(() => pending.answers.length > 0);
    return pending.value!;
  };

  test('are of all shards, the same at every node', async () => {
    const { shared, first, second } = await started();
    const [one, two] = [await digests(shared, first), await digests(shared, second)];
    if (one instanceof CausewayError || two instanceof CausewayError) throw new Error('no digests');
    expect(one.map(({ shard }) => shard)).toEqual(shared.cluster.shards);
    expect(two.map(({ digest }) => digest)).toEqual(one.map(({ digest }) => digest));
    expect(one.reduce((sum, { keys }) => sum + keys, 0)).toBe(KEYS.length);
  });

  test('lack nothing silently: an owner that is away, or has no longer what it is asked for, is an error that names the shards', async () => {
    const { shared, first } = await started();
    shared.away.add('eu-1');
    const away = await digests(shared, first);
    expect(away).toMatchObject({ code: 'UNAVAILABLE', retriable: true });
    expect((away as CausewayError).message).toContain('1/1, 1/3 of eu are at eu-1');
    shared.away.delete('eu-1');
    // It gives the shard up, and eu-0 has not heard of it.
    shared.nodes[1]!.ownership.set(shared.cluster.shards[3]!, false);
    const stale = await digests(shared, first);
    expect(stale).toMatchObject({ code: 'NOT_READY', retriable: true });
    expect((stale as CausewayError).message).toContain('shard 1/3');
  });
});

test('the history of a key is told by its owner, whoever is asked', async () => {
  const { shared, first, second } = await started();
  for (const key of KEYS) {
    write(second, key, 'again');
    await shared.cluster.run(50);
    for (const node of [first, second]) {
      const pending = new Pending<KeyHistory | CausewayError>();
      node.region.history({ ...NAMES, key, limit: 10, before: undefined }, (result) => pending.answer(result));
      await shared.cluster.until(() => pending.answers.length > 0);
      const history = pending.value as KeyHistory;
      expect(history.shard).toBe(at(node, key));
      expect(history.changes.map(({ op }) => op.kind === 'put' && String(op.value))).toEqual(['again', `of ${key}`]);
    }
  }
});

test('conflicts of a shard that another node has are never said to be none', async () => {
  const { shared, first } = await started();
  const [, there] = shared.cluster.shards;
  const pending = new Pending<unknown>();
  const loser = { origin: first.node.liveOrigin(shared.cluster.shards[0]!)!, seq: 1 };
  first.node.conflictsOf(there!, loser, (result) => pending.answer(result));
  expect(pending.value).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' });
  const asked = new Pending<unknown>();
  first.region.conflictsOf(there!, loser, (result) => asked.answer(result));
  await shared.cluster.until(() => asked.answers.length > 0);
  expect(asked.value).toEqual([]);
  expect(shared.asked.at(-1)).toBe('conflictsOf eu-1');
});
