// Whose a key's shard is, in a region of several nodes, so that a client goes to the owner by itself.
// Nothing rests on it: any node takes any request and passes on what is another's. It is asked for when a node says that it has done so.

import { placeOf } from '../record/hash.ts';
import type { GetTopologyResponse__Output } from '../proto/generated/causeway/v1/GetTopologyResponse.ts';
import type { System, TimerHandle } from '../system/system.ts';
import type { Endpoint } from './endpoint.ts';
import type { Endpoints } from './endpoints.ts';

const ASK_TIMEOUT_MS = 1000;
/** Between two questions; longer while the answer stays the same. */
const ASK_MS_MIN = 250;
const ASK_MS_MAX = 10_000;

export class ShardMap {
  readonly #endpoints: Endpoints;
  readonly #system: System;
  readonly #namespace: string;
  readonly #listeners = new Set<() => void>();
  /** Where each node is reached from here. */
  #nodes: readonly (Endpoint | undefined)[] = [];
  /** Per shard, 1 + the place in #nodes; 0: nobody. Empty: not known, or one node has them all. */
  #owners: readonly number[] = [];
  #answer = '';
  #asking = false;
  #askedAtMs = -Infinity;
  #pauseMs = ASK_MS_MIN;
  #due: TimerHandle | undefined;
  #closed = false;

  constructor(endpoints: Endpoints, system: System, namespace: string) {
    this.#endpoints = endpoints;
    this.#system = system;
    this.#namespace = namespace;
  }

  /** 0: not known, or one node has them all. */
  get shards(): number {
    return this.#owners.length;
  }

  /** Its index, of so many: how many there are is the namespace's and does not change. */
  shardOf(collection: string, key: string, shards: number): number {
    return placeOf(this.#namespace, collection, key, shards);
  }

  /** undefined: anywhere. */
  ownerOf(shard: number): Endpoint | undefined {
    return this.#nodes[(this.#owners[shard] ?? 0) - 1];
  }

  /** undefined: anywhere. */
  ownerOfKey(collection: string, key: string): Endpoint | undefined {
    return this.shards === 0 ? undefined : this.ownerOf(this.shardOf(collection, key, this.shards));
  }

  /** Called when the owners have been told, also when they are the same. Returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks this endpoint, now or soon. */
  look(at: Endpoint): void {
    if (this.#closed || this.#asking || this.#due !== undefined) return;
    const { clock, timers } = this.#system;
    const waitMs = this.#askedAtMs + this.#pauseMs - clock.monotonicMs();
    if (waitMs <= 0) void this.#ask(at);
    else {
      this.#due = timers.after(waitMs, () => {
        this.#due = undefined;
        void this.#ask(at);
      });
    }
  }

  close(): void {
    this.#closed = true;
    this.#due?.cancel();
    this.#listeners.clear();
  }

  async #ask(at: Endpoint): Promise<void> {
    this.#asking = true;
    try {
      const endMs = this.#system.clock.monotonicMs() + ASK_TIMEOUT_MS;
      const topology = await at.topology(this.#namespace, { endMs });
      if (!this.#closed) await this.#heard(topology);
    } catch {
      // Whoever uses the endpoint finds out by itself what is wrong with it.
      this.#pauseMs = Math.min(ASK_MS_MAX, this.#pauseMs * 2);
    } finally {
      this.#asking = false;
      this.#askedAtMs = this.#system.clock.monotonicMs();
    }
  }

  async #heard({ region, nodes, namespaces }: GetTopologyResponse__Output): Promise<void> {
    const owners = namespaces.find(({ name }) => name === this.#namespace)?.owners ?? [];
    const found = await Promise.all(
      nodes.map(({ name, address }) => this.#endpoints.ofNode(region, name, address, ASK_TIMEOUT_MS)),
    );
    const answer = JSON.stringify([region, owners, found.map((endpoint) => endpoint?.address)]);
    this.#pauseMs = answer === this.#answer ? Math.min(ASK_MS_MAX, this.#pauseMs * 2) : ASK_MS_MIN;
    if (this.#closed) return;
    this.#answer = answer;
    this.#nodes = found;
    this.#owners = owners;
    for (const listener of [...this.#listeners]) listener();
  }
}
