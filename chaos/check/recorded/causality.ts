// What an op had seen, from the regions' logs: its own region's log has before it exactly what its author had applied, and behind it what
// came later (DESIGN 4). With that the reference specification says what every key must read as.

import { dotText, intentOf, keyName, regionOf, versionOf } from '../../history/names.ts';
import type { RecordedOp, Recording } from '../../history/recording.ts';
import { COLLECTIONS, type LogEntry } from '../../history/records.ts';
import type { MergeTypeName } from '../../../src/record/op.ts';
import type { SpecOp } from '../reference.ts';

/** An op of a key in one region's log. */
export interface LoggedKeyOp extends SpecOp {
  readonly recorded: RecordedOp;
  /** Its region lost its disk after it was written, and with it the order in which it had seen things. */
  readonly hasLostItsPast: boolean;
}

export interface KeyLog {
  readonly shard: string;
  readonly name: string;
  readonly type: MergeTypeName;
  /** In the order of the region's log. */
  readonly ops: readonly LoggedKeyOp[];
}

export class Causality {
  readonly #recording: Recording;
  /** Region → `shard dot` → its place in the region's log. */
  readonly #places = new Map<string, Map<string, number>>();
  /** Region → until when what it wrote has lost its past. */
  readonly #lostUntilMs = new Map<string, number>();

  constructor(recording: Recording) {
    this.#recording = recording;
    for (const [region, shards] of recording.logs) {
      const places = new Map<string, number>();
      for (const [shard, entries] of shards) {
        entries.forEach(([origin, seq], at) => places.set(`${shard} ${dotText({ origin, seq })}`, at));
      }
      this.#places.set(region, places);
    }
    for (const { wipes, endMs } of recording.faults) {
      for (const region of wipes) this.#lostUntilMs.set(region, Math.max(endMs, this.#lostUntilMs.get(region) ?? 0));
    }
  }

  /** The keys of a region, each with its ops. Ops that no client of the run wrote are left out. */
  keysOf(region: string): KeyLog[] {
    const keys = new Map<string, { shard: string; name: string; type: MergeTypeName; ops: LoggedKeyOp[] }>();
    for (const [shard, entries] of this.#recording.logs.get(region) ?? []) {
      for (const entry of entries) {
        const recorded = this.#recording.ops.get(entry[3]);
        if (recorded === undefined) continue;
        const { collection, key } = recorded.first;
        const name = keyName(collection, key);
        const at = `${shard} ${name}`;
        const log = keys.get(at) ?? { shard, name, type: COLLECTIONS[collection], ops: [] };
        log.ops.push(this.#specOp(shard, entry, recorded));
        keys.set(at, log);
      }
    }
    return [...keys.values()];
  }

  #specOp(shard: string, [origin, seq, stamp]: LogEntry, recorded: RecordedOp): LoggedKeyOp {
    const author = regionOf(origin);
    const places = this.#places.get(author)!;
    const own = places.get(`${shard} ${dotText({ origin, seq })}`) ?? -1;
    return {
      version: versionOf({ origin, seq, stamp }),
      intent: intentOf(recorded.first.intent),
      seen: (dot) => (places.get(`${shard} ${dotText(dot)}`) ?? Infinity) < own,
      recorded,
      hasLostItsPast: recorded.first.startMs < (this.#lostUntilMs.get(author) ?? -1),
    };
  }
}
