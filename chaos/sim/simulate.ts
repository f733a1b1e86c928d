// One seed, from its plan to its verdict: chaos with a safety check after every event, then everything heals, and the regions must
// agree within a bounded time (as VOPR does it: safety first, then liveness).

import { msOfStamp } from '../../src/clock/hlc.ts';
import { isTooFarAhead } from '../../src/clock/skew.ts';
import { originRegion } from '../../src/record/ids.ts';
import { GUARDS, type GuardName } from '../../src/shard/guards.ts';
import { ClientCheck } from '../check/clients.ts';
import { ConflictCheck } from '../check/conflicts.ts';
import { DigestCheck, FinalCheck } from '../check/convergence.ts';
import { LevelCheck } from '../check/levels.ts';
import { LagCheck } from '../check/lag.ts';
import { PromiseCheck } from '../check/promises.ts';
import { ResidencyCheck } from '../check/residency.ts';
import { ScanCheck } from '../check/scans.ts';
import { holds, Violation } from '../check/violation.ts';
import { ViewCheck } from '../check/views.ts';
import { countBranches } from './branches.ts';
import { Cluster, type NodeFactory } from './cluster.ts';
import { Faults } from './faults.ts';
import { planOf, planText, type Plan } from './plan.ts';
import { SeededRandom } from './random.ts';
import { installTraps } from './traps.ts';
import { Workload } from './workload.ts';

export interface SimFinding {
  readonly invariant: string;
  readonly message: string;
  readonly stack: string | undefined;
}

export interface SimStats {
  readonly events: number;
  readonly virtualMs: number;
  readonly settleMs: number | undefined;
  readonly ops: number;
  readonly acked: number;
  readonly unknown: number;
  readonly batches: number;
  readonly reads: number;
  readonly boundedReads: number;
  readonly roamedReads: number;
  readonly stableReads: number;
  readonly atomicWrites: number;
  readonly scanPages: number;
  readonly stablePages: number;
  readonly feedEvents: number;
  readonly conflicts: number;
  readonly refusals: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** How often each branch of the engine's decisions was taken (branches.ts). */
  readonly branches: Readonly<Record<string, number>>;
}

export interface SimResult {
  readonly seed: number;
  readonly plan: string;
  readonly shape: Pick<Plan, 'regions' | 'nodesPerRegion' | 'shards' | 'consumersPerRegion' | 'chaosMs'>;
  /** `name.n` of each fault that the seed drew and that happened. */
  readonly faultsTaken: readonly string[];
  readonly hash: string;
  readonly finding: SimFinding | undefined;
  readonly trace: readonly string[];
  readonly stats: SimStats;
}

export interface SimOptions {
  readonly without?: readonly GuardName[];
  /** Lines of trace in the result when there is a finding. */
  readonly traceLines?: number;
  readonly onTrace?: (line: string) => void;
  readonly factory: NodeFactory;
  /** Changes the plan that the seed drew. */
  readonly adjust?: (plan: Plan) => Plan;
  /** A scenario: drives the cluster instead of random faults and clients. */
  readonly script?: (sim: Simulation) => Promise<void>;
}

/** A seed takes some thousands; the longest scenario some hundred thousand. */
const EVENTS_MAX = 1_500_000;

/** So long clients go on while two regions reach each other only by the others. */
const RELAYED_MS = 500;

/** A run's parts, for scenarios. */
export class Simulation {
  readonly plan: Plan;
  readonly random: SeededRandom;
  readonly cluster: Cluster;
  readonly clients: ClientCheck;
  readonly views: ViewCheck;
  readonly levels: LevelCheck;
  readonly scans: ScanCheck;
  readonly promises: PromiseCheck;
  readonly conflicts: ConflictCheck;
  readonly digests: DigestCheck;
  readonly lag: LagCheck;
  readonly faults: Faults;
  workload: Workload | undefined;
  settleMs: number | undefined;

