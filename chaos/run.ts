// One run of a scenario: regions up, traffic, faults, healing, agreement, final reads, verdicts. Everything that is known at the end is in
// the run's folder.

import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { adminClient } from '../src/client/index.ts';
import { digestsEqual } from '../demo/region-client.ts';
import { judge } from './check/recorded/checks.ts';
import type { Verdict } from './check/recorded/check.ts';
import { serversUnavailable } from './cluster/servers.ts';
import { smallDiskUnavailable } from './cluster/small-disk.ts';
import { Stage } from './cluster/stage.ts';
import type { Subject } from './cluster/subject.ts';
import { Recorder } from './history/recorder.ts';
import { Recording } from './history/recording.ts';
import { HISTORY_FORMAT, type Limits } from './history/records.ts';
import { Play, ScenarioUnavailable, type Scenario } from './scenarios/play.ts';
import { SeededRandom } from './sim/random.ts';
import { finalReads } from './traffic/final-reads.ts';
import { Traffic } from './traffic/traffic.ts';

export const HISTORY_FILE = 'history.jsonl';

/** One way, of every wire: regions of a real deployment are not in one building. */
const WIRE_DELAY_MS = 10;
const LIMITS: Limits = { lagP99MsMax: 5000, convergeMsMax: 30_000 };
/** Regions that need longer than the limit are waited for all the same: the final reads of a cluster that agrees say more. */
const CONVERGE_PATIENCE_MS = 60_000;
const CONVERGE_LOOK_MS = 100;
const DIGEST_MS_MAX = 5000;

export interface RunOptions {
  readonly scenario: Scenario;
  readonly subject: Subject;
  readonly minutes: number;
  readonly seed: number;
  /** Made; must not be there. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

export interface RunResult {
  readonly recording: Recording;
  readonly verdicts: readonly Verdict[];
}

/** Throws ScenarioUnavailable when this machine cannot do what the scenario needs. */
export async function runScenario(options: RunOptions): Promise<RunResult> {
  const { scenario, subject, minutes, seed, folder, say } = options;
  const { regions, maxSkewMs } = subject;
  const smallDisks = smallDisksOf(scenario, regions, say);
  const noServers = scenario.servers === undefined ? undefined : await serversUnavailable();
  if (noServers !== undefined) throw new ScenarioUnavailable(`${scenario.name} cannot be played here: ${noServers}`);
  mkdirSync(join(folder, '..'), { recursive: true });
  mkdirSync(folder);
  const recorder = new Recorder(join(folder, HISTORY_FILE));
  recorder.add({
    kind: 'run',
    format: HISTORY_FORMAT,
    scenario: scenario.name,
    seed,
    minutes,
    regions,
    startedAtMs: Date.now() - Math.round(recorder.nowMs()),
    maxSkewMs,
    limits: { ...LIMITS, ...scenario.limits?.(regions) },
    ...(subject.config === undefined ? {} : { config: subject.config }),
  });
  const cluster = join(folder, 'cluster');
  try {
    await play(options, smallDisks, recorder, cluster);
  } catch (error) {
    if (error instanceof ScenarioUnavailable) {
      await recorder.close();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
    recorder.trouble(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  await recorder.close();
  const recording = await Recording.load(join(folder, HISTORY_FILE));
  say('judging the history');
  const verdicts = judge(recording);
  // Logs and data help whoever looks into a finding, and nobody else.
  if (verdicts.every(({ findingsTotal }) => findingsTotal === 0) && existsSync(cluster))
    rmSync(cluster, { recursive: true, force: true, maxRetries: 5 });
  return { recording, verdicts };
}

async function play(
  { scenario, subject, minutes, seed, say }: RunOptions,
  smallDisks: readonly string[],
  recorder: Recorder,
  directory: string,
): Promise<void> {
  const { regions, maxSkewMs } = subject;
  const stage = await Stage.start({
    subject,
    directory,
    delayMs: WIRE_DELAY_MS,
    smallDisks,
    servers: scenario.servers?.(regions),
  });
  const traffic = new Traffic(stage, recorder, seed);
  try {
    const trafficFromMs = recorder.nowMs();
    say(`${regions.join(', ')} are up; traffic for ${Math.round(minutes * 60)} s`);
    traffic.start();
    const durationMs = minutes * 60_000;
    const random = new SeededRandom(seed, 'scenario');
    const script = new Play({ stage, random, durationMs, maxSkewMs, recorder, say });
    try {
      await scenario.script(script);
      await script.reach(1);
    } catch (error) {
      if (error instanceof ScenarioUnavailable) throw error;
      // What happened until then is judged all the same.
      recorder.trouble(`the scenario: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    } finally {
      await script.healAll();
    }
    const trafficToMs = recorder.nowMs();
    say('the traffic ends; waiting for the last answers and equal digests');
    await traffic.stopWriting();
    await converge(stage, scenario.agreeing?.(regions) ?? regions, recorder);
    await traffic.finish();
    say('reading everything in every region');
    await finalReads(stage, recorder);
    recorder.add({ kind: 'end', trafficFromMs, trafficToMs, endMs: recorder.nowMs() });
  } finally {
    traffic.close();
    await stage.stop();
  }
}

function smallDisksOf(scenario: Scenario, all: readonly string[], say: (line: string) => void): readonly string[] {
  const regions = scenario.smallDisks?.(all) ?? [];
  const why = regions.length === 0 ? undefined : smallDiskUnavailable();
  if (why === undefined) return regions;
  if (scenario.smallDisksOptional !== true)
    throw new ScenarioUnavailable(`${scenario.name} cannot be played here: ${why}`);
  say(`no disk runs full in this run: ${why}`);
  return [];
}

async function converge(stage: Stage, regions: readonly string[], recorder: Recorder): Promise<void> {
  const fromMs = recorder.nowMs();
  const admins = regions.map((name) => adminClient(stage.region(name).address, { deadlineMs: DIGEST_MS_MAX }));
  let afterMs: number | undefined;
  try {
    while (afterMs === undefined && recorder.nowMs() - fromMs < CONVERGE_PATIENCE_MS) {
      const askedMs = recorder.nowMs();
      const equal = await digestsEqual(admins).catch(() => false);
      if (equal) afterMs = askedMs - fromMs;
      else await new Promise((resolve) => setTimeout(resolve, CONVERGE_LOOK_MS));
    }
  } finally {
    for (const admin of admins) admin.close();
  }
  recorder.add({ kind: 'converged', fromMs, ...(afterMs === undefined ? {} : { afterMs }) });
}
