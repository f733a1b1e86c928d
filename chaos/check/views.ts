// What readers see, against the reference specification over exactly the ops that the read says it saw.
// I3  every view is a function of the ops in it. I9 nothing deleted comes back. I11, I1: nothing is visible that is not durable.
// An atomic write is in a view as a whole or not at all: no state ends within its batch.
// Sessions: a causal read holds everything that its token names, or is refused, or says that it is stale.

import type { Intent, View } from '../../src/merge/types.ts';
import type { OriginId, RegionId, ShardId } from '../../src/record/ids.ts';
import type { MergeTypeName } from '../../src/record/op.ts';
import type { ClientCheck } from './clients.ts';
import { expectedConflicts, REFERENCE, viewText, type SpecOp } from './reference.ts';
import { hasSeen, type History, type LoggedBatch, type LoggedOp, type RegionLog } from './history.ts';
import { holds, Violation } from './violation.ts';

function expires(intent: Intent): boolean {
  if (intent.kind === 'map-update') return intent.put.some(({ expiresAtMs }) => expiresAtMs !== undefined);
  return 'expiresAtMs' in intent && intent.expiresAtMs !== undefined;
}

export type ShardToken = ReadonlyMap<OriginId, number>;

export class ViewCheck {
  readonly #history: History;
  readonly #clients: ClientCheck;
  /** An op is looked at with every read of its key. */
  readonly #specs = new Map<LoggedOp, SpecOp>();
  reads = 0;

  constructor(history: History, clients: ClientCheck) {
    this.#history = history;
    this.#clients = clients;
  }

  specOp(op: LoggedOp): SpecOp {
    const known = this.#specs.get(op);
    if (known !== undefined) return known;
    const intent = this.#clients.intentOf(op);
    if (intent === undefined)
      throw new Violation('I2', `op ${op.version.seq} of ${op.version.origin} was written by no client`);
    const spec: SpecOp = { version: op.version, intent, seen: (dot) => hasSeen(op, dot) };
    this.#specs.set(op, spec);
    return spec;
  }

  /** A key's ops in one region's log, in its order, up to an offset. */
  opsOf(log: RegionLog, name: string, upTo = Infinity): SpecOp[] {
    const ops: SpecOp[] = [];
    for (const { op, offset } of log.byKey.get(name) ?? []) if (offset <= upTo) ops.push(this.specOp(op));
    return ops;
  }

  expected(log: RegionLog, type: MergeTypeName, name: string, nowMs: number, upTo = Infinity): View | undefined {
    return REFERENCE[type](this.opsOf(log, name, upTo), nowMs);
  }

