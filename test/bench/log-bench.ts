// node --import tsx test/bench/log-bench.ts [--seconds N] [--dir PATH]: the embedded log and the LMDB store alone. Prints JSON.
// Method: batches of ops of 200 bytes are appended over 8 shards, keeping a number of appends in flight; latency is from
// append() to its outcome. Recovery is timed over the files just written, from the page cache. LMDB steps overwrite random keys.
// It does not measure: encoding and sequencing, the network, a disk that other programs use, files that are not in the page cache.

import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'hdr-histogram-js';
import type { LogEntry } from '../../src/log/log.ts';
import { SegmentLog } from '../../src/log/segment.ts';
import { encodeBatch, NO_CHECKSUM, OrderedDeps } from '../../src/record/batch.ts';
import { originId, regionId, shardId, type ShardId } from '../../src/record/ids.ts';
import type { CollectionRef } from '../../src/record/op.ts';
import { LmdbStore } from '../../src/store/lmdb.ts';
import { PackedRows } from '../../src/store/packed-rows.ts';
import type { StoreStep } from '../../src/store/store.ts';
import { realSystem } from '../../src/system/real.ts';

const OP_BYTES = 200;
const SHARDS: readonly ShardId[] = Array.from({ length: 8 }, (_, i) => shardId(1, i));
const ORIGIN = originId(regionId('eu-west'), 1);
const COLLECTION: CollectionRef = { namespace: 'bench', name: 'users', id: 1, type: 'register-lww' };
const system = realSystem();
const now = (): number => system.clock.monotonicMs();
const round = (value: number, digits = 0): number => Number(value.toFixed(digits));

const { values: args } = parseArgs({ options: { seconds: { type: 'string' }, dir: { type: 'string' } } });
const durationMs = Number(args.seconds ?? '3') * 1000;

function batch(ops: number): LogEntry {
  const bytes = encodeBatch({
    shard: SHARDS[0]!,
    origin: ORIGIN,
    firstSeq: 1,
    firstStamp: 1,
    deps: OrderedDeps.empty,
    depsBefore: undefined,
    previousChecksum: NO_CHECKSUM,
    ops: Array.from({ length: ops }, (_, i) => ({
      collection: COLLECTION,
      key: `key-${String(i).padStart(8, '0')}`,
      payload: Buffer.alloc(OP_BYTES - 17, i),
    })),
  });
  return { kind: 'batch', bytes };
}

function openLog(directory: string): { log: SegmentLog; opened: Promise<unknown> } {
  const onFatal = (error: Error): void => {
    throw error;
  };
  const log = new SegmentLog({ directory, clusterId: 'bench', system, onFatal });
  return { log, opened: log.open(SHARDS) };
}

