// The thread of an LMDB store that writes (lmdb-thread.ts starts it). It answers each message with the outcomes of its steps; an error that
// is none of LMDB's ends it. Whenever it is inside a transaction its state is RUNNING: it must not be stopped there.

import fs from 'node:fs';
import os from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { openRows, writeSteps } from './lmdb-environment.mjs';

/** Nobody waits for what this thread does, and the others are waited for: where cores are scarce it gets a tenth of what they get. */
const NICE = 10;
const IDLE = 0;
const RUNNING = 1;

const { state, path, shards } = /** @type {import('./lmdb-thread.ts').WriterData} */ (workerData);
const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
giveWay();
const environment = running(() => openRows(path, shards));

port.on('message', (/** @type {import('./lmdb-thread.ts').ToWriter} */ message) => {
  // The process exits, and this thread with it.
  if (environment === undefined) return;
  if (message.kind === 'close') {
    void environment.env.close();
    port.close();
    return;
  }
  // A Buffer arrives as the Uint8Array that it also is.
  const chunks = message.chunks.map(({ buffer, byteOffset, length }) => Buffer.from(buffer, byteOffset, length));
  const outcomes = running(() => writeSteps(environment, { steps: message.steps, chunks }));
  if (outcomes !== undefined) port.postMessage(outcomes);
});

/**
 * @template T
 * @param {() => T} action
 * @returns {T | undefined} undefined when the process exits
 */
function running(action) {
  if (Atomics.compareExchange(state, 0, IDLE, RUNNING) !== IDLE) return undefined;
  try {
    return action();
  } finally {
    Atomics.store(state, 0, IDLE);
    Atomics.notify(state, 0);
  }
}

/** Of this thread alone: to Linux a thread's number is as good as a process's. Elsewhere it runs like any other. */
function giveWay() {
  try {
    const thread = Number(fs.readlinkSync('/proc/thread-self').split('/').at(-1));
    os.setPriority(thread, NICE);
  } catch {
    // Not Linux, or not allowed to.
  }
}
