// A loser of the conflict journal written again, as a new write in the region that is asked: everybody takes it like any other (DESIGN 6).
// Unless forced, only while what won stands: what has been written since is nobody's loser.

import type { ConflictJournal } from '../conflicts/journal.ts';
import { restoringIntent, winnerStands } from '../conflicts/restore.ts';
import { CausewayError } from '../errors/errors.ts';
import type { Intent } from '../merge/types.ts';
import type { RegionId, ShardId } from '../record/ids.ts';
import { stateKey, type CollectionRef } from '../record/op.ts';
import type { Conflict, Region, Restored, RestoreRequest } from './region.ts';
import type { ShardRunner } from './shard-runner.ts';
import { DEADLINE_MS_MAX } from './waiting-calls.ts';

export interface RestoresHost {
  readonly region: RegionId;
  readonly journal: Pick<ConflictJournal, 'find'>;
  readonly runners: ReadonlyMap<ShardId, ShardRunner>;
  /** That is served now. */
  collection(namespace: string, name: string): CollectionRef | undefined;
  readonly write: Region['write'];
  nowMs(): number;
  monotonicMs(): number;
}

export class Restores {
  readonly #host: RestoresHost;

  constructor(host: RestoresHost) {
    this.#host = host;
  }

  restore(request: RestoreRequest, done: (restored: Restored | CausewayError) => void): void {
    this.#host.journal.find(request.shard, request.loser, (found) => {
      if (found instanceof CausewayError) {
        done(found);
        return;
      }
      const { fields } = request;
      const conflicts = found.filter(({ field }) => fields.length === 0 || fields.includes(field ?? ''));
      const [first] = conflicts;
      const runner = this.#host.runners.get(request.shard);
      if (first === undefined || runner === undefined) {
        done(noSuchConflict(this.#host.region, request));
        return;
      }
      const { namespace, name, id } = first.collection;
      if (this.#host.collection(namespace, name)?.id !== id) {
        done(collectionGone(first));
        return;
      }
      const key = stateKey(first.collection, first.key);
      const decide = (): void => {
        // What is sequenced counts, durable or not; the write below is sequenced in this same turn, so nothing comes in between.
        const state = runner.engine.latestOf(first.collection, first.key, runner.cache);
        const overtaken = conflicts.filter((conflict) => !winnerStands(conflict, state));
        if (overtaken.length > 0 && !request.force) done(winnerGone(overtaken));
        else this.#write(request, conflicts, done);
      };
      const deadlineAtMs = this.#host.monotonicMs() + Math.min(request.deadlineMs, DEADLINE_MS_MAX);
      runner.decideOn([{ key, type: first.collection.type }], deadlineAtMs, decide, done);
    });
  }

  #write(
    request: RestoreRequest,
    conflicts: readonly Conflict[],
    done: (restored: Restored | CausewayError) => void,
  ): void {
    const { collection, key } = conflicts[0]!;
    let intent: Intent;
    try {
      intent = restoringIntent(conflicts, this.#host.nowMs());
    } catch (error) {
      done(error as CausewayError);
      return;
    }
    const op = { namespace: collection.namespace, collection: collection.name, key, intent };
    this.#host.write({ ops: [op], durability: { kind: 'local' }, deadlineMs: request.deadlineMs }, ([result]) => {
      if (result?.ok === true) done({ conflicts, version: result.version });
      else done(result?.error ?? new CausewayError('INTERNAL', 'a write without a result'));
    });
  }
}

function noSuchConflict(region: RegionId, { shard, loser, fields }: RestoreRequest): CausewayError {
  const where = fields.length === 0 ? '' : ` in ${fields.join(', ')}`;
  return new CausewayError(
    'KEY_NOT_FOUND',
    `the conflict journal of ${region} has no loser ${loser.origin}:${loser.seq}${where} in shard ${shard}`,
    { hint: 'ask the region that wrote the loser; entries are dropped when they are old or too many' },
  );
}

function collectionGone({ collection, key }: Conflict): CausewayError {
  const { namespace, name, id } = collection;
  return new CausewayError(
    'PRECONDITION_FAILED',
    `${namespace}/${name}/${key} was lost in the collection with id ${id}, which is not what ${namespace}/${name} is now`,
    { hint: `causeway collection show ${namespace}/${name} says what became of it` },
  );
}

function winnerGone(overtaken: readonly Conflict[]): CausewayError {
  const { collection, key } = overtaken[0]!;
  const fields = overtaken.flatMap(({ field }) => field ?? []);
  const what = `${collection.namespace}/${collection.name}/${key}${fields.length === 0 ? '' : ` (${fields.join(', ')})`}`;
  return new CausewayError('PRECONDITION_FAILED', `${what} has been written since the conflict`, {
    hint: 'look at what is there now; force restores the loser all the same',
  });
}