  /** How far into the log a token reaches: the offset of the last batch that has an op at or below it. */
  reach(log: RegionLog, token: ShardToken): number {
    let reach = 0;
    for (const [origin, stamp] of token) {
      const batches = log.byOrigin.get(origin);
      if (batches === undefined) continue;
      let low = 0;
      let high = batches.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (batches[middle]!.batch.header.firstStamp <= stamp) low = middle + 1;
        else high = middle;
      }
      if (low > 0) reach = Math.max(reach, batches[low - 1]!.offset);
    }
    return reach;
  }

  /** How far into the log the ops of a vector reach. */
  landed(log: RegionLog, vector: ReadonlyMap<OriginId, number>): number {
    let reach = 0;
    for (const [origin, seq] of vector) {
      for (const { offset, batch } of log.byOrigin.get(origin) ?? [])
        if (batch.header.firstSeq <= seq) reach = Math.max(reach, offset);
    }
    return reach;
  }

  /** A key was read in a region, and the answer says by `token` what the shard's state was. `sinceOffset`: what it may have been when the key
   *  was looked at, where the answer is put together from several looks at a store that answers later. */
  read(
    region: RegionId,
    shard: ShardId,
    type: MergeTypeName,
    name: string,
    view: View | undefined,
    token: ShardToken,
    fromMs: number,
    toMs: number,
    sinceOffset = Infinity,
  ): void {
    this.reads++;
    const log = this.#history.log(region, shard);
    const where = `${region} ${name} (${shard})`;
    const ops: SpecOp[] = [];
    const reach = this.reach(log, token);
    this.#whole(log, token);
    for (const { op, offset } of log.byKey.get(name) ?? []) {
      const { origin, stamp } = op.version;
      // A folded origin has left the token: everybody holds all of it.
      const included = stamp <= (token.get(origin) ?? (log.folded.has(origin) ? Infinity : 0));
      if (included) ops.push(this.specOp(op));
      else
        holds(
          offset > reach,
          'I4',
          () =>
            `${where}: the read's token passes over ${op.version.origin}:${op.version.seq}, which stands before other ops that it names`,
        );
    }
    const got = viewText(view);
    if (this.#explains(type, ops, got, fromMs, toMs)) return;
    const expected = viewText(REFERENCE[type](ops, toMs));
    // What is it then? The facts that tell a lost write from a resurrected or a premature one.
    const prefixes = (log.byKey.get(name) ?? [])
      .map(({ offset }) => offset)
      .filter((offset) => this.#explains(type, this.opsOf(log, name, offset), got, fromMs, toMs));
    if (prefixes.some((offset) => offset >= sinceOffset && offset <= reach)) return;
    if (sinceOffset < reach && this.#explains(type, this.opsOf(log, name, sinceOffset), got, fromMs, toMs)) return;
    throw new Violation(
      'I3',
      `${where} reads as ${got}; by the ops up to offset ${reach} it is ${expected}` +
        (prefixes.length === 0
          ? ' (no prefix of the log explains it)'
          : ` (the log up to offset ${prefixes.join(' or ')} would explain it)`),
    );
  }

  /** Does a state end within a batch that has an atomic write? */
  #whole(log: RegionLog, token: ShardToken): void {
    for (const [origin, stamp] of token) {
      const batch = log.byOrigin.get(origin)?.findLast((each) => each.batch.header.firstStamp <= stamp)?.batch;
      if (batch === undefined || batch.header.lastStamp <= stamp) continue;
      holds(
        batch.ops.every((op) => this.#clients.clientOf(op)?.atomicWith === undefined),
        'atomic',
        () =>
          `${log.region} ${log.shard}: a read saw ${origin} up to ${stamp}, within a batch with an atomic write that ends at ${batch.header.lastStamp}`,
      );
    }
  }

  /** Expiry is judged at some moment while the request was under way. */
  #explains(type: MergeTypeName, ops: readonly SpecOp[], got: string, fromMs: number, toMs: number): boolean {
    const moments = new Set([toMs, fromMs]);
    if (toMs !== fromMs) {
      for (const { intent } of ops) {
        const at = 'expiresAtMs' in intent ? intent.expiresAtMs : undefined;
        if (at !== undefined && at > Math.min(fromMs, toMs) && at <= Math.max(fromMs, toMs))
          moments.add(at).add(at - 1);
        if (intent.kind !== 'map-update') continue;
        for (const { expiresAtMs } of intent.put)
          if (expiresAtMs !== undefined) moments.add(expiresAtMs).add(expiresAtMs - 1);
      }
    }
    for (const moment of moments) {
      if (moment < Math.min(fromMs, toMs) || moment > Math.max(fromMs, toMs)) continue;
      if (viewText(REFERENCE[type](ops, moment)) === got) return true;
    }
    return false;
  }

  /** A view that was sent with an event: some state of the log between the event and the log's end. */
  sent(
    region: RegionId,
    shard: ShardId,
    type: MergeTypeName,
    name: string,
    view: View | undefined,
    fromOffset: number,
    fromMs: number,
    toMs: number,
  ): void {
    const log = this.#history.log(region, shard);
    const got = viewText(view);
    const ops = log.byKey.get(name) ?? [];
    // The newest state first: it is what is sent unless the sender is behind its own log.
    for (let i = ops.length - 1; i >= 0 && ops[i]!.offset > fromOffset; i--)
      if (this.#explains(type, this.opsOf(log, name, ops[i]!.offset), got, fromMs, toMs)) return;
    if (this.#explains(type, this.opsOf(log, name, fromOffset), got, fromMs, toMs)) return;
    throw new Violation(
      'feed',
      `${region} sent ${name} (${shard}) as ${got} with an event of offset ${fromOffset}; no state since then reads so`,
    );
  }

  /** The answer to a causal read must hold what its token names. */
  causal(region: RegionId, shard: ShardId, asked: ShardToken, answered: ShardToken): void {
    const log = this.#history.log(region, shard);
    for (const [origin, stamp] of asked) {
      if ((answered.get(origin) ?? 0) >= stamp) continue;
      // The stamp may be a promise: what counts is that every op at or below it is in what was read.
      const missing = this.#history
        .origin(shard, origin)
        .ops.find(({ version }) => version.stamp <= stamp && version.stamp > (answered.get(origin) ?? 0));
      holds(
        missing === undefined || (log.folded.has(origin) && log.has(origin, missing.version.seq)),
        'session',
        () =>
          `${region} ${shard}: a session that had seen ${origin} up to ${stamp} was answered from a state without ${origin}:${missing!.version.seq}`,
      );
    }
  }

  /**
   * A batch that is new in its own region's log: what its conditional writes required held on exactly what stands before them.
   * Keys with parts that expire are left out: the moment at which the owner looked is not in the log.
   */
  conditions(batch: LoggedBatch, region: RegionId): void {
    const log = this.#history.log(region, batch.header.shard);
    batch.ops.forEach((logged, i) => {
      const client = this.#clients.clientOf(logged);
      if (client?.condition === undefined || logged.name === undefined) return;
      const ops = this.opsOf(log, logged.name);
      for (const earlier of batch.ops.slice(0, i)) if (earlier.name === logged.name) ops.push(this.specOp(earlier));
      if (ops.some(({ intent }) => expires(intent))) return;
      const view = REFERENCE[client.type](ops, 0);
      const { condition } = client;
      const met =
        condition.kind === 'absent'
          ? view === undefined
          : condition.kind === 'exists'
            ? view !== undefined
            : view?.type === 'register-lww' &&
              view.version.origin === condition.version.origin &&
              view.version.seq === condition.version.seq;
      holds(
        met,
        'condition',
        () =>
          `${region}: client op ${client.id} on ${client.name} required '${condition.kind}', and was sequenced on ${viewText(view)}`,
      );
    });
  }

  conflictsOf(log: RegionLog, type: MergeTypeName, name: string): ReturnType<typeof expectedConflicts> {
    return expectedConflicts(type, this.opsOf(log, name), ({ origin }) => origin.startsWith(`${log.region}~`));
  }
}
