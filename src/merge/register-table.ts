// The last-writer-wins registers of one shard in flat memory: what register-lww.ts is for one state, for all of them at once.
// Owns: where a register lies, what its row holds, and the one change that a landed op makes of it.
// I3  the rule is register-lww.ts's: the highest (stamp, origin). test/merge compares the two, op for op.
// I9  a delete stays, as a register without a value, until clear() is told that nothing lower can arrive.
//
// Why not an object a key: the hot path meets every key a few times a second, and an object is a map's bucket, a name, a slot, a state and
// a value, each on another page of memory, and all of them the collector's to visit and to move. Here a register is one line of the
// processor's cache, and one piece of the arena that holds its key and its value.
//
// A register's line, 64 bytes: stamp, seq, newest as 64-bit numbers, then 32-bit ones as named below. In the arena: the key's UTF-8,
// and while there is a value, from the next multiple of four on, the bytes of its live part (types.ts), which the digest hashes as they are.
// HAZARD: a place is a number, and another key's after this one was evicted. Nobody keeps one that is neither dirty nor has something newest.

import { WordHash } from '../record/word-hash.ts';
import { textLanes } from '../record/hash.ts';
import { ByteReader, ByteWriter, varintLength, writeVarint } from '../record/bytes.ts';
import { keyHash } from '../record/key-hash.ts';
import type { LocatedOps } from '../record/located-ops.ts';
import type { OriginId, StateKey, Version } from '../record/ids.ts';
import { splitStateKey } from '../record/op.ts';
import { Arena } from './arena.ts';
import { expiryCollectableAt, readExpiry, writeOrigin } from './codec.ts';
import { DELETE, encodeHead, PUT, readExpiring, RegisterLww } from './register-lww.ts';

/** What the digest hears: what is added to the sums, negative for what is taken out. */
export interface LaneSums {
  shift(low: number, high: number): void;
  /** Of a part that stops being live at `expiresAtMs`. */
  shiftExpiring(expiresAtMs: number, low: number, high: number): void;
}

// A line, in 64-bit numbers …
const LONGS = 8;
const STAMP = 0;
const SEQ = 1;
/** What the engine calls the newest op in flight of the key; 0: none. While there is one the register stays. */
const NEWEST = 2;
// … and in words.
const WORDS = 16;
const HASH = 6;
const PIECE = 7;
/** The key's length, and above it the number of its collection; FREE when the line is not in use. */
const KEY = 8;
/** Of the live part; 0: no value. */
const PART_LENGTH = 9;
const VALUE_LENGTH = 10;
/** Flags, and above them the number of the version's origin. */
const ORIGIN = 11;
const LANE_LOW = 12;
const LANE_HIGH = 13;
const SEED_LOW = 14;
const SEED_HIGH = 15;

const FREE = -1;
const KEY_LENGTH_BITS = 11;
const KEY_LENGTH_MASK = 2 ** KEY_LENGTH_BITS - 1;
const FLAG_BITS = 8;

/** There is a version, of a value or a delete. */
const PRESENT = 1;
const EXPIRES = 2;
/** The lanes are those of the part. */
const HASHED = 4;
const SEEDED = 8;
/** The store does not have it. */
const DIRTY = 16;
/** On its way into the store, which until then answers with an older row. */
const WRITING = 32;
/** Asked for since the last time that eviction came by. */
const TOUCHED = 64;
/** On its way into the store as it is, and nobody has read it for that yet: whoever changes it says so first. */
const PENDING = 128;
const FLAGS_OF_STATE = PRESENT | EXPIRES | HASHED;

const LINES_FIRST = 16;
/** Beside its piece of the arena: the line, and its share of the index. */
const LINE_BYTES = 96;

export class RegisterTable {
  readonly #arena = new Arena();
  #longs = new Float64Array(LINES_FIRST * LONGS);
  #words = new Int32Array(this.#longs.buffer);
  /** [hash, place + 1] at hash, or behind it where that is taken (linear probing). At most half full. */
  #index = new Int32Array(4 * LINES_FIRST);
  /** Lines that were ever in use, and those of them that are not. */
  #lines = 0;
  readonly #free: number[] = [];
  #hand = 0;
  readonly #prefixes: string[] = [];
  readonly #collections = new Map<string, number>();
  readonly #origins: OriginId[] = [];
  readonly #originBytes: Buffer[] = [];
  readonly #originNumbers = new Map<OriginId, number>();
  readonly #hash = new WordHash();
  readonly #scratch = new ByteWriter(1100);
  readonly #pieces: number[] = [];
  #dirty: number[] = [];
  /** Who reads what is pending. */
  #beforeChange: ((place: number) => void) | undefined;

