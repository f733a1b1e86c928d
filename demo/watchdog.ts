// A process of its own that ends what its parent started, should the parent die without doing so (kill -9, out of memory).
// Owns: nothing but pids told to it. Lines on standard input: `watch PID START`, `forget PID`, `remove DIRECTORY`; the end of
// the input is the parent's end, however it came.
//
// A pid alone could by then belong to somebody else, so it goes with the time its process started (processStart).

import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { processStart } from './process-start.ts';

const watched = new Map<number, string>();
const directories = new Set<string>();

// Ctrl-C in a terminal is the parent's to handle.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [verb, first = '', second = ''] = line.split('\t');
  if (verb === 'watch') watched.set(Number(first), second);
  if (verb === 'forget') watched.delete(Number(first));
  if (verb === 'remove') directories.add(first);
});
lines.on('close', () => {
  for (const [pid, start] of watched) {
    if (processStart(pid) !== start) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone in this moment, which is what is wanted.
    }
  }
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});
