// What of a shard's engine is kept in the store beside its rows, moved with them and the cursor in one step: a restart starts here
// instead of at the log's first entry. JSON: it is a few kilobytes, written once a store step, and read by people in trouble.
// A reader that does not know the version says so, and the shard is rebuilt from the log (I11).

import { OrderedDeps } from '../record/batch.ts';
import { isOriginId, originRegion, type OriginId } from '../record/ids.ts';
import type { DigestSnapshot } from './digest.ts';
import type { Origin } from './origins.ts';

export const META_VERSION = 1;

export interface ShardMeta {
  /** The log offset that all this is as of; equal to the store's cursor. */
  readonly offset: number;
  readonly origins: readonly Origin[];
  readonly digest: DigestSnapshot;
  readonly keys: number;
  /** The highest stamp or lease bound in the log up to here. */
  readonly bound: number;
  /** A lease of our region stands in the log: before it was appended the members were asked. */
  readonly leased: boolean;
  /** Entries from here to `offset` are read again at start, for the idempotency table alone. */
  readonly idempotencyFrom: number;
  readonly idempotencyHorizon: number;
}

interface OriginRow {
  id: string;
  seq: number;
  stamp: number;
  checksum: string;
  deps: [string, number][];
  /** null: infinite, the origin has ended and all of it is here. */
  counted: number | null;
  frozen: boolean;
  /** Missing: from before it was kept. */
  frozenAt?: number;
  end: { seq: number; stamp: number } | null;
  closed: boolean;
  folded: boolean;
}

/** Only what is durable: the taken front equals it after a restart. */
export function encodeMeta(meta: ShardMeta): Buffer {
  const origins = meta.origins.map((origin): OriginRow => ({
    id: origin.id,
    seq: origin.seq,
    stamp: origin.stamp,
    checksum: Buffer.from(origin.checksum).toString('hex'),
    deps: origin.deps.origins.map((id, i) => [id, origin.deps.seqs[i]!]),
    counted: origin.counted === Infinity ? null : origin.counted,
    frozen: origin.frozen,
    frozenAt: origin.frozen ? origin.frozenAt : 0,
    end: origin.closed ? (origin.end ?? null) : null,
    closed: origin.closed,
    folded: origin.foldedDurable,
  }));
  return Buffer.from(JSON.stringify({ version: META_VERSION, ...meta, origins }));
}

/** undefined: of another version, or not ours. */
export function decodeMeta(bytes: Uint8Array): ShardMeta | undefined {
  let raw: { version: number; origins: OriginRow[] } & Omit<ShardMeta, 'origins'>;
  try {
    raw = JSON.parse(Buffer.from(bytes).toString('utf8')) as typeof raw;
  } catch {
    return undefined;
  }
  if (raw.version !== META_VERSION || !raw.origins.every((row) => isOriginId(row.id))) return undefined;
  const origins = raw.origins.map((row): Origin => {
    const id = row.id as OriginId;
    const checksum = Buffer.from(row.checksum, 'hex');
    const deps = new OrderedDeps(
      row.deps.map(([origin]) => origin as OriginId),
      row.deps.map(([, seq]) => seq),
    );
    return {
      id,
      region: originRegion(id),
      takenSeq: row.seq,
      takenStamp: row.stamp,
      takenChecksum: checksum,
      takenDeps: deps,
      seq: row.seq,
      stamp: row.stamp,
      checksum,
      deps,
      counted: row.counted ?? Infinity,
      pending: [],
      latest: undefined,
      frozenTaken: row.frozen,
      frozenAt: row.frozenAt ?? 0,
      frozen: row.frozen,
      end: row.end ?? undefined,
      closed: row.closed,
      folded: row.folded,
      foldedDurable: row.folded,
      proven: row.seq,
      vouched: row.seq,
      hold: undefined,
    };
  });
  return { ...raw, origins };
}
