// The report of a run: what it says, and that nothing from a history can break its page.

import { expect, test } from 'vitest';
import { judge } from '../../../chaos/check/recorded/checks.ts';
import { pageOf } from '../../../chaos/report/page.ts';
import { summaryLines, summaryOf } from '../../../chaos/report/summary.ts';
import { Timeline } from '../../../chaos/report/series.ts';
import { Bench, EU, register, US } from './bench.ts';

function reported(b: Bench): { readonly page: string; readonly text: string } {
  const recording = b.recording();
  const summary = summaryOf(recording, judge(recording), '/runs/one');
  return { page: pageOf(recording, summary), text: summaryLines(summary).join('\n') };
}

test('a clean run says so, and how to see it again', () => {
  const b = new Bench();
  const version = b.version(EU);
  b.put('k', 'v', { version });
  b.final('registers/k', register('v', version));
  b.fault({ name: 'kill', says: 'eu is killed', startMs: 2, endMs: 6, hinders: [`${EU} ${US}`] });
  const { page, text } = reported(b);
  expect(text).toMatch(/1 ops acknowledged.*1 faults/);
  expect(text).toMatch(/nothing found/);
  expect(text).not.toMatch(/FOUND/);
  expect(page).toContain('Nothing found');
  expect(page).toContain('eu is killed');
  expect(page).toContain('npm run chaos -- check /runs/one');
  expect(page.match(/<rect class="fault"/g)!.length).toBeGreaterThanOrEqual(4);
});

test('findings stand first, with what was promised', () => {
  const b = new Bench();
  b.put('k', 'v', { in: [EU] });
  const { page, text } = reported(b);
  expect(text).toMatch(/FOUND {3}acknowledged .*\n.*is not in us/);
  expect(text).toMatch(/again: causeway chaos test --minutes 1 --seed 1/);
  expect(page).toMatch(/<h2>Findings<\/h2><h3>acknowledged<\/h3>/);
});

test('a page asks nobody for anything, and text stays text', () => {
  const b = new Bench();
  b.records.push({ kind: 'trouble', atMs: 1, what: '<script>alert("x")</script> & more' });
  b.fault({ name: '<i>', says: '"<b>"' });
  const { page } = reported(b);
  expect(page).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; more');
  expect(page).not.toMatch(/<script|<b>"|src=|href=|@import|url\(/);
});

test('rates, lag and states are of their time', () => {
  const b = new Bench();
  b.nowMs = 1000;
  const op = b.put('k', 'v');
  b.put('k', 'w', { outcome: 'failed' });
  b.arrival(US, 1310, op);
  for (const [atMs, state] of [
    [0, 'ready'],
    [500, 'ready'],
    [1000, 'down'],
    [1500, 'ready'],
  ] as const)
    b.records.push({ kind: 'sample', region: EU, atMs, state, lagMs: {}, alarms: [] });
  b.nowMs = 2000;
  const timeline = new Timeline(b.recording());
  expect(timeline.binMs).toBe(500);
  const [acknowledged] = timeline.acknowledged();
  expect(acknowledged).toEqual({ name: EU, values: [0, 0, 2, 0] });
  expect(timeline.failed()[0]!.values).toEqual([0, 0, 2, 0]);
  expect(timeline.lag()[0]!.values).toEqual([undefined, undefined, 300, undefined]);
  expect(timeline.states(EU)).toEqual([
    { fromMs: 0, toMs: 1000, state: 'ready' },
    { fromMs: 1000, toMs: 1500, state: 'down' },
    { fromMs: 1500, toMs: 1500, state: 'ready' },
  ]);
});
