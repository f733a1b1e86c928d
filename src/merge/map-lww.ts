// Map of last-writer-wins registers: every field is one, and deleting the key is a write to all fields at once, also to
// those that nobody has named yet. It is kept as one version, the floor: no field at or below it exists.
// I3  per field, the order of versions is total: puts, removes and floors alike.
// I9  removed fields, expired fields and the floor stay until no lower stamp can arrive. The floor never goes before a field
//     that it would still have to beat: such a field would have a stamp below the floor's, and none can arrive any more.
//
// State                                           Payload
//   u8      state version (1)                       u8 effect, then
//   origins                                         1 update  varint count of puts, each: text field, expiry, blob value;
//   u8      1 with a floor, else 0                            varint count of removes, each: text field
//   version of the floor (its origin by index)      2 delete  (nothing)
//   varint  count of fields, each: text field,
//     version (its origin by index), u8 flags
//     (1 value, 2 expiry), expiry, blob value

import { ByteReader, MalformedBytes, type ByteWriter } from '../record/bytes.ts';
import { compareVersions, type OriginId, type Version } from '../record/ids.ts';
import { covers, type ReadonlyVector } from '../record/vector.ts';
import {
  copyFrom,
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
  scratchWriter,
  writeExpiry,
  writeVersion,
} from './codec.ts';
import {
  checkExpiry,
  checkOpBytes,
  checkStateBytes,
  checkValue,
  invalid,
  tooLarge,
  wrongOperation,
} from './refusals.ts';
import {
  LIMITS,
  type Applied,
  type Displaced,
  type Intent,
  type LivePart,
  type Merge,
  type OpContext,
  type OpDescription,
  type View,
} from './types.ts';

export interface Field {
  readonly version: Version;
  /** undefined: removed. */
  readonly value: Uint8Array | undefined;
  readonly expiresAtMs: number | undefined;
}

export interface MapLww {
  /** The highest delete of the key. */
  readonly floor: Version | undefined;
  /** All above the floor. */
  readonly fields: ReadonlyMap<string, Field>;
}

const UPDATE = 1;
const DELETE = 2;
const PUT_BYTES_MIN = 3;
const REMOVE_BYTES_MIN = 1;
const FIELD_BYTES_MIN = 12;
const FLAG_VALUE = 1;
const FLAG_EXPIRY = 2;
const LONE_SURROGATE = /\p{Surrogate}/u;

const NO_FIELDS: MapLww['fields'] = new Map();

function stateOf(floor: Version | undefined, fields: MapLww['fields']): MapLww | undefined {
  return floor === undefined && fields.size === 0 ? undefined : { floor, fields };
}

type Update = Extract<Intent, { kind: 'map-update' }>;

function prepare(state: MapLww | undefined, intent: Intent): Uint8Array {
  if (intent.kind === 'delete') return Buffer.of(DELETE);
  if (intent.kind !== 'map-update') throw wrongOperation('map-lww', ['map-update', 'delete'], intent);
  checkUpdate(intent);
  checkSize(state?.fields ?? NO_FIELDS, intent);
  const writer = scratchWriter();
  writer.u8(UPDATE).varint(intent.put.length);
  for (const { field, value, expiresAtMs } of intent.put) {
    writeExpiry(writer.text(field), expiresAtMs);
    writer.blob(value);
  }
  writer.varint(intent.remove.length);
  for (const field of intent.remove) writer.text(field);
  return writer.finish();
}

function checkUpdate({ put, remove }: Update): void {
  const count = put.length + remove.length;
  if (count === 0) {
    throw invalid('a map update names at least one field; got none', 'To remove all fields, delete the key.');
  }
  if (count > LIMITS.mapFieldsPerOpMax) {
    throw tooLarge('a map update', count, LIMITS.mapFieldsPerOpMax, 'fields', 'Split it into several operations.');
  }
  const named = new Set<string>();
  let bytes = 0;
  for (const { field, value, expiresAtMs } of put) {
    checkValue(value);
    checkExpiry(expiresAtMs);
    bytes += checkField(field, named) + value.length;
  }
  for (const field of remove) bytes += checkField(field, named);
  // Before it is encoded: the encoder's buffer would grow to it and stay.
  checkOpBytes(bytes);
}

