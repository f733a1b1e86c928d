// Appends without end and prints what was acknowledged, until it is killed (segment-crash.test.ts).

import fs from 'node:fs';
import { SegmentLog } from '../../src/log/segment.ts';
import { realSystem } from '../../src/system/real.ts';
import { entry, SHARDS } from '../contract/log.ts';

const log = new SegmentLog({
  directory: process.argv[2]!,
  clusterId: 'test',
  system: realSystem(),
  onFatal: (error) => {
    throw error;
  },
  segmentBytes: 200_000,
});
await log.open(SHARDS);

function say(line: string): void {
  for (;;) {
    try {
      fs.writeSync(1, line);
      return;
    } catch (error) {
      // The pipe is full: the test is slower than the log.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

SHARDS.forEach((shard, i) => {
  let next = log.tail(shard) + 1;
  const append = (kind: 'lease' | 'barrier'): void => {
    const offset = next++;
    log.append(shard, offset, [entry(kind, `${i} ${offset}`.padEnd(10 + (offset % 500)))], ({ kind: outcome }) => {
      if (outcome !== 'durable') process.exit(1);
      // Synchronous: what is printed has left this process before it can be killed.
      say(`${i} ${offset}\n`);
      append('barrier');
    });
  };
  append('lease');
  // Several in flight.
  for (let k = 0; k < 5; k++) append('barrier');
});
