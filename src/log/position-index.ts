// Where one shard's entries stand in the files: the sparse index behind Log.read().
// A position counts bytes over all segments of the log, so that one ascending number says file and place; in JetStream it is the sequence of a message.
// I12 at most POINTS_MAX points of 16 bytes are kept, 256 KiB a shard: at the bound every second point goes and the distance between points
//     doubles (first at 4 GiB of log). A read then walks further before it finds its first entry; a reader that goes on where it stopped
//     is remembered and walks nothing.

import { lastAtMost } from './batch-index.ts';

const STRIDE_BYTES_FIRST = 256 * 1024;
const POINTS_MAX = 16_384;
const RESUMES_MAX = 32;

export class PositionIndex {
  /** Ascending, both. */
  readonly #offsets: number[] = [];
  readonly #positions: number[] = [];
  #stride: number;
  /** Offset → exact position of where a reader will go on. Oldest first. */
  readonly #resumes = new Map<number, number>();

  /** The distance between points at first, in what positions count. */
  constructor(stride = STRIDE_BYTES_FIRST) {
    this.#stride = stride;
  }

  /** Entries are added in order. */
  add(offset: number, position: number): void {
    const last = this.#positions.at(-1);
    if (last !== undefined && position - last < this.#stride) return;
    this.#offsets.push(offset);
    this.#positions.push(position);
    if (this.#offsets.length > POINTS_MAX) this.#thin();
  }

  /** A position at or before the entry at `offset`, undefined when the shard has no entry at or before it. */
  find(offset: number): number | undefined {
    const resume = this.#resumes.get(offset);
    if (resume !== undefined) return resume;
    return this.#positions[lastAtMost(this.#offsets, offset)];
  }

  /** The entry at `offset` is at this position, or later with nothing of the shard between. */
  resumeAt(offset: number, position: number): void {
    this.#resumes.delete(offset);
    this.#resumes.set(offset, position);
    if (this.#resumes.size > RESUMES_MAX) this.#resumes.delete(this.#resumes.keys().next().value!);
  }

  #thin(): void {
    const kept = Math.ceil(this.#offsets.length / 2);
    for (let i = 0; i < kept; i++) {
      this.#offsets[i] = this.#offsets[i * 2]!;
      this.#positions[i] = this.#positions[i * 2]!;
    }
    this.#offsets.length = kept;
    this.#positions.length = kept;
    this.#stride *= 2;
  }
}
