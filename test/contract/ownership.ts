// What every Ownership does for a node that is alone, and what one of several nodes does besides. `settled` is in terms of what all its nodes say; the
// log's fence holds in between. MemoryOwnership is under neither: who owns what there is what a test has said, twice at once if it likes.

import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Ownership } from '../../src/ownership/ownership.ts';
import { shardId, type ShardId } from '../../src/record/ids.ts';

export interface OwningNode {
  readonly name: string;
  readonly ownership: Ownership;
  /** An orderly end. */
  readonly stop: () => Promise<void>;
  /** Its connection is gone and does not come back: a crash, as the others see it. */
  readonly cut: () => void;
}

export interface OwnershipHarness {
  readonly start: (name: string) => Promise<OwningNode>;
  readonly cleanup: () => Promise<void>;
}

export const OWNED_SHARDS: readonly ShardId[] = Array.from({ length: 24 }, (_, i) => shardId(1, i));
const PATIENCE = { timeout: 30_000, interval: 20 };

/** Each shard's owner; undefined unless it is exactly one. */
export function ownersOf(nodes: readonly OwningNode[]): (string | undefined)[] {
  return OWNED_SHARDS.map((shard) => {
    const owners = nodes.filter(({ ownership }) => ownership.owns(shard));
    return owners.length === 1 ? owners[0]!.name : undefined;
  });
}

/** When each shard has one owner, and no node has more than `spread` shards more than another. */
export async function settled(nodes: readonly OwningNode[], spread = 1): Promise<string[]> {
  await vi.waitFor(() => {
    const owners = ownersOf(nodes);
    expect(owners).not.toContain(undefined);
    const counts = nodes.map(({ name }) => owners.filter((owner) => owner === name).length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(spread);
  }, PATIENCE);
  return ownersOf(nodes) as string[];
}

type Begin = () => OwnershipHarness;

/** `begin`: a harness that is cleaned up after the test. */
function contract(name: string, makeHarness: Begin, tests: (begin: Begin) => void): void {
  describe(`the ownership contract: ${name}`, () => {
    const cleanups: (() => Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0)) await cleanup();
    });
    tests(() => {
      const harness = makeHarness();
      cleanups.push(() => harness.cleanup());
      return harness;
    });
  });
}

function alone(begin: Begin): void {
  test('a node alone owns everything, and says so when it is so', async () => {
    const { ownership } = await begin().start('a');
    const told: [ShardId, boolean][] = [];
    ownership.onChange((shard, owned) => {
      expect(ownership.owns(shard)).toBe(owned);
      told.push([shard, owned]);
    });
    await vi.waitFor(() => expect(OWNED_SHARDS.every((shard) => ownership.owns(shard))).toBe(true), PATIENCE);
    expect(new Set(told.map(([shard]) => shard)).size).toBe(told.length);
  });
}

/** Of a region of one node. */
export function runOwnershipContractAlone(name: string, makeHarness: Begin): void {
  contract(name, makeHarness, alone);
}

export function runOwnershipContract(name: string, makeHarness: Begin): void {
  contract(name, makeHarness, (begin) => {
    alone(begin);

    test('a node that comes takes its share and moves nothing else; one that stops gives its share back', async () => {
      const harness = begin();
      const [a, b] = [await harness.start('a'), await harness.start('b')];
      const before = await settled([a, b]);
      const c = await harness.start('c');
      const with3 = await settled([a, b, c]);
      for (const [i, owner] of with3.entries()) if (owner !== 'c') expect(owner).toBe(before[i]);
      await c.stop();
      expect(OWNED_SHARDS.some((shard) => c.ownership.owns(shard))).toBe(false);
      expect(await settled([a, b])).toEqual(before);
    });

    test('no shard has two owners while one comes and one goes', async () => {
      const harness = begin();
      const nodes = [await harness.start('a'), await harness.start('b')];
      await settled(nodes);
      let twice = 0;
      const watch = (node: OwningNode): void =>
        node.ownership.onChange((shard, owned) => {
          if (owned && nodes.some((other) => other !== node && other.ownership.owns(shard))) twice++;
        });
      nodes.forEach(watch);
      const c = await harness.start('c');
      watch(c);
      nodes.push(c);
      await settled(nodes);
      await nodes.shift()!.stop();
      await settled(nodes);
      expect(twice).toBe(0);
    });

    test('what a node held that is cut off is served by the others, and it knows that it holds nothing', async () => {
      const harness = begin();
      const [a, b] = [await harness.start('a'), await harness.start('b')];
      await settled([a, b]);
      b.cut();
      await vi.waitFor(() => {
        expect(OWNED_SHARDS.every((shard) => a.ownership.owns(shard))).toBe(true);
        expect(OWNED_SHARDS.some((shard) => b.ownership.owns(shard))).toBe(false);
      }, PATIENCE);
    });
  });
}
