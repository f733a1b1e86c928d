// What the page asks its node for: /ui/api/… The same permissions as the Admin service; everything is a GET and changes nothing.
//
// `region` asks for another region's answer: this node fetches it (neighbours.ts). A question that arrives without it is about this node.

import { CausewayError } from '../../../errors/errors.ts';
import { queryOf, tokenOfPlace } from '../../conflict-calls.ts';
import { authorize } from '../../env.ts';
import { checkKey, checkName } from '../../limits.ts';
import type { Exchange } from '../exchange.ts';
import type { Parameters } from '../parameters.ts';
import { readKeyMessage } from './key.ts';
import type { ClusterMessage, ConflictsMessage, EventsMessage, RegionMessage, TracesMessage } from './messages.ts';
import { nodeMessage } from './node-message.ts';
import { conflictMessage } from './previews.ts';
import type { PageSources } from './sources.ts';

/** How long an answer about all regions waits for those that are being asked. */
const WAIT_MS = 400;
const PROXIED_MS_MAX = 10_000;
const CONFLICTS_PAGE_DEFAULT = 30;
const CONFLICTS_PAGE_MAX = 100;
const TRACES_DEFAULT = 50;
const TRACES_MAX = 200;
const WRITES_DEFAULT = 50;
const WRITES_MAX = 500;

function sourcesOf({ env }: Exchange): PageSources {
  if (env.page !== undefined) return env.page;
  throw new CausewayError('UNAVAILABLE', 'this listener has nothing for a page', { outcome: 'not-applied' });
}

export function serveNode(exchange: Exchange): void {
  const { env } = exchange;
  authorize(env, exchange, 'operate', undefined);
  exchange.json(200, JSON.stringify(ownMessage(exchange)));
}

function ownMessage(exchange: Exchange): ReturnType<typeof nodeMessage> {
  const { region, load } = exchange.env;
  return nodeMessage(sourcesOf(exchange).figures(), region.ready() && !load.draining);
}

export function serveCluster(exchange: Exchange): void {
  const { env } = exchange;
  authorize(env, exchange, 'operate', undefined);
  const { places, neighbours } = sourcesOf(exchange);
  const others = places.filter(({ name, http }) => name !== env.region.id && http.length > 0);
  const asked = new Map(others.map((place) => [place.name, neighbours.figures(place)]));
  const answer = (): void => {
    const node = ownMessage(exchange);
    const nowMs = env.system.clock.monotonicMs();
    const regions = places.map(({ name, lat, lon, clients }): RegionMessage => {
      const place = { name, lat, lon, clients };
      if (name === env.region.id) return { ...place, node, ageMs: 0, problem: '' };
      const known = asked.get(name)?.known;
      if (known === undefined) {
        return { ...place, node: null, ageMs: null, problem: `regions[].http says no address of ${name}` };
      }
      const { node: told, atMs, problem } = known;
      return { ...place, node: told, ageMs: told === null ? null : Math.round(nowMs - atMs), problem };
    });
    const body: ClusterMessage = {
      clusterId: env.clusterId,
      region: env.region.id,
      node: node.node,
      nowMs: node.nowMs,
      regions,
    };
    exchange.json(200, JSON.stringify(body));
  };
  let answered = false;
  const once = (): void => {
    if (answered) return;
    answered = true;
    wait.cancel();
    exchange.attempt(answer);
  };
  const wait = env.system.timers.after(WAIT_MS, once);
  void Promise.all(Array.from(asked.values(), ({ newer }) => newer)).then(once);
}

export function serveHistory(exchange: Exchange, parameters: Parameters): void {
  ofRegion(exchange, parameters, () => {
    const sinceMs = parameters.whole('sinceMs', 0, Number.MAX_SAFE_INTEGER) ?? 0;
    exchange.json(200, JSON.stringify(sourcesOf(exchange).history(sinceMs)));
  });
}

export function serveEvents(exchange: Exchange, parameters: Parameters): void {
  ofRegion(exchange, parameters, () => {
    const { region, startedAtMs, nowMs } = exchange.env.region.status();
    const body: EventsMessage = { region, nowMs, startedAtMs, events: sourcesOf(exchange).events() };
    exchange.json(200, JSON.stringify(body));
  });
}

