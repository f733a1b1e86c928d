// Reading entries of one shard out of the segment files, for readers that are behind the tail cache.
// Other shards' records in between are stepped over by their lengths; the CRC of every entry that is given out is checked.
// I12 at most READS_MAX reads are under way, each with one buffer; the others wait, and there are as many as callers have asked for
//     (a link or feed asks for one at a time). Files that nobody reads just now stay open, IDLE_FILES_MAX of them.
//
// Each question to the file system is answered a turn of the event loop later, and the turns are long just when somebody reads here, because he
// is behind: so there are few questions, a large piece of the file each.

import type { LogFiles } from './files.ts';
import type { ReadResult, StoredEntry } from './log.ts';
import type { Segment } from './segment-directory.ts';
import {
  RECORD_HEADER_BYTES,
  recordIsGood,
  recordKind,
  recordLength,
  recordOffset,
  recordShardKey,
  shardKey,
} from './segment-format.ts';
import { FileWindow } from './segment-scan.ts';
import type { ShardTrack } from './shard-track.ts';

const READS_MAX = 8;
/** Entries of one shard lie among those of all others: 256 KiB of one of eight shards in 2 MiB of the file. */
const BUFFER_BYTES = 1024 * 1024;
const IDLE_FILES_MAX = 2;

interface OpenFile {
  readonly fd: Promise<number>;
  readers: number;
}

interface Wanted {
  readonly track: ShardTrack;
  readonly bytesMax: number;
  readonly entries: StoredEntry[];
  bytes: number;
  offset: number;
}

export class SegmentReader {
  readonly #files: LogFiles;
  /** In order; the writer adds to it, and to the length of the last. */
  readonly #segments: readonly Segment[];
  readonly #waiting: (() => void)[] = [];
  readonly #buffers: Buffer[] = [];
  /** By path; who was read last is last. */
  readonly #open = new Map<string, OpenFile>();
  #underWay = 0;
  #idle: (() => void) | undefined;

  constructor(files: LogFiles, segments: readonly Segment[]) {
    this.#files = files;
    this.#segments = segments;
  }

  /** `fromOffset` is durable. */
  read(track: ShardTrack, fromOffset: number, bytesMax: number, done: (result: ReadResult) => void): void {
    const start = (): void => void this.#serve(track, fromOffset, bytesMax, done);
    if (this.#underWay < READS_MAX) start();
    else this.#waiting.push(start);
  }

  async #serve(
    track: ShardTrack,
    fromOffset: number,
    bytesMax: number,
    done: (result: ReadResult) => void,
  ): Promise<void> {
    this.#underWay++;
    const result = await this.#read(track, fromOffset, bytesMax);
    this.#underWay--;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting();
    else if (this.#underWay === 0) this.#idle?.();
    done(result);
  }

  /** Resolves when no read is under way and no file is open; the caller starts none any more. */
  async finished(): Promise<void> {
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await this.#closeIdle(0);
  }

  #opened(path: string): OpenFile {
    let file = this.#open.get(path);
    if (file === undefined) {
      const fd = this.#files.open(path, 'read');
      file = { fd, readers: 0 };
      // The next reader tries again.
      fd.catch(() => this.#open.delete(path));
    }
    this.#open.delete(path);
    this.#open.set(path, file);
    file.readers++;
    return file;
  }

  async #closeIdle(kept: number): Promise<void> {
    const idle = [...this.#open].filter(([, { readers }]) => readers === 0);
    for (const [path, { fd }] of idle.slice(0, Math.max(0, idle.length - kept))) {
      this.#open.delete(path);
      await fd.then(
        (opened) => this.#files.close(opened),
        // It could not be opened: there is nothing to close.
        () => undefined,
      );
    }
  }

  async #read(track: ShardTrack, fromOffset: number, bytesMax: number): Promise<ReadResult> {
    const from = track.positions.find(fromOffset);
    if (from === undefined) return corrupt(`shard ${track.shard} has no entry ${fromOffset} in its index`);
    const wanted: Wanted = { track, bytesMax, entries: [], bytes: 0, offset: fromOffset };
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    try {
      let at = this.#segments.findLastIndex((segment) => segment.base <= from);
      for (let position = from; at < this.#segments.length; at++) {
        const segment = this.#segments[at]!;
        const file = this.#opened(segment.path);
        try {
          const fd = await file.fd;
          const window = new FileWindow(this.#files, fd, segment.length, buffer);
          const verdict = await collect(
            window,
            segment,
            Math.max(position - segment.base, segment.headerBytes),
            wanted,
          );
          if (verdict === 'enough') return { kind: 'entries', entries: wanted.entries };
          if (verdict !== 'more') return verdict;
        } finally {
          file.readers--;
          await this.#closeIdle(IDLE_FILES_MAX);
        }
        position = segment.base + segment.length;
      }
      return corrupt(`shard ${track.shard}: expected entry ${wanted.offset}, found the end of the log`);
    } catch (error) {
      return corrupt(`reading entry ${wanted.offset} of shard ${track.shard} failed: ${String(error)}`);
    } finally {
      if (this.#buffers.length < READS_MAX) this.#buffers.push(buffer);
    }
  }
}

/** Takes what is wanted of one segment. `more`: its end was reached first. */
async function collect(
  window: FileWindow,
  segment: Segment,
  from: number,
  wanted: Wanted,
): Promise<'enough' | 'more' | ReadResult> {
  const { track } = wanted;
  const key = shardKey(track.placement, track.index);
  const tail = track.tail;
  let position = from;
  while (position < window.size) {
    let at = await window.load(position, RECORD_HEADER_BYTES);
    const length = window.filled - at < RECORD_HEADER_BYTES ? undefined : recordLength(window.buffer, at);
    if (length === undefined || position + length > window.size) return corruptAt(segment, position, 'no record');
    const offset = recordOffset(window.buffer, at);
    if (recordShardKey(window.buffer, at) !== key || offset < wanted.offset) {
      position += length;
      continue;
    }
    if (offset !== wanted.offset) return corruptAt(segment, position, `offset ${offset}, expected ${wanted.offset}`);
    const payload = length - RECORD_HEADER_BYTES;
    if (wanted.entries.length > 0 && wanted.bytes + payload > wanted.bytesMax) {
      track.positions.resumeAt(wanted.offset, segment.base + position);
      return 'enough';
    }
    at = await window.load(position, length);
    const kind = recordKind(window.buffer, at);
    if (kind === undefined || !recordIsGood(window.buffer, at, length, segment.salt)) {
      return corruptAt(segment, position, `a record of ${track.shard} without its checksum`);
    }
    // Copied: the buffer is used again, and a view would keep the neighbours' bytes alive too.
    const bytes = Buffer.from(window.buffer.subarray(at + RECORD_HEADER_BYTES, at + length));
    wanted.entries.push({ kind, bytes, offset });
    wanted.bytes += payload;
    wanted.offset++;
    position += length;
    if (wanted.offset > tail) {
      track.positions.resumeAt(wanted.offset, segment.base + position);
      return 'enough';
    }
  }
  return 'more';
}

function corruptAt(segment: Segment, position: number, found: string): ReadResult {
  return corrupt(`${segment.path} at byte ${position}: expected a record, found ${found}`);
}

function corrupt(message: string): ReadResult {
  return { kind: 'corrupt', message };
}
