// kill -9 of real regions under load, again and again: nothing that was acknowledged may be missing, anywhere, at the end.
// Owns: who is killed when, and the verdict. The moments come from a seed, but processes keep their own time: the same seed gives
// the same plan, not the same run. What must replay exactly is the simulator's (chaos/sim).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, type RegionHandle } from '../../demo/processes.ts';
import { answerOf, regionReady, waitConverged } from '../../demo/region-client.ts';
import { adminClient, connect } from '../../src/client/index.ts';
import { SeededRandom } from '../sim/random.ts';
import { Ledger, type Finding, type Outcome, type RegionAnswers } from './ledger.ts';
import { COLLECTIONS, HastyWriter, NAMESPACE, PatientWriter } from './writers.ts';

export const KILL_REGIONS = ['us-west', 'us-central', 'us-east'] as const;

export interface KillOptions {
  readonly kills: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface KillReport {
  readonly seed: number;
  readonly kills: number;
  readonly killsByRegion: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly ops: Readonly<Record<Outcome, number>>;
  /** From the start of a process until it took reads and writes, the longest. */
  readonly startMsMax: number;
  readonly converged: boolean;
  readonly findings: readonly Finding[];
  /** Logs and data, kept when there are findings. */
  readonly directory: string | undefined;
}

/** Between a region that is back and the next kill. */
const LIVE_MS = [100, 1500] as const;
const DEAD_MS = [0, 600] as const;
/** Of all starts, so many are killed before they are done: recovery must survive that too. */
const KILL_WHILE_STARTING = 0.25;
const STARTING_MS = [0, 500] as const;
/** Everything that a patient writer has under way when the load ends is answered by then. */
const SETTLE_MS_MAX = 120_000;
const CONVERGE_MS_MAX = 60_000;
const READ_MS_MAX = 30_000;

export async function runKills(options: KillOptions): Promise<KillReport> {
  const { kills, seed, say } = options;
  const startMs = performance.now();
  const directory = mkdtempSync(join(tmpdir(), 'causeway-kill-'));
  const cluster = await Cluster.start({
    regions: KILL_REGIONS,
    namespace: NAMESPACE,
    collections: COLLECTIONS,
    directory,
    ready: regionReady,
  });
  const ledger = new Ledger();
  const findings: Finding[] = [];
  const killer = new Killer(cluster, new SeededRandom(seed, 'killer'), say);
  let converged = false;
  const writers = cluster.regions.flatMap(({ name, address }) => [
    new PatientWriter({ name: `${name}-patient`, address, ledger, random: new SeededRandom(seed, `${name} patient`) }),
    new HastyWriter({ name: `${name}-hasty`, address, ledger, random: new SeededRandom(seed, `${name} hasty`) }),
  ]);
  try {
    const stop = new AbortController();
    const load = Promise.all(writers.map((writer) => writer.run(stop.signal)));
    load.catch(() => {}); // looked at below
    try {
      await killer.run(kills);
    } catch (error) {
      findings.push({ region: '(cluster)', what: error instanceof Error ? error.message : String(error) });
    }
    stop.abort();
    if (findings.length === 0) {
      say('the load ends; waiting for the last answers and equal digests');
      if (!(await within(load, SETTLE_MS_MAX))) {
        findings.push({ region: '(cluster)', what: `writes were still unanswered after ${SETTLE_MS_MAX / 1000} s` });
      }
      converged = await digestsConverge(cluster);
      if (!converged) findings.push({ region: '(cluster)', what: 'the digests are not equal' });
      for (const region of cluster.regions) findings.push(...(await checkRegion(ledger, region)));
    }
  } finally {
    for (const writer of writers) writer.close();
    await cluster.stop();
    if (findings.length === 0) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  }
  return {
    seed,
    kills: killer.kills,
    killsByRegion: Object.fromEntries(killer.byRegion),
    seconds: Math.round((performance.now() - startMs) / 1000),
    ops: ledger.counts,
    startMsMax: Math.round(killer.startMsMax),
    converged,
    findings,
    directory: findings.length === 0 ? undefined : directory,
  };
}

class Killer {
  readonly #cluster: Cluster;
  readonly #random: SeededRandom;
  readonly #say: (line: string) => void;
  readonly byRegion = new Map<string, number>();
  kills = 0;
  startMsMax = 0;

  constructor(cluster: Cluster, random: SeededRandom, say: (line: string) => void) {
    this.#cluster = cluster;
    this.#random = random;
    this.#say = say;
  }

  /** Returns when the last one is back. */
  async run(kills: number): Promise<void> {
    while (this.kills < kills) {
      await this.#sleep(LIVE_MS);
      const { regions } = this.#cluster;
      const region = regions[Math.floor(this.#random.float() * regions.length)]!;
      await this.#kill(region);
      await this.#sleep(DEAD_MS);
      let startMs = performance.now();
      region.spawn();
      while (this.kills < kills && this.#random.float() < KILL_WHILE_STARTING) {
        await this.#sleep(STARTING_MS);
        await this.#kill(region);
        startMs = performance.now();
        region.spawn();
      }
      await region.ready();
      this.startMsMax = Math.max(this.startMsMax, performance.now() - startMs);
    }
  }

  async #kill(region: RegionHandle): Promise<void> {
    await region.kill();
    this.kills++;
    this.byRegion.set(region.name, (this.byRegion.get(region.name) ?? 0) + 1);
    this.#say(`kill ${this.kills}: ${region.name}`);
  }

  async #sleep([from, to]: readonly [number, number]): Promise<void> {
    await sleep(from + this.#random.float() * (to - from));
  }
}

async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(ms, false, { signal: timer.signal }).catch(() => false);
  const inTime = await Promise.race([promise.then(() => true), late]);
  timer.abort();
  return inTime;
}

async function digestsConverge(cluster: Cluster): Promise<boolean> {
  const admins = cluster.regions.map(({ address }) => adminClient(address, { deadlineMs: READ_MS_MAX }));
  try {
    return (await waitConverged(admins, CONVERGE_MS_MAX)) !== undefined;
  } finally {
    for (const admin of admins) admin.close();
  }
}

async function checkRegion(ledger: Ledger, { name, address }: RegionHandle): Promise<Finding[]> {
  const client = connect({ endpoints: [address], namespace: NAMESPACE, deadlineMs: READ_MS_MAX });
  const answers: RegionAnswers = {
    region: name,
    set: async (key) => {
      const answer = answerOf((await client.read('sets', [key])).views[0]);
      return new Set(answer !== undefined && 'elements' in answer ? answer.elements : []);
    },
    registers: async (keys) => {
      const { views } = await client.read('registers', keys);
      return views.map((view) => {
        const answer = answerOf(view);
        return answer !== undefined && 'value' in answer ? answer.value : undefined;
      });
    },
    counter: (key) => client.counter('counters').get(key),
  };
  try {
    return await ledger.check(answers);
  } finally {
    client.close();
  }
}
