// A slice of `npm run chaos` with real processes: short runs, judged for what was promised to clients. How fast it was is left to the
// longer runs on a machine that does nothing else.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { OWN_SUBJECT, subjectOf } from '../../chaos/cluster/subject.ts';
import { HISTORY_FILE, runScenario, type RunResult } from '../../chaos/run.ts';
import { killOwnerInPublish, twoOwners } from '../../chaos/fault/nodes.ts';
import { deletedStream } from '../../chaos/fault/streams.ts';
import { scenarios } from '../../chaos/scenarios/index.ts';
import type { Scenario } from '../../chaos/scenarios/play.ts';
import { pageOf } from '../../chaos/report/page.ts';
import { summaryOf } from '../../chaos/report/summary.ts';
import { natsFound, redisFound } from '../support/servers.ts';

const SECONDS = 8;
const noServers = [natsFound, redisFound].find((found) => typeof found === 'string');
if (noServers !== undefined) console.warn(`chaos with servers is not tested: ${noServers}`);
const SLOW_MS = 180_000;
/** Of these it is asked how long something took. */
const TIMED = new Set(['availability', 'shards', 'effects', 'lag']);

const LOOKED_LEAST = {
  acknowledged: 200,
  registers: 100,
  deleted: 30,
  values: 100,
  sessions: 10,
  causal: 3,
  idempotency: 3,
  feeds: 100,
  convergence: 15,
  availability: 30,
  lag: 30,
};

