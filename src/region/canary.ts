// Canaries: small writes that each region makes for each peer again and again while tracing is on, and that the peer answers with one of its own. What a client's
// write goes through they go through, both ways, so that there is always a whole trace to look at, and a round trip that is measured where it counts.
//
// They are writes like any other (`_system/canaries`): counted as such, in the digest, in the log. Two keys for each pair of regions, written again and again.
// I12 PENDING_MAX that have no answer yet for each peer; at the bound none is written until one is lost, so that a peer that is away costs five small writes in half a
//     minute, and is not flooded when it is back.

import { msOfStamp } from '../clock/hlc.ts';
import { Histogram, LAG_SECONDS } from '../metrics/histogram.ts';
import { mergeOf } from '../merge/merge.ts';
import type { RegionId } from '../record/ids.ts';
import type { System } from '../system/system.ts';
import { PEER, SPANS } from '../tracing/attributes.ts';
import { CANARIES, type LandedCanary } from '../tracing/canaries.ts';
import { contextBytes, type SpanContext } from '../tracing/context.ts';
import type { Tracing } from '../tracing/tracing.ts';

const PENDING_MAX = 5;
const LOST_AFTER_MS = 30_000;

export interface CanaryParts {
  readonly region: RegionId;
  readonly peers: readonly RegionId[];
  readonly system: Pick<System, 'clock' | 'timers'>;
  readonly tracing: Tracing;
  /** Writes one; false: not now. `other`: a placement that both are members of. */
  readonly write: (key: string, value: Uint8Array, trace: Uint8Array, other: RegionId) => boolean;
}

interface Flying {
  readonly context: SpanContext;
  readonly sentMs: number;
  readonly startMs: number;
}

class PeerCanaries {
  readonly flying = new Map<number, Flying>();
  readonly roundTrip = new Histogram(LAG_SECONDS);
  lost = 0;
}

export class Canaries {
  readonly #parts: CanaryParts;
  readonly #peers: ReadonlyMap<RegionId, PeerCanaries>;
  #next = 1;

  constructor(parts: CanaryParts) {
    this.#parts = parts;
    this.#peers = new Map(parts.peers.map((peer) => [peer, new PeerCanaries()]));
    parts.tracing.onCanary = (canary) => {
      // Out of the turn in which it landed: what comes of it is a write.
      parts.system.timers.soon(() => this.#landed(canary));
    };
  }

  of(peer: RegionId): { readonly roundTrip: Histogram; readonly lost: number } | undefined {
    return this.#peers.get(peer);
  }

  /** One to each peer. */
  send(): void {
    const { region, system, tracing, write } = this.#parts;
    const sentMs = system.clock.monotonicMs();
    for (const [peer, canaries] of this.#peers) {
      this.#forget(peer, canaries, sentMs);
      if (canaries.flying.size >= PENDING_MAX) continue;
      const n = this.#next++;
      const context = tracing.tracer.newTrace();
      const value = Buffer.from(JSON.stringify({ n }));
      canaries.flying.set(n, { context, sentMs, startMs: tracing.tracer.nowMs() });
      if (!write(`${region}/${peer}`, value, contextBytes(context), peer)) canaries.flying.delete(n);
    }
  }

  #forget(peer: RegionId, canaries: PeerCanaries, nowMs: number): void {
    for (const [n, flying] of canaries.flying) {
      if (nowMs - flying.sentMs < LOST_AFTER_MS) return;
      canaries.flying.delete(n);
      canaries.lost++;
      this.#ended(peer, flying, `no answer within ${LOST_AFTER_MS / 1000} s`);
    }
  }

  #landed({ key, payload, stamp, context }: LandedCanary): void {
    const { region, system, write } = this.#parts;
    const op = mergeOf(CANARIES.type).describe(payload);
    if (op.kind !== 'put') return;
    const [from, to, echo] = key.split('/');
    // Of a peer that caught up after hours nobody waits for the old ones.
    const fresh = system.clock.nowMs() - msOfStamp(stamp) < LOST_AFTER_MS;
    if (to === region && echo === undefined && fresh) write(`${key}/echo`, op.value, context, from as RegionId);
    if (from === region && echo !== undefined) this.#answered(to as RegionId, op.value);
  }

  #answered(peer: RegionId, value: Uint8Array): void {
    const canaries = this.#peers.get(peer);
    const n = numberIn(value);
    const flying = n === undefined ? undefined : canaries?.flying.get(n);
    if (canaries === undefined || n === undefined || flying === undefined) return;
    canaries.flying.delete(n);
    canaries.roundTrip.add((this.#parts.system.clock.monotonicMs() - flying.sentMs) / 1000);
    this.#ended(peer, flying, undefined);
  }

  #ended(peer: RegionId, { context, startMs }: Flying, error: string | undefined): void {
    const { tracer } = this.#parts.tracing;
    tracer.ended(context, {
      name: SPANS.canary,
      kind: 'producer',
      startMs,
      endMs: tracer.nowMs(),
      attributes: { [PEER]: peer },
      error,
    });
  }
}

/** undefined: of another version, which says it otherwise. */
function numberIn(value: Uint8Array): number | undefined {
  try {
    const { n } = JSON.parse(Buffer.from(value).toString()) as { n?: unknown };
    return typeof n === 'number' ? n : undefined;
  } catch {
    return undefined;
  }
}
