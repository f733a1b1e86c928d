// causeway.v1.Admin: what a node knows about itself, as it is.

import type { sendUnaryData, ServerUnaryCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { CausewayError, toCausewayError } from '../errors/errors.ts';
import {
  type MalformedMessage,
  messageType,
  objectCodec,
  rawCodec,
  wireMethod,
  type WireMethod,
} from '../proto/load.ts';
import type { AlterCollectionRequest__Output } from '../proto/generated/causeway/v1/AlterCollectionRequest.ts';
import type { CreateCollectionRequest__Output } from '../proto/generated/causeway/v1/CreateCollectionRequest.ts';
import type { DropCollectionRequest__Output } from '../proto/generated/causeway/v1/DropCollectionRequest.ts';
import type { ListCollectionsRequest__Output } from '../proto/generated/causeway/v1/ListCollectionsRequest.ts';
import type { ConflictsRequest__Output } from '../proto/generated/causeway/v1/ConflictsRequest.ts';
import type { DigestsRequest__Output } from '../proto/generated/causeway/v1/DigestsRequest.ts';
import type { GetConflictRequest__Output } from '../proto/generated/causeway/v1/GetConflictRequest.ts';
import type { KeyHistoryRequest__Output } from '../proto/generated/causeway/v1/KeyHistoryRequest.ts';
import type { ListConflictsRequest__Output } from '../proto/generated/causeway/v1/ListConflictsRequest.ts';
import type { MoveShardRequest__Output } from '../proto/generated/causeway/v1/MoveShardRequest.ts';
import type { RestoreConflictRequest__Output } from '../proto/generated/causeway/v1/RestoreConflictRequest.ts';
import type { SharedStateRequest__Output } from '../proto/generated/causeway/v1/SharedStateRequest.ts';
import type { WatchConflictsRequest__Output } from '../proto/generated/causeway/v1/WatchConflictsRequest.ts';
import type { Dot, ShardId } from '../record/ids.ts';
import type {
  ChangeOptions,
  CollectionChange,
  ConflictQuery,
  Region,
  RegionStatus,
  ShardDigest,
  ShardOwner,
} from '../region/region.ts';
import { alterSpec, collectionDocument, createSpec, dropSpec, listPage } from './collection-calls.ts';
import { conflictMessage, loserOf, pageMessage, queryOf, shardNamed, tailOf } from './conflict-calls.ts';
import { ConflictStream, type ConflictCall } from './conflict-stream.ts';
import { countedUnary, wellFormed } from './data-service.ts';
import { authorize, regionFor, type ServiceEnv } from './env.ts';
import { historyMessage, historyRequest } from './history-calls.ts';
import { effectiveDeadlineMs } from './limits.ts';
import { toStatus } from './status.ts';
import { collectionMessage } from './views.ts';

const SERVICE = 'causeway.v1.Admin';
/** DESIGN: digests are pinned to a moment within the last minute; a little more, for clocks that differ. */
const DIGEST_AGE_MS_MAX = 60_000;
const DIGEST_AHEAD_MS_MAX = 10_000;

/** Of the old way to ask, which has no pages. */
const CONFLICTS_MAX = 1000;
const ALL_CONFLICTS = {
  collection: '',
  keyPrefix: '',
  sinceMs: 0,
  untilMs: Infinity,
  order: 'newest',
  after: undefined,
} as const;

type Call<Req> = ServerUnaryCall<Req | MalformedMessage, Buffer>;
type Callback = sendUnaryData<Buffer>;

export function adminService(env: ServiceEnv): {
  definition: Record<string, WireMethod<never, Buffer>>;
  implementation: UntypedServiceImplementation;
} {
  const counted = countedUnary(env);
  const definition: Record<string, unknown> = {};
  const implementation: Record<string, unknown> = {};

  const method = <Req>(name: string, answer: (request: Req, region: Region) => object): void => {
    definition[name] = wireMethod(SERVICE, name, {
      request: objectCodec<object, object>(`causeway.v1.${name}Request`),
      response: rawCodec,
    });
    implementation[name] = (call: Call<Req>, callback: Callback): void =>
      counted(name, call, callback, (request, answered) => {
        authorize(env, call, 'operate', undefined);
        const type = messageType(`causeway.v1.${name}Response`);
        answered(null, type.encode(answer(request, regionFor(env, call)) as never).finish() as Buffer);
      });
  };

  /** Answers when it can. */
  const later = <Req>(
    name: string,
    answer: (request: Req, done: (answer: object | CausewayError) => void, region: Region, call: Call<Req>) => void,
  ): void => {
    method<Req>(name, () => ({}));
    implementation[name] = (call: Call<Req>, callback: Callback): void =>
      counted(name, call, callback, (request, answered) => {
        authorize(env, call, 'operate', undefined);
        const type = messageType(`causeway.v1.${name}Response`);
        answer(
          request,
          (result) => {
            if (result instanceof CausewayError) answered(toStatus(result));
            else answered(null, type.encode(result as never).finish() as Buffer);
          },
          regionFor(env, call),
          call,
        );
      });
  };

  method('Ping', (_request, region) => {
    const { node, version, nowMs } = region.status();
    return { region: region.id, node, version, nowMs, ready: region.ready() && !env.load.draining };
  });
  later('Status', (_request, done, region) => {
    region.overview(({ others, owners }) =>
      done({
        ...statusMessage(region.status()),
        certificates: env.certificates().map(({ use, part, subject, notAfterMs }) => ({
          use,
          part,
          subject,
          notAfterMs,
        })),
        nodes: others.map(({ node, address, status, problem }) => ({
          node,
          address,
          problem,
          ...(status === undefined ? {} : { status: statusMessage(status) }),
        })),
        owners: owners.map(ownerMessage),
      }),
    );
  });
  later<DigestsRequest__Output>('Digests', ({ asOfMs: asked }, done, region) => {
    const nowMs = env.system.clock.nowMs();
    const asOfMs = asked === 0 ? nowMs : asked;
    if (!(asOfMs >= nowMs - DIGEST_AGE_MS_MAX) || !(asOfMs <= nowMs + DIGEST_AHEAD_MS_MAX)) {
      throw new CausewayError(
        'INVALID_ARGUMENT',
        `as_of_ms lies within the last minute; ${asOfMs} is ${nowMs - asOfMs} ms ago`,
        { details: { field: 'as_of_ms' } },
      );
    }
    region.allDigests(asOfMs, (digests) => {
      done(digests instanceof CausewayError ? digests : { digests: digests.map(digestMessage) });
    });
  });
  later<ConflictsRequest__Output>('Conflicts', ({ namespace, limit }, done, region) => {
    const pageSize = limit === 0 ? CONFLICTS_MAX : Math.min(limit, CONFLICTS_MAX);
    const query: ConflictQuery = { ...ALL_CONFLICTS, namespace, limit: pageSize };
    region.conflicts(query, (page) => {
      if (page instanceof CausewayError) done(page);
      else done({ conflicts: page.conflicts.toReversed().map(conflictMessage) });
    });
  });
  later<ListConflictsRequest__Output>('ListConflicts', (request, done, region) => {
    region.conflicts(queryOf(request), (page) => {
      done(page instanceof CausewayError ? page : pageMessage(page, region.id, env.limits.responseBytesMax));
    });
  });
  later<GetConflictRequest__Output>('GetConflict', (request, done, region) => {
    const { shard, loser } = loserOf(request.shard, request.loser);
    region.conflictsOf(shard, loser, (conflicts) => {
      if (conflicts instanceof CausewayError) done(conflicts);
      else if (conflicts.length > 0) done({ conflicts: conflicts.map(conflictMessage), region: region.id });
      else done(noSuchLoser(region.id, shard, loser));
    });
  });
  later<KeyHistoryRequest__Output>('KeyHistory', (request, done, region) => {
    const asked = historyRequest(request);
    const unknown =
      env.catalog.checkNamespace(asked.namespace) ?? env.catalog.checkCollection(asked.namespace, asked.collection);
    const refusal = unknown ?? env.load.refusal(0);
    if (refusal !== undefined) throw refusal;
    region.history(asked, (history) => {
      done(
        history instanceof CausewayError
          ? history
          : historyMessage(request, history, region.id, env.limits.scanPageBytesMax),
      );
    });
  });
  later<RestoreConflictRequest__Output>('RestoreConflict', (request, done, region, call) => {
    const { fields, force } = request;
    const deadlineMs = effectiveDeadlineMs(request.deadlineMs, Infinity);
    const named = loserOf(request.shard, request.loser);
    region.conflictsOf(named.shard, named.loser, (conflicts) => {
      if (conflicts instanceof CausewayError) {
        done(conflicts);
        return;
      }
      // A restore is a write to the namespace too.
      const refusal =
        conflicts[0] && env.access.check(env.access.identify(call), 'write', conflicts[0].collection.namespace);
      if (refusal !== undefined) {
        done(refusal);
        return;
      }
      region.restoreConflict({ ...named, fields, force, deadlineMs }, (restored) => {
        if (restored instanceof CausewayError) done(restored);
        else {
          const given = restored.conflicts.map(conflictMessage);
          done({ conflicts: given, version: restored.version, region: region.id });
        }
      });
    });
  });

  const changeOptions = (
    request: { readonly namespace: string; readonly deadlineMs: number; readonly wait: boolean },
    call: Call<object>,
  ): ChangeOptions => {
    authorize(env, call, 'operate', request.namespace);
    const refusal = env.load.refusal(0);
    if (refusal !== undefined) throw refusal;
    return { deadlineMs: effectiveDeadlineMs(request.deadlineMs, Infinity), wait: request.wait };
  };

  method<ListCollectionsRequest__Output>('ListCollections', (request, region) =>
    listPage(region.collections(), request, region.id, env.limits.responseBytesMax),
  );
  later<CreateCollectionRequest__Output>('CreateCollection', (request, done, region, call) => {
    region.createCollection(createSpec(request), changeOptions(request, call), (change) =>
      done(changeMessage(change, (collection, created) => ({ collection, created, region: region.id }))),
    );
  });
  later<AlterCollectionRequest__Output>('AlterCollection', (request, done, region, call) => {
    region.alterCollection(alterSpec(request), changeOptions(request, call), (change) =>
      done(changeMessage(change, (collection, altered) => ({ collection, altered, region: region.id }))),
    );
  });
  later<DropCollectionRequest__Output>('DropCollection', (request, done, region, call) => {
    const options = { ...changeOptions(request, call), force: request.force };
    region.dropCollection(dropSpec(request), options, (changed) => {
      if (changed instanceof CausewayError) done(changed);
      else done({ collections: changed.collections.map(collectionDocument), region: region.id });
    });
  });

  later<MoveShardRequest__Output>('MoveShard', (request, done, region) => {
    const shard = shardNamed(request.shard);
    const node = request.node === '' ? undefined : request.node;
    region.moveShard(shard, node, effectiveDeadlineMs(request.deadlineMs, Infinity), (moved) => {
      done(
        moved instanceof CausewayError ? moved : { owner: ownerMessage(moved), moved: moved.moved, region: region.id },
      );
    });
  });
  method<SharedStateRequest__Output>('SharedState', ({ unlessRevision }, region) => {
    const { revision, definitions = [], shards, stalenessMs } = region.sharedState(unlessRevision);
    return {
      revision,
      definitions: definitions.map(collectionDocument),
      shards: [...shards],
      staleness: Array.from(stalenessMs, ([placementId, ms]) => ({
        placementId,
        ...(ms === undefined ? {} : { stalenessMs: ms }),
      })),
    };
  });

  definition['WatchConflicts'] = wireMethod(SERVICE, 'WatchConflicts', {
    request: objectCodec<object, object>('causeway.v1.WatchConflictsRequest'),
    response: rawCodec,
  });
  implementation['WatchConflicts'] = (
    call: ConflictCall & { request: WatchConflictsRequest__Output | MalformedMessage },
  ): void => {
    try {
      const request = wellFormed(call.request);
      authorize(env, call, 'operate', undefined);
      const refusal = env.load.refusal(0);
      if (refusal !== undefined) throw refusal;
      if (env.load.streams >= env.limits.subscribersMax) {
        throw new CausewayError('OVERLOADED', `the node has ${env.load.streams} streams, its limit`, {
          retryAfterMs: 1000,
        });
      }
      const tail = tailOf(request);
      new ConflictStream(call, env).start(tail);
    } catch (error) {
      call.emit('error', toStatus(toCausewayError(error)));
    }
  };

  env.signals.expect(Object.keys(definition));
  return {
    definition: definition as Record<string, WireMethod<never, Buffer>>,
    implementation: implementation as UntypedServiceImplementation,
  };
}

/** Never throws: the region's callbacks must not. */
function changeMessage(
  changed: CollectionChange | CausewayError,
  message: (collection: object, changed: boolean) => object,
): object | CausewayError {
  if (changed instanceof CausewayError) return changed;
  const [collection] = changed.collections;
  if (collection !== undefined) return message(collectionDocument(collection), changed.changed);
  return new CausewayError('INTERNAL', 'a change of a collection without the collection');
}

function statusMessage(status: RegionStatus): object {
  const { log } = status;
  return {
    region: status.region,
    node: status.node,
    version: status.version,
    startedAtMs: status.startedAtMs,
    nowMs: status.nowMs,
    state: status.state,
    stateReason: status.stateReason,
    log: {
      engine: log.engine,
      durable: log.durable,
      detail: log.detail,
      state: log.state.kind,
      stateReason: log.state.kind === 'ready' ? '' : log.state.reason,
      bytes: log.bytes,
    },
    store: status.store,
    peers: status.peers.map((peer) => ({ ...peer, unacknowledgedUnknown: peer.unacknowledgedOps === undefined })),
    shards: status.shards.map((shard) => ({
      shard: shard.shard,
      origins: shard.origins.map((origin) => ({
        ...origin,
        watermark: wireNumber(origin.watermark),
        held: origin.held ?? '',
      })),
      ownOrigin: shard.ownOrigin ?? '',
      parkedBatches: shard.parkedBatches,
      tombstones: shard.tombstones,
    })),
    collections: status.collections.map((collection) => ({
      namespace: collection.namespace,
      collection: collectionMessage(collection),
    })),
    keys: status.keys,
    counters: status.counters,
    alarms: status.alarms,
    clock: status.clock,
    hotWritten: status.hotKeys.written,
    hotRead: status.hotKeys.read,
  };
}

function ownerMessage({ shard, owner, pinned = '', loadPerS }: ShardOwner): object {
  return { shard, node: owner?.node ?? '', address: owner?.address ?? '', pinned, loadPerS };
}

/** The watermark of a closed origin is infinite (DESIGN 7), which no integer on the wire is. */
function wireNumber(value: number): number {
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}

function digestMessage(digest: ShardDigest): object {
  return {
    shard: digest.shard,
    digest: digest.digest,
    keys: digest.keys,
    asOfMs: digest.asOfMs,
    vector: Array.from(digest.vector, ([origin, seq]) => ({ origin, seq })),
  };
}

function noSuchLoser(region: string, shard: ShardId, { origin, seq }: Dot): CausewayError {
  return new CausewayError(
    'KEY_NOT_FOUND',
    `the conflict journal of ${region} has no loser ${origin}:${seq} in shard ${shard}`,
    { hint: 'ask the region that wrote the loser; entries are dropped when they are old or too many' },
  );
}
