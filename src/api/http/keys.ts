// One key: GET and HEAD read it, PUT replaces it, POST changes what merges, DELETE makes it absent.

import { CausewayError } from '../../errors/errors.ts';
import { LIMITS, type Intent, type View } from '../../merge/types.ts';
import type { MergeTypeName } from '../../record/op.ts';
import type { ReadResult, WriteResult } from '../../region/region.ts';
import { refusalOfWriteTo } from '../../region/system-namespace.ts';
import { authorize } from '../env.ts';
import { checkKey, checkName } from '../limits.ts';
import { changeOf, CHANGE_FORMS, takesChanges } from './changes.ts';
import { entityTag, observedDots, readCondition, versionText, writeCondition } from './conditions.ts';
import { methodNotAllowed, unsupportedMedia } from './errors.ts';
import { jsonText, type Exchange, type Headers, type Target } from './exchange.ts';
import { asOfHeader, cacheHeaders, sessionHeader, stalenessHeader } from './headers.ts';
import type { Parameters } from './parameters.ts';
import { entryFields, entryJson, isJson } from './values.ts';

/** The collection that a path names. Throws CausewayError INVALID_ARGUMENT, UNKNOWN_COLLECTION, or what Access says. */
export function typeOf(exchange: Exchange, { namespace, collection }: Target, action: 'read' | 'write'): MergeTypeName {
  const { env } = exchange;
  const nameError = checkName('namespace', namespace) ?? checkName('collection', collection);
  if (nameError !== undefined) throw nameError;
  authorize(env, exchange, action, namespace);
  const unknown = env.catalog.checkNamespace(namespace) ?? env.catalog.checkCollection(namespace, collection);
  const refusal = unknown ?? (action === 'write' ? refusalOfWriteTo(namespace) : undefined);
  if (refusal !== undefined) throw refusal;
  return env.region.collection(namespace, collection)!.type;
}

function checkedKey({ key }: Target): string {
  const error = checkKey(key);
  if (error !== undefined) throw error;
  return key;
}

export function readKey(exchange: Exchange, target: Target, parameters: Parameters): void {
  const { env } = exchange;
  const type = typeOf(exchange, target, 'read');
  const key = checkedKey(target);
  const session = parameters.session();
  const consistency = parameters.consistency(session);
  const seconds = parameters.cacheSeconds();
  const refusal = env.load.refusal(0);
  if (refusal !== undefined) throw refusal;
  const { namespace, collection } = target;
  env.region.read({ namespace, collection, keys: [key], consistency, deadlineMs: parameters.deadlineMs() }, (result) =>
    exchange.attempt(() => {
      if (result instanceof CausewayError) throw result;
      const headers = {
        ...stalenessHeader(env, namespace),
        ...sessionHeader(env, session, result.session),
        ...asOfHeader(result.asOfStamp),
        ...(result.stale ? { 'Causeway-Stale': 'true' } : {}),
        ...cacheHeaders({
          seconds,
          personal: session !== undefined || consistency.kind !== 'local',
          stale: result.stale,
          view: result.views[0],
          nowMs: env.system.clock.nowMs(),
        }),
      };
      answerView(exchange, target, type, result, headers);
    }),
  );
}

function answerView(
  exchange: Exchange,
  target: Target,
  type: MergeTypeName,
  result: ReadResult,
  headers: Headers,
): void {
  const [view] = result.views;
  const ifMatch = exchange.header('If-Match');
  const ifNoneMatch = exchange.header('If-None-Match');
  if (view === undefined) {
    readCondition(ifMatch, ifNoneMatch, undefined);
    const { namespace, collection, key } = target;
    exchange.fail(
      new CausewayError('KEY_NOT_FOUND', `${namespace}/${collection} has no '${key}' in ${exchange.env.region.id}`),
      headers,
    );
    return;
  }
  const { body, contentType, own } = representation(view, type, exchange.header('Accept'));
  const tag = entityTag(view, body);
  const known = { ...headers, ...own, ETag: tag };
  if (readCondition(ifMatch, ifNoneMatch, tag) === 'not-modified') exchange.answer(304, undefined, known);
  else exchange.answer(200, body, { 'Content-Type': contentType, ...known });
}

function representation(
  view: View,
  type: MergeTypeName,
  accept: string | undefined,
): { body: Uint8Array; contentType: string; own: Headers } {
  if (view.type !== 'register-lww') {
    return { body: Buffer.from(`{${entryFields(type, view)}}\n`), contentType: 'application/json', own: {} };
  }
  // The bytes are the same; only what they are called differs. Never as anything that a browser would run.
  const raw = accept !== undefined && /application\/octet-stream/i.test(accept) && !/json|\*/i.test(accept);
  const own = {
    'Causeway-Version': versionText(view.version),
    ...(view.expiresAtMs === undefined ? {} : { 'Causeway-Expires-At-Ms': String(view.expiresAtMs) }),
  };
  return {
    body: view.value,
    contentType: !raw && isJson(view.value) ? 'application/json' : 'application/octet-stream',
    own,
  };
}

