// Looking at regions of several nodes while they are broken: who owns what, whether all of it is served, and what was noticed when.

import { setTimeout as sleep } from 'node:timers/promises';
import type { RegionHandle } from '../../demo/processes.ts';
import { adminClient, type NodeStatus } from '../../src/client/index.ts';
import { said } from '../cluster/node-logs.ts';
import type { Stage } from '../cluster/stage.ts';
import type { Witness } from './fault.ts';

const LOOK_MS = 50;
const ASK_MS_MAX = 1000;
/** For a region that starts anew, on a machine that is busy. */
const SERVES_MS_MAX = 120_000;
/** For what must come within seconds: it is measured when it comes, and missed when it does not. */
const PATIENCE_MS = 30_000;

/** How long until it is so, ms; undefined: not within the time. */
async function untilTrue(
  isSo: () => boolean | Promise<boolean>,
  msMax: number,
  fromMs = performance.now(),
): Promise<number | undefined> {
  while (performance.now() - fromMs < msMax) {
    if (await isSo()) return performance.now() - fromMs;
    await sleep(LOOK_MS);
  }
  return undefined;
}

/** What a node says of itself and the other nodes of its region; undefined: it does not answer. */
export async function statusOf(node: RegionHandle): Promise<NodeStatus | undefined> {
  const admin = adminClient(node.address, { deadlineMs: ASK_MS_MAX, connectTimeoutMs: ASK_MS_MAX });
  try {
    return await admin.status();
  } catch {
    return undefined;
  } finally {
    admin.close();
  }
}

/** The shards that the node takes writes for. */
export function servedBy(status: NodeStatus | undefined): string[] {
  return (status?.shards ?? []).filter(({ ownOrigin = '' }) => ownOrigin !== '').map(({ shard }) => shard);
}

/** The node of a region that owns most shards, and which. Throws when none does. */
export async function mainOwner(
  stage: Stage,
  region: string,
): Promise<{ readonly owner: RegionHandle; readonly others: readonly RegionHandle[]; readonly shards: string[] }> {
  const nodes = stage.nodes(region);
  const owned = await Promise.all(nodes.map(async (node) => ({ node, shards: servedBy(await statusOf(node)) })));
  const [{ node: owner, shards }] = owned.toSorted((a, b) => b.shards.length - a.shards.length) as [(typeof owned)[0]];
  if (shards.length === 0) throw new Error(`no node of ${region} owns a shard`);
  return { owner, others: nodes.filter((node) => node !== owner), shards };
}

/** Until every node of the region is ready, and each shard has an owner that takes writes. */
export async function serves(stage: Stage, region: string): Promise<void> {
  let last = '';
  const isSo = async (): Promise<boolean> => {
    const statuses = await Promise.all(stage.nodes(region).map(statusOf));
    const served = new Set(statuses.flatMap(servedBy));
    const all = statuses.flatMap((status) => status?.owners ?? []).map(({ shard }) => shard);
    last = statuses.map((status) => `${status?.state ?? 'no answer'} ${status?.stateReason ?? ''}`).join('; ');
    return (
      all.length > 0 && all.every((shard) => served.has(shard)) && statuses.every((status) => status?.state === 'ready')
    );
  };
  if ((await untilTrue(isSo, SERVES_MS_MAX)) === undefined)
    throw new Error(`${region} does not take writes again after ${SERVES_MS_MAX / 1000} s: ${last}`);
}

/** These nodes own the shards and take writes for them. */
export async function expectTakeover(
  witness: Witness,
  region: string,
  nodes: readonly RegionHandle[],
  shards: readonly string[],
  withinMs: number,
  fromMs: number,
): Promise<void> {
  const afterMs = await untilTrue(
    async () => {
      const served = (await Promise.all(nodes.map(statusOf))).flatMap(servedBy);
      return shards.every((shard) => served.includes(shard));
    },
    PATIENCE_MS,
    fromMs,
  );
  witness.expected({ region, says: 'another node owns the shards and takes writes', withinMs, afterMs });
}

/** An alarm in the status of some node of the region. */
export async function expectAlarm(
  witness: Witness,
  stage: Stage,
  region: string,
  code: string,
  withinMs: number,
): Promise<void> {
  const fromMs = performance.now();
  const afterMs = await untilTrue(
    async () => {
      const statuses = await Promise.all(stage.nodes(region).map(statusOf));
      return statuses.some((status) => status?.alarms.some((alarm) => alarm.code === code));
    },
    PATIENCE_MS,
    fromMs,
  );
  witness.expected({ region, says: `alarm ${code}`, withinMs, afterMs });
}

/** Lines in the logs of the region's nodes; `least`: so many different ones (what the pattern's group holds). The time is the lines' own. */
export async function expectSaid(
  witness: Witness,
  stage: Stage,
  region: string,
  expected: {
    readonly says: string;
    readonly pattern: RegExp;
    readonly sinceMs: number;
    readonly withinMs: number;
    readonly least?: number;
  },
): Promise<void> {
  const { says, pattern, sinceMs, withinMs, least = 1 } = expected;
  let afterMs: number | undefined;
  await untilTrue(() => {
    const first = new Map<string, number>();
    for (const { atMs, message } of said(stage.logFiles(region), sinceMs, pattern)) {
      const which = pattern.exec(message)?.[1] ?? '';
      if (!first.has(which)) first.set(which, atMs - sinceMs);
    }
    if (first.size < least) return false;
    afterMs = [...first.values()].sort((a, b) => a - b)[least - 1];
    return true;
  }, PATIENCE_MS);
  witness.expected({ region, says, withinMs, afterMs });
}

/** All nodes of the region have ended by themselves. */
export async function allEnded(stage: Stage, region: string): Promise<boolean> {
  return (await untilTrue(() => stage.nodes(region).every(({ running }) => !running), PATIENCE_MS)) !== undefined;
}