  constructor(plan: Plan, options: SimOptions) {
    this.plan = plan;
    this.random = new SeededRandom(plan.seed);
    const cluster = new Cluster(plan, this.random, options.factory);
    this.cluster = cluster;
    if (options.onTrace !== undefined) cluster.trace.listener = options.onTrace;
    const { history } = cluster;
    this.clients = new ClientCheck(history);
    this.views = new ViewCheck(history, this.clients);
    this.levels = new LevelCheck(history, this.views);
    this.scans = new ScanCheck(history, this.views, this.levels);
    this.promises = new PromiseCheck(history, {
      hasLostData: (region) => cluster.region(region).rewound,
      members: (shard) => cluster.members(shard),
    });
    this.conflicts = new ConflictCheck(cluster, this.views);
    this.digests = new DigestCheck(cluster);
    this.lag = new LagCheck(cluster);
    this.faults = new Faults(cluster, this.random);
    history.onNewBatch = (batch) => {
      cluster.trace.add(
        'logged',
        batch.header.shard,
        `${batch.header.origin}:${batch.header.firstSeq}..${batch.header.lastSeq}`,
        batch.header.firstStamp,
      );
      this.promises.logged(batch);
      this.clients.logged(batch);
      this.views.conditions(batch, originRegion(batch.header.origin));
    };
    history.onDurable = (log, { batch, offset }) => {
      if (batch === undefined || batch.header.origin.startsWith(`${log.region}~`)) return;
      const latestMs = cluster.region(log.region).clock.latestMs();
      holds(
        !isTooFarAhead(batch.header.lastStamp, latestMs, plan.maxSkewMs),
        'I5',
        () =>
          `${log.region} ${log.shard} offset ${offset}: ${batch.header.origin}:${batch.header.lastSeq} is stamped ${msOfStamp(batch.header.lastStamp) - latestMs} ms ahead of the clock here, and was taken`,
      );
    };
    const residency = new ResidencyCheck((shard) => cluster.members(shard));
    cluster.network.taps.push({
      sent: (from, to, message) => {
        residency.sent(from.site, to.site, message);
        if (message.kind !== 'beat') return;
        for (const beat of message.shards)
          for (const promise of beat.watermarks) this.promises.heard(beat.shard, promise);
      },
      delivered: (_from, to, message) => {
        if (message.kind !== 'beat') return;
        const at = cluster.region(to.site);
        const nowMs = at.clock.nowMs();
        for (const beat of message.shards) {
          for (const promise of beat.watermarks) {
            if (originRegion(promise.origin) === at.id || isTooFarAhead(promise.stamp, nowMs, plan.maxSkewMs)) continue;
            this.promises.reached(at.id, beat.shard, promise);
          }
        }
      },
    });
    cluster.events.push({
      nodeDown: (node) => this.conflicts.collect(node),
      rewound: () => {
        this.clients.rewound();
        for (const consumer of this.workload?.consumers ?? []) consumer.check.rewound();
      },
    });
    cluster.scheduler.afterEvent = () => this.#afterEvent();
  }

  #afterEvent(): void {
    const { cluster } = this;
    if (cluster.isDirty) cluster.catchUp();
    if (cluster.failure !== undefined) {
      const error = cluster.failure;
      cluster.failure = undefined;
      throw error;
    }
    if (cluster.scheduler.events > EVENTS_MAX) {
      throw new Violation(
        'I12',
        `more than ${EVENTS_MAX} events by ${Math.round(cluster.scheduler.now)} ms: something goes round and round`,
      );
    }
    if (cluster.scheduler.events % 512 === 0) {
      this.conflicts.collectAll();
      this.digests.sample();
      this.lag.sample();
    }
  }

  startAll(): void {
    for (const region of this.cluster.regions) for (const node of region.nodes) this.cluster.start(node);
  }

  /** Runs for so long. */
  async run(ms: number): Promise<void> {
    await this.cluster.scheduler.run(this.cluster.scheduler.now + ms);
  }

  /** Runs until it holds; fails if it does not within `ms`. */
  async until(what: string, ms: number, condition: () => boolean): Promise<void> {
    const { scheduler } = this.cluster;
    const deadline = scheduler.now + ms;
    while (!condition()) {
      if (scheduler.now >= deadline) throw new Violation('liveness', `not within ${ms} ms: ${what}`);
      await scheduler.run(Math.min(deadline, scheduler.now + 10));
    }
  }

  /** Heals everything and requires agreement. */
  async settle(): Promise<void> {
    const { cluster, plan } = this;
    const final = new FinalCheck(this);
    if (plan.healsByRelay) {
      const [first, last] = [cluster.regions[0]!, cluster.regions.at(-1)!];
      this.faults.heal();
      this.faults.block(first, last, true);
      await this.run(RELAYED_MS);
      this.workload?.stop();
      await this.#agree(`healing all but the way between ${first.id} and ${last.id}`, () => final.logsDiffer());
      this.faults.block(first, last, false);
    } else {
      this.workload?.stop();
      this.faults.heal();
    }
    const since = cluster.scheduler.now;
    await this.#agree('healing', () => final.notSettled());
    this.settleMs = cluster.scheduler.now - since;
    await final.check();
  }

  /** `missing` says what is, for people. */
  async #agree(after: string, missing: () => string | undefined): Promise<void> {
    const { scheduler } = this.cluster;
    const deadline = scheduler.now + this.plan.settleMsMax;
    for (;;) {
      await scheduler.run(scheduler.now + 250);
      const why = missing();
      if (why === undefined) return;
      if (scheduler.now >= deadline)
        throw new Violation('liveness', `not settled ${this.plan.settleMsMax} ms after ${after}: ${why}`);
    }
  }
}