/** Returns its bytes. */
function checkField(field: string, named: Set<string>): number {
  const bytes = Buffer.byteLength(field, 'utf8');
  if (bytes > LIMITS.mapFieldBytesMax) {
    throw tooLarge('the name of a field', bytes, LIMITS.mapFieldBytesMax, 'bytes of UTF-8', 'Use a shorter name.');
  }
  if (LONE_SURROGATE.test(field)) {
    // It would be written as U+FFFD, and two different fields would become one.
    throw invalid(
      'the name of a field is Unicode text; got half of a surrogate pair',
      'Encode binary names, e.g. in base64.',
    );
  }
  if (named.has(field)) {
    throw invalid(`a map update names a field once; got '${field}' twice`, 'Put it or remove it, not both.');
  }
  named.add(field);
  return bytes;
}

function checkSize(here: MapLww['fields'], { put, remove }: Update): void {
  let count = here.size;
  let bytes = 0;
  for (const { field, value } of put) {
    const field_ = here.get(field);
    if (field_ === undefined) count++;
    bytes += value.length - (field_?.value?.length ?? 0) + (field_ === undefined ? field.length : 0);
  }
  // A remove leaves a tombstone, also where there was no field: it has to beat a put that is still under way.
  for (const field of remove) if (!here.has(field)) count++;
  if (count > here.size && count > LIMITS.mapFieldsMax) {
    const hint =
      'Spread the fields over several keys. Removed fields count until every region has reported their removal.';
    throw tooLarge('a map', count, LIMITS.mapFieldsMax, 'fields', hint);
  }
  if (bytes <= 0) return;
  for (const [field, { value }] of here) bytes += field.length + (value?.length ?? 0);
  checkStateBytes(bytes);
}

interface Put {
  readonly field: string;
  readonly value: Buffer;
  readonly expiresAtMs: number | undefined;
}

type Effect =
  | { readonly kind: 'update'; readonly put: readonly Put[]; readonly remove: readonly string[] }
  | { readonly kind: 'delete' };

function readEffect(payload: Uint8Array): Effect {
  const reader = new ByteReader(payload);
  const effect = reader.u8();
  if (effect !== UPDATE && effect !== DELETE) throw new MalformedBytes(`map-lww: effect ${effect} is not known here`);
  if (effect === DELETE) {
    reader.end('a map-lww delete');
    return { kind: 'delete' };
  }
  const put: Put[] = [];
  const remove: string[] = [];
  const named = new Set<string>();
  for (let left = readCount(reader, PUT_BYTES_MIN, 'puts'); left > 0; left--) {
    const field = readField(reader, named);
    put.push({ field, expiresAtMs: readExpiry(reader), value: reader.blob() });
  }
  for (let left = readCount(reader, REMOVE_BYTES_MIN, 'removes'); left > 0; left--)
    remove.push(readField(reader, named));
  reader.end('a map-lww update');
  return { kind: 'update', put, remove };
}

function readField(reader: ByteReader, named: Set<string>): string {
  const field = reader.text();
  if (named.has(field)) throw new MalformedBytes('map-lww: a field that stands twice');
  named.add(field);
  return field;
}

function apply(state: MapLww | undefined, payload: Uint8Array, op: OpContext): Applied<MapLww> {
  const effect = readEffect(payload);
  const { version } = op;
  const floor = state?.floor;
  // Below the floor an update is as good as never made, and a delete has nothing left to do.
  if (floor !== undefined && compareVersions(version, floor) <= 0) return { state };
  if (effect.kind === 'delete') return applyDelete(state?.fields ?? NO_FIELDS, version);

  const fields = new Map(state?.fields);
  const displaced: Displaced[] = [];
  const write = (field: string, after: Field): void => {
    const before = fields.get(field);
    if (before !== undefined && compareVersions(version, before.version) <= 0) return;
    fields.set(field, after);
    // Where the field is not here, the delete of the key was its current version, as if it had removed this field.
    const loser = before?.version ?? floor;
    if (loser !== undefined) displaced.push({ loser, field, value: before?.value, expiresAtMs: before?.expiresAtMs });
  };
  for (const { field, value, expiresAtMs } of effect.put)
    write(field, { version, value: copyFrom(value), expiresAtMs });
  for (const field of effect.remove) write(field, { version, value: undefined, expiresAtMs: undefined });
  return displacing(stateOf(floor, fields), displaced);
}

