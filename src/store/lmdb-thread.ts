// The main thread's end of the thread that writes an LMDB store (lmdb-writer.mjs).
// Owns: the worker, from the first write until close() or until it dies; the next write starts another one.
// Bound: one write is under way at a time; the store sees to it.
// HAZARD: a thread that is stopped inside a transaction waits for itself for ever in lmdb-js' clean-up (EnvWrap::cleanupStrayTxns), and the process
//         that exits waits for the thread. So process.exit, which stops threads anywhere, first waits for the end of the transaction, and
//         nobody calls terminate() on it. kill -9 asks no one.

import { Worker } from 'node:worker_threads';
import { invariant } from '../errors/errors.ts';
import type { ShardId } from '../record/ids.ts';
import type { PackedStep } from './packed-row-reader.mjs';
import type { StepOutcome } from './store.ts';

/** What a writer does, shared with it (lmdb-writer.mjs has the same numbers). */
const IDLE = 0;
const RUNNING = 1;
/** It begins nothing any more. */
const LEAVING = 2;
/** More than a transaction takes; the process then exits, or hangs, as it would have without waiting. */
const LEAVE_MS_MAX = 10_000;

export interface WriterData {
  readonly state: Int32Array;
  readonly path: string;
  readonly shards: readonly ShardId[];
}

export type ToWriter =
  | {
      readonly kind: 'write';
      readonly steps: readonly PackedStep[];
      /** Handed over: they are empty here afterwards. */
      readonly chunks: readonly Buffer<ArrayBuffer>[];
    }
  | { readonly kind: 'close' };

export type WriterAnswer =
  | { readonly kind: 'answered'; readonly outcomes: readonly StepOutcome[] }
  /** It holds nothing of the environment any more. Whether it wrote is not known. */
  | { readonly kind: 'died'; readonly message: string };

const WRITER = new URL('./lmdb-writer.mjs', import.meta.url);

export class WriterThread {
  readonly #data: WriterData;
  readonly #leave = (): void => this.#waitAtExit();
  #worker: Worker | undefined;
  #done: ((answer: WriterAnswer) => void) | undefined;
  #closed: (() => void) | undefined;

  constructor(path: string, shards: readonly ShardId[]) {
    this.#data = { state: new Int32Array(new SharedArrayBuffer(4)), path, shards };
  }

  write(
    steps: readonly PackedStep[],
    chunks: readonly Buffer<ArrayBuffer>[],
    done: (answer: WriterAnswer) => void,
  ): void {
    invariant(this.#done === undefined, 'one write at a time is under way in the thread of an LMDB store');
    this.#done = done;
    this.#worker ??= this.#start();
    // While it writes it keeps the process alive, and else it does not.
    this.#worker.ref();
    process.on('exit', this.#leave);
    const message: ToWriter = { kind: 'write', steps, chunks };
    this.#worker.postMessage(
      message,
      chunks.map(({ buffer }) => buffer),
    );
  }

  close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#closed = resolve;
      worker.ref();
      const message: ToWriter = { kind: 'close' };
      worker.postMessage(message);
    });
  }

  #start(): Worker {
    // Without what this process was started with, such as a loader of TypeScript.
    const worker = new Worker(WRITER, { workerData: this.#data, execArgv: [], name: 'lmdb-writer' });
    let why = '';
    worker.on('message', (outcomes: readonly StepOutcome[]) => {
      worker.unref();
      this.#answer({ kind: 'answered', outcomes });
    });
    worker.on('error', (error) => (why = `: ${String(error)}`));
    worker.on('exit', (code) => {
      this.#worker = undefined;
      Atomics.store(this.#data.state, 0, IDLE);
      this.#closed?.();
      if (this.#done !== undefined) {
        this.#answer({ kind: 'died', message: `the thread that writes ended with code ${code}${why}` });
      }
    });
    return worker;
  }

  #answer(answer: WriterAnswer): void {
    const done = this.#done;
    this.#done = undefined;
    process.off('exit', this.#leave);
    done?.(answer);
  }

  #waitAtExit(): void {
    const { state } = this.#data;
    // It may open the environment, and then find a write that was posted meanwhile.
    while (Atomics.compareExchange(state, 0, IDLE, LEAVING) === RUNNING) {
      if (Atomics.wait(state, 0, RUNNING, LEAVE_MS_MAX) === 'timed-out') return;
    }
  }
}
