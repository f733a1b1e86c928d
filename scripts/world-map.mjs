// node scripts/world-map.mjs: writes ui/map/land.ts, the outline of the land on the page's map.
// From Natural Earth's 1:110m land (public domain) as vega-datasets has it, in TopoJSON: https://github.com/topojson/topojson-specification.
// Coast lines are thinned where nobody would see it, so that the page stays small.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Degrees: a point that lies nearer than this to the line between its neighbours goes. */
const TOLERANCE = 0.12;
/** An island that is smaller in both directions goes. */
const ISLAND_MIN = 0.8;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const data = join(root, 'node_modules/vega-datasets/data/world-110m.json');

/** @typedef {[number, number]} Point */

/** @type {{ transform: { scale: Point, translate: Point }, arcs: Point[][], objects: { land: { arcs: number[][][] } } }} */
const topology = JSON.parse(readFileSync(data, 'utf8'));

const arcs = topology.arcs.map((arc) => {
  const { scale, translate } = topology.transform;
  let [x, y] = [0, 0];
  return arc.map(([dx, dy]) => {
    x += dx;
    y += dy;
    return point(x * scale[0] + translate[0], y * scale[1] + translate[1]);
  });
});

/**
 * @param {number} lon
 * @param {number} lat
 * @returns {Point}
 */
function point(lon, lat) {
  return [lon, lat];
}

/**
 * @template T
 * @param {readonly T[]} list
 * @param {number} index that is in it
 * @returns {T}
 */
function nth(list, index) {
  return /** @type {T} */ (list[index]);
}

/**
 * @param {number[]} indexes of arcs; ~i is arc i backwards
 * @returns {Point[]}
 */
function ringOf(indexes) {
  return indexes.flatMap((index, i) => {
    const arc = index < 0 ? nth(arcs, ~index).toReversed() : nth(arcs, index);
    return i === 0 ? arc : arc.slice(1);
  });
}

/**
 * Douglas and Peucker.
 * @param {Point[]} points
 * @returns {Point[]}
 */
function thinned(points) {
  const [first, last] = [nth(points, 0), nth(points, points.length - 1)];
  let [far, at] = [0, 0];
  for (let i = 1; i < points.length - 1; i++) {
    const away = distance(nth(points, i), first, last);
    if (away > far) [far, at] = [away, i];
  }
  if (far < TOLERANCE) return [first, last];
  return [...thinned(points.slice(0, at + 1)).slice(0, -1), ...thinned(points.slice(at))];
}

/**
 * @param {Point} point
 * @param {Point} a
 * @param {Point} b
 */
function distance([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const squared = dx * dx + dy * dy;
  const t = squared === 0 ? 0 : Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / squared));
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}

/** @param {Point[]} ring whose ends are the same point */
function simple(ring) {
  const middle = Math.floor(ring.length / 2);
  return [...thinned(ring.slice(0, middle + 1)).slice(0, -1), ...thinned(ring.slice(middle))];
}

/** @param {Point[]} ring */
function isSeen(ring) {
  const [xs, ys] = [ring.map(([x]) => x), ring.map(([, y]) => y)];
  return Math.max(...xs) - Math.min(...xs) > ISLAND_MIN || Math.max(...ys) - Math.min(...ys) > ISLAND_MIN;
}

const rings = topology.objects.land.arcs
  .flatMap((polygon) => polygon.map(ringOf))
  .filter(isSeen)
  .map(simple);
const lines = rings
  .filter((ring) => ring.length > 3)
  .map((ring) => `  '${ring.map(([lon, lat]) => `${Math.round(lon * 10)},${Math.round(lat * 10)}`).join(' ')}',`);
const text = `// The outline of the land: rings of longitude,latitude in tenths of a degree. Written by scripts/world-map.mjs from Natural Earth (public domain).

export const LAND: readonly string[] = [
${lines.join('\n')}
];
`;
writeFileSync(join(root, 'ui/map/land.ts'), text);
console.log(`ui/map/land.ts: ${lines.length} rings, ${text.length} bytes`);
