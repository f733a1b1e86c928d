// Every route: its path, its methods, and what its query may say. test/api/http/openapi.test.ts compares this table with docs/openapi.yaml, both ways.

import { CausewayError } from '../../errors/errors.ts';
import { describeNamespace, readCollection } from './collections.ts';
import { HttpError, methodNotAllowed } from './errors.ts';
import type { Exchange, Target } from './exchange.ts';
import { changeKey, deleteKey, putKey, readKey } from './keys.ts';
import { checkKnown, Parameters, parseQuery, percentDecoded } from './parameters.ts';
import { serveMetrics } from './metrics.ts';
import { livez, readyz, serveOpenApi } from './probes.ts';
import { redirectToPage, serveAsset, servePage } from './page/assets.ts';
import {
  serveCluster,
  serveConflicts,
  serveEvents,
  serveHistory,
  serveKey,
  serveNode,
  serveTraces,
} from './page/page.ts';
import { wantsWatch, watch } from './watch.ts';

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

type Handle = (exchange: Exchange, target: Target, parameters: Parameters) => void;

export interface Operation {
  readonly query: readonly string[];
  readonly handle: Handle;
  /** It can be followed instead of read: with these. */
  readonly watch?: readonly string[];
}

export interface Route {
  readonly path: string;
  /** HEAD is taken wherever GET is. */
  readonly methods: Readonly<Partial<Record<Method, Operation>>>;
}

const READ = ['consistency', 'maxStaleMs', 'deadlineMs', 'allowStale', 'maxAge'];
const WRITE = ['durability', 'deadlineMs', 'returnValue'];
const WATCH = ['watch', 'from', 'cursor', 'form'];

/** Of this node, or of a region that the query names. */
function page(query: readonly string[], handle: (exchange: Exchange, parameters: Parameters) => void): Operation {
  return { query: ['region', ...query], handle: (exchange, _, parameters) => handle(exchange, parameters) };
}

export const ROUTES: readonly Route[] = [
  { path: '/livez', methods: { GET: { query: [], handle: (exchange) => livez(exchange) } } },
  {
    path: '/readyz',
    methods: { GET: { query: ['verbose'], handle: (exchange, _, parameters) => readyz(exchange, parameters) } },
  },
  { path: '/metrics', methods: { GET: { query: [], handle: (exchange) => serveMetrics(exchange) } } },
  { path: '/openapi.json', methods: { GET: { query: [], handle: (exchange) => serveOpenApi(exchange) } } },
  { path: '/', methods: { GET: { query: [], handle: (exchange) => redirectToPage(exchange) } } },
  { path: '/ui', methods: { GET: { query: [], handle: (exchange) => redirectToPage(exchange) } } },
  { path: '/ui/', methods: { GET: { query: [], handle: (exchange) => servePage(exchange) } } },
  {
    path: '/ui/assets/{file}',
    methods: { GET: { query: [], handle: (exchange, { file = '' }) => serveAsset(exchange, file) } },
  },
  { path: '/ui/api/node', methods: { GET: { query: [], handle: (exchange) => serveNode(exchange) } } },
  { path: '/ui/api/cluster', methods: { GET: { query: [], handle: (exchange) => serveCluster(exchange) } } },
  { path: '/ui/api/history', methods: { GET: page(['sinceMs'], serveHistory) } },
  { path: '/ui/api/events', methods: { GET: page([], serveEvents) } },
  { path: '/ui/api/traces', methods: { GET: page(['limit'], serveTraces) } },
  {
    path: '/ui/api/conflicts',
    methods: { GET: page(['namespace', 'collection', 'prefix', 'pageSize', 'pageToken'], serveConflicts) },
  },
  { path: '/ui/api/key', methods: { GET: page(['namespace', 'collection', 'key', 'limit'], serveKey) } },
  {
    path: '/v1/{namespace}',
    methods: { GET: { query: ['watch'], handle: describeNamespace, watch: [...WATCH, 'collection', 'prefix'] } },
  },
  {
    path: '/v1/{namespace}/{collection}',
    methods: {
      GET: {
        query: [...READ, 'watch', 'key', 'prefix', 'pageSize', 'pageToken'],
        handle: readCollection,
        watch: [...WATCH, 'prefix'],
      },
    },
  },
  {
    path: '/v1/{namespace}/{collection}/{key}',
    methods: {
      GET: { query: [...READ, 'watch'], handle: readKey, watch: WATCH },
      PUT: { query: [...WRITE, 'ttlMs'], handle: putKey },
      POST: { query: [...WRITE, 'ttlMs'], handle: changeKey },
      DELETE: { query: WRITE, handle: deleteKey },
    },
  },
];

