// What this client has read and written, so that a later read can ask for at least that, in any region.
// Writes carry it once somebody has asked for a session (a causal read, a session that was handed over): they then wait for it, or are
// refused. Without that they say the highest stamp that was seen, which costs them nothing.
// Per shard and origin the highest stamp. Bound: ENTRIES_MAX; beyond, the entries with the lowest stamps go, because every
// region passed those first.

import { CausewayError } from '../errors/errors.ts';
import { messageType } from '../proto/load.ts';
import { AFTER_NOTHING, type WriteAfter } from './write-request.ts';
import type { SessionToken__Output } from '../proto/generated/causeway/v1/SessionToken.ts';

const FORMAT = 1;
/** Well below the 64 KiB that a node takes. */
const ENTRIES_MAX = 1024;

export class Session {
  #clusterId = '';
  /** By `placement/index`, then by `region~incarnation in decimal`. */
  readonly #shards = new Map<string, Map<string, number>>();
  #entries = 0;
  #highest = 0;
  #asked = false;
  /** Encoded, until something changes. */
  #encoded: Uint8Array | undefined;

  get isEmpty(): boolean {
    return this.#entries === 0;
  }

  /** What a node says; the higher stamp counts. */
  merge(token: SessionToken__Output | null | undefined): void {
    if (!token) return;
    if (token.clusterId !== '') this.#clusterId = token.clusterId;
    for (const shard of token.shards) {
      const name = `${shard.placementId}/${shard.shardIndex}`;
      let stamps = this.#shards.get(name);
      if (stamps === undefined) {
        stamps = new Map();
        this.#shards.set(name, stamps);
      }
      for (const { region, incarnation, stamp } of shard.entries) {
        const origin = `${region}~${incarnation}`;
        const before = stamps.get(origin);
        if (before !== undefined && before >= stamp) continue;
        if (before === undefined) this.#entries += 1;
        stamps.set(origin, stamp);
        if (stamp > this.#highest) this.#highest = stamp;
        this.#encoded = undefined;
      }
    }
    if (this.#entries > ENTRIES_MAX) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const all: { stamps: Map<string, number>; origin: string; stamp: number }[] = [];
    for (const stamps of this.#shards.values()) {
      for (const [origin, stamp] of stamps) all.push({ stamps, origin, stamp });
    }
    all.sort((a, b) => a.stamp - b.stamp);
    // A quarter at once, so that sorting is rare.
    for (const { stamps, origin } of all.slice(0, ENTRIES_MAX / 4)) stamps.delete(origin);
    this.#entries -= ENTRIES_MAX / 4;
  }

  /** From now on what is written comes after what was seen, in every region. */
  ask(): void {
    this.#asked = true;
  }

  /** `seenBefore`: the stream's node has been told a stamp, and has stamped everything since above it. What a session has seen may have grown elsewhere
   *  since, so it goes with every message. */
  forWrites(seenBefore = false): WriteAfter {
    if (!this.#asked) return seenBefore ? AFTER_NOTHING : { session: undefined, seenStamp: this.#highest };
    return { session: this.isEmpty ? undefined : this.encode(), seenStamp: 0 };
  }

  /** As a SessionToken message. */
  encode(): Uint8Array {
    if (this.#encoded !== undefined) return this.#encoded;
    const shards = Array.from(this.#shards, ([shard, stamps]) => {
      const [placementId, shardIndex] = shard.split('/').map(Number);
      const entries = Array.from(stamps, ([name, stamp]) => {
        const tilde = name.indexOf('~');
        return { region: name.slice(0, tilde), incarnation: Number(name.slice(tilde + 1)), stamp };
      });
      return { placementId, shardIndex, entries };
    });
    const type = messageType('causeway.v1.SessionToken');
    const message = { version: FORMAT, clusterId: this.#clusterId, shards };
    this.#encoded = type.encode(message as object as never).finish();
    return this.#encoded;
  }

  text(): string {
    return Buffer.from(this.encode()).toString('base64url');
  }

  /** Adds what an exported session has seen. Throws CausewayError INVALID_ARGUMENT. */
  join(token: string): void {
    const type = messageType('causeway.v1.SessionToken');
    let message: SessionToken__Output;
    try {
      message = type.decode(Buffer.from(token, 'base64url')) as unknown as SessionToken__Output;
    } catch (error) {
      throw new CausewayError('INVALID_ARGUMENT', 'this is no session token', { cause: error });
    }
    if (message.version !== FORMAT) {
      throw new CausewayError(
        'INVALID_ARGUMENT',
        `a session token of format ${message.version}; this client knows ${FORMAT}`,
      );
    }
    this.merge(message);
    this.ask();
  }
}
