// I11 for Redis: what it may lose, and that a node notices and shows nobody what is not so.

import { expect, describe, onTestFinished, test, vi } from 'vitest';
import { Redis } from 'ioredis';
import { TcpProxy } from '../../chaos/cluster/tcp-proxy.ts';
import { startRedis, startSentinel, type Server } from '../../scripts/servers.mjs';
import type { RedisStore } from '../../src/store/redis.ts';
import {
  getFrom,
  peekAt,
  refreshed,
  scanFrom,
  SHARD_A,
  SHARD_B,
  SHARDS,
  stepOf,
  writeTo,
  WRITTEN,
} from '../contract/store.ts';
import { Pki } from '../support/pki.ts';
import { redisFound, sharedServer } from '../support/servers.ts';
import { redisBench, type RedisBench } from './redis-support.ts';

vi.setConfig({ testTimeout: 60_000 });
if (typeof redisFound === 'string') console.warn(`the tests of the Redis store are skipped: ${redisFound}`);

const PATIENCE = { timeout: 30_000, interval: 10 };

describe.skipIf(typeof redisFound === 'string')('the Redis store', () => {
  const server = sharedServer(redisFound, () => startRedis());

  function bench(of: Server = server()): RedisBench {
    const made = redisBench(of);
    onTestFinished(() => made.cleanup());
    return made;
  }

  /** A server of the test's own, to be broken. */
  async function ownServer(...args: string[]): Promise<Server> {
    const own = await startRedis({ args });
    onTestFinished(() => own.stop());
    return own;
  }

  async function opened(store: RedisStore): Promise<RedisStore> {
    await store.open(SHARDS);
    return store;
  }

  const keysOf = ({ clusterId }: RedisBench): Record<'head' | 'rows' | 'index', string> => {
    const base = `causeway:{${clusterId}/eu-west/${SHARD_A}}`;
    return { head: `${base}:head`, rows: `${base}:rows`, index: `${base}:index` };
  };

  /** Neither answered nor failed: nobody is told what is not so. */
  async function unanswered(read: Promise<unknown>): Promise<void> {
    const answer = await Promise.race([read, new Promise((resolve) => void setTimeout(resolve, 300, 'nothing'))]);
    expect(answer).toBe('nothing');
  }

  async function filled(made: RedisBench): Promise<RedisStore> {
    const store = await opened(made.make());
    expect(
      await writeTo(store, stepOf(SHARD_A, 0, 5, { a: '1', b: '2' }), stepOf(SHARD_B, 0, 6, { a: 'other' })),
    ).toEqual([WRITTEN, WRITTEN]);
    return store;
  }

  describe('what is lost is noticed', () => {
    test('FLUSHALL: a read that was under way is not answered, and the shard begins again at 0', async () => {
      const own = await ownServer();
      const made = bench(own);
      const store = await filled(made);
      await made.command('FLUSHALL');
      await unanswered(getFrom(store, SHARD_A, 'a'));
      await vi.waitFor(() => expect(made.lost.map(({ shard }) => shard).sort()).toEqual([...SHARDS]), PATIENCE);
      expect(made.lost[0]!.why).toMatch(/cursor [56] .*Redis was flushed, or has restarted without its data/);
      await vi.waitFor(async () => expect(await writeTo(store, stepOf(SHARD_A, 0, 9, { c: '3' }))).toEqual([WRITTEN]));
      expect(await getFrom(store, SHARD_A, 'a', 'c')).toEqual([undefined, '3']);
      expect(made.lost).toHaveLength(2);
    });

    test('also when nobody asks', async () => {
      const own = await ownServer();
      const made = bench(own);
      await filled(made);
      const atMs = performance.now();
      await made.command('FLUSHALL');
      await vi.waitFor(() => expect(made.lost).toHaveLength(2), PATIENCE);
      // How soon is for `npm run chaos -- redis-loss` on a machine that does nothing else: within a second, by an interval of half of that.
      console.log(`the flush was noticed after ${Math.round(performance.now() - atMs)} ms`);
    });

    test('a step finds the flush: it is refused, and nothing of it is there', async () => {
      const own = await ownServer();
      const made = bench(own);
      const store = await filled(made);
      await made.command('FLUSHALL');
      expect(await writeTo(store, stepOf(SHARD_A, 5, 6, { c: '3' }))).toEqual([{ kind: 'moved', cursor: 0 }]);
      await vi.waitFor(() => expect(made.lost.map(({ shard }) => shard)).toContain(SHARD_A), PATIENCE);
      expect(await made.command('EXISTS', keysOf(made).rows)).toBe(0);
    });

    test.each(['head', 'rows', 'index'] as const)('eviction of the %s', async (part) => {
      const made = bench();
      const store = await filled(made);
      await made.command('DEL', keysOf(made)[part]);
      if (part !== 'head')
        expect(await writeTo(store, stepOf(SHARD_A, 5, 6, { c: '3' }))).toEqual([{ kind: 'moved', cursor: 0 }]);
      await vi.waitFor(() => expect(made.lost.map(({ shard }) => shard)).toEqual([SHARD_A]), PATIENCE);
      await vi.waitFor(async () => expect(await writeTo(store, stepOf(SHARD_A, 0, 2, { z: '9' }))).toEqual([WRITTEN]));
      expect((await scanFrom(store, SHARD_A, '', 'zz', 9)).map(({ rowKey }) => rowKey)).toEqual(['z']);
      expect(await getFrom(store, SHARD_B, 'a')).toEqual(['other']);
    });

    test('a row that somebody deleted', async () => {
      const made = bench();
      const store = await filled(made);
      await made.command('HDEL', keysOf(made).rows, 'a');
      await vi.waitFor(() => expect(made.lost.map(({ shard }) => shard)).toEqual([SHARD_A]), PATIENCE);
      expect(made.lost[0]!.why).toContain('some are gone');
      await vi.waitFor(async () => expect(await writeTo(store, stepOf(SHARD_A, 0, 2, { z: '9' }))).toEqual([WRITTEN]));
    });

    test('a restart without data', async () => {
      const own = await ownServer();
      const made = bench(own);
      const store = await filled(made);
      await own.kill();
      const read = getFrom(store, SHARD_A, 'a');
      await own.restart();
      await vi.waitFor(() => expect(made.lost).toHaveLength(2), PATIENCE);
      await unanswered(read);
    });

    test('a restart with older data, as after a fail-over to a replica that was behind: the shard goes on from there', async () => {
      const own = await ownServer();
      const made = bench(own);
      const store = await filled(made);
      await made.command('SAVE');
      expect(await writeTo(store, stepOf(SHARD_A, 5, 9, { a: 'newer', c: '3' }))).toEqual([WRITTEN]);
      await own.kill();
      await own.restart();
      await unanswered(getFrom(store, SHARD_A, 'a'));
      await vi.waitFor(() => expect(made.lost.map(({ shard }) => shard)).toEqual([SHARD_A]), PATIENCE);
      expect(made.lost[0]!.why).toMatch(/as of cursor 9 .*they are of cursor 5/);
      await vi.waitFor(() => expect(store.cursor(SHARD_A)).toBe(5), PATIENCE);
      expect(await getFrom(store, SHARD_A, 'a', 'b', 'c')).toEqual(['1', '2', undefined]);
      expect(await writeTo(store, stepOf(SHARD_A, 5, 9, { a: 'newer', c: '3' }))).toEqual([WRITTEN]);
    });

    test('found at the next start: rows of another log, or not whole', async () => {
      const made = bench();
      await (await filled(made)).close();
      const other = await opened(made.make({ logIdentity: 'log/2' }));
      expect([other.cursor(SHARD_A), other.findings.length]).toEqual([0, 2]);
      expect(await writeTo(other, stepOf(SHARD_A, 0, 1, { a: 'x' }))).toEqual([WRITTEN]);
      await other.close();
      await made.command('HDEL', keysOf(made).rows, 'a');
      const again = await opened(made.make({ logIdentity: 'log/2' }));
      expect(again.cursor(SHARD_A)).toBe(0);
      expect(again.findings.join()).toContain('not whole');
      expect(made.lost).toEqual([]);
    });
  });

  describe('the fence', () => {
    test('an owner that was deposed writes nothing, and is told', async () => {
      const made = bench();
      const deposed = await filled(made);
      const successor = await opened(made.make());
      expect(successor.cursor(SHARD_A)).toBe(5);
      expect(await writeTo(successor, stepOf(SHARD_A, 5, 7, { a: 'successor' }))).toEqual([WRITTEN]);
      expect(await writeTo(deposed, stepOf(SHARD_A, 5, 8, { a: 'deposed' }))).toEqual([{ kind: 'moved', cursor: 7 }]);
      expect(await getFrom(successor, SHARD_A, 'a')).toEqual(['successor']);
    });

    test("who takes over goes on from where the one before stood, and rows that others have moved are nobody's loss", async () => {
      const made = bench();
      const successor = await opened(made.make());
      const former = await filled(made);
      expect(successor.cursor(SHARD_A)).toBe(0);
      // Longer than the look at shards that nobody asks about takes to come.
      await new Promise((resolve) => setTimeout(resolve, 1200));
      expect(made.lost).toEqual([]);
      await refreshed(successor, SHARD_A);
      expect(successor.cursor(SHARD_A)).toBe(5);
      expect(await getFrom(successor, SHARD_A, 'a', 'b')).toEqual(['1', '2']);
      expect(await writeTo(successor, stepOf(SHARD_A, 5, 7, { a: 'successor' }))).toEqual([WRITTEN]);
      expect(await writeTo(former, stepOf(SHARD_A, 5, 8, { a: 'former' }))).toEqual([{ kind: 'moved', cursor: 7 }]);
    });

    test('a node that does not own the shard looks at a row while its owner writes on; of another log it sees none', async () => {
      const made = bench();
      const [bystander, stranger] = [await opened(made.make()), await opened(made.make({ logIdentity: 'log/2' }))];
      const owner = await filled(made);
      expect(await peekAt(bystander, SHARD_A, 'a')).toBe('1');
      expect(await writeTo(owner, stepOf(SHARD_A, 5, 7, { a: 'later' }))).toEqual([WRITTEN]);
      expect(await peekAt(bystander, SHARD_A, 'a')).toBe('later');
      expect(await peekAt(stranger, SHARD_A, 'a')).toBeUndefined();
      // Longer than the look at shards that nobody asks about takes to come.
      await new Promise((resolve) => setTimeout(resolve, 1200));
      expect(made.lost).toEqual([]);
      expect(await writeTo(owner, stepOf(SHARD_A, 7, 8, { a: 'last' }))).toEqual([WRITTEN]);
    });

    test('nor does it drop what its successor wrote', async () => {
      const made = bench();
      const deposed = await filled(made);
      const successor = await opened(made.make());
      await writeTo(successor, stepOf(SHARD_A, 5, 7, { a: 'successor' }));
      await new Promise<void>((resolve) => deposed.reset(SHARD_A, resolve));
      expect(await writeTo(deposed, stepOf(SHARD_A, 0, 3, { a: 'deposed' }))).toEqual([{ kind: 'moved', cursor: 7 }]);
      expect(await getFrom(successor, SHARD_A, 'a')).toEqual(['successor']);
    });
  });

  test('a connection that breaks again and again: every step once, and reads wait', async () => {
    const proxy = await TcpProxy.listen({ targetHost: server().host, targetPort: server().port });
    onTestFinished(() => proxy.close());
    const [host, port] = proxy.address.split(':') as [string, string];
    const made = bench();
    const store = await opened(made.make({ servers: { kind: 'single', host, port: Number(port) } }));
    const count = 300;
    for (let cursor = 0; cursor < count; cursor++) {
      const written = writeTo(store, stepOf(SHARD_A, cursor, cursor + 1, { [`k${cursor % 50}`]: `${cursor}` }));
      if (cursor % 30 === 10) proxy.breakAll();
      const read = getFrom(store, SHARD_A, `k${cursor % 50}`);
      expect(await written).toEqual([WRITTEN]);
      expect(await read).toEqual([`${cursor}`]);
    }
    expect(made.lost).toEqual([]);
    expect(await scanFrom(store, SHARD_A, 'k', 'l', 100)).toHaveLength(50);
  });

  test('a fail-over by Sentinel to a replica that has everything: writes wait for it and go on, and nothing is rebuilt', async () => {
    const master = await ownServer();
    const replica = await ownServer('--replicaof', master.host, `${master.port}`);
    const sentinel = await startSentinel(master, 'main');
    onTestFinished(() => sentinel.stop());
    const made = bench(master);
    const { host, port } = sentinel;
    const store = await opened(made.make({ servers: { kind: 'sentinel', sentinels: [{ host, port }], name: 'main' } }));
    const [atSentinel, onReplica] = [redisBench(sentinel).command, redisBench(replica).command];
    await vi.waitFor(async () => expect(await atSentinel('SENTINEL', 'REPLICAS', 'main')).toHaveLength(1), PATIENCE);
    expect(await writeTo(store, stepOf(SHARD_A, 0, 5, { a: 'kept' }))).toEqual([WRITTEN]);
    await vi.waitFor(async () => expect(await onReplica('GET', keysOf(made).head)).toMatch(/^1 5 /), PATIENCE);
    await master.kill();
    expect(await writeTo(store, stepOf(SHARD_A, 5, 9, { b: 'after' }))).toEqual([WRITTEN]);
    expect(await getFrom(store, SHARD_A, 'a', 'b')).toEqual(['kept', 'after']);
    expect(await onReplica('GET', keysOf(made).head)).toMatch(/^1 9 /);
    expect(made.lost).toEqual([]);
  });

  test('Redis without memory: steps fail and change nothing, until there is some', async () => {
    const own = await ownServer();
    const made = bench(own);
    const store = await filled(made);
    await made.command('CONFIG', 'SET', 'maxmemory', '1');
    expect(await writeTo(store, stepOf(SHARD_A, 5, 6, { c: '3' }))).toMatchObject([
      { kind: 'failed', message: expect.stringContaining('OOM') as unknown },
    ]);
    expect(await getFrom(store, SHARD_A, 'a', 'c')).toEqual(['1', undefined]);
    await made.command('CONFIG', 'SET', 'maxmemory', '0');
    expect(await writeTo(store, stepOf(SHARD_A, 5, 6, { c: '3' }))).toEqual([WRITTEN]);
    expect(made.lost).toEqual([]);
  });

  describe('open', () => {
    test('refuses a Redis that evicts', async () => {
      const own = await ownServer();
      const made = bench(own);
      await made.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
      await expect(made.make().open(SHARDS)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: 'expected maxmemory-policy noeviction, found allkeys-lru',
      });
    });

    test('says that nobody is there', async () => {
      const servers = { kind: 'single', host: '127.0.0.1', port: 1 } as const;
      await expect(bench().make({ servers, openMsMax: 300 }).open(SHARDS)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      });
    });

    test('by ACL: a user with a password, and one with a wrong one', async () => {
      const own = await ownServer();
      const made = bench(own);
      await made.command('ACL', 'SETUSER', 'node', 'on', '>secret', '~causeway:*', '+@all', '-@admin');
      const store = await opened(made.make({ username: 'node', password: 'secret' }));
      expect(await writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }))).toEqual([WRITTEN]);
      await expect(made.make({ username: 'node', password: 'wrong' }).open(SHARDS)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    });

    test('over TLS, with a certificate of its own', async () => {
      const pki = new Pki();
      const [ca, anotherCa] = [pki.ca(), pki.ca('another-ca')];
      const [ofServer, ofNode] = [pki.issue(ca), pki.issue(ca)];
      const own = await ownServer(
        ...[
          '--tls-port',
          '0',
          '--tls-cert-file',
          ofServer.cert,
          '--tls-key-file',
          ofServer.key,
          '--tls-ca-cert-file',
          ca.cert,
        ],
      );
      const admin = new Redis({ host: own.host, port: own.port });
      // Onto TLS while it runs: it needs a port of its own otherwise.
      await admin.call('CONFIG', 'SET', 'port', '0', 'tls-port', `${own.port}`);
      admin.disconnect();
      const made = bench(own);
      const tls = { ca: ca.cert, ...ofNode };
      const store = await opened(made.make({ tls }));
      expect(await writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }))).toEqual([WRITTEN]);
      await expect(made.make({ tls: { ...tls, ca: anotherCa.cert } }).open(SHARDS)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    });
  });
});
