// What a real NATS server does to the JetStream log: other owners, lost acknowledgements, broken connections, and operators who delete things.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, headers, nkeys } from 'nats';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { TcpProxy } from '../../chaos/cluster/tcp-proxy.ts';
import { startNats, startNatsCluster } from '../../scripts/servers.mjs';
import type { JetStreamLog } from '../../src/log/jetstream.ts';
import type { AppendOutcome, Log } from '../../src/log/log.ts';
import { AppendQueue, type AppendFailure } from '../../src/region/append-queue.ts';
import { realSystem } from '../../src/system/real.ts';
import {
  appendTo,
  batchEntry,
  contents,
  DURABLE,
  entry,
  originOf,
  readAll,
  readFrom,
  refreshed,
  SHARD_A,
  SHARD_B,
  SHARDS,
} from '../contract/log.ts';
import { Pki } from '../support/pki.ts';
import { natsFound, sharedServer } from '../support/servers.ts';
import { jetStreamBench, type JetStreamBench } from './jetstream-support.ts';
import { credsFor } from './nats-credentials.ts';

vi.setConfig({ testTimeout: 60_000 });
if (typeof natsFound === 'string') console.warn(`the tests of the JetStream log are skipped: ${natsFound}`);

const PATIENCE = { timeout: 30_000, interval: 20 };

