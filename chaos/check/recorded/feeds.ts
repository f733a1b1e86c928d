// A consumer that moves with its cursor gets every op once: in the order of the region's log while it stays, and per origin in the order of
// its seqs wherever it is, so that no key's order changes under one writer. Nothing is missing at the end.

import { dotText } from '../../history/names.ts';
import type { Check } from './check.ts';

/** One consumer over all its stays. */
interface Consumer {
  readonly got: Set<string>;
  /** `shard origin` → the last seq. */
  readonly last: Map<string, number>;
  region: string;
  /** Of the stay: shard → the place of the last event in the region's log. */
  places: Map<string, number>;
}

export const feeds: Check = {
  name: 'feeds',
  promise: 'a consumer that moves between regions misses nothing, gets nothing twice, and sees no order change',
  judge: (recording, found) => {
    const placeOf = new Map<string, Map<string, number>>();
    for (const [region, shards] of recording.logs) {
      const places = new Map<string, number>();
      for (const [shard, entries] of shards)
        entries.forEach(([origin, seq], at) => places.set(`${shard} ${dotText({ origin, seq })}`, at));
      placeOf.set(region, places);
    }
    const someDiskIsLost = recording.faults.some(({ wipes }) => wipes.length > 0);
    const consumers = new Map<string, Consumer>();
    let [events, moves] = [0, 0];
    for (const record of recording.feeds) {
      const { consumer: name, region } = record;
      const consumer: Consumer = consumers.get(name) ?? { got: new Set(), last: new Map(), region, places: new Map() };
      consumers.set(name, consumer);
      if (record.kind === 'feed-move') {
        if (region !== consumer.region) moves++;
        consumer.region = region;
        consumer.places = new Map();
        continue;
      }
      if (record.kind === 'feed-end') {
        if (record.code !== undefined) {
          // A cursor that has seen what was lost everywhere is refused.
          if (!someDiskIsLost) found(`${name} was given up in ${region}: ${record.code}`);
          continue;
        }
        for (const dot of placeOf.get(region)?.keys() ?? []) {
          if (!consumer.got.has(dot)) found(`${name} ended in ${region} without ${dot}`);
        }
        continue;
      }
      const places = placeOf.get(region)!;
      for (const [shard, origin, seq, op] of record.events) {
        events++;
        const dot = `${shard} ${dotText({ origin, seq })}`;
        if (consumer.got.has(dot)) found(`${name} got ${dot} (op ${op}) twice, in ${region} at ${record.atMs} ms`);
        consumer.got.add(dot);
        const stream = `${shard} ${origin}`;
        const last = consumer.last.get(stream) ?? 0;
        if (seq <= last)
          found(`${name} got ${dot} after seq ${last} of that origin, in ${region} at ${record.atMs} ms`);
        consumer.last.set(stream, Math.max(last, seq));
        const place = places.get(dot);
        if (place === undefined) {
          if (!someDiskIsLost) found(`${name} got ${dot} in ${region}, which is not in its log`);
          continue;
        }
        if (recording.lostItsDisk(region)) continue;
        const before = consumer.places.get(shard) ?? -1;
        if (place < before) found(`${name} got ${dot} in ${region} out of the order of its log`);
        consumer.places.set(shard, place);
      }
    }
    return { looked: events, facts: { consumers: consumers.size, moves } };
  },
};
