// Writes in a region of several nodes: taken apart by shard, done here or passed on to the owner, and put together again.
// Owns: the order of a sender (a stream of writes), shard by shard, also while shards change hands.
//
// - To each other node a few messages of a sender are under way at a time, over a stream that keeps their order; what has come meanwhile goes with the next one
//   together. While something of a shard is under way at one node, nothing of it goes to another.
// - Here each shard's ops go by themselves: a refusal is known at once, and does not wait for what another shard logs.
// - When one of them fails, the other node refuses untried what is behind it. Nothing more goes there until all of it has come back: what is written again must
//   not be overtaken.
// - What was certainly not written because its shard is on its way (its owner gives it up, the next one has not opened it, or nobody has it) waits here, and goes to
//   whoever has the shard then. What comes behind it in the same shard waits behind it. After WAIT_MS_MAX, or at the deadline, it is refused as it was; from then on nothing
//   waits for that shard, so that clients go elsewhere at once, until somebody has taken something of it or the map has changed.
// - After one failed and may be tried again by the sender, those of its epoch are refused untried.
//
// Bounds: nothing is held that its sender does not count as under way (api/write-stream.ts, api/env.ts).

import { CausewayError } from '../errors/errors.ts';
import type { ShardId } from '../record/ids.ts';
import type { System, TimerHandle } from '../system/system.ts';
import type { RegionNode } from './node.ts';
import { HERE, type Owner, type Owners } from './owners.ts';
import type { WriteOp, WriteRequest, WriteResult } from './region.ts';
import type { SiblingStream, Siblings } from './siblings.ts';
import { DEADLINE_MS_MAX } from './waiting-calls.ts';

/** What waits for the same node is put together, up to so many ops, and about so many bytes. A message of a stream has at most 4 MiB by itself. */
const TOGETHER_OPS_MAX = 4000;
const TOGETHER_BYTES_MAX = 4 * 1024 * 1024;
/** Of an op beside its value. */
const OP_BYTES = 200;
/** A shard that is given up in order is taken over long before, and one of a dead node within this (DESIGN). */
const WAIT_MS_MAX = 5000;
/** The map says who has a shard, not when it is open there. */
const AGAIN_MS = 20;

/** One request, and what is known of its answer. */
interface Call {
  readonly request: WriteRequest;
  /** undefined: it comes alone, and nothing has to stay behind it. */
  readonly epoch: number | undefined;
  /** By the monotonic clock. */
  readonly deadlineAtMs: number;
  readonly results: WriteResult[];
  left: number;
  readonly done: (results: readonly WriteResult[]) => void;
}

/** Ops of one call and one shard; undefined: of what is no name of ours, which the node refuses. */
interface Unit {
  readonly call: Call;
  readonly shard: ShardId | undefined;
  /** In the order of the sender. */
  readonly seq: number;
  indexes: readonly number[];
  /** When it first could not be written, and why not. */
  waitsSinceMs: number | undefined;
  why: CausewayError | undefined;
}

/** What goes to one other node. */
interface Lane {
  /** undefined: the sender has one request and no more. */
  readonly stream: SiblingStream | undefined;
  readonly waiting: Unit[];
  underWay: number;
  /** Of the stream to the other node, not of the sender. */
  epoch: number;
  /** Of the sender, of the message that was sent last. */
  senderEpoch: number | undefined;
  /** Something of the lane's epoch has failed: the next message begins a new one, when nothing is under way. */
  failed: boolean;
}

/** Messages of one sender under way to one other node. */
const LANE_MESSAGES_MAX = 4;

interface Host {
  readonly node: RegionNode;
  readonly owners: Owners;
  readonly siblings: Siblings;
  readonly system: System;
  /** Shards for which somebody has waited in vain. */
  readonly stuck: Set<ShardId>;
  waits(sender: Sender): void;
}

export class SharedWrites {
  readonly #host: Host;
  readonly #senders = new WeakMap<object, Sender>();
  readonly #waiting = new Set<Sender>();
  #timer: TimerHandle | undefined;

  constructor(node: RegionNode, owners: Owners, siblings: Siblings, system: System) {
    this.#host = { node, owners, siblings, system, stuck: new Set(), waits: (sender) => this.#waits(sender) };
  }

