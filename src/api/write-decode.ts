// WriteRequest and WriteStreamRequest: a walk over their bytes straight into what the region takes.
// There is one object per op and one per intent, and no message object in between: this runs for every op that a client writes.
// What is wrong with one op fails that op; what is wrong with the bytes or the request fails the request.
// test/api/write-decode.test.ts compares it with the generated decoder.

import protobuf from 'protobufjs';
import { CausewayError } from '../errors/errors.ts';
import { LIMITS, type Intent } from '../merge/types.ts';
import { INCARNATION_MAX, isOriginId, type Dot, type Version } from '../record/ids.ts';
import { IDEMPOTENCY_KEY_BYTES_MAX, TRACE_BYTES, type Idempotency } from '../record/op.ts';
import { messageType } from '../proto/load.ts';
import type { SessionToken__Output } from '../proto/generated/causeway/v1/SessionToken.ts';
import type { Condition, Durability, SessionToken, WriteOp } from '../region/region.ts';
import { checkKey, checkName, tooLarge, type ApiLimits } from './limits.ts';
import { sessionFromMessage, TOKEN_BYTES_MAX } from './tokens.ts';

const COLLECTIONS_MAX = 256;
const DOTS_MAX = 1024;
const INCREMENT_PATTERN = /^-?[0-9]{1,19}$/;

export interface DecodedWrite {
  readonly namespace: string;
  /** Number of ops in the request. */
  readonly count: number;
  /** The ops that are well formed, in order. */
  readonly ops: readonly WriteOp[];
  /** Per op of `ops`, its index in the request; undefined when all are well formed. */
  readonly positions: readonly number[] | undefined;
  /** The others, by their index in the request. */
  readonly invalid: ReadonlyMap<number, CausewayError>;
  readonly durability: Durability;
  readonly deadlineMs: number;
  readonly session: SessionToken | undefined;
  readonly seenStamp: number | undefined;
  readonly wantVersions: boolean;
  readonly wantValues: boolean;
}

/** What decoding needs to know of the node. */
export interface DecodeContext {
  readonly limits: ApiLimits;
  /** Empty: not checked. */
  readonly clusterId: string;
  /** Throws CausewayError when the request may not be served: unknown namespace, no permission. */
  admit(namespace: string): void;
  /** What is wrong with a collection's name; asked once per request and collection. */
  collectionError(namespace: string, name: string): CausewayError | undefined;
}

export interface DecodedStreamWrite {
  /** Or why nothing of it was tried. */
  readonly write: DecodedWrite | CausewayError;
  readonly requestId: number;
  readonly epoch: number;
}

interface MutableOp {
  namespace: string;
  collection: string;
  key: string;
  intent: Intent;
  condition: Condition | undefined;
  idempotency: Idempotency | undefined;
  issuedAtMs: number | undefined;
  trace: Uint8Array | undefined;
}

const NO_INTENT: Intent = { kind: 'delete' };
const NONE: ReadonlyMap<number, CausewayError> = new Map();

/** Throws CausewayError INVALID_ARGUMENT or TOO_LARGE. */
export function decodeWrite(bytes: Uint8Array, context: DecodeContext): DecodedWrite {
  try {
    return readWrite(protobuf.Reader.create(bytes), bytes.length, context);
  } catch (error) {
    throw malformed('WriteRequest', error);
  }
}

/** Throws CausewayError INVALID_ARGUMENT when the bytes do not decode, so that there is no request to answer. */
export function decodeStreamWrite(bytes: Uint8Array, context: DecodeContext): DecodedStreamWrite {
  try {
    const reader = protobuf.Reader.create(bytes);
    let write: DecodedWrite | CausewayError | undefined;
    let requestId = 0;
    let epoch = 0;
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 10) write = readStreamWrite(reader, context);
      else if (tag === 16) requestId = uint53(reader, 'request_id');
      else if (tag === 24) epoch = reader.uint32();
      else reader.skipType(tag & 7);
    }
    if (write === undefined) throw new CausewayError('INVALID_ARGUMENT', 'a WriteStreamRequest has a write');
    return { write, requestId, epoch };
  } catch (error) {
    throw malformed('WriteStreamRequest', error);
  }
}

