// When a shard changes hands: at once where nobody serves it, and else when its next owner has read its log.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBid, encodeBid, nextStep, type Bid, type Situation } from '../../src/ownership/hand-over.ts';
import { Sharing } from '../../src/ownership/sharing.ts';
import { shardId, type ShardId } from '../../src/record/ids.ts';

const MINUTE_MS = 60_000;
const AT: Situation = {
  node: 'a',
  wanted: 'b',
  claim: { holder: 'a', revision: 7 },
  isFree: false,
  serves: true,
  leaves: false,
  bid: undefined,
  cannotBegin: false,
  wantedForMs: 0,
};

describe('the holder of a shard that another node shall have', () => {
  test('serves it until the other one has read its log', () => {
    expect(nextStep(AT)).toBe('serve');
    expect(nextStep({ ...AT, bid: { node: 'b', revision: 7 } })).toBe('give-up');
  });

  test('takes no bid of a third node, nor one that was made under another claim', () => {
    expect(nextStep({ ...AT, bid: { node: 'c', revision: 7 } })).toBe('serve');
    expect(nextStep({ ...AT, bid: { node: 'b', revision: 6 } })).toBe('serve');
  });

  test('does not wait for ever: a node of an earlier version never bids', () => {
    expect(nextStep({ ...AT, wantedForMs: MINUTE_MS })).toBe('give-up');
    // Its process ends soon.
    expect(nextStep({ ...AT, leaves: true, wantedForMs: 7000 })).toBe('serve');
    expect(nextStep({ ...AT, leaves: true, wantedForMs: 9000 })).toBe('give-up');
    expect(nextStep({ ...AT, wantedForMs: 9000 })).toBe('serve');
  });

  test('keeps it while no other node could begin, whatever was bid and however long it takes, unless it must go', () => {
    const of = { ...AT, cannotBegin: true };
    expect(nextStep({ ...of, wantedForMs: MINUTE_MS })).toBe('serve');
    expect(nextStep({ ...of, bid: { node: 'b', revision: 7 } })).toBe('serve');
    expect(nextStep({ ...of, leaves: true, bid: { node: 'b', revision: 7 } })).toBe('give-up');
    expect(nextStep({ ...of, leaves: true, wantedForMs: 9000 })).toBe('give-up');
  });

  test('gives it up at once when it does not serve it, or nobody shall have it', () => {
    expect(nextStep({ ...AT, serves: false })).toBe('give-up');
    expect(nextStep({ ...AT, wanted: undefined })).toBe('give-up');
  });
});

describe('the node that shall have a shard', () => {
  test('claims it at once when nobody serves it, and reads it first when somebody does', () => {
    const of = { ...AT, node: 'b', serves: false };
    expect(nextStep(of)).toBe('follow');
    expect(nextStep({ ...of, isFree: true })).toBe('claim');
    expect(nextStep({ ...of, claim: undefined, isFree: true })).toBe('claim');
    expect(nextStep({ ...of, claim: { holder: 'b', revision: 8 } })).toBe('serve');
  });
});

test('a bid is read as it was written, and what is not one is not', () => {
  const bid = { node: 'eu-1', revision: 4711 };
  expect(decodeBid(encodeBid(bid))).toEqual(bid);
  for (const text of ['', 'eu-1', 'eu-1 x', ' 3', 'eu-1 3 later']) expect(decodeBid(text)).toBeUndefined();
});

/** Nodes that all know the same, at each step: the bucket, in a few lines. */
class Bucket {
  readonly shards: readonly ShardId[];
  readonly living = new Set<string>();
  readonly claims = new Map<ShardId, { readonly holder: string; readonly revision: number }>();
  readonly bids = new Map<ShardId, Bid>();
  readonly reading = new Map<ShardId, Bid>();
  readonly pins = new Map<ShardId, string>();
  readonly #sharing: Sharing;
  #revision = 0;

  constructor(shards: number) {
    this.shards = Array.from({ length: shards }, (_, i) => shardId(1, i));
    this.#sharing = new Sharing(this.shards);
  }

  holder(shard: ShardId): string {
    return this.claims.get(shard)?.holder ?? '';
  }

  /** Every living node does its next step about every shard; none has waited for longer than it may. */
  step(): void {
    const wanted = this.#sharing.wanted({
      able: [...this.living],
      holderOf: (shard) => this.holder(shard),
      pinnedTo: (shard) => this.pins.get(shard),
    });
    for (const shard of this.shards) {
      for (const node of this.living) {
        const claim = this.claims.get(shard);
        const step = nextStep({
          node,
          wanted: wanted.get(shard),
          claim,
          isFree: !this.living.has(this.holder(shard)),
          serves: claim?.holder === node,
          leaves: false,
          bid: this.bids.get(shard),
          cannotBegin: false,
          wantedForMs: 0,
        });
        if (step === 'claim') this.claims.set(shard, { holder: node, revision: ++this.#revision });
        if (step === 'give-up') this.claims.set(shard, { holder: '', revision: ++this.#revision });
        if (step === 'follow') this.reading.set(shard, { node, revision: claim!.revision });
      }
    }
  }

  /** Logs that are being read have been read. */
  read(): void {
    for (const [shard, bid] of this.reading) this.bids.set(shard, bid);
    this.reading.clear();
  }
}

const NODES = ['a', 'b', 'c', 'd'];
const CHANGES = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom('comes' as const, 'dies' as const), node: fc.constantFrom(...NODES) }),
    fc.record({ kind: fc.constant('pin' as const), node: fc.constantFrom(...NODES), at: fc.nat(7) }),
    fc.constant({ kind: 'read' as const, node: '' }),
  ),
  { minLength: 1, maxLength: 20 },
);

test('in regions of random changes: what a living node serves it serves until its next owner has read it, what nobody serves has an owner in one step, and in the end shares are even', () => {
  fc.assert(
    fc.property(CHANGES, fc.integer({ min: 1, max: 8 }), (changes, shards) => {
      const bucket = new Bucket(shards);
      bucket.living.add('a');
      bucket.step();
      for (const change of changes) {
        if (change.kind === 'comes') bucket.living.add(change.node);
        else if (change.kind === 'dies') {
          if (bucket.living.size > 1) bucket.living.delete(change.node);
        } else if (change.kind === 'pin') bucket.pins.set(bucket.shards[change.at % shards]!, change.node);
        else bucket.read();
        const before = new Map(bucket.claims);
        bucket.step();
        for (const shard of bucket.shards) {
          const claim = before.get(shard)!;
          const now = bucket.holder(shard);
          if (!bucket.living.has(claim.holder)) expect(bucket.living).toContain(now);
          else if (now !== claim.holder) expect(bucket.bids.get(shard)?.revision).toBe(claim.revision);
        }
      }
      for (let i = 0; i < 4; i++) {
        bucket.read();
        bucket.step();
      }
      const unpinned = bucket.shards.filter((shard) => !bucket.living.has(bucket.pins.get(shard) ?? ''));
      const counts = [...bucket.living].map((node) => unpinned.filter((s) => bucket.holder(s) === node).length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      for (const [shard, pin] of bucket.pins) if (bucket.living.has(pin)) expect(bucket.holder(shard)).toBe(pin);
    }),
    { numRuns: 500 },
  );
});
