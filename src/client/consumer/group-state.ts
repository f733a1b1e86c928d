// What a group has stored in Causeway, as one of its members sees and changes it: cursors, leases, members (group-keys.ts).
// Every change is a compare-and-set in the member's region, so that of two members that believe the same thing is theirs one is told.
// Nothing here waits longer than the calls' own deadline.

import { CausewayError } from '../../errors/errors.ts';
import type { Calls } from '../calls.ts';
import { decodeWith, json, type Codec } from '../codecs.ts';
import { RegisterOps } from '../handles.ts';
import type { CallOptions, Op, Version, WriteAck } from '../types.ts';
import { groupPrefix, parseGroupKey, type GroupKey, type KeyKind } from './group-keys.ts';
import { covers, cursorOf, joinProgress, progressOf, type Progress, type StoredProgress } from './progress.ts';

interface Lease {
  readonly member: string;
  readonly version: Version;
}

export interface Snapshot {
  readonly members: ReadonlySet<string>;
  /** By shard, of members that are alive. */
  readonly leases: ReadonlyMap<string, Lease>;
  /** By shard, of members that are not. */
  readonly abandoned: ReadonlyMap<string, Version>;
}

interface Kept {
  readonly progress: Progress;
  readonly version: Version;
}

/** Each try meets another member's commit in between; so many in a row are no coincidence. */
const COMMIT_TRIES_MAX = 10;

export interface GroupScope {
  /** Whose changes the group follows. */
  readonly namespace: string;
  readonly group: string;
  /** The groups' collection. */
  readonly collection: string;
  readonly region: string;
  readonly member: string;
}

export class GroupState {
  readonly #calls: Calls;
  readonly #scope: GroupScope;
  readonly #options: CallOptions;
  readonly #leases: RegisterOps<{ member: string }>;
  readonly #cursors: RegisterOps<StoredProgress>;
  /** What we last said of being alive. */
  #alive: Version | undefined;
  /** What this region's cursor keys held when they were last seen here. */
  readonly #kept = new Map<string, Kept>();

  constructor(calls: Calls, scope: GroupScope, options: CallOptions) {
    this.#calls = calls;
    this.#scope = scope;
    this.#options = options;
    this.#leases = new RegisterOps(scope.collection, json());
    this.#cursors = new RegisterOps(scope.collection, json());
  }