  get size(): number {
    return this.#lines - this.#free.length;
  }

  get bytes(): number {
    return this.size * LINE_BYTES + this.#arena.bytes;
  }

  get dirtyCount(): number {
    return this.#dirty.length;
  }

  // ── Names ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The number of a collection, by its stateKeyPrefix. */
  collection(prefix: string): number {
    let number = this.#collections.get(prefix);
    if (number === undefined) {
      number = this.#prefixes.push(prefix) - 1;
      this.#collections.set(prefix, number);
    }
    return number;
  }

  collectionOf(place: number): number {
    return this.#words[place * WORDS + KEY]! >> KEY_LENGTH_BITS;
  }

  prefixOf(place: number): string {
    return this.#prefixes[this.collectionOf(place)]!;
  }

  /** The key within its collection. */
  nameOf(place: number): string {
    const piece = this.#words[place * WORDS + PIECE]!;
    const at = Arena.at(piece);
    const length = this.#words[place * WORDS + KEY]! & KEY_LENGTH_MASK;
    return this.#arena.chunk(piece).bytes.toString('utf8', at, at + length);
  }

  keyOf(place: number): StateKey {
    return (this.prefixOf(place) + this.nameOf(place)) as StateKey;
  }

  origin(id: OriginId): number {
    let number = this.#originNumbers.get(id);
    if (number === undefined) {
      const writer = new ByteWriter(64);
      writeOrigin(writer, id);
      this.#originBytes.push(writer.finish());
      number = this.#origins.push(id) - 1;
      this.#originNumbers.set(id, number);
    }
    return number;
  }

  originId(number: number): OriginId {
    return this.#origins[number]!;
  }

  // ── Places ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** For bringNear(): where a key with this hash is if no other one is in its way, -1 when there is none. */
  guess(collection: number, hash: number): number {
    const mixed = mix(hash, collection);
    return this.#index[2 * (mixed & (this.#index.length / 2 - 1)) + 1]! - 1;
  }

  /**
   * Fetches the registers at these places (-1: none) into the processor's caches. A register is three places in memory, each of which says
   * where the next one is: who looks up key after key waits for them one after the other, and who asks for the first of all keys, then for the
   * second, then for the third, waits for many of them at once. It changes nothing but the time that it takes: by two thirds.
   */
  bringNear(places: readonly number[]): void {
    const pieces = this.#pieces;
    pieces.length = 0;
    for (let i = 0; i < places.length; i++) {
      if (places[i]! >= 0) pieces.push(this.#words[places[i]! * WORDS + PIECE]!);
    }
    let sum = 0;
    for (let i = 0; i < pieces.length; i++) sum += this.#arena.chunk(pieces[i]!).bytes[Arena.at(pieces[i]!)]!;
    // Bytes: never. A sum that nobody looks at need not be made.
    if (sum < 0) throw new Error('a byte below 0');
  }

  /** Where the key is; -1 when it is not here. `hash` is keyHash() of its bytes. */
  find(collection: number, hash: number, bytes: Uint8Array, at: number, length: number): number {
    const mixed = mix(hash, collection);
    const index = this.#index;
    const mask = index.length / 2 - 1;
    const key = (collection << KEY_LENGTH_BITS) | length;
    for (let i = mixed & mask; ; i = (i + 1) & mask) {
      const place = index[2 * i + 1]! - 1;
      if (place < 0) return -1;
      if (index[2 * i] === mixed && this.#words[place * WORDS + KEY] === key && this.#isNamed(place, bytes, at, length))
        return place;
    }
  }

  #isNamed(place: number, bytes: Uint8Array, at: number, length: number): boolean {
    const piece = this.#words[place * WORDS + PIECE]!;
    const here = this.#arena.chunk(piece).bytes;
    const from = Arena.at(piece);
    for (let i = 0; i < length; i++) if (here[from + i] !== bytes[at + i]) return false;
    return true;
  }

  /** A place for a key that is not here, without a version. */
  insert(collection: number, hash: number, bytes: Uint8Array, at: number, length: number): number {
    const place = this.#free.pop() ?? this.#addLine();
    if (2 * this.size > this.#index.length / 2) this.#growIndex();
    const mixed = mix(hash, collection);
    const piece = this.#arena.allocate(Math.max(1, length));
    this.#writeKey(piece, bytes, at, length);
    const word = place * WORDS;
    this.#words[word + HASH] = mixed;
    this.#words[word + PIECE] = piece;
    this.#words[word + KEY] = (collection << KEY_LENGTH_BITS) | length;
    this.#words[word + PART_LENGTH] = 0;
    this.#words[word + VALUE_LENGTH] = 0;
    this.#words[word + ORIGIN] = 0;
    this.#longs[place * LONGS + NEWEST] = 0;
    this.#enter(mixed, place);
    return place;
  }

  #writeKey(piece: number, bytes: Uint8Array, at: number, length: number): void {
    const to = this.#arena.chunk(piece).bytes;
    const from = Arena.at(piece);
    for (let i = 0; i < length; i++) to[from + i] = bytes[at + i]!;
  }

  #addLine(): number {
    const place = this.#lines++;
    if (this.#lines * LONGS > this.#longs.length) {
      const longs = new Float64Array(this.#longs.length * 2);
      longs.set(this.#longs);
      this.#longs = longs;
      this.#words = new Int32Array(longs.buffer);
    }
    return place;
  }

  #enter(mixed: number, place: number): void {
    const index = this.#index;
    const mask = index.length / 2 - 1;
    let i = mixed & mask;
    while (index[2 * i + 1] !== 0) i = (i + 1) & mask;
    index[2 * i] = mixed;
    index[2 * i + 1] = place + 1;
  }

  #growIndex(): void {
    const before = this.#index;
    this.#index = new Int32Array(before.length * 2);
    for (let i = 0; i < before.length; i += 2) if (before[i + 1] !== 0) this.#enter(before[i]!, before[i + 1]! - 1);
  }

