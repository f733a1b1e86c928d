// What happens to a region's NATS: away, standing still, without its quorum.

import type { Nats } from '../../demo/processes.ts';
import type { Stage } from '../cluster/stage.ts';
import { waysOf, withServers, type Fault } from './fault.ts';
import { expectAlarm, serves } from './watch.ts';

/** Patience of the log is 1.5 s; a server that stands still is found out by its silence, request by request (3 s). */
const READ_ONLY_MS_MAX = 8000;

/** All its servers are killed. Healed by starting them again, on their data. */
export function killNats(stage: Stage, region: string): Fault {
  return away(stage, region, 'nats-kill', `NATS of ${region} is killed (SIGKILL)`, async (all) => {
    await Promise.all(all.map((nats) => nats.kill()));
    return () => restart(stage, all);
  });
}

/** Connections stay, and nothing is answered. */
export function pauseNats(stage: Stage, region: string): Fault {
  return away(stage, region, 'nats-pause', `NATS of ${region} stands still (SIGSTOP)`, async (all) => {
    await Promise.all(all.map((nats) => nats.pause()));
    return () => {
      for (const nats of all) nats.resume();
      return Promise.resolve();
    };
  });
}

/** Two of three are killed: the one that is left stores nothing. */
export function loseQuorum(stage: Stage, region: string): Fault {
  return away(
    stage,
    region,
    'nats-quorum',
    `NATS of ${region} loses two of its three servers (SIGKILL)`,
    async (all) => {
      const lost = all.slice(1);
      if (all.length !== 3) throw new Error(`NATS of ${region} has ${all.length} servers, and no quorum to lose`);
      await Promise.all(lost.map((nats) => nats.kill()));
      return () => restart(stage, lost);
    },
  );
}

/** One of three is killed: another one leads, and nobody is refused for long. */
export function killOneOfThree(stage: Stage, region: string, index: number): Fault {
  return {
    name: 'nats-kill-one',
    says: `NATS of ${region} loses one of its three servers (SIGKILL)`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: withServers,
    inject: async () => {
      const nats = stage.servers(region).natsServers[index]!;
      await nats.kill();
      return async () => {
        await restart(stage, [nats]);
        await serves(stage, region);
      };
    },
  };
}

function away(
  stage: Stage,
  region: string,
  name: string,
  says: string,
  strike: (all: readonly Nats[]) => Promise<() => Promise<void>>,
): Fault {
  return {
    name,
    says,
    hinders: waysOf(stage, region),
    stops: [region],
    available: withServers,
    inject: async (_stage, witness) => {
      const undo = await strike(stage.servers(region).natsServers);
      const speaks = witness.silent(region);
      try {
        await expectAlarm(witness, stage, region, 'read-only', READ_ONLY_MS_MAX);
      } catch (error) {
        await undo();
        throw error;
      }
      return async () => {
        speaks();
        await undo();
        await serves(stage, region);
      };
    },
  };
}

async function restart(stage: Stage, servers: readonly Nats[]): Promise<void> {
  for (const server of servers) {
    await server.restart();
    stage.cluster.watch(server.pid);
  }
}
