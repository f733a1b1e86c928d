// What the demo prints, its flags and how it measures lag.

import { describe, expect, test } from 'vitest';
import { LagMeter } from '../../demo/lag.ts';
import { parseOptions } from '../../demo/options.ts';
import { plainLine, table, View, type Snapshot } from '../../demo/view.ts';

const SNAPSHOT: Snapshot = {
  elapsedMs: 12_000,
  phase: 'replaying',
  eventsSent: 20_000,
  eventsTotal: 40_000,
  opsAcknowledged: 110_000,
  simulated: '2001-02-14T12:30',
  digestsEqual: undefined,
  regions: ['us-west', 'us-east'].map((name) => ({
    name,
    state: 'up',
    opsPerSecond: 4321,
    keys: 12_345,
    conflicts: 17,
    lagTo: new Map([[name === 'us-west' ? 'us-east' : 'us-west', { count: 9, p50Ms: 2.34, p99Ms: 123.4 }]]),
  })),
};

describe('the view', () => {
  test('shows regions, lag, keys, conflicts and progress', () => {
    const text = table(SNAPSHOT).join('\n');
    for (const part of ['50 %', '2001-02-14 12:30', '110,000', 'us-west', '4,321', '12,345', '17', '2.3 / 123']) {
      expect(text).toContain(part);
    }
    expect(plainLine(SNAPSHOT)).toContain('50 %');
    expect(plainLine(SNAPSHOT)).not.toContain('\n');
  });

  test('redraws in place on a terminal, and prints few plain lines elsewhere', () => {
    const drawn = (isTTY: boolean): string => {
      let text = '';
      const view = new View({ isTTY, columns: 80, write: (some) => ((text += some), true) }, {});
      for (let i = 0; i < 10; i++) view.draw({ ...SNAPSHOT, elapsedMs: i * 500 });
      view.say('done');
      return text;
    };
    const live = drawn(true);
    expect(live).toContain('\u001b[');
    for (const line of live.split('\n')) {
      expect(line.replaceAll(/\u001b\[\d*[FJ]/g, '').length).toBeLessThan(80);
    }
    const plain = drawn(false);
    expect(plain).not.toContain('\u001b');
    expect(plain.trim().split('\n')).toHaveLength(4);
  });
});

describe('flags', () => {
  const parse = (args: string[]): { result: ReturnType<typeof parseOptions>; out: string; err: string } => {
    let out = '';
    let err = '';
    const result = parseOptions(args, { out: (text) => (out += text), err: (text) => (err += text) });
    return { result, out, err };
  };

  test('have defaults, and --no-kill', () => {
    expect(parse([]).result).toMatchObject({ options: { once: false, json: false, flights: 20_000, kill: true } });
    expect(parse(['--once', '--json', '--flights', '500', '--no-kill']).result).toMatchObject({
      options: { once: true, json: true, flights: 500, kill: false },
    });
  });

  test.each([
    [['--onse'], '--once'],
    [['--flights', '0'], 'from 1 to 20000'],
    [['--flights', '1e3'], 'whole number'],
    [['--flights'], 'argument missing'],
    [['--json'], '--once --json'],
    [['now'], 'too many arguments'],
  ])('%j is refused with exit code 2 and a suggestion', (args, says) => {
    const { result, out, err } = parse(args);
    expect(result).toEqual({ exitCode: 2 });
    expect(err).toContain(says);
    expect(out).toBe('');
  });

  test('--help has examples and exits 0', () => {
    const { result, out } = parse(['--help']);
    expect(result).toEqual({ exitCode: 0 });
    expect(out).toContain('npm start -- --once --json');
  });
});

describe('lag', () => {
  test('is from the write to each peer, once, and never to oneself', () => {
    const lag = new LagMeter();
    lag.sent('a', 100);
    lag.delivered('a', 'us-west', 'us-west', 101);
    expect(lag.total().count).toBe(0);
    lag.delivered('a', 'us-west', 'us-east', 110);
    lag.delivered('a', 'us-west', 'us-east', 500);
    expect(lag.total()).toMatchObject({ count: 1 });
    expect(lag.total().p50Ms).toBeCloseTo(10, 0);
    expect(lag.recent('us-west', 'us-east')?.count).toBe(1);
    lag.turn();
    expect(lag.recent('us-west', 'us-east')?.count).toBe(1);
    lag.turn();
    expect(lag.recent('us-west', 'us-east')).toBeUndefined();
    expect(lag.total().count).toBe(1);
  });

  test('counts what the slowest region that is up has not seen yet', () => {
    const lag = new LagMeter();
    for (const id of ['a', 'b', 'c']) lag.sent(id, 100);
    lag.delivered('a', 'us-west', 'us-west', 101);
    lag.delivered('a', 'us-west', 'us-west', 101);
    lag.delivered('b', 'us-west', 'us-west', 101);
    lag.delivered('a', 'us-west', 'us-east', 102);
    expect(lag.behind(['us-west'])).toBe(1);
    expect(lag.behind(['us-west', 'us-east'])).toBe(2);
    expect(lag.behind(['us-west', 'us-east', 'us-central'])).toBe(3);
    lag.down('us-central', 103);
    expect(lag.behind(['us-west', 'us-east', 'us-central'])).toBe(2);
  });

  test('that waited for a dead region is kept apart, whichever end was dead', () => {
    const lag = new LagMeter();
    for (const id of ['before', 'from', 'at', 'late', 'after']) lag.sent(id, id === 'after' ? 900 : 100);
    lag.delivered('before', 'us-west', 'us-east', 105);
    lag.down('us-east', 200);
    lag.delivered('from', 'us-east', 'us-west', 300);
    lag.delivered('at', 'us-west', 'us-east', 700);
    lag.up('us-east', 800);
    lag.delivered('late', 'us-west', 'us-east', 850);
    lag.delivered('after', 'us-west', 'us-east', 910);
    expect(lag.total().count).toBe(2);
    expect(lag.totalWithOutage().count).toBe(5);
    expect(lag.totalWithOutage().p99Ms).toBeGreaterThan(700);
  });
});
