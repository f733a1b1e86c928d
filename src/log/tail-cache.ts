// The newest entries of all shards in memory, so that links, feeds and appliers, which follow the tail, read no file.
// Entries are copied into chunks of memory, and out of them when they are read: a chunk that is let go of is filled again, so that what
// flows through here is neither garbage nor an object for each entry. V8 counts memory like this as a reason to mark the whole heap
// (64 MiB of it since it last did), which at 80,000 ops/s was every second and a half (decision 35).
// I12 chunks and what each entry costs beside its bytes stay within bytesMax (and at least one chunk, the one that is being filled): the
//     oldest chunk goes first, with the entries in it. Slow readers hold no memory here; they read files.

import { invariant } from '../errors/errors.ts';
import { LOG_ENTRY_KINDS, type LogEntryKind, type StoredEntry } from './log.ts';

const CHUNK_BYTES_MIN = 64 * 1024;
const CHUNK_BYTES_MAX = 1024 * 1024;
/** Three numbers, and room to grow. */
const ENTRY_OVERHEAD_BYTES = 40;
/** Kept to be filled again. More than one is let go of at a time only after a record of many chunks. */
const CHUNKS_SPARE_MAX = 2;

interface Chunk {
  readonly memory: Buffer;
  used: number;
  /** Shards that have entries in it. */
  readonly tails: Set<CachedTail>;
  entries: number;
}

const KINDS = Object.keys(LOG_ENTRY_KINDS) as readonly LogEntryKind[];

/** Entries of one shard that follow each other in one chunk. */
interface Run {
  readonly chunk: Chunk;
  readonly from: number;
  /** Of each entry: where it begins, its bytes, its kind. */
  readonly places: number[];
}

const PLACE_NUMBERS = 3;

/** The cached entries of one shard: a run that ends at its durable tail. */
export class CachedTail {
  /** Oldest first. */
  #runs: Run[] = [];

  /** Offset of the first cached entry, undefined when none is. */
  get from(): number | undefined {
    return this.#runs[0]?.from;
  }

  add(chunk: Chunk, offset: number, kind: LogEntryKind, at: number, length: number): void {
    let run = this.#runs.at(-1);
    if (run?.chunk !== chunk) {
      run = { chunk, from: offset, places: [] };
      this.#runs.push(run);
    }
    run.places.push(at, length, KINDS.indexOf(kind));
  }

  /** The chunk is filled again. It is the oldest that has entries of this shard, if any are left. */
  drop(chunk: Chunk): void {
    if (this.#runs[0]?.chunk === chunk) this.#runs.shift();
  }

  /** What comes next does not follow what is there. */
  forget(): void {
    this.#runs = [];
  }

  /** Entries from `offset` (which is cached) on, up to about `bytesMax`, at least one; copies. */
  take(offset: number, bytesMax: number): StoredEntry[] {
    // Most who read have read the ones before.
    let first = this.#runs.length - 1;
    while (first > 0 && this.#runs[first]!.from > offset) first--;
    let count = 0;
    let bytes = 0;
    scan: for (let r = first; r < this.#runs.length; r++) {
      const { from, places } = this.#runs[r]!;
      for (let i = (Math.max(from, offset) - from) * PLACE_NUMBERS; i < places.length; i += PLACE_NUMBERS) {
        const length = places[i + 1]!;
        if (count > 0 && bytes + length > bytesMax) break scan;
        bytes += length;
        count++;
      }
    }
    const memory = Buffer.allocUnsafe(bytes);
    const taken: StoredEntry[] = [];
    let to = 0;
    for (let r = first; taken.length < count; r++) {
      const { chunk, from, places } = this.#runs[r]!;
      let next = Math.max(from, offset);
      for (let i = (next - from) * PLACE_NUMBERS; i < places.length && taken.length < count; i += PLACE_NUMBERS) {
        const at = places[i]!;
        const length = places[i + 1]!;
        chunk.memory.copy(memory, to, at, at + length);
        taken.push({ kind: KINDS[places[i + 2]!]!, bytes: memory.subarray(to, to + length), offset: next++ });
        to += length;
      }
    }
    return taken;
  }
}

export class TailCache {
  readonly #bytesMax: number;
  readonly #chunkBytes: number;
  /** Oldest first; the last is being filled. */
  readonly #chunks: Chunk[] = [];
  readonly #spare: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#chunkBytes = Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, Math.floor(bytesMax / 16)));
  }

  /** Memory that the cache holds, without what is spare. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * `length` bytes to write a record into, in one piece. They count from now on, whether the record becomes durable or not, and are
   * filled again after some trim() once the bound is reached.
   */
  allocate(length: number): { readonly memory: Buffer; readonly at: number } {
    const { chunk, at } = this.#room(length);
    return { memory: chunk.memory, at };
  }

  #room(length: number): { readonly chunk: Chunk; readonly at: number } {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.memory.length - chunk.used < length) {
      const spare = length <= this.#chunkBytes ? this.#spare.pop() : undefined;
      const memory = spare ?? Buffer.allocUnsafeSlow(Math.max(this.#chunkBytes, length));
      chunk = { memory, used: 0, tails: new Set(), entries: 0 };
      this.#chunks.push(chunk);
      this.#bytes += memory.length;
    }
    const at = chunk.used;
    chunk.used += length;
    return { chunk, at };
  }

  /**
   * The entry that was written at `at` of allocated `memory` became durable. Entries of a shard are added in the order in which their
   * memory was allocated, and follow each other.
   */
  add(tail: CachedTail, entry: Omit<StoredEntry, 'bytes'>, memory: Buffer, at: number, length: number): void {
    // The chunk is the last one, or of the few that its commit filled: looked for from the end, found at once.
    let i = this.#chunks.length - 1;
    while (i >= 0 && this.#chunks[i]!.memory !== memory) i--;
    const chunk = this.#chunks[i];
    invariant(chunk !== undefined, 'a log entry becomes durable while its memory is still cached');
    this.#keep(tail, entry, chunk, at, length);
  }

  /** A durable entry that was not written here; copied. */
  copy(tail: CachedTail, { kind, offset, bytes }: StoredEntry): void {
    const { chunk, at } = this.#room(bytes.length);
    chunk.memory.set(bytes, at);
    this.#keep(tail, { kind, offset }, chunk, at, bytes.length);
  }

  #keep(tail: CachedTail, entry: Omit<StoredEntry, 'bytes'>, chunk: Chunk, at: number, length: number): void {
    tail.add(chunk, entry.offset, entry.kind, at, length);
    chunk.tails.add(tail);
    chunk.entries++;
    this.#bytes += ENTRY_OVERHEAD_BYTES;
  }

  /** Called between commits: lets go of what is above the bound. */
  trim(): void {
    while (this.#bytes > this.#bytesMax && this.#chunks.length > 1) {
      const chunk = this.#chunks.shift()!;
      const { memory } = chunk;
      this.#bytes -= memory.length + chunk.entries * ENTRY_OVERHEAD_BYTES;
      for (const tail of chunk.tails) tail.drop(chunk);
      if (memory.length === this.#chunkBytes && this.#spare.length < CHUNKS_SPARE_MAX) this.#spare.push(memory);
    }
  }
}
