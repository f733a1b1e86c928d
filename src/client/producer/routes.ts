// Which lane an op takes. Lanes are grouped by the node that they go to: an op takes one to the owner of its shard, or one to anywhere while the owner is not known.
// Order: a key's ops share a lane. When its shard moves to another group, what is sent of it waits here until everything that the lanes of the group before have is
// answered. The map of owners is never waited for, and may be wrong: any node takes any op.
// Bounds: what waits here counts as under way (producer.ts).

import { CausewayError, toCausewayError } from '../../errors/errors.ts';
import { WireWriter } from '../../proto/wire.ts';
import type { Endpoint } from '../endpoint.ts';
import { encodeOp } from '../op-encode.ts';
import type { Op } from '../types.ts';
import type { OnResult } from './batch.ts';
import { Lane, type LaneEvents } from './lane.ts';
import type { ClientParts, ProducerSettings } from './options.ts';

/** To one node, or to anywhere. */
interface Group {
  readonly endpoint: Endpoint | undefined;
  readonly lanes: readonly Lane[];
  /** It is drained, so that shards of it can go to others. */
  draining: Promise<void> | undefined;
}

interface Waiting {
  readonly op: Op;
  readonly onResult: OnResult | undefined;
  readonly bytes: number;
  /** By the monotonic clock. */
  readonly sentMs: number;
}

export interface RouteEvents extends LaneEvents {
  /** An op takes so many bytes more than add() said. */
  grown(bytes: number): void;
}

/** Of lanes that have ended. */
const NOTHING = { acknowledgedOps: 0, retriedOps: 0, messages: 0 };

export class Routes {
  readonly #parts: ClientParts;
  readonly #settings: ProducerSettings;
  readonly #events: RouteEvents;
  readonly #anywhere: Group;
  readonly #groups = new Map<Endpoint | undefined, Group>();
  /** By shard, where its ops go. */
  #groupOf: Group[] = [];
  /** By shard, those that are on their way to another group. */
  readonly #moving = new Map<number, Waiting[]>();
  readonly #offChange: () => void;
  #ended = NOTHING;
  #closed = false;

  constructor(parts: ClientParts, settings: ProducerSettings, events: RouteEvents) {
    this.#parts = parts;
    this.#settings = settings;
    this.#events = events;
    this.#anywhere = this.#group(undefined);
    this.#offChange = parts.shardMap.onChange(() => this.#remap());
    this.#remap();
  }

