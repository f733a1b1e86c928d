// Whether the rows of a store are of this log (I11). Owns: the comparison of what a store says it has with what stands in the log up to its cursor.
//
// A store that is behind the log is read from there on, so it has to be of the same history. It need not be: a log that was restored from a backup grows again, with other entries in the
// places of those that were lost, and a store may come back as it was before (a fail-over to an older replica, a copy of its disk). By its cursor alone it then looks like one that is a little
// behind. So each origin's batches up to the cursor must be exactly those that the store has seen: the states are a function of them.

import type { Log } from '../log/log.ts';
import { BatchPeeker } from '../record/peek.ts';
import type { OriginId, ShardId } from '../record/ids.ts';

/** Little: what lies behind the cursor is not looked at, and a log on servers reads message by message. */
const READ_BYTES = 64 * 1024;

/**
 * `seqs`: of each origin the last seq that the store has, as of `offset`. Looks at the index, and reads the log only where that is too coarse: at most the distance of two of its
 * points for each origin. `done` may be called before it returns.
 */
export function isOfLog(
  log: Log,
  shard: ShardId,
  offset: number,
  seqs: ReadonlyMap<OriginId, number>,
  done: (same: boolean) => void,
): void {
  const origins = [...new Set([...log.origins(shard), ...seqs.keys()])];
  const peeker = new BatchPeeker();
  const check = (index: number): void => {
    const origin = origins[index];
    if (origin === undefined) {
      done(true);
      return;
    }
    const wanted = seqs.get(origin) ?? 0;
    const begin = log.find(shard, origin, Math.max(1, wanted));
    if (begin === undefined || begin > offset) {
      // None of it up to here.
      if (wanted === 0) check(index + 1);
      else done(false);
      return;
    }
    const next = log.find(shard, origin, wanted + 1);
    const noneFollows = next === undefined || next > offset;
    let last = 0;
    const read = (from: number): void => {
      if (from > offset) {
        if (last === wanted) check(index + 1);
        else done(false);
        return;
      }
      log.read(shard, from, READ_BYTES, (result) => {
        if (result.kind !== 'entries' || result.entries.length === 0) {
          done(false);
          return;
        }
        for (const entry of result.entries) {
          if (entry.offset > offset) break;
          const batch = entry.kind === 'batch' ? peeker.peek(entry.bytes) : undefined;
          if (batch?.origin !== origin) continue;
          last = batch.lastSeq;
          if (last > wanted) {
            done(false);
            return;
          }
          if (last === wanted && noneFollows) {
            check(index + 1);
            return;
          }
        }
        read(result.entries.at(-1)!.offset + 1);
      });
    };
    read(begin);
  };
  check(0);
}
