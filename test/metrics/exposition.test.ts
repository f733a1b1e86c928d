import { expect, test } from 'vitest';
import { METRICS, metricsMarkdown } from '../../src/metrics/catalog.ts';
import { Exposition } from '../../src/metrics/exposition.ts';
import { Histogram } from '../../src/metrics/histogram.ts';

function lines(into: Exposition, name: string): string[] {
  return into
    .text()
    .split('\n')
    .filter((line) => line.startsWith(name));
}

test('values, with the labels of all and their own, escaped', () => {
  const into = new Exposition({ region: 'eu', node: 'a"b\\c\nd' });
  into.value('causeway_keys', 17);
  into.value('causeway_alarms', 0, { alarm: 'fork' });
  into.value('causeway_replication_lag_seconds', Infinity, { origin: 'us' });
  into.value('causeway_replication_backlog_ops', undefined, { peer: 'us' });
  const all = String.raw`region="eu",node="a\"b\\c\nd"`;
  expect(lines(into, 'causeway_keys')).toEqual([`causeway_keys{${all}} 17`]);
  expect(lines(into, 'causeway_alarms')).toEqual([`causeway_alarms{${all},alarm="fork"} 0`]);
  expect(lines(into, 'causeway_replication_lag_seconds')).toEqual([
    `causeway_replication_lag_seconds{${all},origin="us"} +Inf`,
  ]);
  expect(lines(into, 'causeway_replication_backlog_ops')).toEqual([]);
});

test('a histogram is cumulative', () => {
  const into = new Exposition({});
  const histogram = new Histogram([0.5, 1]);
  for (const value of [0.1, 0.7, 0.8, 3]) histogram.add(value);
  into.histogram('causeway_rpc_duration_seconds', histogram, { rpc: 'Read' });
  expect(lines(into, 'causeway_rpc_duration_seconds')).toEqual([
    'causeway_rpc_duration_seconds_bucket{rpc="Read",le="0.5"} 1',
    'causeway_rpc_duration_seconds_bucket{rpc="Read",le="1"} 3',
    'causeway_rpc_duration_seconds_bucket{rpc="Read",le="+Inf"} 4',
    'causeway_rpc_duration_seconds_sum{rpc="Read"} 4.6',
    'causeway_rpc_duration_seconds_count{rpc="Read"} 4',
  ]);
});

test('every name is there with its type, samples or not, and what belongs together stands together', () => {
  const into = new Exposition({});
  into.value('causeway_keys', 1);
  into.value('causeway_build_info', 1, { version: '1' });
  const types = lines(into, '# TYPE').map((line) => line.split(' ')[2]);
  expect(types).toEqual(Object.keys(METRICS));
});

test('names say their unit, and counters that they count', () => {
  for (const [name, { type, help }] of Object.entries(METRICS)) {
    expect(name).toMatch(/^(causeway|process)_[a-z_0-9]+$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    expect(name, 'no other units than seconds and bytes').not.toMatch(/_(ms|millis|kb|mb|minutes)(_|$)/);
    if (type === 'histogram') expect(name).toMatch(/_(seconds|bytes|entries)$/);
    expect(help, name).toMatch(/\.$/);
    expect(help, name).not.toContain('|');
  }
  expect(metricsMarkdown().split('\n')).toHaveLength(Object.keys(METRICS).length + 2);
});
