// A region of several nodes, seen from one of them: what concerns a shard goes to the node that owns it, and comes back as if it had been done here.
// Owns: taking requests apart by owner, and putting the answers together again. What may be read and written is the owner's to say.
//
// - One hop: a request that another node has passed on is answered by the node itself, without this (api/env.ts), so that two nodes whose maps
//   differ do not send it round for ever.
// - The order of a sender (a stream of writes) is kept shard by shard: to each owner its requests go in their order, and while a message for a shard is
//   under way the next one goes to no other owner. After one failed and may be tried again, those of its epoch are refused untried.
//
// Bounds: as many requests wait for another node as their senders may have under way (api/write-stream.ts, api/env.ts).
// Not here: definitions of collections at run time, key histories, conflicts, digests and status are each node's own.

import { CausewayError } from '../errors/errors.ts';
import { viewBytes } from '../merge/view-bytes.ts';
import type { ShardId } from '../record/ids.ts';
import { shardParts } from '../record/ids.ts';
import { compareKeys } from '../record/key-order.ts';
import type { RegionNode } from './node.ts';
import type {
  FeedSink,
  FeedSubscription,
  ReadRequest,
  ReadResult,
  Region,
  ScanRequest,
  ScanResult,
  SubscribeRequest,
  WriteOp,
  WriteRequest,
  WriteResult,
} from './region.ts';
import type { SharedOwnership, SiblingStream, Siblings } from './siblings.ts';

/** This node. */
const HERE = '';
type Owner = string;

interface Message {
  readonly epoch: number;
  readonly request: WriteRequest;
  readonly done: (results: readonly WriteResult[]) => void;
}

interface Lane {
  readonly stream: SiblingStream;
  readonly waiting: Message[];
  underWay: number;
}

/** Messages under way to one other node. What comes meanwhile goes together. */
const LANE_MESSAGES_MAX = 4;

/** What waits is put together, up to so many ops, and about so many bytes. A message of a stream has at most 4 MiB by itself. */
const TOGETHER_OPS_MAX = 4000;
const TOGETHER_BYTES_MAX = 4 * 1024 * 1024;
/** Of an op beside its value. */
const OP_BYTES = 200;

/** What one sender has under way. */
class Sender {
  readonly underWay = new Map<ShardId, { readonly owner: Owner; count: number }>();
  readonly #siblings: Siblings;
  readonly #lanes = new Map<Owner, Lane>();
  #refusedEpoch = -1;
  #refusal: CausewayError | undefined;

  constructor(siblings: Siblings) {
    this.#siblings = siblings;
  }

