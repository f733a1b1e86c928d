// The alert rules in a Prometheus that scrapes regions that really run: a clock that is off, then a wire that is cut. Each alert fires, and is over when
// what it was about is. The rules are the real ones, except that they do not wait for minutes.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { Wires } from '../../chaos/cluster/wires.ts';
import { freePorts } from '../../demo/ports.ts';
import { prometheusPrograms } from '../../scripts/promtool.mjs';
import { packageRoot } from '../../src/config/version.ts';
import { realSystem } from '../../src/system/real.ts';
import { startRegions, type LiveRegions } from '../support/live-nodes.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const found = prometheusPrograms();
const SCRAPE = '500ms';

describe.skipIf(typeof found === 'string')('alerts, live', () => {
  const wires = new Wires();
  let clockAheadMs = 0;
  let live: LiveRegions;
  let prometheus: ChildProcess;
  let directory: string;
  let url: string;
  let said = '';

  beforeAll(async () => {
    if (typeof found === 'string') return;
    const system = realSystem();
    const { clock } = system;
    live = await startRegions(['eu', 'us'], {
      wire: wires.lay,
      system: (region) =>
        region === 'us' ? { ...system, clock: { ...clock, nowMs: () => clock.nowMs() + clockAheadMs } } : system,
    });
    directory = mkdtempSync(join(tmpdir(), 'causeway-prometheus-'));
    const rules = readFileSync(join(packageRoot(), 'deploy/prometheus/alerts.yaml'), 'utf8');
    writeFileSync(join(directory, 'alerts.yaml'), rules.replaceAll(/^( +)for: \w+$/gm, '$1for: 1s'));
    const config = {
      global: { scrape_interval: SCRAPE, scrape_timeout: SCRAPE, evaluation_interval: SCRAPE },
      rule_files: ['alerts.yaml'],
      scrape_configs: [
        { job_name: 'causeway', static_configs: [{ targets: live.regions.map(({ node }) => node.http) }] },
      ],
    };
    writeFileSync(join(directory, 'prometheus.yaml'), stringify(config));
    const [port] = await freePorts(1);
    url = `http://127.0.0.1:${port}`;
    prometheus = spawn(
      found.prometheus,
      [
        `--config.file=${join(directory, 'prometheus.yaml')}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    prometheus.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until(async () => (await fetch(`${url}/-/ready`)).ok, 'Prometheus is ready');
  });

  afterAll(async () => {
    if (prometheus !== undefined) {
      const ended = new Promise((resolve) => prometheus.once('close', resolve));
      prometheus.kill('SIGKILL');
      await ended;
    }
    await live?.stop();
    await wires.close();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  async function until(holds: () => Promise<boolean>, what: string, timeoutMs = 60_000): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!(await holds().catch(() => false))) {
      if (performance.now() > endMs) throw new Error(`not within ${timeoutMs / 1000} s: ${what}\n${said.slice(-3000)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function firing(): Promise<Set<string>> {
    const answer = (await (await fetch(`${url}/api/v1/alerts`)).json()) as {
      data: { alerts: { state: string; labels: { alertname: string } }[] };
    };
    return new Set(answer.data.alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname));
  }

  const fires = (...alerts: string[]): Promise<void> =>
    until(
      async () => {
        const now = await firing();
        return alerts.every((alert) => now.has(alert));
      },
      `${alerts.join(', ')} fires`,
    );
  const isOver = (...alerts: string[]): Promise<void> =>
    until(
      async () => {
        const now = await firing();
        return alerts.every((alert) => !now.has(alert));
      },
      `${alerts.join(', ')} is over`,
    );

  test('while all is well nothing fires', async () => {
    const scrapes = async (): Promise<number> => {
      const answer = (await (
        await fetch(`${url}/api/v1/query?query=sum(count_over_time(causeway_node_ready[1m]))`)
      ).json()) as {
        data: { result: { value: [number, string] }[] };
      };
      return Number(answer.data.result[0]?.value[1] ?? 0);
    };
    await until(async () => (await scrapes()) >= 8, 'some scrapes of both');
    // A start is no loop, and a busy machine's clocks look apart for a moment.
    await isOver('CausewayClockSkew', 'CausewayLag');
    expect([...(await firing())]).toEqual([]);
  });

  test('a clock that is a second ahead, until it is right again', async () => {
    clockAheadMs = 1000;
    await fires('CausewayClockSkew');
    expect(await firing()).not.toContain('CausewayClockUnsynced');
    clockAheadMs = 0;
    await isOver('CausewayClockSkew');
  });

  test('a region that is cut off: lag, and nobody reaches it, until the wire is back', async () => {
    wires.isolate('us', 'reset');
    await fires('CausewayRegionUnreachable', 'CausewayLinkDown', 'CausewayLag');
    wires.heal();
    await isOver('CausewayRegionUnreachable', 'CausewayLinkDown', 'CausewayLag');
  });
});
