// Micro-benchmark of the client's hot paths: the producer over a real loopback stream to a region that only counts, over a wire of 100 ms
// there and back with one stream and with several, and the stages of it alone. Run: npx tsx test/bench/client-bench.ts [--seconds S] [--value-bytes B] [--json]
//
// Method: one process holds client and server, so the CPU per op is that of both sides together; the region does nothing but
// answer in the next macrotask, as a group commit would. What it does not measure: a region's own work, TLS, a real network.

import { parseArgs } from 'node:util';
import { DEFAULT_API_LIMITS } from '../../src/api/limits.ts';
import { ApiServer } from '../../src/api/server.ts';
import { decodeStreamWrite } from '../../src/api/write-decode.ts';
import { connect, bytes } from '../../src/client/index.ts';
import { encodeOp } from '../../src/client/op-encode.ts';
import { AFTER_NOTHING, encodeWriteHeader } from '../../src/client/write-request.ts';
import { WIRE_LEN, WireWriter, wireTag } from '../../src/proto/wire.ts';
import { originId, regionId, shardId } from '../../src/record/ids.ts';
import type { Region, WriteResult } from '../../src/region/region.ts';
import { realSystem } from '../../src/system/real.ts';
import { TcpProxy } from '../../chaos/cluster/tcp-proxy.ts';
import { FakeRegion } from '../support/fake-region.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    'value-bytes': { type: 'string', default: '200' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const valueBytes = Number(values['value-bytes']);
const system = realSystem();
const value = Buffer.alloc(valueBytes, 'x');
const WIRE_MS = 50;
const KEYS = Array.from({ length: 10_000 }, (_, i) => `key-${i}`);

/** Answers every op in the next macrotask. */
function countingRegion(): Region {
  const base = new FakeRegion({ name: 'bench', system });
  const origin = originId(regionId('bench'), 1);
  const shards = Array.from({ length: 8 }, (_, i) => shardId(1, i));
  let seq = 0;
  return new Proxy(base, {
    get(target, name) {
      if (name !== 'write') {
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      }
      return (request: { ops: readonly unknown[] }, done: (results: WriteResult[]) => void): void => {
        const results = request.ops.map((_, i): WriteResult => {
          seq += 1;
          const shard = shards[i % shards.length] ?? shardId(1, 0);
          return { ok: true, shard, version: { origin, seq, stamp: seq }, duplicate: false };
        });
        system.timers.soon(() => done(results));
      };
    },
  });
}

function stage(name: string, ops: number, run: () => void): { name: string; microsPerOp: number } {
  // Long enough for the optimising compiler.
  for (let i = 0; i < 400; i++) run();
  const rounds = 400;
  const startMs = system.clock.monotonicMs();
  for (let i = 0; i < rounds; i++) run();
  return { name, microsPerOp: ((system.clock.monotonicMs() - startMs) * 1000) / (rounds * ops) };
}

function stages(): { name: string; microsPerOp: number }[] {
  const OPS = 500;
  const writer = new WireWriter(512 * 1024);
  const encode = (): void => {
    writer.reset();
    const begun = writer.begin(wireTag(1, WIRE_LEN), 4);
    for (let i = 0; i < OPS; i++) {
      const op = { collection: 'profiles', key: KEYS[i] ?? '', intent: { kind: 'put', value } } as const;
      encodeOp(writer, op, 0, i + 1);
    }
    encodeWriteHeader(writer, {
      namespace: 'app',
      collections: ['profiles'],
      durability: 'local',
      deadlineMs: 1000,
      after: AFTER_NOTHING,
      producer: 7,
      issuedAtMs: 1,
      wantVersions: false,
    });
    writer.end(begun, 4);
  };
  encode();
  const message = writer.copy();
  const context = {
    limits: DEFAULT_API_LIMITS,
    clusterId: '',
    admit: () => undefined,
    collectionError: () => undefined,
  };
  return [
    stage('client: encode an op', OPS, encode),
    stage('server: decode an op', OPS, () => void decodeStreamWrite(message, context)),
  ];
}

async function producing(
  maxBatchOps: number,
): Promise<{ maxBatchOps: number; opsPerSecond: number; cpuMicrosPerOp: number }> {
  const server = new ApiServer({ region: countingRegion(), listen: '127.0.0.1:0', system });
  const { port } = await server.start();
  const client = connect({ endpoints: [`127.0.0.1:${port}`], namespace: 'app' });
  const producer = client.producer({ maxBatchOps });
  const profiles = client.register('profiles', bytes);
  const run = async (ms: number): Promise<number> => {
    const endMs = system.clock.monotonicMs() + ms;
    let sent = 0;
    while (system.clock.monotonicMs() < endMs) {
      for (let i = 0; i < 100; i++) {
        const room = producer.send(profiles.op.set(KEYS[sent++ % KEYS.length] ?? '', value));
        if (room !== undefined) await room;
      }
    }
    await producer.flush();
    return sent;
  };
  await run(1000);
  const cpu = process.cpuUsage();
  const startMs = system.clock.monotonicMs();
  const sent = await run(seconds * 1000);
  const tookMs = system.clock.monotonicMs() - startMs;
  const { user, system: kernel } = process.cpuUsage(cpu);
  await producer.close();
  client.close();
  await server.drain();
  await server.stop();
  return { maxBatchOps, opsPerSecond: Math.round((sent * 1000) / tookMs), cpuMicrosPerOp: (user + kernel) / sent };
}

