// Multi-value register: concurrent writes are kept side by side (siblings) until a write that has seen them replaces them.
// I3  a write names the dots that it replaces; causal delivery brings those first, so no tombstone is needed (I9).
//
// State                                              Payload
//   u8      state version (1)                          u8 effect, then
//   origins                                            1 put     dots (replaced), expiry, the value: all the rest
//   varint  count of siblings, each:                   2 delete  dots (replaced)
//     varint origin index, varint seq, u64 stamp,
//     expiry, blob value
// Siblings stand in version order, lowest first.

import { ByteReader, MalformedBytes, type ByteWriter } from '../record/bytes.ts';
import { compareVersions, type Version } from '../record/ids.ts';
import { covers, type ReadonlyVector } from '../record/vector.ts';
import {
  copyFrom,
  DotSet,
  expiryCollectableAt,
  isLive,
  lowest,
  OriginTable,
  readCount,
  readExpiry,
  readOriginIndex,
  readOrigins,
  readSeq,
  readStamp,
  readStateVersion,
  sameDot,
  scratchWriter,
  writeExpiry,
  writeVersion,
} from './codec.ts';
import { checkExpiry, checkStateBytes, checkValue, tooLarge, wrongOperation } from './refusals.ts';
import {
  LIMITS,
  type Applied,
  type Intent,
  type LivePart,
  type Merge,
  type OpContext,
  type OpDescription,
  type View,
} from './types.ts';

export interface Sibling {
  readonly version: Version;
  readonly value: Uint8Array;
  readonly expiresAtMs: number | undefined;
}

export interface RegisterMv {
  /** At least one, in version order. */
  readonly siblings: readonly Sibling[];
}

const PUT = 1;
const DELETE = 2;
const SIBLING_BYTES_MIN = 12;

function stateOf(siblings: readonly Sibling[]): RegisterMv | undefined {
  return siblings.length === 0 ? undefined : { siblings };
}

function prepare(state: RegisterMv | undefined, intent: Intent): Uint8Array {
  if (intent.kind !== 'put' && intent.kind !== 'delete') throw wrongOperation('register-mv', ['put', 'delete'], intent);
  const here = state?.siblings ?? [];
  // Only what is here: a dot that the writer read in another region and that has not arrived yet is not among the op's
  // deps, so some region may apply it after this op and others before, and they would differ. It will be a sibling.
  const observed = DotSet.of(intent.observed ?? here.map((sibling) => sibling.version));
  const replaced = here.filter((sibling) => observed.has(sibling.version));
  const writer = scratchWriter();
  if (intent.kind === 'delete') {
    writer.u8(DELETE);
    DotSet.of(replaced.map((sibling) => sibling.version)).write(writer);
    return writer.finish();
  }
  checkValue(intent.value);
  checkExpiry(intent.expiresAtMs);
  checkSiblings(
    here.filter((sibling) => !observed.has(sibling.version)),
    intent.value.length,
  );
  writer.u8(PUT);
  DotSet.of(replaced.map((sibling) => sibling.version)).write(writer);
  writeExpiry(writer, intent.expiresAtMs);
  return writer.raw(intent.value).finish();
}

function checkSiblings(kept: readonly Sibling[], bytes: number): void {
  if (kept.length === 0) return;
  if (kept.length >= LIMITS.siblingsMax) {
    const hint = 'Read the key, resolve its siblings, and write the result with the dots that were read.';
    throw tooLarge('a register-mv key', kept.length + 1, LIMITS.siblingsMax, 'siblings', hint);
  }
  checkStateBytes(kept.reduce((sum, sibling) => sum + sibling.value.length, bytes));
}

type Effect =
  | { readonly kind: 'delete'; readonly replaced: DotSet }
  | {
      readonly kind: 'put';
      readonly replaced: DotSet;
      readonly expiresAtMs: number | undefined;
      readonly valueAt: number;
    };

function readEffect(payload: Uint8Array): Effect {
  const reader = new ByteReader(payload);
  const effect = reader.u8();
  if (effect !== PUT && effect !== DELETE) throw new MalformedBytes(`register-mv: effect ${effect} is not known here`);
  const replaced = DotSet.read(reader);
  if (effect === PUT) return { kind: 'put', replaced, expiresAtMs: readExpiry(reader), valueAt: reader.at };
  reader.end('a register-mv delete');
  return { kind: 'delete', replaced };
}

