// The demo's reading of the real dataset: who writes what, when, and what must come out of it.

import { describe, expect, test } from 'vitest';
import { compareRegions, type Answer, type AnswerSource } from '../../demo/compare.ts';
import {
  DEMO_REGIONS,
  FLIGHTS_MAX,
  parseAirports,
  parseFlights,
  readDataset,
  regionAt,
  type FlightRow,
} from '../../demo/dataset.ts';
import {
  flightEvents,
  flightIds,
  flightMinutes,
  formatMinutes,
  parseMinutes,
  type FlightEvent,
} from '../../demo/events.ts';
import { truthOf, type LastSeenAck, type Truth } from '../../demo/truth.ts';

const dataset = readDataset();
const events = flightEvents(dataset.flights, dataset.airports);

describe('the dataset', () => {
  test('has the flights that the demo promises, and an airport for every one', () => {
    expect(dataset.flights).toHaveLength(FLIGHTS_MAX);
    expect(readDataset(10).flights).toEqual(dataset.flights.slice(0, 10));
  });

  test('gives every region flights to write', () => {
    for (const region of DEMO_REGIONS) {
      expect(events.filter((event) => event.region === region).length).toBeGreaterThan(5000);
    }
  });

  test.each([
    ['SEA', 'us-west'],
    ['LAX', 'us-west'],
    ['HNL', 'us-west'],
    ['DFW', 'us-central'],
    ['ORD', 'us-central'],
    ['ATL', 'us-east'],
    ['JFK', 'us-east'],
  ])('puts %s into %s', (code, region) => {
    expect(dataset.airports.get(code)?.region).toBe(region);
  });

  test('measures longitude the shorter way round', () => {
    expect(regionAt(144.8)).toBe('us-west');
    expect(regionAt(-66)).toBe('us-east');
  });

  test('refuses rows that are not as described, with their place', () => {
    expect(() => parseFlights('{}')).toThrow('an array');
    expect(() => parseFlights('[{"date":"2001-01-01"}]')).toThrow('row 1');
    const row = dataset.flights[0]!;
    expect(() => parseFlights(JSON.stringify([row, { ...row, distance: 0 }]))).toThrow('row 2');
    expect(() => parseAirports('header\nABC,Name,City,ST,USA,1\n')).toThrow('line 2');
    expect(() => parseAirports('header\nABC,Name,City,ST,USA,1,\n')).toThrow('line 2');
  });

  test('reads quoted names with commas and quotes in them', () => {
    const airports = parseAirports('header\r\n35A,"Union County, ""Troy""",Union,SC,USA,34.6,-81.6\r\n');
    expect(airports.get('35A')).toEqual({ code: '35A', longitude: -81.6, region: 'us-east' });
  });
});

describe('events', () => {
  test('converts miles', () => {
    expect(flightMinutes(497)).toBe(60); // 800 km
    expect(formatMinutes(parseMinutes('2001/02/28 23:59') + 1)).toBe('2001-03-01T00:00');
  });

  test('come in time order, two for every flight', () => {
    expect(events).toHaveLength(2 * FLIGHTS_MAX);
    expect(events.every(({ atMinutes }, i) => i === 0 || atMinutes >= events[i - 1]!.atMinutes)).toBe(true);
    const kinds = new Map<string, string[]>();
    for (const { flight, kind } of events) kinds.set(flight, [...(kinds.get(flight) ?? []), kind].sort());
    expect(new Set([...kinds.values()].map(String))).toEqual(new Set(['arrival,departure']));
  });

  test('name every flight once', () => {
    expect(new Set(flightIds(dataset.flights)).size).toBe(FLIGHTS_MAX);
  });

  test('make regions write the same keys', () => {
    const writers = new Map<string, Set<string>>();
    for (const { region, ops } of events) {
      for (const { collection, key } of ops) {
        const name = `${collection}/${key}`;
        writers.set(name, (writers.get(name) ?? new Set()).add(region));
      }
    }
    const shared = (collection: string): number =>
      [...writers].filter(([name, regions]) => name.startsWith(`${collection}/`) && regions.size > 1).length;
    expect(shared('flights')).toBeGreaterThan(5000);
    for (const collection of ['delay-minutes', 'routes', 'last-seen']) expect(shared(collection)).toBeGreaterThan(100);
  });

  test('write each field of a flight once, so that its end does not depend on who was first', () => {
    const written = events
      .flatMap(({ ops }) => ops)
      .flatMap((op) => ('fields' in op ? Object.keys(op.fields).map((field) => `${op.key} ${field}`) : []));
    expect(written).toHaveLength(6 * FLIGHTS_MAX);
    expect(new Set(written).size).toBe(written.length);
  });
});

