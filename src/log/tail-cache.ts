// The newest entries of all shards in memory, so that links, feeds and appliers, which follow the tail, read no file.
// Commits are encoded into chunks of memory; the same bytes are written to the file and then served from here, so an entry is copied once.
// I12 chunks and what each entry costs beside its bytes stay within bytesMax (and at least one chunk, the one that is being filled): the
//     oldest chunk goes first, with the entries in it. Slow readers hold no memory here; they read files.

import { invariant } from '../errors/errors.ts';
import type { StoredEntry } from './log.ts';

const CHUNK_BYTES_MIN = 64 * 1024;
const CHUNK_BYTES_MAX = 1024 * 1024;
/** An entry's object, its view and its place in a list; measured, and rounded up. */
const ENTRY_OVERHEAD_BYTES = 192;

interface Chunk {
  readonly memory: Buffer;
  used: number;
  /** How many entries of which shard begin in it. */
  readonly entries: Map<CachedTail, number>;
  overheadBytes: number;
}

/** The cached entries of one shard: a run that ends at its durable tail. */
export class CachedTail {
  #entries: StoredEntry[] = [];
  #head = 0;

  /** Offset of the first cached entry, undefined when none is. */
  get from(): number | undefined {
    return this.#entries[this.#head]?.offset;
  }

  push(entry: StoredEntry): void {
    this.#entries.push(entry);
  }

  drop(count: number): void {
    this.#head += count;
    // Moving what is left each time would cost a copy per chunk; waiting for half makes it one copy per entry at most.
    if (this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Entries from `offset` (which is cached) on, up to about `bytesMax`, at least one. */
  take(offset: number, bytesMax: number): StoredEntry[] {
    const taken: StoredEntry[] = [];
    let bytes = 0;
    for (let i = this.#head + (offset - this.from!); i < this.#entries.length; i++) {
      const entry = this.#entries[i]!;
      bytes += entry.bytes.length;
      if (taken.length > 0 && bytes > bytesMax) break;
      taken.push(entry);
    }
    return taken;
  }
}

export class TailCache {
  readonly #bytesMax: number;
  readonly #chunkBytes: number;
  /** Oldest first; the last is being filled. */
  readonly #chunks: Chunk[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#chunkBytes = Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, Math.floor(bytesMax / 16)));
  }

  /** Memory that the cache holds. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `length` bytes to write a record into, in one piece. They count from now on, whether the record becomes durable or not. */
  allocate(length: number): { readonly memory: Buffer; readonly at: number } {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.memory.length - chunk.used < length) {
      const memory = Buffer.allocUnsafeSlow(Math.max(this.#chunkBytes, length));
      chunk = { memory, used: 0, entries: new Map(), overheadBytes: 0 };
      this.#chunks.push(chunk);
      this.#bytes += memory.length;
    }
    const at = chunk.used;
    chunk.used += length;
    return { memory: chunk.memory, at };
  }

  /** The entry became durable. Entries are added in the order in which their memory was allocated. */
  add(tail: CachedTail, entry: StoredEntry, memory: Buffer): void {
    // The chunk is the last one, or of the few that its commit filled: looked for from the end, found at once.
    let at = this.#chunks.length - 1;
    while (at >= 0 && this.#chunks[at]!.memory !== memory) at--;
    const chunk = this.#chunks[at];
    invariant(chunk !== undefined, 'a log entry becomes durable while its memory is still cached');
    tail.push(entry);
    chunk.entries.set(tail, (chunk.entries.get(tail) ?? 0) + 1);
    chunk.overheadBytes += ENTRY_OVERHEAD_BYTES;
    this.#bytes += ENTRY_OVERHEAD_BYTES;
  }

  /** Called between commits: lets go of what is above the bound. */
  trim(): void {
    while (this.#bytes > this.#bytesMax && this.#chunks.length > 1) {
      const chunk = this.#chunks.shift()!;
      this.#bytes -= chunk.memory.length + chunk.overheadBytes;
      for (const [tail, count] of chunk.entries) tail.drop(count);
    }
  }
}
