// The regions where they are, and the ways between them coloured by lag. A picture: the matrix says the same in words.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { RegionMessage } from '../../src/api/http/page/messages.ts';
import { cluster, rates, sinceMs } from '../data/live.ts';
import { rate, span } from '../format.ts';
import { HEALTH_WORDS, regionHealth, regionWords, waysOf, type Health, type Way } from '../health.ts';
import { Card } from '../parts/card.tsx';
import { LAND } from './land.ts';
import { arcOf, frameOf, ringOf, ticksOf, type Frame } from './projection.ts';

const NODE_RADIUS = 9;
/** Of a way's length; on a small map more, so that ways and their labels stay apart. */
const BEND = 0.16;
const BEND_SMALL = 0.26;
const SMALL = 480;
/** Off the map, rings are not drawn: their points are far away. */
const FAR = 4000;

export function Map(): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(640);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.max(280, Math.round(entry!.contentRect.width))));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  const height = Math.round(Math.min(500, Math.max(260, width * 0.6)));
  const { regions } = cluster.value!;
  const placed = regions.every(({ lat, lon }) => lat !== null && lon !== null);
  const frame = placed
    ? frameOf(
        regions.map(({ lat, lon }) => ({ lat: lat!, lon: lon! })),
        width,
        height,
      )
    : undefined;
  const ring = ringOf(regions.length, width, height);
  const points = regions.map(({ lat, lon }, i) => frame?.project(lon!, lat!) ?? ring[i]!);
  const ways = waysOf(cluster.value!, sinceMs.value);
  return (
    <Card
      title="Regions"
      class="map-card"
      note={
        placed
          ? 'each way coloured by how far the region at its end is behind'
          : 'regions[].coordinates would put them on a map'
      }
      tools={<Legend />}
    >
      <div ref={box} class="map">
        <svg
          viewBox={`0 0 ${width} ${height}`}
          width={width}
          height={height}
          role="img"
          aria-label={spokenMap(regions, ways)}
        >
          <defs>
            {(['good', 'slow', 'bad', 'down', 'unknown'] as const).map((health) => (
              <marker
                key={health}
                id={`end-${health}`}
                viewBox="0 0 8 8"
                refX="6"
                refY="4"
                markerWidth="7"
                markerHeight="7"
                orient="auto"
              >
                <path d="M0 .8 7 4 0 7.2z" class={`health ${health}`} />
              </marker>
            ))}
          </defs>
          {frame === undefined ? null : <World frame={frame} />}
          {ways.map((way) => (
            <WayLine
              key={`${way.origin} ${way.region}`}
              way={way}
              small={width < SMALL}
              at={(name) => points[regions.findIndex((each) => each.name === name)]!}
            />
          ))}
          {regions.map((region, i) => (
            <Node key={region.name} region={region} at={points[i]!} width={width} />
          ))}
        </svg>
      </div>
    </Card>
  );
}

function spokenMap(regions: readonly RegionMessage[], ways: readonly Way[]): string {
  const states = regions.map((region) => `${region.name} ${regionWords(region, sinceMs.value)}`).join(', ');
  const bad = ways.filter(({ health }) => health !== 'good');
  const worse = bad
    .map(({ origin, region, health }) => `from ${origin} to ${region} ${HEALTH_WORDS[health]}`)
    .join(', ');
  return `Map of ${regions.length} regions: ${states}. ${bad.length === 0 ? 'All ways are good.' : `Ways that are not good: ${worse}.`}`;
}

