// Scenarios of regions of two nodes each, on NATS and Redis servers of their own.
// Times are those of a run of a minute; one fault heals before the next begins, so that what a lost log takes with it is in the other regions.

import { deletedStream, damagedStream, purgedStream } from '../fault/streams.ts';
import { killNats, killOneOfThree, loseQuorum, pauseNats } from '../fault/nats.ts';
import { killOwnerInPublish, restartNode, twoOwners } from '../fault/nodes.ts';
import { failOverBehind, flushRedis, killRedis, pauseRedis } from '../fault/redis.ts';
import { forAll } from './limits.ts';
import type { Scenario } from './play.ts';

const REDIS_AWAY_MS = 6000;

export const serverScenarios: readonly Scenario[] = [
  {
    name: 'nats-loss',
    says: 'NATS stands still, dies, loses its quorum; the log of a shard is deleted, purged, damaged in its file: noticed, told, and repaired from the peers',
    servers: (regions) => ({ natsOfThree: [regions[2]!] }),
    limits: (regions) => ({ unavailableMsMax: forAll(regions, 8000) }),
    script: async (play) => {
      const { stage } = play;
      const [a, b, c] = play.regions as [string, string, string];
      await play.between(0.06, 0.16, pauseNats(stage, a));
      await play.between(0.2, 0.25, killOneOfThree(stage, c, 0));
      await play.between(0.29, 0.39, loseQuorum(stage, c));
      await play.between(0.42, 0.48, killNats(stage, b));
      await play.between(0.52, 0.52, deletedStream(stage, b));
      await play.between(0.6, 0.6, purgedStream(stage, a));
      await play.between(0.68, 0.68, damagedStream(stage, b, 'flipped'));
      await play.between(0.76, 0.76, damagedStream(stage, a, 'truncated'));
    },
  },
  {
    name: 'redis-loss',
    says: 'Redis is flushed, dies, stands still, fails over to a replica that is behind: noticed, nothing stale is called fresh, and made anew from the log',
    servers: (regions) => ({ redisWithReplica: [regions[2]!] }),
    // Redis is away for longer: its region's clients go elsewhere.
    limits: (regions) => ({ unavailableMsMax: forAll(regions, 5000) }),
    script: async (play) => {
      const { stage, durationMs } = play;
      const [a, b, c] = play.regions as [string, string, string];
      const away = Math.min(0.1, REDIS_AWAY_MS / durationMs);
      await play.between(0.1, 0.15, flushRedis(stage, a));
      await play.between(0.2, 0.2 + away, killRedis(stage, b));
      await play.between(0.36, 0.36 + away, pauseRedis(stage, a));
      await play.between(0.52, 0.62, failOverBehind(stage, c));
      await play.between(0.7, 0.75, flushRedis(stage, b));
    },
  },
  {
    name: 'owner-kill',
    says: 'the node that owns most shards dies in the middle of its publishes; another one is frozen until its shards have gone, so that two own them',
    servers: () => ({}),
    limits: (regions) => ({
      unavailableMsMax: { ...forAll(regions, 5000), [regions[1]!]: 8000 },
      shardUnavailableMsMax: { ...forAll(regions, 5000), [regions[1]!]: 8000 },
    }),
    script: async (play) => {
      const { stage } = play;
      const [a, b] = play.regions as [string, string];
      await play.between(0.12, 0.3, killOwnerInPublish(stage, a));
      await play.between(0.36, 0.5, twoOwners(stage, b));
      await play.between(0.58, 0.72, killOwnerInPublish(stage, a));
    },
  },
  {
    name: 'rolling-restart',
    says: 'the nodes of every region are restarted one after the other (SIGTERM), as for an upgrade',
    servers: () => ({}),
    limits: (regions) => ({
      unavailableMsMax: forAll(regions, 3000),
      shardUnavailableMsMax: forAll(regions, 5000),
    }),
    script: async (play) => {
      const { stage } = play;
      let n = 0;
      for (const region of play.regions) {
        for (const index of stage.nodes(region).keys()) {
          await play.reach(0.1 + 0.11 * n++);
          const broken = await play.break(restartNode(stage, region, index));
          await broken.heal();
        }
      }
    },
  },
];