  write(request: WriteRequest, done: (results: readonly WriteResult[]) => void): void {
    const { stream, epoch } = request.sender ?? {};
    if (stream === undefined) {
      new Sender(this.#host, false).write(request, undefined, done);
      return;
    }
    let sender = this.#senders.get(stream);
    if (sender === undefined) {
      sender = new Sender(this.#host, true);
      this.#senders.set(stream, sender);
    }
    sender.write(request, epoch, done);
  }

  #waits(sender: Sender): void {
    this.#waiting.add(sender);
    this.#timer ??= this.#host.system.timers.every(AGAIN_MS, () => this.tryAgain());
  }

  /** The shard has another owner. */
  moved(shard: ShardId): void {
    this.#host.stuck.delete(shard);
    this.tryAgain();
  }

  /** The map has changed, or time has passed. */
  tryAgain(): void {
    for (const sender of this.#waiting) if (!sender.tryAgain()) this.#waiting.delete(sender);
    if (this.#waiting.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** What one stream has under way. */
class Sender {
  readonly #host: Host;
  readonly #isStream: boolean;
  readonly #underWay = new Map<ShardId, { readonly owner: Owner; count: number }>();
  readonly #lanes = new Map<Owner, Lane>();
  /** In the order of the sender. */
  readonly #parked = new Map<ShardId, Unit[]>();
  #seq = 0;
  #refusedEpoch = -1;
  #refusal: CausewayError | undefined;

  constructor(host: Host, isStream: boolean) {
    this.#host = host;
    this.#isStream = isStream;
  }

  write(request: WriteRequest, epoch: number | undefined, done: (results: readonly WriteResult[]) => void): void {
    const { ops } = request;
    const { node, system } = this.#host;
    const refusal = this.#refusalOf(epoch);
    if (refusal !== undefined) {
      done(refusals(ops.length, refusal));
      return;
    }
    const deadlineAtMs = system.clock.monotonicMs() + Math.min(request.deadlineMs, DEADLINE_MS_MAX);
    const results = Array.from<WriteResult>({ length: ops.length });
    const call: Call = { request, epoch, deadlineAtMs, results, left: ops.length, done };
    const byShard = new Map<ShardId | undefined, number[]>();
    ops.forEach(({ namespace, collection, key }, i) => {
      const shard = node.shardFor(namespace, collection, key);
      const indexes = byShard.get(shard);
      if (indexes === undefined) byShard.set(shard, [i]);
      else indexes.push(i);
    });
    if (request.atomic === true && byShard.size !== 1) {
      // They share no shard, and the node says so.
      node.write(request, done);
      return;
    }
    const units = Array.from(byShard, ([shard, indexes]): Unit => ({
      call,
      shard,
      seq: this.#seq++,
      indexes,
      waitsSinceMs: undefined,
      why: undefined,
    }));
    this.#dispatch(units);
    if (ops.length === 0) done([]);
  }

  /** Something of this epoch failed that is to be sent again: what comes behind it in the epoch must not be written before it. */
  #failed(epoch: number | undefined, error: CausewayError): void {
    if (epoch === undefined || !error.retriable || epoch <= this.#refusedEpoch) return;
    this.#refusedEpoch = epoch;
    const said = `an earlier message of the stream failed: ${error.message}`;
    this.#refusal = new CausewayError(error.code, said, { retriable: true, outcome: 'not-applied' });
  }

  #refusalOf(epoch: number | undefined): CausewayError | undefined {
    return epoch !== undefined && epoch <= this.#refusedEpoch ? this.#refusal : undefined;
  }

  // ── Where it goes ───────────────────────────────────────────────────────────────────────────────────────────────

  #dispatch(units: readonly Unit[]): void {
    const here: Unit[] = [];
    const lanes = new Set<Owner>();
    for (const unit of units) {
      const owner = this.#destinationOf(unit);
      if (owner instanceof CausewayError) {
        this.#park(unit, owner);
        continue;
      }
      this.#began(unit, owner);
      if (owner === HERE) here.push(unit);
      else {
        unit.call.request.passedOn?.();
        insert(this.#laneOf(owner).waiting, unit);
        lanes.add(owner);
      }
    }
    // Each by itself: what this node refuses it refuses at once, whatever others wait for, and nothing comes between.
    for (const unit of here) this.#writeHere(unit);
    for (const owner of lanes) this.#next(owner);
  }

  /** Or why it has to wait. */
  #destinationOf({ shard, seq }: Unit): Owner | CausewayError {
    if (shard === undefined) return HERE;
    const owner = this.#host.owners.of(shard);
    if (owner === undefined) return this.#host.owners.noOwner(shard);
    const before = this.#parked.get(shard)?.[0];
    const underWay = this.#underWay.get(shard);
    const isMoving = (before !== undefined && before.seq < seq) || (underWay !== undefined && underWay.owner !== owner);
    return isMoving ? this.#host.owners.moving(shard) : owner;
  }

  #laneOf(owner: Owner): Lane {
    let lane = this.#lanes.get(owner);
    if (lane === undefined) {
      const stream = this.#isStream ? this.#host.siblings.stream(owner) : undefined;
      lane = { stream, waiting: [], underWay: 0, epoch: 0, senderEpoch: undefined, failed: false };
      this.#lanes.set(owner, lane);
    }
    return lane;
  }

  #next(owner: Owner): void {
    const lane = this.#laneOf(owner);
    while (mayTakeNext(lane)) {
      const first = lane.waiting.shift()!;
      if (!this.#mayGo(first)) continue;
      const units = [first];
      let ops = first.indexes.length;
      let bytes = bytesOf(first);
      for (let next = lane.waiting[0]; next !== undefined; next = lane.waiting[0]) {
        ops += next.indexes.length;
        bytes += bytesOf(next);
        const fits = ops <= TOGETHER_OPS_MAX && bytes <= TOGETHER_BYTES_MAX;
        if (next.call !== first.call && (!fits || !goTogether(first.call, next.call))) break;
        lane.waiting.shift();
        if (this.#mayGo(next)) units.push(next);
      }
      if (lane.failed) lane.epoch++;
      lane.failed = false;
      lane.senderEpoch = first.call.epoch;
      lane.underWay++;
      this.#writeThere(owner, lane, units);
    }
  }

  /** Not when something has failed since it was put into the lane. */
  #mayGo(unit: Unit): boolean {
    const refusal = this.#refusalOf(unit.call.epoch);
    const before = this.#parked.get(unit.shard!)?.[0];
    if (refusal === undefined && (before === undefined || before.seq > unit.seq)) return true;
    this.#ended(unit);
    if (refusal !== undefined) this.#refuse(unit, refusal);
    else this.#park(unit, this.#host.owners.moving(unit.shard!));
    return false;
  }

  #writeHere(unit: Unit): void {
    this.#host.node.write(this.#requestOf([unit]), (answers) => this.#allAnswered([unit], answers));
  }

  #writeThere(owner: Owner, lane: Lane, units: readonly Unit[]): void {
    const request = this.#requestOf(units);
    const answered = (answers: readonly WriteResult[]): void => {
      lane.failed ||= answers.some((answer) => !answer.ok && (answer.error.retriable || isMoving(answer.error)));
      this.#allAnswered(units, answers);
      // Only now: what has to wait does, and nothing overtakes it.
      lane.underWay--;
      this.#next(owner);
    };
    if (lane.stream === undefined) this.#host.siblings.write(owner, request, answered);
    else lane.stream.write(lane.epoch, request, answered);
  }

