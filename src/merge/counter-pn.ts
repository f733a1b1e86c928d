// Counter with increments, decrements and reset. Every origin adds up its own increments in slots of its own, as absolute
// totals, and a reset says of each slot how much of it the reset had seen: what it had not seen still counts.
// I2  totals and not deltas: a slot's totals only grow, so merging whole states can take the higher ones.
// I3  an origin's increments are applied in order, so what a reset saw of a slot is a prefix, and two resets saw the longer one.
// I9  a slot that was reset completely can be dropped, whoever still adds to it: an increment carries the totals from before it,
//     and where the slot is gone all of those had been reset. An origin whose own slot is gone opens a new one, named by the
//     seq of the op that does (birth).
//
// State                                                 Payload
//   u8      state version (1)                             u8 effect, then
//   origins                                               1 increment  varint birth (0: this op opens the slot), bigint by,
//   varint  count of slots, each:                                      and unless it opens: bigint inc, bigint dec before it
//     varint origin index, varint birth,                  2 reset      origins, varint count of slots, each: varint origin
//     varint seq of the last increment,                                index, varint birth, varint last, bigint inc,
//     bigint inc, bigint dec,                                          bigint dec, as the reset saw them
//     varint last increment seen by resets (0: none),
//     bigint inc, bigint dec seen by resets,
//     u64 highest stamp of a reset (0: none)
// Slots stand in the order of (origin, birth).

import { ByteReader, MalformedBytes, type ByteWriter } from '../record/bytes.ts';
import type { OriginId } from '../record/ids.ts';
import { covers, type ReadonlyVector } from '../record/vector.ts';
import {
  lowest,
  OriginTable,
  readCount,
  readOriginIndex,
  readOrigins,
  readSeq,
  readStateVersion,
  scratchWriter,
  writeOrigin,
} from './codec.ts';
import { tooLarge, wrongOperation } from './refusals.ts';
import {
  LIMITS,
  type Applied,
  type Intent,
  type LivePart,
  type Merge,
  type OpContext,
  type OpDescription,
  type PrepareContext,
  type View,
} from './types.ts';

export interface Slot {
  readonly origin: OriginId;
  /** Seq of the op that opened it. */
  readonly birth: number;
  /** Seq of its last increment. */
  readonly last: number;
  readonly inc: bigint;
  readonly dec: bigint;
  /** What resets have seen of it; 0 while none has. */
  readonly resetLast: number;
  readonly resetInc: bigint;
  readonly resetDec: bigint;
  readonly resetStamp: number;
}

export interface CounterPn {
  /** At least one, in the order of (origin, birth). */
  readonly slots: readonly Slot[];
}

const INCREMENT = 1;
const RESET = 2;
const SLOT_BYTES_MIN = 16;
const RESET_SLOT_BYTES_MIN = 5;
/** What one op may carry: more than 2^53 ops could add up to. Half of what a state's encoding holds, because apply adds two of them. */
const OP_TOTAL_MAX = 2n ** 256n;

function stateOf(slots: readonly Slot[]): CounterPn | undefined {
  return slots.length === 0 ? undefined : { slots };
}

/** Has every increment of the slot been seen by a reset? By seq and not by totals, because increments of 0 count as well. */
function isReset(slot: Slot): boolean {
  return slot.resetLast >= slot.last;
}

function compareSlots(a: { origin: OriginId; birth: number }, b: { origin: OriginId; birth: number }): number {
  if (a.origin === b.origin) return a.birth - b.birth;
  return a.origin < b.origin ? -1 : 1;
}

function valueOf(slots: readonly Slot[]): bigint {
  let value = 0n;
  for (const slot of slots) value += slot.inc - slot.resetInc - (slot.dec - slot.resetDec);
  return value;
}