function applyDelete(here: MapLww['fields'], version: Version): Applied<MapLww> {
  const fields = new Map<string, Field>();
  const displaced: Displaced[] = [];
  for (const [field, before] of here) {
    if (compareVersions(before.version, version) > 0) fields.set(field, before);
    else if (before.value !== undefined)
      displaced.push({ loser: before.version, field, value: before.value, expiresAtMs: before.expiresAtMs });
  }
  return displacing(stateOf(version, fields), displaced);
}

function displacing(state: MapLww | undefined, displaced: readonly Displaced[]): Applied<MapLww> {
  return displaced.length === 0 ? { state } : { state, displaced };
}

function mergeStates(
  a: MapLww | undefined,
  aSeen: ReadonlyVector,
  b: MapLww | undefined,
  bSeen: ReadonlyVector,
): MapLww | undefined {
  const kept = (version: Version, otherSeen: ReadonlyVector): boolean =>
    !covers(otherSeen, version.origin, version.seq) && !isUnder(version, a?.floor) && !isUnder(version, b?.floor);
  const fields = new Map<string, Field>();
  for (const [field, inA] of a?.fields ?? NO_FIELDS) {
    const inB = b?.fields.get(field);
    const higher = inB !== undefined && compareVersions(inB.version, inA.version) > 0 ? inB : inA;
    // In both: the higher one wins, unless the other side's floor beats both.
    if (
      inB === undefined
        ? kept(inA.version, bSeen)
        : !isUnder(higher.version, a?.floor) && !isUnder(higher.version, b?.floor)
    ) {
      fields.set(field, higher);
    }
  }
  for (const [field, inB] of b?.fields ?? NO_FIELDS) {
    if (a?.fields.has(field) !== true && kept(inB.version, aSeen)) fields.set(field, inB);
  }
  return stateOf(mergeFloors(a?.floor, aSeen, b?.floor, bSeen), fields);
}

function isUnder(version: Version, floor: Version | undefined): boolean {
  return floor !== undefined && compareVersions(version, floor) <= 0;
}

function mergeFloors(
  a: Version | undefined,
  aSeen: ReadonlyVector,
  b: Version | undefined,
  bSeen: ReadonlyVector,
): Version | undefined {
  if (a !== undefined && b !== undefined) return compareVersions(a, b) >= 0 ? a : b;
  if (a !== undefined) return covers(bSeen, a.origin, a.seq) ? undefined : a;
  if (b !== undefined) return covers(aSeen, b.origin, b.seq) ? undefined : b;
  return undefined;
}

function view(state: MapLww | undefined, nowMs: number): View | undefined {
  const fields: { field: string; value: Uint8Array; version: Version }[] = [];
  for (const [field, { value, version, expiresAtMs }] of state?.fields ?? NO_FIELDS) {
    if (value !== undefined && isLive(expiresAtMs, nowMs)) fields.push({ field, value, version });
  }
  if (fields.length === 0) return undefined;
  return { type: 'map-lww', fields: fields.sort((a, b) => (a.field < b.field ? -1 : 1)) };
}

function liveParts(state: MapLww): readonly LivePart[] {
  const parts: LivePart[] = [];
  for (const [field, { version, value, expiresAtMs }] of state.fields) {
    if (value === undefined) continue;
    const writer = scratchWriter().text(field);
    writeVersion(writer, version);
    writeExpiry(writer, expiresAtMs);
    parts.push({ bytes: writer.raw(value).finish(), expiresAtMs: expiresAtMs ?? Infinity });
  }
  return parts;
}

function fieldCollectableAt({ version, value, expiresAtMs }: Field): number | undefined {
  if (value === undefined) return version.stamp;
  return expiresAtMs === undefined ? undefined : Math.max(version.stamp, expiryCollectableAt(expiresAtMs));
}

