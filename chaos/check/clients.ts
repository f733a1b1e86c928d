// What clients were told, against the logs.
// I1  an acknowledged op is durable where it was acknowledged, and is never lost unless the disk that alone had it was.
// I2  a retried op has one effect; what a client was told is not applied never is.
// An atomic write is in a log as a whole, in one batch, and is answered as a whole.
// I4  a write with a session's token stands on all that the session has seen of its shard, and is stamped above it: nobody sees the
//     answer without the question.
// Also: answers come by their deadline.

import type { Intent } from '../../src/merge/types.ts';
import type { RegionId, ShardId, Version } from '../../src/record/ids.ts';
import type { Idempotency, MergeTypeName } from '../../src/record/op.ts';
import type { Condition, Durability, SessionToken, WriteResult } from '../../src/region/region.ts';
import { hasSeen, type History, type LoggedBatch, type LoggedOp } from './history.ts';
import { holds, Violation } from './violation.ts';

export interface ClientOp {
  readonly id: number;
  readonly region: RegionId;
  readonly namespace: string;
  readonly collection: string;
  readonly type: MergeTypeName;
  readonly key: string;
  readonly name: string;
  readonly shard: ShardId;
  readonly intent: Intent;
  readonly condition: Condition | undefined;
  readonly idempotency: Idempotency | undefined;
  /** Numbers of the ops that are written with it as a whole, its own among them. */
  readonly atomicWith?: readonly number[] | undefined;
  attempts: number;
  /** Attempts without a definite answer yet. */
  open: number;
  /** Some attempt ended without telling whether it was applied. */
  unknown: boolean;
  acked: Version | undefined;
  /** Told `not-applied`, with every attempt before it told the same. */
  refused: boolean;
}

export class ClientCheck {
  readonly #history: History;
  readonly ops = new Map<number, ClientOp>();
  /** Per shard and origin: from which seq on ops may be lost, because the only disk that had them is gone. */
  readonly #excusedFrom = new Map<string, number>();
  #losses = 0;
  acked = 0;
  unknown = 0;
  refused = 0;
  duplicates = 0;

  constructor(history: History) {
    this.#history = history;
  }

  intentOf(op: LoggedOp): Intent | undefined {
    return op.clientOp === undefined ? undefined : this.ops.get(op.clientOp)?.intent;
  }

  clientOf(op: LoggedOp): ClientOp | undefined {
    return op.clientOp === undefined ? undefined : this.ops.get(op.clientOp);
  }

