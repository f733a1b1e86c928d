// What happens to disks: full, or gone.

import { setTimeout as sleep } from 'node:timers/promises';
import { adminClient } from '../../src/client/index.ts';
import type { Stage } from '../cluster/stage.ts';
import { always, waysOf, type Fault } from './fault.ts';

const CHANGE_MS_MAX = 30_000;
const LOOK_MS = 50;

/** Not a byte more goes onto the region's disk. Healed by making room. */
export function diskFull(stage: Stage, region: string): Fault {
  return {
    name: 'disk-full',
    says: `the disk of ${region} is full`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: () => (stage.disk(region) === undefined ? `${region} has no small disk of its own` : undefined),
    inject: async () => {
      const disk = stage.disk(region)!;
      disk.fill();
      try {
        await stateBecomes(stage, region, (state) => state !== 'ready');
      } catch (error) {
        disk.free();
        throw error;
      }
      return async () => {
        disk.free();
        const process = stage.region(region);
        // A node may have given up on its log; then it is started again, as whoever runs it would.
        if (!process.running) process.spawn();
        await process.ready();
        await stateBecomes(stage, region, (state) => state === 'ready');
      };
    },
  };
}

/** A region whose disk is full goes on reading, so it is asked what it says of itself. It writes on into what its log had set aside; with
 *  bulky writers (chaos/traffic/bulk.ts) that is not for long. */
async function stateBecomes(stage: Stage, region: string, isWanted: (state: string) => boolean): Promise<void> {
  const admin = adminClient(stage.region(region).address);
  let state = 'unknown';
  try {
    for (const untilMs = performance.now() + CHANGE_MS_MAX; performance.now() < untilMs; await sleep(LOOK_MS)) {
      ({ state } = await admin.status().catch(() => ({ state: 'down' })));
      if (isWanted(state)) return;
    }
  } finally {
    admin.close();
  }
  throw new Error(`${region} is still ${state} after ${CHANGE_MS_MAX / 1000} s`);
}

/** The process is killed and everything on its disk is gone. Healed by starting it with an empty one. */
export function diskLost(stage: Stage, region: string): Fault {
  return {
    name: 'disk-lost',
    says: `${region} is killed and its disk is gone`,
    hinders: waysOf(stage, region),
    stops: [region],
    wipes: [region],
    available: always,
    inject: async () => {
      const process = stage.region(region);
      await process.kill();
      stage.wipe(region);
      return async () => {
        process.spawn();
        await process.ready();
      };
    },
  };
}
