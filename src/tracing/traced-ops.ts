// Which ops of a batch carry a trace that is recorded, found in the batch's bytes without decoding the others: of each op its length and its flags are
// read, about 10 ns. For batches that were checked before.

import { BATCH_HEADER_BYTES } from '../record/batch.ts';
import { ByteReader, MalformedBytes } from '../record/bytes.ts';
import { FLAG_TRACE, readExtras } from '../record/op.ts';
import { isSampled } from './context.ts';

/** Calls `visit` with the op's place in the batch and its context (a view). What is no batch that this version can read has none. */
export function visitTraced(batch: Uint8Array, visit: (index: number, context: Uint8Array) => void): void {
  const bytes = Buffer.isBuffer(batch) ? batch : Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength);
  if (bytes.length < BATCH_HEADER_BYTES) return;
  const count = bytes.readUInt32LE(16);
  let at = bytes.readUInt32LE(20);
  for (let i = 0; i < count; i++) {
    let length = 0;
    let factor = 1;
    let byte: number;
    do {
      if (at >= bytes.length) return;
      byte = bytes[at++]!;
      length += (byte & 0x7f) * factor;
      factor *= 0x80;
    } while (byte >= 0x80);
    if (at + length > bytes.length) return;
    if ((bytes[at]! & FLAG_TRACE) !== 0) {
      const context = contextAt(bytes, at);
      if (isSampled(context)) visit(i, context);
    }
    at += length;
  }
}

/** Of an op whose flags stand at `at`. */
function contextAt(bytes: Buffer, at: number): Uint8Array | undefined {
  try {
    const reader = new ByteReader(bytes, at);
    const flags = reader.u8();
    reader.varint();
    reader.skip(reader.varint()); // key
    reader.skip(reader.varint()); // payload
    return readExtras(reader, flags).trace;
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined;
    throw error;
  }
}