function prepare(state: CounterPn | undefined, intent: Intent, context: PrepareContext): Uint8Array {
  const slots = state?.slots ?? [];
  if (intent.kind === 'delete') return prepareReset(slots);
  if (intent.kind !== 'increment') throw wrongOperation('counter-pn', ['increment', 'delete'], intent);
  const { by } = intent;
  checkCount('an increment', by);
  const before = valueOf(slots);
  const after = before + by;
  // Concurrent increments can carry the sum past the bound in spite of this; then only the way back is open.
  if (magnitude(after) > magnitude(before)) checkCount('a counter', after);
  // A slot goes on after a reset: a counter that is reset every minute keeps one slot an origin, not one a minute.
  const own = slots.findLast((slot) => slot.origin === context.version.origin);
  const writer = scratchWriter().u8(INCREMENT);
  if (own === undefined) return writer.varint(0).bigint(by).finish();
  return writer.varint(own.birth).bigint(by).bigint(own.inc).bigint(own.dec).finish();
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function checkCount(what: string, value: bigint): void {
  if (magnitude(value) <= LIMITS.counterMax) return;
  throw tooLarge(
    `the amount of ${what}`,
    value,
    LIMITS.counterMax,
    'in either direction',
    'Reset the counter, or split what it counts over several keys.',
  );
}

function prepareReset(slots: readonly Slot[]): Uint8Array {
  const seen = slots.filter((slot) => !isReset(slot));
  const origins = new OriginTable();
  for (const slot of seen) origins.add(slot.origin);
  const writer = scratchWriter().u8(RESET);
  origins.write(writer);
  writer.varint(seen.length);
  for (const { origin, birth, last, inc, dec } of seen) {
    writer.varint(origins.index(origin)).varint(birth).varint(last).bigint(inc).bigint(dec);
  }
  return writer.finish();
}

type Effect =
  | {
      readonly kind: 'increment';
      readonly birth: number;
      readonly by: bigint;
      readonly inc: bigint;
      readonly dec: bigint;
    }
  | { readonly kind: 'reset'; readonly seen: readonly SeenSlot[] };

interface SeenSlot {
  readonly origin: OriginId;
  readonly birth: number;
  readonly last: number;
  readonly inc: bigint;
  readonly dec: bigint;
}

function readTotal(reader: ByteReader): bigint {
  const total = reader.bigint();
  if (total < 0n) throw new MalformedBytes('counter-pn: a total below 0');
  return total;
}

function readEffect(payload: Uint8Array): Effect {
  const reader = new ByteReader(payload);
  const effect = reader.u8();
  if (effect === INCREMENT) {
    const birth = reader.varint();
    const by = reader.bigint();
    const inc = birth === 0 ? 0n : readTotal(reader);
    const dec = birth === 0 ? 0n : readTotal(reader);
    if (magnitude(by) > OP_TOTAL_MAX || inc > OP_TOTAL_MAX || dec > OP_TOTAL_MAX) {
      throw new MalformedBytes('counter-pn: an amount above 2^256');
    }
    reader.end('a counter-pn increment');
    return { kind: 'increment', birth, by, inc, dec };
  }
  if (effect !== RESET) throw new MalformedBytes(`counter-pn: effect ${effect} is not known here`);
  const origins = readOrigins(reader);
  const seen: SeenSlot[] = [];
  for (let left = readCount(reader, RESET_SLOT_BYTES_MIN, 'slots'); left > 0; left--) {
    seen.push(readSlotHead(reader, origins));
    checkOrder(seen);
  }
  reader.end('a counter-pn reset');
  return { kind: 'reset', seen };
}

function readSlotHead(reader: ByteReader, origins: readonly OriginId[]): SeenSlot {
  const origin = readOriginIndex(reader, origins);
  const birth = readSeq(reader);
  const last = readSeq(reader);
  if (last < birth) throw new MalformedBytes('counter-pn: a slot that ends before its birth');
  return { origin, birth, last, inc: readTotal(reader), dec: readTotal(reader) };
}

function checkOrder(slots: readonly SeenSlot[]): void {
  if (slots.length > 1 && compareSlots(slots.at(-2)!, slots.at(-1)!) >= 0) {
    throw new MalformedBytes('counter-pn: slots out of order');
  }
}

function apply(state: CounterPn | undefined, payload: Uint8Array, op: OpContext): Applied<CounterPn> {
  const effect = readEffect(payload);
  const slots = state?.slots ?? [];
  if (effect.kind === 'reset') return { state: stateOf(applyReset(slots, effect.seen, op.version.stamp)) };

  const { origin, seq } = op.version;
  // A birth after this op is a faulty peer's. It is bounded and not refused, because describe could not have refused it.
  const birth = effect.birth === 0 ? seq : Math.min(effect.birth, seq);
  const inc = effect.inc + (effect.by > 0n ? effect.by : 0n);
  const dec = effect.dec - (effect.by < 0n ? effect.by : 0n);
  const at = slots.findIndex((slot) => slot.origin === origin && slot.birth === birth);
  if (at >= 0) {
    const slot = slots[at]!;
    // By seq: an op that this slot has counted already changes nothing.
    if (slot.last >= seq) return { state: state! };
    const after: Slot = {
      origin,
      birth,
      last: seq,
      inc: higher(slot.inc, inc),
      dec: higher(slot.dec, dec),
      resetLast: slot.resetLast,
      resetInc: slot.resetInc,
      resetDec: slot.resetDec,
      resetStamp: slot.resetStamp,
    };
    return { state: { slots: slots.with(at, after) } };
  }
  // An op that adds to a slot which is not here: the slot was collected, so all that came before this op had been reset.
  const slot: Slot = {
    origin,
    birth,
    last: seq,
    inc,
    dec,
    resetLast: 0,
    resetInc: effect.inc,
    resetDec: effect.dec,
    resetStamp: 0,
  };
  return { state: { slots: [...slots, slot].sort(compareSlots) } };
}

function applyReset(slots: readonly Slot[], seen: readonly SeenSlot[], stamp: number): readonly Slot[] {
  if (seen.length === 0) return slots;
  // Both are in the same order. A slot that the reset saw and that is not here was collected: it is reset already.
  let at = 0;
  return slots.map((slot) => {
    while (at < seen.length && compareSlots(seen[at]!, slot) < 0) at++;
    const saw = seen[at];
    if (saw === undefined || compareSlots(saw, slot) !== 0) return slot;
    return withReset(slot, saw.last, saw.inc, saw.dec, stamp);
  });
}

/** Bounded by what the slot has, which under causal delivery it always is: a faulty peer must not make a state undecodable. */
function withReset(slot: Slot, last: number, inc: bigint, dec: bigint, stamp: number): Slot {
  return {
    origin: slot.origin,
    birth: slot.birth,
    last: slot.last,
    inc: slot.inc,
    dec: slot.dec,
    resetLast: Math.min(slot.last, Math.max(slot.resetLast, last)),
    resetInc: lower(slot.inc, higher(slot.resetInc, inc)),
    resetDec: lower(slot.dec, higher(slot.resetDec, dec)),
    resetStamp: Math.max(slot.resetStamp, stamp),
  };
}

function higher(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function lower(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function mergeStates(
  a: CounterPn | undefined,
  aSeen: ReadonlyVector,
  b: CounterPn | undefined,
  bSeen: ReadonlyVector,
): CounterPn | undefined {
  const inA = a?.slots ?? [];
  const inB = b?.slots ?? [];
  const merged: Slot[] = [];
  let i = 0;
  let j = 0;
  while (i < inA.length || j < inB.length) {
    const slotA = inA[i];
    const slotB = inB[j];
    const order = slotA === undefined ? 1 : slotB === undefined ? -1 : compareSlots(slotA, slotB);
    // The dot asked for is that of the last increment and not of the birth: a side that collected the slot may not have
    // met a later increment of it yet.
    if (order < 0) {
      if (!covers(bSeen, slotA!.origin, slotA!.last)) merged.push(slotA!);
      i++;
    } else if (order > 0) {
      if (!covers(aSeen, slotB!.origin, slotB!.last)) merged.push(slotB!);
      j++;
    } else {
      const longer = slotA!.last >= slotB!.last ? slotA! : slotB!;
      const other = longer === slotA ? slotB! : slotA!;
      merged.push(withReset(longer, other.resetLast, other.resetInc, other.resetDec, other.resetStamp));
      i++;
      j++;
    }
  }
  return stateOf(merged);
}

function view(state: CounterPn | undefined): View | undefined {
  if (state === undefined || state.slots.every(isReset)) return undefined;
  return { type: 'counter-pn', value: valueOf(state.slots) };
}

function liveParts(state: CounterPn): readonly LivePart[] {
  const parts: LivePart[] = [];
  for (const slot of state.slots) {
    if (isReset(slot)) continue;
    const writer = scratchWriter();
    writeOrigin(writer, slot.origin);
    // resetLast and resetStamp are left out: a slot that was collected and came back does not know them (see apply).
    writer.varint(slot.birth).varint(slot.last).bigint(slot.inc).bigint(slot.dec);
    writer.bigint(slot.resetInc).bigint(slot.resetDec);
    parts.push({ bytes: writer.finish(), expiresAtMs: Infinity });
  }
  return parts;
}

function collectableAt(state: CounterPn): number | undefined {
  let at: number | undefined;
  for (const slot of state.slots) if (isReset(slot)) at = lowest(at, slot.resetStamp);
  return at;
}

function collect(state: CounterPn, floor: number): CounterPn | undefined {
  const kept = state.slots.filter((slot) => !isReset(slot) || slot.resetStamp > floor);
  return kept.length === state.slots.length ? state : stateOf(kept);
}

function encode(state: CounterPn, writer: ByteWriter): void {
  const origins = new OriginTable();
  for (const slot of state.slots) origins.add(slot.origin);
  writer.u8(1);
  origins.write(writer);
  writer.varint(state.slots.length);
  for (const slot of state.slots) {
    writer.varint(origins.index(slot.origin)).varint(slot.birth).varint(slot.last).bigint(slot.inc).bigint(slot.dec);
    writer.varint(slot.resetLast).bigint(slot.resetInc).bigint(slot.resetDec).u64(slot.resetStamp);
  }
}

function decode(bytes: Uint8Array): CounterPn {
  const reader = new ByteReader(bytes);
  readStateVersion(reader, 1, 'counter-pn');
  const origins = readOrigins(reader);
  const slots: Slot[] = [];
  for (let left = readCount(reader, SLOT_BYTES_MIN, 'slots'); left > 0; left--) {
    const { origin, birth, last, inc, dec } = readSlotHead(reader, origins);
    // Spelt out here and below: spreading one object into another costs ten times as much, and counters are hot keys.
    const slot: Slot = {
      origin,
      birth,
      last,
      inc,
      dec,
      resetLast: reader.varint(),
      resetInc: readTotal(reader),
      resetDec: readTotal(reader),
      resetStamp: reader.u64(),
    };
    if (slot.resetLast > slot.last || slot.resetInc > slot.inc || slot.resetDec > slot.dec) {
      throw new MalformedBytes('counter-pn: more reset than there was');
    }
    slots.push(slot);
    checkOrder(slots);
  }
  if (slots.length === 0) throw new MalformedBytes('counter-pn: a state without slots');
  reader.end('a counter-pn state');
  return { slots };
}

function describe(payload: Uint8Array): OpDescription {
  const effect = readEffect(payload);
  return effect.kind === 'reset' ? { kind: 'delete' } : { kind: 'increment', by: effect.by };
}

export const counterPn: Merge<CounterPn> = {
  name: 'counter-pn',
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
