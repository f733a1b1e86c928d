// What is durable where: every region's log as the oracle reads it from the disks, and every op that was ever logged.
// Owns: the checks that a log can answer by itself, at the moment when an entry becomes durable.
//
// I2  per region and shard the log holds each origin's ops contiguously, each once.
// I4  a batch stands behind everything that it depends on; in its own region it depends on exactly what stands before it
//     (an open batch has one past).
// I5  an origin's stamps strictly increase, and an op's stamp is above the stamps of everything that it has seen.
// I6, I7  one dot has the same bytes in every region, for ever.
// I10 a shard's entries lie in its members' logs only.
// The log of a region that lost its disk or got an old copy back is rewound; what only it had is then excused, not forgotten.

import { decodeBatch, OrderedDeps, readBatchHeader, type BatchHeader } from '../../src/record/batch.ts';
import { decodeControl, type ControlOp } from '../../src/record/control.ts';
import {
  originRegion,
  type Dot,
  type OriginId,
  type RegionId,
  type ShardId,
  type Version,
} from '../../src/record/ids.ts';
import { decodeLease } from '../../src/record/lease.ts';
import { BatchPeeker } from '../../src/record/peek.ts';
import type { LogEntryKind } from '../../src/log/log.ts';
import type { Op } from '../../src/record/op.ts';
import { holds } from './violation.ts';

export interface LoggedOp {
  readonly version: Version;
  readonly batch: LoggedBatch;
  readonly op: Op;
  /** `namespace/collection/key`; undefined for a control op. */
  readonly name: string | undefined;
  readonly control: ControlOp | undefined;
  /** The workload's number of this op, from its trace field; undefined when it has none. */
  readonly clientOp: number | undefined;
}

export interface LoggedBatch {
  readonly header: BatchHeader;
  readonly deps: ReadonlyMap<OriginId, number>;
  readonly ops: readonly LoggedOp[];
  readonly bytes: Uint8Array;
  /** Origins that had been folded when it was prepared: left out of deps, and seen to their end. */
  readonly folded: ReadonlySet<OriginId>;
}

/** Had the author of `op` seen `dot`? */
export function hasSeen(op: LoggedOp, dot: Dot): boolean {
  const { version, batch } = op;
  if (dot.origin === version.origin) return dot.seq < version.seq;
  const dep = batch.deps.get(dot.origin);
  return dep === undefined ? batch.folded.has(dot.origin) : dep >= dot.seq;
}

export interface RegionEntry {
  readonly offset: number;
  readonly kind: LogEntryKind;
  readonly bytes: Uint8Array;
  readonly batch: LoggedBatch | undefined;
}

export function keyName(namespace: string, collection: string, key: string): string {
  return `${namespace}/${collection}/${key}`;
}

/** The workload's number of an op, in the trace field that travels with it. */
export function traceOfClientOp(id: number): Buffer {
  const trace = Buffer.alloc(25);
  trace.writeUInt32LE(0x43575359, 0);
  trace.writeUIntLE(id, 4, 6);
  return trace;
}

function clientOpOfTrace(trace: Uint8Array | undefined): number | undefined {
  if (trace === undefined || trace.length !== 25) return undefined;
  const bytes = Buffer.from(trace.buffer, trace.byteOffset, trace.byteLength);
  return bytes.readUInt32LE(0) === 0x43575359 ? bytes.readUIntLE(4, 6) : undefined;
}

/** Everything that one origin ever logged in one shard. */
export class OriginHistory {
  readonly batches: LoggedBatch[] = [];
  lastDeps: OrderedDeps = OrderedDeps.empty;
  #byFirstSeq = new Map<number, LoggedBatch>();
  readonly ops: LoggedOp[] = [];

  add(batch: LoggedBatch): void {
    this.batches.push(batch);
    this.#byFirstSeq.set(batch.header.firstSeq, batch);
    for (const op of batch.ops) this.ops.push(op);
  }

  startingAt(seq: number): LoggedBatch | undefined {
    return this.#byFirstSeq.get(seq);
  }

  get lastSeq(): number {
    return this.ops.length;
  }

  op(seq: number): LoggedOp | undefined {
    return this.ops[seq - 1];
  }

  /** The stamp of an op, 0 for none. */
  stampOf(seq: number): number {
    return this.ops[seq - 1]?.version.stamp ?? 0;
  }
}

