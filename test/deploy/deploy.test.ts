// What lies in deploy/: every name in it is one that a node exports, every alert has a runbook, every pipeline its parts.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { dashboardFiles } from '../../scripts/dashboards.mjs';
import { packageRoot } from '../../src/config/version.ts';
import { CONSTANT_LABELS, METRICS, type MetricFacts } from '../../src/metrics/catalog.ts';
import { dashboardQueries, dashboards } from './dashboards.ts';

const read = (path: string): string => readFileSync(join(packageRoot(), path), 'utf8');

/** As a query may name them: of a histogram its three parts, and the family in a text. */
const EXPORTED = new Map<string, MetricFacts>(
  Object.entries(METRICS as Record<string, MetricFacts>).flatMap(([name, facts]) =>
    facts.type === 'histogram'
      ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`].map((each) => [each, facts] as const)
      : [[name, facts] as const],
  ),
);

/** Names of metrics of ours in a text; a name that ends in _ stands for several, as `causeway_link_…`. */
function namesIn(text: string): string[] {
  return [...text.matchAll(/\b(?:causeway|process)_[a-z0-9_]*[a-z0-9]\b(?!_?…|-|\/)/g)].map(([name]) => name);
}

function markdown(directory: string): string[] {
  return readdirSync(join(packageRoot(), directory), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? markdown(`${directory}/${entry.name}`)
      : entry.name.endsWith('.md')
        ? [`${directory}/${entry.name}`]
        : [],
  );
}

const ALERTS = parse(read('deploy/prometheus/alerts.yaml')) as {
  groups: {
    rules: {
      alert: string;
      expr: string;
      labels: Record<string, string>;
      annotations: Record<string, string>;
    }[];
  }[];
};
const alerts = ALERTS.groups.flatMap(({ rules }) => rules);

/** What the autoscaler goes by: made of metrics, by the adapter. */
const ADAPTED = (
  parse(read('deploy/prometheus/adapter.yaml')) as {
    rules: { seriesQuery: string; metricsQuery: string; name: { as: string } }[];
  }
).rules;

test.each(['deploy/prometheus/alerts.yaml', 'README.md', 'CHANGELOG.md', ...markdown('docs')])(
  'every metric that %s names is exported',
  (path) => {
    const known = new Set([...EXPORTED.keys(), ...ADAPTED.map(({ name }) => name.as)]);
    expect(namesIn(read(path)).filter((name) => !known.has(name))).toEqual([]);
  },
);

test('what the adapter makes is made of counters that are exported', () => {
  for (const { seriesQuery, metricsQuery } of ADAPTED) {
    const [name = ''] = namesIn(seriesQuery);
    expect(EXPORTED.get(name)?.type, seriesQuery).toBe('counter');
    for (const [, pattern = ''] of metricsQuery.matchAll(/__name__=~"([^"]+)"/g)) {
      const found = [...EXPORTED.keys()].filter((each) => new RegExp(`^(?:${pattern})$`).test(each));
      expect(found, pattern).toEqual(['causeway_ops_accepted_total', 'causeway_ops_applied_total']);
    }
    expect(metricsQuery).toContain('<<.GroupBy>>');
    expect(metricsQuery).toContain('<<.LabelMatchers>>');
    // Else another name would have to be given in the labels that a scrape adds.
    for (const label of seriesQuery.matchAll(/(\w+)!=""/g)) {
      expect([...CONSTANT_LABELS, 'namespace', 'pod']).toContain(label[1]);
    }
  }
});

test('the look for names finds what it should', () => {
  expect(namesIn('`causeway_keys` and rate(causeway_rpc_duration_seconds_bucket[5m]), causeway_link_…')).toEqual([
    'causeway_keys',
    'causeway_rpc_duration_seconds_bucket',
  ]);
  expect(namesIn(read('docs/METRICS.md')).length).toBeGreaterThan(Object.keys(METRICS).length);
});

describe('dashboards', () => {
  test('are those of scripts/dashboards.mjs', () => {
    for (const [name, text] of dashboardFiles()) {
      expect(read(`deploy/grafana/${name}`) === text, `${name}: run \`node scripts/dashboards.mjs\``).toBe(true);
    }
    expect(
      dashboards()
        .map(({ file }) => file)
        .toSorted(),
    ).toEqual([...dashboardFiles().keys()].toSorted());
  });

  test('ask for metrics that are exported, by labels that these have', () => {
    for (const { where, query } of dashboardQueries()) {
      const names = namesIn(query);
      expect(names.length, `${where} asks for something`).toBeGreaterThan(0);
      expect(
        names.filter((name) => !EXPORTED.has(name)),
        where,
      ).toEqual([]);
      const known = new Set<string>([...CONSTANT_LABELS, 'le', ...names.flatMap((name) => EXPORTED.get(name)!.labels)]);
      const asked = [
        ...[...query.matchAll(/(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) =>
          list.split(',').map((label) => label.trim()),
        ),
        ...[...query.matchAll(/(\w+)\s*(?:=~|!=|=)\s*"/g)].map(([, label = '']) => label),
      ];
      expect(
        asked.filter((label) => !known.has(label)),
        `${where}: ${query}`,
      ).toEqual([]);
    }
  });

  test('show every metric somewhere', () => {
    const shown = new Set(dashboardQueries().flatMap(({ query }) => namesIn(query).map((name) => EXPORTED.get(name))));
    const missing = Object.entries(METRICS as Record<string, MetricFacts>).filter(([, facts]) => !shown.has(facts));
    // It carries a version, and Grafana's list of regions comes from it.
    expect(missing.map(([name]) => name)).toEqual(['causeway_build_info']);
  });

  test('are whole: ids, titles, words for each panel, nothing on top of anything', () => {
    const all = dashboards();
    expect(new Set(all.map(({ uid }) => uid)).size).toBe(all.length);
    for (const { file, panels, templating } of all) {
      expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'region']);
      expect(new Set(panels.map(({ id }) => id)).size, file).toBe(panels.length);
      for (const [i, panel] of panels.entries()) {
        if (panel.type === 'row') continue;
        expect(panel.description, `${file}, ${panel.title}`).toMatch(/\.$/);
        for (const other of panels.slice(i + 1)) {
          const [a, b] = [panel.gridPos, other.gridPos];
          const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
          expect(apart, `${file}: ${panel.title} and ${other.title} lie on each other`).toBe(true);
        }
      }
    }
  });
});

