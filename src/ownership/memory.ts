// Ownership that a test or the simulator moves by hand. Two nodes may hold the same shard at once: a deposed owner that has not
// heard of it yet is exactly what the fence is for.

import type { ShardId } from '../record/ids.ts';
import type { Ownership } from './ownership.ts';

export class MemoryOwnership implements Ownership {
  readonly #owned: Set<ShardId>;
  readonly #listeners: ((shard: ShardId, owned: boolean) => void)[] = [];

  constructor(owned: readonly ShardId[] = []) {
    this.#owned = new Set(owned);
  }

  owns(shard: ShardId): boolean {
    return this.#owned.has(shard);
  }

  onChange(listener: (shard: ShardId, owned: boolean) => void): void {
    this.#listeners.push(listener);
  }

  set(shard: ShardId, owned: boolean): void {
    if (this.#owned.has(shard) === owned) return;
    if (owned) this.#owned.add(shard);
    else this.#owned.delete(shard);
    for (const listener of this.#listeners) listener(shard, owned);
  }
}
