// What a seed is made of: the cluster's shape, its limits, and which faults at which rates. Swarm testing (Groce et al., 2012):
// every seed leaves most faults out, because faults also hide each other.

import type { NodeLimits } from '../../src/region/options.ts';
import { DEFAULT_LIMITS } from '../../src/region/options.ts';
import type { SeededRandom } from './random.ts';

/** Mean number per region (or per pair, for what happens between two) over the time of chaos. */
export const FAULTS = {
  /** kill -9: what was under way in the log lands or not. */
  crash: 'process dies, restarts after a while',
  crashAt: 'process dies at an append, before or after it is written, at a write to the store or at its checkpoint',
  /** Loss of power: the store's unproven rows are gone too, the log's tail may be torn. */
  power: 'machine loses power, restarts after a while',
  /** SIGTERM: drain, stop, start. */
  restart: 'process is stopped in order and started again',
  rolling: 'the processes of all regions are stopped and started again, one region after the other',
  gone: 'a region is down until the end',
  pause: 'process stands still, then goes on (SIGSTOP)',
  partition: 'two regions cannot reach each other',
  isolate: 'one region reaches nobody',
  oneWay: 'one direction between two regions is blocked',
  clog: 'one direction between two regions is slow',
  breaks: 'streams between two regions break now and then',
  cut: 'one stream breaks',
  repeat: 'batches arrive twice',
  bitFlip: 'a bit of a batch is another one when it arrives',
  newer: 'a region runs a later version, which also speaks the present one',
  apart: 'a region runs a version that the others do not speak, for a while',
  clockStep: 'a clock jumps, forward or back',
  clockDrift: 'a clock runs fast or slow',
  clockBack: 'a clock is an hour behind after a crash',
  poison: 'a region that is cut off stamps a year ahead, until its disk is given up',
  lostAck: 'the log writes and does not answer',
  lostAppend: 'the log neither writes nor answers',
  lateAppend: 'an append of unknown outcome lands late',
  slowDisk: 'the log is slow for a while',
  readOnly: 'the disk is full for a while',
  logFails: 'an fdatasync fails: the log refuses everything until the process is restarted',
  storeFails: 'the store refuses writes for a while',
  storeCleared: 'the store is flushed while the node is down',
  storeFlushed: 'the store on a server is flushed while nodes run',
  storeBehind: 'the store on a server fails over to an older replica',
  storeStands: 'the store on a server answers nothing for a while',
  wipe: 'the disk is lost; the region starts with nothing',
  damage: 'the end of the log cannot be read',
  backup: 'an older copy of the disk is put back',
  ownerMove: 'the shards of a region move to its other node',
} as const;

export type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

export interface Plan {
  readonly seed: number;
  readonly regions: number;
  readonly nodesPerRegion: number;
  readonly shards: number;
  /** A second placement without the last region. */
  readonly narrowPlacement: boolean;
  readonly keysPerCollection: number;
  readonly elements: number;
  readonly chaosMs: number;
  readonly settleMsMax: number;
  /** Before everything heals, all heals but the way between the first and the last region: what they write reaches them all the same. */
  readonly healsByRelay: boolean;
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly maxSkewMs: number;
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly diskMs: number;
  readonly storeMs: number;
  /** The store is a server of the region, and answers later: each of its answers takes up to storeMs. */
  readonly lateStore: boolean;
  readonly sendBufferBytes: number;
  readonly clientsPerRegion: number;
  readonly consumersPerRegion: number;
  readonly thinkMs: number;
  readonly valueBytes: number;
  readonly expiry: boolean;
  readonly limits: NodeLimits;
  /** Mean number of each fault over the time of chaos; faults that are left out do not happen. */
  readonly faults: Readonly<Partial<Record<FaultName, number>>>;
  /** Of a seed that was cut down (shrink.ts): no more ops than these, and no faults but these. */
  readonly opsMax?: number | undefined;
  readonly faultsKept?: readonly string[] | undefined;
}

