// Micro-benchmark of what tracing asks of each op: while it is off, while it is on and an op is not recorded, and of one that is. Beside it, what is counted for the
// metrics, which is not switched off. Run: npx tsx test/bench/tracing-bench.ts [--rounds N] [--json]
//
// Off: every question that a write can meet in three regions with a subscriber each, asked of what a node without tracing has, for a batch of one op, a frame of
// one batch and a message of one op, the dearest there are. The same loop without the questions is taken off. The questions are those of write-stream.ts,
// shard-runner.ts, source.ts and feed-stream.ts, copied: a profile of a whole node cannot show a few nanoseconds.
// Exit code: 0 when the upper end of the 95 % interval for off is at most 100 ns an op, 7 when it is not.

import { parseArgs } from 'node:util';
import { encodeBatch, NO_CHECKSUM, OrderedDeps, readBatchHeader } from '../../src/record/batch.ts';
import { originId, regionId, shardId } from '../../src/record/ids.ts';
import { HotKeys } from '../../src/region/hot-keys.ts';
import { OriginTally } from '../../src/region/tallies.ts';
import { realSystem } from '../../src/system/real.ts';
import { contextBytes } from '../../src/tracing/context.ts';
import type { Span } from '../../src/tracing/span.ts';
import { visitTraced } from '../../src/tracing/traced-ops.ts';
import { Tracing } from '../../src/tracing/tracing.ts';
import { intervalOf, type Interval } from './paired.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '20' }, json: { type: 'boolean', default: false } },
});
const rounds = Number(values.rounds);
const LIMIT_NANOS = 100;
const BATCH_OPS = 64;
const REGIONS = 3;

const system = realSystem();
const shard = shardId(1, 0);
const origin = originId(regionId('eu'), 7);
const profiles = { namespace: 'bench', name: 'items', id: 1, type: 'register-lww' } as const;

/** CPU nanoseconds a time, over `rounds` of about 20 ms each after a warm-up. CPU, because others may have the machine's cores half the time. */
function nanosOf(run: (times: number) => void): number[] {
  let times = 1000;
  for (let micros = 0; micros < 20_000; times *= 2) micros = cpuMicrosOf(() => run(times));
  return Array.from({ length: rounds }, () => (cpuMicrosOf(() => run(times)) * 1000) / times);
}

function cpuMicrosOf(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system: kernel } = process.cpuUsage(before);
  return user + kernel;
}

/** What a node's places hold when tracing is off, or on. Of one shape in both cases. */
interface Places {
  readonly env: { readonly tracing: Tracing | undefined };
  readonly ports: { readonly tracing: Tracing | undefined };
  readonly traces: ReturnType<Tracing['shard']> | undefined;
}

/** Two, taken in turn, so that the compiler cannot know what is in them. */
const OFF: readonly Places[] = [1, 2].map(() => ({
  env: { tracing: undefined },
  ports: { tracing: undefined },
  traces: undefined,
}));

const op = { namespace: 'bench', collection: 'items', trace: undefined as Uint8Array | undefined };
const ops = [op];
const batch = batchOf(1, undefined);
let sum = 0;

function questions({ env, ports, traces }: Places): void {
  // Ingest, and its answer.
  const spans = env.tracing?.ingest(ops, 'x', {}, 0);
  spans?.answered([]);
  // Sealed; and durable, in every region.
  traces?.sealed(batch, 1);
  for (let region = 0; region < REGIONS; region++) {
    const durableMs = traces?.nowMs();
    if (durableMs !== undefined) traces!.landed({ batches: [], conflicts: [] }, durableMs);
    // A subscriber's event.
    if (op.trace !== undefined && env.tracing !== undefined) sum++;
  }
  for (let peer = 1; peer < REGIONS; peer++) {
    // A frame to the peer, and the batch taken there, after it had waited.
    const startMs = ports.tracing?.tracer.nowMs();
    if (startMs !== undefined) ports.tracing!.shipped('us', [batch], startMs);
    traces?.waits(batch);
    traces?.taken(undefined as never, batch, 1);
  }
  sum++;
}

function nothing(): void {
  sum++;
}

function batchOf(count: number, trace: Uint8Array | undefined): Buffer {
  return encodeBatch({
    shard,
    origin,
    firstSeq: 1,
    firstStamp: 1000,
    deps: OrderedDeps.empty,
    depsBefore: undefined,
    previousChecksum: NO_CHECKSUM,
    ops: Array.from({ length: count }, (_, i) => ({
      collection: profiles,
      key: `user-${i}`,
      payload: Buffer.alloc(200, 'x'),
      idempotency: { kind: 'producer', producer: 1, seq: i + 1 },
      trace: i === 0 ? trace : undefined,
    })),
  });
}