  #leave(place: number): void {
    const index = this.#index;
    const mask = index.length / 2 - 1;
    let hole = this.#words[place * WORDS + HASH]! & mask;
    while (index[2 * hole + 1] !== place + 1) hole = (hole + 1) & mask;
    // What stands behind and could not stand at its own place moves up, so that a search may end at a hole.
    for (let i = (hole + 1) & mask; index[2 * i + 1] !== 0; i = (i + 1) & mask) {
      const wanted = index[2 * i]! & mask;
      if (((i - wanted) & mask) < ((i - hole) & mask)) continue;
      index[2 * hole] = index[2 * i]!;
      index[2 * hole + 1] = index[2 * i + 1]!;
      hole = i;
    }
    index[2 * hole] = 0;
    index[2 * hole + 1] = 0;
  }

  /** Looks away from registers that the store has and nobody asked for lately, until no more than `bytesMax` are used. `kept`: those must stay. */
  evict(bytesMax: number, kept?: (place: number) => boolean): void {
    for (let looks = 2 * this.#lines; looks > 0 && this.bytes > bytesMax; looks--) {
      const place = this.#hand;
      this.#hand = place + 1 < this.#lines ? place + 1 : 0;
      const word = place * WORDS;
      if (this.#words[word + KEY] === FREE) continue;
      const flags = this.#words[word + ORIGIN]!;
      if ((flags & (DIRTY | WRITING | TOUCHED)) !== 0 || this.#longs[place * LONGS + NEWEST] !== 0) {
        this.#words[word + ORIGIN] = flags & ~TOUCHED;
        continue;
      }
      if (kept?.(place) === true) continue;
      this.#leave(place);
      this.#arena.free(this.#words[word + PIECE]!, this.#pieceBytes(place));
      this.#words[word + KEY] = FREE;
      this.#free.push(place);
    }
  }

  touch(place: number): void {
    this.#words[place * WORDS + ORIGIN]! |= TOUCHED;
  }

  // ── What is there ───────────────────────────────────────────────────────────────────────────────────────────────

  isPresent(place: number): boolean {
    return (this.#words[place * WORDS + ORIGIN]! & PRESENT) !== 0;
  }

  /** Of what is present. */
  stamp(place: number): number {
    return this.#longs[place * LONGS + STAMP]!;
  }

  /** The number of the origin of what is present. */
  originOf(place: number): number {
    return this.#words[place * WORDS + ORIGIN]! >> FLAG_BITS;
  }

  newest(place: number): number {
    return this.#longs[place * LONGS + NEWEST]!;
  }

  setNewest(place: number, newest: number): void {
    this.#longs[place * LONGS + NEWEST] = newest;
  }

  isDirty(place: number): boolean {
    return (this.#words[place * WORDS + ORIGIN]! & DIRTY) !== 0;
  }

  versionOf(place: number): Version {
    return {
      origin: this.#origins[this.originOf(place)]!,
      seq: this.#longs[place * LONGS + SEQ]!,
      stamp: this.stamp(place),
    };
  }

  /** As register-lww.ts has it; undefined: never written, or collected. */
  state(place: number): RegisterLww | undefined {
    if (!this.isPresent(place)) return undefined;
    return new RegisterLww(this.versionOf(place), this.#content(place), this.#expiresAtMs(place));
  }

  #content(place: number): string | undefined {
    const word = place * WORDS;
    if (this.#words[word + PART_LENGTH] === 0) return undefined;
    const piece = this.#words[word + PIECE]!;
    const end = this.#partAt(place) + this.#words[word + PART_LENGTH]!;
    return this.#arena.chunk(piece).bytes.toString('latin1', end - this.#words[word + VALUE_LENGTH]!, end);
  }

  #expiresAtMs(place: number): number | undefined {
    if ((this.#words[place * WORDS + ORIGIN]! & EXPIRES) === 0) return undefined;
    const { bytes } = this.#arena.chunk(this.#words[place * WORDS + PIECE]!);
    const at = this.#partAt(place) + this.#originBytes[this.originOf(place)]!.length;
    const reader = new ByteReader(bytes, at, this.#partAt(place) + this.#words[place * WORDS + PART_LENGTH]!);
    reader.varint();
    reader.skip(8);
    return readExpiry(reader);
  }

  /** The stamp at which there is something to collect, as Merge.collectableAt. */
  collectableAt(place: number): number | undefined {
    if (!this.isPresent(place)) return undefined;
    if (this.#words[place * WORDS + PART_LENGTH] === 0) return this.stamp(place);
    const expiresAtMs = this.#expiresAtMs(place);
    return expiresAtMs === undefined ? undefined : Math.max(this.stamp(place), expiryCollectableAt(expiresAtMs));
  }

  /** Writes the state's bytes, as Merge.encode. */
  encode(place: number, into: ByteWriter): void {
    const word = place * WORDS;
    const partLength = this.#words[word + PART_LENGTH]!;
    encodeHead(into, this.versionOf(place), partLength > 0, this.#expiresAtMs(place));
    if (partLength === 0) return;
    const end = this.#partAt(place) + partLength;
    const { bytes } = this.#arena.chunk(this.#words[word + PIECE]!);
    into.raw(bytes.subarray(end - this.#words[word + VALUE_LENGTH]!, end));
  }

  /** Where the live part begins in its chunk. */
  #partAt(place: number): number {
    const word = place * WORDS;
    return Arena.at(this.#words[word + PIECE]!) + aligned(this.#words[word + KEY]! & KEY_LENGTH_MASK);
  }

  #pieceBytes(place: number): number {
    const word = place * WORDS;
    return pieceBytes(this.#words[word + KEY]! & KEY_LENGTH_MASK, this.#words[word + PART_LENGTH]!);
  }

  // ── Changes ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Puts in what the store has. */
  load(place: number, state: RegisterLww): void {
    const { content, expiresAtMs } = state;
    const value = content === undefined ? undefined : Buffer.from(content, 'latin1');
    this.#set(place, this.origin(state.origin), state.seq, state.stamp, expiresAtMs, value, 0, value?.length ?? 0);
  }

  /**
   * An op has landed that wins over what is present. Returns by how much the number of keys with a value grows: 1, 0 or -1.
   * Of an op that deletes or expires the caller asks collectableAt() afterwards.
   */
  land(place: number, ops: LocatedOps, i: number, origin: number, seq: number, stamp: number, sums: LaneSums): number {
    this.#tellPending(place);
    const before = this.#takeOut(place, sums);
    const { bytes } = ops;
    const at = ops.payloadAt(i);
    const end = at + ops.payloadLength(i);
    const effect = bytes[at]!;
    if (effect === DELETE) this.#set(place, origin, seq, stamp, undefined, undefined, 0, 0);
    else if (effect === PUT) this.#set(place, origin, seq, stamp, undefined, bytes, at + 1, end);
    else {
      const { expiresAtMs, valueAt } = readExpiring(ops.payload(i));
      this.#set(place, origin, seq, stamp, expiresAtMs, bytes, at + valueAt, end);
    }
    this.#setDirty(place);
    if (effect === DELETE) return -before;
    this.#hashPart(place);
    this.#addPart(place, sums, 1);
    return 1 - before;
  }

  /** I9: forgets a version that nothing can lose to any more. Returns as land(). */
  clear(place: number, sums: LaneSums): number {
    this.#tellPending(place);
    const before = this.#takeOut(place, sums);
    this.#resize(place, 0);
    this.#words[place * WORDS + ORIGIN]! &= ~FLAGS_OF_STATE;
    this.#setDirty(place);
    return -before;
  }

  #takeOut(place: number, sums: LaneSums): number {
    if (this.#words[place * WORDS + PART_LENGTH] === 0) return 0;
    this.#hashPart(place);
    this.#addPart(place, sums, -1);
    return 1;
  }

  #set(
    place: number,
    origin: number,
    seq: number,
    stamp: number,
    expiresAtMs: number | undefined,
    value: Uint8Array | undefined,
    from: number,
    to: number,
  ): void {
    const word = place * WORDS;
    this.#longs[place * LONGS + STAMP] = stamp;
    this.#longs[place * LONGS + SEQ] = seq;
    const kept = this.#words[word + ORIGIN]! & (2 ** FLAG_BITS - 1) & ~FLAGS_OF_STATE;
    const flags = kept | PRESENT | (expiresAtMs === undefined ? 0 : EXPIRES);
    this.#words[word + ORIGIN] = (origin << FLAG_BITS) | flags;
    if (value === undefined) {
      this.#resize(place, 0);
      this.#words[word + VALUE_LENGTH] = 0;
      return;
    }
    const originBytes = this.#originBytes[origin]!;
    const expiry = expiresAtMs ?? 0;
    const length = to - from;
    const headLength = originBytes.length + varintLength(seq) + 8 + varintLength(expiry);
    this.#resize(place, headLength + length);
    this.#words[word + VALUE_LENGTH] = length;
    const { bytes } = this.#arena.chunk(this.#words[word + PIECE]!);
    let at = this.#partAt(place);
    for (let i = 0; i < originBytes.length; i++) bytes[at++] = originBytes[i]!;
    at = writeVarint(bytes, at, seq);
    at = writeU64(bytes, at, stamp);
    at = writeVarint(bytes, at, expiry);
    // A view and a call cost as much as some ten bytes.
    if (length < 64) for (let i = 0; i < length; i++) bytes[at + i] = value[from + i]!;
    else bytes.set(value.subarray(from, to), at);
  }

  /** Makes room for a part of so many bytes behind the key. */
  #resize(place: number, partLength: number): void {
    const word = place * WORDS;
    const keyLength = this.#words[word + KEY]! & KEY_LENGTH_MASK;
    const before = this.#pieceBytes(place);
    const after = pieceBytes(keyLength, partLength);
    this.#words[word + PART_LENGTH] = partLength;
    if (Arena.same(before, after)) return;
    const old = this.#words[word + PIECE]!;
    const piece = this.#arena.allocate(after);
    this.#writeKey(piece, this.#arena.chunk(old).bytes, Arena.at(old), keyLength);
    this.#arena.free(old, before);
    this.#words[word + PIECE] = piece;
  }

  #hashPart(place: number): void {
    const word = place * WORDS;
    const flags = this.#words[word + ORIGIN]!;
    if ((flags & HASHED) !== 0) return;
    if ((flags & SEEDED) === 0) {
      const [low, high] = textLanes(this.keyOf(place));
      this.#words[word + SEED_LOW] = low;
      this.#words[word + SEED_HIGH] = high;
    }
    const { words } = this.#arena.chunk(this.#words[word + PIECE]!);
    const partWord = this.#partAt(place) / 4;
    const length = this.#words[word + PART_LENGTH]!;
    this.#hash.hash(words, partWord, length, this.#words[word + SEED_LOW]!, this.#words[word + SEED_HIGH]!);
    this.#words[word + LANE_LOW] = this.#hash.low;
    this.#words[word + LANE_HIGH] = this.#hash.high;
    this.#words[word + ORIGIN] = flags | HASHED | SEEDED;
  }

  #addPart(place: number, sums: LaneSums, sign: 1 | -1): void {
    const word = place * WORDS;
    const low = sign * this.#words[word + LANE_LOW]!;
    const high = sign * this.#words[word + LANE_HIGH]!;
    const expiresAtMs = this.#expiresAtMs(place);
    if (expiresAtMs === undefined) sums.shift(low, high);
    else sums.shiftExpiring(expiresAtMs, low, high);
  }

  // ── What the store does not have ────────────────────────────────────────────────────────────────────────────────

  #setDirty(place: number): void {
    const flags = this.#words[place * WORDS + ORIGIN]!;
    if ((flags & DIRTY) !== 0) return;
    this.#words[place * WORDS + ORIGIN] = flags | DIRTY;
    this.#dirty.push(place);
  }

  /**
   * The places of what the store does not have; from now on it is on its way there, until written() or putBack(). With `beforeChange` each of them
   * is pending until readPending(): the caller reads them when it has time, and one that is about to change before that at once, in this call.
   */
  takeDirty(beforeChange?: (place: number) => void): readonly number[] {
    const taken = this.#dirty;
    const flags = beforeChange === undefined ? WRITING : WRITING | PENDING;
    this.#beforeChange = beforeChange;
    this.#dirty = [];
    for (let i = 0; i < taken.length; i++) {
      const word = taken[i]! * WORDS + ORIGIN;
      this.#words[word] = (this.#words[word]! & ~DIRTY) | flags;
    }
    return taken;
  }

  /** Whether it was pending; it no longer is. */
  readPending(place: number): boolean {
    const flags = this.#words[place * WORDS + ORIGIN]!;
    this.#words[place * WORDS + ORIGIN] = flags & ~PENDING;
    return (flags & PENDING) !== 0;
  }

  #tellPending(place: number): void {
    if ((this.#words[place * WORDS + ORIGIN]! & PENDING) !== 0) this.#beforeChange!(place);
  }

  get dirty(): readonly number[] {
    return this.#dirty;
  }

  written(places: readonly number[]): void {
    for (let i = 0; i < places.length; i++) this.#words[places[i]! * WORDS + ORIGIN]! &= ~WRITING;
  }

  putBack(places: readonly number[]): void {
    this.written(places);
    for (let i = 0; i < places.length; i++) this.#setDirty(places[i]!);
  }

  // ── By name ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** find() for who has the key as a text. */
  findKey(collection: number, name: string): number {
    const bytes = this.#nameBytes(name);
    return this.find(collection, keyHash(bytes, 0, bytes.length), bytes, 0, bytes.length);
  }

  insertKey(collection: number, name: string): number {
    const bytes = this.#nameBytes(name);
    return this.insert(collection, keyHash(bytes, 0, bytes.length), bytes, 0, bytes.length);
  }

  #nameBytes(name: string): Buffer {
    this.#scratch.reset();
    return this.#scratch.utf8(name).view();
  }

  findStateKey(stateKey: StateKey): number {
    const { prefix, key } = splitStateKey(stateKey);
    return this.findKey(this.collection(prefix), key);
  }

  /** All places that are in use, in no order. */
  *places(): Generator<number, void, undefined> {
    for (let place = 0; place < this.#lines; place++) if (this.#words[place * WORDS + KEY] !== FREE) yield place;
  }
}

/** FNV's low bits depend on few bits of the key; and the same key in two collections is two keys. */
function mix(hash: number, collection: number): number {
  let h = hash ^ Math.imul(collection + 1, 0x9e3779b1);
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  return h ^ (h >>> 13);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

function pieceBytes(keyLength: number, partLength: number): number {
  return partLength === 0 ? Math.max(1, keyLength) : aligned(keyLength) + partLength;
}

function writeU64(into: Buffer, at: number, value: number): number {
  let low = value % 0x1_0000_0000;
  let high = Math.floor(value / 0x1_0000_0000);
  for (let i = 0; i < 4; i++) {
    into[at + i] = low & 0xff;
    low = Math.floor(low / 256);
    into[at + 4 + i] = high & 0xff;
    high = Math.floor(high / 256);
  }
  return at + 8;
}