/** What is wrong with the request must not hide its id, which stands behind it. */
function readStreamWrite(reader: protobuf.Reader, context: DecodeContext): DecodedWrite | CausewayError {
  const end = endOf(reader);
  try {
    return readWrite(reader, end, context);
  } catch (error) {
    if (!(error instanceof CausewayError)) throw error;
    reader.pos = end;
    return error;
  }
}

function malformed(type: string, error: unknown): CausewayError {
  if (error instanceof CausewayError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new CausewayError('INVALID_ARGUMENT', `these bytes are no causeway.v1.${type}: ${reason}`);
}

/** Reads a length; returns where the nested message ends. */
function endOf(reader: protobuf.Reader): number {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError(`a field of ${length} bytes where ${reader.len - reader.pos} are left`);
  return end;
}

/** A nested message that read past its own end has eaten what follows it. */
function checkEnd(reader: protobuf.Reader, end: number): void {
  if (reader.pos !== end) throw new RangeError('a nested message that is longer than its length says');
}

function uint53(reader: protobuf.Reader, what: string): number {
  // Without Long (src/proto/load.ts) this is a number; above 2^53 it is not exact and is refused.
  const value = reader.uint64() as unknown as number;
  if (!Number.isSafeInteger(value)) throw new CausewayError('INVALID_ARGUMENT', `${what} is at most 2^53 - 1`);
  return value;
}

function readWrite(reader: protobuf.Reader, end: number, context: DecodeContext): DecodedWrite {
  const opsMax = context.limits.opsPerRequestMax;
  let namespace = '';
  const collections: string[] = [];
  const slots: (MutableOp | CausewayError)[] = [];
  /** Per slot, its index in `collections`: the dictionary may follow the ops that use it. */
  const collectionOf: number[] = [];
  let durability = 0;
  let durableRegions = 0;
  let deadlineMs = 0;
  let session: SessionToken | undefined;
  let seenStamp: number | undefined;
  let producer = 0;
  let issuedAtMs = 0;
  let wantVersions = false;
  let wantValues = false;

  while (reader.pos < end) {
    const tag = reader.uint32();
    switch (tag) {
      case 26:
        if (slots.length >= opsMax) {
          throw new CausewayError('TOO_LARGE', `a write has at most ${opsMax} ops; this one has more`, {
            details: { limit: opsMax },
            hint: 'send several writes',
          });
        }
        slots.push(readOp(reader, collectionOf));
        break;
      case 10:
        namespace = reader.string();
        break;
      case 18:
        if (collections.length >= COLLECTIONS_MAX)
          throw tooLarge('a write', 'collections', COLLECTIONS_MAX, COLLECTIONS_MAX + 1);
        collections.push(reader.string());
        break;
      case 32:
        durability = reader.uint32();
        break;
      case 40:
        durableRegions = reader.uint32();
        break;
      case 48:
        deadlineMs = reader.uint32();
        break;
      case 58: {
        const length = endOf(reader) - reader.pos;
        if (length > TOKEN_BYTES_MAX) throw tooLarge('a session token', 'bytes', TOKEN_BYTES_MAX, length);
        const type = messageType('causeway.v1.SessionToken');
        session = sessionFromMessage(type.decode(reader, length) as unknown as SessionToken__Output, context.clusterId);
        break;
      }
      case 96:
        seenStamp = uint53(reader, 'seen_stamp');
        break;
      case 64:
        producer = uint53(reader, 'producer_id');
        break;
      case 72:
        issuedAtMs = uint53(reader, 'issued_at_ms');
        break;
      case 80:
        wantVersions = reader.bool();
        break;
      case 88:
        wantValues = reader.bool();
        break;
      default:
        reader.skipType(tag & 7);
    }
  }
  checkEnd(reader, end);
  if (slots.length === 0)
    throw new CausewayError('INVALID_ARGUMENT', 'a write has at least one op', { details: { field: 'ops' } });
  if (producer > INCARNATION_MAX)
    throw new CausewayError('INVALID_ARGUMENT', 'producer_id has at most 48 bits', {
      details: { field: 'producer_id' },
    });
  const nameError = checkName('namespace', namespace);
  if (nameError !== undefined) throw nameError;
  context.admit(namespace);
  const collectionErrors = collections.map((name) => context.collectionError(namespace, name));

  let invalid: Map<number, CausewayError> | undefined;
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i] as MutableOp | CausewayError;
    let error: CausewayError | undefined;
    if (slot instanceof CausewayError) {
      error = slot;
    } else {
      const at = collectionOf[i] as number;
      const collection = collections[at];
      if (collection === undefined) {
        error = new CausewayError('INVALID_ARGUMENT', `the op names collection ${at} of ${collections.length}`);
      } else {
        error = collectionErrors[at];
        slot.namespace = namespace;
        slot.collection = collection;
        if (slot.issuedAtMs === undefined && issuedAtMs !== 0) slot.issuedAtMs = issuedAtMs;
        if (slot.idempotency?.kind === 'producer') {
          if (producer === 0)
            error = new CausewayError('INVALID_ARGUMENT', 'producer_seq needs the producer_id of the request');
          (slot.idempotency as { producer: number }).producer = producer;
        }
      }
    }
    if (error !== undefined) (invalid ??= new Map()).set(i, error);
  }

  let ops = slots as WriteOp[];
  let positions: number[] | undefined;
  if (invalid !== undefined) {
    positions = [];
    ops = [];
    for (let i = 0; i < slots.length; i++) {
      if (invalid.has(i)) continue;
      positions.push(i);
      ops.push(slots[i] as WriteOp);
    }
  }
  return {
    namespace,
    count: slots.length,
    ops,
    positions,
    invalid: invalid ?? NONE,
    durability: durabilityOf(durability, durableRegions),
    deadlineMs,
    session,
    seenStamp,
    wantVersions,
    wantValues,
  };
}