/** One region's durable log of one shard. */
export class RegionLog {
  readonly region: RegionId;
  readonly shard: ShardId;
  readonly entries: RegionEntry[] = [];
  readonly vector = new Map<OriginId, number>();
  /** Stamp of the last op per origin. */
  readonly stamps = new Map<OriginId, number>();
  /** Ops of each key in log order. */
  readonly byKey = new Map<string, { readonly op: LoggedOp; readonly offset: number }[]>();
  /** Per origin, where its batches stand, in order. */
  readonly byOrigin = new Map<OriginId, { readonly offset: number; readonly batch: LoggedBatch }[]>();
  readonly closed = new Map<OriginId, number>();
  /** Replaced and not changed, because batches keep it. */
  folded: ReadonlySet<OriginId> = new Set();
  leaseBound = 0;
  /** Whose the newest lease is: the region's live origin. */
  leased: OriginId | undefined;

  constructor(region: RegionId, shard: ShardId) {
    this.region = region;
    this.shard = shard;
  }

  get tail(): number {
    return this.entries.length;
  }

  offsetOf(origin: OriginId, seq: number): number | undefined {
    const list = this.byOrigin.get(origin);
    if (list === undefined) return undefined;
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (list[middle]!.batch.header.lastSeq < seq) low = middle + 1;
      else high = middle;
    }
    return list[low]?.offset;
  }

  has(origin: OriginId, seq: number): boolean {
    return (this.vector.get(origin) ?? 0) >= seq;
  }
}

export interface HistoryOptions {
  isMember(region: RegionId, shard: ShardId): boolean;
}

export class History {
  readonly #options: HistoryOptions;
  readonly origins = new Map<ShardId, Map<OriginId, OriginHistory>>();
  readonly logs = new Map<RegionId, Map<ShardId, RegionLog>>();
  /** Every logged op of the workload by its number: more than one is an op that took effect twice. */
  readonly byClientOp = new Map<number, LoggedOp[]>();
  /** Called for each batch that no log had before. */
  onNewBatch: ((batch: LoggedBatch) => void) | undefined;
  /** Called for each entry that became durable in a region. */
  onDurable: ((log: RegionLog, entry: RegionEntry) => void) | undefined;
  batches = 0;

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  log(region: RegionId, shard: ShardId): RegionLog {
    let shards = this.logs.get(region);
    if (shards === undefined) this.logs.set(region, (shards = new Map()));
    let log = shards.get(shard);
    if (log === undefined) shards.set(shard, (log = new RegionLog(region, shard)));
    return log;
  }

  originsOf(shard: ShardId): Map<OriginId, OriginHistory> {
    let origins = this.origins.get(shard);
    if (origins === undefined) this.origins.set(shard, (origins = new Map()));
    return origins;
  }

  origin(shard: ShardId, id: OriginId): OriginHistory {
    const origins = this.originsOf(shard);
    let origin = origins.get(id);
    if (origin === undefined) origins.set(id, (origin = new OriginHistory()));
    return origin;
  }

  op(shard: ShardId, origin: OriginId, seq: number): LoggedOp | undefined {
    return this.origins.get(shard)?.get(origin)?.op(seq);
  }

  /** An entry became durable at `offset` of a region's log. */
  durable(region: RegionId, shard: ShardId, offset: number, kind: LogEntryKind, bytes: Uint8Array): void {
    const log = this.log(region, shard);
    holds(
      this.#options.isMember(region, shard),
      'I10',
      () => `shard ${shard} has an entry in the log of ${region}, which is no member`,
    );
    holds(offset === log.tail + 1, 'log', () => `${region} ${shard}: offset ${offset} after ${log.tail}`);
    let batch: LoggedBatch | undefined;
    if (kind === 'batch') {
      batch = this.#identify(region, shard, bytes);
      this.#append(log, offset, batch);
    } else if (kind === 'lease') {
      const lease = decodeLease(bytes);
      holds(originRegion(lease.origin) === region, 'I7', () => `${region} logged a lease of ${lease.origin}`);
      log.leaseBound = Math.max(log.leaseBound, lease.bound);
      log.leased = lease.origin;
    }
    const entry: RegionEntry = { offset, kind, bytes, batch };
    log.entries.push(entry);
    this.onDurable?.(log, entry);
  }

