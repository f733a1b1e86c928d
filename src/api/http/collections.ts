// Several keys of a collection, and what a namespace has.

import { CausewayError } from '../../errors/errors.ts';
import { viewBytes } from '../../merge/view-bytes.ts';
import type { Consistency, ReadResult } from '../../region/region.ts';
import { authorize } from '../env.ts';
import { checkKey, checkName, tooLarge } from '../limits.ts';
import { keyOfPageToken, pageToken } from '../page-tokens.ts';
import type { Exchange, Headers, Target } from './exchange.ts';
import { asOfHeader, cacheHeaders, sessionHeader, stalenessHeader } from './headers.ts';
import { typeOf } from './keys.ts';
import type { Parameters } from './parameters.ts';
import { entryJson } from './values.ts';

/** Entries of a page of a scan that asks for none. */
const PAGE_SIZE_DEFAULT = 100;

/** `?key=a&key=b` reads these; without, a page of all. */
export function readCollection(exchange: Exchange, target: Target, parameters: Parameters): void {
  if (parameters.has('key')) readKeys(exchange, target, parameters);
  else scan(exchange, target, parameters);
}

/** These keys, in their order, absent ones included. Those of one shard are read from one state. */
function readKeys(exchange: Exchange, target: Target, parameters: Parameters): void {
  const { env } = exchange;
  const type = typeOf(exchange, target, 'read');
  const keys = parameters.all('key');
  const { keysPerReadMax, responseBytesMax } = env.limits;
  const other = ['prefix', 'pageSize', 'pageToken'].find((name) => parameters.has(name));
  if (other !== undefined) {
    throw new CausewayError(
      'INVALID_ARGUMENT',
      `${other} is for scans, and key names the keys to read; expected one of the two`,
    );
  }
  if (keys.length > keysPerReadMax) throw tooLarge('a read', 'keys', keysPerReadMax, keys.length, 'send several');
  for (const key of keys) {
    const error = checkKey(key);
    if (error !== undefined) throw error;
  }
  const { namespace, collection } = target;
  const { asked, headers } = prepared(exchange, namespace, parameters);
  env.region.read({ namespace, collection, keys, ...asked }, (result) =>
    exchange.attempt(() => {
      if (result instanceof CausewayError) throw result;
      const bytes = result.views.reduce((sum, view) => sum + viewBytes(view), 0);
      if (bytes > responseBytesMax) {
        throw tooLarge('the answer to a read', 'bytes', responseBytesMax, bytes, 'ask for fewer keys at once');
      }
      const entries = keys.map((key, i) => entryJson(key, type, result.views[i]));
      exchange.json(200, `{"entries":[${entries.join(',')}]}`, headers(result));
    }),
  );
}

/** In the order of the keys' UTF-8, page by page. */
function scan(exchange: Exchange, target: Target, parameters: Parameters): void {
  const { env } = exchange;
  const type = typeOf(exchange, target, 'read');
  const { namespace, collection } = target;
  const prefix = parameters.one('prefix') ?? '';
  const prefixError = prefix === '' ? undefined : checkKey(prefix);
  if (prefixError !== undefined) throw prefixError;
  const scope = { namespace, collection, prefix };
  const after = keyOfPageToken(scope, parameters.one('pageToken') ?? '');
  const { scanPageSizeMax, scanPageBytesMax } = env.limits;
  const limit = parameters.whole('pageSize', 1, scanPageSizeMax) ?? PAGE_SIZE_DEFAULT;
  const { asked, headers } = prepared(exchange, namespace, parameters);
  env.region.scan({ ...scope, after, limit, bytesMax: scanPageBytesMax, ...asked }, (result) =>
    exchange.attempt(() => {
      if (result instanceof CausewayError) throw result;
      const entries = result.entries.map(({ key, view }) => entryJson(key, type, view));
      const token = pageToken(scope, result.next);
      const next = token === '' ? '' : `,"nextPageToken":"${token}"`;
      exchange.json(200, `{"entries":[${entries.join(',')}]${next}}`, headers(result));
    }),
  );
}

/** What all reads of several keys ask for and answer. Throws CausewayError. */
function prepared(
  exchange: Exchange,
  namespace: string,
  parameters: Parameters,
): {
  asked: { consistency: Consistency; deadlineMs: number };
  headers: (result: Pick<ReadResult, 'session' | 'stale' | 'asOfStamp'>) => Headers;
} {
  const { env } = exchange;
  const before = parameters.session();
  const consistency = parameters.consistency(before);
  const seconds = parameters.cacheSeconds();
  const refusal = env.load.refusal(0);
  if (refusal !== undefined) throw refusal;
  return {
    asked: { consistency, deadlineMs: parameters.deadlineMs() },
    headers: ({ session, stale, asOfStamp }) => ({
      ...stalenessHeader(env, namespace),
      ...sessionHeader(env, before, session),
      ...asOfHeader(asOfStamp),
      ...(stale ? { 'Causeway-Stale': 'true' } : {}),
      ...cacheHeaders({
        seconds,
        personal: before !== undefined || consistency.kind !== 'local',
        stale,
        nowMs: env.system.clock.nowMs(),
      }),
    }),
  };
}

export function describeNamespace(exchange: Exchange, { namespace }: Target): void {
  const { env } = exchange;
  const nameError = checkName('namespace', namespace);
  if (nameError !== undefined) throw nameError;
  authorize(env, exchange, 'topology', namespace);
  const unknown = env.catalog.checkNamespace(namespace);
  if (unknown !== undefined) throw unknown;
  const collections = (env.catalog.names().get(namespace) ?? []).flatMap((name) => {
    const collection = env.region.collection(namespace, name);
    return collection === undefined ? [] : [{ name, type: collection.type }];
  });
  exchange.json(
    200,
    JSON.stringify({ namespace, region: env.region.id, collections }),
    stalenessHeader(env, namespace),
  );
}
