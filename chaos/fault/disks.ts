// What happens to disks: full, or gone.

import { setTimeout as sleep } from 'node:timers/promises';
import { regionReady } from '../../demo/region-client.ts';
import type { Stage } from '../cluster/stage.ts';
import { smallDiskUnavailable } from '../cluster/small-disk.ts';
import { always, waysOf, type Fault } from './fault.ts';

const BITE_MS_MAX = 20_000;
const BITE_LOOK_MS = 50;

/** Not a byte more goes onto the region's disk. Healed by making room. */
export function diskFull(stage: Stage, region: string): Fault {
  return {
    name: 'disk-full',
    says: `the disk of ${region} is full`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: () =>
      smallDiskUnavailable() ?? (stage.disk(region) === undefined ? `${region} has no disk of its own` : undefined),
    inject: async () => {
      stage.disk(region)!.fill();
      await bitten(stage, region);
      return async () => {
        stage.disk(region)!.free();
        const process = stage.region(region);
        // A node may have given up on its log; then it is started again, as whoever runs it would.
        if (!process.running) process.spawn();
        await process.ready();
      };
    },
  };
}

/** Until the region takes no writes. What its log had set aside it may still fill; with bulky writers (chaos/traffic/bulk.ts) that is soon. */
async function bitten(stage: Stage, region: string): Promise<void> {
  const { address } = stage.region(region);
  for (const untilMs = performance.now() + BITE_MS_MAX; performance.now() < untilMs;) {
    if (!(await regionReady(address))) return;
    await sleep(BITE_LOOK_MS);
  }
  throw new Error(`${region} takes writes ${BITE_MS_MAX / 1000} s after its disk was filled`);
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
