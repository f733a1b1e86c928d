// A history read back, with the indexes that several checkers need.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { msOfStamp } from '../../src/clock/hlc.ts';
import { keyName, regionOf } from './names.ts';
import {
  HISTORY_FORMAT,
  type ConflictsRecord,
  type ConvergedRecord,
  type DigestRecord,
  type EffectRecord,
  type EndRecord,
  type FaultRecord,
  type FeedEndRecord,
  type FeedMoveRecord,
  type FeedRecord,
  type FinalRecord,
  type HistoryRecord,
  type LogEntry,
  type LogRecord,
  type ReadRecord,
  type RunRecord,
  type SampleRecord,
  type SilenceRecord,
  type TroubleRecord,
  type ArrivalRecord,
  type VersionRecord,
  type ViewRecord,
  type WriteRecord,
} from './records.ts';

/** One op with all its tries. */
export interface RecordedOp {
  readonly op: number;
  /** In the order of their ends. */
  readonly tries: readonly WriteRecord[];
  /** ok when some try was; maybe when some try may have been; else failed. */
  readonly outcome: 'ok' | 'failed' | 'maybe';
  /** Of the first try: what was asked for. */
  readonly first: WriteRecord;
  /** As acknowledged, when some answer told it. */
  readonly version: VersionRecord | undefined;
  /** Of that version; '' without one. */
  readonly shard: string;
}

/** Stamps this far beyond the guard were given by a clock that a fault had set wrong, and are not to be taken anywhere. */
const POISON_MS = 3_600_000;

export class Recording {
  readonly run: RunRecord;
  readonly end: EndRecord | undefined;
  readonly writes: readonly WriteRecord[];
  readonly reads: readonly ReadRecord[];
  /** All records of clients in the order of their ends, which for one client is that of its calls. */
  readonly calls: readonly (WriteRecord | ReadRecord)[];
  readonly ops: ReadonlyMap<number, RecordedOp>;
  readonly faults: readonly FaultRecord[];
  readonly effects: readonly EffectRecord[];
  readonly silences: readonly SilenceRecord[];
  readonly arrivals: readonly ArrivalRecord[];
  /** In the order in which they happened. */
  readonly feeds: readonly (FeedRecord | FeedMoveRecord | FeedEndRecord)[];
  readonly samples: readonly SampleRecord[];
  readonly converged: ConvergedRecord | undefined;
  readonly digests: readonly DigestRecord[];
  readonly conflicts: readonly ConflictsRecord[];
  readonly troubles: readonly TroubleRecord[];
  /** Region → shard → its log. */
  readonly logs: ReadonlyMap<string, ReadonlyMap<string, readonly LogEntry[]>>;
  #heldFrom: ReadonlyMap<string, number> | undefined;
  #heldOps: ReadonlySet<number> | undefined;
  #arrivedIn: Map<number, Set<string>> | undefined;
  /** Region → `collection/key` → what it reads as at the end. */
  readonly finals: ReadonlyMap<string, ReadonlyMap<string, ViewRecord>>;

  constructor(records: readonly HistoryRecord[]) {
    const of = <K extends HistoryRecord['kind']>(kind: K): Extract<HistoryRecord, { kind: K }>[] =>
      records.filter((record): record is Extract<HistoryRecord, { kind: K }> => record.kind === kind);
    const [run] = of('run');
    if (run === undefined) throw new Error('this is no history: it has no run record');
    if (run.format !== HISTORY_FORMAT) {
      throw new Error(`a history of format ${run.format}; these checkers read format ${HISTORY_FORMAT}`);
    }
    this.run = run;
    this.end = of('end')[0];
    this.writes = of('write');
    this.reads = of('read');
    this.calls = records.filter((record) => record.kind === 'write' || record.kind === 'read');
    this.ops = opsOf(this.writes);
    this.faults = of('fault');
    this.effects = of('effect');
    this.silences = of('silence');
    this.arrivals = of('arrival');
    this.feeds = records.filter(
      (record) => record.kind === 'feed' || record.kind === 'feed-move' || record.kind === 'feed-end',
    );
    this.samples = of('sample');
    this.converged = of('converged')[0];
    this.digests = of('digest');
    this.conflicts = of('conflicts');
    this.troubles = of('trouble');
    this.logs = logsOf(run.regions, of('log'));
    this.finals = finalsOf(run.regions, of('final'));
  }

