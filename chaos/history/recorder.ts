// Writes the history of a run while it happens. What clients were told is appended at once, so that also the history of a run that is
// broken off says what happened until then.

import { createWriteStream, type WriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import type { HistoryRecord } from './records.ts';

export class Recorder {
  readonly #stream: WriteStream;
  readonly #zeroMs = performance.now();
  #ops = 0;
  #error: Error | undefined;

  constructor(file: string) {
    this.#stream = createWriteStream(file, { flags: 'wx' });
    this.#stream.on('error', (error) => {
      this.#error = error;
    });
  }

  /** Milliseconds since the run began. */
  nowMs(): number {
    return Math.round((performance.now() - this.#zeroMs) * 10) / 10;
  }

  /** A number for an op, from 1. */
  nextOp(): number {
    return ++this.#ops;
  }

  add(record: HistoryRecord): void {
    // The rate of a run is bounded by its clients, each of which waits for its answer; what the disk has not taken waits in memory.
    this.#stream.write(`${JSON.stringify(record)}\n`);
  }

  trouble(what: string): void {
    this.add({ kind: 'trouble', atMs: this.nowMs(), what });
  }

  /** Throws what could not be written. */
  async close(): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    this.#stream.end();
    await finished(this.#stream);
  }
}
