// A shard as the sweep of dropped collections (drop-sweep.ts) sees it: what is there, and deletes that are writes like all others, but for the collection that nobody else may write.

import type { SweptShard } from './drop-sweep.ts';
import { scanPage } from './scan.ts';
import type { ShardRunner } from './shard-runner.ts';
import { WriteCall } from './write-call.ts';

const DELETE_MS_MAX = 10_000;
const DELETE = { kind: 'delete' } as const;

export interface SweptNode {
  nowMs(): number;
  monotonicMs(): number;
  /** Writes are taken, and the store is far from its bound. */
  hasRoom(): boolean;
}

export function sweptShard(runner: ShardRunner, node: SweptNode): SweptShard {
  return {
    shard: runner.shard,
    stableFloor: () => runner.stableFloor(node.nowMs()),
    hasRoom: () => runner.open && !runner.storeAway && node.hasRoom(),
    scan: (collection, from, { keys, bytes }, done) => {
      const range = { collection, from, to: undefined, limit: keys, bytesMax: bytes, nowMs: node.nowMs() };
      scanPage([runner.cache], range, ({ entries, next }) => {
        if (runner.stopped) done(undefined);
        else done({ keys: entries.map(({ key }) => key), next });
      });
    },
    delete: (collection, keys, done) => {
      const { namespace, name } = collection;
      const ops = keys.map((key) => ({ namespace, collection: name, key, intent: DELETE }));
      const request = { ops, durability: { kind: 'local' }, deadlineMs: DELETE_MS_MAX } as const;
      const call = new WriteCall(request, node.monotonicMs() + DELETE_MS_MAX, (results) => {
        const failed = results.find((result) => !result.ok);
        done(failed?.ok === false ? failed.error : undefined);
      });
      call.addPart();
      runner.write(
        call,
        keys.map((_, i) => i),
        keys.map((key) => ({ collection, key, intent: DELETE })),
      );
      call.allHandedOut();
    },
  };
}