  /** Throws when the file is no history. */
  static async load(file: string): Promise<Recording> {
    const records: HistoryRecord[] = [];
    for await (const line of createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Infinity })) {
      if (line === '') continue;
      try {
        records.push(JSON.parse(line) as HistoryRecord);
      } catch {
        throw new Error(`${file}:${records.length + 1} is not JSON`);
      }
    }
    return new Recording(records);
  }

  get regions(): readonly string[] {
    return this.run.regions;
  }

  /** Did the region lose its disk in this run? What nobody else had then is gone, and its log has a new order. */
  lostItsDisk(region: string): boolean {
    return this.faults.some(({ wipes }) => wipes.includes(region));
  }

  /**
   * `shard origin` → the first seq that is stamped so far ahead that no other region may take it. From there on the origin's stream stands
   * still everywhere else.
   */
  get heldFrom(): ReadonlyMap<string, number> {
    return (this.#heldFrom ??= this.#findHeld());
  }

  /** Regions whose feed has shown the op. */
  arrivedIn(op: number): ReadonlySet<string> {
    if (this.#arrivedIn === undefined) {
      this.#arrivedIn = new Map();
      for (const { region, ops } of this.arrivals) {
        for (const each of ops) this.#arrivedIn.set(each, (this.#arrivedIn.get(each) ?? new Set()).add(region));
      }
    }
    return this.#arrivedIn.get(op) ?? new Set();
  }

  /** Regions whose ops are not taken elsewhere any more, until they are cured. */
  get heldRegions(): ReadonlySet<string> {
    return new Set([...this.heldFrom.keys()].map((stream) => regionOf(stream.split(' ')[1]!)));
  }

  /**
   * Is the op, as acknowledged, in the part of its origin's stream that other regions hold back? Who was told that it is here, but in too few other regions, was told
   * no version: then it is where the logs have it.
   */
  isHeld({ op, version, shard }: RecordedOp): boolean {
    if (version === undefined) return (this.#heldOps ??= this.#findHeldOps()).has(op);
    return version.seq >= (this.heldFrom.get(`${shard} ${version.origin}`) ?? Infinity);
  }

  #findHeldOps(): Set<number> {
    const held = new Set<number>();
    for (const shards of this.logs.values()) {
      for (const [shard, entries] of shards) {
        for (const [origin, seq, , op] of entries) {
          if (seq >= (this.heldFrom.get(`${shard} ${origin}`) ?? Infinity)) held.add(op);
        }
      }
    }
    return held;
  }

  #findHeld(): Map<string, number> {
    const held = new Map<string, number>();
    const lastMs = this.run.startedAtMs + (this.end?.endMs ?? 0);
    for (const shards of this.logs.values()) {
      for (const [shard, entries] of shards) {
        for (const [origin, seq, stamp] of entries) {
          if (msOfStamp(stamp) <= lastMs + this.run.maxSkewMs + POISON_MS) continue;
          const name = `${shard} ${origin}`;
          held.set(name, Math.min(held.get(name) ?? Infinity, seq));
        }
      }
    }
    return held;
  }
}

function opsOf(writes: readonly WriteRecord[]): Map<number, RecordedOp> {
  const tries = new Map<number, WriteRecord[]>();
  for (const write of writes) {
    const some = tries.get(write.op);
    if (some === undefined) tries.set(write.op, [write]);
    else some.push(write);
  }
  const ops = new Map<number, RecordedOp>();
  for (const [op, all] of tries) {
    const acknowledged = all.find(({ outcome }) => outcome === 'ok');
    const outcome =
      acknowledged !== undefined ? 'ok' : all.some((each) => each.outcome === 'maybe') ? 'maybe' : 'failed';
    const answered = all.find((each) => each.outcome === 'ok' && each.version !== undefined);
    const { version, shard = '' } = answered ?? {};
    ops.set(op, { op, tries: all, outcome, first: all[0]!, version, shard });
  }
  return ops;
}

function logsOf(regions: readonly string[], records: readonly LogRecord[]): Map<string, Map<string, LogEntry[]>> {
  const logs = new Map(regions.map((region) => [region, new Map<string, LogEntry[]>()]));
  for (const { region, shard, entries } of records) {
    const shards = logs.get(region);
    if (shards === undefined) throw new Error(`a log of ${region}, which is no region of this run`);
    const before = shards.get(shard);
    if (before === undefined) shards.set(shard, [...entries]);
    else for (const entry of entries) before.push(entry);
  }
  return logs;
}

function finalsOf(regions: readonly string[], records: readonly FinalRecord[]): Map<string, Map<string, ViewRecord>> {
  const finals = new Map(regions.map((region) => [region, new Map<string, ViewRecord>()]));
  for (const { region, collection, views } of records) {
    for (const [key, view] of views) finals.get(region)?.set(keyName(collection, key), view);
  }
  return finals;
}