export function serveTraces(exchange: Exchange, parameters: Parameters): void {
  ofRegion(exchange, parameters, () => {
    const { recentTraces } = sourcesOf(exchange);
    const limit = parameters.whole('limit', 1, TRACES_MAX) ?? TRACES_DEFAULT;
    const body: TracesMessage = {
      region: exchange.env.region.id,
      on: recentTraces !== undefined,
      traces: recentTraces?.(limit) ?? [],
    };
    exchange.json(200, JSON.stringify(body));
  });
}

export function serveConflicts(exchange: Exchange, parameters: Parameters): void {
  ofRegion(exchange, parameters, () => {
    const { env } = exchange;
    const query = queryOf({
      namespace: parameters.one('namespace') ?? '',
      collection: parameters.one('collection') ?? '',
      keyPrefix: parameters.one('prefix') ?? '',
      sinceMs: 0,
      untilMs: 0,
      oldestFirst: false,
      pageSize: parameters.whole('pageSize', 1, CONFLICTS_PAGE_MAX) ?? CONFLICTS_PAGE_DEFAULT,
      pageToken: parameters.one('pageToken') ?? '',
    });
    env.region.conflicts(query, (page) =>
      exchange.attempt(() => {
        if (page instanceof CausewayError) throw page;
        const { total, dropped, droppedUntilMs, next } = page;
        const body: ConflictsMessage = {
          region: env.region.id,
          conflicts: page.conflicts.map(conflictMessage),
          nextPageToken: next === undefined ? null : tokenOfPlace(next),
          total,
          dropped,
          droppedUntilMs,
        };
        exchange.json(200, JSON.stringify(body));
      }),
    );
  });
}

export function serveKey(exchange: Exchange, parameters: Parameters): void {
  ofRegion(exchange, parameters, () => {
    const { env } = exchange;
    const name = {
      namespace: parameters.one('namespace') ?? '',
      collection: parameters.one('collection') ?? '',
      key: parameters.one('key') ?? '',
    };
    const wrong =
      checkName('namespace', name.namespace) ??
      checkName('collection', name.collection) ??
      checkKey(name.key) ??
      env.catalog.checkNamespace(name.namespace) ??
      env.catalog.checkCollection(name.namespace, name.collection) ??
      env.load.refusal(0);
    if (wrong !== undefined) throw wrong;
    const limit = parameters.whole('limit', 1, WRITES_MAX) ?? WRITES_DEFAULT;
    const deadlineMs = env.system.clock.monotonicMs() + PROXIED_MS_MAX / 2;
    readKeyMessage(
      env.region,
      name,
      limit,
      () => env.system.clock.monotonicMs() < deadlineMs,
      (message) =>
        exchange.attempt(() => {
          if (message instanceof CausewayError) throw message;
          exchange.json(200, JSON.stringify(message));
        }),
    );
  });
}

/** Answers about this node, or hands the question on to a node of the region that it names. */
function ofRegion(exchange: Exchange, parameters: Parameters, own: () => void): void {
  const { env } = exchange;
  authorize(env, exchange, 'operate', undefined);
  const region = parameters.one('region');
  if (region === undefined || region === env.region.id) {
    own();
    return;
  }
  const { places, neighbours } = sourcesOf(exchange);
  const place = places.find(({ name }) => name === region);
  if (place === undefined) {
    throw new CausewayError('INVALID_ARGUMENT', `there is no region '${region.slice(0, 80)}'`, {
      hint: `there are: ${places.map(({ name }) => name).join(', ')}`,
    });
  }
  const query = [...parameters.query]
    .filter(([name]) => name !== 'region')
    .flatMap(([name, values]) => values.map((value) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`));
  neighbours.ask(place, `${exchange.route}?${query.join('&')}`, PROXIED_MS_MAX).then(
    ({ status, body }) => exchange.answer(status, body, { 'Content-Type': 'application/json' }),
    (error: unknown) => exchange.fail(error),
  );
}
