// What was written to one key, from a shard's log: newest first, a bounded part of the log at a time.
//
// A log has no times in it but stamps. When something of another region landed here is told by what lately landed (landings.ts), and before that by what
// stands around it: this region's own batches and leases, whose stamps are not before the moment at which they were made. While a peer's
// clock is ahead they may be after it, by as much as maxSkewMs.
//
// I8, I12 a page reads PAGE_BYTES_MAX of the log, READ_BYTES in a turn of the event loop, and keeps the key's ops alone.

import { msOfStamp } from '../clock/hlc.ts';
import { CausewayError } from '../errors/errors.ts';
import type { Log, StoredEntry } from '../log/log.ts';
import { mergeOf } from '../merge/merge.ts';
import { readBatchHeader, walkOps, type OpFilter } from '../record/batch.ts';
import { originRegion, type RegionId } from '../record/ids.ts';
import { decodeLease } from '../record/lease.ts';
import type { CollectionRef } from '../record/op.ts';
import type { Timers } from '../system/system.ts';
import type { Landings } from './landings.ts';
import type { HistoryPlace, KeyChange } from './region.ts';
import type { ShardRunner } from './shard-runner.ts';

/** Entries that are read forwards, to be told backwards. */
const WINDOW_ENTRIES = 1024;
const READ_BYTES = 256 * 1024;
const PAGE_BYTES_MAX = 32 * 1024 * 1024;

export interface HistoryOf {
  readonly log: Pick<Log, 'read' | 'start'>;
  readonly timers: Timers;
  readonly runner: ShardRunner;
  readonly region: RegionId;
  readonly collection: CollectionRef;
  readonly key: string;
  readonly limit: number;
  readonly before: HistoryPlace | undefined;
  readonly landings: Landings | undefined;
  readonly leaseMs: number;
  readonly nowMs: number;
}

export interface HistoryPage {
  readonly changes: readonly KeyChange[];
  /** undefined: that was all. */
  readonly next: HistoryPlace | undefined;
}

interface Change extends KeyChange {
  landedAfterMs: number | undefined;
  landedBeforeMs: number;
}

/** Of a window, in the order of the log: the key's changes, and moments of this region's own. */
type Found = { readonly change: Change } | { readonly ownMs: number };

export function readHistory(of: HistoryOf, done: (page: HistoryPage | CausewayError) => void): void {
  new HistoryReader(of, done).window(of.before?.offset ?? of.runner.engine.offset + 1);
}

class HistoryReader {
  readonly #of: HistoryOf;
  readonly #done: (page: HistoryPage | CausewayError) => void;
  readonly #filter: OpFilter;
  readonly #changes: Change[] = [];
  /** Those of newer windows of which nothing is known yet that came before them. */
  #open: Change[] = [];
  #beforeMs: number;
  #bytes = 0;