function durabilityOf(kind: number, regions: number): Durability {
  switch (kind) {
    case 0:
    case 1:
      return { kind: 'local' };
    case 2:
      if (regions < 1 || regions > 1000)
        throw new CausewayError('INVALID_ARGUMENT', `durable_regions is 1 or more; got ${regions}`, {
          details: { field: 'durable_regions' },
        });
      return { kind: 'regions', n: regions };
    case 3:
      return { kind: 'applied' };
    default:
      // A newer client asks for a promise that this node does not know: never give less than was asked for.
      throw new CausewayError('INVALID_ARGUMENT', `durability ${kind} is not known to this node`, {
        details: { field: 'durability' },
      });
  }
}

/** One op, or what is wrong with it. Always reads to its end, so that the next op can be read. */
function readOp(reader: protobuf.Reader, collectionOf: number[]): MutableOp | CausewayError {
  const end = endOf(reader);
  let collection = 0;
  let key = '';
  let intents = 0;
  let intent: Intent = NO_INTENT;
  let elements: Uint8Array[] | undefined;
  let expiresAtMs = 0;
  let observed: Dot[] | undefined;
  let conditions = 0;
  let condition: Condition | undefined;
  let idempotency: Idempotency | undefined;
  let issuedAtMs = 0;
  let trace: Uint8Array | undefined;
  let error: CausewayError | undefined;

  while (reader.pos < end) {
    const tag = reader.uint32();
    switch (tag) {
      case 8:
        collection = reader.uint32();
        break;
      case 18:
        key = reader.string();
        break;
      case 26: {
        const value = reader.bytes();
        intents += 1;
        intent = { kind: 'put', value };
        if (value.length > LIMITS.valueBytesMax)
          error ??= tooLarge('a value', 'bytes', LIMITS.valueBytesMax, value.length);
        break;
      }
      case 32:
        intents += reader.bool() ? 1 : 0;
        intent = NO_INTENT;
        break;
      case 42: {
        const text = reader.string();
        intents += 1;
        const by = INCREMENT_PATTERN.test(text) ? BigInt(text) : undefined;
        if (by === undefined || by > LIMITS.counterMax || by < -LIMITS.counterMax) {
          error ??= new CausewayError(
            'INVALID_ARGUMENT',
            `an increment is a decimal integer within ±(2^63 - 1); got '${text.slice(0, 40)}'`,
          );
        } else {
          intent = { kind: 'increment', by };
        }
        break;
      }
      case 50:
      case 58: {
        elements = readElements(reader);
        intents += 1;
        intent = tag === 50 ? { kind: 'set-add', elements } : { kind: 'set-remove', elements };
        error ??= checkElements(elements);
        break;
      }
      case 66: {
        const update = readMapUpdate(reader);
        intents += 1;
        intent = update;
        error ??= checkMapUpdate(update);
        break;
      }
      case 72:
        expiresAtMs = uint53(reader, 'expires_at_ms');
        break;
      case 82:
        observed = readDots(reader);
        if (observed.length > DOTS_MAX) error ??= tooLarge('observed', 'dots', DOTS_MAX, observed.length);
        else if (!observed.every(validDot))
          error ??= new CausewayError('INVALID_ARGUMENT', 'observed names a dot that no node gave');
        break;
      case 88:
        if (reader.bool()) {
          conditions += 1;
          condition = { kind: 'absent' };
        }
        break;
      case 96:
        if (reader.bool()) {
          conditions += 1;
          condition = { kind: 'exists' };
        }
        break;
      case 106: {
        const version = readVersion(reader);
        conditions += 1;
        condition = { kind: 'version', version };
        if (!validDot(version))
          error ??= new CausewayError('INVALID_ARGUMENT', 'if_version is a version that no node gave');
        break;
      }
      case 112:
        idempotency = { kind: 'producer', producer: 0, seq: uint53(reader, 'producer_seq') };
        if (idempotency.seq === 0) error ??= new CausewayError('INVALID_ARGUMENT', 'producer_seq counts from 1');
        break;
      case 122: {
        const own = reader.string();
        idempotency = { kind: 'key', key: own };
        const length = Buffer.byteLength(own);
        if (length === 0 || length > IDEMPOTENCY_KEY_BYTES_MAX) {
          error ??= new CausewayError(
            length === 0 ? 'INVALID_ARGUMENT' : 'TOO_LARGE',
            `an idempotency key has 1 to ${IDEMPOTENCY_KEY_BYTES_MAX} bytes; this one has ${length}`,
          );
        }
        break;
      }
      case 128:
        issuedAtMs = uint53(reader, 'issued_at_ms');
        break;
      case 138: {
        const bytes = reader.bytes();
        if (bytes.length === TRACE_BYTES) trace = bytes;
        else if (bytes.length !== 0) {
          error ??= new CausewayError(
            'INVALID_ARGUMENT',
            `a trace context has ${TRACE_BYTES} bytes; this one has ${bytes.length}`,
          );
        }
        break;
      }
      default:
        reader.skipType(tag & 7);
    }
  }
  checkEnd(reader, end);
  collectionOf.push(collection);

  error ??= checkKey(key);
  if (intents !== 1) {
    error ??= new CausewayError('INVALID_ARGUMENT', `an op has exactly one intent; this one has ${intents}`, {
      hint: intents === 0 ? 'a newer client may ask for something that this node does not know' : 'send several ops',
    });
  }
  if (conditions > 1)
    error ??= new CausewayError('INVALID_ARGUMENT', `an op has at most one condition; this one has ${conditions}`);
  if (expiresAtMs !== 0) {
    if (intent.kind === 'put' || intent.kind === 'set-add') intent = { ...intent, expiresAtMs };
    else error ??= new CausewayError('INVALID_ARGUMENT', 'expires_at_ms goes with put and set_add only');
  }
  if (observed !== undefined) {
    if (intent.kind === 'put' || intent.kind === 'delete') intent = { ...intent, observed };
    else error ??= new CausewayError('INVALID_ARGUMENT', 'observed goes with put and delete only');
  }
  if (error !== undefined) return error;
  return {
    namespace: '',
    collection: '',
    key,
    intent,
    condition,
    idempotency,
    issuedAtMs: issuedAtMs === 0 ? undefined : issuedAtMs,
    trace,
  };
}

