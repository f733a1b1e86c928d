// Ops as bytes: WriteRequest.ops entries, written once and sent again unchanged in a retry.
// Also what can be refused without asking a node: sizes and shapes. Names and merge types are the node's to judge.

import { CausewayError } from '../errors/errors.ts';
import { lengthBytes, WIRE_LEN, WIRE_VARINT, wireTag, type WireWriter } from '../proto/wire.ts';
import type { Condition, Intent, Op } from './types.ts';

export const KEY_BYTES_MAX = 1024;
export const VALUE_BYTES_MAX = 1024 * 1024;
const ELEMENT_BYTES_MAX = 1024;
const ELEMENTS_MAX = 4096;
const COUNTER_MAX = 2n ** 63n - 1n;
const TRACE_BYTES = 25;

const OPS = wireTag(3, WIRE_LEN);
const COLLECTION = wireTag(1, WIRE_VARINT);
const KEY = wireTag(2, WIRE_LEN);
const PUT = wireTag(3, WIRE_LEN);
const DELETE = wireTag(4, WIRE_VARINT);
const INCREMENT = wireTag(5, WIRE_LEN);
const SET_ADD = wireTag(6, WIRE_LEN);
const SET_REMOVE = wireTag(7, WIRE_LEN);
const MAP_UPDATE = wireTag(8, WIRE_LEN);
const EXPIRES = wireTag(9, WIRE_VARINT);
const OBSERVED = wireTag(10, WIRE_LEN);
const IF_ABSENT = wireTag(11, WIRE_VARINT);
const IF_EXISTS = wireTag(12, WIRE_VARINT);
const IF_VERSION = wireTag(13, WIRE_LEN);
const PRODUCER_SEQ = wireTag(14, WIRE_VARINT);
const IDEMPOTENCY_KEY = wireTag(15, WIRE_LEN);
const ISSUED_AT = wireTag(16, WIRE_VARINT);
const TRACE = wireTag(17, WIRE_LEN);

/** What an op takes beside its key and intent: tags, lengths, condition, idempotency, trace. */
const OVERHEAD_BYTES = 160;

/**
 * Appends one entry of WriteRequest.ops. `seq`: of the producer, unless the op has an idempotency key of its own.
 * Throws CausewayError before anything is written when the op can be taken by no node.
 */
export function encodeOp(into: WireWriter, op: Op, collection: number, seq: number): void {
  const { key, intent, condition } = op;
  checkKey(key);
  const width = lengthBytes(
    key.length * 3 + intentBytes(intent) + OVERHEAD_BYTES + (op.idempotencyKey?.length ?? 0) * 3,
  );
  if (op.trace !== undefined && op.trace.length !== TRACE_BYTES) {
    throw new CausewayError(
      'INVALID_ARGUMENT',
      `a trace context has ${TRACE_BYTES} bytes; this one has ${op.trace.length}`,
    );
  }
  checkTime('issuedAtMs', op.issuedAtMs);
  const begun = into.begin(OPS, width);
  into.uint(COLLECTION, collection);
  into.text(KEY, key);
  encodeIntent(into, intent);
  if (condition !== undefined) encodeCondition(into, condition);
  if (op.idempotencyKey === undefined) into.uint(PRODUCER_SEQ, seq);
  else into.text(IDEMPOTENCY_KEY, op.idempotencyKey);
  if (op.issuedAtMs !== undefined) into.uint(ISSUED_AT, op.issuedAtMs);
  if (op.trace !== undefined) into.bytes(TRACE, op.trace);
  into.end(begun, width);
}

export function checkKey(key: string): void {
  if (key.length === 0)
    throw new CausewayError('INVALID_ARGUMENT', 'a key has 1 to 1024 bytes of UTF-8; this one is empty');
  if (key.length * 3 <= KEY_BYTES_MAX) return;
  const bytes = Buffer.byteLength(key);
  if (bytes > KEY_BYTES_MAX) throw tooLarge('a key', 'bytes of UTF-8', KEY_BYTES_MAX, bytes);
}

function tooLarge(what: string, unit: string, limit: number, came: number): CausewayError {
  return new CausewayError('TOO_LARGE', `${what} has at most ${limit} ${unit}; this one has ${came}`, {
    details: { limit, came },
  });
}