const folder = mkdtempSync(join(tmpdir(), 'causeway-chaos-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(
  name: string,
  subject = OWN_SUBJECT,
  to = name,
  instead: Partial<Scenario> = {},
): Promise<RunResult> {
  const seed = Date.now() % 2 ** 32;
  // First, so that it is there when the test is interrupted.
  console.log(`seed ${seed}; again: npm run chaos -- ${name} --seed ${seed}`);
  const scenario = { ...scenarios.find((each) => each.name === name)!, ...instead };
  return runScenario({ scenario, subject, minutes: SECONDS / 60, seed, folder: join(folder, to), say: () => {} });
}

function findingsOf(verdicts: RunResult['verdicts']): string[] {
  return verdicts
    .filter(({ check }) => !TIMED.has(check))
    .flatMap(({ check, findings }) => findings.map((finding) => `${check}: ${finding}`));
}

function chaos(...args: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  return spawnSync(process.execPath, ['dist/chaos/main.js', ...args], { encoding: 'utf8', timeout: SLOW_MS });
}

describe('a short run', () => {
  test.each(['region-kill', 'split-brain'])(
    '%s: nothing acknowledged is lost, doubled or different',
    async (name) => {
      const { recording, verdicts } = await run(name);
      expect(findingsOf(verdicts)).toEqual([]);
      // A run in which nothing happens finds nothing either. A busy machine makes it a small one.
      const looked = Object.fromEntries(verdicts.map((verdict) => [verdict.check, verdict.looked]));
      for (const [check, least] of Object.entries(LOOKED_LEAST)) expect(looked[check], check).toBeGreaterThan(least);
      expect(recording.faults.length).toBeGreaterThan(0);
      const page = pageOf(recording, summaryOf(recording, verdicts, folder));
      expect(page).toContain('<svg');
      expect(page).not.toMatch(/<script|https?:/);
    },
    SLOW_MS,
  );

  test.skipIf(noServers !== undefined)(
    'owner-kill, on NATS and Redis: owners die in the middle of publishes, two own a shard, and nothing is lost or doubled',
    async () => {
      // Both at once, so that it stays short.
      const { recording, verdicts } = await run('owner-kill', OWN_SUBJECT, 'owner-kill', {
        script: async (play) => {
          const { stage } = play;
          const [a, b] = play.regions as [string, string];
          await Promise.all([
            play.between(0.2, 0.6, killOwnerInPublish(stage, a)),
            play.between(0.2, 0.6, twoOwners(stage, b)),
          ]);
        },
      });
      expect(findingsOf(verdicts)).toEqual([]);
      const looked = Object.fromEntries(verdicts.map((verdict) => [verdict.check, verdict.looked]));
      for (const check of ['acknowledged', 'values', 'feeds', 'shards'] as const)
        expect(looked[check], check).toBeGreaterThan(100);
      expect(recording.faults.map(({ name }) => name).toSorted()).toEqual(['owner-kill', 'two-owners']);
      // How soon is left to the longer runs; that somebody took over is not.
      expect(recording.effects.map(({ afterMs }) => afterMs)).not.toContain(undefined);
      expect(recording.effects).toHaveLength(2);
    },
    SLOW_MS,
  );

  test.skipIf(noServers !== undefined)(
    'nats-loss: the log of a shard is deleted under load; it is told, lag to its region grows, and what it held comes from the peers',
    async () => {
      const { recording, verdicts } = await run('nats-loss', OWN_SUBJECT, 'nats-loss', {
        servers: () => ({}),
        script: (play) => play.between(0.4, 0.4, deletedStream(play.stage, play.regions[1]!)),
      });
      expect(findingsOf(verdicts)).toEqual([]);
      const looked = Object.fromEntries(verdicts.map((verdict) => [verdict.check, verdict.looked]));
      for (const check of ['acknowledged', 'values', 'feeds'] as const)
        expect(looked[check], check).toBeGreaterThan(100);
      // Of the five seconds in which its nodes are not there: never lag 0, never silent.
      expect(looked['silence']).toBeGreaterThan(0);
      expect(recording.faults.map(({ name }) => name)).toEqual(['stream-delete']);
      expect(recording.effects.map(({ says }) => says)).toEqual([
        'tells that its log is lost or damaged',
        'has what its peers hold, and takes writes',
      ]);
      expect(recording.effects.map(({ afterMs }) => afterMs)).not.toContain(undefined);
    },
    SLOW_MS,
  );

  test(
    "somebody's own configuration: its collections are written, and what it lacks is added",
    async () => {
      const files = ['us-east', 'us-west', 'eu-west'].map((region) => join('examples', `${region}.yaml`));
      const subject = subjectOf(files);
      expect(subject).toMatchObject({ namespace: 'demo', collections: { registers: 'profiles', sets: 'sets' } });
      const { recording, verdicts } = await run('flapping', subject, 'own');
      expect(findingsOf(verdicts)).toEqual([]);
      expect(recording.run).toMatchObject({ regions: ['us-east', 'us-west', 'eu-west'], config: { files, added: [] } });
      const looked = Object.fromEntries(verdicts.map((verdict) => [verdict.check, verdict.looked]));
      for (const check of ['acknowledged', 'values', 'feeds'] as const)
        expect(looked[check], check).toBeGreaterThan(LOOKED_LEAST[check]);
    },
    SLOW_MS,
  );

  test('a saved history is judged again, and a history that was tampered with is found out', () => {
    const kept = join(folder, 'region-kill');
    const again = chaos('check', kept, '--json');
    const summary = JSON.parse(again.stdout) as { checks: { check: string; findingsTotal: number }[] };
    expect(summary.checks.filter(({ check, findingsTotal }) => findingsTotal > 0 && !TIMED.has(check))).toEqual([]);
    const file = join(kept, HISTORY_FILE);
    const lines = readFileSync(file, 'utf8').split('\n');
    // A piece of one region's log is gone.
    const log = lines.findIndex((line) => line.startsWith('{"kind":"log"'));
    writeFileSync(file, lines.toSpliced(log, 1).join('\n'));
    const found = chaos('check', kept);
    expect(found.status).toBe(7);
    expect(found.stdout).toMatch(/FOUND {3}acknowledged/);
  });
});

describe("somebody's own configuration", () => {
  const written = (text: string): string => {
    const file = join(mkdtempSync(join(folder, 'config-')), 'region.yaml');
    writeFileSync(file, text);
    return file;
  };

  function regionsText(names: string): string {
    return names
      .split('')
      .map((name, i) => `{ name: ${name}, peers: ['10.0.0.1:${i + 1}'] }`)
      .join(', ');
  }

  test('a type that it lacks is added, and nothing of its place is kept', () => {
    const file = written(
      `clusterId: shop\nregion: b\ndataDir: /srv\nmaxSkewMs: 3000\nregions: [${regionsText('abcd')}]\n` +
        'namespaces: [{ name: shop }]\ncollections: [{ namespace: shop, name: stock, type: counter-pn }]\n' +
        'limits: { batchOpsMax: 77 }\nlog: { level: silent }\notlp: { endpoint: "http://collector:4318" }\n' +
        'engine: distributed\nnode: b-1\nnats: { servers: ["10.0.0.1:4222"], ownerLeaseMs: 3000 }\nredis: { servers: ["10.0.0.1:6379"] }\n',
    );
    const subject = subjectOf([file]);
    expect(subject).toMatchObject({ regions: ['a', 'b', 'c', 'd'], namespace: 'shop', maxSkewMs: 3000 });
    expect(subject.collections).toMatchObject({ counters: 'stock', maps: 'chaos-maps' });
    expect(subject.settings('c')).toMatchObject({ limits: { batchOpsMax: 77 }, storage: { segmentBytes: 2_097_152 } });
    expect(subject.settings('b')).not.toHaveProperty('dataDir');
    expect(subject.settings('b')).not.toHaveProperty('regions');
    for (const place of ['engine', 'nats', 'redis', 'log', 'otlp', 'tracing', 'advertise'])
      expect(subject.settings('b')).not.toHaveProperty(place);
    expect(subject.ofSeveralNodes?.nats('b')).toEqual({ ownerLeaseMs: 3000 });
  });

  test.each([
    [
      'two regions',
      `clusterId: c\nregion: a\ndataDir: /srv\nregions: [${regionsText('ab')}]`,
      /at least 3 regions; .*region\.yaml names 2 \(a, b\)/,
    ],
    ['a mistake in it', '{ region: a, regoins: [] }', /regoins/],
  ])('%s', (_, text, message) => {
    const { status, stderr } = chaos('region-kill', '--config', written(text));
    expect(stderr).toMatch(message);
    expect(status).toBe(3);
  });
});

describe('npm run chaos', () => {
  test('lists its scenarios', () => {
    const { status, stdout } = chaos('--list');
    expect(status).toBe(0);
    for (const { name } of scenarios) expect(stdout).toContain(name);
  });

  test.each([
    [[], /which scenario\?/],
    [['region-kil'], /no scenario 'region-kil'; there are region-kill/],
    [['region-kill', 'twice'], /takes no further argument/],
    [['region-kill', '--minutes', '0'], /from 0\.1/],
    [['region-kill', '--seed', 'x'], /whole number/],
    [['region-kill', '--fast'], /--help shows/],
    [['region-kill', '--out', '.'], /is there already/],
    [['check'], /takes the folder of a run/],
    [['check', '/nowhere'], /there is no \/nowhere\/history\.jsonl/],
  ] as const)('%j is wrong usage', (args, message) => {
    const { status, stderr } = chaos(...args);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });
});
