// Reading a segment file from front to back: every record's CRC is checked, in large reads.
// Owns: walking records, finding the next good one after a bad one, and the evidence for a lost page. Judging is not done here.

import { readAt, type LogFiles } from './files.ts';
import {
  decodeSegmentHeader,
  hex,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC_AT,
  RECORD_MAGIC_BYTES,
  recordCommitStart,
  recordIsGood,
  recordKind,
  recordLength,
  recordNews,
  type SegmentHeader,
} from './segment-format.ts';

const READ_BYTES = 4 * 1024 * 1024;
const PAGE_BYTES = 4096;
/** What a search for the next record wants in the buffer at once: a small part of it, so that it seldom moves. */
const SEARCH_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(SEARCH_BYTES);

/** A file seen through a buffer that moves forward. It grows to the largest record met (bounded by the largest entry). */
export class FileWindow {
  readonly #files: LogFiles;
  readonly #fd: number;
  readonly size: number;
  buffer: Buffer;
  /** Position in the file of buffer[0], and where the file's bytes in the buffer end. */
  base = 0;
  filled = 0;

  constructor(files: LogFiles, fd: number, size: number, buffer?: Buffer) {
    this.#files = files;
    this.#fd = fd;
    this.size = size;
    this.buffer = buffer ?? Buffer.allocUnsafeSlow(Math.min(READ_BYTES, Math.max(size, RECORD_HEADER_BYTES)));
  }

  /** Makes `length` bytes from `position` on available, fewer only at the end of the file; returns where they are in the buffer. */
  async load(position: number, length: number): Promise<number> {
    const wanted = Math.min(length, this.size - position);
    const at = position - this.base;
    if (at >= 0 && at + wanted <= this.filled) return at;
    const keep = at >= 0 && at < this.filled ? this.filled - at : 0;
    if (wanted > this.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(wanted);
      this.buffer.copy(grown, 0, at, at + keep);
      this.buffer = grown;
    } else {
      this.buffer.copyWithin(0, at, at + keep);
    }
    this.base = position;
    this.filled = keep;
    const room = Math.min(this.buffer.length, this.size - position);
    while (this.filled < room) {
      const bytes = await readAt(
        this.#files,
        this.#fd,
        this.buffer,
        this.filled,
        room - this.filled,
        this.base + this.filled,
      );
      if (bytes === 0) throw new Error(`the file ends at ${this.base + this.filled}, expected ${this.size} bytes`);
      this.filled += bytes;
    }
    return 0;
  }
}

export type HeaderScan =
  | { readonly kind: 'good'; readonly header: SegmentHeader; readonly length: number }
  | { readonly kind: 'newer'; readonly message: string }
  | { readonly kind: 'bad'; readonly message: string };

export async function scanHeader(window: FileWindow): Promise<HeaderScan> {
  let bytes = Math.min(RECORD_HEADER_BYTES, window.size);
  for (;;) {
    const at = await window.load(0, bytes);
    const verdict = decodeSegmentHeader(window.buffer.subarray(at, at + bytes));
    if (verdict.kind !== 'needs') return verdict;
    if (verdict.bytes > window.size) {
      return { kind: 'bad', message: `a segment header of ${verdict.bytes} bytes in a file of ${window.size}` };
    }
    bytes = verdict.bytes;
  }
}

/** Takes a good record; answers what is wrong with it in the order of things, undefined when it fits. */
export type RecordSink = (bytes: Buffer, at: number, length: number, position: number) => string | undefined;

export type RecordScan =
  /** Every byte up to the end belongs to a good record. */
  | { readonly kind: 'end' }
  /** `bad`: the bytes are not a record. `misfit`: they are one, and the sink says that it does not belong there. */
  | { readonly kind: 'bad' | 'misfit' | 'newer'; readonly position: number; readonly message: string };

