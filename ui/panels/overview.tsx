// What is seen first: is everything well, and if not, where.

import type { JSX } from 'preact';
import type { RegionMessage } from '../../src/api/http/page/messages.ts';
import { cluster, connected, rates, sinceMs } from '../data/live.ts';
import { age, bytes, count, rate, span } from '../format.ts';
import { freshNode, regionHealth, regionWords, STALE_MS, waysOf, worstWay } from '../health.ts';
import { Map } from '../map/map.tsx';
import { Card } from '../parts/card.tsx';
import { HealthMark } from '../parts/health-mark.tsx';
import { linkTo } from '../route.ts';
import { Charts } from './charts.tsx';
import { RecentEvents } from './events.tsx';
import { Matrix } from './matrix.tsx';

export function Overview(): JSX.Element {
  return (
    <div class="grid">
      <Headline />
      <Alarms />
      <Map />
      <Regions />
      <Charts />
      <Matrix />
      <HotKeys />
      <RecentEvents />
    </div>
  );
}

function Headline(): JSX.Element {
  const { regions } = cluster.value!;
  const answering = regions.filter((region) => freshNode(region, sinceMs.value) !== undefined);
  const worst = worstWay(waysOf(cluster.value!, sinceMs.value));
  const told = answering.flatMap(({ name }) => rates.value.get(name) ?? []);
  const sum = (of: (each: (typeof told)[number]) => number): number =>
    told.reduce((total, each) => total + of(each), 0);
  const nodes = answering.map(({ node }) => node!);
  const conflicts = nodes.reduce((total, { counters }) => total + counters.conflicts, 0);
  const alarms = nodes.reduce((total, node) => total + node.alarms.length, 0);
  const all = answering.length === regions.length;
  return (
    <dl class="headline" aria-label="In short">
      <div>
        <dt>Regions</dt>
        <dd data-testid="answering">
          {connected.value ? (
            <>
              <HealthMark health={all ? 'good' : 'down'} /> {answering.length} of {regions.length} answer
            </>
          ) : (
            'not known'
          )}
        </dd>
      </div>
      <div>
        <dt>Furthest behind</dt>
        <dd>
          {worst === undefined ? (
            '–'
          ) : (
            <>
              <HealthMark health={worst.health} /> {span(worst.peer?.lagMs)}{' '}
              <small>
                {worst.region} behind {worst.origin}
              </small>
            </>
          )}
        </dd>
      </div>
      <div>
        <dt>Writes</dt>
        <dd>
          {rate(told.length === 0 ? null : sum(({ writes }) => writes))}{' '}
          <small>{rate(told.length === 0 ? null : sum(({ applied }) => applied))} applied from peers</small>
        </dd>
      </div>
      <div>
        <dt>Conflicts</dt>
        <dd>
          {connected.value ? count(conflicts) : '–'}{' '}
          <small>{rate(told.length === 0 ? null : sum((each) => each.conflicts))} now</small>
        </dd>
      </div>
      <div>
        <dt>Alarms</dt>
        <dd>
          {connected.value ? (
            <>
              <HealthMark health={alarms === 0 ? 'good' : 'bad'} /> {alarms === 0 ? 'none' : count(alarms)}
            </>
          ) : (
            'not known'
          )}
        </dd>
      </div>
    </dl>
  );
}

function Alarms(): JSX.Element | null {
  const alarms = cluster.value!.regions.flatMap((region) =>
    (freshNode(region, sinceMs.value)?.alarms ?? []).map((alarm) => ({
      ...alarm,
      region: region.name,
      forMs: region.node!.nowMs - alarm.sinceMs,
    })),
  );
  if (alarms.length === 0) return null;
  return (
    <ul class="alarms" aria-label="Alarms">
      {alarms.map(({ region, code, message, forMs }) => (
        <li key={`${region} ${code} ${message}`}>
          <HealthMark health="bad" label="alarm" /> <b>{region}</b> <code>{code}</code> for {span(forMs)}: {message}
        </li>
      ))}
    </ul>
  );
}

function Regions(): JSX.Element {
  return (
    <Card title="Nodes" class="regions" note="what each region says of itself">
      <ul>
        {cluster.value!.regions.map((region) => (
          <RegionCard key={region.name} region={region} />
        ))}
      </ul>
    </Card>
  );
}

function RegionCard({ region }: { region: RegionMessage }): JSX.Element {
  const { name, node, problem, ageMs } = region;
  const health = regionHealth(region, sinceMs.value);
  const stale = freshNode(region, sinceMs.value) === undefined;
  const told = rates.value.get(name);
  const old = ageMs === null ? 0 : ageMs + sinceMs.value;
  return (
    <li class={stale ? 'stale' : ''} data-region={name} data-health={health} data-testid={`region-${name}`}>
      <p class="region-name">
        <HealthMark health={health} label="" /> <b>{name}</b>{' '}
        <span class={`state ${health}`}>{regionWords(region, sinceMs.value)}</span>
        {node === null || stale ? null : <span class="dim"> up {span(node.nowMs - node.startedAtMs)}</span>}
        {stale && node !== null && old > STALE_MS ? <span class="age"> figures {age(old)} old</span> : null}
      </p>
      {problem === '' ? null : <p class="problem">{problem}</p>}
      {node?.stateReason ? <p class="problem">{node.stateReason}</p> : null}
      {node === null ? null : (
        <>
          <dl>
            <Figure name="writes">{stale ? '–' : rate(told?.writes)}</Figure>
            <Figure name="from peers">{stale ? '–' : rate(told?.applied)}</Figure>
            <Figure name="refused">{stale ? '–' : rate(told?.refused)}</Figure>
            <Figure name="conflicts">{count(node.counters.conflicts)}</Figure>
            <Figure name="keys">{count(node.keys)}</Figure>
            <Figure name="followers">{count(node.subscriptions)}</Figure>
            <Figure name="log">{bytes(node.log.bytes)}</Figure>
            <Figure name="store">{bytes(node.store.bytes)}</Figure>
          </dl>
          <p class="promise">
            {node.log.durable ? null : <HealthMark health="bad" label="warning:" />} {node.log.engine}:{' '}
            {node.log.durable ? 'durable' : 'NOT durable'}, {node.log.detail}
            {node.log.stateReason === '' ? '' : ` (${node.log.stateReason})`}
          </p>
        </>
      )}
    </li>
  );
}

function Figure({ name, children }: { name: string; children: string }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function HotKeys(): JSX.Element | null {
  const keys = cluster
    .value!.regions.flatMap((region) =>
      (freshNode(region, sinceMs.value)?.hotKeys.written ?? []).map((key) => ({ ...key, region: region.name })),
    )
    .toSorted((a, b) => b.perS - a.perS)
    .slice(0, 6);
  if (keys.length === 0) return null;
  return (
    <Card title="Hot keys" note="most written in the last minutes, by samples of one op in 64" class="half">
      <table>
        <thead>
          <tr>
            <th scope="col">key</th>
            <th scope="col">region</th>
            <th scope="col" class="number">
              about
            </th>
            <th scope="col" class="number">
              share
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map(({ namespace, collection, key, region, perS, share }) => (
            <tr key={`${region} ${namespace}/${collection}/${key}`}>
              <td>
                <a href={linkTo('keys', { namespace, collection, key })}>
                  {collection}/{key}
                </a>
              </td>
              <td>{region}</td>
              <td class="number">{rate(perS)}</td>
              <td class="number">{Math.round(share * 100)} %</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}