describe.skipIf(typeof natsFound === 'string')('the JetStream log', () => {
  const server = sharedServer(natsFound, () => startNats());

  function bench(): JetStreamBench {
    const made = jetStreamBench(server());
    onTestFinished(() => made.cleanup());
    return made;
  }

  async function opened(log: JetStreamLog): Promise<JetStreamLog> {
    await log.open(SHARDS);
    return log;
  }

  /** Between the log and the server, to be cut. */
  async function proxied(): Promise<{ proxy: TcpProxy; nats: { servers: string[]; name: string } }> {
    const proxy = await TcpProxy.listen({ targetHost: server().host, targetPort: server().port });
    onTestFinished(() => proxy.close());
    return { proxy, nats: { servers: [`nats://${proxy.address}`], name: 'behind a proxy' } };
  }

  interface Queued {
    readonly queue: AppendQueue;
    readonly failures: AppendFailure[];
    readonly durable: () => number;
  }

  function queueOn(log: Log): Queued {
    let durable = 0;
    const failures: AppendFailure[] = [];
    const queue = new AppendQueue(log, SHARD_A, realSystem().timers, {
      durable: (offset) => (durable = offset),
      failed: (failure) => failures.push(failure),
    });
    onTestFinished(() => queue.close());
    return { queue, failures, durable: () => durable };
  }

  describe('the fence', () => {
    test.each([3, 200])('who takes over learns of %i messages of before, wherever they are', async (count) => {
      const { make } = bench();
      const [former, successor] = [await opened(make()), await opened(make())];
      for (let i = 1; i <= count; i++) {
        const what = i === count ? entry('lease', 'last') : batchEntry(SHARD_A, originOf('eu-west', 7), i, 1);
        expect(await appendTo(former, SHARD_A, i, what)).toEqual(DURABLE);
      }
      await refreshed(successor, SHARD_A);
      expect(successor.tail(SHARD_A)).toBe(count);
      expect(successor.find(SHARD_A, originOf('eu-west', 7), count - 1)).toBeLessThan(count);
      expect(await readAll(successor, SHARD_A)).toHaveLength(count);
      expect(await appendTo(successor, SHARD_A, count + 1, entry('lease', 'successor'))).toEqual(DURABLE);
      expect(contents(await readAll(successor, SHARD_A, count))).toEqual([
        `${count} lease last`,
        `${count + 1} lease successor`,
      ]);
      expect(await appendTo(former, SHARD_A, count + 1, entry('lease', 'former'))).toMatchObject({ kind: 'fenced' });
    });

    test('what another node appends is followed in stretches, without being asked', async () => {
      const { make } = bench();
      const [owner, other] = [await opened(make()), await opened(make({ followMessages: 4 }))];
      for (let i = 1; i <= 3; i++) await appendTo(owner, SHARD_A, i, entry('lease', `${i}`));
      await refreshed(other, SHARD_B);
      expect(other.tail(SHARD_A)).toBe(0);
      await appendTo(owner, SHARD_A, 4, entry('lease', '4'));
      await vi.waitFor(() => expect(other.tail(SHARD_A)).toBe(4), PATIENCE);
    });

    test('an owner that was deposed is refused, and reads what its successor wrote', async () => {
      const { make } = bench();
      const [deposed, successor] = [await opened(make()), await opened(make())];
      await appendTo(deposed, SHARD_A, 1, entry('lease', 'one'));
      // It has not heard of the first entry either: its first try tells.
      expect(await appendTo(successor, SHARD_A, 1, entry('lease', 'x'))).toEqual({ kind: 'fenced', tail: 1 });
      expect(await appendTo(successor, SHARD_A, 2, entry('lease', 'two'), entry('barrier', ''))).toEqual(DURABLE);

      const outcomes = await Promise.all([
        appendTo(deposed, SHARD_A, 2, entry('lease', 'late')),
        appendTo(deposed, SHARD_A, 3, entry('lease', 'later')),
      ]);
      expect(outcomes).toEqual([
        { kind: 'fenced', tail: 3 },
        { kind: 'fenced', tail: 3 },
      ]);
      expect(contents(await readAll(deposed, SHARD_A))).toEqual(['1 lease one', '2 lease two', '3 barrier ']);
      expect(await appendTo(deposed, SHARD_A, 4, entry('lease', 'knows'))).toEqual(DURABLE);
    });

    test('I6: of what was appended behind a lost message nothing takes a place behind another owner', async () => {
      const made = bench();
      const { proxy, nats } = await proxied();
      const [deposed, successor] = [await opened(made.make({ nats, publishMsMax: 300 })), await opened(made.make())];
      proxy.hold('there');
      const lost = [1, 2, 3].map((at) => appendTo(deposed, SHARD_A, at, entry('lease', `deposed ${at}`)));
      expect(await appendTo(successor, SHARD_A, 1, entry('lease', 'successor 1'))).toEqual(DURABLE);
      expect((await Promise.all(lost))[0]).toEqual({ kind: 'unknown' });
      // What was held up arrives now, and finds its place taken.
      proxy.heal();
      expect(await appendTo(successor, SHARD_A, 2, entry('lease', 'successor 2'))).toEqual(DURABLE);
      await vi.waitFor(
        async () =>
          expect(await appendTo(deposed, SHARD_A, 1, entry('lease', 'deposed 1'))).toEqual({ kind: 'fenced', tail: 2 }),
        PATIENCE,
      );
      expect(contents(await readAll(successor, SHARD_A))).toEqual(['1 lease successor 1', '2 lease successor 2']);
    });

    test('appends of one breath are one message', async () => {
      const { make, api, stream } = bench();
      const log = await opened(make());
      const outcomes = Array.from({ length: 500 }, (_, i) => appendTo(log, SHARD_A, i + 1, entry('lease', `${i}`)));
      expect(new Set((await Promise.all(outcomes)).map(({ kind }) => kind))).toEqual(new Set(['durable']));
      const { state } = await api<{ state: { messages: number } }>(`STREAM.INFO.${stream}`);
      expect(state.messages).toBe(1);
      expect(await readAll(await opened(make()), SHARD_A)).toHaveLength(500);
    });
  });

  describe('an outcome that nobody knows', () => {
    test('a lost acknowledgement is `unknown`; the same bytes again find themselves stored', async () => {
      const { proxy, nats } = await proxied();
      const { make } = bench();
      const log = await opened(make({ nats, publishMsMax: 300 }));
      const { queue, failures, durable } = queueOn(log);
      proxy.hold('back');
      queue.append(1, [entry('lease', 'once'), entry('barrier', 'b')]);
      queue.append(3, [entry('lease', 'behind')]);
      const witness = await opened(make());
      await vi.waitFor(async () => {
        await appendTo(witness, SHARD_A, 9, entry('lease', 'looks'));
        expect(witness.tail(SHARD_A)).toBeGreaterThanOrEqual(2);
      }, PATIENCE);
      expect(durable()).toBe(0);
      proxy.heal();
      await vi.waitFor(() => expect(durable()).toBe(3), PATIENCE);
      expect(failures).toEqual([]);
      expect(contents(await readAll(log, SHARD_A))).toEqual(['1 lease once', '2 barrier b', '3 lease behind']);
    });

    test('I1, I6: a connection that breaks again and again: every entry once, in order', async () => {
      const { proxy, nats } = await proxied();
      const { make } = bench();
      const log = await opened(make({ nats }));
      const { queue, failures, durable } = queueOn(log);
      const count = 2000;
      let appended = 0;
      while (appended < count) {
        for (let i = 0; i < 100; i++) queue.append(++appended, [entry('lease', `entry ${appended}`)]);
        // In the middle of whatever is under way by then.
        if (appended % 400 === 0) proxy.breakAll();
        const reached = appended - 300;
        await vi.waitFor(() => expect(durable()).toBeGreaterThan(reached), PATIENCE);
      }
      await vi.waitFor(() => expect(durable()).toBe(count), PATIENCE);
      expect(failures).toEqual([]);
      const expected = Array.from({ length: count }, (_, i) => `${i + 1} lease entry ${i + 1}`);
      expect(contents(await readAll(log, SHARD_A))).toEqual(expected);
      expect(contents(await readAll(await opened(make()), SHARD_A))).toEqual(expected);
    });

    test('I1: a server that is killed and started again has what it acknowledged', async () => {
      const own = await startNats();
      onTestFinished(() => own.stop());
      const made = jetStreamBench(own);
      const log = await opened(made.make());
      const { queue, failures, durable } = queueOn(log);
      for (let i = 1; i <= 200; i++) queue.append(i, [entry('lease', `entry ${i}`)]);
      await vi.waitFor(() => expect(durable()).toBeGreaterThan(0), PATIENCE);
      for (let i = 201; i <= 400; i++) queue.append(i, [entry('lease', `entry ${i}`)]);
      await own.kill();
      await own.restart();
      await vi.waitFor(() => expect(durable()).toBe(400), PATIENCE);
      expect(failures).toEqual([]);
      expect(contents(await readAll(log, SHARD_A))).toEqual(
        Array.from({ length: 400 }, (_, i) => `${i + 1} lease entry ${i + 1}`),
      );
      await made.cleanup();
    });
  });

  test('I1: three replicas: the one that leads is killed, and nothing is lost or written twice', async () => {
    const cluster = await startNatsCluster(3, { syncInterval: '2m' });
    onTestFinished(async () => {
      for (const each of cluster) await each.stop();
    });
    const made = jetStreamBench(cluster[0]!);
    const nats = { servers: cluster.map(({ url }) => url), name: 'test' };
    const log = await opened(
      // On a machine with other work three servers may need more than half a minute until they know each other.
      made.make({
        nats,
        replicas: 3,
        monitors: cluster.map(({ monitor }) => monitor),
        patienceMs: 120_000,
        openMsMax: 120_000,
      }),
    );
    expect(log.promise).toMatchObject({ durable: true, detail: expect.stringContaining('3 replicas') as unknown });
    const { queue, failures, durable } = queueOn(log);
    const { cluster: placed } = await made.api<{ cluster: { leader: string } }>(`STREAM.INFO.${made.stream}`);
    const leader = cluster[Number(placed.leader.slice(1)) - 1]!;
    let appended = 0;
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 20; i++) queue.append(++appended, [entry('lease', `entry ${appended}`)]);
      if (round === 5) await leader.kill();
      // One round behind what is durable: until the others have chosen a leader, that is all there is.
      if (round !== 5)
        await vi.waitFor(() => expect(durable() + failures.length).toBeGreaterThan(appended - 40), PATIENCE);
    }
    await vi.waitFor(() => expect(durable()).toBe(appended), PATIENCE);
    expect(failures).toEqual([]);
    await leader.restart();
    expect(contents(await readAll(log, SHARD_A))).toEqual(
      Array.from({ length: appended }, (_, i) => `${i + 1} lease entry ${i + 1}`),
    );
    await log.close();
  }, 180_000);

  describe('servers that do not answer', () => {
    test('the log is read-only after a while, says why, refuses, and is ready again by itself', async () => {
      const { proxy, nats } = await proxied();
      const log = await opened(bench().make({ nats }));
      const states: string[] = [];
      log.onState(({ kind }) => states.push(kind));
      await appendTo(log, SHARD_A, 1, entry('lease', 'before'));
      proxy.cut('reset');
      await vi.waitFor(() => expect(log.state().kind).toBe('read-only'), PATIENCE);
      expect(log.state()).toMatchObject({ reason: expect.stringContaining('no connection to NATS') as unknown });
      expect(await appendTo(log, SHARD_A, 2, entry('lease', 'during'))).toMatchObject({
        kind: 'refused',
        reason: 'read-only',
      });
      proxy.heal();
      await vi.waitFor(() => expect(log.state().kind).toBe('ready'), PATIENCE);
      expect(await appendTo(log, SHARD_A, 2, entry('lease', 'after'))).toEqual(DURABLE);
      expect(states).toEqual(['read-only', 'ready']);
    });

    test('a short break refuses nobody: what was appended during it waits', async () => {
      const { proxy, nats } = await proxied();
      const log = await opened(bench().make({ nats }));
      await appendTo(log, SHARD_A, 1, entry('lease', 'before'));
      proxy.breakAll();
      let outcome: AppendOutcome = { kind: 'unknown' };
      await vi.waitFor(async () => {
        // Until the break is noticed, it is `unknown`, as it must be.
        outcome = await appendTo(log, SHARD_A, 2, entry('lease', 'during'));
        expect(outcome).toEqual(DURABLE);
      }, PATIENCE);
      expect(log.state()).toEqual({ kind: 'ready' });
    });

    test('a server that stands still: outcomes are unknown, then refused; nothing is written twice', async () => {
      const own = await startNats();
      onTestFinished(() => own.stop());
      const made = jetStreamBench(own);
      const log = await opened(made.make({ publishMsMax: 500 }));
      await appendTo(log, SHARD_A, 1, entry('lease', 'before'));
      await own.pause();
      expect(await appendTo(log, SHARD_A, 2, entry('lease', 'two'))).toEqual({ kind: 'unknown' });
      await vi.waitFor(() => expect(log.state().kind).toBe('read-only'), PATIENCE);
      own.resume();
      await vi.waitFor(() => expect(log.state().kind).toBe('ready'), PATIENCE);
      const again = await appendTo(log, SHARD_A, 2, entry('lease', 'two'));
      if (again.kind !== 'durable') expect(again).toEqual({ kind: 'fenced', tail: 2 });
      expect(contents(await readAll(log, SHARD_A))).toEqual(['1 lease before', '2 lease two']);
      await made.cleanup();
    });

    test('nobody there: open says so', async () => {
      const { proxy, nats } = await proxied();
      proxy.cut('reset');
      await expect(bench().make({ nats, openMsMax: 0 }).open(SHARDS)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    });

    test('a full stream is read-only until it has room again', async () => {
      const { make, api, stream } = bench();
      const bytesMax = 1024 * 1024;
      const log = await opened(make({ streamBytesMax: bytesMax }));
      let at = 1;
      let outcome: AppendOutcome = DURABLE;
      for (; outcome.kind === 'durable'; at++) {
        outcome = await appendTo(log, SHARD_A, at, entry('lease', Buffer.alloc(200_000)));
      }
      expect(outcome).toMatchObject({ kind: 'refused', reason: 'read-only' });
      expect(at).toBeGreaterThan(3);
      expect(log.state()).toMatchObject({
        kind: 'read-only',
        reason: expect.stringContaining('maximum bytes exceeded') as unknown,
      });
      const { config } = await api<{ config: object }>(`STREAM.INFO.${stream}`);
      await api(`STREAM.UPDATE.${stream}`, { ...config, max_bytes: 4 * bytesMax });
      await vi.waitFor(() => expect(log.state().kind).toBe('ready'), PATIENCE);
      expect(await appendTo(log, SHARD_A, log.tail(SHARD_A) + 1, entry('lease', 'room'))).toEqual(DURABLE);
    });
  });

  describe('I6: a stream that is not the one it was', () => {
    async function written(made: JetStreamBench, options = {}): Promise<JetStreamLog> {
      const log = await opened(made.make(options));
      for (const [i, shard] of SHARDS.entries()) {
        await appendTo(log, shard, 1, entry('lease', 'bound'), batchEntry(shard, originOf('eu-west', i), 1, 3));
        await appendTo(log, shard, 3, entry('lease', 'third'));
      }
      return log;
    }

    async function noticed(made: JetStreamBench, log: JetStreamLog, message: string): Promise<void> {
      await vi.waitFor(() => expect(log.state().kind).toBe('failed'), PATIENCE);
      expect(made.fatal.map((error) => error.message).join()).toContain(message);
      expect(await appendTo(log, SHARD_A, 4, entry('lease', 'x'))).toMatchObject({ kind: 'refused', reason: 'failed' });
    }

    function directory(): string {
      const path = mkdtempSync(join(tmpdir(), 'causeway-jetstream-'));
      onTestFinished(() => rmSync(path, { recursive: true, force: true }));
      return path;
    }

    test('deleted: the log fails, and the next start is unproven; it stays so until a lease', async () => {
      const made = bench();
      const own = directory();
      const log = await written(made, { directory: own });
      await log.close();
      const second = await opened(made.make({ directory: own }));
      await made.api(`STREAM.DELETE.${made.stream}`);
      await noticed(made, second, 'is gone');
      await second.close();

      const recovered = await made.make({ directory: own }).open(SHARDS);
      expect(recovered).toMatchObject({ state: 'damaged', unproven: [SHARD_A] });
      expect(recovered.findings.join()).toContain('deleted and made again');
      const third = made.make({ directory: own });
      expect(await third.open(SHARDS)).toMatchObject({ state: 'damaged', unproven: [SHARD_A] });
      expect(third.identity).not.toBe(log.identity);
      expect(await appendTo(third, SHARD_A, 1, entry('lease', 'new bound'))).toEqual(DURABLE);
      await third.close();
      expect(await made.make({ directory: own }).open(SHARDS)).toMatchObject({ state: 'whole', findings: [] });
    });

    test('made again behind our back, as long as before: nothing of ours lands in it', async () => {
      const made = bench();
      const log = await written(made);
      const { config } = await made.api<{ config: Record<string, unknown> }>(`STREAM.INFO.${made.stream}`);
      await made.api(`STREAM.DELETE.${made.stream}`);
      const other = { ...config, subjects: ['elsewhere'], metadata: { 'causeway-incarnation': '0000000000aa' } };
      await made.api(`STREAM.CREATE.${made.stream}`, other);
      const connection = await connect({ servers: server().url });
      for (let i = 0; i < 2; i++) await connection.jetstream().publish('elsewhere', 'x');
      await connection.close();
      expect(await appendTo(log, SHARD_A, 4, entry('lease', 'x'))).not.toEqual(DURABLE);
      await noticed(made, log, 'deleted and made again');
      const { state } = await made.api<{ state: { messages: number } }>(`STREAM.INFO.${made.stream}`);
      expect(state.messages).toBe(2);
    });

    test('purged: the log fails, and the next start says what to do', async () => {
      const made = bench();
      const log = await written(made);
      await made.api(`STREAM.PURGE.${made.stream}`, { keep: 1 });
      await noticed(made, log, 'has lost messages: expected 1 to 2, found 1 from 2 on');
      await expect(made.make().open(SHARDS)).rejects.toMatchObject({ code: 'CORRUPT' });
    });

    test('emptied by a purge, with nothing left to look at', async () => {
      const made = bench();
      const log = await written(made);
      await made.api(`STREAM.PURGE.${made.stream}`);
      await noticed(made, log, 'has lost messages');
      await expect(made.make().open(SHARDS)).rejects.toMatchObject({ code: 'CORRUPT' });
    });

    test('gone back, as after the restore of a backup: noticed while it runs, and at the next start', async () => {
      const made = bench();
      const own = directory();
      const log = await written(made, { directory: own });
      const { config } = await made.api<{ config: object }>(`STREAM.INFO.${made.stream}`);
      const connection = await connect({ servers: server().url });
      const direct = await connection.request(`$JS.API.DIRECT.GET.${made.stream}`, JSON.stringify({ seq: 1 }));
      await log.close();
      const running = await opened(made.make({ directory: own }));
      // What a backup has: the same stream, the same incarnation, the first message only.
      await made.api(`STREAM.DELETE.${made.stream}`);
      await made.api(`STREAM.CREATE.${made.stream}`, config);
      const again = headers();
      again.set('Causeway', direct.headers!.get('Causeway'));
      await connection.jetstream().publish(direct.headers!.get('Nats-Subject'), direct.data, { headers: again });
      await connection.close();
      await noticed(made, running, 'went back');
      await running.close();

      const next = made.make({ directory: own });
      const recovery = await next.open(SHARDS);
      expect(recovery).toMatchObject({ state: 'damaged', unproven: [SHARD_A] });
      expect(recovery.findings.join()).toContain('went back: expected message 2');
      await appendTo(next, SHARD_A, 3, entry('lease', 'bound'));
      await next.close();
      expect(await made.make({ directory: own }).open(SHARDS)).toMatchObject({ state: 'whole' });
    });

    test("I6: another node's, whose messages were never read here: that it went back is noticed, and remembered", async () => {
      const made = bench();
      const own = directory();
      const other = await opened(made.make({ directory: own }));
      const owner = await written(made);
      const { config } = await made.api<{ config: object }>(`STREAM.INFO.${made.stream}`);
      // Its looks, once a second, tell it how much is there; it reads none of that.
      await vi.waitFor(() => {
        expect(readFileSync(join(own, 'jetstream.json'), 'utf8')).toMatch(
          new RegExp(`"${made.stream}",{[^}]*"lastSequence":2}`),
        );
      }, PATIENCE);
      expect(other.tail(SHARD_A)).toBe(0);
      await owner.close();
      await made.api(`STREAM.DELETE.${made.stream}`);
      await made.api(`STREAM.CREATE.${made.stream}`, config);
      await vi.waitFor(() => expect(other.state()).toMatchObject({ kind: 'failed' }), PATIENCE);
      expect(made.fatal.map(({ message }) => message).join()).toContain('went back: expected message 2');
      await other.close();
      const recovery = await made.make({ directory: own }).open(SHARDS);
      expect(recovery.findings.join()).toContain('went back');
    });

    test('a message that is not ours is not read as one', async () => {
      const made = bench();
      const log = await written(made);
      const { config } = await made.api<{ config: { subjects: string[] } }>(`STREAM.INFO.${made.stream}`);
      const connection = await connect({ servers: server().url });
      await connection.jetstream().publish(config.subjects[0]!, Buffer.from('not a frame'));
      await connection.close();
      await appendTo(log, SHARD_A, 4, entry('lease', 'x'));
      await noticed(made, log, 'it is no log message of Causeway');
      await expect(made.make().open(SHARDS)).rejects.toMatchObject({ code: 'CORRUPT' });
    });

    test('no message can be deleted one by one', async () => {
      const made = bench();
      await written(made);
      expect(await made.api(`STREAM.MSG.DELETE.${made.stream}`, { seq: 1 })).toMatchObject({
        error: { description: 'message delete not permitted' },
      });
    });
  });

  test('reads behind the cache go to the server, from any offset', async () => {
    const made = bench();
    const log = await opened(made.make());
    const count = 600;
    for (let i = 1; i <= count; i += 3) {
      const three = [i, i + 1, i + 2].map((each) => entry('lease', `${each}`.padEnd(100 + (each % 7) * 50, '.')));
      expect(await appendTo(log, SHARD_A, i, ...three)).toEqual(DURABLE);
    }
    // One that has nothing cached.
    const cold = await opened(made.make());
    for (const from of [1, 2, 95, 96, 97, 300, count - 1, count]) {
      for (const bytesMax of [0, 1000, 20_000]) {
        const [ours, theirs] = [
          await readFrom(cold, SHARD_A, from, bytesMax),
          await readFrom(log, SHARD_A, from, bytesMax),
        ];
        expect(ours).toEqual(theirs);
        expect(ours).toMatchObject({
          kind: 'entries',
          entries: expect.objectContaining({ 0: expect.anything() }) as unknown,
        });
      }
    }
    expect(contents(await readAll(cold, SHARD_A, 1, 5000))).toEqual(contents(await readAll(log, SHARD_A)));
  });

  describe('a stream that is not as it must be', () => {
    test.each([
      ['bound', { max_bytes: 1 << 20 }, 'expected max_bytes 67108864, found 1048576'],
      ['policy at the bound', { discard: 'old' }, 'expected discard "new", found "old"'],
      ['age', { max_age: 60e9, duplicate_window: 1e9 }, 'expected max_age 0, found 60000000000'],
      ['number of messages', { max_msgs: 10 }, 'expected max_msgs -1, found 10'],
    ])('a drifted %s is a clear error', async (_what, change, message) => {
      const made = bench();
      await (await opened(made.make())).close();
      const { config } = await made.api<{ config: object }>(`STREAM.INFO.${made.stream}`);
      expect(await made.api(`STREAM.UPDATE.${made.stream}`, { ...config, ...change })).not.toHaveProperty('error');
      await expect(made.make().open(SHARDS)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(message) as unknown,
      });
    });

    test('a stream of that name that is not ours', async () => {
      const made = bench();
      await made.api(`STREAM.CREATE.${made.stream}`, {
        name: made.stream,
        subjects: [`${made.stream}.x`],
        storage: 'memory',
      });
      await expect(made.make().open(SHARDS)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('was not made by Causeway') as unknown,
      });
      await made.api(`STREAM.DELETE.${made.stream}`);
    });

    test('more than JetStream has room for', async () => {
      await expect(
        bench()
          .make({ streamBytesMax: 2 ** 43 })
          .open(SHARDS),
      ).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('insufficient storage resources') as unknown,
      });
    });
  });

  describe('I1: what an acknowledgement means here', () => {
    test('is learnt from the servers and told', async () => {
      const log = await opened(bench().make());
      expect(log.promise).toEqual({
        engine: 'jetstream',
        durable: true,
        detail: expect.stringMatching(/^NATS 2\.\d+\.\d+, 1 replica, fsync before each ack/) as unknown,
      });
    });

    test('is not guessed: a log that must be durable does not open on a server that says nothing', async () => {
      const made = bench();
      await expect(made.make({ monitors: [] }).open(SHARDS)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('sync interval not known') as unknown,
      });
      const log = await opened(made.make({ monitors: [], requireDurable: false }));
      expect(log.promise.durable).toBe(false);
    });

    test('a server that syncs later is refused, or shown', async () => {
      const lax = await startNats({ syncInterval: '2m' });
      onTestFinished(() => lax.stop());
      const made = jetStreamBench(lax);
      await expect(made.make().open(SHARDS)).rejects.toMatchObject({
        message: expect.stringContaining('fsync every 120 s, after the ack') as unknown,
      });
      const log = await opened(made.make({ requireDurable: false }));
      expect(log.promise).toMatchObject({ durable: false });
      await made.cleanup();
    });

    test('a server that takes no large messages is refused', async () => {
      const small = await startNats({ maxPayload: '1MB' });
      onTestFinished(() => small.stop());
      const made = jetStreamBench(small);
      await expect(made.make().open(SHARDS)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('found max_payload 1048576') as unknown,
      });
      await (await opened(made.make({ entryBytesMax: 500_000 }))).close();
      await made.cleanup();
    });
  });

  describe('who may', () => {
    const tryAll = async (config: string, good: object, bad: object): Promise<void> => {
      const strict = await startNats({ config });
      onTestFinished(() => strict.stop());
      const made = jetStreamBench(strict);
      const nats = { servers: [strict.url], name: 'test' };
      const log = await opened(made.make({ nats: { ...nats, ...good } }));
      expect(await appendTo(log, SHARD_A, 1, entry('lease', 'in'))).toEqual(DURABLE);
      await log.close();
      await expect(made.make({ nats: { ...nats, ...bad } }).open(SHARDS)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    };
    const file = (content: string): string => {
      const path = join(new Pki().directory, 'secret');
      writeFileSync(path, content);
      return path;
    };

    test('a user with a password', async () => {
      const auth = (password: string): object => ({ auth: { kind: 'user', user: 'node', password } });
      await tryAll('authorization { users: [{ user: node, password: secret }] }', auth('secret'), auth('wrong'));
    });

    test('an nkey', async () => {
      const [known, stranger] = [nkeys.createUser(), nkeys.createUser()];
      const auth = (seed: Uint8Array): object => ({
        auth: { kind: 'nkey', seedFile: file(`${Buffer.from(seed).toString()}\n`) },
      });
      const config = `authorization { users: [{ nkey: ${known.getPublicKey()} }] }`;
      await tryAll(config, auth(known.getSeed()), auth(stranger.getSeed()));
    });

    test('a credentials file', async () => {
      const { config, good, stranger } = credsFor('node');
      const auth = (creds: string): object => ({ auth: { kind: 'creds', credsFile: file(creds) } });
      await tryAll(config, auth(good), auth(stranger));
    });

    test('a certificate, over TLS', async () => {
      const pki = new Pki();
      const [ca, anotherCa] = [pki.ca(), pki.ca('another-ca')];
      const [ofServer, ofNode, ofStranger] = [pki.issue(ca), pki.issue(ca), pki.issue(anotherCa)];
      const config = `tls { cert_file: "${ofServer.cert}", key_file: "${ofServer.key}", ca_file: "${ca.cert}", verify: true }`;
      const tls = (trusted: { cert: string }, own: { cert: string; key: string }): object => ({
        tls: { ca: trusted.cert, ...own },
      });
      await tryAll(config, tls(ca, ofNode), tls(anotherCa, ofNode));
      // In TLS 1.3 a server that does not want the client's certificate hangs up, and the client hears nothing else.
      const strict = await startNats({ config });
      onTestFinished(() => strict.stop());
      const nats = { servers: [strict.url], name: 'test', ...tls(ca, ofStranger) };
      await expect(jetStreamBench(strict).make({ nats, openMsMax: 0 }).open(SHARDS)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        hint: expect.stringContaining('certificate') as unknown,
      });
    });

    test('a file that is not there is named', async () => {
      const nats = { servers: [server().url], name: 'test', auth: { kind: 'creds', credsFile: '/nowhere' } as const };
      await expect(bench().make({ nats }).open(SHARDS)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('/nowhere') as unknown,
      });
    });
  });
});
