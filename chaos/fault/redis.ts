// What happens to a region's Redis: flushed, away, standing still, failed over to a replica that was behind. The store is a cache (I11): what is lost is
// noticed, never shown as fresh, and made anew from the log.

import { setTimeout as sleep } from 'node:timers/promises';
import { redisCommand, shardsWithRows } from '../cluster/redis.ts';
import type { Stage } from '../cluster/stage.ts';
import { waysOf, withServers, type Fault, type Witness } from './fault.ts';
import { expectAlarm, expectSaid, serves } from './watch.ts';

/** The goal: a loss is noticed. */
const NOTICED_MS_MAX = 1000;
/** A second of silence, half of one until somebody asks, and room for a busy machine. */
const AWAY_MS_MAX = 3000;
/** Of a restart or a fail-over: until there is a server again, and it is asked. */
const FOUND_MS_MAX = 15_000;
const REBUILT_MS_MAX = 15_000;
/** So long the master goes on without its replica: what it takes then is lost with it. */
const BEHIND_MS = 1500;
const LOOK_MS = 50;
const LOST = /expected the rows of shard (\S+) in Redis/;

/** FLUSHALL, under load. Nothing to heal: the region does it. */
export function flushRedis(stage: Stage, region: string): Fault {
  return {
    name: 'redis-flush',
    says: `Redis of ${region} is flushed`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: withServers,
    inject: async (_stage, witness) => {
      const { redis } = stage.servers(region);
      const shards = await shardsWithRows(redis);
      const sinceMs = Date.now();
      await redisCommand(redis, 'FLUSHALL');
      await noticed(witness, stage, region, sinceMs, shards, NOTICED_MS_MAX);
      await rebuilt(witness, stage, region, shards);
      return () => serves(stage, region);
    },
  };
}

/** Killed, and started again without its data. */
export function killRedis(stage: Stage, region: string): Fault {
  return {
    name: 'redis-kill',
    says: `Redis of ${region} is killed (SIGKILL), and its data with it`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: withServers,
    inject: async (_stage, witness) => {
      const { redis } = stage.servers(region);
      const shards = await shardsWithRows(redis);
      await redis.kill();
      const restart = async (): Promise<void> => {
        await redis.restart();
        stage.cluster.watch(redis.pid);
      };
      await saidAway(witness, stage, region, restart);
      return async () => {
        await restart();
        await noticed(witness, stage, region, Date.now(), shards, FOUND_MS_MAX);
        await rebuilt(witness, stage, region, shards);
        await serves(stage, region);
      };
    },
  };
}

/** Connections stay, and nothing is answered. */
export function pauseRedis(stage: Stage, region: string): Fault {
  return {
    name: 'redis-pause',
    says: `Redis of ${region} stands still (SIGSTOP)`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: withServers,
    inject: async (_stage, witness) => {
      const { redis } = stage.servers(region);
      await redis.pause();
      await saidAway(witness, stage, region, () => Promise.resolve(redis.resume()));
      return async () => {
        redis.resume();
        await serves(stage, region);
      };
    },
  };
}

async function saidAway(witness: Witness, stage: Stage, region: string, undo: () => Promise<void>): Promise<void> {
  try {
    await expectAlarm(witness, stage, region, 'store-away', AWAY_MS_MAX);
  } catch (error) {
    await undo();
    throw error;
  }
}

/** The replica is cut off, the master goes on for a while and dies: Sentinel promotes the replica, which lacks what the master took last. */
export function failOverBehind(stage: Stage, region: string): Fault {
  return {
    name: 'redis-fail-over',
    says: `Redis of ${region} fails over to a replica that is behind`,
    hinders: waysOf(stage, region),
    stops: [region],
    available: withServers,
    inject: async (_stage, witness) => {
      const { redis, replica } = stage.servers(region);
      if (replica === undefined) throw new Error(`Redis of ${region} has no replica`);
      await replica.pause();
      // What is in its socket it would still read: without the connection it has nothing of what comes now.
      await redisCommand(redis, 'CLIENT', 'KILL', 'TYPE', 'replica');
      await sleep(BEHIND_MS);
      await redis.kill();
      replica.resume();
      const sinceMs = Date.now();
      const promoted = await becomes(async () => String(await redisCommand(replica, 'ROLE')).startsWith('master'));
      witness.expected({ region, says: 'Sentinel promotes the replica', withinMs: FOUND_MS_MAX, afterMs: promoted });
      await noticed(witness, stage, region, sinceMs, 1, FOUND_MS_MAX);
      return async () => {
        // Sentinel makes it a replica of the new master.
        await redis.restart();
        stage.cluster.watch(redis.pid);
        await serves(stage, region);
      };
    },
  };
}

async function noticed(
  witness: Witness,
  stage: Stage,
  region: string,
  sinceMs: number,
  least: number,
  withinMs: number,
): Promise<void> {
  await expectSaid(witness, stage, region, {
    says: `tells that Redis has lost rows of ${least === 1 ? 'a shard' : `${least} shards`}`,
    pattern: LOST,
    sinceMs,
    withinMs,
    least,
  });
}

async function rebuilt(witness: Witness, stage: Stage, region: string, shards: number): Promise<void> {
  const { redis } = stage.servers(region);
  const afterMs = await becomes(async () => (await shardsWithRows(redis)) >= shards);
  witness.expected({ region, says: 'has written the rows of all shards anew', withinMs: REBUILT_MS_MAX, afterMs });
}

/** Milliseconds; undefined: not within twice the time that is promised. */
async function becomes(isSo: () => Promise<boolean>): Promise<number | undefined> {
  const fromMs = performance.now();
  while (performance.now() - fromMs < 2 * FOUND_MS_MAX) {
    if (await isSo().catch(() => false)) return performance.now() - fromMs;
    await sleep(LOOK_MS);
  }
  return undefined;
}