// A model of a region: applies ops in the order given. Enough to say that events.ts and truth.ts, which share no code, agree.
interface Model {
  readonly answers: Map<string, Answer>;
  readonly acks: LastSeenAck[];
}

function play(list: readonly FlightEvent[]): Model {
  const answers = new Map<string, Answer>();
  const acks: LastSeenAck[] = [];
  let stamp = 0;
  for (const op of list.flatMap((event) => event.ops)) {
    const name = `${op.collection}/${op.key}`;
    const known = answers.get(name);
    stamp++;
    if ('fields' in op) {
      answers.set(name, {
        fields: { ...(known !== undefined && 'fields' in known ? known.fields : {}), ...op.fields },
      });
    } else if ('by' in op) {
      answers.set(name, { count: (known !== undefined && 'count' in known ? known.count : 0n) + BigInt(op.by) });
    } else if ('add' in op) {
      const elements = known !== undefined && 'elements' in known ? known.elements : [];
      answers.set(name, { elements: elements.includes(op.add) ? elements : [...elements, op.add] });
    } else {
      answers.set(name, { value: op.value });
      acks.push({ airport: op.key, value: op.value, stamp, origin: 'us-east~000000000001' });
    }
  }
  return { answers, acks };
}

function source(answers: ReadonlyMap<string, Answer>): AnswerSource {
  return {
    region: 'us-east',
    read: (collection, keys) => Promise.resolve(keys.map((key) => answers.get(`${collection}/${key}`))),
    keys: () => Promise.resolve(answers.size),
  };
}

describe('the comparison', () => {
  const { answers, acks } = play(events);
  const truth: Truth = truthOf(dataset.flights, acks);

  test('finds nothing where every op took effect once', async () => {
    const { compared, mismatches, examples } = await compareRegions(truth, [source(answers), source(answers)]);
    expect(examples).toEqual([]);
    expect(mismatches).toBe(0);
    const keys = truth.flights.size + truth.departures.size + truth.arrivals.size + truth['delay-minutes'].size;
    expect(compared).toBe(2 * (keys + truth.routes.size + truth['last-seen'].size + 1));
  });

  test.each<[string, string, (known: Answer) => Answer]>([
    ['a lost increment', 'departures/ATL', (known) => ({ count: (known as { count: bigint }).count - 1n })],
    ['a doubled increment', 'delay-minutes/ATL', (known) => ({ count: (known as { count: bigint }).count + 7n })],
    ['a lost element', 'routes/ATL', (known) => ({ elements: (known as { elements: string[] }).elements.slice(1) })],
    [
      'an element twice',
      'routes/ATL',
      (known) => ({ elements: [...(known as { elements: string[] }).elements, 'LAX'] }),
    ],
    ['an older last-seen', 'last-seen/ATL', () => ({ value: 'older' })],
    ['an absent key', `flights/${flightIds(dataset.flights)[0]}`, () => undefined],
    [
      'a lost field',
      `flights/${flightIds(dataset.flights)[0]}`,
      (known) => {
        const { delay: _, ...fields } = (known as { fields: Record<string, string> }).fields;
        return { fields };
      },
    ],
  ])('finds %s', async (_what, name, spoil) => {
    expect(answers.has(name)).toBe(true);
    const spoilt = new Map(answers).set(name, spoil(answers.get(name)));
    const { mismatches, examples } = await compareRegions(truth, [source(spoilt)]);
    expect(mismatches).toBeGreaterThanOrEqual(1);
    expect(examples[0]).toMatchObject({ collection: name.split('/')[0], key: name.slice(name.indexOf('/') + 1) });
  });

  test('finds a key that nobody wrote', async () => {
    const spoilt = new Map(answers).set('flights/ghost', { fields: {} });
    const { mismatches, examples } = await compareRegions(truth, [source(spoilt)]);
    expect(mismatches).toBe(1);
    expect(examples[0]).toMatchObject({ collection: '(all)' });
  });

  test('takes the highest version among acknowledgements, the origin breaking ties, whatever their order', () => {
    const row: FlightRow = dataset.flights[0]!;
    const low = { airport: row.origin, value: 'low', stamp: 5, origin: 'us-west~00000000000a' };
    const tie = { airport: row.origin, value: 'tie', stamp: 6, origin: 'us-east~00000000000a' };
    const high = { airport: row.origin, value: 'high', stamp: 6, origin: 'us-west~000000000001' };
    for (const order of [
      [low, tie, high],
      [high, tie, low],
      [tie, high, low],
    ]) {
      expect(truthOf([row], order)['last-seen'].get(row.origin)).toBe('high');
    }
  });
});
