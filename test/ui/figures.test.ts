// What the page makes of what it is told, without a browser.

import { describe, expect, test } from 'vitest';
import type { ClusterMessage, NodeMessage, PeerMessage, SpanMessage } from '../../src/api/http/page/messages.ts';
import { alignedOf, newestOf, pointsOf, worstLag, type Point } from '../../ui/charts/series.ts';
import { age, bytes, count, rate, signed, span } from '../../ui/format.ts';
import { freshNode, regionHealth, STALE_MS, waysOf, worstWay } from '../../ui/health.ts';
import { arcOf, frameOf, ticksOf } from '../../ui/map/projection.ts';
import { waterfallsOf } from '../../ui/panels/waterfall.ts';

test('figures have units, and what is not known is no figure', () => {
  expect([0.04, 3.21, 87.6, 1234, 65_000, 7_260_000, 90_000_000].map(span)).toEqual([
    '0 ms',
    '3.2 ms',
    '88 ms',
    '1.2 s',
    '1 min 5 s',
    '2 h 1 min',
    '1 d 1 h',
  ]);
  expect([span(null), count(undefined), rate(null), bytes(null), signed(null)]).toEqual(['–', '–', '–', '–', '–']);
  expect([signed(0.31), signed(-145.2), signed(0)]).toEqual(['+0.3 ms', '−145 ms', '0 ms']);
  expect([rate(0), rate(3.14), rate(1234.5)]).toEqual(['0/s', '3.1/s', '1,235/s']);
  expect([bytes(17), bytes(1536), bytes(200 * 1024 ** 2)]).toEqual(['17 B', '1.5 KiB', '200 MiB']);
  expect([age(2999), age(61_000)]).toEqual(['2 s', '1 min 1 s']);
});

function peer(region: string, more: Partial<PeerMessage> = {}): PeerMessage {
  return {
    region,
    link: 'up',
    reason: '',
    lagMs: 20,
    opLagMsP50: 10,
    opLagMsP99: 30,
    rttMs: 12,
    offsetMs: 0.2,
    backlogOps: 0,
    backlogBytes: 0,
    linkDrops: 0,
    receivedBytes: 0,
    sentBytes: 0,
    ...more,
  };
}

function clusterOf(of: Record<string, { peers: PeerMessage[]; ageMs?: number; problem?: string }>): ClusterMessage {
  return {
    clusterId: 'c',
    region: 'us',
    node: 'us-1',
    nowMs: 0,
    regions: Object.entries(of).map(([name, { peers, ageMs = 0, problem = '' }]) => ({
      name,
      lat: null,
      lon: null,
      clients: null,
      node: { region: name, peers, alarms: [], ready: true, state: 'ready' } as unknown as NodeMessage,
      ageMs,
      problem,
    })),
  };
}

describe('I14: nothing is shown as good that is not known to be', () => {
  const good = { us: { peers: [peer('eu')] }, eu: { peers: [peer('us')] } };

  test('lag decides, unknown lag is not good, and a link that is down is down whatever the lag was', () => {
    const health = (more: Partial<PeerMessage>): string =>
      waysOf(clusterOf({ ...good, us: { peers: [peer('eu', more)] } }), 0)[0]!.health;
    expect(health({})).toBe('good');
    expect(health({ lagMs: 1500 })).toBe('slow');
    expect(health({ lagMs: 5000 })).toBe('bad');
    expect(health({ lagMs: null })).toBe('unknown');
    expect(health({ link: 'down' })).toBe('down');
    expect(health({ link: 'connecting' })).toBe('slow');
  });

  test('what a region said before it stopped answering is old at once', () => {
    const cluster = clusterOf({ ...good, eu: { ...good.eu, problem: 'ECONNREFUSED' } });
    expect(freshNode(cluster.regions[1]!, 0)).toBeUndefined();
    expect(regionHealth(cluster.regions[1]!, 0)).toBe('down');
    expect(waysOf(cluster, 0).find(({ region }) => region === 'eu')).toMatchObject({ fresh: false, health: 'down' });
  });

  test('what is older than STALE_MS is not of now, and says nothing against the region while the page itself hears nothing', () => {
    const old = clusterOf({ ...good, eu: { ...good.eu, ageMs: STALE_MS + 1 } });
    expect(regionHealth(old.regions[1]!, 0)).toBe('unknown');
    const cluster = clusterOf({ ...good, eu: { ...good.eu, problem: 'ECONNREFUSED' } });
    expect(cluster.regions.map((region) => regionHealth(region, STALE_MS + 1))).toEqual(['unknown', 'unknown']);
    expect(waysOf(cluster, STALE_MS + 1).some(({ fresh }) => fresh)).toBe(false);
  });

  test('the worst way is the one that is in the worst state, then the one furthest behind', () => {
    const peers = [peer('eu', { lagMs: 700 }), peer('ap', { lagMs: 900 })];
    expect(worstWay(waysOf(clusterOf({ us: { peers }, eu: { peers: [] }, ap: { peers: [] } }), 0))).toMatchObject({
      origin: 'ap',
    });
    const down = [peer('eu', { link: 'down', lagMs: 700 }), peer('ap', { lagMs: 9000 })];
    expect(worstWay(waysOf(clusterOf({ us: { peers: down }, eu: { peers: [] }, ap: { peers: [] } }), 0))).toMatchObject(
      { origin: 'eu' },
    );
  });
});

