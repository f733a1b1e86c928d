// node --import tsx test/bench/stage-bench.ts [--ops N] [--seconds N]: CPU µs an op of each stage of the hot path, one after the other
// in one process, with nothing else running. Prints JSON.
// Method: one region's engines take writes, another's take the batches that come out; 8 shards, 100 k keys of 200-byte values, all in the
// cache. Wall time of a synchronous loop is CPU time here, garbage collection on the main thread included, its helpers' not.
// It does not measure: the network, fdatasync, processes that share cores.

import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DEFAULT_API_LIMITS } from '../../src/api/limits.ts';
import { decodeStreamWrite } from '../../src/api/write-decode.ts';
import { Hlc } from '../../src/clock/hlc.ts';
import { mergeOf } from '../../src/merge/merge.ts';
import { decodeOps, readBatchHeader } from '../../src/record/batch.ts';
import { shardOf } from '../../src/record/hash.ts';
import { regionId, shardId, type ShardId } from '../../src/record/ids.ts';
import { type CollectionRef } from '../../src/record/op.ts';
import { StateCache } from '../../src/region/state-cache.ts';
import { ShardEngine, type EngineOp, type Landed } from '../../src/shard/engine.ts';
import { bringKeysNear } from '../../src/shard/key-slot.ts';
import { encodeMeta } from '../../src/shard/meta.ts';
import { LmdbStore } from '../../src/store/lmdb.ts';
import { WireWriter } from '../../src/proto/wire.ts';
import { keyName, makeLoad } from './load.ts';

const { values: args } = parseArgs({ options: { ops: { type: 'string' }, seconds: { type: 'string' } } });
const OPS_PER_BATCH = Number(args.ops ?? '64');
const SECONDS = Number(args.seconds ?? '8');
const KEYS = 100_000;
const SHARDS: readonly ShardId[] = Array.from({ length: 8 }, (_, i) => shardId(1, i));
const COLLECTION: CollectionRef = { namespace: 'bench', name: 'users', id: 1, type: 'register-lww' };
const [HERE, THERE] = [regionId('here'), regionId('there')];

class Side {
  readonly engines: ShardEngine[] = [];
  readonly caches: StateCache[] = [];
  readonly store: LmdbStore;
  readonly cursors: number[] = SHARDS.map(() => 0);

  constructor(directory: string, region: typeof HERE) {
    this.store = new LmdbStore({
      directory,
      logIdentity: 'bench/1',
      // What a step costs is measured here, and not on whose thread.
      threadRowsMin: Infinity,
    });
    const clock = new Hlc();
    for (const shard of SHARDS) {
      const settings = {
        region,
        shard,
        members: [HERE, THERE],
        maxSkewMs: 500,
        leaseMs: 1000,
        idempotencyEntriesMax: 131_072,
      };
      this.engines.push(new ShardEngine(settings, clock));
      this.caches.push(new StateCache(shard, this.store, 64 * 1024 * 1024));
    }
  }

  async open(): Promise<void> {
    await this.store.open(SHARDS);
    this.engines.forEach((engine, i) => {
      const append = engine.openIncarnation(i + 1, 0, Date.now());
      engine.landed(append.expectOffset);
      engine.seal(Date.now());
    });
  }

  land(i: number, offset: number): Landed {
    const landed = this.engines[i]!.landed(offset);
    this.caches[i]!.apply(landed.changes);
    return landed;
  }

  flush(i: number): number {
    const rows = this.caches[i]!.takeDirty();
    const changed = rows.length;
    rows.push('m', encodeMeta(this.engines[i]!.meta()));
    const fromCursor = this.cursors[i]!;
    this.cursors[i] = this.engines[i]!.offset;
    this.store.write([{ shard: SHARDS[i]!, fromCursor, toCursor: this.cursors[i]!, rows }], (outcomes) => {
      if (outcomes[0]!.kind !== 'written') throw new Error(JSON.stringify(outcomes[0]));
    });
    this.caches[i]!.written();
    return changed;
  }
}

const spent = new Map<string, { micros: number; ops: number }>();
function timed<T>(stage: string, ops: number, fn: () => T): T {
  const from = process.hrtime.bigint();
  const result = fn();
  const micros = Number(process.hrtime.bigint() - from) / 1000;
  const sum = spent.get(stage) ?? { micros: 0, ops: 0 };
  sum.micros += micros;
  sum.ops += ops;
  spent.set(stage, sum);
  return result;
}