describe('alerts', () => {
  test('each has words, a severity and a runbook that is there', () => {
    for (const { alert, labels, annotations } of alerts) {
      expect(['page', 'ticket'], alert).toContain(labels['severity']);
      expect(Object.keys(annotations).toSorted(), alert).toEqual(['description', 'runbook', 'summary']);
      const runbook = annotations['runbook']!;
      expect(existsSync(join(packageRoot(), runbook)), runbook).toBe(true);
      expect(read(runbook), `${runbook} names ${alert}`).toContain(alert);
    }
  });

  test('every runbook belongs to an alert, says what to do, and stands in the list', () => {
    const used = new Set(alerts.map(({ annotations }) => annotations['runbook']!));
    const files = markdown('docs/runbooks').filter((path) => !path.endsWith('README.md'));
    expect(files.toSorted()).toEqual([...used].toSorted());
    const list = read('docs/runbooks/README.md');
    for (const path of files) {
      const text = read(path);
      for (const heading of ['## What it means', '## Look', '## Do', '## Over']) expect(text, path).toContain(heading);
      expect(list).toContain(`(${path.slice('docs/runbooks/'.length)})`);
    }
    for (const { alert } of alerts) expect(list).toContain(alert);
  });
});

test.each(['deploy/otel/collector.yaml', 'deploy/compose/collector.yaml'])(
  'the pipelines of %s are made of parts that are there',
  (path) => {
    const config = parse(read(path)) as {
      receivers: object;
      processors: object;
      exporters: object;
      service: { pipelines: Record<string, { receivers: string[]; processors: string[]; exporters: string[] }> };
    };
    for (const [name, pipeline] of Object.entries(config.service.pipelines)) {
      for (const part of ['receivers', 'processors', 'exporters'] as const) {
        for (const each of pipeline[part]) expect(Object.keys(config[part]), `${part} of ${name}`).toContain(each);
      }
      // In front of everything: what cannot be kept is refused, and the process lives.
      expect(pipeline.processors[0]).toBe('memory_limiter');
    }
  },
);

describe('compose', () => {
  const compose = parse(read('deploy/compose.yaml'), { merge: true }) as {
    services: Record<string, { image: string; profiles: string[]; network_mode: string; volumes: string[] }>;
    volumes: Record<string, object>;
  };

  test('has a profile with collector, Prometheus and Grafana, of pinned versions', () => {
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(['collector', 'prometheus', 'grafana']));
    for (const [name, { image, profiles }] of Object.entries(compose.services)) {
      expect(profiles, name).toEqual(['observe']);
      expect(image, name).toMatch(/^[\w./-]+:v?\d+\.\d+\.\d+$/);
    }
  });

  test('every file that is mounted is there, and read-only; every volume is declared', () => {
    for (const [name, { volumes }] of Object.entries(compose.services)) {
      for (const volume of volumes) {
        const [from = '', , mode] = volume.split(':');
        if (!from.startsWith('.')) expect(Object.keys(compose.volumes), name).toContain(from);
        else expect([existsSync(join(packageRoot(), 'deploy', from)), mode], volume).toEqual([true, 'ro']);
      }
    }
  });

  test('who sends to whom: on loopback, at ports that somebody listens on', () => {
    const files = ['collector', 'tempo', 'prometheus', 'grafana/datasources/causeway'].map((file) =>
      read(`deploy/compose/${file}.yaml`),
    );
    const all = [...files, read('deploy/compose.yaml')].join('\n');
    // On the host's network whatever listens elsewhere is open to everybody.
    expect(all).not.toMatch(/0\.0\.0\.0|\[::\]/);
    const asked = [...all.matchAll(/'http:\/\/127\.0\.0\.1:(\d+)'/g)].map(([, port]) => port);
    const listened = [
      ...all.matchAll(/(?:endpoint: '127\.0\.0\.1:|http_listen_port: |listen-address=127\.0\.0\.1:)(\d+)/g),
    ];
    const ports = listened.map(([, port]) => port);
    expect(asked.length).toBeGreaterThan(2);
    for (const port of asked) expect(ports, `port ${port}`).toContain(port);
  });
});