describe('charts', () => {
  const point = (second: number, lag: number | null): Point => ({
    atMs: second * 1000,
    writes: second,
    applied: 0,
    conflicts: 0,
    lagMs: { eu: lag, ap: 1 },
  });

  test('regions share one axis; between two points of a region its line goes on, over a gap it does not', () => {
    const value = ({ writes }: Point): number => writes;
    const us = { label: 'us', points: [point(1, 1), point(3, 1), point(40, 1)], value };
    const eu = { label: 'eu', points: [point(2, 1), point(30, 1)], value };
    expect(alignedOf([us, eu])).toEqual([
      [1, 2, 3, 30, 40],
      [1, undefined, 3, null, 40],
      [undefined, 2, undefined, 30, undefined],
    ]);
  });

  test('the newest figure of a region that has not told one for a while is none', () => {
    expect(newestOf([1, 2, 3], [5, 6, undefined])).toBe(6);
    expect(newestOf([1, 2, 30], [5, 6, undefined])).toBeNull();
    expect(newestOf([1, 2], [5, null])).toBeNull();
    expect(newestOf([], [])).toBeNull();
  });

  test('I14: the worst lag of a region is not known while one of them is not', () => {
    expect(worstLag(point(1, 70))).toBe(70);
    expect(worstLag(point(1, null))).toBeNull();
  });

  test('columns become points', () => {
    const told = {
      region: 'us',
      nowMs: 9,
      atMs: [1, 2],
      writes: [3, 4],
      applied: [5, 6],
      refused: [0, 0],
      conflicts: [7, 8],
      receivedBytes: [0, 0],
      lagMs: { eu: [null, 9] },
    };
    expect(pointsOf(told)).toEqual([
      { atMs: 1, writes: 3, applied: 5, conflicts: 7, lagMs: { eu: null } },
      { atMs: 2, writes: 4, applied: 6, conflicts: 8, lagMs: { eu: 9 } },
    ]);
  });
});

describe('the map', () => {
  const places = [
    { lat: 45.6, lon: -121.2 },
    { lat: 38.9, lon: -77.5 },
  ];

  test('shows every region within its frame, north above south and west left of east', () => {
    const frame = frameOf(places, 600, 300);
    const [west, east] = places.map(({ lat, lon }) => frame.project(lon, lat));
    for (const [x, y] of [west!, east!]) {
      expect(x).toBeGreaterThan(20);
      expect(x).toBeLessThan(580);
      expect(y).toBeGreaterThan(20);
      expect(y).toBeLessThan(280);
    }
    expect(west![0]).toBeLessThan(east![0]);
    expect(west![1]).toBeLessThan(east![1]);
    expect(frame.project(frame.west, 40)[0]).toBeCloseTo(0);
    expect(frame.project(0, frame.north)[1]).toBeCloseTo(0);
  });

  test('one region alone, and regions of the whole world, have a frame too', () => {
    expect(frameOf([{ lat: 53, lon: -6 }], 600, 300).project(-6, 53)).toEqual([300, 150]);
    const frame = frameOf(
      [
        { lat: 60, lon: -150 },
        { lat: -40, lon: 175 },
      ],
      600,
      300,
    );
    expect(frame.project(175, -40)[0]).toBeLessThanOrEqual(600);
    expect(ticksOf(-121, -77, 8)).toEqual([-120, -110, -100, -90, -80]);
  });

  test('the ways there and back are bent to different sides', () => {
    const there = arcOf([0, 0], [100, 0], 0.2, 10);
    const back = arcOf([100, 0], [0, 0], 0.2, 10);
    expect(there.label[1]).toBe(-back.label[1]);
    expect(there.label[1]).not.toBe(0);
  });
});

describe('waterfalls', () => {
  const spanOf = (
    spanId: string,
    parentSpanId: string | undefined,
    region: string,
    startMs: number,
    durationMs: number,
  ): SpanMessage => ({
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name: spanId,
    region,
    kind: 'internal',
    startMs,
    durationMs,
    attributes: {},
    links: [],
  });

  test('what regions tell of one trace is one picture, children below their parents, each span once', () => {
    const us = [spanOf('write', undefined, 'us', 100, 10), spanOf('append', 'write', 'us', 102, 5)];
    const eu = [spanOf('apply', 'write', 'eu', 140, 60), spanOf('write', undefined, 'us', 100, 10)];
    const [fall, ...others] = waterfallsOf([
      { traceId: 'a', spans: us },
      { traceId: 'a', spans: eu },
    ]);
    expect(others).toEqual([]);
    expect(fall).toMatchObject({ startMs: 100, durationMs: 100, regions: ['us', 'eu'], name: 'write' });
    expect(fall!.bars.map(({ span: { name }, depth, left, width }) => [name, depth, left, width])).toEqual([
      ['write', 0, 0, 0.1],
      ['append', 1, 0.02, 0.05],
      ['apply', 1, 0.4, 0.6],
    ]);
  });

  test('a parent that nobody has, and spans that name each other, lose nothing', () => {
    const [fall] = waterfallsOf([
      {
        traceId: 'a',
        spans: [spanOf('x', 'gone', 'us', 1, 1), spanOf('y', 'z', 'us', 2, 1), spanOf('z', 'y', 'us', 3, 1)],
      },
    ]);
    expect(fall!.bars.map(({ span: { name } }) => name).toSorted()).toEqual(['x', 'y', 'z']);
  });
});
