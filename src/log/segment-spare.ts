// The file of the next segment, filled with zeros before it is needed.
// A file that grows with each append makes each fdatasync a commit of the file system's journal, which waits for whatever else the disk has
// been given (decision 13 has the figures). Over bytes that are there already, an fdatasync writes just these bytes.
// Owns: the zeros, how fast they are written, and that a spare that cannot be made is only a missed speed-up.
//
// I12 At most one spare, of one segment's size; it is made in slices, in step with what is appended meanwhile.

import { join } from 'node:path';
import { UNFINISHED, syncData, writeAt, type LogFiles } from './files.ts';

const SLICE = Buffer.alloc(1024 * 1024);
/** A log that holds less than this part of a segment gets no spare: most tests, and regions that hardly write. */
const BEGINS_AT = 1 / 64;
/** Zeros for each byte appended: the spare is there when two thirds of the segment are full. Faster, and the acks of writes wait for the disk in bursts. */
const ZEROS_PER_BYTE = 1.5;

export class SpareSegment {
  readonly #files: LogFiles;
  readonly #path: string;
  readonly #bytes: number;
  #fd: number | undefined;
  #written = 0;
  #wanted = 0;
  #working: Promise<void> | undefined;
  #givenUp = false;
  #gaveBack = false;

  /** `directory`: where the segments are. `bytes`: what a segment takes. */
  constructor(files: LogFiles, directory: string, bytes: number) {
    this.#files = files;
    this.#path = join(directory, `next.seg${UNFINISHED}`);
    this.#bytes = bytes;
  }

  get ready(): boolean {
    return this.#written >= this.#bytes && this.#working === undefined;
  }

  /** The segment that is written to holds so many bytes. Starts what is due; never waits. */
  advance(appended: number): void {
    const due = (appended - this.#bytes * BEGINS_AT) * ZEROS_PER_BYTE;
    if (due <= this.#wanted || this.#givenUp) return;
    this.#wanted = Math.min(due, this.#bytes);
    if (this.#written < this.#wanted) this.#working ??= this.#work();
  }

  async #work(): Promise<void> {
    try {
      this.#fd ??= await this.#files.open(this.#path, 'create');
      while (this.#written < this.#wanted) {
        const slice = SLICE.subarray(0, Math.min(SLICE.length, this.#bytes - this.#written));
        await writeAt(this.#files, this.#fd, slice, this.#written);
        await syncData(this.#files, this.#fd);
        this.#written += slice.length;
      }
      this.#working = undefined;
    } catch {
      // No space, or a failing disk: the log goes on without, and finds out by itself when it must know.
      this.#givenUp = true;
      await this.#remove();
      this.#working = undefined;
    }
  }

  /** Hands the file over, closed: a whole segment of durable zeros under the name of an unfinished file. Only when ready. */
  async take(): Promise<string> {
    const fd = this.#fd!;
    this.#fd = undefined;
    this.#written = 0;
    this.#wanted = 0;
    await this.#files.close(fd);
    return this.#path;
  }

  /** Gives its space back, and takes none until `resume` is called. Answers whether any was given back since this was last asked. */
  async giveUp(): Promise<boolean> {
    this.#givenUp = true;
    this.#wanted = 0;
    await this.#working;
    await this.#remove();
    const gaveBack = this.#gaveBack;
    this.#gaveBack = false;
    return gaveBack;
  }

  resume(): void {
    this.#givenUp = false;
  }

  async #remove(): Promise<void> {
    const fd = this.#fd;
    if (fd === undefined) return;
    this.#gaveBack = true;
    this.#fd = undefined;
    this.#written = 0;
    this.#wanted = 0;
    // What stays of it is removed at the next start.
    await this.#files.close(fd).catch(() => undefined);
    await this.#files.remove(this.#path).catch(() => undefined);
  }
}
