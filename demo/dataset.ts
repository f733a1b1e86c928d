// The real input: US flights of 2001 and the airports that they join, from the npm package vega-datasets (public data of the
// US Bureau of Transportation Statistics).
// Owns: reading and checking those two files, and which region an airport belongs to. Nothing here knows Causeway.
// HAZARD: the files are somebody else's. A row that is not as described below stops the demo with its number, because a row
//         that were skipped here and counted elsewhere would look like a write that Causeway lost.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Where the three regions are thought to stand: Oregon, Iowa and Virginia. */
export const REGION_PLACES = {
  'us-west': { lat: 45.6, lon: -121.2 },
  'us-central': { lat: 41.6, lon: -93.6 },
  'us-east': { lat: 38.9, lon: -77.5 },
} as const;

export type DemoRegion = keyof typeof REGION_PLACES;

export const DEMO_REGIONS = Object.keys(REGION_PLACES) as readonly DemoRegion[];

export interface Airport {
  /** IATA code, such as `SEA`. */
  readonly code: string;
  readonly longitude: number;
  readonly region: DemoRegion;
}

/** One row of flights-20k.json, as it stands there. */
export interface FlightRow {
  /** Departure, `2001/01/31 23:59`, in the origin's own time. */
  readonly date: string;
  /** Minutes late at the destination; negative when early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

export interface Dataset {
  /** In the order of the file, which is the order of departure. */
  readonly flights: readonly FlightRow[];
  readonly airports: ReadonlyMap<string, Airport>;
}

/** As many as the file has. */
export const FLIGHTS_MAX = 20_000;

/** The first `count` flights, and the airports of the whole file. */
export function readDataset(count = FLIGHTS_MAX): Dataset {
  // The package exports no path to its data, only its entry, beside which the data stands.
  const data = join(dirname(createRequire(import.meta.url).resolve('vega-datasets')), '..', 'data');
  const flights = parseFlights(readFileSync(join(data, 'flights-20k.json'), 'utf8'));
  const airports = parseAirports(readFileSync(join(data, 'airports.csv'), 'utf8'));
  for (const [row, flight] of flights.entries()) {
    for (const code of [flight.origin, flight.destination]) {
      if (!airports.has(code)) throw new Error(`flights-20k.json, row ${row + 1}: airports.csv has no airport ${code}`);
    }
  }
  return { flights: flights.slice(0, count), airports };
}

export function parseFlights(text: string): FlightRow[] {
  const rows: unknown = JSON.parse(text);
  if (!Array.isArray(rows)) throw new Error('flights-20k.json: expected an array of flights');
  return rows.map((row: unknown, index) => {
    if (!isFlightRow(row)) {
      throw new Error(
        `flights-20k.json, row ${index + 1}: expected date, delay, distance, origin and destination, got ${JSON.stringify(row)}`,
      );
    }
    return row;
  });
}

function isFlightRow(row: unknown): row is FlightRow {
  const flight = row as Partial<Record<keyof FlightRow, unknown>> | null;
  return (
    typeof flight === 'object' &&
    flight !== null &&
    typeof flight.date === 'string' &&
    /^\d{4}\/\d\d\/\d\d \d\d:\d\d$/.test(flight.date) &&
    Number.isSafeInteger(flight.delay) &&
    typeof flight.distance === 'number' &&
    flight.distance > 0 &&
    typeof flight.origin === 'string' &&
    typeof flight.destination === 'string'
  );
}

/** Columns: iata,name,city,state,country,latitude,longitude. Names may be quoted and hold commas. */
export function parseAirports(text: string): Map<string, Airport> {
  const airports = new Map<string, Airport>();
  const lines = text.split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line === '') continue;
    const columns = splitCsvLine(line);
    const [code] = columns;
    const longitude = Number(columns[6] || Number.NaN);
    if (code === undefined || code === '' || columns.length !== 7 || !Number.isFinite(longitude)) {
      throw new Error(`airports.csv, line ${index + 1}: expected 7 columns with a code and coordinates, got ${line}`);
    }
    airports.set(code, { code, longitude, region: regionAt(longitude) });
  }
  return airports;
}

function splitCsvLine(line: string): string[] {
  const columns: string[] = [];
  let column = '';
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    const character = line[i]!;
    if (character === '"') {
      // A doubled quote inside quotes is one quote.
      if (quoted && line[i + 1] === '"') {
        column += '"';
        i++;
      } else {
        quoted = !quoted;
      }
    } else if (character === ',' && !quoted) {
      columns.push(column);
      column = '';
    } else {
      column += character;
    }
  }
  columns.push(column);
  return columns;
}

/** The nearest region by longitude, the shorter way round the globe: Guam is west of Oregon. */
export function regionAt(longitude: number): DemoRegion {
  let nearest: DemoRegion = DEMO_REGIONS[0]!;
  for (const region of DEMO_REGIONS) {
    if (degreesApart(longitude, REGION_PLACES[region].lon) < degreesApart(longitude, REGION_PLACES[nearest].lon)) {
      nearest = region;
    }
  }
  return nearest;
}

function degreesApart(a: number, b: number): number {
  const apart = Math.abs(a - b) % 360;
  return Math.min(apart, 360 - apart);
}