/** Of the time that smaller clusters get, by regions. */
const TIME_OF_LARGE: Readonly<Record<number, number>> = { 4: 0.75, 5: 0.5 };

export function planOf(seed: number, random: SeededRandom): Plan {
  const regions = random.pick([2, 3, 3, 3, 3, 3, 3, 3, 4, 5]);
  const nodesPerRegion = random.chance(0.2) ? 2 : 1;
  const faults: Partial<Record<FaultName, number>> = {};
  const calm = random.chance(0.05);
  // From numbers of its own: seeds of before are what they were.
  const late = random.fork('late store');
  const lateStore = late.chance(0.25);
  for (const name of FAULT_NAMES) {
    if (ON_SERVERS.has(name)) {
      const { chance, from, to } = RATES[name];
      if (!calm && lateStore && late.chance(chance)) faults[name] = Math.round(late.logBetween(from, to) * 100) / 100;
      continue;
    }
    const wanted = RATES[name];
    if (calm || (name === 'ownerMove' && nodesPerRegion === 1) || !random.chance(wanted.chance)) continue;
    faults[name] = Math.round(random.logBetween(wanted.from, wanted.to) * 100) / 100;
  }
  const relay = random.fork('relay');
  const reread = random.fork('reread');
  const healsByRelay = regions > 2 && !ASKS_ALL.some((name) => faults[name] !== undefined) && relay.chance(0.15);
  const heartbeatMs = random.pick([100, 200, 300, 500]);
  return {
    seed,
    regions,
    nodesPerRegion,
    shards: random.pick([1, 1, 1, 2, 3]),
    narrowPlacement: regions > 2 && random.chance(0.25),
    keysPerCollection: random.pick([1, 2, 4]),
    elements: random.pick([2, 4]),
    // What a cluster costs grows with the square of its regions, and the large ones would take most of a run's time.
    chaosMs: Math.round(random.pick([1000, 2000, 4000]) * (TIME_OF_LARGE[regions] ?? 1)),
    settleMsMax: 60_000,
    healsByRelay,
    heartbeatMs,
    leaseMs: random.pick([300, 1000]),
    maxSkewMs: random.pick([1500, 2000]),
    delayMs: random.pick([1, 10, 40, 150]),
    jitterMs: random.pick([0, 5, 50]),
    diskMs: random.pick([0.1, 1, 10]),
    storeMs: storeMsOf(random, late, lateStore),
    lateStore,
    sendBufferBytes: random.pick([2000, 20_000, 1_000_000]),
    clientsPerRegion: random.pick([1, 1, 2]),
    consumersPerRegion: random.chance(0.4) ? 1 : 0,
    thinkMs: random.pick([30, 80, 200]),
    valueBytes: random.chance(0.15) ? 2000 : 12,
    expiry: random.chance(0.2),
    limits: {
      ...DEFAULT_LIMITS,
      batchOpsMax: random.pick([2, 16, 4096]),
      parkedBytesMax: random.pick([600, 4000, 8 * 1024 * 1024]),
      linkWindowBytes: random.pick([1500, 20_000, 8 * 1024 * 1024]),
      stateCacheBytesMax: random.pick([0, 2000, 64 * 1024 * 1024]),
      inFlightBytesMax: random.pick([2000, 64 * 1024 * 1024]),
      ...idempotencyLimits(random),
      // From numbers of its own: seeds of before are what they were.
      rereadEntriesMax: reread.chance(0.3) ? reread.pick([1, 8, 40]) : DEFAULT_LIMITS.rereadEntriesMax,
    },
    faults,
  };
}

function storeMsOf(random: SeededRandom, late: SeededRandom, lateStore: boolean): number {
  const storeMs = random.pick([0, 0.1, 5]);
  return lateStore ? late.pick([0.1, 1, 5, 30]) : storeMs;
}

function idempotencyLimits(random: SeededRandom): Partial<NodeLimits> {
  return random.chance(0.2) ? { idempotencyEntriesMax: 16 } : {};
}

