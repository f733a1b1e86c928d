// Where a consumer group's state lies: keys of one register-lww collection.
//   {<namespace>/<group>}/cursor/<region>/<shard>   how far the group is, as said by members in that region
//   {<namespace>/<group>}/lease/<region>/<shard>    which member of that region reads the shard, as long as it is alive
//   {<namespace>/<group>}/member/<region>/<member>  that the member is alive; goes when it is not renewed
// The tag in braces puts a group into one shard, so that what is read of it is one state. A region writes keys with its own name only: two
// regions never write the same key, and last-writer-wins between regions has nothing to decide. (One key for all regions would let the
// later of two commits win over the higher; siblings of a register-mv would be joined as well, but leases need a register-lww to
// compare and set, and then there would be two collections to configure.)

import { CausewayError } from '../../errors/errors.ts';

/** Unless the caller names another; docs/CONSUMERS.md. */
export const GROUPS_COLLECTION = 'consumer-groups';

const NAME_PATTERN = /^[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9_])?$/;

export type KeyKind = 'cursor' | 'lease' | 'member';

export interface GroupKey {
  readonly group: string;
  readonly kind: KeyKind;
  readonly region: string;
  /** A shard, or a member. */
  readonly name: string;
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function checkGroupName(what: string, name: string): string {
  if (NAME_PATTERN.test(name)) return name;
  throw new CausewayError(
    'INVALID_ARGUMENT',
    `${what} is 1 to 64 of a-z, A-Z, 0-9, '_', '.' and '-', the last two not at an end; got '${name}'`,
  );
}

/** Of everything that is stored for groups of a namespace. */
export function groupsPrefix(namespace: string): string {
  return `{${namespace}/`;
}

export function groupPrefix(namespace: string, group: string, kind?: KeyKind, region?: string): string {
  const all = `${groupsPrefix(namespace)}${group}}/`;
  if (kind === undefined) return all;
  return region === undefined ? `${all}${kind}/` : `${all}${kind}/${region}/`;
}

/** undefined: a key of somebody else. */
export function parseGroupKey(key: string): GroupKey | undefined {
  const match = /^\{[^/}]+\/([^/}]+)\}\/(cursor|lease|member)\/([^/]+)\/(.+)$/.exec(key);
  if (match === null) return undefined;
  const [, group, kind, region, name] = match as unknown as readonly string[];
  return { group: group!, kind: kind as KeyKind, region: region!, name: name! };
}