const root = fs.mkdtempSync(join(os.tmpdir(), 'causeway-stage-'));
try {
  const here = new Side(join(root, 'here'), HERE);
  const there = new Side(join(root, 'there'), THERE);
  await here.open();
  await there.open();
  const load = makeLoad({ keys: KEYS, valueBytes: 200, seed: 1 });
  const context = {
    limits: { ...DEFAULT_API_LIMITS, opsPerRequestMax: 10_000 },
    clusterId: '',
    admit: () => undefined,
    collectionError: () => undefined,
  };
  let seq = 0;
  let fill = 0;
  const round = (names: () => string, flushing: boolean): void => {
    // As a producer sends them.
    const request = new WireWriter(1 << 20);
    encodeRequest(request, SHARDS.length * OPS_PER_BATCH, names);
    const bytes = request.copy();
    const count = SHARDS.length * OPS_PER_BATCH;
    const decoded = timed('api decode', count, () => decodeStreamWrite(bytes, context).write);
    if (decoded instanceof Error) throw decoded;
    const routed: EngineOp[][] = SHARDS.map(() => []);
    timed('route', count, () => {
      for (const op of decoded.ops) {
        const shard = shardOf(op.namespace, op.collection, op.key, 1, SHARDS.length);
        routed[SHARDS.indexOf(shard)]!.push({
          collection: COLLECTION,
          key: op.key,
          intent: op.intent,
          idempotency: op.idempotency,
          issuedAtMs: op.issuedAtMs,
          trace: op.trace,
        });
      }
    });
    const nowMs = Date.now();
    for (let i = 0; i < SHARDS.length; i++) {
      const ops = routed[i]!;
      if (ops.length === 0) continue;
      timed('admit', ops.length, () => {
        bringKeysNear(here.caches[i]!.registers, ops);
        for (const op of ops) {
          const result = here.engines[i]!.admit(op, here.caches[i]!, nowMs);
          if (result.kind !== 'sequenced') throw new Error(JSON.stringify(result));
        }
      });
      const append = timed('seal', ops.length, () => here.engines[i]!.seal(nowMs))!;
      const offset = append.expectOffset + append.entries.length - 1;
      timed('land own', ops.length, () => here.land(i, offset));
      const batch = append.entries.at(-1)!.bytes;
      const inspected = timed('inspect', ops.length, () => there.engines[i]!.inspect(batch, nowMs));
      if (inspected.kind !== 'ready') throw new Error(JSON.stringify(inspected));
      const taken = timed('take', ops.length, () => there.engines[i]!.take(inspected, there.caches[i]!));
      timed('land remote', ops.length, () => there.land(i, taken.expectOffset));
      timed('feed decode', ops.length, () => {
        for (const op of decodeOps(batch, readBatchHeader(batch, true))) mergeOf('register-lww').describe(op.payload);
      });
      timed('crc and copy', ops.length, () => Buffer.from(batch));
      if (flushing && fill++ % 64 === 0) {
        const rows = here.caches[i]!.dirtyCount;
        timed('store (a row)', rows, () => here.flush(i));
        there.flush(i);
      }
    }
  };
  function encodeRequest(into: WireWriter, count: number, names: () => string): void {
    const write = into.begin(10, 4);
    into.text(10, 'bench');
    into.text(18, 'users');
    for (let k = 0; k < count; k++) {
      seq++;
      const op = into.begin(26, 3);
      into.text(18, names());
      into.bytes(26, load.next(0).value);
      into.uint(112, seq);
      into.end(op, 3);
    }
    into.uint(64, 77);
    into.uint(72, Date.now());
    into.end(write, 4);
    into.uint(16, 1);
  }
  let at = 0;
  while (at < KEYS) round(() => keyName(at++ % KEYS), true);
  const warmUntil = Date.now() + 3000;
  const random = (): string => load.next(0).key;
  while (Date.now() < warmUntil) round(random, true);
  spent.clear();
  const until = Date.now() + SECONDS * 1000;
  while (Date.now() < until) round(random, true);
  const rows = [...spent].map(([stage, { micros, ops }]) => [stage, Number((micros / ops).toFixed(2))] as const);
  process.stdout.write(
    `${JSON.stringify({ opsPerBatch: OPS_PER_BATCH, microsPerOp: Object.fromEntries(rows) }, null, 2)}\n`,
  );
  await here.store.close();
  await there.store.close();
} finally {
  fs.rmSync(root, { recursive: true, force: true });
}