/** Faults of a store that is a server. */
const ON_SERVERS: ReadonlySet<FaultName> = new Set<FaultName>(['storeFlushed', 'storeBehind', 'storeStands']);

/** After these a region asks every other one before it goes on: not while one of them is out of reach. */
const ASKS_ALL: readonly FaultName[] = ['wipe', 'damage', 'backup', 'poison'];

const RATES: Readonly<Record<FaultName, { readonly chance: number; readonly from: number; readonly to: number }>> = {
  crash: { chance: 0.4, from: 0.5, to: 3 },
  power: { chance: 0.25, from: 0.5, to: 2 },
  restart: { chance: 0.2, from: 0.5, to: 2 },
  crashAt: { chance: 0.25, from: 0.5, to: 4 },
  rolling: { chance: 0.08, from: 0.5, to: 1 },
  gone: { chance: 0.08, from: 0.5, to: 1 },
  pause: { chance: 0.2, from: 0.5, to: 2 },
  partition: { chance: 0.35, from: 0.3, to: 2 },
  isolate: { chance: 0.2, from: 0.3, to: 1 },
  oneWay: { chance: 0.25, from: 0.3, to: 1.5 },
  clog: { chance: 0.2, from: 0.5, to: 2 },
  breaks: { chance: 0.25, from: 0.5, to: 2 },
  cut: { chance: 0.25, from: 0.5, to: 4 },
  repeat: { chance: 0.2, from: 0.5, to: 4 },
  bitFlip: { chance: 0.2, from: 0.5, to: 4 },
  newer: { chance: 0.08, from: 0.3, to: 1 },
  apart: { chance: 0.08, from: 0.3, to: 1 },
  clockStep: { chance: 0.25, from: 0.5, to: 2 },
  clockDrift: { chance: 0.3, from: 0.5, to: 1 },
  clockBack: { chance: 0.12, from: 0.3, to: 1 },
  poison: { chance: 0.08, from: 0.3, to: 0.6 },
  lostAck: { chance: 0.2, from: 0.5, to: 4 },
  lostAppend: { chance: 0.2, from: 0.5, to: 4 },
  lateAppend: { chance: 0.2, from: 0.5, to: 3 },
  slowDisk: { chance: 0.2, from: 0.5, to: 2 },
  readOnly: { chance: 0.12, from: 0.3, to: 1 },
  logFails: { chance: 0.1, from: 0.3, to: 1 },
  storeFails: { chance: 0.15, from: 0.3, to: 1 },
  storeCleared: { chance: 0.1, from: 0.3, to: 1 },
  storeFlushed: { chance: 0.5, from: 0.5, to: 3 },
  storeBehind: { chance: 0.4, from: 0.5, to: 3 },
  storeStands: { chance: 0.4, from: 0.5, to: 2 },
  wipe: { chance: 0.12, from: 0.2, to: 0.6 },
  damage: { chance: 0.1, from: 0.2, to: 0.6 },
  backup: { chance: 0.1, from: 0.2, to: 0.6 },
  ownerMove: { chance: 0.9, from: 1, to: 4 },
};

export function planText(plan: Plan): string {
  const faults = Object.entries(plan.faults).map(([name, rate]) => `${name} ${rate}`);
  const nodes = plan.nodesPerRegion === 1 ? '' : ` × ${plan.nodesPerRegion} nodes`;
  return (
    `${plan.regions} regions${nodes}, ${plan.shards} shards${plan.narrowPlacement ? ' + a narrow placement' : ''}, ` +
    `${plan.lateStore ? `a store that takes ${plan.storeMs} ms to answer, ` : ''}${plan.chaosMs} ms, delay ${plan.delayMs}±${plan.jitterMs} ms, beat ${plan.heartbeatMs} ms${plan.healsByRelay ? ', healed by relay first' : ''}; ` +
    `faults: ${faults.length === 0 ? 'none' : faults.join(', ')}`
  );
}
