// Verdicts out of thin air, and a journal over a store in memory.

import {
  ConflictJournal,
  type ConflictPage,
  type ConflictQuery,
  type JournalBounds,
} from '../../src/conflicts/journal.ts';
import { ShardJournal } from '../../src/conflicts/shard-journal.ts';
import type { CausewayError } from '../../src/errors/errors.ts';
import { originId, regionId, shardId, type ShardId, type Version } from '../../src/record/ids.ts';
import type { LandedConflict } from '../../src/shard/engine.ts';
import { PackedRows } from '../../src/store/packed-rows.ts';
import { MemoryStore, MemoryStoreDisk } from '../../src/store/memory.ts';

export const SHARDS: readonly ShardId[] = [shardId(1, 0), shardId(1, 1)];
const EU = originId(regionId('eu'), 1);
const US = originId(regionId('us'), 2);

export function version(seq: number, origin = EU, stamp = seq * 10): Version {
  return { origin, seq, stamp };
}

export function verdict(offset: number, more: Partial<LandedConflict> = {}): LandedConflict {
  return {
    offset,
    index: 0,
    collection: { namespace: 'shop', name: 'carts', id: 1, type: 'register-lww' },
    key: `k${offset}`,
    field: undefined,
    loser: version(offset),
    loserValue: Buffer.from(`lost ${offset}`),
    loserExpiresAtMs: undefined,
    winner: version(offset, US, offset * 10 + 5),
    winnerDeletes: false,
    ...more,
  };
}

export const ALL: ConflictQuery = {
  namespace: '',
  collection: '',
  keyPrefix: '',
  sinceMs: 0,
  untilMs: Infinity,
  order: 'newest',
  limit: 100,
  after: undefined,
};

const WIDE: JournalBounds = { keepMs: 1e12, entriesMax: 10_000, bytesMax: 1e9 };

/** A node's journal of two shards, over a disk that outlives it. */
export class Journals {
  readonly disk: MemoryStoreDisk;
  readonly store: MemoryStore;
  readonly node: ConflictJournal;
  shards: ShardJournal[] = [];
  /** Of every shard's log at this node. */
  readonly log = { offset: 0, takenOffset: 0 };
  readonly #cursors = new Map<ShardId, number>();

  constructor(bounds: Partial<JournalBounds> = {}, disk = new MemoryStoreDisk()) {
    this.disk = disk;
    this.store = new MemoryStore({ disk });
    this.node = new ConflictJournal({ ...WIDE, ...bounds }, () => this.shards);
  }

  /** As a node starts: from what the store proves. */
  static async open(bounds: Partial<JournalBounds> = {}, disk?: MemoryStoreDisk): Promise<Journals> {
    const journals = new Journals(bounds, disk);
    await journals.store.open(SHARDS);
    journals.begin();
    return journals;
  }

  begin(): void {
    this.shards = SHARDS.map((shard) => {
      const journal = new ShardJournal(shard, this.store, this.log);
      this.#cursors.set(shard, this.store.cursor(shard));
      journal.load((error) => {
        if (error !== undefined) throw error;
        journal.complete();
      });
      return journal;
    });
  }

  add(shard: 0 | 1, atMs: number, ...verdicts: readonly LandedConflict[]): void {
    for (const { offset } of verdicts) this.log.offset = this.log.takenOffset = Math.max(this.log.offset, offset);
    for (const each of verdicts) this.shards[shard]!.add(each, atMs);
    this.node.grown(atMs);
  }

  /** Entries without a verdict: handed to the log, and landed. */
  take(offset: number): void {
    this.log.takenOffset = offset;
  }

  land(offset: number): void {
    this.log.offset = offset;
    this.node.landed();
  }

  /** What the node's writer does, now and then. */
  flush(): void {
    for (const journal of this.shards) {
      const fromCursor = this.#cursors.get(journal.shard)!;
      const toCursor = fromCursor + 1;
      this.#cursors.set(journal.shard, toCursor);
      const step = { shard: journal.shard, fromCursor, toCursor, rows: PackedRows.of(journal.takeRows()) };
      this.store.write([step], ([outcome]) => {
        if (outcome!.kind !== 'written') throw new Error(outcome!.kind);
        journal.written();
      });
    }
  }

  page(query: Partial<ConflictQuery> = {}): ConflictPage {
    let answer: ConflictPage | CausewayError | undefined;
    this.node.list({ ...ALL, ...query }, (page) => (answer = page));
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error('no answer');
    return answer;
  }

  /** `shard index/key` of every page. */
  all(query: Partial<ConflictQuery> = {}): string[] {
    const found: string[] = [];
    let page: ConflictPage | undefined;
    do {
      page = this.page({ ...query, after: page === undefined ? query.after : page.next });
      found.push(...page.conflicts.map(({ shard, key }) => `${shard} ${key}`));
    } while (page.next !== undefined);
    return found;
  }
}
