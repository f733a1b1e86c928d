// How fast peers' batches are taken, beside the writes of clients (DESIGN 9: catching up must not starve live traffic).
// Owns: what waits for its turn, whose turn it is, and how much of it may be on its way into the log at once.
//
// A peer's batch goes at once while nothing of ours is in its way. Otherwise it waits for the node's next round of seals: taken earlier, it
// would cut the open batch of its shard short (I4). In a round our own batches go first. Then all of what peers have sent that are in step,
// and so much of what those have sent that we are behind of: neither the first nor our clients wait for the hours that the others have in store.
//
// And what peers send may not use up what may wait for the store: clients are refused at that bound, and would find it reached whenever they ask.
//
// I8, I12 What waits holds its link's credit, so its source sends no more than a window of it. WINDOWS_MAX of them for one peer and shard
//     are left of links that broke and came back; beyond, it is dropped, and asked for again.

import type { RegionId } from '../record/ids.ts';
import type { Answers } from '../replication/host.ts';

/** Of peers' batches that the log does not have yet, all shards of a node: behind more than that no write of a client has to wait for the
 *  disk. Beyond: it waits for a round. */
export const IN_FLIGHT_BYTES_MAX = 1024 * 1024;
/** A peer of which more waits, in all shards, is one that we are behind of: in step it is what comes between two rounds. */
export const IN_STEP_BYTES_MAX = 1024 * 1024;
/** Of what we are behind, taken in one round at most, and for how long: meanwhile the node does nothing for its clients. On a machine that has
 *  more to do than this the time goes by faster. */
export const ROUND_BYTES = 1024 * 1024;
const ROUND_MS = 12;
/** From one shard, before it is the next one's turn. */
const TURN_BYTES = 64 * 1024;
const WINDOWS_MAX = 2;

interface Waiting {
  readonly batch: Uint8Array;
  readonly answers: Answers;
}

interface Queue {
  readonly from: RegionId;
  batches: Waiting[];
  head: number;
  bytes: number;
}

/** Of one shard. */
export class WaitingBatches {
  readonly #bytesMax: number;
  readonly #ofNode: Map<RegionId, number>;
  /** By whose turn it is. */
  #queues: Queue[] = [];
  #bytes = 0;

  /** `ofNode`: what waits of each peer, in all shards; kept up to date. */
  constructor(linkWindowBytes: number, ofNode: Map<RegionId, number>) {
    this.#bytesMax = linkWindowBytes * WINDOWS_MAX;
    this.#ofNode = ofNode;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#queues.length === 0;
  }

  has(from: RegionId): boolean {
    return this.#queues.some((queue) => queue.from === from);
  }

  /** False: there is no room. */
  push(from: RegionId, batch: Uint8Array, answers: Answers): boolean {
    let queue = this.#queues.find((each) => each.from === from);
    if (queue === undefined) {
      queue = { from, batches: [], head: 0, bytes: 0 };
      this.#queues.push(queue);
    }
    // One that no window holds comes alone.
    if (queue.bytes > 0 && queue.bytes + batch.length > this.#bytesMax) return false;
    queue.batches.push({ batch, answers });
    this.#count(queue, batch.length);
    return true;
  }

  #count(queue: Queue, bytes: number): void {
    queue.bytes += bytes;
    this.#bytes += bytes;
    this.#ofNode.set(queue.from, (this.#ofNode.get(queue.from) ?? 0) + bytes);
  }