  /** Regions where a dot is durable now. */
  copies(shard: ShardId, version: Version): RegionId[] {
    const regions: RegionId[] = [];
    for (const [region, shards] of this.#history.logs)
      if (shards.get(shard)?.has(version.origin, version.seq) === true) regions.push(region);
    return regions;
  }

  logged(batch: LoggedBatch): void {
    for (const op of batch.ops) {
      if (op.name === undefined) continue;
      const { shard } = batch.header;
      holds(
        op.clientOp !== undefined,
        'I2',
        () => `${shard}: op ${op.version.seq} of ${op.version.origin} on ${op.name} was written by no client`,
      );
      const client = this.ops.get(op.clientOp);
      holds(
        client !== undefined && client.name === op.name && client.shard === shard,
        'I2',
        () => `${shard}: client op ${op.clientOp} became an op on ${op.name}`,
      );
      holds(
        !client.refused,
        'I2',
        () =>
          `client op ${client.id} was answered not-applied, and is now op ${op.version.seq} of ${op.version.origin} in ${shard}`,
      );
      const apart = client.atomicWith?.find((id) => !batch.ops.some(({ clientOp }) => clientOp === id));
      holds(
        apart === undefined,
        'atomic',
        () =>
          `${shard}: client op ${client.id} is op ${op.version.seq} of ${op.version.origin}; ${apart} of the same atomic write is not in its batch`,
      );
      const all = this.#history.byClientOp.get(op.clientOp)!;
      const excused = all.some((other) => other !== op && this.#isExcused(shard, other.version));
      holds(
        all.length === 1 || excused,
        'I2',
        () =>
          `client op ${client.id} took effect ${all.length} times: ${all.map(({ version }) => `${version.origin}:${version.seq}`).join(', ')}`,
      );
    }
  }

  answered(
    op: ClientOp,
    region: RegionId,
    result: WriteResult,
    durability: Durability,
    session: SessionToken | undefined,
  ): void {
    op.open--;
    if (!result.ok) {
      const { outcome, code } = result.error;
      if (outcome === 'unknown') op.unknown = true;
      if (outcome === 'applied-locally') {
        // An earlier attempt's dot may have been lost with its disk: then another one is meant, which is there.
        const log = this.#history.log(region, op.shard);
        const logged = this.#history.byClientOp.get(op.id)?.find(({ version }) => log.has(version.origin, version.seq));
        holds(
          logged !== undefined,
          'I1',
          () => `client op ${op.id} was answered ${code} (applied-locally), and is not durable in ${region}`,
        );
        op.acked = logged.version;
        op.unknown = true;
      }
      if (outcome === 'not-applied' && !op.unknown && op.open === 0 && op.acked === undefined) {
        op.refused = true;
        this.refused++;
        const logged = this.#history.byClientOp.get(op.id);
        holds(
          logged === undefined,
          'I2',
          () =>
            `client op ${op.id} was answered ${code} (not-applied), and is op ${logged![0]!.version.seq} of ${logged![0]!.version.origin}`,
        );
      }
      return;
    }
    const { shard, version, duplicate } = result;
    holds(shard === op.shard, 'shard', () => `client op ${op.id} on ${op.name} was put into ${shard}, not ${op.shard}`);
    const what = `op ${version.seq} of ${version.origin} (client op ${op.id})`;
    const logged = this.#history.op(shard, version.origin, version.seq);
    holds(
      logged !== undefined && this.#history.log(region, shard).has(version.origin, version.seq),
      'I1',
      () => `${region} acknowledged ${what} in ${shard}, and it is not durable there`,
    );
    holds(
      logged.clientOp === op.id && logged.version.stamp === version.stamp,
      'I2',
      () =>
        `${region} acknowledged ${what} in ${shard}; that dot is client op ${logged.clientOp} with stamp ${logged.version.stamp}`,
    );
    if (op.acked !== undefined && !this.#isExcused(shard, op.acked)) {
      holds(
        op.acked.origin === version.origin && op.acked.seq === version.seq,
        'I2',
        () =>
          `client op ${op.id} was acknowledged as ${op.acked!.origin}:${op.acked!.seq} and as ${version.origin}:${version.seq}`,
      );
    }
    holds(!duplicate || op.attempts > 1, 'I2', () => `the first attempt of client op ${op.id} was called a duplicate`);
    if (durability.kind === 'regions') {
      // A region that had it and lost its disk since was counted before it could be known.
      const copies = this.copies(shard, version);
      holds(
        copies.length + this.#losses > durability.n,
        'I1',
        () => `${what} was acknowledged as durable in ${durability.n} more regions, and is in ${copies.join(', ')}`,
      );
    }
    if (!duplicate) {
      for (const [origin, stamp] of session?.get(shard) ?? []) {
        holds(
          version.stamp > stamp,
          'session',
          () => `${what} has stamp ${version.stamp}; its session had seen ${origin} up to ${stamp}`,
        );
        const unseen = this.#history
          .origin(shard, origin)
          .ops.find((seen) => seen.version.stamp <= stamp && !hasSeen(logged, seen.version));
        holds(
          unseen === undefined,
          'session',
          () =>
            `${what} was written without ${origin}:${unseen!.version.seq}; its session had seen ${origin} up to ${stamp}`,
        );
      }
    }
    if (op.acked === undefined) this.acked++;
    if (duplicate) this.duplicates++;
    op.acked = version;
  }

  /** All of an atomic write was answered. */
  answeredAsOne(ops: readonly ClientOp[], results: readonly WriteResult[]): void {
    const answers = new Set(results.map((result) => (result.ok ? 'ok' : result.error.outcome)));
    holds(
      answers.size === 1,
      'atomic',
      () =>
        `client ops ${ops.map(({ id }) => id).join(', ')} are one atomic write, and were answered ${[...answers].join(' and ')}`,
    );
  }

  #isExcused(shard: ShardId, version: Version): boolean {
    const from = this.#excusedFrom.get(`${shard} ${version.origin}`);
    return from !== undefined && version.seq >= from;
  }

  /** A region's disk was lost or went back: what is in no other log now may be gone. */
  rewound(): void {
    this.#losses++;
    for (const [shard, origins] of this.#history.origins) {
      for (const [origin, ops] of origins) {
        let anywhere = 0;
        for (const shards of this.#history.logs.values())
          anywhere = Math.max(anywhere, shards.get(shard)?.vector.get(origin) ?? 0);
        if (anywhere >= ops.lastSeq) continue;
        const name = `${shard} ${origin}`;
        this.#excusedFrom.set(name, Math.min(this.#excusedFrom.get(name) ?? Infinity, anywhere + 1));
      }
    }
  }

  /** After everything healed: every acknowledged op is in the log of every member. */
  final(members: (shard: ShardId) => readonly RegionId[]): void {
    for (const op of this.ops.values()) {
      if (op.acked === undefined || this.#isExcused(op.shard, op.acked)) continue;
      for (const region of members(op.shard)) {
        if (!this.#history.log(region, op.shard).has(op.acked.origin, op.acked.seq)) {
          throw new Violation(
            'I1',
            `client op ${op.id}, acknowledged as ${op.acked.origin}:${op.acked.seq} in ${op.shard}, is not in ${region}`,
          );
        }
      }
    }
  }
}