  /** Something of this epoch failed that is to be sent again: what comes behind it in the epoch must not be written before it. */
  failed(epoch: number, error: CausewayError): void {
    if (!error.retriable || epoch <= this.#refusedEpoch) return;
    this.#refusedEpoch = epoch;
    const said = `an earlier message of the stream failed: ${error.message}`;
    this.#refusal = new CausewayError(error.code, said, { retriable: true, outcome: 'not-applied' });
  }

  refusalOf(epoch: number): CausewayError | undefined {
    return epoch <= this.#refusedEpoch ? this.#refusal : undefined;
  }

  /** In the order of the calls, to each other node. */
  send(owner: Owner, message: Message): void {
    let lane = this.#lanes.get(owner);
    if (lane === undefined) {
      lane = { stream: this.#siblings.stream(owner), waiting: [], underWay: 0 };
      this.#lanes.set(owner, lane);
    }
    lane.waiting.push(message);
    this.#next(lane);
  }

  #next(lane: Lane): void {
    while (lane.underWay < LANE_MESSAGES_MAX) {
      const first = lane.waiting.shift();
      if (first === undefined) return;
      const refusal = this.refusalOf(first.epoch);
      if (refusal !== undefined) {
        first.done(refusals(first.request.ops.length, refusal));
        continue;
      }
      const messages = [first];
      let { request } = first;
      let bytes = bytesOf(request);
      for (let next = lane.waiting[0]; next !== undefined; next = lane.waiting[0]) {
        bytes += bytesOf(next.request);
        const fits = request.ops.length + next.request.ops.length <= TOGETHER_OPS_MAX && bytes <= TOGETHER_BYTES_MAX;
        if (!fits || next.epoch !== first.epoch || !goTogether(first.request, next.request)) break;
        messages.push(lane.waiting.shift()!);
        request = {
          ...request,
          ops: [...request.ops, ...next.request.ops],
          deadlineMs: Math.min(request.deadlineMs, next.request.deadlineMs),
          // Above what any of them has seen.
          seenStamp: Math.max(request.seenStamp ?? 0, next.request.seenStamp ?? 0),
        };
      }
      lane.underWay++;
      lane.stream.write(first.epoch, request, (results) => {
        lane.underWay--;
        for (const result of results) if (!result.ok) this.failed(first.epoch, result.error);
        let at = 0;
        for (const { request: part, done } of messages) done(results.slice(at, (at += part.ops.length)));
        this.#next(lane);
      });
    }
  }
}

/** As one request they mean the same. */
function goTogether(a: WriteRequest, b: WriteRequest): boolean {
  const plain = ({ session, atomic, valueBytesMax }: WriteRequest): boolean =>
    session === undefined && atomic !== true && valueBytesMax === undefined;
  const regions = ({ durability }: WriteRequest): number => (durability.kind === 'regions' ? durability.n : 0);
  return plain(a) && plain(b) && a.durability.kind === b.durability.kind && regions(a) === regions(b);
}

function bytesOf({ ops }: WriteRequest): number {
  return ops.reduce(
    (sum, { key, intent }) => sum + OP_BYTES + key.length + ('value' in intent ? intent.value.length : 0),
    0,
  );
}

export class SharedRegion implements Region {
  readonly id: Region['id'];
  readonly placementOf: Region['placementOf'];
  readonly collection: Region['collection'];
  readonly collections: Region['collections'];
  readonly createCollection: Region['createCollection'];
  readonly alterCollection: Region['alterCollection'];
  readonly dropCollection: Region['dropCollection'];
  readonly history: Region['history'];
  readonly stalenessMs: Region['stalenessMs'];
  readonly digests: Region['digests'];
  readonly status: Region['status'];
  readonly conflicts: Region['conflicts'];
  readonly conflictsOf: Region['conflictsOf'];
  readonly watchConflicts: Region['watchConflicts'];
  readonly restoreConflict: Region['restoreConflict'];
  readonly onReady: Region['onReady'];
  readonly #node: RegionNode;
  readonly #ownership: SharedOwnership;
  readonly #siblings: Siblings;
  readonly #senders = new WeakMap<object, Sender>();
  /** Every shard has had an owner. */
  #settled = false;

  constructor(node: RegionNode, ownership: SharedOwnership, siblings: Siblings) {
    this.#node = node;
    this.#ownership = ownership;
    this.#siblings = siblings;
    this.id = node.id;
    this.placementOf = (namespace) => node.placementOf(namespace);
    this.collection = (namespace, name) => node.collection(namespace, name);
    this.collections = () => node.collections();
    this.createCollection = (...args) => node.createCollection(...args);
    this.alterCollection = (...args) => node.alterCollection(...args);
    this.dropCollection = (...args) => node.dropCollection(...args);
    this.history = (...args) => node.history(...args);
    this.stalenessMs = (namespace) => node.stalenessMs(namespace);
    this.digests = (asOfMs) => node.digests(asOfMs);
    this.status = () => node.status();
    this.conflicts = (...args) => node.conflicts(...args);
    this.conflictsOf = (...args) => node.conflictsOf(...args);
    this.watchConflicts = (...args) => node.watchConflicts(...args);
    this.restoreConflict = (...args) => node.restoreConflict(...args);
    this.onReady = (listener) => node.onReady(listener);
  }

