// Last-writer-wins register: the version with the highest (stamp, origin) is the value. A delete is a write without one.
// I3  version order is total, so every region keeps the same version whatever the order of arrival.
// I9  a delete, and an expired version, stay until no lower stamp can arrive.
//
// State                                         Payload
//   u8      state version (1)                     u8 effect, then
//   u8      flags: 1 value, 2 expiry              1 put           the value: all the rest
//   version                                       2 put, expiring varint Unix ms, the value: all the rest
//   varint  Unix ms, with flag 2                  3 delete        (nothing)
//   value: all the rest, with flag 1

import { ByteReader, MalformedBytes, type ByteWriter } from '../record/bytes.ts';
import { compareVersions, type OriginId, type Version } from '../record/ids.ts';
import { covers as hasSeen, type ReadonlyVector } from '../record/vector.ts';
import {
  expiryCollectableAt,
  isLive,
  readExpiry,
  readStateVersion,
  readVersion,
  scratchWriter,
  textOf,
  writeExpiry,
  writeVersion,
} from './codec.ts';
import { checkExpiry, checkValue, wrongOperation } from './refusals.ts';
import type { Applied, Displaced, Intent, LivePart, Merge, OpContext, OpDescription, View } from './types.ts';

/** A class, and its own version. The keys of a shard are in register-table.ts; this is what one of them is outside of it. */
export class RegisterLww implements Version {
  readonly origin: OriginId;
  readonly seq: number;
  readonly stamp: number;
  /** The value's bytes as characters 0 to 255; undefined: deleted. A text, because V8 holds it in one piece of exactly its size, where
   *  a Buffer is three objects and keeps the memory of its neighbours alive. */
  readonly content: string | undefined;
  readonly expiresAtMs: number | undefined;

  constructor(version: Version, content: string | undefined, expiresAtMs: number | undefined) {
    this.origin = version.origin;
    this.seq = version.seq;
    this.stamp = version.stamp;
    this.content = content;
    this.expiresAtMs = expiresAtMs;
  }
}

/** Does the first version displace the second? An op that comes to what it has made already does not. */
export function beats(stamp: number, origin: OriginId, otherStamp: number, otherOrigin: OriginId): boolean {
  return stamp === otherStamp ? origin > otherOrigin : stamp > otherStamp;
}

function valueOf(state: RegisterLww): Buffer | undefined {
  return state.content === undefined ? undefined : Buffer.from(state.content, 'latin1');
}

function versionOf({ origin, seq, stamp }: RegisterLww): Version {
  return { origin, seq, stamp };
}

export const PUT = 1;
export const PUT_EXPIRING = 2;
export const DELETE = 3;

const FLAG_VALUE = 1;
const FLAG_EXPIRY = 2;

const NOTHING_LIVE: readonly LivePart[] = [];

const PUT_HEAD = Uint8Array.of(PUT);
const DELETE_HEAD = Uint8Array.of(DELETE);

/** What stands in front of the value in the payload of an intent; of a delete it is the whole payload. Throws as prepare does. */
export function prepareHead(intent: Intent): Uint8Array {
  if (intent.kind === 'delete') return DELETE_HEAD;
  if (intent.kind !== 'put') throw wrongOperation('register-lww', ['put', 'delete'], intent);
  checkValue(intent.value);
  checkExpiry(intent.expiresAtMs);
  if (intent.expiresAtMs === undefined) return PUT_HEAD;
  return scratchWriter().u8(PUT_EXPIRING).varint(intent.expiresAtMs).finish();
}

function prepare(_state: RegisterLww | undefined, intent: Intent): Uint8Array {
  const head = prepareHead(intent);
  return Buffer.concat(intent.kind === 'put' ? [head, intent.value] : [head]);
}

export function readExpiring(payload: Uint8Array): { expiresAtMs: number; valueAt: number } {
  const reader = new ByteReader(payload, 1);
  const expiresAtMs = readExpiry(reader);
  if (expiresAtMs === undefined) throw new MalformedBytes('an expiring put that never expires');
  return { expiresAtMs, valueAt: reader.at };
}

/** Throws unless the payload is a well-formed delete or put. */
function effectOf(payload: Uint8Array): number {
  const effect = payload[0];
  if (effect === PUT || effect === PUT_EXPIRING) return effect;
  if (effect === DELETE && payload.length === 1) return effect;
  throw new MalformedBytes(`register-lww: effect ${effect} with ${payload.length} bytes is not known here`);
}

function apply(state: RegisterLww | undefined, payload: Uint8Array, op: OpContext): Applied<RegisterLww> {
  const effect = effectOf(payload);
  // Read before the comparison: whether a payload is malformed must not depend on the state that it meets.
  const expiring = effect === PUT_EXPIRING ? readExpiring(payload) : undefined;
  if (state !== undefined && !beats(op.version.stamp, op.version.origin, state.stamp, state.origin)) return { state };
  const content = effect === DELETE ? undefined : textOf(payload, expiring === undefined ? 1 : expiring.valueAt);
  const after = new RegisterLww(op.version, content, expiring?.expiresAtMs);
  return state === undefined ? { state: after } : { state: after, displaced: [new Lost(state)] };
}

