// causeway.v1.Admin: what a node knows about itself, as it is.

import type { sendUnaryData, ServerUnaryCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { CausewayError } from '../errors/errors.ts';
import {
  type MalformedMessage,
  messageType,
  objectCodec,
  rawCodec,
  wireMethod,
  type WireMethod,
} from '../proto/load.ts';
import type { ConflictsRequest__Output } from '../proto/generated/causeway/v1/ConflictsRequest.ts';
import type { DigestsRequest__Output } from '../proto/generated/causeway/v1/DigestsRequest.ts';
import type { Conflict, RegionStatus, ShardDigest } from '../region/region.ts';
import { unary } from './data-service.ts';
import { authorize, type ServiceEnv } from './env.ts';
import { collectionMessage } from './views.ts';

const SERVICE = 'causeway.v1.Admin';
/** DESIGN: digests are pinned to a moment within the last minute; a little more, for clocks that differ. */
const DIGEST_AGE_MS_MAX = 60_000;
const DIGEST_AHEAD_MS_MAX = 10_000;

type Call<Req> = ServerUnaryCall<Req | MalformedMessage, Buffer>;
type Callback = sendUnaryData<Buffer>;

export function adminService(env: ServiceEnv): {
  definition: Record<string, WireMethod<never, Buffer>>;
  implementation: UntypedServiceImplementation;
} {
  const { region } = env;
  const definition: Record<string, unknown> = {};
  const implementation: Record<string, unknown> = {};

  const method = <Req>(name: string, answer: (request: Req) => object): void => {
    definition[name] = wireMethod(SERVICE, name, {
      request: objectCodec<object, object>(`causeway.v1.${name}Request`),
      response: rawCodec,
    });
    implementation[name] = (call: Call<Req>, callback: Callback): void =>
      unary(call, callback, (request) => {
        authorize(env, call, 'operate', undefined);
        const type = messageType(`causeway.v1.${name}Response`);
        callback(null, type.encode(answer(request) as never).finish() as Buffer);
      });
  };

  method('Ping', () => {
    const { node, version, nowMs } = region.status();
    return { region: region.id, node, version, nowMs, ready: region.ready() && !env.load.draining };
  });
  method('Status', () => ({
    ...statusMessage(region.status()),
    certificates: env.certificates().map(({ use, part, subject, notAfterMs }) => ({ use, part, subject, notAfterMs })),
  }));
  method<DigestsRequest__Output>('Digests', ({ asOfMs: asked }) => {
    const nowMs = env.system.clock.nowMs();
    const asOfMs = asked === 0 ? nowMs : asked;
    if (!(asOfMs >= nowMs - DIGEST_AGE_MS_MAX) || !(asOfMs <= nowMs + DIGEST_AHEAD_MS_MAX)) {
      throw new CausewayError(
        'INVALID_ARGUMENT',
        `as_of_ms lies within the last minute; ${asOfMs} is ${nowMs - asOfMs} ms ago`,
        { details: { field: 'as_of_ms' } },
      );
    }
    return { digests: region.digests(asOfMs).map(digestMessage) };
  });
  method<ConflictsRequest__Output>('Conflicts', ({ namespace, limit }) => {
    const all = region.conflicts();
    const wanted = namespace === '' ? all : all.filter(({ collection }) => collection.namespace === namespace);
    return { conflicts: (limit === 0 ? wanted : wanted.slice(-limit)).map(conflictMessage) };
  });

  return {
    definition: definition as Record<string, WireMethod<never, Buffer>>,
    implementation: implementation as UntypedServiceImplementation,
  };
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
    peers: status.peers,
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
  };
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

function conflictMessage(conflict: Conflict): object {
  return {
    atMs: conflict.atMs,
    shard: conflict.shard,
    namespace: conflict.collection.namespace,
    collection: collectionMessage(conflict.collection),
    key: conflict.key,
    field: conflict.field ?? '',
    loser: conflict.loser,
    ...(conflict.loserValue === undefined ? {} : { loserValue: conflict.loserValue }),
    winner: conflict.winner,
  };
}