export async function scanRecords(
  window: FileWindow,
  from: number,
  salt: number,
  sink: RecordSink,
): Promise<RecordScan> {
  let position = from;
  let wanted = RECORD_HEADER_BYTES;
  while (position < window.size) {
    let at = await window.load(position, wanted);
    const { buffer, filled } = window;
    wanted = RECORD_HEADER_BYTES;
    for (;;) {
      if (filled - at < RECORD_HEADER_BYTES) {
        if (window.size - position >= RECORD_HEADER_BYTES || position === window.size) break;
        return { kind: 'bad', position, message: `${window.size - position} bytes, too few for a record` };
      }
      const length = recordLength(buffer, at);
      if (length === undefined) {
        return { kind: 'bad', position, message: `expected a record, found ${buffer.toString('hex', at, at + 16)}…` };
      }
      if (position + length > window.size) {
        const message = `expected a record of ${length} bytes, found ${window.size - position} until the file's end`;
        return { kind: 'bad', position, message };
      }
      if (filled - at < length) {
        wanted = length;
        break;
      }
      if (!recordIsGood(buffer, at, length, salt)) {
        const message = `a record of ${length} bytes that does not have its checksum ${hex(buffer.readUInt32LE(at))}`;
        return { kind: 'bad', position, message };
      }
      if (recordKind(buffer, at) === undefined) return { kind: 'newer', position, message: recordNews(buffer, at) };
      const problem = sink(buffer, at, length, position);
      if (problem !== undefined) return { kind: 'misfit', position, message: problem };
      at += length;
      position += length;
    }
  }
  return { kind: 'end' };
}

export interface GoodRecord {
  readonly position: number;
  readonly commitStart: number;
}

/** The first good record that begins at or after `from`. */
export async function findGoodRecord(window: FileWindow, from: number, salt: number): Promise<GoodRecord | undefined> {
  let position = from;
  while (window.size - position >= RECORD_HEADER_BYTES) {
    const at = await window.load(position, SEARCH_BYTES);
    const hit = window.buffer.subarray(0, window.filled).indexOf(RECORD_MAGIC_BYTES, at + RECORD_MAGIC_AT);
    if (hit < 0) {
      // A magic may straddle the end of the buffer.
      if (window.base + window.filled === window.size) return undefined;
      position = window.base + window.filled - RECORD_MAGIC_AT - RECORD_MAGIC_BYTES.length + 1;
      continue;
    }
    const candidate = window.base + hit - RECORD_MAGIC_AT;
    if (window.size - candidate < RECORD_HEADER_BYTES) return undefined;
    let start = await window.load(candidate, RECORD_HEADER_BYTES);
    const length = recordLength(window.buffer, start);
    if (length !== undefined && candidate + length <= window.size) {
      start = await window.load(candidate, length);
      if (recordIsGood(window.buffer, start, length, salt)) {
        return { position: candidate, commitStart: recordCommitStart(window.buffer, start) };
      }
    }
    position = candidate + 1;
  }
  return undefined;
}

/** Where the last byte that is not zero ends, `from` when there is none behind it. */
export async function endOfContent(window: FileWindow, from: number): Promise<number> {
  let end = from;
  for (let position = from; position < window.size;) {
    const at = await window.load(position, Math.min(SEARCH_BYTES, window.size - position));
    const bytes = window.buffer.subarray(at, Math.min(at + SEARCH_BYTES, window.filled));
    if (!bytes.equals(ZEROS.subarray(0, bytes.length))) {
      end = position + bytes.findLastIndex((byte) => byte !== 0) + 1;
    }
    position += bytes.length;
  }
  return end;
}

/**
 * Whether a page of the file between `from` and `to` never reached the disk: all zero from its start, or from the start of the
 * commit when that lies within it, to its end. File systems write pages of an unsynced commit in any order, and a page that was
 * not written when the power went reads as zeros.
 */
export async function hasLostPage(window: FileWindow, from: number, to: number, commitStart: number): Promise<boolean> {
  for (let page = from - (from % PAGE_BYTES); page + PAGE_BYTES <= to; page += PAGE_BYTES) {
    const begin = Math.max(page, commitStart);
    const length = page + PAGE_BYTES - begin;
    if (length <= 0) continue;
    const at = await window.load(begin, length);
    if (window.buffer.subarray(at, at + length).every((byte) => byte === 0)) return true;
  }
  return false;
}