  constructor(of: HistoryOf, done: (page: HistoryPage | CausewayError) => void) {
    const { namespace, name, id } = of.collection;
    this.#of = of;
    this.#done = done;
    this.#beforeMs = of.before?.landedBeforeMs ?? of.nowMs;
    this.#filter = {
      wants: (other) => other.namespace === namespace && other.name === name && other.id === id,
      keyPrefix: Buffer.from(of.key),
    };
  }

  /** Everything from `end` on is told. */
  window(end: number): void {
    const { log, runner } = this.#of;
    const start = log.start(runner.shard);
    if (end <= start) {
      this.#finish(undefined);
      return;
    }
    this.#read(Math.max(start, end - WINDOW_ENTRIES), end, []);
  }

  #read(from: number, end: number, found: Found[], first = from): void {
    const { log, runner, timers } = this.#of;
    log.read(runner.shard, from, READ_BYTES, (result) => {
      if (result.kind === 'corrupt') {
        this.#done(new CausewayError('CORRUPT', result.message, { hint: 'ask another region: each has its own log' }));
        return;
      }
      const entries = result.kind === 'entries' ? result.entries : [];
      for (const entry of entries) if (entry.offset < end) this.#look(entry, found);
      const next = result.kind === 'trimmed' ? result.start : (entries.at(-1)?.offset ?? end) + 1;
      if (next < end) timers.soon(() => this.#read(next, end, found, first));
      else this.#windowRead(first, found);
    });
  }

  #look(entry: StoredEntry, found: Found[]): void {
    const { region, leaseMs } = this.#of;
    this.#bytes += entry.bytes.length;
    if (entry.kind === 'lease') {
      const { origin, bound } = decodeLease(entry.bytes);
      if (originRegion(origin) === region) found.push({ ownMs: msOfStamp(bound) - leaseMs });
    }
    if (entry.kind !== 'batch') return;
    const header = readBatchHeader(entry.bytes, true);
    const own = originRegion(header.origin) === region;
    if (own) found.push({ ownMs: msOfStamp(header.firstStamp) });
    walkOps(entry.bytes, header, this.#filter, (op, i) => {
      if (op.key !== this.#of.key) return;
      const { origin, firstSeq, firstStamp } = header;
      const seq = firstSeq + i;
      found.push({
        change: {
          version: { origin, seq, stamp: firstStamp + i },
          op: mergeOf(this.#of.collection.type).describe(op.payload),
          trace: op.trace,
          offset: entry.offset,
          landedAfterMs: undefined,
          landedBeforeMs: 0,
          acknowledgedBy: own ? this.#holders(origin, seq) : [],
        },
      });
    });
  }

  #holders(origin: KeyChange['version']['origin'], seq: number): RegionId[] {
    const { runner, region } = this.#of;
    return runner.members.filter((member) => member !== region && (runner.durableAt(member)?.get(origin) ?? 0) >= seq);
  }

  #windowRead(start: number, found: readonly Found[]): void {
    this.#tellTimes(found);
    const { limit, runner, log } = this.#of;
    for (const each of found.toReversed()) if ('change' in each) this.#changes.push(each.change);
    if (start <= log.start(runner.shard)) this.#finish(undefined);
    else if (this.#changes.length >= limit || this.#bytes >= PAGE_BYTES_MAX) this.#finish(start);
    else this.#of.timers.soon(() => this.window(start));
  }

  #tellTimes(found: readonly Found[]): void {
    const changes = found.flatMap((each) => ('change' in each ? [each.change] : []));
    let afterMs: number | undefined;
    const open: Change[] = [];
    for (const each of found) {
      if ('ownMs' in each) afterMs = Math.max(each.ownMs, afterMs ?? 0);
      else if (afterMs === undefined) open.push(each.change);
      else each.change.landedAfterMs = afterMs;
    }
    // Before this window's first own moment stands the last one of an older window, which is read next.
    if (afterMs !== undefined) {
      for (const change of this.#open) change.landedAfterMs = Math.min(afterMs, change.landedBeforeMs);
      this.#open = open;
    } else this.#open.push(...open);
    for (const each of found.toReversed()) {
      if ('ownMs' in each) this.#beforeMs = Math.min(this.#beforeMs, each.ownMs);
      else each.change.landedBeforeMs = this.#beforeMs;
    }
    for (const change of changes) {
      const exactMs = this.#of.landings?.at(change.offset);
      if (exactMs !== undefined) {
        change.landedAfterMs = exactMs;
        change.landedBeforeMs = exactMs;
      } else if (change.landedAfterMs !== undefined) {
        change.landedBeforeMs = Math.max(change.landedAfterMs, change.landedBeforeMs);
      }
    }
    this.#open = this.#open.filter(({ landedAfterMs }) => landedAfterMs === undefined);
  }

  /** `start`: of the last window that was read; undefined: there is nothing before it. */
  #finish(start: number | undefined): void {
    const { limit } = this.#of;
    // A batch may have several ops of the key: pages part between batches.
    let end = Math.min(limit, this.#changes.length);
    while (end > 0 && end < this.#changes.length && this.#changes[end]!.offset === this.#changes[end - 1]!.offset)
      end++;
    const rest = this.#changes[end];
    const next =
      rest !== undefined
        ? { offset: rest.offset + 1, landedBeforeMs: rest.landedBeforeMs }
        : start === undefined
          ? undefined
          : { offset: start, landedBeforeMs: this.#beforeMs };
    this.#done({ changes: this.#changes.slice(0, end), next });
  }
}
