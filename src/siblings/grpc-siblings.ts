// The other nodes of the region, over the same gRPC service that clients use. Each request says that it has been passed on, so that it is not again.
// Owns: requests of a region as messages, and answers as what a region answers. One connection for each node that was ever asked.
//
// HAZARD: a connection that breaks leaves the outcome of a write unknown, as it does for any client: whoever wrote it tries again with the same
// idempotency key.

import { Metadata, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import { FORWARDED_KEY } from '../api/env.ts';
import { keyOfPageToken, pageToken } from '../api/page-tokens.ts';
import { cursorText } from '../api/conflict-calls.ts';
import { cursorToMessage, sessionFromMessage, sessionToMessage } from '../api/tokens.ts';
import { Endpoint, wireMethodOnce, type CallLimits } from '../client/endpoint.ts';
import { opOf, type DecodedEvent } from '../client/feed-op.ts';
import { mergeTypeNumber } from '../client/collections.ts';
import { encodeOp } from '../client/op-encode.ts';
import { fromServiceError } from '../client/status.ts';
import type { ClientTls } from '../client/tls.ts';
import { mergeTypeOf, viewOf, type DecodedView } from '../client/views.ts';
import { ackOf, decodeWriteResponse, encodeWriteHeader, failuresOf } from '../client/write-request.ts';
import { CausewayError, toCausewayError } from '../errors/errors.ts';
import type { OpDescription, View } from '../merge/types.ts';
import type { AlterCollectionResponse__Output } from '../proto/generated/causeway/v1/AlterCollectionResponse.ts';
import type { CreateCollectionResponse__Output } from '../proto/generated/causeway/v1/CreateCollectionResponse.ts';
import type { DropCollectionResponse__Output } from '../proto/generated/causeway/v1/DropCollectionResponse.ts';
import type { ListCollectionsResponse__Output } from '../proto/generated/causeway/v1/ListCollectionsResponse.ts';
import type { SharedStateResponse__Output } from '../proto/generated/causeway/v1/SharedStateResponse.ts';
import type { DigestsResponse__Output } from '../proto/generated/causeway/v1/DigestsResponse.ts';
import type { GetConflictResponse__Output } from '../proto/generated/causeway/v1/GetConflictResponse.ts';
import type { KeyHistoryResponse__Output } from '../proto/generated/causeway/v1/KeyHistoryResponse.ts';
import type { ListConflictsResponse__Output } from '../proto/generated/causeway/v1/ListConflictsResponse.ts';
import type { RestoreConflictResponse__Output } from '../proto/generated/causeway/v1/RestoreConflictResponse.ts';
import type { StatusResponse__Output } from '../proto/generated/causeway/v1/StatusResponse.ts';
import type { WatchConflictsResponse__Output } from '../proto/generated/causeway/v1/WatchConflictsResponse.ts';
import type { ReadResponse__Output } from '../proto/generated/causeway/v1/ReadResponse.ts';
import type { ScanResponse__Output } from '../proto/generated/causeway/v1/ScanResponse.ts';
import type { WriteResponse__Output } from '../proto/generated/causeway/v1/WriteResponse.ts';
import { messageType, rawCodec, wireMethod, type WireMethod } from '../proto/load.ts';
import { WireWriter } from '../proto/wire.ts';
import type { Dot, OriginId, ShardId } from '../record/ids.ts';
import type { CollectionRef, MergeTypeName } from '../record/op.ts';
import type {
  AlterSpec,
  ChangeOptions,
  CollectionChange,
  CollectionChanged,
  CollectionInfo,
  Conflict,
  ConflictPage,
  ConflictQuery,
  ConflictSink,
  ConflictSubscription,
  Consistency,
  CreateSpec,
  DropSpec,
  FeedEvent,
  FeedSink,
  FeedSubscription,
  HistoryRequest,
  KeyHistory,
  ReadRequest,
  ReadResult,
  RegionStatus,
  Restored,
  RestoreRequest,
  ScanRequest,
  ScanResult,
  ShardDigest,
  SharedState,
  SessionToken,
  SubscribeRequest,
  TailRequest,
  WriteOp,
  WriteRequest,
  WriteResult,
} from '../region/region.ts';
import type { SiblingStream, Siblings } from '../region/siblings.ts';
import type { System } from '../system/system.ts';
import {
  collectionOf,
  conflictMessageOf,
  conflictPageOf,
  conflictsRequest,
  digestsOf,
  keyHistoryOf,
  keyHistoryRequest,
  regionStatusOf,
  restoredMessageOf,
  sharedStateOf,
} from './admin-messages.ts';
import { SiblingConflicts } from './conflict-stream.ts';
import { OrderedWrites, type WriteStreamCall } from './ordered-writes.ts';

const SERVICE = 'causeway.v1.Data';
const CONNECT_MS_MAX = 1000;
/** Of senders, on one connection; a node takes more. */
const STREAMS_A_CONNECTION = 500;
/** For what operators ask. */
const ADMIN_MS_MAX = 4000;
/** Whoever asks for the status wants it now, without who does not answer. */
const STATUS_MS_MAX = 1500;

const writeMethod = (name: string) =>
  wireMethodOnce(name, () => wireMethod<Buffer, Buffer>(SERVICE, name, { request: rawCodec, response: rawCodec }));
const WRITE = writeMethod('Write');
const WRITE_ATOMIC = writeMethod('WriteAtomic');
const WRITE_STREAM = writeMethod('WriteStream');
const READ = wireMethodOnce('Read', () => wireMethod<object, ReadResponse__Output>(SERVICE, 'Read', {}));
const SCAN = wireMethodOnce('Scan', () => wireMethod<object, ScanResponse__Output>(SERVICE, 'Scan', {}));
const ADMIN_SERVICE = 'causeway.v1.Admin';
const adminMethod = <Res>(name: string) => wireMethodOnce(name, () => wireMethod<object, Res>(ADMIN_SERVICE, name, {}));
const STATUS = adminMethod<StatusResponse__Output>('Status');
const SHARED_STATE = adminMethod<SharedStateResponse__Output>('SharedState');
const LIST_COLLECTIONS = adminMethod<ListCollectionsResponse__Output>('ListCollections');
const CREATE_COLLECTION = adminMethod<CreateCollectionResponse__Output>('CreateCollection');
const ALTER_COLLECTION = adminMethod<AlterCollectionResponse__Output>('AlterCollection');
const DROP_COLLECTION = adminMethod<DropCollectionResponse__Output>('DropCollection');
const DIGESTS = adminMethod<DigestsResponse__Output>('Digests');
const LIST_CONFLICTS = adminMethod<ListConflictsResponse__Output>('ListConflicts');
const GET_CONFLICT = adminMethod<GetConflictResponse__Output>('GetConflict');
const RESTORE_CONFLICT = adminMethod<RestoreConflictResponse__Output>('RestoreConflict');
const WATCH_CONFLICTS = adminMethod<WatchConflictsResponse__Output>('WatchConflicts');
const KEY_HISTORY = adminMethod<KeyHistoryResponse__Output>('KeyHistory');
const SUBSCRIBE = wireMethodOnce('Subscribe', () => wireMethod<object, FeedMessage>(SERVICE, 'Subscribe'));

interface FeedMessage {
  readonly origins: readonly OriginId[];
  readonly collections: readonly { readonly name: string; readonly id: number; readonly mergeType: number }[];
  readonly shards: readonly {
    readonly shard: ShardId;
    readonly events: readonly DecodedEvent[];
    readonly cursorOrigins: readonly number[];
    readonly cursorSeqs: readonly number[];
  }[];
}

export class GrpcSiblings implements Siblings {
  readonly #system: System;
  readonly #clusterId: string;
  readonly #tls: ClientTls | undefined;
  readonly #endpoints = new Map<string, Endpoint>();
  /** Those that are open, by address. */
  readonly #streams = new Map<string, Set<OrderedWrites>>();
  #closed = false;

  constructor(system: System, clusterId: string, tls: ClientTls | undefined) {
    this.#system = system;
    this.#clusterId = clusterId;
    this.#tls = tls;
  }

  #endpoint(address: string): Endpoint {
    let endpoint = this.#endpoints.get(address);
    if (endpoint === undefined) {
      endpoint = new Endpoint(address, 0, this.#system, this.#tls);
      this.#endpoints.set(address, endpoint);
    }
    return endpoint;
  }

  async #ask<Req, Res>(address: string, method: WireMethod<Req, Res>, request: Req, deadlineMs: number): Promise<Res> {
    if (this.#closed) throw new CausewayError('DRAINING', 'the node is shutting down');
    const limits: CallLimits = { endMs: this.#system.clock.monotonicMs() + deadlineMs };
    const endpoint = this.#endpoint(address);
    await endpoint.connected(limits, CONNECT_MS_MAX);
    return endpoint.unary(method, request, limits, passedOn());
  }

  // ── Writes ──────────────────────────────────────────────────────────────────────────────────────────────────────

  write(address: string, request: WriteRequest, done: (results: readonly WriteResult[]) => void): void {
    void this.#writeAll(address, request, done);
  }

  async #writeAll(
    address: string,
    request: WriteRequest,
    done: (results: readonly WriteResult[]) => void,
  ): Promise<void> {
    const results = Array.from<WriteResult>({ length: request.ops.length });
    const asked = groupsOf(request.ops).map(async (indexes) => {
      const answers = await this.#writeGroup(address, request, indexes);
      indexes.forEach((index, i) => (results[index] = answers[i]!));
    });
    await Promise.all(asked);
    done(results);
  }

  async #writeGroup(address: string, request: WriteRequest, indexes: readonly number[]): Promise<WriteResult[]> {
    try {
      const out = new WireWriter(512);
      this.#encodeWrite(out, request, indexes);
      const method = request.atomic === true ? WRITE_ATOMIC() : WRITE();
      return resultsOf(decodeWriteResponse(await this.#ask(address, method, out.view(), request.deadlineMs)), indexes);
    } catch (error) {
      return failed(indexes, toCausewayError(error));
    }
  }

  stream(address: string): SiblingStream {
    const writes = this.#orderedWrites(address);
    return {
      write: (epoch, request, done) => {
        const results = Array.from<WriteResult>({ length: request.ops.length });
        const groups = groupsOf(request.ops);
        let left = groups.length;
        for (const indexes of groups) {
          writes.send({
            epoch,
            deadlineMs: request.deadlineMs,
            encode: (into) => this.#encodeWrite(into, request, indexes),
            done: (answer) => {
              const answers = answer instanceof CausewayError ? failed(indexes, answer) : resultsOf(answer, indexes);
              indexes.forEach((index, i) => (results[index] = answers[i]!));
              if (--left === 0) done(results);
            },
          });
        }
      },
    };
  }

  #orderedWrites(address: string): OrderedWrites {
    const writes: OrderedWrites = new OrderedWrites({
      address,
      system: this.#system,
      open: async () => {
        if (this.#closed) throw new CausewayError('DRAINING', 'the node is shutting down');
        const endpoint = this.#endpoint(address);
        await endpoint.connected({ endMs: this.#system.clock.monotonicMs() + CONNECT_MS_MAX }, CONNECT_MS_MAX);
        let open = this.#streams.get(address);
        if (open === undefined) this.#streams.set(address, (open = new Set()));
        // The first connection is left to single calls.
        const connection = endpoint.connection(1 + Math.floor(open.size / STREAMS_A_CONNECTION));
        open.add(writes);
        const { path, requestSerialize, responseDeserialize } = WRITE_STREAM();
        return connection.makeBidiStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          passedOn(),
        ) as WriteStreamCall;
      },
      closed: () => void this.#streams.get(address)?.delete(writes),
    });
    return writes;
  }

  #encodeWrite(out: WireWriter, request: WriteRequest, indexes: readonly number[]): void {
    const { ops, durability, session, seenStamp = 0, deadlineMs, valueBytesMax } = request;
    const collections: string[] = [];
    let producer = 0;
    for (const index of indexes) {
      const { collection: name, key, intent, condition, idempotency, issuedAtMs, trace } = ops[index]!;
      let collection = collections.indexOf(name);
      if (collection === -1) collection = collections.push(name) - 1;
      const seq = idempotency?.kind === 'producer' ? idempotency.seq : 0;
      if (idempotency?.kind === 'producer') producer = idempotency.producer;
      const op = {
        collection: name,
        key,
        intent,
        condition,
        ...(idempotency?.kind === 'key' ? { idempotencyKey: idempotency.key } : {}),
        ...(issuedAtMs === undefined ? {} : { issuedAtMs }),
        ...(trace === undefined ? {} : { trace }),
      };
      encodeOp(out, op, collection, seq);
    }
    const token =
      session && messageType('causeway.v1.SessionToken').encode(sessionToMessage(session, this.#clusterId) as never);
    encodeWriteHeader(out, {
      namespace: ops[indexes[0]!]!.namespace,
      collections,
      durability: durability.kind === 'regions' ? { regions: durability.n } : durability.kind,
      deadlineMs,
      after: { session: token?.finish(), seenStamp },
      producer,
      issuedAtMs: 0,
      wantVersions: true,
      wantValues: (valueBytesMax ?? 0) > 0,
    });
  }

  // ── Reads ───────────────────────────────────────────────────────────────────────────────────────────────────────

  read(address: string, request: ReadRequest, done: (result: ReadResult | CausewayError) => void): void {
    const { namespace, collection, keys, consistency, deadlineMs } = request;
    const message = { namespace, collection, keys, deadlineMs: whole(deadlineMs), ...this.#level(consistency) };
    const asked = this.#ask(address, READ(), message, deadlineMs);
    void answer(asked, done, (response) => ({
      views: response.views.map((view) => viewOf(view as unknown as DecodedView) as View | undefined),
      ...this.#saysOfItself(response),
    }));
  }

  scan(address: string, request: ScanRequest, done: (result: ScanResult | CausewayError) => void): void {
    const { namespace, collection, prefix, shards, after, limit, consistency, deadlineMs } = request;
    const scope = { namespace, collection, prefix };
    const message = {
      ...scope,
      pageSize: limit,
      pageToken: pageToken(scope, after),
      shards: [...(shards ?? [])],
      deadlineMs: whole(deadlineMs),
      ...this.#level(consistency),
    };
    const asked = this.#ask(address, SCAN(), message, deadlineMs);
    void answer(asked, done, (response) => ({
      entries: response.entries.map(({ key, view }) => ({
        key,
        view: viewOf(view as unknown as DecodedView) as View,
      })),
      next: keyOfPageToken(scope, response.nextPageToken),
      ...this.#saysOfItself(response),
    }));
  }

  #level(consistency: Consistency): object {
    switch (consistency.kind) {
      case 'local':
        return { consistency: 1 };
      case 'causal':
        return {
          consistency: 2,
          session: sessionToMessage(consistency.session, this.#clusterId),
          allowStale: consistency.allowStale,
        };
      case 'bounded':
        return { consistency: 3, maxStaleMs: consistency.maxStaleMs };
      case 'stable':
        return { consistency: 4, stableStamp: consistency.atStamp ?? 0 };
    }
  }

  #saysOfItself({
    session,
    stale,
    asOfStamp,
    unchangedSinceStamp,
  }: Pick<ReadResponse__Output, 'session' | 'stale' | 'asOfStamp' | 'unchangedSinceStamp'>): Omit<
    ReadResult,
    'views'
  > & {
    session: SessionToken;
  } {
    return {
      session: session === null ? new Map() : sessionFromMessage(session, this.#clusterId),
      stale,
      asOfStamp: asOfStamp === 0 ? undefined : asOfStamp,
      unchangedSince: unchangedSinceStamp === 0 ? undefined : unchangedSinceStamp,
    };
  }

  // ── The feed ────────────────────────────────────────────────────────────────────────────────────────────────────

  subscribe(address: string, request: SubscribeRequest, sink: FeedSink): FeedSubscription {
    const feed = new SiblingFeed(request.namespace, request.form === 'value', sink);
    const { namespace, collections, keyPrefix, shards, form, start } = request;
    const message = {
      namespace,
      collections,
      keyPrefix,
      form: form === 'value' ? 2 : 1,
      shards: [...(shards ?? [])],
      ...(start.kind === 'beginning'
        ? { beginning: true }
        : start.kind === 'time'
          ? { fromTimeMs: start.unixMs }
          : start.kind === 'now'
            ? { now: true }
            : { cursor: cursorToMessage(start.cursor, namespace, this.#clusterId) }),
    };
    this.#stream(address, SUBSCRIBE(), message, feed);
    return feed;
  }

  #stream<Res>(
    address: string,
    method: WireMethod<object, Res>,
    message: object,
    reader: {
      follow(begin: () => ClientReadableStream<Res>, address: string): void;
      fail(error: CausewayError): void;
    },
  ): void {
    const endpoint = this.#endpoint(address);
    endpoint.connected({ endMs: this.#system.clock.monotonicMs() + CONNECT_MS_MAX }, CONNECT_MS_MAX).then(
      () => {
        const { client } = endpoint;
        reader.follow(
          () =>
            client.makeServerStreamRequest(
              method.path,
              method.requestSerialize,
              method.responseDeserialize,
              message,
              passedOn(),
            ),
          address,
        );
      },
      (error: unknown) => reader.fail(toCausewayError(error)),
    );
  }

  // ── What operators ask ──────────────────────────────────────────────────────────────────────────────────────────

  #admin<Res, Result>(
    address: string,
    method: WireMethod<object, Res>,
    message: object,
    done: (result: Result | CausewayError) => void,
    resultOf: (response: Res) => Result,
    deadlineMs = ADMIN_MS_MAX,
  ): void {
    void answer(this.#ask(address, method, message, deadlineMs), done, resultOf);
  }

  status(address: string, done: (status: RegionStatus | CausewayError) => void): void {
    this.#admin(address, STATUS(), {}, done, regionStatusOf, STATUS_MS_MAX);
  }

  sharedState(address: string, unlessRevision: string, done: (state: SharedState | CausewayError) => void): void {
    const resultOf = (response: SharedStateResponse__Output): SharedState => sharedStateOf(unlessRevision, response);
    this.#admin(address, SHARED_STATE(), { unlessRevision }, done, resultOf, STATUS_MS_MAX);
  }

  collections(
    address: string,
    namespace: string,
    name: string,
    done: (collections: readonly CollectionInfo[] | CausewayError) => void,
  ): void {
    const message = { namespace, name, dropped: true };
    this.#admin(address, LIST_COLLECTIONS(), message, done, ({ collections }) => collections.map(collectionOf));
  }

  createCollection(address: string, spec: CreateSpec, options: ChangeOptions, done: CollectionChanged): void {
    this.#change(address, CREATE_COLLECTION(), spec, options, done, ({ collection, created }) => ({
      collections: [collectionOf(collection)],
      changed: created,
    }));
  }

  alterCollection(address: string, spec: AlterSpec, options: ChangeOptions, done: CollectionChanged): void {
    this.#change(address, ALTER_COLLECTION(), spec, options, done, ({ collection, altered }) => ({
      collections: [collectionOf(collection)],
      changed: altered,
    }));
  }

  dropCollection(
    address: string,
    spec: DropSpec,
    options: ChangeOptions & { readonly force: boolean },
    done: CollectionChanged,
  ): void {
    this.#change(address, DROP_COLLECTION(), spec, options, done, ({ collections }) => ({
      collections: collections.map(collectionOf),
      changed: true,
    }));
  }

  #change<Res>(
    address: string,
    method: WireMethod<object, Res>,
    { type, ...spec }: { readonly namespace: string; readonly type?: MergeTypeName | undefined },
    options: ChangeOptions,
    done: CollectionChanged,
    changeOf: (response: Res) => CollectionChange,
  ): void {
    const deadlineMs = whole(options.deadlineMs);
    const message = { ...spec, mergeType: mergeTypeNumber(type), ...options, deadlineMs };
    this.#admin(address, method, message, done, changeOf, deadlineMs);
  }

  digests(address: string, asOfMs: number, done: (digests: readonly ShardDigest[] | CausewayError) => void): void {
    this.#admin(address, DIGESTS(), { asOfMs }, done, digestsOf);
  }

  conflicts(address: string, query: ConflictQuery, done: (page: ConflictPage | CausewayError) => void): void {
    this.#admin(address, LIST_CONFLICTS(), conflictsRequest(query), done, conflictPageOf);
  }

  conflictsOf(
    address: string,
    shard: ShardId,
    loser: Dot,
    done: (conflicts: readonly Conflict[] | CausewayError) => void,
  ): void {
    const found = (result: readonly Conflict[] | CausewayError): void =>
      done(result instanceof CausewayError && result.code === 'KEY_NOT_FOUND' ? [] : result);
    this.#admin(address, GET_CONFLICT(), { shard, loser }, found, ({ conflicts }) => conflicts.map(conflictMessageOf));
  }

  restoreConflict(address: string, request: RestoreRequest, done: (restored: Restored | CausewayError) => void): void {
    const deadlineMs = whole(request.deadlineMs);
    const message = { ...request, fields: [...request.fields], deadlineMs };
    this.#admin(address, RESTORE_CONFLICT(), message, done, restoredMessageOf, deadlineMs);
  }

  watchConflicts(address: string, request: TailRequest, sink: ConflictSink): ConflictSubscription {
    const { namespace, collection, keyPrefix, start } = request;
    const from = start === 'now' ? {} : start === 'beginning' ? { beginning: true } : { cursor: cursorText(start) };
    const stream = new SiblingConflicts(sink);
    this.#stream(address, WATCH_CONFLICTS(), { namespace, collection, keyPrefix, ...from }, stream);
    return stream;
  }

  history(address: string, request: HistoryRequest, done: (history: KeyHistory | CausewayError) => void): void {
    const resultOf = (response: KeyHistoryResponse__Output): KeyHistory => keyHistoryOf(request, response);
    this.#admin(address, KEY_HISTORY(), keyHistoryRequest(request), done, resultOf);
  }

  close(): void {
    this.#closed = true;
    const draining = new CausewayError('UNAVAILABLE', 'the node is shutting down');
    for (const open of this.#streams.values()) for (const writes of [...open]) writes.close(draining);
    for (const endpoint of this.#endpoints.values()) endpoint.close();
    this.#tls?.close();
  }
}

/** Bound: one message that was taken from the connection, and what gRPC reads ahead. */
class SiblingFeed implements FeedSubscription {
  readonly #namespace: string;
  readonly #withValues: boolean;
  readonly #sink: FeedSink;
  readonly #collections = new Map<string, CollectionRef>();
  readonly #waiting: FeedMessage['shards'][number][] = [];
  #names: Pick<FeedMessage, 'origins' | 'collections'> = { origins: [], collections: [] };
  #call: ClientReadableStream<FeedMessage> | undefined;
  #full = false;
  #over = false;

  constructor(namespace: string, withValues: boolean, sink: FeedSink) {
    this.#namespace = namespace;
    this.#withValues = withValues;
    this.#sink = sink;
  }

  follow(begin: () => ClientReadableStream<FeedMessage>, address: string): void {
    if (this.#over) return;
    const call = begin();
    this.#call = call;
    call.on('data', (message: FeedMessage) => {
      if (this.#over) return;
      this.#names = message;
      this.#waiting.push(...message.shards);
      this.#tell();
    });
    call.on('error', (error: ServiceError) => this.fail(fromServiceError(error, address)));
    call.on('end', () => this.fail(new CausewayError('UNAVAILABLE', `${address}: the feed ended`)));
  }

  /** The names are those of the message that is waiting: another one is taken only when nothing is. */
  #tell(): void {
    while (!this.#over && !this.#full) {
      const shard = this.#waiting.shift();
      if (shard === undefined) break;
      const { origins } = this.#names;
      const cursor = new Map<OriginId, number>();
      shard.cursorOrigins.forEach((origin, i) => cursor.set(origins[origin]!, shard.cursorSeqs[i]!));
      const events = shard.events.map((event) => this.#event(shard.shard, event));
      this.#full = !this.#sink.events(events, shard.shard, cursor);
    }
    if (this.#full) this.#call?.pause();
  }

  #event(shard: ShardId, event: DecodedEvent): FeedEvent {
    const { origins, collections } = this.#names;
    const { name, id, mergeType } = collections[event.collection]!;
    let collection = this.#collections.get(`${name} ${id}`);
    if (collection === undefined) {
      collection = { namespace: this.#namespace, name, id, type: mergeTypeOf(mergeType) };
      this.#collections.set(`${name} ${id}`, collection);
    }
    return {
      shard,
      version: { origin: origins[event.origin]!, seq: event.seq, stamp: event.stamp },
      collection,
      key: event.key,
      op: opOf(event) as OpDescription,
      trace: event.trace.length === 0 ? undefined : event.trace,
      view: this.#withValues && event.value !== null ? (viewOf(event.value) as View | undefined) : undefined,
    };
  }

  resume(): void {
    if (this.#over || !this.#full) return;
    this.#full = false;
    this.#tell();
    if (!this.#full) this.#call?.resume();
  }

  cancel(): void {
    this.#over = true;
    this.#call?.cancel();
  }

  fail(error: CausewayError): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink.failed(error);
  }
}

function resultsOf(response: WriteResponse__Output, indexes: readonly number[]): WriteResult[] {
  const failures = failuresOf(response);
  return indexes.map((_, i): WriteResult => {
    const error = failures.get(i);
    if (error !== undefined) return { ok: false, error };
    const { shard, version, duplicate, after } = ackOf(response, i);
    return {
      ok: true,
      shard: shard as ShardId,
      version: { ...version, origin: version.origin as OriginId },
      duplicate,
      ...(after === undefined ? {} : { after: after as { view: View | undefined } }),
    };
  });
}

function failed(indexes: readonly number[], error: CausewayError): WriteResult[] {
  return indexes.map(() => ({ ok: false, error }));
}

/** What a message says once for all of its ops: the namespace, and the producer. */
function groupsOf(ops: readonly WriteOp[]): number[][] {
  const groups = new Map<string, number[]>();
  ops.forEach(({ namespace, idempotency }, i) => {
    const name = `${namespace} ${idempotency?.kind === 'producer' ? idempotency.producer : ''}`;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [i]);
    else group.push(i);
  });
  return [...groups.values()];
}

async function answer<Res, Result>(
  asked: Promise<Res>,
  done: (result: Result | CausewayError) => void,
  resultOf: (response: Res) => Result,
): Promise<void> {
  let result: Result | CausewayError;
  try {
    result = resultOf(await asked);
  } catch (error) {
    result = toCausewayError(error);
  }
  done(result);
}

function whole(deadlineMs: number): number {
  return Math.max(1, Math.round(Math.min(60_000, deadlineMs)));
}

function passedOn(): Metadata {
  const metadata = new Metadata();
  metadata.set(FORWARDED_KEY, '1');
  return metadata;
}
