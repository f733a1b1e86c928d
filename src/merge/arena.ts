// Memory for pieces of bytes of all sizes, outside of what V8 collects.
// Owns: where a piece lies, and which places are free. A handle is the number of a piece's first unit.
//
// Why not a Buffer or a string each: a million of them are a million objects for the collector to visit, and each lies on a page of its own,
// so that to read one is to wait for the page's address as well. Here they lie in few large blocks, which the kernel can map with large
// pages (see src/cli/gc.ts).
//
// Bound: what is in use, rounded up (16 bytes up to 512, then at most a quarter), and free places of the sizes that were in use at some
// time: they are used again for pieces of the same rounded size only.

/** Pieces begin at multiples of it. */
export const UNIT_BYTES = 16;
const CHUNK_UNITS = 2 ** 18;
const CHUNK_BYTES = CHUNK_UNITS * UNIT_BYTES;
/** The first chunk begins small and doubles: most shards of a test hold a few keys. */
const CHUNK_BYTES_FIRST = 16 * 1024;
/** A larger piece has a chunk of its own. */
const SHARED_BYTES_MAX = CHUNK_BYTES / 16;

interface Chunk {
  readonly bytes: Buffer;
  /** The same memory, for who reads words. */
  readonly words: Int32Array;
}

export class Arena {
  readonly #chunks: (Chunk | undefined)[] = [];
  /** By number of units: free places. */
  readonly #free: (number[] | undefined)[] = [];
  /** Chunks of large pieces that are gone. */
  readonly #freeChunks: number[] = [];
  /** The chunk that is being filled, and its first unit that never was in use. */
  #filling = -1;
  #next = 0;
  #bytes = 0;

  /** In use, rounded up as they are. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A place for so many bytes, at least 1; what is in it is left from before. */
  allocate(bytes: number): number {
    const units = unitsOf(bytes);
    this.#bytes += units * UNIT_BYTES;
    const free = this.#free[units];
    if (free !== undefined && free.length > 0) return free.pop()!;
    if (units * UNIT_BYTES > SHARED_BYTES_MAX) {
      const at = this.#freeChunks.pop() ?? this.#chunks.length;
      this.#chunks[at] = chunkOf(units * UNIT_BYTES);
      return at * CHUNK_UNITS;
    }
    if (this.#filling < 0 || this.#next + units > CHUNK_UNITS) this.#begin();
    const handle = this.#filling * CHUNK_UNITS + this.#next;
    this.#next += units;
    const { bytes: filling } = this.#chunks[this.#filling]!;
    if (this.#next * UNIT_BYTES > filling.length) this.#grow(filling);
    return handle;
  }

  #begin(): void {
    this.#filling = this.#freeChunks.pop() ?? this.#chunks.length;
    this.#chunks[this.#filling] = chunkOf(this.#filling === 0 ? CHUNK_BYTES_FIRST : CHUNK_BYTES);
    this.#next = 0;
  }

  #grow(filling: Buffer): void {
    let length = filling.length * 2;
    while (length < this.#next * UNIT_BYTES) length *= 2;
    const chunk = chunkOf(length);
    chunk.bytes.set(filling, 0);
    this.#chunks[this.#filling] = chunk;
  }

  /** `bytes` as it was allocated for. */
  free(handle: number, bytes: number): void {
    const units = unitsOf(bytes);
    this.#bytes -= units * UNIT_BYTES;
    if (units * UNIT_BYTES > SHARED_BYTES_MAX) {
      const at = Math.floor(handle / CHUNK_UNITS);
      this.#chunks[at] = undefined;
      this.#freeChunks.push(at);
      return;
    }
    (this.#free[units] ??= []).push(handle);
  }

  /** Would both need the same place? Then the one that is there will do. */
  static same(bytes: number, others: number): boolean {
    return unitsOf(bytes) === unitsOf(others);
  }

  /** The memory in which a piece lies, until the next allocate(). */
  chunk(handle: number): Chunk {
    return this.#chunks[Math.floor(handle / CHUNK_UNITS)]!;
  }

  /** Where in it, in bytes. */
  static at(handle: number): number {
    return (handle % CHUNK_UNITS) * UNIT_BYTES;
  }
}

function chunkOf(length: number): Chunk {
  // Of its own: not out of Node's pool.
  const bytes = Buffer.alloc(length);
  return { bytes, words: new Int32Array(bytes.buffer, bytes.byteOffset, length / 4) };
}

/** Few sizes, so that a free place is found: by 1 unit up to 32, then by a quarter of the power of two. */
function unitsOf(bytes: number): number {
  const units = Math.ceil(bytes / UNIT_BYTES);
  if (units <= 32) return units;
  const step = 2 ** (29 - Math.clz32(units));
  return Math.ceil(units / step) * step;
}
