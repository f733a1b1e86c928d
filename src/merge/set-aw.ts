// Add-wins set: every add puts its own dot on its elements; a remove takes off the dots that it has seen there, so an add
// that it had not seen survives it.
// I3  an add replaces the dots that it has seen on its element, so an element holds at most one dot per concurrent add.
// I9  causal delivery brings a remove's dots before it, so no tombstone is needed.
// An element is live while any of its dots is. Adding again with another expiry replaces the old one, as it has been seen.
//
// State                                          Payload
//   u8      state version (1)                      u8 effect, then
//   origins                                        1 add     expiry, then as remove
//   varint  count of elements, each:               2 remove  origins, varint count of elements, each: blob element,
//     blob element, varint count of dots, each:              varint count of dots (replaced), each: varint origin index,
//     varint origin index, varint seq, expiry                varint seq
//                                                  3 clear   dots: all that it saw on any element

import { ByteReader, MalformedBytes, type ByteWriter } from '../record/bytes.ts';
import type { Dot, OriginId } from '../record/ids.ts';
import { covers, type ReadonlyVector } from '../record/vector.ts';
import {
  compareDots,
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
  readStateVersion,
  sameDot,
  scratchWriter,
  writeExpiry,
  writeOrigin,
} from './codec.ts';
import { checkExpiry, checkOpBytes, checkStateBytes, invalid, tooLarge, wrongOperation } from './refusals.ts';
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

export interface ElementDot extends Dot {
  readonly expiresAtMs: number | undefined;
}

/** Elements are keyed by their bytes as latin1 text, which compares and hashes as the bytes do. Dots: at least one, in order. */
export interface SetAw {
  readonly elements: ReadonlyMap<string, readonly ElementDot[]>;
}

const ADD = 1;
const REMOVE = 2;
const CLEAR = 3;
const ELEMENT_BYTES_MIN = 2;
const STATE_DOT_BYTES_MIN = 3;
const PAYLOAD_DOT_BYTES_MIN = 2;

const NO_ELEMENTS: SetAw['elements'] = new Map();

function stateOf(elements: SetAw['elements']): SetAw | undefined {
  return elements.size === 0 ? undefined : { elements };
}

function keyOf(element: Uint8Array): string {
  const bytes = Buffer.isBuffer(element)
    ? element
    : Buffer.from(element.buffer, element.byteOffset, element.byteLength);
  return bytes.toString('latin1');
}

function bytesOf(key: string): Buffer {
  return Buffer.from(key, 'latin1');
}

function prepare(state: SetAw | undefined, intent: Intent): Uint8Array {
  const here = state?.elements ?? NO_ELEMENTS;
  const writer = scratchWriter();
  switch (intent.kind) {
    case 'set-add': {
      const keys = keysOf(intent.elements);
      checkExpiry(intent.expiresAtMs);
      checkSize(here, keys);
      writer.u8(ADD);
      writeExpiry(writer, intent.expiresAtMs);
      writeElements(writer, here, keys);
      break;
    }
    case 'set-remove': {
      const keys = keysOf(intent.elements);
      writer.u8(REMOVE);
      writeElements(writer, here, keys);
      break;
    }
    case 'delete': {
      // The dots without their elements: in causal order, who gets this op has nothing under these dots that it had not seen.
      const seen = new DotSet();
      for (const dots of here.values()) for (const dot of dots) seen.add(dot.origin, dot.seq);
      writer.u8(CLEAR);
      seen.write(writer);
      break;
    }
    default:
      throw wrongOperation('set-aw', ['set-add', 'set-remove', 'delete'], intent);
  }
  checkOpBytes(writer.length);
  return writer.finish();
}

function keysOf(elements: readonly Uint8Array[]): Set<string> {
  if (elements.length === 0) {
    throw invalid('a set operation names at least one element; got none', 'To empty the set, delete the key.');
  }
  if (elements.length > LIMITS.setElementsPerOpMax) {
    const hint = 'Split it into several operations.';
    throw tooLarge('a set operation', elements.length, LIMITS.setElementsPerOpMax, 'elements', hint);
  }
  for (const { length } of elements) {
    if (length > LIMITS.setElementBytesMax) {
      const hint = 'Keep the data under a key of its own and put that key, or a hash, into the set.';
      throw tooLarge('an element', length, LIMITS.setElementBytesMax, 'bytes', hint);
    }
  }
  return new Set(elements.map(keyOf));
}

