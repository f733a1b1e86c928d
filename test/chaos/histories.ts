// Builds histories for the checkers' own tests: batches as an owner would encode them, good and bad.

import { encodeBatch, OrderedDeps, readBatchHeader } from '../../src/record/batch.ts';
import { originId, regionId, shardId, type OriginId, type RegionId } from '../../src/record/ids.ts';
import type { CollectionRef, MergeTypeName, Op } from '../../src/record/op.ts';
import type { Intent } from '../../src/merge/types.ts';
import { encodeControl, type ControlOp } from '../../src/record/control.ts';
import { encodeLease } from '../../src/record/lease.ts';
import { ClientCheck, type ClientOp } from '../../chaos/check/clients.ts';
import { History, keyName, traceOfClientOp } from '../../chaos/check/history.ts';
import { ViewCheck } from '../../chaos/check/views.ts';

export const EU = regionId('eu');
export const US = regionId('us');
export const EU1 = originId(EU, 1);
export const US1 = originId(US, 1);
export const SHARD = shardId(1, 0);

export function collection(type: MergeTypeName): CollectionRef {
  return { namespace: 'shop', name: type, id: 1, type };
}

export class Bench {
  readonly history = new History({ isMember: (_, shard) => shard === SHARD });
  readonly clients = new ClientCheck(this.history);
  readonly views = new ViewCheck(this.history, this.clients);
  readonly #offsets = new Map<RegionId, number>();
  readonly #last = new Map<OriginId, { seq: number; checksum: Uint8Array; deps: OrderedDeps }>();
  #ids = 0;

  constructor() {
    this.history.onNewBatch = (batch) => this.clients.logged(batch);
  }

  /** What a client asked for; its number. */
  asked(intent: Intent, change: Partial<ClientOp> = {}): ClientOp {
    const type = TYPE_OF[intent.kind];
    const op: ClientOp = {
      id: ++this.#ids,
      region: EU,
      namespace: 'shop',
      collection: type,
      type,
      key: 'k',
      name: keyName('shop', type, 'k'),
      shard: SHARD,
      intent,
      condition: undefined,
      idempotency: undefined,
      attempts: 1,
      open: 1,
      unknown: false,
      acked: undefined,
      refused: false,
      ...change,
    };
    this.clients.ops.set(op.id, op);
    return op;
  }

  /** A batch of the origin's next seqs. `over` makes it a bad one. */
  batch(
    origin: OriginId,
    firstStamp: number,
    ops: readonly (ClientOp | ControlOp)[],
    deps: Readonly<Record<string, number>> = {},
    over: { readonly firstSeq?: number; readonly previousChecksum?: Uint8Array } = {},
  ): Buffer {
    const last = this.#last.get(origin);
    const firstSeq = over.firstSeq ?? (last?.seq ?? 0) + 1;
    const bytes = encodeBatch({
      shard: SHARD,
      origin,
      firstSeq,
      firstStamp,
      deps: new OrderedDeps(Object.keys(deps) as OriginId[], Object.values(deps)),
      depsBefore: undefined,
      previousChecksum: over.previousChecksum ?? last?.checksum ?? Buffer.alloc(8),
      ops: ops.map((op): Op =>
        'intent' in op
          ? { collection: collection(op.type), key: op.key, payload: Buffer.of(1), trace: traceOfClientOp(op.id) }
          : { collection: undefined, key: '', payload: encodeControl(op) },
      ),
    });
    this.#last.set(origin, {
      seq: firstSeq + ops.length - 1,
      checksum: readBatchHeader(bytes).checksum,
      deps: OrderedDeps.empty,
    });
    return bytes;
  }

  /** A lease of the region's own origin at the end of its log. */
  lease(region: RegionId, origin: OriginId, bound: number): void {
    const at = (this.#offsets.get(region) ?? 0) + 1;
    this.#offsets.set(region, at);
    this.history.durable(region, SHARD, at, 'lease', encodeLease({ origin, bound }));
  }

  durable(region: RegionId, bytes: Uint8Array, offset?: number): void {
    const at = offset ?? (this.#offsets.get(region) ?? 0) + 1;
    this.#offsets.set(region, at);
    this.history.durable(region, SHARD, at, 'batch', bytes);
  }

  /** The region's disk now ends there, or is what it says. */
  rewind(region: RegionId, to: number | readonly Uint8Array[]): void {
    const entries =
      typeof to === 'number'
        ? this.history
            .log(region, SHARD)
            .entries.slice(0, to)
            .map(({ bytes }) => bytes)
        : to;
    this.history.rewind(region, SHARD, entries);
    this.#offsets.set(region, this.history.log(region, SHARD).tail);
  }
}

const TYPE_OF: Readonly<Record<Intent['kind'], MergeTypeName>> = {
  put: 'register-lww',
  delete: 'register-lww',
  increment: 'counter-pn',
  'set-add': 'set-aw',
  'set-remove': 'set-aw',
  'map-update': 'map-lww',
};

export function put(text: string): Intent {
  return { kind: 'put', value: Buffer.from(text) };
}