function readElements(reader: protobuf.Reader): Uint8Array[] {
  const end = endOf(reader);
  const elements: Uint8Array[] = [];
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 10) elements.push(reader.bytes());
    else reader.skipType(tag & 7);
  }
  checkEnd(reader, end);
  return elements;
}

function checkElements(elements: readonly Uint8Array[]): CausewayError | undefined {
  if (elements.length === 0)
    return new CausewayError('INVALID_ARGUMENT', 'a change of a set names at least one element');
  if (elements.length > LIMITS.setElementsPerOpMax) {
    return tooLarge('one change of a set', 'elements', LIMITS.setElementsPerOpMax, elements.length, 'send several ops');
  }
  for (const element of elements) {
    if (element.length > LIMITS.setElementBytesMax) {
      return tooLarge('an element of a set', 'bytes', LIMITS.setElementBytesMax, element.length);
    }
  }
  return undefined;
}

type MapUpdateIntent = Extract<Intent, { kind: 'map-update' }>;
type MapPut = MapUpdateIntent['put'][number];

function readMapUpdate(reader: protobuf.Reader): MapUpdateIntent {
  const end = endOf(reader);
  const put: MapPut[] = [];
  const remove: string[] = [];
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 10) put.push(readMapField(reader));
    else if (tag === 18) remove.push(reader.string());
    else reader.skipType(tag & 7);
  }
  checkEnd(reader, end);
  return { kind: 'map-update', put, remove };
}