function checkSize(here: SetAw['elements'], added: ReadonlySet<string>): void {
  let count = here.size;
  let bytes = 0;
  for (const key of added) {
    if (here.has(key)) continue;
    count++;
    bytes += key.length;
  }
  if (count === here.size) return;
  if (count > LIMITS.setElementsMax) {
    throw tooLarge('a set', count, LIMITS.setElementsMax, 'elements', 'Spread the elements over several keys.');
  }
  for (const key of here.keys()) bytes += key.length;
  checkStateBytes(bytes);
}

function writeElements(writer: ByteWriter, here: SetAw['elements'], keys: ReadonlySet<string>): void {
  const origins = new OriginTable();
  for (const key of keys) for (const dot of here.get(key) ?? []) origins.add(dot.origin);
  origins.write(writer);
  writer.varint(keys.size);
  for (const key of keys) {
    const dots = here.get(key) ?? [];
    writer.latin1Blob(key).varint(dots.length);
    for (const dot of dots) writer.varint(origins.index(dot.origin)).varint(dot.seq);
  }
}

type Effect =
  | {
      readonly kind: 'add' | 'remove';
      readonly expiresAtMs: number | undefined;
      readonly elements: ReadonlyMap<string, readonly Dot[]>;
    }
  | { readonly kind: 'clear'; readonly seen: DotSet };

function readEffect(payload: Uint8Array): Effect {
  const reader = new ByteReader(payload);
  const effect = reader.u8();
  if (effect === CLEAR) {
    const seen = DotSet.read(reader);
    reader.end('a set-aw clear');
    return { kind: 'clear', seen };
  }
  if (effect !== ADD && effect !== REMOVE) throw new MalformedBytes(`set-aw: effect ${effect} is not known here`);
  const expiresAtMs = effect === ADD ? readExpiry(reader) : undefined;
  const elements = readElements(reader, PAYLOAD_DOT_BYTES_MIN, readDot);
  reader.end('a set-aw op');
  return { kind: effect === ADD ? 'add' : 'remove', expiresAtMs, elements };
}

function readElements<D extends Dot>(
  reader: ByteReader,
  dotBytesMin: number,
  read: (reader: ByteReader, origins: readonly OriginId[]) => D,
): Map<string, D[]> {
  const origins = readOrigins(reader);
  const elements = new Map<string, D[]>();
  for (let left = readCount(reader, ELEMENT_BYTES_MIN, 'elements'); left > 0; left--) {
    const key = reader.latin1Blob();
    if (elements.has(key)) throw new MalformedBytes('set-aw: an element that stands twice');
    const dots: D[] = [];
    for (let dotsLeft = readCount(reader, dotBytesMin, 'dots'); dotsLeft > 0; dotsLeft--) {
      const dot = read(reader, origins);
      if (dots.length > 0 && compareDots(dots.at(-1)!, dot) >= 0) throw new MalformedBytes('set-aw: dots out of order');
      dots.push(dot);
    }
    elements.set(key, dots);
  }
  return elements;
}

function readDot(reader: ByteReader, origins: readonly OriginId[]): Dot {
  return { origin: readOriginIndex(reader, origins), seq: readSeq(reader) };
}

function readElementDot(reader: ByteReader, origins: readonly OriginId[]): ElementDot {
  return { origin: readOriginIndex(reader, origins), seq: readSeq(reader), expiresAtMs: readExpiry(reader) };
}

function apply(state: SetAw | undefined, payload: Uint8Array, op: OpContext): Applied<SetAw> {
  const effect = readEffect(payload);
  const here = state?.elements ?? NO_ELEMENTS;
  if (effect.kind === 'clear') return { state: stateOf(keepDots(here, (dot) => !effect.seen.has(dot))) };
  const elements = new Map(here);
  const { origin, seq } = op.version;
  for (const [key, replaced] of effect.elements) {
    const dots = (here.get(key) ?? []).filter((dot) => !hasDot(replaced, dot) && !sameDot(dot, op.version));
    if (effect.kind === 'add') {
      dots.push({ origin, seq, expiresAtMs: effect.expiresAtMs });
      dots.sort(compareDots);
    }
    if (dots.length === 0) elements.delete(key);
    else elements.set(key, dots);
  }
  return { state: stateOf(elements) };
}

function hasDot(dots: readonly Dot[], dot: Dot): boolean {
  return dots.some((other) => sameDot(other, dot));
}

