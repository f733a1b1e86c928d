// How a conflict is said, to people and to programs.

import type { NodeConflict } from '../client/index.ts';
import { regionOf } from './origin-words.ts';
import { table, type Terminal } from './terminal.ts';
import { jsonBytes, loserText, printable, timeOfStamp, versionText } from './words.ts';

const VALUE_CHARS_MAX = 60;

/** Which conflicts. */
export interface Scope {
  readonly namespace: string | undefined;
  readonly collection: string | undefined;
  readonly keyPrefix: string;
}

export function scopeOf(text: string): Scope {
  const [namespace, collection, ...prefix] = text.split('/');
  return {
    namespace: namespace === '' ? undefined : namespace,
    collection: collection === '' ? undefined : collection,
    keyPrefix: prefix.join('/'),
  };
}

function lostText({ loserValue }: NodeConflict): string {
  if (loserValue === undefined) return 'a delete';
  const text = printable(loserValue).replaceAll(/[\r\n\t]+/g, ' ');
  return text.length > VALUE_CHARS_MAX ? `${text.slice(0, VALUE_CHARS_MAX)}…` : text;
}

function keyText({ collection, key, field }: NodeConflict): string {
  return `${collection.namespace}/${collection.name}/${key}${field === undefined ? '' : ` ${field}`}`;
}

export function conflictLine(conflict: NodeConflict, { dim, bold }: Terminal): string {
  const { loser, winner, winnerDeletes, shard } = conflict;
  const over = `${regionOf(winner.origin)}${winnerDeletes ? ' (a delete)' : ''} over ${regionOf(loser.origin)}`;
  const at = new Date(conflict.atMs).toISOString().slice(0, 23);
  return `${dim(at)} ${bold(keyText(conflict))} ${over}: ${lostText(conflict)}  ${dim(loserText(shard, loser))}`;
}

/** One loser, in full. */
export function conflictLines(conflicts: readonly NodeConflict[], terminal: Terminal): string[] {
  const lines: string[] = [];
  for (const conflict of conflicts) {
    const { loser, winner, loserExpiresAtMs, loserValue } = conflict;
    const rows: [string, string][] = [
      ['conflict', loserText(conflict.shard, loser)],
      ['key', keyText(conflict)],
      ['judged', new Date(conflict.atMs).toISOString()],
      ['loser', `${regionOf(loser.origin)}, written ${timeOfStamp(loser.stamp)}, version ${versionText(loser)}`],
      [
        'winner',
        `${regionOf(winner.origin)}, written ${timeOfStamp(winner.stamp)}, version ${versionText(winner)}${conflict.winnerDeletes ? ', a delete' : ''}`,
      ],
    ];
    if (loserExpiresAtMs !== undefined) rows.push(['expiry', new Date(loserExpiresAtMs).toISOString()]);
    rows.push(['lost', loserValue === undefined ? 'a delete' : printable(loserValue)]);
    if (lines.length > 0) lines.push('');
    lines.push(...table(rows.map(([name, value]) => [terminal.dim(name), value])));
  }
  return lines;
}

export function conflictDocument(conflict: NodeConflict): object {
  const { collection, loser, winner, loserValue, loserExpiresAtMs, field } = conflict;
  return {
    conflict: loserText(conflict.shard, loser),
    at: new Date(conflict.atMs).toISOString(),
    namespace: collection.namespace,
    collection: collection.name,
    type: collection.type,
    key: conflict.key,
    ...(field === undefined ? {} : { field }),
    loser: {
      region: regionOf(loser.origin),
      version: versionText(loser),
      writtenAt: timeOfStamp(loser.stamp),
      value: loserValue === undefined ? null : jsonBytes(loserValue),
      ...(loserExpiresAtMs === undefined ? {} : { expiresAt: new Date(loserExpiresAtMs).toISOString() }),
    },
    winner: {
      region: regionOf(winner.origin),
      version: versionText(winner),
      writtenAt: timeOfStamp(winner.stamp),
      deletes: conflict.winnerDeletes,
    },
  };
}
