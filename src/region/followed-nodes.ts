// What this node knows of the shards that other nodes of its region own: definitions of collections, and how far they are behind. Each owner is asked every FOLLOW_MS, and
// leaves the definitions out while they are the same.
//
// Bound: one question to each other node at a time. What has been heard stays when an owner is away: it is as old as the silence.

import type { CausewayError } from '../errors/errors.ts';
import { shardParts, type ShardId } from '../record/ids.ts';
import type { System, TimerHandle } from '../system/system.ts';
import type { RegionNode } from './node.ts';
import { HERE, type Owner, type Owners } from './owners.ts';
import type { SharedState } from './region.ts';
import type { Siblings } from './siblings.ts';

/** What somebody waits for is asked at once (refresh()). */
const FOLLOW_MS = 500;

interface Heard {
  readonly atMs: number;
  readonly revision: string;
  readonly stalenessMs: ReadonlyMap<number, number | undefined>;
}

export class FollowedNodes {
  readonly #node: RegionNode;
  readonly #owners: Owners;
  readonly #siblings: Siblings;
  readonly #system: System;
  readonly #looked: () => void;
  readonly #heard = new Map<Owner, Heard>();
  /** Being asked, and who waits for the answer to a question that is asked after this one. */
  readonly #asking = new Map<Owner, (() => void)[]>();
  #timer: TimerHandle | undefined;

  /** `looked`: something may have been heard of. */
  constructor(node: RegionNode, owners: Owners, siblings: Siblings, system: System, looked: () => void) {
    this.#looked = looked;
    this.#node = node;
    this.#owners = owners;
    this.#siblings = siblings;
    this.#system = system;
  }

  start(): void {
    this.#timer ??= this.#system.timers.every(FOLLOW_MS, () => this.#look());
    this.#look();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    const others = new Set(this.#node.allShards().map((shard) => this.#owners.of(shard)));
    for (const owner of others) if (owner !== undefined && owner !== HERE && !this.#asking.has(owner)) this.#ask(owner);
    for (const owner of this.#heard.keys()) if (!others.has(owner)) this.#heard.delete(owner);
    this.#looked();
  }

  /** `then`: when it has told what it knows by now, or has failed to. */
  refresh(owner: Owner, then: () => void): void {
    const waiting = this.#asking.get(owner);
    if (waiting !== undefined) waiting.push(then);
    else this.#ask(owner, then);
  }

  #ask(owner: Owner, then?: () => void): void {
    const waiting: (() => void)[] = [];
    this.#asking.set(owner, waiting);
    this.#siblings.sharedState(owner, this.#heard.get(owner)?.revision ?? '', (state) => {
      this.#asking.delete(owner);
      this.#hear(owner, state);
      this.#looked();
      then?.();
      if (waiting.length > 0) this.#ask(owner, () => waiting.forEach((fn) => fn()));
    });
  }

  #hear(owner: Owner, state: SharedState | CausewayError): void {
    const own = this.#node.allShards().filter((shard) => this.#owners.of(shard) === owner);
    if (state instanceof Error) {
      // An older version that knows no such question, and serves what the configuration has.
      if (state.code === 'INVALID_ARGUMENT')
        for (const shard of own) if (!this.#node.knowsDefinitionsOf(shard)) this.#node.learnDefinitions(shard, []);
      return;
    }
    const { definitions, shards, revision, stalenessMs } = state;
    const ofOwner = shards.filter((shard) => own.includes(shard));
    if (definitions !== undefined) {
      for (const shard of ofOwner) {
        const there = definitions.filter(({ ref }) => this.#isOf(shard, ref));
        this.#node.learnDefinitions(shard, there);
      }
    }
    this.#heard.set(owner, {
      atMs: this.#system.clock.monotonicMs(),
      // It has more than is its own by our map: we ask for all of it again when the map has changed.
      revision: ofOwner.length === shards.length ? revision : '',
      stalenessMs,
    });
  }

  #isOf(shard: ShardId, { namespace, name }: { readonly namespace: string; readonly name: string }): boolean {
    return this.#node.shardOfDefinition(namespace, name) === shard;
  }

  /** I14: of all shards of the namespace; undefined while something of it has not been heard of. */
  stalenessMs(namespace: string): number | undefined {
    const parts = this.#owners.partsOf(this.#node.shardsOf(namespace));
    if (parts instanceof Error) return undefined;
    let worst: number | undefined;
    for (const [owner, shards] of parts) {
      const [shard] = shards;
      const ms = owner === HERE ? this.#node.stalenessMs(namespace) : this.#told(owner, shardParts(shard!).placementId);
      if (ms === undefined) return undefined;
      worst = Math.max(worst ?? 0, ms);
    }
    return worst;
  }

  #told(owner: Owner, placementId: number): number | undefined {
    const heard = this.#heard.get(owner);
    const ms = heard?.stalenessMs.get(placementId);
    return ms === undefined ? undefined : ms + this.#system.clock.monotonicMs() - heard!.atMs;
  }
}