async function benchLog(root: string, opsPerBatch: number, inFlight: number): Promise<object> {
  const directory = fs.mkdtempSync(join(root, 'log-'));
  try {
    const { log, opened } = openLog(directory);
    await opened;
    const entry = batch(opsPerBatch);
    const latencyUs = build({
      lowestDiscernibleValue: 1,
      highestTrackableValue: 60_000_000,
      numberOfSignificantValueDigits: 3,
    });
    const next = SHARDS.map(() => 1);
    let done = 0;
    let underWay = 0;
    const cpuBefore = process.cpuUsage();
    const start = now();
    await new Promise<void>((resolve) => {
      const one = (lane: number): void => {
        const shard = lane % SHARDS.length;
        const sent = now();
        underWay++;
        log.append(SHARDS[shard]!, next[shard]!++, [entry], (outcome) => {
          if (outcome.kind !== 'durable') throw new Error(`an append ended ${outcome.kind}`);
          latencyUs.recordValue(Math.max(1, Math.round((now() - sent) * 1000)));
          done++;
          underWay--;
          if (now() - start < durationMs) one(lane);
          else if (underWay === 0) resolve();
        });
      };
      for (let lane = 0; lane < inFlight; lane++) one(lane);
    });
    const seconds = (now() - start) / 1000;
    const cpu = process.cpuUsage(cpuBefore);
    const bytes = log.bytes();
    await log.close();

    const recoveryCpuBefore = process.cpuUsage();
    const recoveryStart = now();
    const again = openLog(directory);
    await again.opened;
    const recoverySeconds = (now() - recoveryStart) / 1000;
    const recoveryCpu = process.cpuUsage(recoveryCpuBefore);
    await again.log.close();
    return {
      opsPerBatch,
      entryBytes: entry.bytes.length,
      inFlight,
      opsPerSecond: round((done * opsPerBatch) / seconds),
      appendsPerSecond: round(done / seconds),
      megabytesPerSecond: round(bytes / 1e6 / seconds),
      cpuUsPerOp: round((cpu.user + cpu.system) / (done * opsPerBatch), 3),
      latencyMs: {
        p50: round(latencyUs.getValueAtPercentile(50) / 1000, 3),
        p99: round(latencyUs.getValueAtPercentile(99) / 1000, 3),
        max: round(latencyUs.maxValue / 1000, 1),
      },
      recovery: {
        megabytes: round(bytes / 1e6),
        records: done,
        seconds: round(recoverySeconds, 3),
        megabytesPerSecond: round(bytes / 1e6 / recoverySeconds),
        // What it would be with a core of its own.
        megabytesPerCpuSecond: round(bytes / (recoveryCpu.user + recoveryCpu.system)),
      },
    };
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

/** What a commit cannot be faster than here. */
function benchFdatasync(root: string): object {
  const path = join(root, 'fdatasync');
  const fd = fs.openSync(path, 'w');
  const lengths: number[] = [];
  const block = Buffer.alloc(256);
  const until = now() + durationMs / 2;
  for (let position = 0; now() < until; position += block.length) {
    const start = now();
    fs.writeSync(fd, block, 0, block.length, position);
    fs.fdatasyncSync(fd);
    lengths.push(now() - start);
  }
  fs.closeSync(fd);
  fs.rmSync(path);
  lengths.sort((a, b) => a - b);
  const at = (share: number): number => round(lengths[Math.floor(lengths.length * share)]!, 3);
  return { bytes: block.length, latencyMs: { p50: at(0.5), p99: at(0.99) } };
}

async function benchStore(root: string, keys: number, rowsPerStep: number): Promise<object> {
  const directory = fs.mkdtempSync(join(root, 'store-'));
  try {
    const store = new LmdbStore({ directory, logIdentity: 'bench', threadRowsMin: Infinity });
    await store.open(SHARDS);
    const value = Buffer.alloc(OP_BYTES, 7);
    const cursors = SHARDS.map(() => 0);
    const step = (shard: number, rowKeys: readonly string[]): StoreStep => ({
      shard: SHARDS[shard]!,
      fromCursor: cursors[shard]!,
      toCursor: ++cursors[shard]!,
      rows: PackedRows.of(rowKeys.map((rowKey) => [rowKey, value])),
    });
    const keyOf = (i: number): string => `bench\u0000users#1\u0000key-${String(i).padStart(8, '0')}`;
    for (let i = 0; i < keys; i += 1000) {
      store.write(
        [
          step(
            (i / 1000) % SHARDS.length,
            Array.from({ length: 1000 }, (_, k) => keyOf(i + k)),
          ),
        ],
        () => undefined,
      );
    }
    const random = (below: number): number => Math.floor(system.random.float() * below);
    let steps = 0;
    const cpuBefore = process.cpuUsage();
    const start = now();
    while (now() - start < durationMs) {
      // All rows of a shard's key range, as sequenced by one owner: each shard has the same keys here.
      const shard = steps++ % SHARDS.length;
      const rowKeys = [...new Set(Array.from({ length: rowsPerStep }, () => keyOf(random(keys))))];
      store.write([step(shard, rowKeys)], ([outcome]) => {
        if (outcome?.kind !== 'written') throw new Error(`a step ended ${outcome?.kind}`);
      });
    }
    const writeSeconds = (now() - start) / 1000;
    const cpu = process.cpuUsage(cpuBefore);
    const readStart = now();
    let reads = 0;
    while (now() - readStart < durationMs / 3) {
      store.getMany(
        SHARDS[reads % SHARDS.length]!,
        Array.from({ length: 100 }, () => keyOf(random(keys))),
        () => undefined,
      );
      reads += 100;
    }
    const readSeconds = (now() - readStart) / 1000;
    const checkpointStart = now();
    await store.checkpoint();
    const checkpointMs = round(now() - checkpointStart);
    const result = {
      keys,
      rowsPerStep,
      rowsPerSecond: round((steps * rowsPerStep) / writeSeconds),
      cpuUsPerRow: round((cpu.user + cpu.system) / (steps * rowsPerStep), 2),
      msPerStep: round((writeSeconds * 1000) / steps, 2),
      readsPerSecond: round(reads / readSeconds),
      checkpointMs,
      megabytes: round(store.bytes() / 1e6),
    };
    await store.close();
    return result;
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

const root = fs.mkdtempSync(join(args.dir ?? os.tmpdir(), 'causeway-bench-'));
try {
  const report = {
    node: process.version,
    cpus: os.cpus().length,
    loadBefore: round(os.loadavg()[0]!, 2),
    fdatasync: benchFdatasync(root),
    log: [
      await benchLog(root, 1, 1),
      await benchLog(root, 1, 64),
      await benchLog(root, 100, 1),
      await benchLog(root, 100, 16),
      await benchLog(root, 500, 16),
    ],
    store: [await benchStore(root, 200_000, 100), await benchStore(root, 200_000, 500)],
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
} finally {
  fs.rmSync(root, { recursive: true, force: true });
}