  /** Says that the member is alive until `untilMs` (Unix ms, the region's time). False: it had not said so in time, so others may have taken
   *  its shards; then it is alive anew. */
  async renew(untilMs: number): Promise<boolean> {
    const key = this.#key('member', this.#scope.member);
    const value = { member: this.#scope.member };
    const options = { expiresAtMs: untilMs };
    const before = this.#alive;
    const [renewed] = await this.#write([
      before === undefined
        ? this.#leases.set(key, value, options)
        : this.#leases.compareAndSet(key, before, value, options),
    ]);
    const version = versionsOf([key], [renewed!]).get(key);
    this.#alive = version;
    if (version === undefined) await this.renew(untilMs);
    return before !== undefined && version !== undefined;
  }

  /** Of shards that nobody alive has: the versions of the leases that it got. */
  async claim(shards: readonly string[], { abandoned }: Snapshot): Promise<Map<string, Version>> {
    if (shards.length === 0) return new Map();
    const value = { member: this.#scope.member };
    const ops = shards.map((shard) => {
      const [key, version] = [this.#key('lease', shard), abandoned.get(shard)];
      return version === undefined
        ? this.#leases.createIfAbsent(key, value)
        : this.#leases.compareAndSet(key, version, value);
    });
    return versionsOf(shards, await this.#write(ops));
  }

  async release(leases: ReadonlyMap<string, Version>): Promise<void> {
    const ops = Array.from(leases, ([shard, version]): Op => ({
      ...this.#leases.delete(this.#key('lease', shard)),
      condition: { kind: 'version', version },
    }));
    if (ops.length > 0) versionsOf([...leases.keys()], await this.#write(ops));
  }

  async leave(): Promise<void> {
    const [result] = await this.#write([this.#leases.delete(this.#key('member', this.#scope.member))]);
    if (result instanceof CausewayError) throw result;
  }

  /** Who is there, and who has what, in this region. */
  async snapshot(): Promise<Snapshot> {
    const held = new Map<string, Lease>();
    for await (const { key, value, version } of this.#scan('lease', this.#scope.region)) {
      held.set(key.name, { member: (value as { member: string }).member, version });
    }
    // Members second: who took a lease had said before that it is alive, so one that is not among them now is not alive.
    const members = new Set<string>();
    for await (const { key } of this.#scan('member', this.#scope.region)) members.add(key.name);
    const leases = new Map<string, Lease>();
    const abandoned = new Map<string, Version>();
    for (const [shard, lease] of held) {
      if (members.has(lease.member)) leases.set(shard, lease);
      else abandoned.set(shard, lease.version);
    }
    return { members, leases, abandoned };
  }

  /** By shard, what members of all regions have said, as far as this region has heard. */
  async cursors(): Promise<Map<string, Progress>> {
    const joined = new Map<string, Progress>();
    for await (const { key, value, version } of this.#scan('cursor')) {
      const progress = progressOf(key.name, value as StoredProgress);
      if (key.region === this.#scope.region) this.#kept.set(key.name, { progress, version });
      const before = joined.get(key.name);
      joined.set(key.name, before === undefined ? progress : joinProgress(before, progress));
    }
    return joined;
  }

  /**
   * Stores at least this much. By shard, what is then stored: the join with what another member has stored meanwhile, or that alone when
   * its epoch is later.
   */
  async commit(wanted: ReadonlyMap<string, Progress>, atMs: number): Promise<Map<string, Progress>> {
    const { member, namespace } = this.#scope;
    const stored = new Map<string, Progress>();
    for (let tries = 0; tries < COMMIT_TRIES_MAX; tries++) {
      const next = new Map<string, Progress>();
      for (const [shard, progress] of wanted) {
        if (stored.has(shard)) continue;
        const kept = this.#kept.get(shard)?.progress;
        if (kept !== undefined && covers(kept, progress)) stored.set(shard, kept);
        else next.set(shard, kept === undefined ? progress : joinProgress(kept, progress));
      }
      if (next.size === 0) return stored;
      const shards = [...next.keys()];
      const ops = shards.map((shard) => {
        const { epoch, vector } = next.get(shard)!;
        const value = { epoch, cursor: cursorOf(shard, vector, namespace), member, atMs };
        const kept = this.#kept.get(shard);
        const key = this.#key('cursor', shard);
        return kept === undefined
          ? this.#cursors.createIfAbsent(key, value)
          : this.#cursors.compareAndSet(key, kept.version, value);
      });
      const versions = versionsOf(shards, await this.#write(ops));
      for (const [shard, version] of versions) {
        const progress = next.get(shard)!;
        this.#kept.set(shard, { progress, version });
        stored.set(shard, progress);
      }
      if (versions.size < shards.length) await this.#lookAgain(shards.filter((shard) => !versions.has(shard)));
    }
    if (stored.size === wanted.size) return stored;
    throw new CausewayError(
      'UNAVAILABLE',
      'other members commit the same shards all the time: are there two groups of one name?',
      {
        outcome: 'not-applied',
      },
    );
  }

  async #lookAgain(shards: readonly string[]): Promise<void> {
    const codec = json<StoredProgress>();
    const keys = shards.map((shard) => this.#key('cursor', shard));
    const { views } = await this.#calls.read(this.#scope.collection, keys, { ...this.#options, consistency: 'local' });
    for (const [i, shard] of shards.entries()) {
      const view = views[i];
      if (view?.type !== 'register-lww') {
        this.#kept.delete(shard);
        continue;
      }
      const stored = decodeWith(codec, view.value, this.#scope.collection, keys[i]!);
      this.#kept.set(shard, { progress: progressOf(shard, stored), version: view.version });
    }
  }

  #write(ops: readonly Op[]): Promise<(WriteAck | CausewayError)[]> {
    return this.#calls.write(ops, { ...this.#options, durability: 'local' });
  }

  #key(kind: KeyKind, name: string): string {
    const { namespace, group, region } = this.#scope;
    return `${groupPrefix(namespace, group, kind, region)}${name}`;
  }

  #scan(kind: KeyKind, region?: string): AsyncGenerator<StoredEntry, void, undefined> {
    const { namespace, group, collection } = this.#scope;
    return scanGroups(this.#calls, collection, groupPrefix(namespace, group, kind, region), this.#options);
  }
}

export interface StoredEntry {
  readonly key: GroupKey;
  readonly value: unknown;
  readonly version: Version;
}

/** Everything below a prefix that is a group's. */
export async function* scanGroups(
  calls: Calls,
  collection: string,
  prefix: string,
  options: CallOptions,
): AsyncGenerator<StoredEntry, void, undefined> {
  const codec: Codec<unknown> = json();
  let pageToken = '';
  do {
    const page = await calls.scan(collection, { ...options, prefix, pageToken, pageSize: 1000, consistency: 'local' });
    for (const { key: name, view } of page.entries) {
      const key = parseGroupKey(name);
      if (key === undefined || view.type !== 'register-lww') continue;
      yield { key, value: decodeWith(codec, view.value, collection, name), version: view.version };
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}

/** Of those that were written; one whose condition did not hold is left out. Throws whatever else an op failed with. */
function versionsOf(shards: readonly string[], results: readonly (WriteAck | CausewayError)[]): Map<string, Version> {
  const versions = new Map<string, Version>();
  for (const [i, shard] of shards.entries()) {
    const result = results[i]!;
    if (!(result instanceof CausewayError)) versions.set(shard, result.version);
    else if (result.code !== 'PRECONDITION_FAILED') throw result;
  }
  return versions;
}
