// Shards that change hands in order, under load: writes wait or are passed on, in the order of each key, and nobody is told that it is not known.

import { describe, expect, test } from 'vitest';
import type { CausewayError } from '../../src/errors/errors.ts';
import type { ShardId } from '../../src/record/ids.ts';
import type { MovedShard, ReadResult, WriteResult } from '../../src/region/region.ts';
import { Pending, put } from '../support/node-kit.ts';
import { SharedCluster, type SharedNode } from '../support/shared-kit.ts';
import { textOf } from '../support/shard-kit.ts';

const NAMES = { namespace: 'shop', collection: 'register-lww' } as const;
const KEYS = Array.from({ length: 12 }, (_, i) => `k${i}`);

interface Stream {
  readonly node: SharedNode;
  readonly errors: CausewayError[];
  /** By key, the last value that was written, and the stamps of all in the order in which they were sent. */
  readonly last: Map<string, string>;
  readonly stamps: Map<string, (number | undefined)[]>;
  sent: number;
  answered: number;
}

/** One message with some keys of every shard; as a producer does, without waiting for the one before. */
function send(stream: Stream, sender: object): void {
  const value = String(stream.sent++);
  const keys = KEYS.filter((_, i) => (i + stream.sent) % 3 !== 0).map((key) => `${stream.node.name} ${key}`);
  const at = keys.map((key) => {
    stream.last.set(key, value);
    const stamps = stream.stamps.get(key) ?? [];
    stream.stamps.set(key, stamps);
    return stamps.push(undefined) - 1;
  });
  stream.node.region.write(
    {
      ops: keys.map((key) => put(key, value)),
      durability: { kind: 'local' },
      deadlineMs: 20_000,
      sender: { stream: sender, epoch: 0 },
    },
    (results: readonly WriteResult[]) => {
      stream.answered++;
      results.forEach((result, i) => {
        if (result.ok) stream.stamps.get(keys[i]!)![at[i]!] = result.version.stamp;
        else stream.errors.push(result.error);
      });
    },
  );
}

const begun = (node: SharedNode): Stream => ({
  node,
  errors: [],
  last: new Map(),
  stamps: new Map(),
  sent: 0,
  answered: 0,
});

async function judge(shared: SharedCluster, streams: readonly Stream[]): Promise<void> {
  await shared.cluster.until(() => streams.every(({ sent, answered }) => sent === answered));
  for (const { errors, stamps, last, node } of streams) {
    expect(errors).toEqual([]);
    for (const all of stamps.values()) {
      expect(all).not.toContain(undefined);
      expect(all).toEqual((all as number[]).toSorted((a, b) => a - b));
    }
    const read = new Pending<ReadResult | CausewayError>();
    const keys = [...last.keys()];
    node.region.read({ ...NAMES, keys, consistency: { kind: 'local' }, deadlineMs: 5000 }, (result) =>
      read.answer(result),
    );
    await shared.cluster.until(() => read.answers.length > 0);
    expect((read.value as ReadResult).views.map((view) => textOf(view))).toEqual([...last.values()]);
  }
}

