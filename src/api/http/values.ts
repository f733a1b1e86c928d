// Values as JSON. A register's own URL carries its bytes as they are; wherever several values stand in one document, they stand there as follows:
//
//   bytes that are JSON text       the same JSON, digit for digit: it is copied and never parsed and printed again
//   other UTF-8                    {"$text": "…"}
//   anything else                  {"$base64": "…"}
//
// Two objects that look like such a wrapper and are JSON are wrapped themselves, so that reading back is never ambiguous.
// Elements of sets are text rather than JSON, as in the client library: a string, or {"$base64": "…"}.

import { CausewayError } from '../../errors/errors.ts';
import type { View } from '../../merge/types.ts';
import type { MergeTypeName } from '../../record/op.ts';
import { versionText } from './conditions.ts';

/** As deep as JSON.stringify goes on any stack. */
const DEPTH_MAX = 500;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

export function isJson(bytes: Uint8Array): boolean {
  const text = textOf(bytes);
  return text !== undefined && parsed(text) !== undefined;
}

/** JSON text of one line. */
export function valueJson(bytes: Uint8Array): string {
  const text = textOf(bytes);
  if (text === undefined) return `{"$base64":"${Buffer.from(bytes).toString('base64')}"}`;
  const json = parsed(text);
  if (json === undefined || isWrapper(json.value)) return `{"$text":${JSON.stringify(text)}}`;
  // A line break in JSON text is white space: within a string it is escaped.
  return text.trim().replaceAll(/[\r\n]+/g, ' ');
}

function isWrapper(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const [name, ...more] = Object.keys(value);
  return more.length === 0 && (name === '$text' || name === '$base64');
}

/** The way back. Throws CausewayError INVALID_ARGUMENT. */
export function valueBytes(value: unknown, what: string): Uint8Array {
  if (!isWrapper(value)) {
    checkNumbers(value, what);
    return Buffer.from(JSON.stringify(value));
  }
  const { $text: text, $base64: base64 } = value as { readonly $text?: unknown; readonly $base64?: unknown };
  if (typeof text === 'string') return utf8Of(text, what);
  return fromBase64(base64, what);
}

export function elementJson(bytes: Uint8Array): string {
  const text = textOf(bytes);
  return text === undefined ? `{"$base64":"${Buffer.from(bytes).toString('base64')}"}` : JSON.stringify(text);
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function elementBytes(value: unknown, what: string): Uint8Array {
  if (typeof value === 'string') return utf8Of(value, what);
  if (isWrapper(value)) return fromBase64((value as { readonly $base64?: unknown }).$base64, what);
  throw new CausewayError(
    'INVALID_ARGUMENT',
    `${what} is a string, or {"$base64": "…"} for other bytes; got ${shown(value)}`,
  );
}

function fromBase64(text: unknown, what: string): Uint8Array {
  if (typeof text === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    const bytes = Buffer.from(text, 'base64');
    // Node skips what it does not understand; what comes back the same was understood.
    if (bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '')) return bytes;
  }
  throw new CausewayError(
    'INVALID_ARGUMENT',
    `${what}: $base64 has base64 (RFC 4648, section 4), and $text a string; got ${shown(text)}`,
  );
}

/** Half of a surrogate pair has no UTF-8. */
function utf8Of(text: string, what: string): Uint8Array {
  if (!/\p{Surrogate}/u.test(text)) return Buffer.from(text);
  throw new CausewayError('INVALID_ARGUMENT', `${what} has half of a surrogate pair, which is no text`);
}

/** An integer that a double does not hold would be stored with other digits than were sent. */
function checkNumbers(value: unknown, what: string, depth = 0): void {
  if (depth > DEPTH_MAX) {
    throw new CausewayError('INVALID_ARGUMENT', `${what} is nested deeper than ${DEPTH_MAX}`, {
      hint: 'send it as {"$text": "…"}, which is stored as it is',
    });
  }
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new CausewayError('INVALID_ARGUMENT', `${what} has an integer beyond ±(2^53 - 1), which would lose digits`, {
      hint: 'send it as a string, or the whole value as {"$text": "…"}, which is stored as it is',
    });
  }
  if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value)) checkNumbers(inner, what, depth + 1);
}

/** For messages: what came, as short as it takes. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** The document of one key, without its braces: what a list has per key, and what a key of these types answers by itself. */
export function entryFields(type: MergeTypeName, view: View | undefined): string {
  if (view === undefined) return `"type":"${type}","absent":true`;
  switch (view.type) {
    case 'register-lww': {
      const expiry = view.expiresAtMs === undefined ? '' : `,"expiresAtMs":${view.expiresAtMs}`;
      return `"type":"register-lww","version":"${versionText(view.version)}","value":${valueJson(view.value)}${expiry}`;
    }
    case 'register-mv': {
      const siblings = view.siblings.map(
        ({ value, version }) => `{"version":"${versionText(version)}","value":${valueJson(value)}}`,
      );
      return `"type":"register-mv","siblings":[${siblings.join(',')}]`;
    }
    case 'counter-pn':
      // As text: a sum may have more digits than a double.
      return `"type":"counter-pn","value":"${view.value}"`;
    case 'set-aw':
      return `"type":"set-aw","members":[${view.elements.map(elementJson).join(',')}]`;
    case 'map-lww': {
      const fields = view.fields.map(
        ({ field, value, version }) =>
          `${JSON.stringify(field)}:{"version":"${versionText(version)}","value":${valueJson(value)}}`,
      );
      return `"type":"map-lww","fields":{${fields.join(',')}}`;
    }
  }
}

export function entryJson(key: string, type: MergeTypeName, view: View | undefined): string {
  return `{"key":${JSON.stringify(key)},${entryFields(type, view)}}`;
}