function tracing(ratio: number, kept?: Span[]): Tracing {
  const sinks = kept === undefined ? [] : [(span: Span) => void kept.push(span)];
  return new Tracing({ region: 'eu', system, ratio, perSecondMax: 1e9, ringSpans: 5000, sinks });
}

/** Each round of the one beside a round of the other, and the difference. */
function difference(of: () => void, beside: () => void): Interval {
  const looped = (run: () => void) => (times: number) => {
    for (let i = 0; i < times; i++) run();
  };
  const one = nanosOf(looped(of));
  const other = nanosOf(looped(beside));
  return intervalOf(one.map((nanos, i) => nanos - other[i]!));
}

const off = difference(() => questions(OFF[sum & 1]!), nothing);

const sampling = tracing(0.01);
const large = batchOf(BATCH_OPS, undefined);
const unrecordedOps = Array.from({ length: BATCH_OPS }, () => ({ namespace: 'bench', collection: 'items' }));
const none = tracing(0);
const asked = intervalOf(
  nanosOf((times) => {
    for (let i = 0; i < times; i += BATCH_OPS) none.ingest(unrecordedOps, 'x', {}, 0);
  }),
);
const looked = intervalOf(
  nanosOf((times) => {
    for (let i = 0; i < times; i += BATCH_OPS) visitTraced(large, () => void sum++);
  }),
);

// All that a recorded write makes in a region that takes it and ships it to two, and in two that take it from there.
const outcome = { ok: true as const, shard, version: { origin, seq: 1, stamp: 1000 }, duplicate: false };
const context = contextBytes(sampling.tracer.newTrace());
const here = sampling.shard(shard);
const there = sampling.shard(shard);
const recordedMicros = intervalOf(
  nanosOf((times) => {
    for (let i = 0; i < times; i++) {
      const traced = { namespace: 'bench', collection: 'items', trace: context as Uint8Array | undefined };
      const spans = sampling.ingest([traced], 'causeway.v1.Data/WriteStream', {}, system.clock.monotonicMs())!;
      const bytes = batchOf(1, traced.trace);
      const header = readBatchHeader(bytes, true);
      const landed = { batches: [{ header, offset: i + 1 }], conflicts: [] };
      here.sealed(bytes, i + 1);
      here.landed(landed, here.nowMs());
      spans.answered([outcome]);
      for (const peer of ['us', 'ap']) {
        sampling.shipped(peer, [bytes], sampling.tracer.nowMs());
        there.taken({ located: { collections: [] } } as never, bytes, i + 1);
        there.landed(landed, there.nowMs());
      }
    }
  }).map((nanos) => nanos / 1000),
);

// The metrics' own counting, per op, in batches and requests of 64.
const hot = new HotKeys(() => system.clock.monotonicMs());
const tally = new OriginTally();
const header = readBatchHeader(large, true);
const named = Array.from({ length: BATCH_OPS }, (_, i) => ({ namespace: 'b', collection: 'i', key: `user-${i}` }));
const counted = intervalOf(
  nanosOf((times) => {
    for (let i = 0; i < times; i += BATCH_OPS) {
      hot.written(named);
      for (let peer = 1; peer < REGIONS; peer++) tally.landed(header, system.clock.nowMs());
    }
  }),
);

const report = {
  rounds,
  limitNanos: LIMIT_NANOS,
  offNanosPerOp: off,
  onNotRecorded: { askedNanosPerOp: asked, lookedForInABatchNanosPerOp: looked },
  recordedMicrosPerWriteInThreeRegions: recordedMicros,
  metricsCountedNanosPerOp: counted,
};
const shown = ({ mean, low, high }: Interval): string =>
  `${mean.toFixed(1)} (95 %: ${low.toFixed(1)} to ${high.toFixed(1)})`;
process.stdout.write(
  values.json
    ? `${JSON.stringify(report, null, 2)}\n`
    : `off            ${shown(off)} ns an op, all its questions in three regions
not recorded   ${shown(asked)} ns an op where it comes in, ${shown(looked)} ns each time that it passes by (5 times)
recorded       ${shown(recordedMicros)} µs a write, its stages in three regions, without export
metrics        ${shown(counted)} ns an op for what is counted
`,
);
process.exitCode = off.high <= LIMIT_NANOS ? 0 : 7;
