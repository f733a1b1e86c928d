// Writing protobuf by hand, for messages of which there are very many: straight into one growing buffer, without an object per
// field, and with nested lengths patched in afterwards.
// A nested length is reserved before it is known, so its varint may be longer than needed (80 80 00 for 0). The format allows
// that and every reader takes it; it costs a byte or two.

export const WIRE_VARINT = 0;
export const WIRE_LEN = 2;

/** The tag of a field, as the varint that precedes its value. */
export function wireTag(field: number, wireType: number): number {
  return field * 8 + wireType;
}

/** Bytes that a reserved length needs to hold any length up to `max`. */
export function lengthBytes(max: number): number {
  if (max < 0x80) return 1;
  if (max < 0x4000) return 2;
  if (max < 0x20_0000) return 3;
  return max < 0x1000_0000 ? 4 : 5;
}

const SHORT_TEXT = 48;

export class WireWriter {
  buffer: Buffer;
  /** Bytes written. */
  length = 0;

  constructor(capacity: number) {
    this.buffer = Buffer.allocUnsafeSlow(capacity);
  }

  reset(): this {
    this.length = 0;
    return this;
  }

  /** What was written; valid until the next write. */
  view(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  /** What was written, in a buffer of its own. */
  copy(): Buffer {
    return Buffer.from(this.view());
  }

  ensure(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  /** An integer from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.ensure(8);
    const buffer = this.buffer;
    let at = this.length;
    let rest = value;
    while (rest >= 0x8000_0000) {
      buffer[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[at++] = rest;
    this.length = at;
  }

  /** A field with a varint; nothing for 0, which is what a reader takes for absent. */
  uint(tag: number, value: number): void {
    if (value === 0) return;
    this.varint(tag);
    this.varint(value);
  }

  bool(tag: number, value: boolean): void {
    if (value) this.uint(tag, 1);
  }

  /** A field with bytes, also when empty: inside a oneof, empty and absent differ. */
  bytes(tag: number, value: Uint8Array): void {
    this.varint(tag);
    this.varint(value.length);
    this.ensure(value.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
  }

  /** A field with text, also when empty. */
  text(tag: number, value: string): void {
    this.varint(tag);
    // At most 3 bytes of UTF-8 for a UTF-16 unit.
    const bytesMax = value.length * 3;
    this.ensure(bytesMax + 5);
    const width = lengthBytes(bytesMax);
    const at = this.length + width;
    const written = this.#utf8(value, at);
    this.#patch(this.length, width, written);
    this.length = at + written;
  }

  /** Room is there. Returns the bytes written. */
  #utf8(value: string, at: number): number {
    // A call into the runtime costs more than a few dozen characters copied here.
    if (value.length > SHORT_TEXT) return this.buffer.write(value, at);
    const buffer = this.buffer;
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      if (unit >= 0x80) return this.buffer.write(value, at);
      buffer[at + i] = unit;
    }
    return value.length;
  }

  /** Begins a nested message (or a packed array) of at most about 2^(7 × width) bytes; returns what end() needs. */
  begin(tag: number, width: number): number {
    this.varint(tag);
    this.ensure(width);
    this.length += width;
    return this.length;
  }

  end(begun: number, width: number): void {
    this.#patch(begun - width, width, this.length - begun);
  }

  #patch(at: number, width: number, value: number): void {
    const buffer = this.buffer;
    let rest = value;
    for (let i = 0; i < width - 1; i++) {
      buffer[at + i] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    if (rest >= 0x80) throw new RangeError(`a nested message of ${value} bytes in a length of ${width}`);
    buffer[at + width - 1] = rest;
  }
}