function apply(state: RegisterMv | undefined, payload: Uint8Array, op: OpContext): Applied<RegisterMv> {
  const effect = readEffect(payload);
  const siblings = (state?.siblings ?? []).filter(
    (sibling) => !effect.replaced.has(sibling.version) && !sameDot(sibling.version, op.version),
  );
  if (effect.kind === 'put') {
    const { expiresAtMs, valueAt } = effect;
    siblings.push({ version: op.version, value: copyFrom(payload, valueAt), expiresAtMs });
    siblings.sort(byVersion);
  }
  return { state: stateOf(siblings) };
}

function byVersion(a: Sibling, b: Sibling): number {
  return compareVersions(a.version, b.version);
}

function mergeStates(
  a: RegisterMv | undefined,
  aSeen: ReadonlyVector,
  b: RegisterMv | undefined,
  bSeen: ReadonlyVector,
): RegisterMv | undefined {
  const inA = a?.siblings ?? [];
  const inB = b?.siblings ?? [];
  const merged = inA.filter(({ version }) => hasDot(inB, version) || !covers(bSeen, version.origin, version.seq));
  for (const sibling of inB) {
    const { version } = sibling;
    if (!hasDot(inA, version) && !covers(aSeen, version.origin, version.seq)) merged.push(sibling);
  }
  return stateOf(merged.sort(byVersion));
}

function hasDot(siblings: readonly Sibling[], version: Version): boolean {
  return siblings.some((sibling) => sameDot(sibling.version, version));
}

function view(state: RegisterMv | undefined, nowMs: number): View | undefined {
  const live = (state?.siblings ?? []).filter((sibling) => isLive(sibling.expiresAtMs, nowMs));
  if (live.length === 0) return undefined;
  return { type: 'register-mv', siblings: live.map(({ value, version }) => ({ value, version })) };
}

function liveParts(state: RegisterMv): readonly LivePart[] {
  return state.siblings.map(({ version, value, expiresAtMs }) => {
    const writer = scratchWriter();
    writeVersion(writer, version);
    writeExpiry(writer, expiresAtMs);
    return { bytes: writer.raw(value).finish(), expiresAtMs: expiresAtMs ?? Infinity };
  });
}

function siblingCollectableAt({ version, expiresAtMs }: Sibling): number | undefined {
  return expiresAtMs === undefined ? undefined : Math.max(version.stamp, expiryCollectableAt(expiresAtMs));
}

function collectableAt(state: RegisterMv): number | undefined {
  let at: number | undefined;
  for (const sibling of state.siblings) at = lowest(at, siblingCollectableAt(sibling));
  return at;
}

function collect(state: RegisterMv, floor: number): RegisterMv | undefined {
  const kept = state.siblings.filter((sibling) => (siblingCollectableAt(sibling) ?? Infinity) > floor);
  return kept.length === state.siblings.length ? state : stateOf(kept);
}

function encode(state: RegisterMv, writer: ByteWriter): void {
  const origins = new OriginTable();
  for (const { version } of state.siblings) origins.add(version.origin);
  writer.u8(1);
  origins.write(writer);
  writer.varint(state.siblings.length);
  for (const { version, value, expiresAtMs } of state.siblings) {
    writer.varint(origins.index(version.origin)).varint(version.seq).u64(version.stamp);
    writeExpiry(writer, expiresAtMs);
    writer.blob(value);
  }
}

function decode(bytes: Uint8Array): RegisterMv {
  const reader = new ByteReader(bytes);
  readStateVersion(reader, 1, 'register-mv');
  const origins = readOrigins(reader);
  const siblings: Sibling[] = [];
  for (let left = readCount(reader, SIBLING_BYTES_MIN, 'siblings'); left > 0; left--) {
    const origin = readOriginIndex(reader, origins);
    const version = { origin, seq: readSeq(reader), stamp: readStamp(reader) };
    const expiresAtMs = readExpiry(reader);
    const before = siblings.at(-1);
    if (before !== undefined && compareVersions(before.version, version) >= 0) {
      throw new MalformedBytes('register-mv: siblings out of order');
    }
    siblings.push({ version, value: reader.blob(), expiresAtMs });
  }
  if (siblings.length === 0) throw new MalformedBytes('register-mv: a state without siblings');
  reader.end('a register-mv state');
  return { siblings };
}

function describe(payload: Uint8Array): OpDescription {
  const effect = readEffect(payload);
  if (effect.kind === 'delete') return { kind: 'delete' };
  const value = payload.subarray(effect.valueAt);
  return effect.expiresAtMs === undefined
    ? { kind: 'put', value }
    : { kind: 'put', value, expiresAtMs: effect.expiresAtMs };
}

export const registerMv: Merge<RegisterMv> = {
  name: 'register-mv',
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
  check: describe,
};
