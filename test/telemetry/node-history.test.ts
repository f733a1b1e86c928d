import { expect, test } from 'vitest';
import type { PeerStatus, RegionStatus } from '../../src/region/region.ts';
import { NodeEvents } from '../../src/telemetry/node-events.ts';
import { NodeHistory } from '../../src/telemetry/node-history.ts';

const START_MS = Date.UTC(2026, 0, 1);

/** As much of a status as is looked at: `second` after the start, with so many writes accepted since then. */
function status(
  second: number,
  accepted: number,
  lagMs: number | undefined,
  more: Partial<RegionStatus> = {},
): RegionStatus {
  return {
    nowMs: START_MS + second * 1000,
    node: 'us-1',
    state: 'ready',
    stateReason: '',
    alarms: [],
    counters: { accepted, appliedRemote: 0, refused: 0, conflicts: 0, bytesReceived: 0 },
    peers: [{ region: 'eu', lagMs } as unknown as PeerStatus],
    ...more,
  } as unknown as RegionStatus;
}

function told(history: NodeHistory, second: number, sinceSecond = 0): ReturnType<NodeHistory['told']> {
  return history.told('us', START_MS + second * 1000, START_MS + sinceSecond * 1000);
}

test('rates are of the time between two looks, and lags as they were', () => {
  const history = new NodeHistory();
  history.look(status(0, 100, 5));
  history.look(status(1, 150, 7));
  history.look(status(3, 250, undefined));
  expect(told(history, 3)).toMatchObject({ writes: [50, 50], lagMs: { eu: [7, null] } });
  expect(told(history, 3, 2).writes).toEqual([50]);
});

test('an hour is kept, the last minutes by the second, and the rest in steps of ten whose lag is the worst', () => {
  const history = new NodeHistory();
  const seconds = 2 * 3600;
  for (let second = 0; second <= seconds; second++)
    history.look(status(second, second * 10, second % 10 === 4 ? 900 : 20));
  const { atMs, writes, lagMs } = told(history, seconds);
  expect(atMs[0]!).toBeGreaterThan(START_MS + (seconds - 3620) * 1000);
  expect(atMs[0]!).toBeLessThan(START_MS + (seconds - 3580) * 1000);
  // I12: bounded, whatever the time that has passed.
  expect(atMs.length).toBeLessThan(670);
  expect(atMs.length).toBeGreaterThan(620);
  expect(atMs).toEqual(atMs.toSorted((a, b) => a - b));
  expect(new Set(writes)).toEqual(new Set([10]));
  expect(new Set(lagMs['eu']!.slice(0, 300))).toEqual(new Set([900]));
  expect(atMs.at(-1)! - atMs.at(-2)!).toBe(1000);
});

test('I14: of ten seconds in which a lag was not known once, it is not known', () => {
  const history = new NodeHistory();
  for (let second = 0; second <= 400; second++) history.look(status(second, 0, second === 12 ? undefined : 20));
  const { atMs, lagMs } = told(history, 400);
  const at = atMs.findIndex((ms) => ms >= START_MS + 12_000);
  expect(lagMs['eu']!.slice(at, at + 2)).toEqual([null, 20]);
});

test('a clock that is set back begins a new history', () => {
  const history = new NodeHistory();
  for (const second of [0, 1, 2, 3]) history.look(status(second, 0, 1));
  history.look(status(-50, 0, 1));
  expect(told(history, 0, -100).atMs).toEqual([]);
  history.look(status(-49, 7, 1));
  expect(told(history, 0, -100)).toMatchObject({ atMs: [START_MS - 49_000], writes: [7] });
});

test('events: what repeats itself is one, until it was over', () => {
  let nowMs = START_MS;
  const events = new NodeEvents(() => nowMs);
  const said = (): string[] => events.told().map(({ level, message, times }) => `${level} ${message} ${times}`);
  for (let n = 0; n < 3; n++) events.add('notice', 'warn', 'the link is down');
  expect(said()).toEqual(['warn the link is down 3']);
  events.add('notice', 'info', 'linked');
  events.add('notice', 'warn', 'the link is down');
  expect(said()).toEqual(['warn the link is down 3', 'info linked 1', 'warn the link is down 1']);
  nowMs += 60_000;
  events.add('notice', 'warn', 'the link is down');
  expect(said()).toHaveLength(4);
  // I12
  for (let n = 0; n < 2000; n++) events.add('notice', 'warn', `${n}`);
  expect(events.told()).toHaveLength(500);
  expect(events.told().at(-1)!.message).toBe('1999');
});

test('events: states and alarms as they change', () => {
  const events = new NodeEvents(() => START_MS);
  const alarm = { sinceMs: START_MS, code: 'read-only', message: 'the disk is full' } as const;
  events.look(status(0, 0, 1, { state: 'starting' }));
  events.look(status(1, 0, 1));
  events.look(status(2, 0, 1, { alarms: [alarm], state: 'read-only', stateReason: 'no space' }));
  events.look(status(3, 0, 1, { alarms: [{ ...alarm, message: 'the disk is full, still' }], state: 'read-only' }));
  events.look(status(4, 0, 1));
  expect(events.told().map(({ kind, level, message }) => `${kind} ${level} ${message}`)).toEqual([
    'state warn us-1 is starting',
    'state info us-1 is ready',
    'state error us-1 is read-only: no space',
    'alarm error read-only: the disk is full',
    'state info us-1 is ready',
    'alarm info over: read-only: the disk is full, still',
  ]);
});
