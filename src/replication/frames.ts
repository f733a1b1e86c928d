// Frames of batches as bytes: causeway.v1.LinkDown with Batches in it, walked and written by hand, because they are nearly all the bytes
// of a link and decoding them as views costs nothing per byte. The views keep their frame alive.
// I7  A batch comes out as it went in, whether its frame was compressed or not.
// I12 Decoding allocates in proportion to what was received, or, for a compressed frame, at most what it says it needs: more than
//     DOWN_BYTES_MAX is refused before a byte of it is unpacked.
//
// Brotli at its fastest, without a dictionary: docs/decisions/0015 has what was compared. A frame needs no other to be read, so nothing
// is kept between two of them.

import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { MalformedBytes, varintLength, writeVarint } from '../record/bytes.ts';
import type { Batches } from './messages.ts';
import { FRAME_BATCHES_MAX } from './source.ts';

/** Of any message to the receiver: the largest batch (16 MiB) and its framing. */
export const DOWN_BYTES_MAX = 17 * 1024 * 1024;
/** A smaller frame goes as it is: what it would save is less than what a packet costs anyway. */
export const COMPRESS_BYTES_MIN = 512;

const TAG_DOWN_BATCHES = (3 << 3) | 2;
const TAG_BATCH = (1 << 3) | 2;
const TAG_COMPRESSION = 4 << 3;
const TAG_UNPACKED_BYTES = 5 << 3;
const TAG_PACKED = (6 << 3) | 2;
const COMPRESSION_BROTLI = 1;

/** As large a window as the largest usual frame. */
const BROTLI_WINDOW_BITS = 18;
const BROTLI = {
  params: {
    [constants.BROTLI_PARAM_QUALITY]: 1,
    [constants.BROTLI_PARAM_LGWIN]: BROTLI_WINDOW_BITS,
  },
};

export function isFrame(bytes: Uint8Array): boolean {
  return bytes[0] === TAG_DOWN_BATCHES;
}

/** The frame that was encoded last: peers that follow our log side by side are sent the same batches, one after the other. */
let last: { readonly batches: readonly Uint8Array[]; readonly compress: boolean; readonly bytes: Buffer } | undefined;
/** A larger one is not kept. */
const KEPT_BYTES_MAX = 512 * 1024;

export function encodeFrame({ batches, compress = false }: Batches): Buffer {
  if (last?.compress === compress && areSame(last.batches, batches)) return last.bytes;
  const bytes = compress ? packed(batches) : plain(batches);
  last = bytes.length <= KEPT_BYTES_MAX ? { batches, compress, bytes } : undefined;
  return bytes;
}

function areSame(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((batch, i) => batch === b[i]);
}

function bodyBytes(batches: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const batch of batches) bytes += 1 + varintLength(batch.length) + batch.length;
  return bytes;
}

function writeBody(buffer: Buffer, from: number, batches: readonly Uint8Array[]): void {
  let at = from;
  for (const batch of batches) {
    buffer[at] = TAG_BATCH;
    at = writeVarint(buffer, at + 1, batch.length);
    buffer.set(batch, at);
    at += batch.length;
  }
}

function plain(batches: readonly Uint8Array[]): Buffer {
  const inner = bodyBytes(batches);
  const buffer = Buffer.allocUnsafe(1 + varintLength(inner) + inner);
  buffer[0] = TAG_DOWN_BATCHES;
  writeBody(buffer, writeVarint(buffer, 1, inner), batches);
  return buffer;
}

function packed(batches: readonly Uint8Array[]): Buffer {
  const rawBytes = bodyBytes(batches);
  if (rawBytes < COMPRESS_BYTES_MIN) return plain(batches);
  const raw = Buffer.allocUnsafe(rawBytes);
  writeBody(raw, 0, batches);
  const small = brotliCompressSync(raw, BROTLI);
  // Values that are compressed or encrypted already.
  if (small.length >= rawBytes) return plain(batches);
  const inner = 2 + 1 + varintLength(rawBytes) + 1 + varintLength(small.length) + small.length;
  const buffer = Buffer.allocUnsafe(1 + varintLength(inner) + inner);
  buffer[0] = TAG_DOWN_BATCHES;
  let at = writeVarint(buffer, 1, inner);
  buffer[at++] = TAG_COMPRESSION;
  buffer[at++] = COMPRESSION_BROTLI;
  buffer[at++] = TAG_UNPACKED_BYTES;
  at = writeVarint(buffer, at, rawBytes);
  buffer[at++] = TAG_PACKED;
  at = writeVarint(buffer, at, small.length);
  buffer.set(small, at);
  return buffer;
}

class Walk {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new MalformedBytes('a frame with a broken length');
  }

  expect(tag: number): void {
    if (this.bytes[this.at] !== tag) throw new MalformedBytes('a frame with a field that was not negotiated');
    this.at++;
  }
}

/** Throws MalformedBytes. Batches are views on `bytes`, or on what was unpacked from it. */
export function decodeFrame(bytes: Buffer): Batches {
  if (bytes.length > DOWN_BYTES_MAX) throw new MalformedBytes(`a frame of ${bytes.length} bytes`);
  const walk = new Walk(bytes, 1);
  if (walk.varint() !== walk.left) throw new MalformedBytes('a frame that holds something beside its batches');
  if (bytes[walk.at] !== TAG_COMPRESSION) return { kind: 'batches', batches: decodeBody(walk) };
  return { kind: 'batches', batches: decodeBody(new Walk(unpacked(walk), 0)), wireBytes: bytes.length };
}

function unpacked(walk: Walk): Buffer {
  walk.expect(TAG_COMPRESSION);
  const compression = walk.varint();
  if (compression !== COMPRESSION_BROTLI)
    throw new MalformedBytes(`a frame of compression ${compression}, which was not negotiated`);
  walk.expect(TAG_UNPACKED_BYTES);
  const rawBytes = walk.varint();
  if (rawBytes > DOWN_BYTES_MAX) throw new MalformedBytes(`a compressed frame of ${rawBytes} bytes`);
  walk.expect(TAG_PACKED);
  if (walk.varint() !== walk.left) throw new MalformedBytes('a compressed frame that does not end where it says');
  let raw: Buffer;
  try {
    // One byte more than it may need, so that what is longer is seen to be; 0 would mean no bound.
    raw = brotliDecompressSync(walk.bytes.subarray(walk.at), { maxOutputLength: rawBytes + 1 });
  } catch (cause) {
    throw new MalformedBytes(`a compressed frame that cannot be unpacked: ${(cause as Error).message}`, { cause });
  }
  if (raw.length !== rawBytes)
    throw new MalformedBytes(`a compressed frame of ${raw.length} bytes that says ${rawBytes}`);
  return raw;
}

function decodeBody(walk: Walk): Buffer[] {
  const batches: Buffer[] = [];
  while (walk.left > 0) {
    walk.expect(TAG_BATCH);
    const length = walk.varint();
    if (length > walk.left) throw new MalformedBytes(`a batch of ${length} bytes in ${walk.left}`);
    if (batches.length === FRAME_BATCHES_MAX)
      throw new MalformedBytes(`more than ${FRAME_BATCHES_MAX} batches in a frame`);
    batches.push(walk.bytes.subarray(walk.at, walk.at + length));
    walk.at += length;
  }
  return batches;
}