/** Upwards over a wire with WIRE_MS of delay each way: what one connection carries is its window a round trip. */
async function faraway(streams: number): Promise<{ streams: number; megabytesPerSecond: number }> {
  const server = new ApiServer({ region: countingRegion(), listen: '127.0.0.1:0', system });
  const { port } = await server.start();
  const wire = await TcpProxy.listen({ targetHost: '127.0.0.1', targetPort: port, delayMs: WIRE_MS });
  const client = connect({ endpoints: [wire.address], namespace: 'app' });
  const producer = client.producer({ streams });
  const profiles = client.register('profiles', bytes);
  const run = async (ms: number): Promise<number> => {
    const before = producer.stats.acknowledgedOps;
    const endMs = system.clock.monotonicMs() + ms;
    for (let sent = 0; system.clock.monotonicMs() < endMs; sent++) {
      await producer.send(profiles.op.set(KEYS[sent % KEYS.length] ?? '', value));
    }
    return producer.stats.acknowledgedOps - before;
  };
  await run(2000);
  const startMs = system.clock.monotonicMs();
  const acknowledged = await run(seconds * 1000);
  const tookMs = system.clock.monotonicMs() - startMs;
  await producer.close();
  client.close();
  await wire.close();
  await server.drain();
  await server.stop();
  return { streams, megabytesPerSecond: (acknowledged * valueBytes) / (tookMs * 1000) };
}

/** Events from a region that has them all in memory, to a consumer that only counts. */
async function following(): Promise<{ events: number; eventsPerSecond: number; cpuMicrosPerEvent: number }> {
  const EVENTS = 300_000;
  const region = new FakeRegion({ name: 'bench', system });
  for (let i = 0; i < EVENTS / 1000; i++) {
    const ops = Array.from({ length: 1000 }, (_, j) => ({
      namespace: 'app',
      collection: 'profiles',
      key: KEYS[(i * 1000 + j) % KEYS.length] ?? '',
      intent: { kind: 'put' as const, value },
    }));
    region.write({ ops, durability: { kind: 'local' }, deadlineMs: 1000 }, () => undefined);
  }
  const server = new ApiServer({ region, listen: '127.0.0.1:0', system });
  const { port } = await server.start();
  const client = connect({ endpoints: [`127.0.0.1:${port}`], namespace: 'app' });
  const run = async (): Promise<void> => {
    let events = 0;
    await new Promise<void>((resolve) => {
      client.subscribe({
        from: 'beginning',
        onEvents: (batch) => {
          events += batch.events.length;
          if (events >= EVENTS) resolve();
        },
      });
    });
  };
  await run();
  const cpu = process.cpuUsage();
  const startMs = system.clock.monotonicMs();
  await run();
  const tookMs = system.clock.monotonicMs() - startMs;
  const { user, system: kernel } = process.cpuUsage(cpu);
  client.close();
  await server.drain();
  await server.stop();
  return {
    events: EVENTS,
    eventsPerSecond: Math.round((EVENTS * 1000) / tookMs),
    cpuMicrosPerEvent: (user + kernel) / EVENTS,
  };
}

const result = {
  valueBytes,
  stages: stages(),
  feed: await following(),
  producer: [await producing(10), await producing(100), await producing(500)],
  faraway: [await faraway(1), await faraway(4), await faraway(16)],
};
if (values.json) {
  console.log(JSON.stringify(result));
} else {
  const { eventsPerSecond, cpuMicrosPerEvent } = result.feed;
  console.log(`feed: ${eventsPerSecond} events/s, ${cpuMicrosPerEvent.toFixed(2)} µs CPU an event, both sides`);
  for (const { name, microsPerOp } of result.stages) console.log(`${name.padEnd(28)} ${microsPerOp.toFixed(2)} µs`);
  for (const { maxBatchOps, opsPerSecond, cpuMicrosPerOp } of result.producer) {
    console.log(
      `producer, batches of ${maxBatchOps}: ${opsPerSecond} ops/s, ${cpuMicrosPerOp.toFixed(2)} µs CPU an op, both sides`,
    );
  }
  for (const { streams, megabytesPerSecond } of result.faraway) {
    console.log(
      `producer, ${2 * WIRE_MS} ms there and back, streams: ${streams}: ${megabytesPerSecond.toFixed(2)} MB/s of values`,
    );
  }
}