function collectableAt(state: MapLww): number | undefined {
  // No field is below the floor, so none goes before it.
  if (state.floor !== undefined) return state.floor.stamp;
  let at: number | undefined;
  for (const field of state.fields.values()) at = lowest(at, fieldCollectableAt(field));
  return at;
}

function collect(state: MapLww, floor: number): MapLww | undefined {
  const at = collectableAt(state);
  if (at === undefined || at > floor) return state;
  const fields = new Map<string, Field>();
  for (const [name, field] of state.fields)
    if ((fieldCollectableAt(field) ?? Infinity) > floor) fields.set(name, field);
  return stateOf(undefined, fields);
}

function writeIndexedVersion(writer: ByteWriter, origins: OriginTable, version: Version): void {
  writer.varint(origins.index(version.origin)).varint(version.seq).u64(version.stamp);
}

function readIndexedVersion(reader: ByteReader, origins: readonly OriginId[]): Version {
  return { origin: readOriginIndex(reader, origins), seq: readSeq(reader), stamp: readStamp(reader) };
}

function encode(state: MapLww, writer: ByteWriter): void {
  const { floor, fields } = state;
  const origins = new OriginTable();
  if (floor !== undefined) origins.add(floor.origin);
  for (const { version } of fields.values()) origins.add(version.origin);
  writer.u8(1);
  origins.write(writer);
  writer.u8(floor === undefined ? 0 : 1);
  if (floor !== undefined) writeIndexedVersion(writer, origins, floor);
  writer.varint(fields.size);
  for (const [name, { version, value, expiresAtMs }] of fields) {
    writeIndexedVersion(writer.text(name), origins, version);
    writer.u8((value === undefined ? 0 : FLAG_VALUE) | (expiresAtMs === undefined ? 0 : FLAG_EXPIRY));
    if (expiresAtMs !== undefined) writer.varint(expiresAtMs);
    if (value !== undefined) writer.blob(value);
  }
}

function decode(bytes: Uint8Array): MapLww {
  const reader = new ByteReader(bytes);
  readStateVersion(reader, 1, 'map-lww');
  const origins = readOrigins(reader);
  const hasFloor = reader.u8();
  if (hasFloor > 1) throw new MalformedBytes(`map-lww: floor mark ${hasFloor}`);
  const floor = hasFloor === 1 ? readIndexedVersion(reader, origins) : undefined;
  const fields = new Map<string, Field>();
  for (let left = readCount(reader, FIELD_BYTES_MIN, 'fields'); left > 0; left--) {
    const name = reader.text();
    if (fields.has(name)) throw new MalformedBytes('map-lww: a field that stands twice');
    const version = readIndexedVersion(reader, origins);
    if (isUnder(version, floor)) throw new MalformedBytes('map-lww: a field under the floor');
    fields.set(name, readFieldValue(reader, version));
  }
  if (floor === undefined && fields.size === 0) throw new MalformedBytes('map-lww: a state of nothing');
  reader.end('a map-lww state');
  return { floor, fields };
}

function readFieldValue(reader: ByteReader, version: Version): Field {
  const flags = reader.u8();
  if (flags === 0) return { version, value: undefined, expiresAtMs: undefined };
  if (flags === FLAG_VALUE) return { version, expiresAtMs: undefined, value: reader.blob() };
  if (flags !== (FLAG_VALUE | FLAG_EXPIRY)) throw new MalformedBytes(`map-lww: field flags ${flags}`);
  const expiresAtMs = readExpiry(reader);
  if (expiresAtMs === undefined) throw new MalformedBytes('map-lww: an expiry at 0');
  return { version, expiresAtMs, value: reader.blob() };
}

function describe(payload: Uint8Array): OpDescription {
  const effect = readEffect(payload);
  if (effect.kind === 'delete') return { kind: 'delete' };
  const { put, remove } = effect;
  return { kind: 'map-update', put: put.map(({ field, value }) => ({ field, value })), remove };
}

export const mapLww: Merge<MapLww> = {
  name: 'map-lww',
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