export function putKey(exchange: Exchange, target: Target, parameters: Parameters): void {
  const type = typeOf(exchange, target, 'write');
  if (takesChanges(type)) {
    throw methodNotAllowed(
      `${target.collection} is a ${type}, which is changed by POST with ${CHANGE_FORMS[type]} rather than replaced`,
      ['GET', 'HEAD', 'POST', 'DELETE'],
      'WRONG_OPERATION',
    );
  }
  const expiresAtMs = parameters.expiresAtMs();
  const { contentType } = exchange;
  if (contentType.startsWith('multipart/')) {
    throw unsupportedMedia(
      'a value is the body itself; this one is multipart',
      'with curl take --data-binary or -T instead of -F',
    );
  }
  const write = preparedWrite(exchange, target, parameters, type);
  const hint = 'split it over several keys, or keep it elsewhere and store a reference';
  exchange.readBody(LIMITS.valueBytesMax, 'a value', hint, (value) => {
    if (isJsonType(contentType)) jsonText(value);
    write({
      kind: 'put',
      value,
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
      ...observedOf(exchange, type),
    });
  });
}

export function changeKey(exchange: Exchange, target: Target, parameters: Parameters): void {
  const type = typeOf(exchange, target, 'write');
  if (!takesChanges(type)) {
    throw methodNotAllowed(
      `${target.collection} is a ${type}, whose value is replaced by PUT`,
      ['GET', 'HEAD', 'PUT', 'DELETE'],
      'WRONG_OPERATION',
    );
  }
  // Also what keeps a web page from changing things: without it the request is one that browsers send anywhere unasked.
  if (!isJsonType(exchange.contentType)) {
    throw unsupportedMedia(
      `a change is application/json; this one is '${exchange.contentType}'`,
      "with curl take --json '…', or -H 'Content-Type: application/json'",
    );
  }
  const expiresAtMs = parameters.expiresAtMs();
  const write = preparedWrite(exchange, target, parameters, type);
  exchange.readBody(exchange.env.http.documentBytesMax, 'a change', 'send several', (body) =>
    write(changeOf(type, jsonText(body), expiresAtMs)),
  );
}

export function deleteKey(exchange: Exchange, target: Target, parameters: Parameters): void {
  const type = typeOf(exchange, target, 'write');
  preparedWrite(exchange, target, parameters, type)({ kind: 'delete', ...observedOf(exchange, type) });
}

function isJsonType(contentType: string): boolean {
  return contentType === 'application/json' || contentType.endsWith('+json');
}

function observedOf(exchange: Exchange, type: MergeTypeName): Pick<Intent & { kind: 'put' }, 'observed'> {
  const text = exchange.header('Causeway-Observed');
  if (text === undefined) return {};
  if (type !== 'register-mv') {
    throw new CausewayError('INVALID_ARGUMENT', `Causeway-Observed goes with register-mv only; this is a ${type}`);
  }
  return { observed: observedDots(text) };
}

/** Everything but the intent, checked before a body is read. */
function preparedWrite(
  exchange: Exchange,
  target: Target,
  parameters: Parameters,
  type: MergeTypeName,
): (intent: Intent) => void {
  const { env } = exchange;
  const { namespace, collection } = target;
  const key = checkedKey(target);
  const condition = writeCondition(type, exchange.header('If-Match'), exchange.header('If-None-Match'));
  const retry = parameters.idempotency();
  const trace = parameters.trace();
  const session = parameters.session();
  const durability = parameters.durability();
  const deadlineMs = parameters.deadlineMs();
  // A counter's always, as in the client library: it is small, and who counts wants to know.
  const wantsValue = type === 'counter-pn' || parameters.flag('returnValue');
  const valueBytesMax = wantsValue ? env.limits.writeValueBytesMax : undefined;
  const refusal = env.load.refusal(0);
  if (refusal !== undefined) throw refusal;
  return (intent) => {
    const op = { namespace, collection, key, intent, condition, ...retry, trace };
    const spans = exchange.traces([op]);
    env.region.write({ ops: [op], durability, deadlineMs, session, valueBytesMax }, (results) =>
      exchange.attempt(() => {
        spans?.answered(results);
        const result = results[0] as WriteResult;
        if (!result.ok) {
          env.signals.refusedOp(result.error.code);
          throw result.error;
        }
        const { shard, version, duplicate, after } = result;
        const text = versionText(version);
        const entry = after === undefined ? '' : `,"entry":${entryJson(key, type, after.view)}`;
        const headers: Record<string, string> = {
          'Causeway-Version': text,
          ...sessionHeader(env, session, new Map([[shard, new Map([[version.origin, version.stamp]])]])),
        };
        // Only of this type is it known that the value is now exactly what was sent. Of a retry, it may have changed since.
        if (intent.kind === 'put' && type === 'register-lww' && !duplicate) headers['ETag'] = `"${text}"`;
        // A retry is answered as the first try was.
        exchange.json(
          condition?.kind === 'absent' ? 201 : 200,
          `{"version":"${text}","duplicate":${duplicate}${entry}}`,
          headers,
        );
      }),
    );
  };
}
