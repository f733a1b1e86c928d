// What happens to processes: killed, frozen, told to end, started again.

import type { Stage } from '../cluster/stage.ts';
import { always, waysOf, type Fault } from './fault.ts';

/** kill -9; healed by starting it again. */
export function kill(stage: Stage, region: string): Fault {
  return {
    name: 'kill',
    says: `${region} is killed (SIGKILL)`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: always,
    inject: async () => {
      const process = stage.region(region);
      await process.kill();
      return async () => {
        process.spawn();
        await process.ready();
      };
    },
  };
}

/** All of them at once. */
export function killTogether(stage: Stage, regions: readonly string[]): Fault {
  const kills = regions.map((region) => kill(stage, region));
  return {
    name: 'kill-together',
    says: `${regions.join(' and ')} are killed at once (SIGKILL)`,
    hinders: [...new Set(kills.flatMap(({ hinders }) => hinders))],
    stops: regions,
    available: always,
    inject: async (_stage, witness) => {
      const heals = await Promise.all(kills.map((each) => each.inject(stage, witness)));
      return async () => {
        await Promise.all(heals.map((heal) => heal()));
      };
    },
  };
}

/** SIGSTOP: connections stay open and nothing moves. Healed by SIGCONT. */
export function pause(stage: Stage, region: string): Fault {
  return {
    name: 'pause',
    says: `${region} is frozen (SIGSTOP)`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: always,
    inject: () => {
      const process = stage.region(region);
      process.pause();
      return Promise.resolve(async () => {
        process.resume();
        await process.ready();
      });
    },
  };
}

/** SIGTERM, waits for the end, starts it again. What heals is the start. */
export function restart(stage: Stage, region: string): Fault {
  return {
    name: 'restart',
    says: `${region} is restarted (SIGTERM)`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: always,
    inject: async () => {
      const process = stage.region(region);
      const how = await process.stop();
      // A drain that does not come to an end is killed; then this was no restart.
      if (how !== 'exit code 0') throw new Error(`${region} was told to end (SIGTERM), and ended with ${how}`);
      return async () => {
        process.spawn();
        await process.ready();
      };
    },
  };
}