  /** Of the whole region: this node, and an owner of every shard. Once each had one, those that change hands are told one by one. */
  ready(): boolean {
    this.#settled ||= this.#node.allShards().every((shard) => this.#ownerOf(shard) !== undefined);
    return this.#settled && this.#node.ready();
  }

  #ownerOf(shard: ShardId): Owner | undefined {
    if (this.#ownership.owns(shard)) return HERE;
    const owner = this.#ownership.ownerOf(shard);
    if (owner === undefined) return undefined;
    return owner.node === this.#node.node ? HERE : owner.address;
  }

  #noOwner(shard: ShardId): CausewayError {
    return new CausewayError('NOT_READY', `shard ${shard} of ${this.id} has no owner just now`, {
      hint: 'try again: it has one when the lease of the one before is over',
    });
  }

  // ── Writes ──────────────────────────────────────────────────────────────────────────────────────────────────────

  write(request: WriteRequest, done: (results: readonly WriteResult[]) => void): void {
    const { ops, sender: from } = request;
    const sender = from === undefined ? undefined : this.#senderOf(from.stream);
    const behind = sender?.refusalOf(from!.epoch);
    if (behind !== undefined) {
      done(refusals(ops.length, behind));
      return;
    }
    const results = Array.from<WriteResult>({ length: ops.length });
    const parts = new Map<Owner, number[]>();
    const shards: (ShardId | undefined)[] = [];
    let nowhere: CausewayError | undefined;
    for (let i = 0; i < ops.length; i++) {
      const { namespace, collection, key } = ops[i]!;
      const shard = this.#node.shardFor(namespace, collection, key);
      // What is no name of ours is the node's to refuse.
      const owner = shard === undefined ? HERE : this.#ownerFor(shard, sender);
      shards.push(shard);
      if (owner instanceof CausewayError) {
        results[i] = { ok: false, error: owner };
        nowhere ??= owner;
        continue;
      }
      const part = parts.get(owner);
      if (part === undefined) parts.set(owner, [i]);
      else part.push(i);
    }
    if (request.atomic === true && (parts.size > 1 || results.some((result) => result !== undefined))) {
      const error = results.find((result) => result !== undefined && !result.ok) as
        { error: CausewayError } | undefined;
      if (error !== undefined) done(refusals(ops.length, error.error));
      // They share no shard, and the node says so.
      else this.#node.write(request, done);
      return;
    }
    let left = parts.size;
    if (left === 0) {
      if (nowhere !== undefined) sender?.failed(from!.epoch, nowhere);
      done(results);
      return;
    }
    for (const [owner, indexes] of parts) {
      this.#began(sender, owner, indexes, shards);
      const answered = (answers: readonly WriteResult[]): void => {
        this.#ended(sender, indexes, shards);
        for (const answer of answers) if (!answer.ok) sender?.failed(from!.epoch, answer.error);
        indexes.forEach((index, i) => (results[index] = answers[i]!));
        if (--left === 0) done(results);
      };
      const part = indexes.length === ops.length ? request : { ...request, ops: indexes.map((i) => ops[i] as WriteOp) };
      if (owner === HERE) {
        this.#node.write(part, answered);
        continue;
      }
      if (sender === undefined) this.#siblings.write(owner, part, answered);
      else sender.send(owner, { epoch: from!.epoch, request: part, done: answered });
    }
    // What comes next must not overtake it, though its shard may have an owner by then.
    if (nowhere !== undefined) sender?.failed(from!.epoch, nowhere);
  }

  #senderOf(stream: object): Sender {
    let sender = this.#senders.get(stream);
    if (sender === undefined) {
      sender = new Sender(this.#siblings);
      this.#senders.set(stream, sender);
    }
    return sender;
  }

