// What every region must answer at the end, recomputed straight from the dataset.
// Owns: the expectation. It shares no code with Causeway nor with events.ts: a mistake there must not excuse itself here.
// For `last-seen` the dataset cannot know who wrote last, so it takes the acknowledgements: the highest version wins.

import type { FlightRow } from './dataset.ts';

/** Of an acknowledged write of `last-seen`: versions are ordered by stamp, then by origin (DESIGN 5). */
export interface LastSeenAck {
  readonly airport: string;
  readonly value: string;
  readonly stamp: number;
  readonly origin: string;
}

export interface Truth {
  readonly flights: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly departures: ReadonlyMap<string, number>;
  readonly arrivals: ReadonlyMap<string, number>;
  readonly 'delay-minutes': ReadonlyMap<string, number>;
  readonly routes: ReadonlyMap<string, ReadonlySet<string>>;
  readonly 'last-seen': ReadonlyMap<string, string>;
}

const MINUTE_MS = 60_000;

export function truthOf(rows: readonly FlightRow[], lastSeen: Iterable<LastSeenAck>): Truth {
  const flights = new Map<string, Record<string, string>>();
  const departures = new Map<string, number>();
  const arrivals = new Map<string, number>();
  const delayMinutes = new Map<string, number>();
  const routes = new Map<string, Set<string>>();
  const sum = (totals: Map<string, number>, airport: string, by: number): void => {
    totals.set(airport, (totals.get(airport) ?? 0) + by);
  };
  const joined = (from: string, to: string): void => {
    const known = routes.get(from);
    if (known === undefined) routes.set(from, new Set([to]));
    else known.add(to);
  };

  for (const row of rows) {
    const [day, clock] = row.date.split(' ') as [string, string];
    const departed = `${day.split('/').join('-')}T${clock}`;
    const inTheAir = Math.round((row.distance * 1.609344 * 60) / 800);
    const arrivedMs = new Date(`${departed}Z`).getTime() + (inTheAir + row.delay) * MINUTE_MS;
    const arrived = new Date(arrivedMs).toISOString().replace(/:\d\d\.\d+Z$/, '');

    let name = `${departed}.${row.origin}-${row.destination}`;
    for (let use = 2; flights.has(name); use++) name = `${departed}.${row.origin}-${row.destination}.${use}`;
    flights.set(name, {
      origin: row.origin,
      destination: row.destination,
      departed,
      arrived,
      miles: String(row.distance),
      delay: String(row.delay),
    });

    sum(departures, row.origin, 1);
    sum(arrivals, row.destination, 1);
    sum(delayMinutes, row.origin, row.delay);
    sum(delayMinutes, row.destination, row.delay);
    joined(row.origin, row.destination);
    joined(row.destination, row.origin);
  }
  return { flights, departures, arrivals, 'delay-minutes': delayMinutes, routes, 'last-seen': highest(lastSeen) };
}

function highest(acks: Iterable<LastSeenAck>): Map<string, string> {
  const best = new Map<string, LastSeenAck>();
  for (const ack of acks) {
    const known = best.get(ack.airport);
    const wins =
      known === undefined || ack.stamp > known.stamp || (ack.stamp === known.stamp && ack.origin > known.origin);
    if (wins) best.set(ack.airport, ack);
  }
  return new Map([...best].map(([airport, { value }]) => [airport, value]));
}