  #requestOf(units: readonly Unit[]): WriteRequest {
    const leftMs = Math.min(...units.map(({ call }) => call.deadlineAtMs)) - this.#host.system.clock.monotonicMs();
    // What fails is told when it is not written again elsewhere.
    return { ...together(units), deadlineMs: Math.max(1, leftMs), failed: undefined };
  }

  #allAnswered(units: readonly Unit[], answers: readonly WriteResult[]): void {
    for (const unit of units) this.#ended(unit);
    let at = 0;
    for (const unit of units) this.#answered(unit, answers.slice(at, (at += unit.indexes.length)));
  }

  #began({ shard }: Unit, owner: Owner): void {
    if (shard === undefined) return;
    const underWay = this.#underWay.get(shard);
    if (underWay === undefined) this.#underWay.set(shard, { owner, count: 1 });
    else underWay.count++;
  }

  #ended({ shard }: Unit): void {
    const underWay = shard === undefined ? undefined : this.#underWay.get(shard);
    if (underWay !== undefined && --underWay.count === 0) this.#underWay.delete(shard!);
  }

  // ── What comes of it ────────────────────────────────────────────────────────────────────────────────────────────

  #answered(unit: Unit, answers: readonly WriteResult[]): void {
    const { call, indexes } = unit;
    const again: number[] = [];
    let why: CausewayError | undefined;
    const told: [number, WriteResult][] = [];
    answers.forEach((answer, i) => {
      if (!answer.ok && unit.shard !== undefined && isMoving(answer.error)) {
        why ??= answer.error;
        again.push(indexes[i]!);
        return;
      }
      // In the order of the shard: what follows what failed must not be written before it.
      if (!answer.ok) this.#failed(call.epoch, answer.error);
      told.push([indexes[i]!, answer]);
    });
    unit.indexes = again;
    if (why === undefined && this.#host.stuck.size > 0) this.#host.stuck.delete(unit.shard!);
    if (why !== undefined) this.#park(unit, why);
    this.#tell(call, told);
  }

  #refuse(unit: Unit, error: CausewayError): void {
    this.#failed(unit.call.epoch, error);
    this.#tell(
      unit.call,
      unit.indexes.map((index) => [index, { ok: false, error }]),
    );
  }

  #tell(call: Call, told: readonly (readonly [number, WriteResult])[]): void {
    if (told.length === 0) return;
    for (const [index, result] of told) call.results[index] = result;
    call.left -= told.length;
    if (call.left === 0) call.done(call.results);
  }

  // ── While a shard is on its way ─────────────────────────────────────────────────────────────────────────────────

  #park(unit: Unit, why: CausewayError): void {
    const shard = unit.shard!;
    if (this.#host.stuck.has(shard)) {
      this.#refuse(unit, why);
      return;
    }
    const { clock } = this.#host.system;
    unit.waitsSinceMs ??= clock.monotonicMs();
    unit.why ??= why;
    const list = this.#parked.get(shard);
    if (list === undefined) this.#parked.set(shard, [unit]);
    else insert(list, unit);
    this.#host.waits(this);
  }

  /** False: nothing waits any more. */
  tryAgain(): boolean {
    for (const [shard, list] of this.#parked) {
      while (list.length > 0) {
        const [first] = list;
        const refusal = this.#refusalOf(first!.call.epoch) ?? this.#expired(first!);
        if (refusal !== undefined) {
          list.shift();
          this.#refuse(first!, refusal);
          continue;
        }
        if (this.#destinationOf(first!) instanceof CausewayError) break;
        list.shift();
        this.#dispatch([first!]);
        // Refused at once: the next try is later.
        if (list[0] === first) break;
      }
      if (list.length === 0) this.#parked.delete(shard);
    }
    return this.#parked.size > 0;
  }

  #expired({ shard, waitsSinceMs, why, call }: Unit): CausewayError | undefined {
    const nowMs = this.#host.system.clock.monotonicMs();
    if (nowMs >= waitsSinceMs! + WAIT_MS_MAX) this.#host.stuck.add(shard!);
    else if (nowMs < call.deadlineAtMs) return undefined;
    return why;
  }
}