  #ownerFor(shard: ShardId, sender: Sender | undefined): Owner | CausewayError {
    const owner = this.#ownerOf(shard);
    if (owner === undefined) return this.#noOwner(shard);
    const underWay = sender?.underWay.get(shard);
    if (underWay === undefined || underWay.owner === owner) return owner;
    return new CausewayError('NOT_READY', `shard ${shard} of ${this.id} is moving to another node`, {
      hint: 'try again when what is under way has been answered',
    });
  }

  #began(
    sender: Sender | undefined,
    owner: Owner,
    indexes: readonly number[],
    shards: readonly (ShardId | undefined)[],
  ): void {
    if (sender === undefined) return;
    for (const index of indexes) {
      const shard = shards[index];
      if (shard === undefined) continue;
      const underWay = sender.underWay.get(shard);
      if (underWay === undefined) sender.underWay.set(shard, { owner, count: 1 });
      else underWay.count++;
    }
  }

  #ended(sender: Sender | undefined, indexes: readonly number[], shards: readonly (ShardId | undefined)[]): void {
    if (sender === undefined) return;
    for (const index of indexes) {
      const shard = shards[index];
      const underWay = shard === undefined ? undefined : sender.underWay.get(shard);
      if (underWay !== undefined && --underWay.count === 0) sender.underWay.delete(shard!);
    }
  }

  // ── Reads ───────────────────────────────────────────────────────────────────────────────────────────────────────

  read(request: ReadRequest, done: (result: ReadResult | CausewayError) => void): void {
    const parts = new Map<Owner, number[]>();
    for (let i = 0; i < request.keys.length; i++) {
      const shard = this.#node.shardFor(request.namespace, request.collection, request.keys[i]!);
      const owner = shard === undefined ? HERE : this.#ownerOf(shard);
      if (owner === undefined) {
        done(this.#noOwner(shard!));
        return;
      }
      const part = parts.get(owner);
      if (part === undefined) parts.set(owner, [i]);
      else part.push(i);
    }
    const [only] = parts.keys();
    if (parts.size <= 1) {
      if (only === undefined || only === HERE) this.#node.read(request, done);
      else this.#siblings.read(only, request, done);
      return;
    }
    if (request.consistency.kind === 'stable') {
      done(
        noCut(
          'keys',
          [...parts.values()].map((indexes) => request.keys[indexes[0]!]!),
        ),
      );
      return;
    }
    const views = Array.from<ReadResult['views'][number]>({ length: request.keys.length });
    gather<ReadResult>(
      [...parts].map(([owner, indexes]) => (answered) => {
        const part = { ...request, keys: indexes.map((i) => request.keys[i]!) };
        const placed = (result: ReadResult | CausewayError): void => {
          if (!(result instanceof CausewayError)) indexes.forEach((index, i) => (views[index] = result.views[i]));
          answered(result);
        };
        if (owner === HERE) this.#node.read(part, placed);
        else this.#siblings.read(owner, part, placed);
      }),
      (results) => done(results instanceof CausewayError ? results : { views, ...together(results) }),
    );
  }

  scan(request: ScanRequest, done: (result: ScanResult | CausewayError) => void): void {
    const parts = this.#partsOf(request.namespace, request.shards);
    if (parts instanceof CausewayError) {
      done(parts);
      return;
    }
    const [only] = parts.keys();
    if (parts.size <= 1) {
      if (only === undefined || only === HERE) this.#node.scan(request, done);
      else this.#siblings.scan(only, { ...request, shards: parts.get(only)! }, done);
      return;
    }
    if (request.consistency.kind === 'stable') {
      done(
        noCut(
          'shards',
          [...parts.values()].map((shards) => `${[...shards][0]!}`),
        ),
      );
      return;
    }
    gather<ScanResult>(
      [...parts].map(([owner, shards]) => (answered) => {
        const part = { ...request, shards };
        if (owner === HERE) this.#node.scan(part, answered);
        else this.#siblings.scan(owner, part, answered);
      }),
      (results) => done(results instanceof CausewayError ? results : merged(results, request)),
    );
  }

  /** By owner, the shards of the namespace, by their index. */
  #partsOf(namespace: string, wanted: ReadonlySet<number> | undefined): Map<Owner, Set<number>> | CausewayError {
    const parts = new Map<Owner, Set<number>>();
    for (const shard of this.#node.shardsOf(namespace)) {
      const { index } = shardParts(shard);
      if (wanted?.has(index) === false) continue;
      const owner = this.#ownerOf(shard);
      if (owner === undefined) return this.#noOwner(shard);
      const part = parts.get(owner);
      if (part === undefined) parts.set(owner, new Set([index]));
      else part.add(index);
    }
    return parts;
  }

  // ── The feed ────────────────────────────────────────────────────────────────────────────────────────────────────

  subscribe(request: SubscribeRequest, sink: FeedSink): FeedSubscription {
    const parts = this.#partsOf(request.namespace, request.shards);
    if (parts instanceof CausewayError) {
      sink.failed(parts);
      return { resume: () => undefined, cancel: () => undefined };
    }
    if (parts.size === 0 || (parts.size === 1 && parts.has(HERE))) return this.#node.subscribe(request, sink);
    const subscriptions: FeedSubscription[] = [];
    let over = false;
    const cancel = (): void => {
      over = true;
      for (const subscription of subscriptions) subscription.cancel();
    };
    const shared: FeedSink = {
      events: (events, shard, cursor) => over || sink.events(events, shard, cursor),
      failed: (error) => {
        if (over) return;
        cancel();
        sink.failed(error);
      },
    };
    for (const [owner, shards] of parts) {
      if (over) break;
      const part = { ...request, shards };
      const subscription =
        owner === HERE ? this.#node.subscribe(part, shared) : this.#siblings.subscribe(owner, part, shared);
      if (over) subscription.cancel();
      else subscriptions.push(subscription);
    }
    return {
      resume: () => {
        for (const subscription of subscriptions) subscription.resume();
      },
      cancel,
    };
  }
}

