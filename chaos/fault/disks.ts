// What happens to disks: full, or gone.

import type { Stage } from '../cluster/stage.ts';
import { smallDiskUnavailable } from '../cluster/small-disk.ts';
import { always, waysOf, type Fault } from './fault.ts';

/** Not a byte more goes onto the region's disk. Healed by making room. */
export function diskFull(stage: Stage, region: string): Fault {
  return {
    name: 'disk-full',
    says: `the disk of ${region} is full`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: () =>
      smallDiskUnavailable() ?? (stage.disk(region) === undefined ? `${region} has no disk of its own` : undefined),
    inject: () => {
      stage.disk(region)!.fill();
      return Promise.resolve(async () => {
        stage.disk(region)!.free();
        const process = stage.region(region);
        // A node may have given up on its log; then it is started again, as whoever runs it would.
        if (!process.running) process.spawn();
        await process.ready();
      });
    },
  };
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
