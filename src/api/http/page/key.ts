// What one region knows of a key: its log's newest writes, its value, and the verdicts about writes of its own that lost.

import { CausewayError } from '../../../errors/errors.ts';
import type { Conflict, ConflictQuery, HistoryPlace, KeyChange, KeyHistory, Region } from '../../../region/region.ts';
import type { ChangeMessage, KeyMessage } from './messages.ts';
import { conflictMessage, opMessage, valueMessage, versionMessage } from './previews.ts';

interface KeyName {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
}

/** Each region's log has the newest writes in an order of its own. */
const MARGIN = 20;
const CONFLICTS_PAGE = 500;

/** `inTime`: whether to look further back. */
export function readKeyMessage(
  region: Region,
  name: KeyName,
  limit: number,
  inTime: () => boolean,
  done: (message: KeyMessage | CausewayError) => void,
): void {
  const wanted = limit + MARGIN;
  const changes: KeyChange[] = [];
  let first: KeyHistory | undefined;
  const more = (before: HistoryPlace | undefined): void => {
    region.history({ ...name, limit: wanted, before }, (history) => {
      if (history instanceof CausewayError) {
        done(history);
        return;
      }
      first ??= history;
      changes.push(...history.changes);
      if (history.next !== undefined && changes.length < wanted && inTime()) more(history.next);
      else finish(first, history.next === undefined);
    });
  };
  const finish = (history: KeyHistory, whole: boolean): void => {
    readConflicts(region, name, wanted, inTime, (conflicts, journalFromMs) => {
      if (conflicts instanceof CausewayError) {
        done(conflicts);
        return;
      }
      done({
        region: region.id,
        shard: history.shard,
        type: history.collection.type,
        value: history.view === undefined ? null : valueMessage(history.view),
        changes: changes.map(changeMessage),
        whole,
        logStart: history.logStart,
        conflicts: conflicts.map(conflictMessage),
        journalFromMs,
      });
    });
  };
  more(undefined);
}

function readConflicts(
  region: Region,
  { namespace, collection, key }: KeyName,
  wanted: number,
  inTime: () => boolean,
  done: (conflicts: readonly Conflict[] | CausewayError, journalFromMs: number) => void,
): void {
  const found: Conflict[] = [];
  const query: ConflictQuery = {
    namespace,
    collection,
    keyPrefix: key,
    sinceMs: 0,
    untilMs: Infinity,
    order: 'newest',
    limit: CONFLICTS_PAGE,
    after: undefined,
  };
  const more = (after: ConflictQuery['after']): void => {
    region.conflicts({ ...query, after }, (page) => {
      if (page instanceof CausewayError) {
        done(page, 0);
        return;
      }
      found.push(...page.conflicts.filter((conflict) => conflict.key === key));
      if (page.next !== undefined && found.length < wanted && inTime()) more(page.next);
      else done(found, page.droppedUntilMs);
    });
  };
  more(undefined);
}

function changeMessage(change: KeyChange): ChangeMessage {
  const { version, op, trace, offset, landedAfterMs, landedBeforeMs, acknowledgedBy } = change;
  return {
    version: versionMessage(version),
    op: opMessage(op),
    traceId: trace === undefined ? null : Buffer.from(trace.subarray(0, 16)).toString('hex'),
    offset,
    landedAfterMs: landedAfterMs ?? null,
    landedBeforeMs,
    acknowledgedBy,
  };
}
