// Degrees → places on the map: Mercator, cut to where the regions are. Pure.

export interface Frame {
  readonly width: number;
  readonly height: number;
  /** Of longitude and latitude, degrees. */
  readonly project: (lon: number, lat: number) => readonly [x: number, y: number];
  /** What the frame shows, degrees. */
  readonly west: number;
  readonly east: number;
  readonly south: number;
  readonly north: number;
}

export interface Place {
  readonly lat: number;
  readonly lon: number;
}

/** Beyond, Mercator's map has no end. */
const LAT_MAX = 80;
/** However near regions are to each other: a map of less shows no coast to know it by. */
const LON_SPAN_MIN = 40;
/** Room round the regions, as part of what they span. */
const MARGIN = 0.18;

function mercator(lat: number): number {
  const clamped = Math.max(-LAT_MAX, Math.min(LAT_MAX, lat));
  return (Math.log(Math.tan(Math.PI / 4 + (clamped * Math.PI) / 360)) * 180) / Math.PI;
}

function latitude(y: number): number {
  return (Math.atan(Math.exp((y * Math.PI) / 180)) * 360) / Math.PI - 90;
}

export function frameOf(places: readonly Place[], width: number, height: number): Frame {
  const lons = places.map(({ lon }) => lon);
  const ys = places.map(({ lat }) => mercator(lat));
  const middleLon = (Math.min(...lons) + Math.max(...lons)) / 2;
  const middleY = (Math.min(...ys) + Math.max(...ys)) / 2;
  const room = 1 + 2 * MARGIN;
  const lonSpan = Math.max(LON_SPAN_MIN, (Math.max(...lons) - Math.min(...lons)) * room);
  const ySpan = (Math.max(...ys) - Math.min(...ys)) * (room + 0.3);
  // The same scale both ways, so that shapes are known again.
  const perDegree = Math.min(width / Math.min(360, lonSpan), ySpan === 0 ? Infinity : height / ySpan);
  const project = (lon: number, lat: number): readonly [number, number] => [
    width / 2 + (lon - middleLon) * perDegree,
    height / 2 - (mercator(lat) - middleY) * perDegree,
  ];
  return {
    width,
    height,
    project,
    west: middleLon - width / 2 / perDegree,
    east: middleLon + width / 2 / perDegree,
    south: latitude(middleY - height / 2 / perDegree),
    north: latitude(middleY + height / 2 / perDegree),
  };
}

/** Regions whose places are not known, on a ring: who is linked with whom is all that it says. */
export function ringOf(count: number, width: number, height: number): (readonly [x: number, y: number])[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = -Math.PI / 2 + (2 * Math.PI * i) / count;
    return [width / 2 + Math.cos(angle) * width * 0.32, height / 2 + Math.sin(angle) * height * 0.34];
  });
}

/** Lines of the graticule within the frame: about `wanted` of them. */
export function ticksOf(from: number, to: number, wanted: number): number[] {
  const step = [1, 2, 5, 10, 15, 30, 45].find((each) => (to - from) / each <= wanted) ?? 60;
  const ticks: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push(at);
  return ticks;
}

export interface Arc {
  readonly path: string;
  /** Where its label stands. */
  readonly label: readonly [x: number, y: number];
}

/** From one region to another, bent to its left: the way back is bent to the other side. `bend` is a part of its length. */
export function arcOf(
  [x1, y1]: readonly [number, number],
  [x2, y2]: readonly [number, number],
  bend: number,
  radius: number,
): Arc {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length = Math.hypot(dx, dy) || 1;
  // A quadratic curve reaches half-way to its control point.
  const [cx, cy] = [(x1 + x2) / 2 + dy * bend * 2, (y1 + y2) / 2 - dx * bend * 2];
  const towards = (x: number, y: number): readonly [number, number] => {
    const away = Math.hypot(cx - x, cy - y) || 1;
    const part = Math.min(radius, length / 3) / away;
    return [x + (cx - x) * part, y + (cy - y) * part];
  };
  const [sx, sy] = towards(x1, y1);
  const [ex, ey] = towards(x2, y2);
  const r = (value: number): number => Math.round(value * 10) / 10;
  return {
    path: `M${r(sx)} ${r(sy)}Q${r(cx)} ${r(cy)} ${r(ex)} ${r(ey)}`,
    label: [(x1 + x2) / 2 + dy * bend, (y1 + y2) / 2 - dx * bend],
  };
}
