// Reading and writing bytes: little-endian integers, LEB128 varints up to 2^53-1, length-prefixed strings and blobs.
// Every reader check throws MalformedBytes, so that hostile input ends as one catchable error and never as a crash,
// a giant allocation (lengths are checked against what is left before anything is allocated) or a silent misread.

export class MalformedBytes extends Error {
  override readonly name = 'MalformedBytes';
}

const VARINT_BYTES_MAX = 8; // 53 bits
/** Of a bigint's magnitude. Far above anything that can be counted; without it a blob of digits would keep the CPU busy for hours, because
 *  decimal text takes quadratic time. */
const BIGINT_BYTES_MAX = 64;
/** What readUIntBE and writeUIntBE take. */
const BIGINT_SHORT_BYTES = 6;
const BIGINT_SHORT = 2n ** 48n;

export function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++;
  return length;
}

/** For who writes into memory of its own; returns where the next byte goes. */
export function writeVarint(into: Uint8Array, at: number, value: number): number {
  let to = at;
  let rest = value;
  while (rest >= 0x80) {
    into[to++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  into[to++] = rest;
  return to;
}

export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** Makes room and returns where the next byte goes. */
  #reserve(bytes: number): number {
    const at = this.#length;
    const needed = at + bytes;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.#length = needed;
    return at;
  }

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  /** Unsigned 48 bits. */
  u48(value: number): this {
    const at = this.#reserve(6);
    this.#buffer.writeUIntLE(value, at, 6);
    return this;
  }

  /** A safe integer in 8 bytes. */
  u64(value: number): this {
    const at = this.#reserve(8);
    this.#buffer.writeUInt32LE(value % 0x1_0000_0000, at);
    this.#buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
    return this;
  }

  varint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`a varint holds an integer from 0 to 2^53-1; got ${value}`);
    }
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.u8(rest);
  }

  /** A bigint of either sign, up to 512 bits: length byte(s), then zigzag-free sign byte and magnitude, big-endian. */
  bigint(value: bigint): this {
    const negative = value < 0n;
    // Nearly every number there is: several times faster than by way of hex digits, and the same bytes.
    if (value < BIGINT_SHORT && value > -BIGINT_SHORT) return this.#shortBigint(Math.abs(Number(value)), negative);
    let hex = (negative ? -value : value).toString(16);
    if (hex.length % 2 === 1) hex = `0${hex}`;
    const magnitude = value === 0n ? Buffer.alloc(0) : Buffer.from(hex, 'hex');
    if (magnitude.length > BIGINT_BYTES_MAX) {
      throw new RangeError(`a bigint of ${magnitude.length} bytes; at most ${BIGINT_BYTES_MAX} are written`);
    }
    this.varint(magnitude.length * 2 + (negative ? 1 : 0));
    return this.raw(magnitude);
  }

  #shortBigint(magnitude: number, negative: boolean): this {
    let bytes = 0;
    for (let rest = magnitude; rest >= 1; rest /= 256) bytes++;
    this.varint(bytes * 2 + (negative ? 1 : 0));
    if (bytes === 0) return this;
    const at = this.#reserve(bytes);
    this.#buffer.writeUIntBE(magnitude, at, bytes);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  blob(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  text(value: string): this {
    return this.varint(Buffer.byteLength(value, 'utf8')).utf8(value);
  }

  utf8(value: string): this {
    const bytes = Buffer.byteLength(value, 'utf8');
    const at = this.#reserve(bytes);
    this.#buffer.write(value, at, bytes, 'utf8');
    return this;
  }

  /** Bytes that are given as a text of the characters 0 to 255. */
  latin1(value: string): this {
    const at = this.#reserve(value.length);
    this.#buffer.write(value, at, value.length, 'latin1');
    return this;
  }

  latin1Blob(value: string): this {
    return this.varint(value.length).latin1(value);
  }

  patchU32(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value, at);
  }

  patchRaw(at: number, bytes: Uint8Array): void {
    this.#buffer.set(bytes, at);
  }

  /** The bytes so far, as a view: valid until the next write. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** The bytes so far, as a copy of exactly their size. */
  finish(): Buffer {
    const bytes = Buffer.allocUnsafe(this.#length);
    this.#buffer.copy(bytes, 0, 0, this.#length);
    return bytes;
  }

  /** Empties the writer; its memory is used again. */
  reset(): void {
    this.#length = 0;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws MalformedBytes for what is not UTF-8. */
export function utf8Text(bytes: Buffer): string {
  // Buffer's own decoder is several times faster than TextDecoder; it marks bad input with U+FFFD, and only then
  // the strict decoder is asked whether that mark was really in the text.
  const text = bytes.toString('utf8');
  if (!text.includes('\uFFFD')) return text;
  try {
    return utf8.decode(bytes);
  } catch {
    throw new MalformedBytes('text that is not UTF-8');
  }
}

export class ByteReader {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
    if (start > end || end > bytes.length) throw new MalformedBytes(`range ${start}..${end} of ${bytes.length} bytes`);
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  #take(bytes: number, what: string): number {
    if (bytes > this.#end - this.#at) {
      throw new MalformedBytes(`${what} wants ${bytes} bytes, ${this.#end - this.#at} are left`);
    }
    const at = this.#at;
    this.#at = at + bytes;
    return at;
  }

  skip(bytes: number): void {
    this.#take(bytes, 'bytes');
  }

  /** Back to where `at` was read. */
  rewind(at: number): void {
    this.#at = at;
  }

  /** Do the next `length` bytes begin with `prefix`? They stay unread. */
  startsWith(length: number, prefix: Uint8Array): boolean {
    if (prefix.length > length || length > this.left) return false;
    for (let i = 0; i < prefix.length; i++) if (this.#bytes[this.#at + i] !== prefix[i]) return false;
    return true;
  }

  u8(): number {
    return this.#bytes[this.#take(1, 'u8')]!;
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2, 'u16'));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4, 'u32'));
  }

  u48(): number {
    return this.#bytes.readUIntLE(this.#take(6, 'u48'), 6);
  }

  u64(): number {
    const at = this.#take(8, 'u64');
    const value = this.#bytes.readUInt32LE(at + 4) * 0x1_0000_0000 + this.#bytes.readUInt32LE(at);
    if (!Number.isSafeInteger(value)) throw new MalformedBytes('a 64-bit integer above 2^53-1');
    return value;
  }

  varint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw new MalformedBytes('a varint above 2^53-1');
        if (byte === 0 && i > 0) throw new MalformedBytes('a varint that is longer than it needs to be');
        return value;
      }
      factor *= 0x80;
    }
    throw new MalformedBytes('a varint of more than 8 bytes');
  }

  bigint(): bigint {
    const head = this.varint();
    const bytes = Math.floor(head / 2);
    if (bytes > BIGINT_BYTES_MAX) throw new MalformedBytes(`a bigint of ${bytes} bytes`);
    const at = this.#take(bytes, 'bigint');
    if (bytes > 0 && this.#bytes[at] === 0) throw new MalformedBytes('a bigint with a leading zero');
    const value = this.#magnitude(at, bytes);
    if (head % 2 === 0) return value;
    if (value === 0n) throw new MalformedBytes('a negative zero');
    return -value;
  }

  #magnitude(at: number, bytes: number): bigint {
    if (bytes === 0) return 0n;
    if (bytes <= BIGINT_SHORT_BYTES) return BigInt(this.#bytes.readUIntBE(at, bytes));
    return BigInt(`0x${this.#bytes.toString('hex', at, at + bytes)}`);
  }

  /** A view on the bytes, not a copy. */
  raw(length: number): Buffer {
    const at = this.#take(length, 'bytes');
    return this.#bytes.subarray(at, at + length);
  }

  blob(): Buffer {
    return this.raw(this.varint());
  }

  /** Bytes as a text of the characters 0 to 255, which needs no view. */
  latin1(length: number): string {
    const at = this.#take(length, 'bytes');
    return this.#bytes.toString('latin1', at, at + length);
  }

  latin1Blob(): string {
    return this.latin1(this.varint());
  }

  text(): string {
    return utf8Text(this.blob());
  }

  /** Throws unless everything was read: trailing bytes mean that reader and writer disagree. */
  end(what: string): void {
    if (this.left !== 0) throw new MalformedBytes(`${what} has ${this.left} bytes too many`);
  }
}