  /**
   * Hands out about `bytesMax` of those peers, at least one batch if there is one: peers in turn, the batches of each in the order in which they came.
   * Returns how much it was.
   */
  take(bytesMax: number, from: (peer: RegionId) => boolean, take: (batch: Uint8Array) => void): number {
    const answered = new Map<Answers, number>();
    let bytes = 0;
    while (bytes < bytesMax) {
      const at = this.#queues.findIndex((queue) => from(queue.from));
      if (at < 0) break;
      const [queue] = this.#queues.splice(at, 1);
      const { batch, answers } = queue!.batches[queue!.head++]!;
      this.#count(queue!, -batch.length);
      bytes += batch.length;
      answered.set(answers, (answered.get(answers) ?? 0) + batch.length);
      if (queue!.head < queue!.batches.length) this.#queues.push(queue!);
      take(batch);
    }
    for (const queue of this.#queues) compact(queue);
    for (const [answers, of] of answered) answers.answered(of);
    return bytes;
  }

  /** They come again. */
  drop(): void {
    const queues = this.#queues;
    this.#queues = [];
    for (const queue of queues) {
      const waiting = queue.batches.slice(queue.head);
      for (const { batch } of waiting) this.#count(queue, -batch.length);
      for (const { batch, answers } of waiting) answers.answered(batch.length);
    }
  }
}

/** What has been handed out keeps no frame in memory for long. */
function compact(queue: Queue): void {
  // Moving what is left each time would cost a copy a round; waiting for half makes it one copy a batch at most.
  if (queue.head * 2 < queue.batches.length) return;
  queue.batches = queue.batches.slice(queue.head);
  queue.head = 0;
}

/** One shard's side of it. */
export interface Taker {
  readonly waitingBytes: number;
  /** Takes up to about so much of what waits of these peers; returns how much it was. */
  takeWaiting(bytesMax: number, from: (peer: RegionId) => boolean): number;
}

/** Of one node. */
export class Intake {
  /** Of each peer, in all shards. */
  readonly waitingBytes = new Map<RegionId, number>();
  readonly #monotonicMs: () => number;
  readonly #room: () => void;
  #inFlightBytes = 0;
  /** Of ops, until the store's next transaction. */
  #storeRoom = Infinity;
  /** Counts turns, so that each round goes on with the shard at which the one before has ended. */
  #turns = 0;

  /** `room`: called when there is some again. */
  constructor(monotonicMs: () => number, room: () => void) {
    this.#monotonicMs = monotonicMs;
    this.#room = room;
  }

  /** May more go to the log now? */
  get hasRoom(): boolean {
    return this.#inFlightBytes < IN_FLIGHT_BYTES_MAX && this.storeHasRoom;
  }

  get storeHasRoom(): boolean {
    return this.#storeRoom > 0;
  }

  /** A batch of so many ops is on its way to the log. */
  taken(bytes: number, ops: number): void {
    this.#inFlightBytes += bytes;
    this.#storeRoom -= ops;
  }

  /** So much is no longer on its way. */
  landed(bytes: number): void {
    this.#changed(() => (this.#inFlightBytes -= bytes));
  }

  /** The store has made a transaction, and so many keys may wait for the next beside those that do: half of that is for peers, half for clients. */
  storeWrote(keys: number): void {
    this.#changed(() => (this.#storeRoom = Math.max(0, Math.ceil(keys / 2))));
  }

  #changed(change: () => void): void {
    const had = this.hasRoom;
    change();
    if (!had && this.hasRoom) this.#room();
  }

  /** After the seals of a round. */
  round(takers: Iterable<Taker>): void {
    const waiting = [...takers].filter(({ waitingBytes }) => waitingBytes > 0);
    const behind = new Set<RegionId>();
    for (const [peer, bytes] of this.waitingBytes) if (bytes > IN_STEP_BYTES_MAX) behind.add(peer);
    const inStep = (peer: RegionId): boolean => !behind.has(peer);
    for (let i = 0; i < waiting.length && this.hasRoom; i++) waiting[i]!.takeWaiting(Infinity, inStep);
    if (behind.size > 0) this.#roundOf(waiting, (peer) => behind.has(peer));
  }

  #roundOf(takers: readonly Taker[], behind: (peer: RegionId) => boolean): void {
    const untilMs = this.#monotonicMs() + ROUND_MS;
    let left = ROUND_BYTES;
    for (let idle = 0; idle < takers.length && left > 0 && this.hasRoom && this.#monotonicMs() < untilMs;) {
      const taken = takers[this.#turns++ % takers.length]!.takeWaiting(Math.min(TURN_BYTES, left), behind);
      left -= taken;
      idle = taken === 0 ? idle + 1 : 0;
    }
  }
}