/**
 * May be written again by the next owner, for a reason that goes with the shard's move. FENCED: this try did not reach the log; an earlier one with the same idempotency
 * key may have, which the next owner recognises.
 */
function isMoving({ code, outcome, retriable }: CausewayError): boolean {
  if (code === 'FENCED') return true;
  if (outcome !== 'not-applied' || !retriable) return false;
  return code === 'NOT_READY' || code === 'UNAVAILABLE' || code === 'DRAINING';
}

/** In the order of the sender: what comes back goes before what has come meanwhile. */
function insert(list: Unit[], unit: Unit): void {
  const before = list.findLastIndex(({ seq }) => seq < unit.seq);
  list.splice(before + 1, 0, unit);
}

/** Whether another message may be sent: it goes behind those under way when they are of the same epoch of the sender and none has failed. */
function mayTakeNext({ waiting: [first], underWay, senderEpoch, failed }: Lane): boolean {
  if (first === undefined || underWay === 0) return first !== undefined;
  return underWay < LANE_MESSAGES_MAX && !failed && first.call.epoch === senderEpoch;
}

/** As one request. */
function together(units: readonly Unit[]): WriteRequest {
  const [{ call }] = units as readonly [Unit];
  const { request } = call;
  const calls = new Set(units.map((unit) => unit.call));
  if (calls.size === 1) {
    const count = units.reduce((sum, { indexes }) => sum + indexes.length, 0);
    const whole = units.length === 1 && count === request.ops.length;
    return whole ? request : { ...request, ops: units.flatMap(opsOf) };
  }
  return {
    ...request,
    ops: units.flatMap(opsOf),
    // Above what any of them has seen.
    seenStamp: Math.max(...Array.from(calls, (one) => one.request.seenStamp ?? 0)),
  };
}

function opsOf({ call, indexes }: Unit): WriteOp[] {
  return indexes.map((index) => call.request.ops[index]!);
}

/** As one request they mean the same. */
function goTogether(a: Call, b: Call): boolean {
  const plain = ({ request: { session, atomic, valueBytesMax } }: Call): boolean =>
    session === undefined && atomic !== true && valueBytesMax === undefined;
  const regions = ({ request: { durability } }: Call): number => (durability.kind === 'regions' ? durability.n : 0);
  const sameDurability = a.request.durability.kind === b.request.durability.kind && regions(a) === regions(b);
  return a.epoch === b.epoch && plain(a) && plain(b) && sameDurability;
}

function bytesOf(unit: Unit): number {
  return opsOf(unit).reduce(
    (sum, { key, intent }) => sum + OP_BYTES + key.length + ('value' in intent ? intent.value.length : 0),
    0,
  );
}

function refusals(count: number, error: CausewayError): WriteResult[] {
  return Array.from({ length: count }, () => ({ ok: false, error }));
}
