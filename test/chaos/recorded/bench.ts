// Builds saved histories for the checkers' own tests: a good one by default, and whatever a test makes bad about it.
// Two regions, one shard. What is written in one region is in both logs, in the order of the writes, unless a test says otherwise.

import { stampOfMs } from '../../../src/clock/hlc.ts';
import { judge } from '../../../chaos/check/recorded/checks.ts';
import type { Verdict } from '../../../chaos/check/recorded/check.ts';
import { Recording } from '../../../chaos/history/recording.ts';
import {
  HISTORY_FORMAT,
  type CollectionName,
  type ConflictsRecord,
  type DigestRecord,
  type FaultRecord,
  type FeedEntry,
  type HistoryRecord,
  type Limits,
  type LogEntry,
  type VersionRecord,
  type ViewRecord,
  type WriteIntent,
  type WriteRecord,
} from '../../../chaos/history/records.ts';

export const EU = 'eu';
export const US = 'us';
const REGIONS = [EU, US] as const;
export const SHARD = '1/0';
const STARTED_AT_MS = Date.UTC(2026, 0, 1);
const CALL_MS = 10;

export type Asked = Partial<Omit<WriteRecord, 'kind' | 'op' | 'intent'>> & {
  /** Default eu. */
  readonly region?: string;
  /** The regions whose log has it, in this moment's order. Default: all. */
  readonly in?: readonly string[];
  /** The answer does not say which version it is. */
  readonly untold?: boolean;
};

export class Bench {
  readonly records: HistoryRecord[] = [];
  readonly logs = new Map<string, LogEntry[]>(REGIONS.map((region) => [region, []]));
  readonly finals = new Map<string, Map<string, ViewRecord>>(REGIONS.map((region) => [region, new Map()]));
  readonly digests = new Map<string, string>(REGIONS.map((region) => [region, 'same']));
  readonly conflicts = new Map<string, ConflictsRecord['entries'][number][]>(REGIONS.map((region) => [region, []]));
  convergedAfterMs: number | undefined = 100;
  isWhole = true;
  limits: Limits = { lagP99MsMax: 5000, convergeMsMax: 30_000 };
  readonly #seqs = new Map<string, number>();
  #ops = 0;
  nowMs = 0;