function keepDots(elements: SetAw['elements'], keep: (dot: ElementDot) => boolean): SetAw['elements'] {
  const kept = new Map<string, readonly ElementDot[]>();
  for (const [key, dots] of elements) {
    const left = dots.every(keep) ? dots : dots.filter(keep);
    if (left.length > 0) kept.set(key, left);
  }
  return kept;
}

function mergeStates(
  a: SetAw | undefined,
  aSeen: ReadonlyVector,
  b: SetAw | undefined,
  bSeen: ReadonlyVector,
): SetAw | undefined {
  const inA = a?.elements ?? NO_ELEMENTS;
  const inB = b?.elements ?? NO_ELEMENTS;
  const merged = new Map<string, readonly ElementDot[]>();
  for (const [key, dots] of inA) {
    const others = inB.get(key) ?? [];
    const kept = [
      ...dots.filter((dot) => hasDot(others, dot) || !covers(bSeen, dot.origin, dot.seq)),
      ...others.filter((dot) => !hasDot(dots, dot) && !covers(aSeen, dot.origin, dot.seq)),
    ];
    if (kept.length > 0) merged.set(key, kept.sort(compareDots));
  }
  for (const [key, dots] of inB) {
    if (inA.has(key)) continue;
    const kept = dots.filter((dot) => !covers(aSeen, dot.origin, dot.seq));
    if (kept.length > 0) merged.set(key, kept);
  }
  return stateOf(merged);
}

function view(state: SetAw | undefined, nowMs: number): View | undefined {
  const live: string[] = [];
  for (const [key, dots] of state?.elements ?? NO_ELEMENTS) {
    if (dots.some((dot) => isLive(dot.expiresAtMs, nowMs))) live.push(key);
  }
  return live.length === 0 ? undefined : { type: 'set-aw', elements: live.sort().map(bytesOf) };
}

function liveParts(state: SetAw): readonly LivePart[] {
  const parts: LivePart[] = [];
  for (const [key, dots] of state.elements) {
    for (const { origin, seq, expiresAtMs } of dots) {
      const writer = scratchWriter();
      writer.latin1Blob(key);
      writeOrigin(writer, origin);
      writeExpiry(writer.varint(seq), expiresAtMs);
      parts.push({ bytes: writer.finish(), expiresAtMs: expiresAtMs ?? Infinity });
    }
  }
  return parts;
}

function collectableAt(state: SetAw): number | undefined {
  let at: number | undefined;
  for (const dots of state.elements.values()) {
    for (const { expiresAtMs } of dots)
      if (expiresAtMs !== undefined) at = lowest(at, expiryCollectableAt(expiresAtMs));
  }
  return at;
}

function collect(state: SetAw, floor: number): SetAw | undefined {
  const at = collectableAt(state);
  if (at === undefined || at > floor) return state;
  return stateOf(
    keepDots(
      state.elements,
      ({ expiresAtMs }) => expiresAtMs === undefined || expiryCollectableAt(expiresAtMs) > floor,
    ),
  );
}

function encode(state: SetAw, writer: ByteWriter): void {
  const origins = new OriginTable();
  for (const dots of state.elements.values()) for (const dot of dots) origins.add(dot.origin);
  writer.u8(1);
  origins.write(writer);
  writer.varint(state.elements.size);
  for (const [key, dots] of state.elements) {
    writer.latin1Blob(key).varint(dots.length);
    for (const dot of dots) writeExpiry(writer.varint(origins.index(dot.origin)).varint(dot.seq), dot.expiresAtMs);
  }
}

function decode(bytes: Uint8Array): SetAw {
  const reader = new ByteReader(bytes);
  readStateVersion(reader, 1, 'set-aw');
  const elements = readElements(reader, STATE_DOT_BYTES_MIN, readElementDot);
  reader.end('a set-aw state');
  if (elements.size === 0) throw new MalformedBytes('set-aw: a state without elements');
  for (const dots of elements.values())
    if (dots.length === 0) throw new MalformedBytes('set-aw: an element without dots');
  return { elements };
}

function describe(payload: Uint8Array): OpDescription {
  const effect = readEffect(payload);
  if (effect.kind === 'clear') return { kind: 'delete' };
  const elements = [...effect.elements.keys()].map(bytesOf);
  return { kind: effect.kind === 'add' ? 'set-add' : 'set-remove', elements };
}

export const setAw: Merge<SetAw> = {
  name: 'set-aw',
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
