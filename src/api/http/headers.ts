// What an answer says about itself: how fresh it is, how long caches may keep it, and what the session has now seen.
//
// A cache in front of the node adds at most `max-age` to the staleness that the answer says of itself (Causeway-Staleness-Ms); how much
// of it has passed is the cache's Age header. By default max-age is 0 (`no-cache`: keep it, but ask with If-None-Match each time, which is
// answered from memory and adds nothing). Whoever wants the edge to answer by itself asks for it, by read or by listener.
// Never kept: what a session asked for (another reader's cache entry may be older than what the session has seen) and stale answers.

import type { View } from '../../merge/types.ts';
import type { OriginId, ShardId } from '../../record/ids.ts';
import type { SessionToken } from '../../region/region.ts';
import { sessionToText } from '../tokens.ts';
import type { Headers, HttpEnv } from './exchange.ts';
import { SESSION_HEADER } from './parameters.ts';

/** Entries of a session that goes into a header: beyond, those with the lowest stamps go, because every region passed those first. The
 *  client library has the same bound. About 45 characters each. */
const SESSION_ENTRIES_MAX = 1024;

/** How far this region may be behind; `unknown` while a region has not been heard of. I14: by watermarks. */
export function stalenessHeader(env: HttpEnv, namespace: string): Headers {
  const ms = env.region.stalenessMs(namespace);
  return { 'Causeway-Staleness-Ms': ms === undefined ? 'unknown' : String(Math.max(0, Math.ceil(ms))) };
}

export interface Cacheable {
  readonly seconds: number;
  /** A session, or a consistency above local, was asked for. */
  readonly personal: boolean;
  readonly stale: boolean;
  readonly view?: View | undefined;
  readonly nowMs: number;
}

export function cacheHeaders({ seconds, personal, stale, view, nowMs }: Cacheable): Headers {
  return {
    'Cache-Control': personal || stale ? 'no-store' : cacheControl(seconds, view, nowMs),
    // The label of the same bytes depends on Accept; and what was kept without a session must not answer one.
    Vary: 'Accept, Causeway-Session, Causeway-Consistency, Causeway-Max-Stale-Ms',
  };
}

/** Without `public`: a later version that asks who reads must not find its answers shared. */
function cacheControl(seconds: number, view: View | undefined, nowMs: number): string {
  const expiresAtMs = view?.type === 'register-lww' ? view.expiresAtMs : undefined;
  const left = expiresAtMs === undefined ? Infinity : Math.floor((expiresAtMs - nowMs) / 1000);
  const maxAge = Math.max(0, Math.min(seconds, left));
  return maxAge === 0 ? 'no-cache' : `max-age=${maxAge}`;
}

/** What the answer is a cut of, for levels that promise one. */
export function asOfHeader(asOfStamp: number | undefined): Headers {
  return asOfStamp === undefined ? {} : { 'Causeway-As-Of-Stamp': String(asOfStamp) };
}

/** What the caller had seen and what this answer adds. */
export function sessionHeader(env: HttpEnv, before: SessionToken | undefined, added: SessionToken): Headers {
  const session = before === undefined ? added : joined(before, added);
  return { [SESSION_HEADER]: sessionToText(bounded(session), env.clusterId) };
}

function joined(a: SessionToken, b: SessionToken): SessionToken {
  const shards = new Map<ShardId, Map<OriginId, number>>();
  for (const session of [a, b]) {
    for (const [shard, stamps] of session) {
      let into = shards.get(shard);
      if (into === undefined) shards.set(shard, (into = new Map()));
      for (const [origin, stamp] of stamps) into.set(origin, Math.max(stamp, into.get(origin) ?? 0));
    }
  }
  return shards;
}

function bounded(session: SessionToken): SessionToken {
  const entries = [...session].flatMap(([shard, stamps]) =>
    Array.from(stamps, ([origin, stamp]) => ({ shard, origin, stamp })),
  );
  if (entries.length <= SESSION_ENTRIES_MAX) return session;
  const kept = new Map<ShardId, Map<OriginId, number>>();
  for (const { shard, origin, stamp } of entries.toSorted((a, b) => b.stamp - a.stamp).slice(0, SESSION_ENTRIES_MAX)) {
    const stamps = kept.get(shard);
    if (stamps === undefined) kept.set(shard, new Map([[origin, stamp]]));
    else stamps.set(origin, stamp);
  }
  return kept;
}
