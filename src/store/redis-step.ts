// A step of the store as what is sent to Redis: one message, written at once.
// ioredis makes four buffers of each argument, and a step has thousands of them.

import type { PackedRows } from './packed-rows.ts';

/** `EVAL`, then `words`, the number of rows to set, those as pairs, and the row keys to delete (redis-scripts.ts has their order), as RESP. */
export function stepMessage(words: readonly string[], rows: PackedRows): Buffer {
  let sets = 0;
  let length = 64;
  rows.each((rowKey, value) => {
    length += rowKey.length + FRAME_BYTES_MAX;
    if (value === null) return;
    sets++;
    length += value.length + FRAME_BYTES_MAX;
  });
  const all = ['EVAL', ...words, `${sets}`];
  for (const word of all) length += argumentBytesMax(word);
  const out = new Resp(length);
  out.begin(all.length + rows.length + sets);
  for (const word of all) out.text(word);
  rows.each((rowKey, value) => {
    if (value === null) return;
    out.bytes(rowKey);
    out.bytes(value);
  });
  if (sets < rows.length) {
    rows.each((rowKey, value) => {
      if (value === null) out.bytes(rowKey);
    });
  }
  return out.finish();
}

/** `$`, a length, and two ends of a line. */
const FRAME_BYTES_MAX = 24;
/** Of UTF-8, for each unit of a string. */
const UNIT_BYTES_MAX = 3;

function argumentBytesMax(text: string): number {
  return text.length * UNIT_BYTES_MAX + FRAME_BYTES_MAX;
}

/** Writes what the protocol of Redis calls an array of bulk strings. */
class Resp {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytesMax: number) {
    // Slow: what waits for a connection would keep its neighbours of the shared pool in memory.
    this.#buffer = Buffer.allocUnsafeSlow(bytesMax);
  }

  begin(count: number): void {
    this.#at += this.#buffer.write(`*${count}\r\n`, this.#at, 'latin1');
  }

  text(text: string): void {
    const length = Buffer.byteLength(text);
    this.#frame(length);
    this.#at += this.#buffer.write(text, this.#at, length, 'utf8');
    this.#end();
  }

  bytes(bytes: Uint8Array): void {
    this.#frame(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
    this.#end();
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  #frame(length: number): void {
    this.#at += this.#buffer.write(`$${length}\r\n`, this.#at, 'latin1');
  }

  #end(): void {
    this.#buffer[this.#at++] = 13;
    this.#buffer[this.#at++] = 10;
  }
}