function refusals(count: number, error: CausewayError): WriteResult[] {
  return Array.from({ length: count }, () => ({ ok: false, error }));
}

/** All answers, or the first error. */
function gather<T>(
  asks: readonly ((answered: (result: T | CausewayError) => void) => void)[],
  done: (results: readonly T[] | CausewayError) => void,
): void {
  const results: T[] = [];
  let failed: CausewayError | undefined;
  let left = asks.length;
  for (const ask of asks) {
    ask((result) => {
      if (result instanceof CausewayError) failed ??= result;
      else results.push(result);
      if (--left === 0) done(failed ?? results);
    });
  }
}

/** What answers of several nodes say of themselves, as one. */
function together(results: readonly Omit<ReadResult, 'views'>[]): Omit<ReadResult, 'views'> {
  const stamps = results.flatMap(({ asOfStamp }) => asOfStamp ?? []);
  return {
    session: new Map(results.flatMap(({ session }) => [...session])),
    stale: results.some(({ stale }) => stale),
    asOfStamp: stamps.length === results.length ? Math.min(...stamps) : undefined,
  };
}

/** One page of those of several nodes: what is whole is what lies before every end. */
function merged(results: readonly ScanResult[], { limit, bytesMax }: ScanRequest): ScanResult {
  let low: string | undefined;
  for (const { next } of results)
    if (next !== undefined && (low === undefined || compareKeys(next, low) < 0)) low = next;
  const all = results
    .flatMap(({ entries }) => entries)
    .filter(({ key }) => low === undefined || compareKeys(key, low) <= 0)
    .sort((a, b) => compareKeys(a.key, b.key));
  let bytes = 0;
  let count = 0;
  for (const { key, view } of all) {
    bytes += viewBytes(view) + key.length;
    if (count === limit || (bytes > bytesMax && count > 0)) break;
    count++;
  }
  const entries = all.slice(0, count);
  return { entries, next: count < all.length ? entries.at(-1)!.key : low, ...together(results) };
}

function noCut(what: 'keys' | 'shards', examples: readonly string[]): CausewayError {
  return new CausewayError(
    'PRECONDITION_FAILED',
    `a stable read is one cut, and no node owns all of its ${what} (${examples.slice(0, 3).join(', ')})`,
    { hint: what === 'keys' ? 'give the keys one {tag}, or read them one by one' : 'scan shard by shard' },
  );
}