const BY_PATH = new Map(ROUTES.map((route) => [route.path, route]));

/** Finds the route of a request and hands it over. Throws CausewayError, HttpError. */
export function dispatch(exchange: Exchange): void {
  const { method = '', url = '' } = exchange.request;
  if (/[^\x21-\x7e]/.test(url)) {
    throw new CausewayError('INVALID_ARGUMENT', 'a URL has printable ASCII only', {
      hint: 'percent-encode the rest as UTF-8',
    });
  }
  // A proxy may send the whole URL. Not by URL: it would take `..` out of keys.
  const local = url.replace(/^https?:\/\/[^/?#]*/i, '');
  const mark = local.indexOf('?');
  const path = mark === -1 ? local : local.slice(0, mark);
  const { route, target } = routeOf(path);
  exchange.route = route.path;
  const allowed = Object.keys(route.methods).flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name]));
  if (method === 'OPTIONS') {
    exchange.answer(204, undefined, { Allow: allowed.join(', ') });
    return;
  }
  const operation = route.methods[(method === 'HEAD' ? 'GET' : method) as Method];
  if (operation === undefined)
    throw methodNotAllowed(`${route.path} does not take ${method}`, allowed, 'INVALID_ARGUMENT');
  const query = parseQuery(mark === -1 ? '' : local.slice(mark + 1));
  const parameters = new Parameters(exchange, query);
  const watches = operation.watch !== undefined && wantsWatch(exchange, parameters);
  checkKnown(query, watches ? operation.watch : operation.query);
  if (watches) watch(exchange, target, parameters);
  else operation.handle(exchange, target, parameters);
}

function routeOf(path: string): { route: Route; target: Target } {
  const none = { namespace: '', collection: '', key: '' };
  const fixed = BY_PATH.get(path);
  if (fixed !== undefined && !path.includes('{')) return { route: fixed, target: none };
  const asset = /^\/ui\/assets\/([\w.-]+)$/.exec(path);
  if (asset !== null) return { route: BY_PATH.get('/ui/assets/{file}')!, target: { ...none, file: asset[1]! } };
  // A key goes to the end of the path: its slashes may stand as they are.
  const [, namespace, collection, key] = /^\/v1\/([^/]*)(?:\/([^/]*)(?:\/(.*))?)?$/.exec(path) ?? [];
  const pattern =
    namespace === undefined
      ? undefined
      : collection === undefined
        ? '/v1/{namespace}'
        : key === undefined
          ? '/v1/{namespace}/{collection}'
          : '/v1/{namespace}/{collection}/{key}';
  const route = pattern === undefined ? undefined : BY_PATH.get(pattern);
  if (route === undefined) {
    throw new HttpError(
      404,
      new CausewayError('INVALID_ARGUMENT', `there is nothing at ${path.slice(0, 100)}`, {
        hint: `keys are at /v1/{namespace}/{collection}/{key}; /openapi.json describes all there is, and /ui/ is the page`,
      }),
    );
  }
  return {
    route,
    target: {
      namespace: percentDecoded(namespace ?? ''),
      collection: percentDecoded(collection ?? ''),
      key: percentDecoded(key ?? ''),
    },
  };
}