/** An upper bound of an intent's bytes. Throws when a part of it is above its limit. */
export function intentBytes(intent: Intent): number {
  switch (intent.kind) {
    case 'put':
      if (intent.value.length > VALUE_BYTES_MAX)
        throw tooLarge('a value', 'bytes', VALUE_BYTES_MAX, intent.value.length);
      checkTime('expiresAtMs', intent.expiresAtMs);
      return intent.value.length + 8 + dotsBytes(intent.observed);
    case 'delete':
      return 4 + dotsBytes(intent.observed);
    case 'increment':
      if (intent.by > COUNTER_MAX || intent.by < -COUNTER_MAX) {
        throw new CausewayError('INVALID_ARGUMENT', `an increment is within ±(2^63 - 1); got ${intent.by}`);
      }
      return 24;
    case 'set-add':
    case 'set-remove': {
      const { elements } = intent;
      if (elements.length === 0)
        throw new CausewayError('INVALID_ARGUMENT', 'a change of a set names at least one element');
      if (elements.length > ELEMENTS_MAX)
        throw tooLarge('one change of a set', 'elements', ELEMENTS_MAX, elements.length);
      if (intent.kind === 'set-add') checkTime('expiresAtMs', intent.expiresAtMs);
      let sum = 8;
      for (const element of elements) {
        if (element.length > ELEMENT_BYTES_MAX) {
          throw tooLarge('an element of a set', 'bytes', ELEMENT_BYTES_MAX, element.length);
        }
        sum += element.length + 4;
      }
      return sum;
    }
    case 'map-update': {
      const fields = intent.put.length + intent.remove.length;
      if (fields === 0) throw new CausewayError('INVALID_ARGUMENT', 'a change of a map names at least one field');
      if (fields > ELEMENTS_MAX) throw tooLarge('one change of a map', 'fields', ELEMENTS_MAX, fields);
      let sum = 8;
      for (const { field, value, expiresAtMs } of intent.put) {
        checkTime('expiresAtMs', expiresAtMs);
        if (value.length > VALUE_BYTES_MAX) throw tooLarge("a field's value", 'bytes', VALUE_BYTES_MAX, value.length);
        sum += fieldBytes(field) + value.length + 24;
      }
      for (const field of intent.remove) sum += fieldBytes(field) + 4;
      return sum;
    }
  }
}

function checkTime(what: string, unixMs: number | undefined): void {
  if (unixMs === undefined || (Number.isSafeInteger(unixMs) && unixMs > 0)) return;
  throw new CausewayError('INVALID_ARGUMENT', `${what} is Unix time in whole milliseconds; got ${unixMs}`);
}

function fieldBytes(field: string): number {
  if (field.length === 0) throw new CausewayError('INVALID_ARGUMENT', 'a field has a name of at least one byte');
  const bytes = field.length * 3;
  if (bytes > ELEMENT_BYTES_MAX && Buffer.byteLength(field) > ELEMENT_BYTES_MAX) {
    throw tooLarge("a field's name", 'bytes', ELEMENT_BYTES_MAX, Buffer.byteLength(field));
  }
  return bytes;
}

function dotsBytes(dots: readonly { readonly origin: string }[] | undefined): number {
  return dots === undefined ? 0 : 8 + dots.length * 160;
}

function encodeIntent(into: WireWriter, intent: Intent): void {
  switch (intent.kind) {
    case 'put':
      into.bytes(PUT, intent.value);
      if (intent.expiresAtMs !== undefined) into.uint(EXPIRES, intent.expiresAtMs);
      encodeObserved(into, intent.observed);
      break;
    case 'delete':
      into.uint(DELETE, 1);
      encodeObserved(into, intent.observed);
      break;
    case 'increment':
      into.text(INCREMENT, intent.by.toString());
      break;
    case 'set-add':
    case 'set-remove': {
      const width = lengthBytes(intentBytes(intent));
      const begun = into.begin(intent.kind === 'set-add' ? SET_ADD : SET_REMOVE, width);
      for (const element of intent.elements) into.bytes(wireTag(1, WIRE_LEN), element);
      into.end(begun, width);
      if (intent.kind === 'set-add' && intent.expiresAtMs !== undefined) into.uint(EXPIRES, intent.expiresAtMs);
      break;
    }
    case 'map-update': {
      const width = lengthBytes(intentBytes(intent));
      const begun = into.begin(MAP_UPDATE, width);
      for (const { field, value, expiresAtMs } of intent.put) {
        const entryWidth = lengthBytes(field.length * 3 + value.length + 24);
        const entry = into.begin(wireTag(1, WIRE_LEN), entryWidth);
        into.text(wireTag(1, WIRE_LEN), field);
        into.bytes(wireTag(2, WIRE_LEN), value);
        if (expiresAtMs !== undefined) into.uint(wireTag(3, WIRE_VARINT), expiresAtMs);
        into.end(entry, entryWidth);
      }
      for (const field of intent.remove) into.text(wireTag(2, WIRE_LEN), field);
      into.end(begun, width);
      break;
    }
  }
}

function encodeObserved(
  into: WireWriter,
  dots: readonly { readonly origin: string; readonly seq: number }[] | undefined,
): void {
  if (dots === undefined) return;
  const width = lengthBytes(dotsBytes(dots));
  const begun = into.begin(OBSERVED, width);
  for (const { origin, seq } of dots) {
    const dot = into.begin(wireTag(1, WIRE_LEN), 2);
    into.text(wireTag(1, WIRE_LEN), origin);
    into.uint(wireTag(2, WIRE_VARINT), seq);
    into.end(dot, 2);
  }
  into.end(begun, width);
}

function encodeCondition(into: WireWriter, condition: Condition): void {
  switch (condition.kind) {
    case 'absent':
      into.uint(IF_ABSENT, 1);
      break;
    case 'exists':
      into.uint(IF_EXISTS, 1);
      break;
    case 'version': {
      const begun = into.begin(IF_VERSION, 2);
      into.text(wireTag(1, WIRE_LEN), condition.version.origin);
      into.uint(wireTag(2, WIRE_VARINT), condition.version.seq);
      into.uint(wireTag(3, WIRE_VARINT), condition.version.stamp);
      into.end(begun, 2);
      break;
    }
  }
}