describe('a shard that is handed over in order', () => {
  test('under writes at both nodes: every write is taken once, in the order in which it was sent', async () => {
    const shared = await SharedCluster.started();
    const streams = shared.nodes.map(begun);
    const senders = streams.map(() => ({}));
    for (let round = 0; round < 30; round++) {
      const shard = shared.cluster.shards[round % 4]!;
      const to = shared.owner(shard).name === 'eu-0' ? 'eu-1' : 'eu-0';
      let over = false;
      void shared.handOver(shard, to, 5 + (round % 7) * 10).then(() => (over = true));
      while (!over) {
        streams.forEach((stream, i) => send(stream, senders[i]!));
        await shared.cluster.run(2);
      }
      expect(shared.owner(shard).name).toBe(to);
    }
    expect(streams[0]!.sent).toBeGreaterThan(300);
    await judge(shared, streams);
    for (const shard of shared.cluster.shards) expect(shared.owner(shard).node.shards()).toContain(shard);
  });

  test('with what is under way in a slow log: the owner waits for it before it gives the shard up', async () => {
    const shared = await SharedCluster.started(1);
    const [shard] = shared.cluster.shards as [ShardId];
    const [stream] = shared.nodes.map(begun) as [Stream];
    for (let i = 0; i < 5; i++) send(stream, stream);
    let released = false;
    void shared
      .owner(shard)
      .node.release(shard)
      .then(() => (released = true));
    expect(stream.answered).toBe(0);
    await shared.cluster.until(() => released);
    expect(stream.answered).toBe(5);
    // What comes now waits for the next owner.
    send(stream, stream);
    await shared.cluster.run(200);
    expect(stream.answered).toBe(5);
    shared.give(shard, 'eu-1');
    await judge(shared, [stream]);
  });

  test('and has no owner for longer than anybody waits: refused as not written, and what comes behind it too', async () => {
    const shared = await SharedCluster.started(1);
    const [stream] = shared.nodes.map(begun) as [Stream];
    shared.give(shared.cluster.shards[0]!, undefined);
    for (let i = 0; i < 3; i++) send(stream, stream);
    await shared.cluster.run(4500);
    expect(stream.answered).toBe(0);
    await shared.cluster.run(1000);
    expect(stream.answered).toBe(3);
    expect(new Set(stream.errors.map(({ code, outcome }) => `${code} ${outcome}`))).toEqual(
      new Set(['NOT_READY not-applied']),
    );
    expect(stream.errors.at(-1)!.message).toContain('an earlier message');
  });

  test('reads in that moment wait as well', async () => {
    const shared = await SharedCluster.started();
    const [stream] = shared.nodes.map(begun) as [Stream];
    send(stream, stream);
    await shared.cluster.run(100);
    const shard = shared.cluster.shards[1]!;
    let over = false;
    void shared.handOver(shard, 'eu-0', 300).then(() => (over = true));
    const reads: Pending<ReadResult | CausewayError>[] = [];
    while (!over) {
      for (const { region } of shared.nodes) {
        const read = new Pending<ReadResult | CausewayError>();
        const request = { ...NAMES, keys: [...stream.last.keys()], deadlineMs: 2000 };
        region.read({ ...request, consistency: { kind: 'local' } }, (result) => read.answer(result));
        reads.push(read);
      }
      await shared.cluster.run(10);
    }
    await shared.cluster.until(() => reads.every(({ answers }) => answers.length === 1));
    for (const { value } of reads) {
      if (value instanceof Error) throw value;
      expect(value!.views.map((view) => textOf(view))).toEqual([...stream.last.values()]);
    }
  });
});

describe('a shard that is moved by hand', () => {
  const moved = async (
    shared: SharedCluster,
    { region }: SharedNode,
    shard: ShardId,
    node: string | undefined,
  ): Promise<MovedShard | CausewayError> => {
    const pending = new Pending<MovedShard | CausewayError>();
    region.moveShard(shard, node, 1000, (result) => pending.answer(result));
    await shared.cluster.until(() => pending.answers.length > 0);
    return pending.value!;
  };

  test('is where it was asked to be when that is answered, and says that somebody has moved it', async () => {
    const shared = await SharedCluster.started();
    const [first, second] = shared.nodes as [SharedNode, SharedNode];
    const shard = shared.cluster.shards[0]!;
    first.ownership.onPin = (_shard, node) => {
      void shared.handOver(shard, node ?? 'eu-0', 100);
      return Promise.resolve();
    };
    expect(await moved(shared, first, shard, 'eu-1')).toMatchObject({
      owner: { node: 'eu-1' },
      pinned: 'eu-1',
      moved: true,
    });
    expect(shared.owner(shard)).toBe(second);
    expect(await moved(shared, first, shard, undefined)).toMatchObject({ pinned: undefined });
  });

  test('is refused for a shard or a node that is not there, and says when it could not be done in time', async () => {
    const shared = await SharedCluster.started();
    const [first] = shared.nodes as [SharedNode];
    const wrongNode = (await moved(shared, first, shared.cluster.shards[0]!, 'eu-9')) as CausewayError;
    expect([wrongNode.code, wrongNode.message]).toEqual([
      'INVALID_ARGUMENT',
      'eu has no node eu-9 that lives; there are eu-0, eu-1',
    ]);
    expect(await moved(shared, first, '1/99' as ShardId, 'eu-1')).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await moved(shared, first, shared.cluster.shards[0]!, 'eu-1')).toMatchObject({
      owner: { node: 'eu-0' },
      pinned: 'eu-1',
      moved: false,
    });
    const alone = new Pending<unknown>();
    first.node.moveShard(shared.cluster.shards[0]!, 'eu-1', 1000, (result) => alone.answer(result));
    expect(alone.value).toMatchObject({ code: 'PRECONDITION_FAILED' });
  });
});
