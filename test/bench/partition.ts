// One region cut off from all others in mid-run, and how fast it and they catch up afterwards, beside the writes that go on.
// Owns: what "caught up" means: every region holds all that any region held when the wires were whole again.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Wires } from '../../chaos/cluster/wires.ts';
import type { AdminClient, NodeStatus } from '../../src/client/index.ts';
import { mergeLatencies, percentileMs } from './latency.ts';
import { nowMicros } from './machine.ts';

const LOOK_MS = 100;
const CATCH_UP_MS_MAX = 300_000;

export interface CatchUp {
  readonly partitionSeconds: number;
  readonly region: string;
  /** Ops that one side held and the other lacked when the wires were whole again. */
  readonly missingOps: number;
  /** From then until nobody lacks any of them; undefined: not within five minutes. */
  readonly caughtUpMs: number | undefined;
  /** missingOps in that time, and how many times the rate at which they had come to be missing that is. */
  readonly opsPerSecond: number | undefined;
  readonly timesIngest: number | undefined;
  /** Of the writes that went on, in every region: before the cut, and until all had caught up. */
  readonly ackMsP99Before: number;
  readonly ackMsP99CatchingUp: number;
}

export interface Healed {
  readonly region: string;
  readonly missingOps: number;
  readonly cutMicros: number;
  readonly healedMicros: number;
  readonly caughtUpMicros: number | undefined;
}

/** Shard, origin → seq. */
type Held = ReadonlyMap<string, number>;

function heldBy({ shards }: NodeStatus): Held {
  return new Map(shards.flatMap(({ shard, origins }) => origins.map(({ origin, seq }) => [`${shard} ${origin}`, seq])));
}

async function everybody(admins: readonly AdminClient[]): Promise<Held[]> {
  return (await Promise.all(admins.map((admin) => admin.status()))).map(heldBy);
}

/** What any of them holds. */
function union(all: readonly Held[]): Held {
  const most = new Map<string, number>();
  for (const held of all) for (const [of, seq] of held) most.set(of, Math.max(seq, most.get(of) ?? 0));
  return most;
}

function lacking(held: Held, target: Held): number {
  let ops = 0;
  for (const [of, seq] of target) ops += Math.max(0, seq - (held.get(of) ?? 0));
  return ops;
}

/** Cuts the last region off for so long, heals, and waits until all have caught up. */
export async function partition(
  regions: readonly string[],
  admins: readonly AdminClient[],
  wires: Wires,
  seconds: number,
): Promise<Healed> {
  const region = regions.at(-1)!;
  const cutMicros = nowMicros();
  wires.isolate(region, 'blackhole');
  await sleep(seconds * 1000);
  const held = await everybody(admins);
  wires.heal();
  const healedMicros = nowMicros();
  const target = union(held);
  const missingOps = held.reduce((sum, each) => sum + lacking(each, target), 0);
  let caughtUpMicros: number | undefined;
  while (caughtUpMicros === undefined && nowMicros() - healedMicros < CATCH_UP_MS_MAX * 1000) {
    await sleep(LOOK_MS);
    const now = await everybody(admins);
    if (now.every((each) => lacking(each, target) === 0)) caughtUpMicros = nowMicros();
  }
  return { region, missingOps, cutMicros, healedMicros, caughtUpMicros };
}

/** `ackBySecond`: of each worker, from the beginning of the window. */
export function catchUpOf(
  healed: Healed,
  windowFromMicros: number,
  ackBySecond: readonly (readonly string[])[],
): CatchUp {
  const { region, missingOps, cutMicros, healedMicros, caughtUpMicros } = healed;
  const second = (micros: number): number => (micros - windowFromMicros) / 1_000_000;
  const p99 = (from: number, to: number): number =>
    percentileMs(mergeLatencies(ackBySecond.flatMap((seconds) => seconds.slice(from, to))), 99);
  const partitionSeconds = (healedMicros - cutMicros) / 1_000_000;
  const took = caughtUpMicros === undefined ? undefined : (caughtUpMicros - healedMicros) / 1_000_000;
  return {
    partitionSeconds: Math.round(partitionSeconds * 10) / 10,
    region,
    missingOps,
    caughtUpMs: took === undefined ? undefined : Math.round(took * 1000),
    opsPerSecond: took === undefined ? undefined : Math.round(missingOps / took),
    timesIngest: took === undefined ? undefined : Math.round((partitionSeconds / took) * 10) / 10,
    ackMsP99Before: p99(0, Math.floor(second(cutMicros))),
    // Ops that started while it lasted.
    ackMsP99CatchingUp: p99(Math.floor(second(healedMicros)), Math.ceil(second(caughtUpMicros ?? nowMicros()))),
  };
}
