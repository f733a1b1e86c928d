// Names of shards, `placement/index`, and what a request says of them.

import { CausewayError } from '../errors/errors.ts';

/** For a request's `shards`. Throws CausewayError INVALID_ARGUMENT. */
export function shardIndexes(shards: readonly string[] = []): number[] {
  return shards.map((shard) => {
    const index = /^[0-9]+\/([0-9]+)$/.exec(shard)?.[1];
    if (index === undefined) {
      throw new CausewayError('INVALID_ARGUMENT', `a shard has the form placement/index, e.g. 1/3; got '${shard}'`);
    }
    return Number(index);
  });
}
