// Whether a batch that came from a peer may be taken now. Pure: state in, decision out; the engine acts on it.
//
// The order of the questions matters. Identity first (is it in order, is it the same history), then the clock, then causality: a
// duplicate of something poisoned is still only a duplicate, and a fork must not hide behind a dependency that never comes.

import { isTooFarAhead } from '../clock/skew.ts';
import type { Batch, BatchHeader, OrderedDeps } from '../record/batch.ts';
import { originRegion, type OriginId, type ShardId } from '../record/ids.ts';
import { GUARDS } from './guards.ts';
import type { Origin, OriginTable } from './origins.ts';

export type Decision =
  | { readonly kind: 'apply' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'gap'; /** the next seq that is wanted */ readonly from: number }
  | { readonly kind: 'wait'; readonly missing: readonly { origin: OriginId; have: number; need: number }[] }
  | { readonly kind: 'hold'; readonly stamp: number }
  | { readonly kind: 'frozen'; readonly upTo: number }
  | { readonly kind: 'beyond-end'; readonly end: number }
  | { readonly kind: 'stopped'; readonly reason: string }
  | { readonly kind: 'fork'; readonly message: string }
  | { readonly kind: 'quarantine'; readonly message: string }
  | { readonly kind: 'misrouted'; readonly message: string };

const APPLY: Decision = { kind: 'apply' };
const DUPLICATE: Decision = { kind: 'duplicate' };

export interface DecisionContext {
  readonly shard: ShardId;
  readonly ownOrigin: OriginId | undefined;
  readonly origins: OriginTable;
  readonly nowMs: number;
  readonly maxSkewMs: number;
  isMember(region: string): boolean;
}

/** What the fixed header alone can tell. `apply` here means: decode the rest and ask decideDeps(). */
export function decideHeader(header: BatchHeader, context: DecisionContext): Decision {
  const { origins } = context;
  if (header.shard !== context.shard) {
    return { kind: 'misrouted', message: `a batch of shard ${header.shard} came to shard ${context.shard}` };
  }
  if (!context.isMember(originRegion(header.origin))) {
    return { kind: 'misrouted', message: `${header.origin} is of a region that does not hold shard ${header.shard}` };
  }
  const origin = origins.get(header.origin);
  const taken = origin?.takenSeq ?? 0;
  if (header.lastSeq <= taken && GUARDS.duplicateCheck) return DUPLICATE;
  if (header.origin === context.ownOrigin) {
    return {
      kind: 'fork',
      message: `a peer has op ${header.lastSeq} of our live origin ${header.origin}, and we have given out ${taken}: another process uses our identity`,
    };
  }
  if (origin?.hold !== undefined && origin.hold.kind !== 'clock')
    return { kind: 'stopped', reason: origin.hold.message };
  const upTo = origins.acceptedUpTo(header.origin, context.nowMs);
  if (header.lastSeq > upTo) {
    return origin?.end !== undefined ? { kind: 'beyond-end', end: upTo } : { kind: 'frozen', upTo };
  }
  if (header.firstSeq > taken + 1 && GUARDS.gapCheck) {
    // Behind a batch that is held: nothing is lost that could be asked for, and it would only fill the room of those that wait.
    const hold = origin?.hold;
    if (hold?.kind === 'clock' && isTooFarAhead(hold.stamp, context.nowMs, context.maxSkewMs)) {
      return { kind: 'hold', stamp: hold.stamp };
    }
    return { kind: 'gap', from: taken + 1 };
  }
  if (header.firstSeq <= taken && GUARDS.duplicateCheck) {
    return {
      kind: 'fork',
      message: `a batch ${header.firstSeq}..${header.lastSeq} of ${header.origin} straddles op ${taken}, where another batch ended here`,
    };
  }
  if (origin !== undefined && taken > 0 && GUARDS.forkCheck && GUARDS.duplicateCheck && GUARDS.gapCheck) {
    const fork = forkOf(header, origin);
    if (fork !== undefined) return fork;
  }
  if (GUARDS.clockGuard && isTooFarAhead(header.lastStamp, context.nowMs, context.maxSkewMs)) {
    return { kind: 'hold', stamp: header.lastStamp };
  }
  return APPLY;
}

function forkOf(header: BatchHeader, origin: Origin): Decision | undefined {
  if (!header.previousChecksum.equals(origin.takenChecksum)) {
    return {
      kind: 'fork',
      message: `op ${header.firstSeq} of ${header.origin} continues another history than the one that is here (previous checksum ${header.previousChecksum.toString('hex')}, here ${Buffer.from(origin.takenChecksum).toString('hex')})`,
    };
  }
  if (header.firstStamp <= origin.takenStamp) {
    return {
      kind: 'quarantine',
      message: `op ${header.firstSeq} of ${header.origin} has stamp ${header.firstStamp}, not above ${origin.takenStamp} of the one before it`,
    };
  }
  return undefined;
}

/** I4: not before everything that its author had taken when it was prepared. */
export function decideDeps(batch: Batch, context: DecisionContext): Decision {
  if (!GUARDS.depsCheck) return APPLY;
  const missing = missingDeps(batch.deps, context.origins);
  return missing.length === 0 ? APPLY : { kind: 'wait', missing };
}

function missingDeps(deps: OrderedDeps, origins: OriginTable): { origin: OriginId; have: number; need: number }[] {
  const missing: { origin: OriginId; have: number; need: number }[] = [];
  for (let i = 0; i < deps.origins.length; i++) {
    const origin = deps.origins[i]!;
    const need = deps.seqs[i]!;
    const have = origins.taken.get(origin) ?? 0;
    if (have < need) missing.push({ origin, have, need });
  }
  return missing;
}
