// Several keys of a collection, and what a namespace has.

import { CausewayError } from '../../errors/errors.ts';
import { authorize } from '../env.ts';
import { checkKey, checkName, tooLarge } from '../limits.ts';
import { viewBytes } from '../views.ts';
import type { Exchange, Target } from './exchange.ts';
import { cacheHeaders, sessionHeader, stalenessHeader } from './headers.ts';
import { typeOf } from './keys.ts';
import type { Parameters } from './parameters.ts';
import { entryJson } from './values.ts';

/** ?key=a&key=b: these keys, in their order, absent ones included. Those of one shard are read from one state. */
export function readKeys(exchange: Exchange, target: Target, parameters: Parameters): void {
  const { env } = exchange;
  const type = typeOf(exchange, target, 'read');
  const keys = parameters.all('key');
  const { keysPerReadMax, responseBytesMax } = env.limits;
  if (keys.length > keysPerReadMax) throw tooLarge('a read', 'keys', keysPerReadMax, keys.length, 'send several');
  for (const key of keys) {
    const error = checkKey(key);
    if (error !== undefined) throw error;
  }
  const session = parameters.session();
  const consistency = parameters.consistency(session);
  const seconds = parameters.cacheSeconds();
  const refusal = env.load.refusal(0);
  if (refusal !== undefined) throw refusal;
  const { namespace, collection } = target;
  env.region.read({ namespace, collection, keys, consistency, deadlineMs: parameters.deadlineMs() }, (result) =>
    exchange.attempt(() => {
      if (result instanceof CausewayError) throw result;
      const bytes = result.views.reduce((sum, view) => sum + viewBytes(view), 0);
      if (bytes > responseBytesMax) {
        throw tooLarge('the answer to a read', 'bytes', responseBytesMax, bytes, 'ask for fewer keys at once');
      }
      const entries = keys.map((key, i) => entryJson(key, type, result.views[i]));
      exchange.json(200, `{"entries":[${entries.join(',')}]}`, {
        ...stalenessHeader(env, namespace),
        ...sessionHeader(env, session, result.session),
        ...(result.stale ? { 'Causeway-Stale': 'true' } : {}),
        ...cacheHeaders({
          seconds,
          personal: session !== undefined || consistency.kind !== 'local',
          stale: result.stale,
          nowMs: env.system.clock.nowMs(),
        }),
      });
    }),
  );
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
