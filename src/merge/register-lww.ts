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

/** A class, and its own version: there is one for each key that is in memory, and a new one for each op. */
export class RegisterLww implements Version {
  readonly origin: OriginId;
  readonly seq: number;
  /** The stamp in two halves: V8 would keep one number of 53 bits in an object of its own, and to fetch that from memory is what
   *  comparing versions costs. */
  readonly stampHigh: number;
  readonly stampLow: number;
  /** The value's bytes as characters 0 to 255; undefined: deleted. A text, because V8 holds it in one piece of exactly its size, where
   *  a Buffer is three objects and keeps the memory of its neighbours alive. */
  readonly content: string | undefined;
  readonly expiresAtMs: number | undefined;

  constructor(version: Version, content: string | undefined, expiresAtMs: number | undefined) {
    this.origin = version.origin;
    this.seq = version.seq;
    this.stampHigh = Math.floor(version.stamp / STAMP_LOW);
    this.stampLow = version.stamp % STAMP_LOW;
    this.content = content;
    this.expiresAtMs = expiresAtMs;
  }

  get stamp(): number {
    return this.stampHigh * STAMP_LOW + this.stampLow;
  }
}

/** Is the state of a higher version than the op, or of the same? */
function covers(state: RegisterLww, { stamp, origin }: Version): boolean {
  const high = Math.floor(stamp / STAMP_LOW);
  if (high !== state.stampHigh) return high < state.stampHigh;
  const low = stamp % STAMP_LOW;
  if (low !== state.stampLow) return low < state.stampLow;
  return origin <= state.origin;
}

function valueOf(state: RegisterLww): Buffer | undefined {
  return state.content === undefined ? undefined : Buffer.from(state.content, 'latin1');
}

function versionOf({ origin, seq, stamp }: RegisterLww): Version {
  return { origin, seq, stamp };
}

const PUT = 1;
const PUT_EXPIRING = 2;
const DELETE = 3;

const FLAG_VALUE = 1;
const FLAG_EXPIRY = 2;

/** Both halves of a stamp are small integers to V8: below 2^31. */
const STAMP_LOW = 2 ** 31;

const NOTHING_LIVE: readonly LivePart[] = [];

function prepare(_state: RegisterLww | undefined, intent: Intent): Uint8Array {
  if (intent.kind === 'delete') return Buffer.of(DELETE);
  if (intent.kind !== 'put') throw wrongOperation('register-lww', ['put', 'delete'], intent);
  checkValue(intent.value);
  checkExpiry(intent.expiresAtMs);
  const writer = scratchWriter();
  if (intent.expiresAtMs === undefined) writer.u8(PUT);
  else writer.u8(PUT_EXPIRING).varint(intent.expiresAtMs);
  return writer.raw(intent.value).finish();
}

function readExpiring(payload: Uint8Array): { expiresAtMs: number; valueAt: number } {
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
  if (state !== undefined && covers(state, op.version)) return { state };
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

function encode(state: RegisterLww, writer: ByteWriter): void {
  const { content, expiresAtMs } = state;
  writer.u8(1).u8((content === undefined ? 0 : FLAG_VALUE) | (expiresAtMs === undefined ? 0 : FLAG_EXPIRY));
  writeVersion(writer, state);
  if (expiresAtMs !== undefined) writer.varint(expiresAtMs);
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