  get stats(): typeof NOTHING & { readonly endpoint: Endpoint | undefined } {
    const sums = { ...this.#ended };
    let endpoint: Endpoint | undefined;
    for (const lane of this.#lanes()) {
      sums.acknowledgedOps += lane.acknowledgedOps;
      sums.retriedOps += lane.retriedOps;
      sums.messages += lane.messages;
      endpoint ??= lane.endpoint;
    }
    return { ...sums, endpoint };
  }

  /** Takes the op; returns its bytes. Throws CausewayError when no node can take it. */
  add(op: Op, onResult: OnResult | undefined): number {
    const shards = this.#groupOf.length;
    if (shards === 0) return laneOf(this.#anywhere, op.key).add(op, onResult);
    const shard = this.#parts.shardMap.shardOf(op.collection, op.key, shards);
    const waiting = this.#moving.size === 0 ? undefined : this.#moving.get(shard);
    if (waiting === undefined) return laneOf(this.#groupOf[shard]!, op.key).add(op, onResult);
    const scratch = new WireWriter(256);
    encodeOp(scratch, op, 0, 0);
    // As anywhere else, the caller may use its buffers again.
    waiting.push({ op: copyOf(op), onResult, bytes: scratch.length, sentMs: this.#parts.system.clock.monotonicMs() });
    return scratch.length;
  }

  /** Resolves when everything that was added before has its result. */
  async flush(): Promise<void> {
    // What waits is with a lane when what it waits for has its result.
    for (const { draining } of [...this.#groups.values()]) await draining;
    await Promise.all([...this.#lanes()].map((lane) => lane.flush()));
  }

  /** As of Lane. */
  end(error: CausewayError, now: boolean): void {
    this.#closed = true;
    this.#offChange();
    for (const lane of this.#lanes()) lane.end(error, now);
    for (const list of this.#moving.values()) for (const one of list) this.#fail(one, error);
    this.#moving.clear();
  }

  *#lanes(): Iterable<Lane> {
    for (const group of this.#groups.values()) yield* group.lanes;
  }

  #group(endpoint: Endpoint | undefined): Group {
    let group = this.#groups.get(endpoint);
    if (group === undefined) {
      const lanes = Array.from(
        { length: this.#settings.streams },
        (_, i) => new Lane(i, endpoint, this.#parts, this.#settings, this.#events),
      );
      group = { endpoint, lanes, draining: undefined };
      this.#groups.set(endpoint, group);
    }
    return group;
  }

  /** Where ops of the shard should go; where they go now, while nobody is known to have it. */
  #wanted(shard: number): Group {
    const owner = this.#parts.shardMap.ownerOf(shard);
    return owner === undefined ? this.#groupOf[shard]! : this.#group(owner);
  }

  #remap(): void {
    if (this.#closed) return;
    const { shards } = this.#parts.shardMap;
    if (this.#groupOf.length === 0) this.#groupOf = Array.from({ length: shards }, () => this.#anywhere);
    // A region of one node: whatever there is goes to it.
    if (this.#groupOf.length !== shards) return;
    const left = new Map<Group, number[]>();
    for (let shard = 0; shard < shards; shard++) {
      const from = this.#groupOf[shard]!;
      const to = this.#wanted(shard);
      if (from === to || this.#moving.has(shard)) continue;
      if (from.draining === undefined && from.lanes.every((lane) => lane.isIdle)) {
        this.#groupOf[shard] = to;
        continue;
      }
      this.#moving.set(shard, []);
      left.set(from, [...(left.get(from) ?? []), shard]);
    }
    for (const [group, leaving] of left) {
      const drained = this.#leave(group, leaving).then(() => {
        if (group.draining === drained) group.draining = undefined;
        this.#endUnused();
      });
      group.draining = drained;
    }
    this.#endUnused();
  }

  /** When all that was sent of these shards is answered, they are where they are wanted then. Where they are, if that may take long: whoever is told of the map
   *  next tries again. */
  async #leave(group: Group, leaving: readonly number[]): Promise<void> {
    await group.draining;
    const drained = (await Promise.all(group.lanes.map((lane) => lane.drain()))).every(Boolean);
    if (this.#closed) return;
    for (const shard of leaving) {
      const to = drained ? this.#wanted(shard) : group;
      this.#groupOf[shard] = to;
      const waiting = this.#moving.get(shard)!;
      this.#moving.delete(shard);
      for (const one of waiting) this.#send(to, one);
    }
  }

  #send(to: Group, one: Waiting): void {
    try {
      this.#events.grown(laneOf(to, one.op.key).add(one.op, one.onResult, one.sentMs) - one.bytes);
    } catch (error) {
      this.#fail(one, toCausewayError(error));
    }
  }

  #fail({ onResult, bytes }: Waiting, error: CausewayError): void {
    this.#events.failed(error, onResult);
    this.#events.settled(1, bytes);
  }

  #endUnused(): void {
    const used = new Set([this.#anywhere, ...this.#groupOf]);
    for (const [endpoint, group] of this.#groups) {
      if (used.has(group) || group.draining !== undefined || !group.lanes.every((lane) => lane.isIdle)) continue;
      this.#groups.delete(endpoint);
      for (const lane of group.lanes) {
        lane.end(new CausewayError('CANCELLED', 'its shards are at other nodes'), false);
        this.#ended = {
          acknowledgedOps: this.#ended.acknowledgedOps + lane.acknowledgedOps,
          retriedOps: this.#ended.retriedOps + lane.retriedOps,
          messages: this.#ended.messages + lane.messages,
        };
      }
    }
  }
}

function laneOf({ lanes }: Group, key: string): Lane {
  const { length } = lanes;
  if (length === 1) return lanes[0]!;
  // FNV-1a, and its high bits folded in: the low ones alone hardly differ for keys that differ at their beginning.
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return lanes[((hash ^ (hash >>> 16)) >>> 0) % length]!;
}

/** With bytes of its own. */
function copyOf<T>(value: T): T {
  if (value instanceof Uint8Array) return new Uint8Array(value) as T;
  if (Array.isArray(value)) return value.map(copyOf) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, copyOf(field)])) as T;
}
