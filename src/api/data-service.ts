// causeway.v1.Data: syntax, limits and permissions here; what exists and what may be done is the region's to say.

import type { sendUnaryData, ServerUnaryCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { CausewayError, toCausewayError } from '../errors/errors.ts';
import { rpcAttributes } from '../tracing/ingest.ts';
import { MalformedMessage, messageType, objectCodec, rawCodec, wireMethod, type WireMethod } from '../proto/load.ts';
import type { GetTopologyRequest__Output } from '../proto/generated/causeway/v1/GetTopologyRequest.ts';
import type { ReadRequest__Output } from '../proto/generated/causeway/v1/ReadRequest.ts';
import type { ScanRequest__Output } from '../proto/generated/causeway/v1/ScanRequest.ts';
import type { SubscribeRequest__Output } from '../proto/generated/causeway/v1/SubscribeRequest.ts';
import { WireWriter } from '../proto/wire.ts';
import { KEY_BYTES_MAX, SYSTEM_NAMESPACE } from '../record/ids.ts';
import { LIMITS } from '../merge/types.ts';
import { viewBytes } from '../merge/view-bytes.ts';
import type { Consistency, FeedStart, ReadResult, Region, ScanResult } from '../region/region.ts';
import { authorize, regionFor, type ServiceEnv } from './env.ts';
import { FeedStream, type FeedCall } from './feed-stream.ts';
import { checkKey, checkName, effectiveDeadlineMs, MAX_STALE_MS_MAX, tooLarge, type ApiLimits } from './limits.ts';
import { keyOfPageToken, pageToken } from './page-tokens.ts';
import { toStatus, type AnsweredError } from './status.ts';
import { cursorFromMessage, sessionFromMessage, sessionToMessage } from './tokens.ts';
import { collectionMessage, viewMessage } from './views.ts';
import { decodeWrite } from './write-decode.ts';
import { encodeWriteResponse } from './write-encode.ts';
import { WriteStream, type WriteStreamCall } from './write-stream.ts';

const SERVICE = 'causeway.v1.Data';
const COLLECTIONS_MAX = 256;
/** Of a scan that asks for none. */
const PAGE_SIZE_DEFAULT = 100;

type Unary<Req> = ServerUnaryCall<Req | MalformedMessage, Buffer>;
type Callback = sendUnaryData<Buffer>;

/** The methods of the service, with bytes where a hot path walks or writes them itself. */
function definition(limits: ApiLimits): Record<string, WireMethod<never, Buffer>> {
  const request = <T>(name: string) => ({ request: objectCodec<object, T>(`causeway.v1.${name}`), response: rawCodec });
  const methods = {
    Write: wireMethod(SERVICE, 'Write', {
      request: rawCodec,
      response: rawCodec,
      requestBytesMax: limits.requestBytesMax,
    }),
    WriteAtomic: wireMethod(SERVICE, 'WriteAtomic', {
      request: rawCodec,
      response: rawCodec,
      requestBytesMax: limits.requestBytesMax,
    }),
    WriteStream: wireMethod(SERVICE, 'WriteStream', {
      request: rawCodec,
      response: rawCodec,
      // What a client may send as one message the stream knows: what another node passes on is several of them together.
      requestBytesMax: limits.requestBytesMax,
    }),
    Read: wireMethod(SERVICE, 'Read', request<ReadRequest__Output>('ReadRequest') as never),
    Scan: wireMethod(SERVICE, 'Scan', request<ScanRequest__Output>('ScanRequest') as never),
    Subscribe: wireMethod(SERVICE, 'Subscribe', request<SubscribeRequest__Output>('SubscribeRequest') as never),
    GetTopology: wireMethod(SERVICE, 'GetTopology', request<GetTopologyRequest__Output>('GetTopologyRequest') as never),
  };
  return methods as unknown as Record<string, WireMethod<never, Buffer>>;
}

export function dataService(env: ServiceEnv): {
  definition: Record<string, WireMethod<never, Buffer>>;
  implementation: UntypedServiceImplementation;
} {
  const counted = countedUnary(env);
  const methods = definition(env.limits);
  env.signals.expect(Object.keys(methods));
  return {
    definition: methods,
    implementation: {
      Write: (call: Unary<Buffer>, callback: Callback) =>
        counted('Write', call, callback, (bytes, answer) => write(env, call, bytes, false, answer)),
      WriteAtomic: (call: Unary<Buffer>, callback: Callback) =>
        counted('WriteAtomic', call, callback, (bytes, answer) => write(env, call, bytes, true, answer)),
      WriteStream: (call: WriteStreamCall) => {
        // The stream keeps itself alive through its listeners.
        void new WriteStream(call, env);
      },
      Read: (call: Unary<ReadRequest__Output>, callback: Callback) =>
        counted('Read', call, callback, (request, answer) => read(env, call, request, answer)),
      Scan: (call: Unary<ScanRequest__Output>, callback: Callback) =>
        counted('Scan', call, callback, (request, answer) => scan(env, call, request, answer)),
      Subscribe: (call: FeedCall & { request: SubscribeRequest__Output | MalformedMessage }) => subscribe(env, call),
      GetTopology: (call: Unary<GetTopologyRequest__Output>, callback: Callback) =>
        counted('GetTopology', call, callback, (request, answer) => topology(env, call, request, answer)),
    } as unknown as UntypedServiceImplementation,
  };
}

type Handle<Req> = (request: Req, answer: Callback) => void;

/** Handlers of unary RPCs, counted by name. Whatever a handler throws before it has answered becomes the answer. */
export function countedUnary(
  env: ServiceEnv,
): <Req>(rpc: string, call: Unary<Req>, callback: Callback, handle: Handle<Req>) => void {
  const { clock } = env.system;
  return (rpc, call, callback, handle) => {
    const signals = env.signals.rpc(rpc);
    const beganMs = clock.monotonicMs();
    signals.began();
    const answer: Callback = (error, ...rest) => {
      signals.ended(error === null ? undefined : (error as AnsweredError).reason, clock.monotonicMs() - beganMs);
      callback(error, ...rest);
    };
    try {
      handle(wellFormed(call.request), answer);
    } catch (error) {
      answer(toStatus(toCausewayError(error)));
    }
  };
}

export function wellFormed<Req>(request: Req | MalformedMessage): Req {
  if (!(request instanceof MalformedMessage)) return request;
  const code = request.reason.includes('limit is') ? 'TOO_LARGE' : 'INVALID_ARGUMENT';
  throw new CausewayError(code, `this is no ${request.type}: ${request.reason}`);
}

/** Milliseconds to the call's own deadline; Infinity without one. */
function callDeadlineMs(env: ServiceEnv, call: { getDeadline(): Date | number }): number {
  const deadline = call.getDeadline();
  const unixMs = typeof deadline === 'number' ? deadline : deadline.getTime();
  return unixMs - env.system.clock.nowMs();
}

function write(env: ServiceEnv, call: Unary<Buffer>, bytes: Buffer, atomic: boolean, callback: Callback): void {
  const refusal = env.load.refusal(bytes.length);
  if (refusal !== undefined) throw refusal;
  const request = decodeWrite(bytes, {
    limits: env.limits,
    clusterId: env.clusterId,
    admit: (namespace) => {
      authorize(env, call, 'write', namespace);
      const unknown = env.catalog.checkNamespace(namespace);
      if (unknown !== undefined) throw unknown;
    },
    collectionError: (namespace, name) => env.catalog.checkCollection(namespace, name),
  });
  // All or none: one op that cannot be taken is a request that cannot.
  const [invalid] = request.invalid.values();
  if (atomic && invalid !== undefined) throw invalid;
  let elsewhere = false;
  const answer = (results: Parameters<typeof encodeWriteResponse>[2]): void => {
    const out = new WireWriter(256);
    encodeWriteResponse(out, request, results, elsewhere, env);
    callback(null, out.view());
  };
  if (request.ops.length === 0) {
    answer([]);
    return;
  }
  env.load.hold(bytes.length);
  const rpc = atomic ? 'WriteAtomic' : 'Write';
  const { tracing } = env;
  const spans = tracing?.ingest(request.ops, `${SERVICE}/${rpc}`, rpcAttributes(rpc), env.system.clock.monotonicMs());
  regionFor(env, call).write(
    {
      ops: request.ops,
      durability: request.durability,
      deadlineMs: effectiveDeadlineMs(request.deadlineMs, callDeadlineMs(env, call)),
      session: request.session,
      seenStamp: request.seenStamp,
      atomic,
      valueBytesMax: request.wantValues ? env.limits.writeValueBytesMax : undefined,
      passedOn: () => {
        elsewhere = true;
      },
    },
    (results) => {
      env.load.release(bytes.length);
      spans?.answered(results);
      answer(results);
    },
  );
}

function read(
  env: ServiceEnv,
  call: Unary<ReadRequest__Output>,
  request: ReadRequest__Output,
  callback: Callback,
): void {
  const { namespace, collection, keys } = request;
  const nameError = checkName('namespace', namespace) ?? checkName('collection', collection);
  if (nameError !== undefined) throw nameError;
  authorize(env, call, 'read', namespace);
  const unknown = env.catalog.checkNamespace(namespace) ?? env.catalog.checkCollection(namespace, collection);
  if (unknown !== undefined) throw unknown;
  if (keys.length === 0)
    throw new CausewayError('INVALID_ARGUMENT', 'a read names at least one key', { details: { field: 'keys' } });
  if (keys.length > env.limits.keysPerReadMax) {
    throw tooLarge('a read', 'keys', env.limits.keysPerReadMax, keys.length, 'send several reads');
  }
  for (const key of keys) {
    const keyError = checkKey(key, 'keys');
    if (keyError !== undefined) throw keyError;
  }
  const refusal = env.load.refusal(0);
  if (refusal !== undefined) throw refusal;

  let elsewhere = false;
  regionFor(env, call).read(
    {
      namespace,
      collection,
      keys,
      consistency: consistencyOf(env, request),
      deadlineMs: effectiveDeadlineMs(request.deadlineMs, callDeadlineMs(env, call)),
      passedOn: () => {
        elsewhere = true;
      },
    },
    (result) => {
      if (result instanceof CausewayError) {
        callback(toStatus(result));
        return;
      }
      try {
        callback(null, encodeReadResponse(env, result, elsewhere));
      } catch (error) {
        callback(toStatus(toCausewayError(error)));
      }
    },
  );
}

function scan(
  env: ServiceEnv,
  call: Unary<ScanRequest__Output>,
  request: ScanRequest__Output,
  callback: Callback,
): void {
  const { namespace, collection, prefix } = request;
  const nameError = checkName('namespace', namespace) ?? checkName('collection', collection);
  if (nameError !== undefined) throw nameError;
  authorize(env, call, 'read', namespace);
  const unknown = env.catalog.checkNamespace(namespace) ?? env.catalog.checkCollection(namespace, collection);
  if (unknown !== undefined) throw unknown;
  const prefixError = prefix === '' ? undefined : checkKey(prefix);
  if (prefixError !== undefined) throw prefixError;
  const after = keyOfPageToken(request, request.pageToken);
  const shards = shardsOf(env, namespace, request.shards);
  const refusal = env.load.refusal(0);
  if (refusal !== undefined) throw refusal;
  const { scanPageSizeMax, scanPageBytesMax } = env.limits;

  regionFor(env, call).scan(
    {
      namespace,
      collection,
      prefix,
      shards,
      after,
      limit: Math.min(request.pageSize === 0 ? PAGE_SIZE_DEFAULT : request.pageSize, scanPageSizeMax),
      bytesMax: scanPageBytesMax,
      consistency: consistencyOf(env, request),
      deadlineMs: effectiveDeadlineMs(request.deadlineMs, callDeadlineMs(env, call)),
    },
    (result) => {
      if (result instanceof CausewayError) callback(toStatus(result));
      else callback(null, encodeScanResponse(env, request, result));
    },
  );
}

function encodeScanResponse(env: ServiceEnv, request: ScanRequest__Output, result: ScanResult): Buffer {
  const type = messageType('causeway.v1.ScanResponse');
  const message = {
    entries: result.entries.map(({ key, view }) => ({ key, view: viewMessage(view) })),
    nextPageToken: pageToken(request, result.next),
    session: sessionToMessage(result.session, env.clusterId),
    stale: result.stale,
    asOfStamp: result.asOfStamp ?? 0,
    unchangedSinceStamp: result.unchangedSince ?? 0,
  };
  return type.encode(message as object as never).finish() as Buffer;
}

type Freshness = Pick<ReadRequest__Output, 'consistency' | 'session' | 'allowStale' | 'maxStaleMs' | 'stableStamp'>;

function consistencyOf(env: ServiceEnv, request: Freshness): Consistency {
  // An enum value that this version does not know decodes to its number.
  const { consistency } = request as { consistency: string | number };
  switch (consistency) {
    case 'CONSISTENCY_UNSPECIFIED':
    case 'CONSISTENCY_LOCAL':
      return { kind: 'local' };
    case 'CONSISTENCY_CAUSAL':
      if (request.session === null)
        throw new CausewayError('INVALID_ARGUMENT', 'a causal read needs a session token', {
          details: { field: 'session' },
        });
      return {
        kind: 'causal',
        session: sessionFromMessage(request.session, env.clusterId),
        allowStale: request.allowStale,
      };
    case 'CONSISTENCY_BOUNDED':
      if (!(request.maxStaleMs >= 1 && request.maxStaleMs <= MAX_STALE_MS_MAX)) {
        throw new CausewayError(
          'INVALID_ARGUMENT',
          `a bounded read has max_stale_ms from 1 to ${MAX_STALE_MS_MAX}; got ${request.maxStaleMs}`,
          { details: { field: 'max_stale_ms' } },
        );
      }
      return { kind: 'bounded', maxStaleMs: request.maxStaleMs };
    case 'CONSISTENCY_STABLE':
      return { kind: 'stable', atStamp: request.stableStamp === 0 ? undefined : request.stableStamp };
    default:
      throw new CausewayError('INVALID_ARGUMENT', `consistency ${consistency} is not known to this node`, {
        details: { field: 'consistency' },
      });
  }
}

function encodeReadResponse(env: ServiceEnv, result: ReadResult, elsewhere: boolean): Buffer {
  const { responseBytesMax } = env.limits;
  const bytes = result.views.reduce((sum, view) => sum + viewBytes(view), 0);
  if (bytes > responseBytesMax) {
    throw tooLarge('the answer to a read', 'bytes', responseBytesMax, bytes, 'ask for fewer keys at once');
  }
  const type = messageType('causeway.v1.ReadResponse');
  const message = {
    views: result.views.map(viewMessage),
    session: sessionToMessage(result.session, env.clusterId),
    stale: result.stale,
    asOfStamp: result.asOfStamp ?? 0,
    unchangedSinceStamp: result.unchangedSince ?? 0,
    elsewhere,
  };
  return type.encode(message as object as never).finish() as Buffer;
}

function subscribe(env: ServiceEnv, call: FeedCall & { request: SubscribeRequest__Output | MalformedMessage }): void {
  try {
    const request = wellFormed(call.request);
    const { namespace, collections, keyPrefix } = request;
    const nameError = checkName('namespace', namespace);
    if (nameError !== undefined) throw nameError;
    authorize(env, call, 'subscribe', namespace);
    if (collections.length > COLLECTIONS_MAX) {
      throw tooLarge('a subscription', 'collections', COLLECTIONS_MAX, collections.length, 'name none to follow all');
    }
    let unknown = env.catalog.checkNamespace(namespace);
    for (const collection of collections) unknown ??= env.catalog.checkCollection(namespace, collection);
    if (unknown !== undefined) throw unknown;
    const prefixError = keyPrefix === '' ? undefined : checkKey(keyPrefix, 'key_prefix');
    if (prefixError !== undefined) throw prefixError;
    const refusal = env.load.refusal(0);
    if (refusal !== undefined) throw refusal;
    if (env.load.streams >= env.limits.subscribersMax) {
      throw new CausewayError('OVERLOADED', `the node has ${env.load.streams} streams, its limit`, {
        retryAfterMs: 1000,
      });
    }
    const form = formOf(request);
    const shards = shardsOf(env, namespace, request.shards);
    const start = startOf(env, request);
    const feed = new FeedStream(call, env, form === 'value');
    feed.start({ namespace, collections, keyPrefix, shards, start, form });
  } catch (error) {
    call.emit('error', toStatus(toCausewayError(error)));
  }
}

/** undefined: all of them. */
function shardsOf(env: ServiceEnv, namespace: string, shards: readonly number[]): ReadonlySet<number> | undefined {
  if (shards.length === 0) return undefined;
  const count = env.region.placementOf(namespace)?.shards ?? 0;
  const unknown = shards.find((index) => index >= count);
  if (unknown === undefined) return new Set(shards);
  throw new CausewayError('INVALID_ARGUMENT', `'${namespace}' has shards 0 to ${count - 1}; got ${unknown}`, {
    details: { field: 'shards' },
  });
}

function formOf(request: SubscribeRequest__Output): 'op' | 'value' {
  const { form } = request as { form: string | number };
  if (form === 'FEED_FORM_UNSPECIFIED' || form === 'FEED_FORM_OP') return 'op';
  if (form === 'FEED_FORM_VALUE') return 'value';
  throw new CausewayError('INVALID_ARGUMENT', `feed form ${form} is not known to this node`, {
    details: { field: 'form' },
  });
}

function startOf(env: ServiceEnv, request: SubscribeRequest__Output): FeedStart {
  switch (request.start) {
    case 'beginning':
      return { kind: 'beginning' };
    case 'fromTimeMs':
      if (!Number.isSafeInteger(request.fromTimeMs))
        throw new CausewayError('INVALID_ARGUMENT', 'from_time_ms is in Unix ms', {
          details: { field: 'from_time_ms' },
        });
      return { kind: 'time', unixMs: request.fromTimeMs as number };
    case 'cursor':
      if (!request.cursor) throw new CausewayError('CURSOR_INVALID', 'the cursor is empty');
      return { kind: 'cursor', cursor: cursorFromMessage(request.cursor, request.namespace, env.clusterId) };
    default:
      return { kind: 'now' };
  }
}

/** Of `_system`, whose keys lie with what they are about. */
const EVERY_PLACEMENT = { placementId: 0, shards: 0 };

interface NamespaceMessage {
  readonly name: string;
  readonly placementId: number;
  readonly shards: number;
  readonly collections: unknown[];
  readonly owners: readonly number[];
}

/** Per shard of the namespace, 1 + the place of its owner in `nodes`, which grows; 0: nobody. Empty where one node has them all. */
function ownerNumbers(
  region: Region,
  namespace: string,
  nodes: Map<string, { name: string; address: string }>,
): number[] {
  return region.shardOwners(namespace).map((owner) => {
    if (owner === undefined) return 0;
    if (!nodes.has(owner.node)) nodes.set(owner.node, { name: owner.node, address: owner.address });
    return [...nodes.keys()].indexOf(owner.node) + 1;
  });
}

function topology(
  env: ServiceEnv,
  call: Unary<GetTopologyRequest__Output>,
  request: GetTopologyRequest__Output,
  callback: Callback,
): void {
  const { region, limits } = env;
  authorize(env, call, 'topology', request.namespace === '' ? undefined : request.namespace);
  if (request.namespace !== '') {
    const unknown = checkName('namespace', request.namespace) ?? env.catalog.checkNamespace(request.namespace);
    if (unknown !== undefined) throw unknown;
  }
  const status = region.status();
  const namespaces = new Map<string, NamespaceMessage>();
  const nodes = new Map<string, { name: string; address: string }>();
  const system =
    request.namespace === SYSTEM_NAMESPACE ? region.collection(SYSTEM_NAMESPACE, 'collections') : undefined;
  for (const collection of system === undefined ? status.collections : [system]) {
    const name = collection.namespace;
    if (request.namespace !== '' && name !== request.namespace) continue;
    let entry = namespaces.get(name);
    if (entry === undefined) {
      const placement = collection === system ? EVERY_PLACEMENT : region.placementOf(name);
      if (placement === undefined) continue;
      entry = {
        name,
        ...placement,
        collections: [],
        owners: collection === system ? [] : ownerNumbers(region, name, nodes),
      };
      namespaces.set(name, entry);
    }
    entry.collections.push(collectionMessage(collection));
  }
  const message = {
    region: region.id,
    node: status.node,
    version: status.version,
    ready: region.ready() && !env.load.draining,
    readyReason: env.load.draining ? 'draining' : status.stateReason,
    namespaces: [...namespaces.values()],
    limits: {
      keyBytesMax: KEY_BYTES_MAX,
      valueBytesMax: LIMITS.valueBytesMax,
      opsPerRequestMax: limits.opsPerRequestMax,
      requestBytesMax: limits.requestBytesMax,
      streamMessageBytesMax: limits.streamMessageBytesMax,
      keysPerReadMax: limits.keysPerReadMax,
      scanPageSizeMax: limits.scanPageSizeMax,
    },
    peers: status.peers.map((peer) => peer.region),
    nowMs: env.system.clock.nowMs(),
    nodes: [...nodes.values()],
  };
  const type = messageType('causeway.v1.GetTopologyResponse');
  callback(null, type.encode(message as object as never).finish() as Buffer);
}
