// What happens to a shard's stream behind its nodes' back: deleted, purged, or damaged in its file. It must be noticed and told; then the nodes end, while the
// other regions' lag to it grows, and whoever runs them starts them again, as docs/OPERATIONS.md has it; what the region has lost comes from its peers.

import { setTimeout as sleep } from 'node:timers/promises';
import { busiestStream, deleteStream, purgeStream } from '../cluster/nats.ts';
import { damageStream, type Damage } from '../cluster/block-file.ts';
import type { Stage } from '../cluster/stage.ts';
import { waysOf, withServers, type Fault, type Witness } from './fault.ts';
import { allEnded, expectSaid, serves } from './watch.ts';

const NOTICED_MS_MAX = 10_000;
const STARTS_MS_MAX = 60_000;
/** Until somebody starts them again: long enough for lag to be looked at (I14). */
const ENDED_MS = 5000;
/** What the node says when it ends for it, or cannot start. */
const LOST =
  /stream \S+ (?:is gone|was deleted and made again|went back|has lost messages|is not whole)|message \d+ of stream/;

/** All of it is gone. */
export function deletedStream(stage: Stage, region: string): Fault {
  return lostStream(stage, region, 'stream-delete', 'is deleted', (stream) =>
    deleteStream(stage.servers(region).nats, stream),
  );
}

/** All but its last messages are gone. */
export function purgedStream(stage: Stage, region: string): Fault {
  return lostStream(stage, region, 'stream-purge', 'is purged', (stream) =>
    purgeStream(stage.servers(region).nats, stream, 1),
  );
}

/** The server is killed, its newest block file of the stream is damaged, and it is started again. */
export function damagedStream(stage: Stage, region: string, damage: Damage): Fault {
  return lostStream(stage, region, `stream-${damage}`, `is ${damage} in its block file`, async (stream) => {
    const { nats } = stage.servers(region);
    await nats.kill();
    try {
      damageStream(nats.directory, stream, damage);
    } finally {
      await nats.restart();
      stage.cluster.watch(nats.pid);
    }
  });
}

function lostStream(
  stage: Stage,
  region: string,
  name: string,
  says: string,
  strike: (stream: string) => Promise<void>,
): Fault {
  return {
    name,
    says: `the log of a shard of ${region} ${says} behind its back`,
    hinders: waysOf(stage, region),
    stops: [region],
    wipes: [region],
    available: withServers,
    inject: async (_stage, witness) => {
      const stream = await busiestStream(stage.servers(region).nats);
      const sinceMs = Date.now();
      await strike(stream);
      await expectSaid(witness, stage, region, {
        says: 'tells that its log is lost or damaged',
        pattern: LOST,
        sinceMs,
        withinMs: NOTICED_MS_MAX,
      });
      return () => repair(stage, region, stream, witness);
    },
  };
}

/** Nodes that ended are started again. Where they do not start, because what is left must be looked at first, the stream is deleted, as they ask for. */
async function repair(stage: Stage, region: string, stream: string, witness: Witness): Promise<void> {
  if (!(await allEnded(stage, region))) throw new Error(`nodes of ${region} go on with a log that is not theirs`);
  const speaks = witness.silent(region);
  await sleep(ENDED_MS);
  speaks();
  const startedMs = performance.now();
  if (!(await starts(stage, region))) {
    await deleteStream(stage.servers(region).nats, stream);
    if (!(await starts(stage, region))) throw new Error(`${region} does not start, and stream ${stream} is deleted`);
  }
  await serves(stage, region);
  witness.expected({
    region,
    says: 'has what its peers hold, and takes writes',
    withinMs: STARTS_MS_MAX,
    afterMs: performance.now() - startedMs,
  });
}

async function starts(stage: Stage, region: string): Promise<boolean> {
  const nodes = stage.nodes(region);
  for (const node of nodes) if (!node.running) node.spawn();
  const ready = await Promise.allSettled(nodes.map((node) => node.ready()));
  if (ready.every(({ status }) => status === 'fulfilled')) return true;
  await Promise.all(nodes.map((node) => node.kill()));
  return false;
}
