// Consumer groups as operators see them: which there are, how far each is, and a group that is to begin anew.

import { CausewayError } from '../../errors/errors.ts';
import type { System } from '../../system/system.ts';
import { Calls, type CallDefaults } from '../calls.ts';
import type { Endpoints } from '../endpoints.ts';
import { Session } from '../session.ts';
import type { CallOptions } from '../types.ts';
import { readFront } from './front.ts';
import { checkGroupName, groupPrefix, groupsPrefix, GROUPS_COLLECTION } from './group-keys.ts';
import { GroupState, scanGroups } from './group-state.ts';
import type { GroupsLocation } from './options.ts';
import { joinProgress, opsBetween, progressOf, type Progress, type StoredProgress } from './progress.ts';
import { checkGroupsCollection } from './sitting.ts';

export interface GroupMember {
  readonly member: string;
  readonly region: string;
}

export interface GroupShard {
  readonly shard: string;
  /** Who reads it, by region; empty: nobody. */
  readonly readers: readonly GroupMember[];
  /** Unix ms of the last commit; undefined: there was none. */
  readonly committedAtMs: number | undefined;
  readonly epoch: number;
  /** What the region that answers has and the group has not committed; what matches nothing counts too. */
  readonly lagOps: number;
}

export interface GroupInfo {
  readonly group: string;
  readonly members: readonly GroupMember[];
  readonly shards: readonly GroupShard[];
}

export interface ConsumerGroupsParts {
  readonly endpoints: Endpoints;
  readonly system: System;
  readonly defaults: CallDefaults;
}

interface Found {
  readonly members: GroupMember[];
  readonly leases: Map<string, GroupMember[]>;
  readonly cursors: Map<string, { progress: Progress; atMs: number }>;
}

/** Of one namespace, as the region in use has heard. */
export class ConsumerGroups {
  readonly #parts: ConsumerGroupsParts;
  readonly #location: { readonly namespace: string; readonly collection: string };
  readonly #calls: Calls;

  constructor(parts: ConsumerGroupsParts, location: GroupsLocation) {
    const { defaults, endpoints, system } = parts;
    const { namespace = defaults.namespace, collection = GROUPS_COLLECTION } = location;
    this.#parts = parts;
    this.#location = { namespace, collection };
    this.#calls = new Calls(endpoints, system, new Session(), {
      ...defaults,
      namespace,
      consistency: 'local',
      tracer: undefined,
    });
  }

  /** Names, sorted. */
  async list(options: CallOptions = {}): Promise<string[]> {
    await checkGroupsCollection(this.#calls, this.#location, options);
    const names = new Set<string>();
    const prefix = groupsPrefix(this.#parts.defaults.namespace);
    for await (const { key } of scanGroups(this.#calls, this.#location.collection, prefix, options))
      names.add(key.group);
    return [...names].toSorted();
  }

  /** Throws CausewayError KEY_NOT_FOUND: nothing is known of a group of that name. */
  async show(group: string, options: CallOptions = {}): Promise<GroupInfo> {
    const { shards } = await this.#topology(options);
    const { members, leases, cursors } = await this.#find(group, options);
    const front = await this.#front(shards, options);
    return {
      group,
      members,
      shards: shards.map((shard) => {
        const cursor = cursors.get(shard);
        const { epoch = 0, vector = new Map<string, number>() } = cursor?.progress ?? {};
        return {
          shard,
          readers: leases.get(shard) ?? [],
          committedAtMs: cursor?.atMs,
          epoch,
          lagOps: opsBetween(vector, front.get(shard) ?? new Map<string, number>()),
        };
      }),
    };
  }

  /**
   * Begins the group anew in every shard, from the beginning or from now: the next epoch, so that no commit of before counts. Throws
   * CausewayError PRECONDITION_FAILED while it has members, unless `force`: those in the region in use go on from the new place with their next
   * commit, those elsewhere when they take their shards again.
   */
  async reset(
    group: string,
    to: 'beginning' | 'now',
    { force = false, ...options }: CallOptions & { readonly force?: boolean } = {},
  ): Promise<void> {
    const { region, shards } = await this.#topology(options);
    const { members, cursors } = await this.#find(group, options);
    if (members.length > 0 && !force) {
      const names = members.map(({ member, region: where }) => `${member} in ${where}`).join(', ');
      throw new CausewayError('PRECONDITION_FAILED', `group '${group}' has members: ${names}`, {
        hint: 'stop them first, wait until their leases have ended, or force it',
      });
    }
    const front = to === 'now' ? await this.#front(shards, options) : new Map<string, ReadonlyMap<string, number>>();
    const anew = new Map(
      shards.map((shard) => {
        const epoch = (cursors.get(shard)?.progress.epoch ?? 0) + 1;
        return [shard, { epoch, vector: front.get(shard) ?? new Map<string, number>() }];
      }),
    );
    const { namespace } = this.#parts.defaults;
    const scope = { namespace, group, collection: this.#location.collection, region, member: 'reset' };
    const state = new GroupState(this.#calls, scope, options);
    await state.commit(anew, this.#parts.system.clock.nowMs());
  }

  async #find(group: string, options: CallOptions): Promise<Found> {
    checkGroupName('group', group);
    await checkGroupsCollection(this.#calls, this.#location, options);
    const found: Found = { members: [], leases: new Map(), cursors: new Map() };
    const prefix = groupPrefix(this.#parts.defaults.namespace, group);
    let any = false;
    for await (const { key, value } of scanGroups(this.#calls, this.#location.collection, prefix, options)) {
      any = true;
      const { kind, region, name } = key;
      if (kind === 'member') found.members.push({ member: name, region });
      if (kind === 'lease') {
        const { member } = value as { member: string };
        found.leases.set(name, [...(found.leases.get(name) ?? []), { member, region }]);
      }
      if (kind === 'cursor') {
        const stored = value as StoredProgress;
        const [before, progress] = [found.cursors.get(name), progressOf(name, stored)];
        found.cursors.set(name, {
          progress: before === undefined ? progress : joinProgress(before.progress, progress),
          atMs: Math.max(before?.atMs ?? 0, stored.atMs),
        });
      }
    }
    const alive = new Set(found.members.map(({ member, region }) => `${region}/${member}`));
    for (const [shard, readers] of found.leases) {
      // The lease of one that died stands until somebody takes it.
      found.leases.set(
        shard,
        readers.filter(({ member, region }) => alive.has(`${region}/${member}`)),
      );
    }
    if (any) return found;
    throw new CausewayError('KEY_NOT_FOUND', `nothing is known of a group '${group}' here`, {
      hint: 'a group is there from the first commit or member on; see `causeway group list`',
    });
  }

  async #topology(options: CallOptions): Promise<{ readonly region: string; readonly shards: readonly string[] }> {
    const { defaults, endpoints, system } = this.#parts;
    const calls = new Calls(endpoints, system, new Session(), defaults);
    const { region, namespaces } = await calls.topology(options);
    const { placementId = 0, shards = 0 } = namespaces.find(({ name }) => name === defaults.namespace) ?? {};
    return { region, shards: Array.from({ length: shards }, (_, index) => `${placementId}/${index}`) };
  }

  #front(shards: readonly string[], options: CallOptions): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
    const { endpoints, system, defaults } = this.#parts;
    const { signal = new AbortController().signal, deadlineMs = defaults.deadlineMs } = options;
    return readFront({ endpoints, system, namespace: defaults.namespace }, shards, [], { signal, deadlineMs });
  }
}