export async function simulate(seed: number, options: SimOptions): Promise<SimResult> {
  const drawn = planOf(seed, new SeededRandom(seed).fork('plan'));
  const plan = options.adjust?.(drawn) ?? drawn;
  for (const guard of options.without ?? []) GUARDS[guard] = false;
  const traps = installTraps();
  const branches = new Map<string, number>();
  countBranches(branches);
  const sim = new Simulation(plan, options);
  let finding: SimFinding | undefined;
  try {
    if (options.script !== undefined) {
      await options.script(sim);
    } else {
      sim.startAll();
      sim.workload = new Workload(sim.cluster, sim.random, sim);
      sim.faults.schedule();
      await sim.run(plan.chaosMs);
      await sim.settle();
    }
  } catch (error) {
    finding = findingOf(error);
  } finally {
    traps.restore();
    countBranches(undefined);
    for (const guard of options.without ?? []) GUARDS[guard] = true;
  }
  if (traps.sprung.length > 0)
    finding = {
      invariant: 'trap',
      message: `the simulated code used ${traps.sprung.join(', ')}`,
      stack: finding?.stack,
    };
  const { cluster } = sim;
  return {
    seed,
    plan: planText(plan),
    shape: {
      regions: plan.regions,
      nodesPerRegion: plan.nodesPerRegion,
      shards: plan.shards,
      consumersPerRegion: plan.consumersPerRegion,
      chaosMs: plan.chaosMs,
    },
    faultsTaken: sim.faults.taken,
    hash: cluster.trace.hash(),
    finding,
    trace: finding === undefined ? [] : cluster.trace.tail(options.traceLines ?? 60),
    stats: {
      events: cluster.scheduler.events,
      virtualMs: cluster.scheduler.now,
      settleMs: sim.settleMs,
      ops: sim.workload?.opIds ?? 0,
      acked: sim.clients.acked,
      unknown: [...sim.clients.ops.values()].filter((op) => op.unknown).length,
      batches: cluster.history.batches,
      reads: sim.views.reads,
      boundedReads: sim.levels.bounded,
      roamedReads: sim.workload?.roamedReads ?? 0,
      stableReads: sim.levels.stable,
      atomicWrites: sim.workload?.atomicWrites ?? 0,
      scanPages: sim.scans.pages,
      stablePages: sim.scans.stablePages,
      feedEvents: sim.workload?.consumers.reduce((sum, { check }) => sum + check.events, 0) ?? 0,
      conflicts: sim.conflicts.count,
      refusals: Object.fromEntries(sim.workload?.refusals ?? []),
      faults: Object.fromEntries(sim.faults.injected),
      branches: Object.fromEntries(branches),
    },
  };
}

function findingOf(error: unknown): SimFinding {
  if (error instanceof Violation) return { invariant: error.invariant, message: error.message, stack: error.stack };
  if (error instanceof Error)
    return { invariant: 'crash', message: `${error.name}: ${error.message}`, stack: error.stack };
  return { invariant: 'crash', message: String(error), stack: undefined };
}