  readonly #peeker = new BatchPeeker();

  /** The same batch as another region has, or a new one that fits its origin's history. */
  #identify(region: RegionId, shard: ShardId, bytes: Uint8Array): LoggedBatch {
    // Most have come by before, from another region: equal bytes are the same batch, and its header was read and checked then. Whatever
    // differs goes the long way, which says what is wrong with it.
    const peek = this.#peeker.peek(bytes);
    const seen = peek && this.origins.get(shard)?.get(peek.origin)?.startingAt(peek.firstSeq);
    if (seen !== undefined && Buffer.compare(seen.bytes, bytes) === 0) return seen;
    const header = readBatchHeader(bytes);
    holds(header.shard === shard, 'I7', () => `${region}: a batch of shard ${header.shard} in the log of ${shard}`);
    const origin = this.origin(shard, header.origin);
    const known = origin.startingAt(header.firstSeq);
    if (known !== undefined) {
      holds(
        Buffer.compare(known.bytes, bytes) === 0,
        'I6',
        () => `op ${header.firstSeq} of ${header.origin} in ${shard} has other bytes in ${region} than elsewhere`,
      );
      return known;
    }
    holds(
      header.firstSeq === origin.lastSeq + 1,
      'I6',
      () =>
        `${region} ${shard}: batch ${header.firstSeq}..${header.lastSeq} of ${header.origin} is new, and the origin's history ends at ${origin.lastSeq}`,
    );
    holds(
      originRegion(header.origin) === region,
      'I7',
      () =>
        `${region} ${shard}: op ${header.firstSeq} of ${header.origin} is durable here and was never durable in its own region`,
    );
    const before = origin.batches.at(-1);
    if (before !== undefined) {
      holds(
        before.header.checksum.equals(header.previousChecksum),
        'I6',
        () => `${shard}: op ${header.firstSeq} of ${header.origin} does not name the checksum of the batch before it`,
      );
      holds(
        header.firstStamp > before.header.lastStamp,
        'I5',
        () =>
          `${shard}: op ${header.firstSeq} of ${header.origin} has stamp ${header.firstStamp}, not above ${before.header.lastStamp} of the op before it`,
      );
    }
    const decoded = decodeBatch(bytes, header, origin.lastDeps);
    origin.lastDeps = decoded.deps;
    const ops: LoggedOp[] = [];
    const batch: LoggedBatch = {
      header,
      deps: decoded.deps.toVector(),
      ops,
      bytes,
      folded: this.log(region, shard).folded,
    };
    for (const [i, op] of decoded.located.all().entries()) {
      const logged: LoggedOp = {
        version: { origin: header.origin, seq: header.firstSeq + i, stamp: header.firstStamp + i },
        batch,
        op,
        name: op.collection === undefined ? undefined : keyName(op.collection.namespace, op.collection.name, op.key),
        control: op.collection === undefined ? decodeControl(op.payload) : undefined,
        clientOp: clientOpOfTrace(op.trace),
      };
      ops.push(logged);
      if (logged.clientOp !== undefined) {
        const same = this.byClientOp.get(logged.clientOp);
        if (same === undefined) this.byClientOp.set(logged.clientOp, [logged]);
        else same.push(logged);
      }
    }
    for (const [dep, seq] of batch.deps) {
      const seen = this.origin(shard, dep).stampOf(seq);
      holds(
        header.firstStamp > seen,
        'I5',
        () =>
          `${shard}: op ${header.firstSeq} of ${header.origin} has stamp ${header.firstStamp} and has seen ${dep}:${seq} with stamp ${seen}`,
      );
    }
    origin.add(batch);
    this.batches++;
    this.onNewBatch?.(batch);
    return batch;
  }

  #append(log: RegionLog, offset: number, batch: LoggedBatch): void {
    const { header, deps } = batch;
    const { region, shard, vector } = log;
    const at = (): string =>
      `${region} ${shard} offset ${offset}: batch ${header.firstSeq}..${header.lastSeq} of ${header.origin}`;
    const have = vector.get(header.origin) ?? 0;
    holds(
      header.firstSeq === have + 1,
      'I2',
      () => `${at()} ${header.firstSeq <= have ? 'a second time' : 'with a gap before it'}; the log has ${have}`,
    );
    const end = log.closed.get(header.origin);
    holds(end === undefined || header.lastSeq <= end, 'close', () => `${at()} is beyond the origin's end ${end}`);
    for (const [origin, seq] of deps) {
      const there = vector.get(origin) ?? 0;
      holds(there >= seq, 'I4', () => `${at()} depends on ${origin}:${seq}, and the log has ${there}`);
    }
    if (originRegion(header.origin) === region && !this.#isRelayed(log, header.origin)) {
      for (const [origin, seq] of vector) {
        if (origin === header.origin || seq === 0 || log.folded.has(origin)) continue;
        holds(
          deps.get(origin) === seq,
          'I4',
          () =>
            `${at()} was prepared on ${origin}:${deps.get(origin) ?? 0}, and stands behind ${origin}:${seq} in its own region's log (an open batch has one past)`,
        );
      }
    }
    vector.set(header.origin, header.lastSeq);
    log.stamps.set(header.origin, header.lastStamp);
    let list = log.byOrigin.get(header.origin);
    if (list === undefined) log.byOrigin.set(header.origin, (list = []));
    list.push({ offset, batch });
    for (const op of batch.ops) {
      if (op.name !== undefined) {
        let keys = log.byKey.get(op.name);
        if (keys === undefined) log.byKey.set(op.name, (keys = []));
        keys.push({ op, offset });
      } else if (op.control?.kind === 'close') {
        log.closed.set(op.control.origin, op.control.endSeq);
        // More than the end here would be an op that some member will never have.
        const beyond = vector.get(op.control.origin) ?? 0;
        const { origin, endSeq } = op.control;
        holds(
          beyond <= endSeq,
          'close',
          () => `${region} ${shard}: ${origin} is closed at ${endSeq}, and ${beyond} of its ops are durable here`,
        );
      } else if (op.control?.kind === 'fold') {
        log.folded = new Set([...log.folded, op.control.origin]);
      }
    }
  }

  readonly #relayed = new Map<RegionLog, Set<OriginId>>();
  readonly #forgotten = new Map<RegionLog, Map<OriginId, Set<number>>>();

  /** A region that lost its log gets its own old origins' ops from peers: those were prepared on another past of this region. */
  #isRelayed(log: RegionLog, origin: OriginId): boolean {
    return this.#relayed.get(log)?.has(origin) === true;
  }

  #forget(log: RegionLog, { origin, seq }: Dot): void {
    let origins = this.#forgotten.get(log);
    if (origins === undefined) this.#forgotten.set(log, (origins = new Map()));
    let seqs = origins.get(origin);
    if (seqs === undefined) origins.set(origin, (seqs = new Set()));
    seqs.add(seq);
  }

  /** The region has had the op, and lost it with a disk. It may have it again by now. */
  hasForgotten(region: RegionId, shard: ShardId, { origin, seq }: Dot): boolean {
    return this.#forgotten.get(this.log(region, shard))?.get(origin)?.has(seq) === true;
  }

  /** The region's log holds `entries` now, from offset 1 on: its disk was lost, or an old copy was put back. What it has in common with the
   *  log as it was is kept; the rest has to become durable() again: a copy from before a loss holds other entries at the same offsets. */
  rewind(region: RegionId, shard: ShardId, entries: readonly Uint8Array[]): void {
    const log = this.log(region, shard);
    let relayed = this.#relayed.get(log);
    if (relayed === undefined) this.#relayed.set(log, (relayed = new Set()));
    for (const id of this.originsOf(shard).keys()) if (originRegion(id) === region) relayed.add(id);
    let common = 0;
    const most = Math.min(entries.length, log.tail);
    while (common < most && Buffer.compare(log.entries[common]!.bytes, entries[common]!) === 0) common++;
    if (common === log.tail) return;
    const lost = log.entries.splice(common);
    for (const { batch } of lost) for (const { version } of batch?.ops ?? []) this.#forget(log, version);
    const kept = log.entries.splice(0);
    log.vector.clear();
    log.stamps.clear();
    log.byKey.clear();
    log.byOrigin.clear();
    log.closed.clear();
    log.folded = new Set();
    for (const entry of kept) {
      if (entry.batch !== undefined) this.#append(log, entry.offset, entry.batch);
      log.entries.push(entry);
    }
  }
}
