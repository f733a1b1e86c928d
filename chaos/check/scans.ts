// Pages of scans against the reference: exactly the keys that are there, in their order, each as the state of its shard was that the page
// names, or as of the cut that it names, in which nothing comes later (LevelCheck).

import { msOfStamp } from '../../src/clock/hlc.ts';
import { compareKeys } from '../../src/record/key-order.ts';
import type { OriginId, RegionId, ShardId } from '../../src/record/ids.ts';
import type { CollectionRef } from '../../src/record/op.ts';
import type { ScanRequest, ScanResult } from '../../src/region/region.ts';
import { keyName, type History } from './history.ts';
import type { LevelCheck } from './levels.ts';
import type { ViewCheck } from './views.ts';
import { holds } from './violation.ts';

const NO_TOKEN: ReadonlyMap<OriginId, number> = new Map();

export class ScanCheck {
  readonly #history: History;
  readonly #views: Pick<ViewCheck, 'read' | 'landed'>;
  readonly #levels: Pick<LevelCheck, 'readBounded' | 'readStable'>;
  pages = 0;
  stablePages = 0;

  constructor(
    history: History,
    views: Pick<ViewCheck, 'read' | 'landed'>,
    levels: Pick<LevelCheck, 'readBounded' | 'readStable'>,
  ) {
    this.#history = history;
    this.#views = views;
    this.#levels = levels;
  }

  /** `shards`: those that the region has. `vectors`: what the node had landed when it was asked; undefined: its store answers at once. */
  page(
    region: RegionId,
    shards: readonly ShardId[],
    collection: CollectionRef,
    request: Pick<ScanRequest, 'prefix' | 'after' | 'limit' | 'consistency'>,
    page: ScanResult,
    fromMs: number,
    toMs: number,
    vectors?: ReadonlyMap<ShardId, ReadonlyMap<OriginId, number>>,
  ): void {
    const { prefix, after, limit, consistency } = request;
    const { entries, next, asOfStamp } = page;
    this.pages++;
    if (consistency.kind === 'stable') this.stablePages++;
    const where = `a scan of ${collection.namespace}/${collection.name} in ${region}`;
    holds(entries.length <= limit, 'scan', () => `${where} has ${entries.length} entries; ${limit} were asked for`);
    let last = after;
    for (const { key } of entries) {
      const before = last;
      holds(
        key.startsWith(prefix) && (before === undefined || compareKeys(before, key) < 0),
        'scan',
        () => `${where} of '${prefix}' has ${key} after ${before ?? 'nothing'}`,
      );
      last = key;
    }
    holds(
      next === undefined || last === undefined || compareKeys(last, next) <= 0,
      'scan',
      () => `${where} goes on after ${next}, and has ${last} already`,
    );
    holds(
      next === undefined || after === undefined || compareKeys(after, next) < 0,
      'scan',
      () => `${where} after ${after} goes on after ${next}`,
    );
    const found = new Map(entries.map(({ key, view }) => [key, view]));
    for (const [key, shard] of this.#keys(shards, collection)) {
      if (!key.startsWith(prefix) || (after !== undefined && compareKeys(key, after) <= 0)) continue;
      if (next !== undefined && compareKeys(key, next) > 0) continue;
      const view = found.get(key);
      found.delete(key);
      const name = keyName(collection.namespace, collection.name, key);
      const token = page.session.get(shard) ?? NO_TOKEN;
      const { type } = collection;
      if (consistency.kind === 'stable') {
        this.#levels.readStable(region, shard, type, name, view, asOfStamp);
        // What expires is judged at the cut.
        const cutMs = msOfStamp(asOfStamp!);
        this.#views.read(region, shard, type, name, view, token, cutMs, cutMs);
        continue;
      }
      if (consistency.kind === 'bounded')
        this.#levels.readBounded(region, shard, asOfStamp, consistency.maxStaleMs, toMs);
      const vector = vectors?.get(shard);
      const log = this.#history.log(region, shard);
      const since = vector === undefined ? Infinity : this.#views.landed(log, vector);
      this.#views.read(region, shard, type, name, view, token, fromMs, toMs, since);
    }
    holds(found.size === 0, 'scan', () => `${where} has ${[...found.keys()].join(', ')}, which nobody has written`);
  }

  /** Every key of the collection that was ever logged anywhere. */
  #keys(shards: readonly ShardId[], collection: CollectionRef): Map<string, ShardId> {
    const keys = new Map<string, ShardId>();
    for (const shard of shards) {
      for (const { ops } of this.#history.originsOf(shard).values()) {
        for (const { op } of ops) {
          if (op.collection?.namespace === collection.namespace && op.collection.name === collection.name)
            keys.set(op.key, shard);
        }
      }
    }
    return keys;
  }
}