  /** The next version of a region. */
  version(region: string, atMs = this.nowMs): VersionRecord {
    const seq = (this.#seqs.get(region) ?? 0) + 1;
    this.#seqs.set(region, seq);
    return { origin: `${region}~1`, seq, stamp: stampOfMs(STARTED_AT_MS + atMs) };
  }

  /** A write; acknowledged and everywhere if `change` says nothing else. Its number. */
  write(collection: CollectionName, key: string, intent: WriteIntent, change: Asked = {}): number {
    const op = ++this.#ops;
    this.again(op, collection, key, intent, change);
    return op;
  }

  /** A further try of an op. */
  again(op: number, collection: CollectionName, key: string, intent: WriteIntent, change: Asked = {}): VersionRecord {
    const { region = EU, in: where = REGIONS, untold = false, version = this.version(region), ...over } = change;
    const startMs = this.nowMs;
    this.nowMs += CALL_MS;
    const outcome = over.outcome ?? 'ok';
    this.records.push({
      kind: 'write',
      op,
      client: 'anna',
      home: region,
      startMs,
      endMs: this.nowMs,
      outcome,
      collection,
      key,
      intent,
      ...(outcome === 'ok' && !untold ? { version, shard: SHARD } : {}),
      ...over,
    });
    if (outcome !== 'failed' || change.in !== undefined) for (const each of where) this.log(each, version, op);
    return version;
  }

  log(region: string, { origin, seq, stamp }: VersionRecord, op: number): void {
    this.logs.get(region)!.push([origin, seq, stamp, op]);
  }

  put(key: string, value: string, change: Asked = {}): number {
    return this.write('registers', key, { kind: 'put', value }, change);
  }

  read(
    session: string | undefined,
    collection: CollectionName,
    key: string,
    view: ViewRecord | undefined,
    region = EU,
  ): void {
    const startMs = this.nowMs;
    this.nowMs += CALL_MS;
    this.records.push({
      kind: 'read',
      client: session ?? 'anna',
      region,
      startMs,
      endMs: this.nowMs,
      outcome: 'ok',
      collection,
      key,
      ...(view === undefined ? {} : { view }),
      ...(session === undefined ? {} : { session }),
    });
  }

  /** What one region, or all, shows of a key at the end. */
  final(key: string, view: ViewRecord | undefined, regions: readonly string[] = REGIONS): void {
    for (const region of regions) {
      if (view === undefined) this.finals.get(region)!.delete(key);
      else this.finals.get(region)!.set(key, view);
    }
  }

  fault(change: Partial<FaultRecord>): void {
    const none = { hinders: [], stops: [], wipes: [] };
    this.records.push({ kind: 'fault', name: 'f', says: 'a fault', startMs: 0, endMs: 0, ...none, ...change });
  }

  arrival(region: string, atMs: number, ...ops: readonly number[]): void {
    this.records.push({ kind: 'arrival', region, atMs, ops });
  }

  feed(consumer: string, region: string, ...events: readonly FeedEntry[]): void {
    this.records.push({ kind: 'feed', consumer, region, atMs: this.nowMs, events });
  }

  move(consumer: string, region: string): void {
    this.records.push({ kind: 'feed-move', consumer, region, atMs: this.nowMs });
  }

  feedEnd(consumer: string, region: string, code?: string): void {
    this.records.push({
      kind: 'feed-end',
      consumer,
      region,
      atMs: this.nowMs,
      ...(code === undefined ? {} : { code }),
    });
  }

  recording(): Recording {
    const run = {
      kind: 'run',
      format: HISTORY_FORMAT,
      scenario: 'test',
      seed: 1,
      minutes: 1,
      regions: REGIONS,
      startedAtMs: STARTED_AT_MS,
      maxSkewMs: 2000,
      limits: this.limits,
    } as const;
    const end: HistoryRecord[] = [];
    const afterMs = this.convergedAfterMs;
    end.push({ kind: 'converged', fromMs: this.nowMs, ...(afterMs === undefined ? {} : { afterMs }) });
    for (const region of REGIONS) {
      end.push({ kind: 'log', region, shard: SHARD, entries: this.logs.get(region)! });
      for (const [name, view] of this.finals.get(region)!) {
        const [collection, key] = name.split('/') as [CollectionName, string];
        end.push({ kind: 'final', region, collection, views: [[key, view]] });
      }
      const vector = Object.fromEntries(this.logs.get(region)!.map(([origin, seq]) => [origin, seq]));
      const shards: DigestRecord['shards'] = [{ shard: SHARD, digest: this.digests.get(region)!, vector }];
      end.push({ kind: 'digest', region, shards });
      end.push({ kind: 'conflicts', region, dropped: 0, entries: this.conflicts.get(region)! });
    }
    if (this.isWhole) end.push({ kind: 'end', trafficFromMs: 0, trafficToMs: this.nowMs, endMs: this.nowMs });
    return new Recording([run, ...this.records, ...end]);
  }

  verdict(check: string): Verdict {
    const verdict = judge(this.recording()).find((each) => each.check === check);
    if (verdict === undefined) throw new Error(`there is no check ${check}`);
    return verdict;
  }

  /** What one check finds, or all of them, as text. */
  findings(check?: string): string {
    if (check !== undefined) return this.verdict(check).findings.join('\n');
    return judge(this.recording())
      .flatMap(({ check: name, findings }) => findings.map((finding) => `${name}: ${finding}`))
      .join('\n');
  }
}

export function register(value: string, version: VersionRecord): ViewRecord {
  return { type: 'register-lww', value, version };
}

export function count(value: number): ViewRecord {
  return { type: 'counter-pn', value: `${value}` };
}

export function setOf(...elements: readonly string[]): ViewRecord {
  return { type: 'set-aw', elements };
}
