// What happens to one node of a region that has several.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../cluster/stage.ts';
import { waysOf, withServers, type Fault } from './fault.ts';
import { expectTakeover, mainOwner, serves } from './watch.ts';

/** The goal: a dead node's shards take writes again. */
const TAKEOVER_MS_MAX = 5000;
/** A process drains for 15 s at most. */
const STOP_MS_MAX = 20_000;
/** So long NATS stands still, so that what the owner publishes is under way and nothing of it answered. */
const HELD_MS = 200;

/**
 * kill -9 of the node that owns most shards, with publishes of its shards in the hands of a NATS that stands still: they are stored when their sender is
 * dead. Another node takes over. Healed by starting it again.
 */
export function killOwnerInPublish(stage: Stage, region: string): Fault {
  return {
    name: 'owner-kill',
    says: `the node that owns most shards of ${region} is killed (SIGKILL) in the middle of its publishes`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: withServers,
    inject: async (_stage, witness) => {
      const { owner, others, shards } = await mainOwner(stage, region);
      const { natsServers } = stage.servers(region);
      await Promise.all(natsServers.map((nats) => nats.pause()));
      await sleep(HELD_MS);
      await owner.kill();
      const killedMs = performance.now();
      for (const nats of natsServers) nats.resume();
      await expectTakeover(witness, region, others, shards, TAKEOVER_MS_MAX, killedMs);
      return async () => {
        owner.spawn();
        await owner.ready();
        await serves(stage, region);
      };
    },
  };
}

/**
 * The owner is frozen until another node has its shards, and then goes on, with what clients had sent to it and what it meant to write: for a
 * moment two believe that they own them. What the first one still appends is refused by the log.
 */
export function twoOwners(stage: Stage, region: string): Fault {
  return {
    name: 'two-owners',
    says: `the node that owns most shards of ${region} is frozen (SIGSTOP) until another one has them, and goes on`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: withServers,
    inject: async (_stage, witness) => {
      const { owner, others, shards } = await mainOwner(stage, region);
      owner.pause();
      try {
        await expectTakeover(witness, region, others, shards, TAKEOVER_MS_MAX, performance.now());
      } finally {
        owner.resume();
      }
      return () => serves(stage, region);
    },
  };
}

/** SIGTERM of one node, which gives its shards up; started again when it has ended. */
export function restartNode(stage: Stage, region: string, index: number): Fault {
  const node = stage.nodes(region)[index]!;
  return {
    name: 'restart-node',
    says: `${node.name} is restarted (SIGTERM)`,
    hinders: waysOf(stage, region),
    stops: [],
    available: withServers,
    inject: async () => {
      const how = await node.stop(STOP_MS_MAX);
      if (how !== 'exit code 0') throw new Error(`${node.name} was told to end (SIGTERM), and ended with ${how}`);
      return async () => {
        node.spawn();
        await node.ready();
        await serves(stage, region);
      };
    },
  };
}