function readMapField(reader: protobuf.Reader): MapPut {
  const end = endOf(reader);
  let field = '';
  let value: Uint8Array = new Uint8Array(0);
  let expiresAtMs = 0;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 10) field = reader.string();
    else if (tag === 18) value = reader.bytes();
    else if (tag === 24) expiresAtMs = uint53(reader, 'expires_at_ms');
    else reader.skipType(tag & 7);
  }
  checkEnd(reader, end);
  return expiresAtMs === 0 ? { field, value } : { field, value, expiresAtMs };
}

function checkMapUpdate(update: MapUpdateIntent): CausewayError | undefined {
  const fields = update.put.length + update.remove.length;
  if (fields === 0) return new CausewayError('INVALID_ARGUMENT', 'a change of a map names at least one field');
  if (fields > LIMITS.mapFieldsPerOpMax) {
    return tooLarge('one change of a map', 'fields', LIMITS.mapFieldsPerOpMax, fields, 'send several ops');
  }
  for (const { field, value } of update.put) {
    const error = checkField(field);
    if (error !== undefined) return error;
    if (value.length > LIMITS.valueBytesMax)
      return tooLarge("a field's value", 'bytes', LIMITS.valueBytesMax, value.length);
  }
  for (const field of update.remove) {
    const error = checkField(field);
    if (error !== undefined) return error;
  }
  return undefined;
}

function checkField(field: string): CausewayError | undefined {
  if (field.length === 0) return new CausewayError('INVALID_ARGUMENT', 'a field has a name of at least one byte');
  const bytes = field.length * 3 > LIMITS.mapFieldBytesMax ? Buffer.byteLength(field) : 0;
  if (bytes > LIMITS.mapFieldBytesMax) return tooLarge("a field's name", 'bytes', LIMITS.mapFieldBytesMax, bytes);
  if (field.includes('\uFFFD'))
    return new CausewayError('INVALID_ARGUMENT', "a field's name is well-formed UTF-8 without U+FFFD");
  return undefined;
}

function readDots(reader: protobuf.Reader): Dot[] {
  const end = endOf(reader);
  const dots: Dot[] = [];
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 10) dots.push(readVersion(reader));
    else reader.skipType(tag & 7);
  }
  checkEnd(reader, end);
  return dots;
}

/** A Dot is a Version without its stamp, in the messages as well. */
function readVersion(reader: protobuf.Reader): Version {
  const end = endOf(reader);
  let origin = '';
  let seq = 0;
  let stamp = 0;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 10) origin = reader.string();
    else if (tag === 16) seq = uint53(reader, 'seq');
    else if (tag === 24) stamp = uint53(reader, 'stamp');
    else reader.skipType(tag & 7);
  }
  checkEnd(reader, end);
  return { origin: origin as Version['origin'], seq, stamp };
}

function validDot(dot: Dot): boolean {
  return isOriginId(dot.origin) && dot.seq >= 1;
}
