// Who owns which shard of the region, as far as this node knows: where a request goes.

import { CausewayError } from '../errors/errors.ts';
import type { RegionId, ShardId } from '../record/ids.ts';
import type { SharedOwnership } from './siblings.ts';

/** Where the owner is reached. */
export type Owner = string;

/** This node. */
export const HERE: Owner = '';

export class Owners {
  readonly #region: RegionId;
  readonly #node: string;
  readonly #ownership: SharedOwnership;

  constructor(region: RegionId, node: string, ownership: SharedOwnership) {
    this.#region = region;
    this.#node = node;
    this.#ownership = ownership;
  }

  of(shard: ShardId): Owner | undefined {
    if (this.#ownership.owns(shard)) return HERE;
    const owner = this.#ownership.ownerOf(shard);
    if (owner === undefined) return undefined;
    return owner.node === this.#node ? HERE : owner.address;
  }

  /** By owner; or why that cannot be said. */
  partsOf(shards: Iterable<ShardId>): Map<Owner, Set<ShardId>> | CausewayError {
    const parts = new Map<Owner, Set<ShardId>>();
    for (const shard of shards) {
      const owner = this.of(shard);
      if (owner === undefined) return this.noOwner(shard);
      const part = parts.get(owner);
      if (part === undefined) parts.set(owner, new Set([shard]));
      else part.add(shard);
    }
    return parts;
  }

  noOwner(shard: ShardId): CausewayError {
    return new CausewayError('NOT_READY', `shard ${shard} of ${this.#region} has no owner just now`, {
      hint: 'try again: it has one when the lease of the one before is over',
    });
  }

  moving(shard: ShardId): CausewayError {
    return new CausewayError('NOT_READY', `shard ${shard} of ${this.#region} is moving to another node`, {
      hint: 'try again when what is under way has been answered',
    });
  }

  /** What was asked of another node and has failed: without it the answer would be smaller than it looks. */
  failed(owner: Owner, shards: Iterable<ShardId>, error: CausewayError): CausewayError {
    if (owner === HERE || (error.code !== 'UNAVAILABLE' && error.code !== 'DEADLINE_EXCEEDED')) return error;
    const which = [...shards].join(', ');
    return new CausewayError(
      error.code,
      `${which} of ${this.#region} are at ${owner}, which did not answer: ${error.message}`,
      {
        retriable: true,
        outcome: error.outcome,
        hint: 'try again: if that node is gone, another one has them within seconds',
        cause: error,
      },
    );
  }

  /** An owner has answered, and not for this. */
  untold(owner: Owner, shard: ShardId): CausewayError {
    const who = owner === HERE ? 'this node' : owner;
    return new CausewayError(
      'NOT_READY',
      `${who} has said nothing of shard ${shard} of ${this.#region}, which is its own`,
      {
        retriable: true,
        hint: 'try again shortly: it takes the shard over, or has just given it up. A node of an older version cannot be asked for it by another one.',
      },
    );
  }
}

/** All answers, or the first error. */
export function gather<T>(
  asks: readonly ((answered: (result: T | CausewayError) => void) => void)[],
  done: (results: readonly T[] | CausewayError) => void,
): void {
  const results = new Array<T>(asks.length);
  let failed: CausewayError | undefined;
  let left = asks.length;
  if (left === 0) done(results);
  asks.forEach((ask, i) =>
    ask((result) => {
      if (result instanceof CausewayError) failed ??= result;
      else results[i] = result;
      if (--left === 0) done(failed ?? results);
    }),
  );
}
