// The alert rules by Prometheus' own tool: they parse, each fires and ends in its story, and every query of the dashboards is one.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { packageRoot } from '../../src/config/version.ts';
import { prometheusPrograms, runBounded } from '../../scripts/promtool.mjs';
import { ALERT_CASES } from './alert-cases.ts';
import { dashboardQueries } from './dashboards.ts';

// Fetched once, where it is not installed.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

interface Rule {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const RULES = join(packageRoot(), 'deploy/prometheus/alerts.yaml');
const rules = (parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);

const found = prometheusPrograms();
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'causeway-promtool-'));
  if (typeof found === 'string') console.warn(`the tests of the alert rules are skipped: ${found}`);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function promtool(args: readonly string[]): Promise<string> {
  if (typeof found === 'string') throw new Error(found);
  const { code, output } = await runBounded(found.promtool, [...args], { cwd: directory, timeoutMs: 60_000 });
  expect(code, output).toBe(0);
  return output;
}

test('every alert has a story', () => {
  expect(ALERT_CASES.map(({ alert }) => alert)).toEqual(rules.map(({ alert }) => alert));
});

test.skipIf(typeof found === 'string')('every alert fires in its story, says what it should, and ends', async () => {
  const tests = ALERT_CASES.map(({ alert, series, quietAt, firesAt, overAt, labels, summary }) => {
    const { severity } = rules.find((rule) => rule.alert === alert)!.labels;
    const { annotations } = rules.find((rule) => rule.alert === alert)!;
    const said = (text: string): string =>
      text.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? '');
    const firing = {
      exp_labels: { ...labels, severity },
      exp_annotations: { ...annotations, summary, description: said(annotations['description']!) },
    };
    return {
      name: alert,
      interval: '15s',
      input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
      alert_rule_test: [
        { eval_time: quietAt, alertname: alert, exp_alerts: [] },
        { eval_time: firesAt, alertname: alert, exp_alerts: [firing] },
        { eval_time: overAt, alertname: alert, exp_alerts: [] },
      ],
    };
  });
  const file = join(directory, 'stories.yaml');
  writeFileSync(file, stringify({ rule_files: [RULES], evaluation_interval: '15s', tests }));
  await promtool(['test', 'rules', file]);
});

test.skipIf(typeof found === 'string')('rules and configuration are as Prometheus wants them', async () => {
  await promtool(['check', 'rules', RULES]);
  await promtool(['check', 'config', join(packageRoot(), 'deploy/prometheus/prometheus.yaml')]);
  // In its container the rules lie beside it.
  const compose = readFileSync(join(packageRoot(), 'deploy/compose/prometheus.yaml'), 'utf8');
  writeFileSync(join(directory, 'alerts.yaml'), readFileSync(RULES));
  writeFileSync(join(directory, 'compose.yaml'), compose);
  await promtool(['check', 'config', join(directory, 'compose.yaml')]);
});

test.skipIf(typeof found === 'string')('every query of the dashboards is one', async () => {
  const queries = dashboardQueries();
  expect(queries.length).toBeGreaterThan(40);
  const file = join(directory, 'queries.yaml');
  const recorded = queries.map(({ query }, i) => ({ record: `query_${i}`, expr: query }));
  writeFileSync(file, stringify({ groups: [{ name: 'dashboards', rules: recorded }] }));
  await promtool(['check', 'rules', '--lint=none', file]);
});