function World({ frame }: { frame: Frame }): JSX.Element {
  const { west, east, south, north, width, height } = frame;
  const ring = (text: string): string => {
    const points = text.split(' ').map((point) => {
      const [lon, lat] = point.split(',');
      const [x, y] = frame.project(Number(lon) / 10, Number(lat) / 10);
      return [
        Math.max(-FAR, Math.min(FAR, Math.round(x * 10) / 10)),
        Math.max(-FAR, Math.min(FAR, Math.round(y * 10) / 10)),
      ];
    });
    return `M${points.map((point) => point.join(' ')).join('L')}Z`;
  };
  // Some thousand points: only when the frame is another.
  const land = useMemo(() => LAND.map(ring).join(''), [west, north, width, height]);
  const meridians = ticksOf(west, east, 8).map((lon) => frame.project(lon, 0)[0]);
  const parallels = ticksOf(Math.max(-75, south), Math.min(75, north), 6).map((lat) => frame.project(0, lat)[1]);
  return (
    <g aria-hidden="true">
      <path d={land} class="land" />
      <path
        class="graticule"
        d={`${meridians.map((x) => `M${x.toFixed(1)} 0V${height}`).join('')}${parallels.map((y) => `M0 ${y.toFixed(1)}H${width}`).join('')}`}
      />
    </g>
  );
}

function WayLine({
  way,
  at,
  small,
}: {
  way: Way;
  at: (region: string) => readonly [number, number];
  small: boolean;
}): JSX.Element {
  const { origin, region, health, peer, fresh } = way;
  const { path, label } = arcOf(at(origin), at(region), small ? BEND_SMALL : BEND, NODE_RADIUS + 8);
  const flows = fresh && health !== 'down' && (rates.value.get(region)?.applied ?? 0) > 0;
  const text = !fresh ? (health === 'down' ? '' : '?') : peer?.link === 'down' ? 'down' : span(peer?.lagMs ?? null);
  return (
    <g class={`way ${health} ${fresh ? '' : 'stale'}`} data-way={`${origin} ${region}`} data-health={health}>
      <path d={path} class="line" marker-end={`url(#end-${health})`} />
      {flows ? <path d={path} class="flow" /> : null}
      {text === '' ? null : (
        <text x={label[0]} y={label[1]} class="way-label" text-anchor="middle" dominant-baseline="central">
          {text}
        </text>
      )}
    </g>
  );
}

function Node({
  region,
  at: [x, y],
  width,
}: {
  region: RegionMessage;
  at: readonly [number, number];
  width: number;
}): JSX.Element {
  const health = regionHealth(region, sinceMs.value);
  const own = region.name === cluster.value!.region;
  const anchor = x < 70 ? 'start' : x > width - 70 ? 'end' : 'middle';
  const labelX = anchor === 'start' ? x - NODE_RADIUS : anchor === 'end' ? x + NODE_RADIUS : x;
  const told = rates.value.get(region.name);
  const line =
    health === 'down' || told === undefined ? regionWords(region, sinceMs.value) : `${rate(told.writes)} written`;
  return (
    <g class={`node ${health}`} data-region={region.name} data-health={health}>
      {own ? <circle cx={x} cy={y} r={NODE_RADIUS + 4} class="own" /> : null}
      <circle cx={x} cy={y} r={NODE_RADIUS} class="dot" />
      {health === 'down' ? <path d={`M${x - 4} ${y - 4}l8 8m0 -8l-8 8`} class="cross" /> : null}
      <text x={labelX} y={y + NODE_RADIUS + 17} text-anchor={anchor} class="node-name">
        {region.name}
      </text>
      <text x={labelX} y={y + NODE_RADIUS + 32} text-anchor={anchor} class="node-figure">
        {line}
      </text>
    </g>
  );
}

const LEGEND: readonly { readonly health: Health; readonly says: string }[] = [
  { health: 'good', says: '< 1 s' },
  { health: 'slow', says: '1–5 s' },
  { health: 'bad', says: '> 5 s' },
  { health: 'down', says: 'down' },
];

function Legend(): JSX.Element {
  return (
    <ul class="legend" aria-label="Lag">
      {LEGEND.map(({ health, says }) => (
        <li key={health}>
          <svg viewBox="0 0 22 8" width="22" height="8" aria-hidden="true" class={`way ${health}`}>
            <path d="M1 4h20" class="line" />
          </svg>
          {says}
        </li>
      ))}
    </ul>
  );
}
