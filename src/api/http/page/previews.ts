// Values and ops as a page shows them: bounded, and text whatever the bytes are. A page is for eyes: whoever needs all bytes reads the key (/v1).

import type { Conflict } from '../../../conflicts/entry.ts';
import type { OpDescription, View } from '../../../merge/types.ts';
import { isJson } from '../values.ts';
import type { ConflictMessage, OpMessage, PreviewMessage, ValueMessage, VersionMessage } from './messages.ts';

/** Characters of one value; of elements, and of a map's fields, so many. */
const PREVIEW_CHARS = 2000;
const PREVIEW_PARTS = 50;
/** More is not looked through to find out whether it is JSON. */
const JSON_BYTES_MAX = 64 * 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function preview(bytes: Uint8Array): PreviewMessage {
  const size = bytes.length;
  const text = textOf(bytes);
  if (text === undefined) {
    const base64 = Buffer.from(bytes.subarray(0, PREVIEW_CHARS)).toString('base64');
    return { form: 'base64', text: base64, bytes: size, cut: size > PREVIEW_CHARS };
  }
  const form = size <= JSON_BYTES_MAX && isJson(bytes) ? 'json' : 'text';
  return { form, text: text.slice(0, PREVIEW_CHARS), bytes: size, cut: text.length > PREVIEW_CHARS };
}

/** undefined: it is no text. The cut may go through a character, which is no reason to show base64. */
function textOf(bytes: Uint8Array): string | undefined {
  const enough = bytes.subarray(0, 4 * PREVIEW_CHARS + 4);
  for (let end = enough.length; end > enough.length - 4; end--) {
    try {
      return utf8.decode(enough.subarray(0, end));
    } catch {
      if (enough.length === bytes.length) return undefined;
    }
  }
  return undefined;
}

export function versionMessage({ origin, seq, stamp }: VersionMessage): VersionMessage {
  return { origin, seq, stamp };
}

export function opMessage(op: OpDescription): OpMessage {
  switch (op.kind) {
    case 'put':
      return { kind: 'put', value: preview(op.value) };
    case 'delete':
      return { kind: 'delete' };
    case 'increment':
      return { kind: 'increment', by: String(op.by) };
    case 'set-add':
    case 'set-remove':
      return {
        kind: op.kind,
        elements: op.elements.slice(0, PREVIEW_PARTS).map(preview),
        more: Math.max(0, op.elements.length - PREVIEW_PARTS),
      };
    case 'map-update':
      return {
        kind: 'map-update',
        put: op.put.slice(0, PREVIEW_PARTS).map(({ field, value }) => ({ field, value: preview(value) })),
        remove: op.remove.slice(0, PREVIEW_PARTS),
        more: Math.max(0, op.put.length - PREVIEW_PARTS) + Math.max(0, op.remove.length - PREVIEW_PARTS),
      };
  }
}

export function valueMessage(view: View): ValueMessage {
  switch (view.type) {
    case 'register-lww':
      return { type: view.type, version: versionMessage(view.version), value: preview(view.value) };
    case 'register-mv':
      return {
        type: view.type,
        siblings: view.siblings.map(({ version, value }) => ({
          version: versionMessage(version),
          value: preview(value),
        })),
      };
    case 'counter-pn':
      return { type: view.type, value: String(view.value) };
    case 'set-aw':
      return {
        type: view.type,
        elements: view.elements.slice(0, PREVIEW_PARTS).map(preview),
        more: Math.max(0, view.elements.length - PREVIEW_PARTS),
      };
    case 'map-lww':
      // All of them: which writes are visible is told by their versions.
      return {
        type: view.type,
        fields: view.fields.map(({ field, version, value }) => ({
          field,
          version: versionMessage(version),
          value: preview(value),
        })),
      };
  }
}

export function conflictMessage(conflict: Conflict): ConflictMessage {
  const { collection, loserValue } = conflict;
  return {
    atMs: conflict.atMs,
    shard: conflict.shard,
    namespace: collection.namespace,
    collection: collection.name,
    type: collection.type,
    key: conflict.key,
    field: conflict.field ?? null,
    loser: versionMessage(conflict.loser),
    loserValue: loserValue === undefined ? null : preview(loserValue),
    loserExpiresAtMs: conflict.loserExpiresAtMs ?? null,
    winner: versionMessage(conflict.winner),
    winnerDeletes: conflict.winnerDeletes,
  };
}
