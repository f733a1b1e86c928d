// What a consumer's options must be.

import { CausewayError } from '../../errors/errors.ts';
import { checkGroupName } from './group-keys.ts';
import type { ConsumerOptions } from './options.ts';

const LEASE_MS_MIN = 500;

/** Throws CausewayError INVALID_ARGUMENT. */
export function checkOptions(
  options: ConsumerOptions,
  namespace: string,
  groups: { readonly namespace: string; readonly collection: string },
): void {
  const { group, collections, leaseMs = LEASE_MS_MIN, autoCommitMs = 1, from } = options;
  const wrong = (what: string): CausewayError => new CausewayError('INVALID_ARGUMENT', what);
  checkGroupName('group', group);
  if (!Array.isArray(collections) || collections.length === 0) throw wrong('a consumer names at least one collection');
  if (groups.namespace === namespace && collections.includes(groups.collection)) {
    throw wrong(
      `'${groups.collection}' is where groups keep their own state: a group that followed it would wake itself`,
    );
  }
  if (!(leaseMs >= LEASE_MS_MIN && leaseMs <= 3_600_000)) {
    throw wrong(`leaseMs is ${LEASE_MS_MIN} to 3,600,000; got ${leaseMs}`);
  }
  if (autoCommitMs !== false && !(autoCommitMs >= 1))
    throw wrong(`autoCommitMs is at least 1, or false; got ${autoCommitMs}`);
  if (from instanceof Date && Number.isNaN(from.getTime())) throw wrong('from is an invalid Date');
}
