// Flights as writes: what the producers of the demo send, in time order.
// Owns: the collections, and which region writes what. Pure: the same flights give the same events.
//
// Every flight is two events. The departure is written in the origin airport's region, the arrival in the destination's, so
// that two regions write the same keys without asking each other:
//   flights        map-lww       per flight   departure fields from one region, arrival fields from the other
//   departures     counter-pn    per airport  +1 at departure
//   arrivals       counter-pn    per airport  +1 at arrival
//   delay-minutes  counter-pn    per airport  the delay of every flight from or to it: added at arrival, at both ends, so
//                                             that every region increments (and decrements) any airport's counter
//   routes         set-aw        per airport  airports joined to it; added at departure, at both ends
//   last-seen      register-lww  per airport  the last flight heard of; the departure writes the origin's, the arrival both
//                                             ends': the newest of several regions' writes must win everywhere

import type { Airport, DemoRegion, FlightRow } from './dataset.ts';

export const COLLECTIONS = {
  flights: 'map-lww',
  departures: 'counter-pn',
  arrivals: 'counter-pn',
  'delay-minutes': 'counter-pn',
  routes: 'set-aw',
  'last-seen': 'register-lww',
} as const;

export type Collection = keyof typeof COLLECTIONS;
export const COLLECTION_NAMES = Object.keys(COLLECTIONS) as readonly Collection[];
export type CollectionOf<T extends (typeof COLLECTIONS)[Collection]> = {
  [C in Collection]: (typeof COLLECTIONS)[C] extends T ? C : never;
}[Collection];

export type DemoOp =
  | {
      readonly collection: CollectionOf<'map-lww'>;
      readonly key: string;
      readonly fields: Readonly<Record<string, string>>;
    }
  | { readonly collection: CollectionOf<'counter-pn'>; readonly key: string; readonly by: number }
  | { readonly collection: CollectionOf<'set-aw'>; readonly key: string; readonly add: string }
  | { readonly collection: CollectionOf<'register-lww'>; readonly key: string; readonly value: string };

export interface FlightEvent {
  readonly kind: 'departure' | 'arrival';
  /** Unix minutes, with times of the dataset read as UTC: it names no zones, and all that matters here is an order. */
  readonly atMinutes: number;
  readonly region: DemoRegion;
  readonly flight: string;
  readonly ops: readonly DemoOp[];
}

export const CRUISE_KM_PER_HOUR = 800;
const KM_PER_MILE = 1.609344;

/** In the air, whole minutes. The dataset gives miles. */
export function flightMinutes(distanceMiles: number): number {
  return Math.round(((distanceMiles * KM_PER_MILE) / CRUISE_KM_PER_HOUR) * 60);
}

/** `2001/01/31 23:59` → Unix minutes. */
export function parseMinutes(date: string): number {
  return Date.parse(`${date.replaceAll('/', '-').replace(' ', 'T')}:00Z`) / 60_000;
}

/** Unix minutes → `2001-01-31T23:59`. */
export function formatMinutes(minutes: number): string {
  return new Date(minutes * 60_000).toISOString().slice(0, 16);
}

/** Names that a person can read and type: `2001-01-01T00:47.DTW-LAS`, with `.2` when it is the second of that name. */
export function flightIds(flights: readonly FlightRow[]): string[] {
  const uses = new Map<string, number>();
  return flights.map(({ date, origin, destination }) => {
    const name = `${date.replaceAll('/', '-').replace(' ', 'T')}.${origin}-${destination}`;
    const use = (uses.get(name) ?? 0) + 1;
    uses.set(name, use);
    return use === 1 ? name : `${name}.${use}`;
  });
}

/** Both events of every flight, in time order. A flight that was far ahead of its plan may arrive before it departs (the
 *  delay is against the timetable, the departure is not): the two events then come in that order, as they would. */
export function flightEvents(flights: readonly FlightRow[], airports: ReadonlyMap<string, Airport>): FlightEvent[] {
  const ids = flightIds(flights);
  const events: FlightEvent[] = [];
  for (const [index, row] of flights.entries()) {
    events.push(...eventsOf(ids[index]!, row, airports));
  }
  // The sort is stable: at the same minute, flights stay in the order of the file and a departure before its arrival.
  return events.sort((a, b) => a.atMinutes - b.atMinutes);
}

function eventsOf(flight: string, row: FlightRow, airports: ReadonlyMap<string, Airport>): [FlightEvent, FlightEvent] {
  const { origin, destination, delay, distance } = row;
  const departedAt = parseMinutes(row.date);
  const arrivedAt = departedAt + flightMinutes(distance) + delay;
  const departed = `${flight} left ${origin} at ${formatMinutes(departedAt)}`;
  const arrived = `${flight} reached ${destination} at ${formatMinutes(arrivedAt)}`;

  const departureOps: DemoOp[] = [
    {
      collection: 'flights',
      key: flight,
      fields: { origin, departed: formatMinutes(departedAt), miles: `${distance}` },
    },
    { collection: 'departures', key: origin, by: 1 },
    { collection: 'routes', key: origin, add: destination },
    { collection: 'routes', key: destination, add: origin },
    { collection: 'last-seen', key: origin, value: departed },
  ];
  const arrivalOps: DemoOp[] = [
    {
      collection: 'flights',
      key: flight,
      fields: { destination, arrived: formatMinutes(arrivedAt), delay: `${delay}` },
    },
    { collection: 'arrivals', key: destination, by: 1 },
    { collection: 'last-seen', key: destination, value: arrived },
    { collection: 'last-seen', key: origin, value: arrived },
  ];
  // An increment by nothing would be an op without an effect.
  if (delay !== 0) {
    arrivalOps.push(
      { collection: 'delay-minutes', key: destination, by: delay },
      { collection: 'delay-minutes', key: origin, by: delay },
    );
  }
  return [
    { kind: 'departure', atMinutes: departedAt, region: airports.get(origin)!.region, flight, ops: departureOps },
    { kind: 'arrival', atMinutes: arrivedAt, region: airports.get(destination)!.region, flight, ops: arrivalOps },
  ];
}