/** The value of a loser is only made when somebody asks: hardly any of them is a conflict. */
class Lost implements Displaced {
  readonly #state: RegisterLww;

  constructor(state: RegisterLww) {
    this.#state = state;
  }

  get loser(): Version {
    return this.#state;
  }

  get value(): Uint8Array | undefined {
    return valueOf(this.#state);
  }

  get expiresAtMs(): number | undefined {
    return this.#state.expiresAtMs;
  }
}

function mergeStates(
  a: RegisterLww | undefined,
  aSeen: ReadonlyVector,
  b: RegisterLww | undefined,
  bSeen: ReadonlyVector,
): RegisterLww | undefined {
  // The higher version wins even if the other side has seen it: a side that saw it and collected it since holds nothing
  // lower any more, because collection takes everything up to its floor.
  if (a !== undefined && b !== undefined) return compareVersions(a, b) >= 0 ? a : b;
  if (a !== undefined) return hasSeen(bSeen, a.origin, a.seq) ? undefined : a;
  if (b !== undefined) return hasSeen(aSeen, b.origin, b.seq) ? undefined : b;
  return undefined;
}

function view(state: RegisterLww | undefined, nowMs: number): View | undefined {
  const value = state === undefined || !isLive(state.expiresAtMs, nowMs) ? undefined : valueOf(state);
  if (state === undefined || value === undefined) return undefined;
  const { expiresAtMs } = state;
  const version = versionOf(state);
  return expiresAtMs === undefined
    ? { type: 'register-lww', value, version }
    : { type: 'register-lww', value, version, expiresAtMs };
}

function liveParts(state: RegisterLww): readonly LivePart[] {
  if (state.content === undefined) return NOTHING_LIVE;
  const writer = scratchWriter();
  writeVersion(writer, state);
  writeExpiry(writer, state.expiresAtMs);
  return [{ bytes: writer.latin1(state.content).view(), expiresAtMs: state.expiresAtMs ?? Infinity }];
}

function collectableAt(state: RegisterLww): number | undefined {
  if (state.content === undefined) return state.stamp;
  if (state.expiresAtMs === undefined) return undefined;
  return Math.max(state.stamp, expiryCollectableAt(state.expiresAtMs));
}

function collect(state: RegisterLww, floor: number): RegisterLww | undefined {
  const at = collectableAt(state);
  return at !== undefined && at <= floor ? undefined : state;
}

/** A state's bytes up to its value. */
export function encodeHead(
  writer: ByteWriter,
  version: Version,
  hasValue: boolean,
  expiresAtMs: number | undefined,
): void {
  writer.u8(1).u8((hasValue ? FLAG_VALUE : 0) | (expiresAtMs === undefined ? 0 : FLAG_EXPIRY));
  writeVersion(writer, version);
  if (expiresAtMs !== undefined) writer.varint(expiresAtMs);
}

function encode(state: RegisterLww, writer: ByteWriter): void {
  const { content, expiresAtMs } = state;
  encodeHead(writer, state, content !== undefined, expiresAtMs);
  if (content !== undefined) writer.latin1(content);
}

function decode(bytes: Uint8Array): RegisterLww {
  const reader = new ByteReader(bytes);
  readStateVersion(reader, 1, 'register-lww');
  const flags = reader.u8();
  if ((flags & ~(FLAG_VALUE | FLAG_EXPIRY)) !== 0) throw new MalformedBytes(`register-lww: state flags ${flags}`);
  const version = readVersion(reader);
  const expiresAtMs = (flags & FLAG_EXPIRY) === 0 ? undefined : readExpiry(reader);
  const content = (flags & FLAG_VALUE) === 0 ? undefined : reader.latin1(reader.left);
  if (
    (expiresAtMs !== undefined) !== ((flags & FLAG_EXPIRY) !== 0) ||
    (content === undefined && expiresAtMs !== undefined)
  ) {
    throw new MalformedBytes('register-lww: an expiry of nothing, or at 0');
  }
  reader.end('a register-lww state');
  return new RegisterLww(version, content, expiresAtMs);
}

function check(payload: Uint8Array): void {
  if (effectOf(payload) === PUT_EXPIRING) readExpiring(payload);
}

function describe(payload: Uint8Array): OpDescription {
  const effect = effectOf(payload);
  if (effect === DELETE) return { kind: 'delete' };
  if (effect === PUT) return { kind: 'put', value: payload.subarray(1) };
  const { expiresAtMs, valueAt } = readExpiring(payload);
  return { kind: 'put', value: payload.subarray(valueAt), expiresAtMs };
}

export const registerLww: Merge<RegisterLww> = {
  name: 'register-lww',
  stateVersion: 1,
  prepare,
  apply,
  mergeStates,
  view,
  liveParts,
  collectableAt,
  collect,
  encode,
  decode,
  describe,
  check,
};
