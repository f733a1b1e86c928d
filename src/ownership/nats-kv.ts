// Ownership in a region of several nodes, over a NATS key-value bucket: who lives, and who holds which shard.
//
//   node.<id>               put every BEAT: the node lives. Its value is where it is reached. Silent for leaseMs: it is taken for dead.
//   shard.<placement>.<i>   who holds the shard. Claimed and given up by compare-and-set, so that two nodes never follow each other in one step.
//   leaving.<id>            the node goes in order: it lives, and gives its shards up one by one while the others take them.
//   pin.<placement>.<i>     where an operator wants it, instead of where it would be.
//   bid.<placement>.<i>     who shall have it and has read its log, while another node holds it (hand-over.ts).
//   load.<…>, places        how much there is to do, and where shards were placed for it (balancer.ts).
//
// What each living node's share is, sharing.ts says. A shard that shall move is drained and given up by its holder, once the next one has read its log; that of a dead node is taken
// from it. A node whose own beats are not acknowledged for leaseMs holds nothing any more, by its own word.
//
// None of this is trusted: clocks of two machines may run differently and a paused node may wake up. The log's fence decides (DESIGN 4); a lease that is
// wrong costs a refused append.
//
// I12 Bounds: four keys for each shard, one for all places, and one for each name that a node ever had: it goes when the node stops in order, and stays when it crashes.

import { ErrorCode, NatsError, type KV, type KvEntry } from 'nats';
import { CausewayError, invariant } from '../errors/errors.ts';
import { connectNats, type NatsConnection, type NatsOptions } from '../nats/connection.ts';
import { PASSING_API_ERRORS } from '../nats/requests.ts';
import type { RegionId, ShardId } from '../record/ids.ts';
import type { System, TimerHandle } from '../system/system.ts';
import { Balancer, type BalancingTimes } from './balancer.ts';
import { decodeBid, encodeBid, nextStep, type Bid } from './hand-over.ts';
import { partOf } from './keys.ts';
import type { Ownership } from './ownership.ts';
import { Sharing } from './sharing.ts';

const LEASE_MS = 2000;
/** Beats of a lease: one may be lost, and one late. */
const BEATS = 4;
/** For the others to read what they take, and to take it. Of the 15 s that a process drains (cli/run.ts). */
const LEAVE_MS_MAX = 11_000;
const LEAVE_LOOK_MS = 10;
/** For the bucket to be there: a cluster that has just started chooses its leaders first. */
const OPEN_MS_MAX = 30_000;
const AGAIN_MS = 200;
/** Of no claim. */
const NO_REVISION = 0;
const NODE_ID = /^[A-Za-z0-9_-]{1,64}$/;

export interface NatsKvOptions {
  readonly nats: NatsOptions;
  readonly clusterId: string;
  readonly region: RegionId;
  /** Unique in the region. */
  readonly node: string;
  /** Where other nodes and clients reach this one. A function is called when the node joins, and later. */
  readonly address: string | (() => string);
  /** Of the bucket: as many as the log's streams. */
  readonly replicas: number;
  readonly shards: readonly ShardId[];
  /** How long a node may be silent. Default 2000; the same on all nodes. Shorter finds the dead sooner and takes the slow for dead more often. */
  readonly leaseMs?: number;
  /** How long start() waits for servers that have no leader yet. Default 30,000. */
  readonly openMsMax?: number;
  /** Called when the shard shall move, before it is given up: what is under way is finished. */
  readonly drain?: (shard: ShardId) => Promise<void>;
  /** Called when another node holds a shard that this one shall have: its log is read, so that little is left to read when it changes hands. May be called again for one that was
   *  read already. A failure is none. */
  readonly follow?: (shard: ShardId) => Promise<void>;
  /** Called when a shard that was followed, or still is, shall not be this node's any more. */
  readonly unfollow?: (shard: ShardId) => void;
  /** Asked of a shard of ours that another node shall have: true while that node could not begin to serve it. It stays here meanwhile. */
  readonly cannotBegin?: (shard: ShardId) => boolean;
  /** Ops of the shard that this node has put into the log so far, of which its load is made. Without it nothing moves for its load. */
  readonly opsOf?: (shard: ShardId) => number;
  /** Default: balancer.ts's. */
  readonly balancing?: Partial<BalancingTimes>;
  readonly system: System;
}

interface Seen {
  readonly address: string;
  /** By our monotonic clock. */
  atMs: number;
}

interface Followed {
  /** Of the claim under which it is read. */
  readonly revision: number;
  bids: boolean;
}

interface Claim {
  readonly holder: string;
  readonly revision: number;
}

export class NatsKvOwnership implements Ownership {
  readonly #options: NatsKvOptions;
  readonly #system: System;
  readonly #leaseMs: number;
  readonly #listeners: ((shard: ShardId, owned: boolean) => void)[] = [];
  readonly #movedListeners: ((shard: ShardId) => void)[] = [];
  readonly #byKey: ReadonlyMap<string, ShardId>;
  readonly #sharing: Sharing;
  readonly #balancer: Balancer;
  readonly #nodes = new Map<string, Seen>();
  readonly #claims = new Map<ShardId, Claim>();
  readonly #pins = new Map<ShardId, string>();
  readonly #bids = new Map<ShardId, Bid>();
  /** Held here, and to be another node's: whose, and since when. */
  readonly #departing = new Map<ShardId, { readonly to: string; readonly sinceMs: number }>();
  /** Held by another node, and to be ours: its log is, or was, read. */
  readonly #followed = new Map<ShardId, Followed>();
  /** Nodes that are on their way out. */
  readonly #leaving = new Set<string>();
  readonly #owned = new Set<ShardId>();
  /** A claim, or a release, of the shard is under way. */
  readonly #busy = new Set<ShardId>();
  #connection: NatsConnection | undefined;
  #kv: KV | undefined;
  #beating: TimerHandle | undefined;
  /** When the last beat that was acknowledged had been sent. */
  #beatenAtMs = 0;
  /** Nobody is taken for dead before everybody had time to be heard. */
  #startedAtMs = 0;
  #stopping = false;

  constructor(options: NatsKvOptions) {
    invariant(
      NODE_ID.test(options.node),
      `a node's name here is 1 to 64 of A-Z, a-z, 0-9, '_' and '-'; got ${options.node}`,
    );
    this.#options = options;
    this.#system = options.system;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#byKey = new Map(options.shards.map((shard) => [partOf(shard), shard]));
    this.#sharing = new Sharing(options.shards);
    const { node, shards, opsOf, balancing } = options;
    this.#balancer = new Balancer({ node, shards, opsOf, times: balancing });
  }

  /** Resolves when this node is known to the others. Throws CausewayError: CONFIG_INVALID, UNAVAILABLE. */
  async start(): Promise<void> {
    const { nats, region, openMsMax = OPEN_MS_MAX } = this.#options;
    const connection = await connectNats(nats);
    try {
      this.#kv = await this.#join(connection, this.#nowMs() + openMsMax);
      this.#startedAtMs = this.#nowMs();
      void this.#watch(this.#kv);
    } catch (cause) {
      await connection.close();
      throw new CausewayError(
        'UNAVAILABLE',
        `the nodes of ${region} cannot be asked for: ${(cause as Error).message}`,
        {
          hint: 'Is JetStream on, and may this node make the key-value bucket?',
          cause,
        },
      );
    }
    this.#connection = connection;
    this.#beating = this.#system.timers.every(this.#leaseMs / BEATS, () => {
      void this.#beat().catch(() => undefined);
      this.#settle();
      this.#balance();
    });
  }

  /** The bucket, made if it is not there, with this node's first beat in it. */
  async #join(connection: NatsConnection, untilMs: number): Promise<KV> {
    const { clusterId, region, node, replicas } = this.#options;
    const bucket = `causeway-${clusterId.replaceAll(/[^A-Za-z0-9_-]/g, '_')}-${region}`;
    for (;;) {
      try {
        const kv = await connection.jetstream().views.kv(bucket, { history: 1, replicas });
        // Of an earlier process, that did not come to its end.
        await kv.delete(`leaving.${node}`);
        await this.#beat(kv);
        return kv;
      } catch (error) {
        if (!passes(error) || this.#nowMs() > untilMs) throw error;
        await new Promise<void>((resolve) => void this.#system.timers.after(AGAIN_MS, resolve));
      }
    }
  }

  #nowMs(): number {
    return this.#system.clock.monotonicMs();
  }

  // ── What is known ───────────────────────────────────────────────────────────────────────────────────────────────

  owns(shard: ShardId): boolean {
    return this.#owned.has(shard);
  }

  onChange(listener: (shard: ShardId, owned: boolean) => void): void {
    this.#listeners.push(listener);
  }

  onMoved(listener: (shard: ShardId) => void): void {
    this.#movedListeners.push(listener);
  }

  /** Who holds it, as far as is known here: where to forward to. */
  ownerOf(shard: ShardId): { readonly node: string; readonly address: string } | undefined {
    const holder = this.#claims.get(shard)?.holder ?? '';
    const seen = this.#nodes.get(holder);
    return seen === undefined ? undefined : { node: holder, address: seen.address };
  }

  others(): readonly { readonly node: string; readonly address: string; readonly living: boolean }[] {
    const living = new Set(this.living());
    return [...this.#nodes]
      .filter(([node]) => node !== this.#options.node)
      .map(([node, { address }]) => ({ node, address, living: living.has(node) }))
      .sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  pinnedTo(shard: ShardId): string | undefined {
    return this.#pins.get(shard);
  }

  /** Ops/s, as its owner has last said; undefined: nobody has. */
  loadOf(shard: ShardId): number | undefined {
    return this.#balancer.loadOf(shard);
  }

  /** Nodes that are not silent. */
  living(): readonly string[] {
    const since = this.#nowMs() - this.#leaseMs;
    return [...this.#nodes]
      .filter(([node, { atMs }]) => atMs > since || node === this.#options.node)
      .map(([node]) => node);
  }

  wantedOwner(shard: ShardId): string | undefined {
    return this.#wantedOwners().get(shard);
  }

  #wantedOwners(): ReadonlyMap<ShardId, string> {
    return this.#sharing.wanted({
      able: this.#able(),
      holderOf: (shard) => this.#claims.get(shard)?.holder,
      pinnedTo: (shard) => this.#pins.get(shard),
      placedAt: (shard) => this.#balancer.placedAt(shard),
    });
  }

  #able(): readonly string[] {
    return this.living().filter((node) => !this.#leaving.has(node));
  }

  #balance(): void {
    if (!this.#leased) return;
    this.#balancer.beat(this.#kv!, this.#nowMs(), [...this.#owned], () => {
      const able = this.#able();
      return {
        able,
        leaving: able.length < this.living().length,
        holderOf: (shard) => this.#claims.get(shard)?.holder,
        wanted: this.#wantedOwners(),
        isPinned: (shard) => able.includes(this.#pins.get(shard) ?? ''),
      };
    });
  }

  /** By hand: to this node as long as it lives; undefined: wherever it belongs. Throws CausewayError: UNAVAILABLE. */
  async move(shard: ShardId, node: string | undefined): Promise<void> {
    const key = `pin.${partOf(shard)}`;
    try {
      if (this.#kv === undefined) throw new Error('this node has not joined the others yet');
      if (node === undefined) {
        await this.#balancer.forget(this.#kv, shard);
        await this.#kv.delete(key);
      } else await this.#kv.put(key, node);
    } catch (cause) {
      throw new CausewayError(
        'UNAVAILABLE',
        `the move of ${shard} could not be written down: ${(cause as Error).message}`,
        {
          hint: 'is NATS there, with its quorum? Try again',
          cause,
        },
      );
    }
  }

  // ── Beats ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async #beat(kv = this.#kv): Promise<void> {
    const atMs = this.#nowMs();
    const { node, address } = this.#options;
    await kv?.put(`node.${node}`, typeof address === 'string' ? address : address());
    this.#beatenAtMs = Math.max(this.#beatenAtMs, atMs);
  }

  /** From the time at which it was sent: the others count from when they heard of it, which is later. */
  get #leased(): boolean {
    return !this.#stopping && this.#nowMs() - this.#beatenAtMs < this.#leaseMs;
  }

  async #watch(kv: KV): Promise<void> {
    for await (const entry of await kv.watch()) {
      this.#heard(entry);
      if (!this.#stopping) this.#settle();
    }
  }

  #heard(entry: KvEntry): void {
    const gone = entry.operation !== 'PUT';
    const [kind, ...rest] = entry.key.split('.');
    const name = rest.join('.');
    if (kind === 'node') {
      if (gone) this.#nodes.delete(name);
      else this.#nodes.set(name, { address: entry.string(), atMs: this.#nowMs() });
      return;
    }
    if (kind === 'leaving') {
      if (gone) this.#leaving.delete(name);
      else this.#leaving.add(name);
      return;
    }
    const shard = this.#byKey.get(name);
    this.#balancer.heard(kind!, shard, entry);
    if (shard === undefined) return;
    if (kind === 'bid') {
      const bid = gone ? undefined : decodeBid(entry.string());
      if (bid === undefined) this.#bids.delete(shard);
      else this.#bids.set(shard, bid);
    } else if (kind === 'pin') {
      if (gone) this.#pins.delete(shard);
      else this.#pins.set(shard, entry.string());
    } else if (kind === 'shard') {
      const known = this.#claims.get(shard);
      // Our own claim was answered before it was heard of.
      if (known !== undefined && known.revision >= entry.revision) return;
      this.#holds(shard, { holder: gone ? '' : entry.string(), revision: entry.revision });
    }
  }

  #holds(shard: ShardId, claim: Claim): void {
    const before = this.#claims.get(shard)?.holder;
    this.#claims.set(shard, claim);
    if (before !== claim.holder) for (const listener of this.#movedListeners) listener(shard);
  }

  // ── Who holds what ──────────────────────────────────────────────────────────────────────────────────────────────

  #settle(): void {
    const { node, shards } = this.#options;
    const leased = this.#leased;
    const living = this.living();
    const wantedOwners = this.#wantedOwners();
    for (const shard of shards) {
      const claim = this.#claims.get(shard);
      const mine = claim?.holder === node;
      if (this.#owned.has(shard) && !(leased && mine)) this.#set(shard, false);
      if (!leased || this.#busy.has(shard)) continue;
      const wanted = wantedOwners.get(shard);
      const cannotBegin = mine && wanted !== node && this.#options.cannotBegin?.(shard) === true;
      // The next owner is waited for once it can read.
      if (cannotBegin) this.#departing.delete(shard);
      const step = nextStep({
        node,
        wanted,
        claim,
        isFree: this.#isFree(claim, living),
        serves: this.#owned.has(shard),
        leaves: this.#leaving.has(node),
        bid: this.#bids.get(shard),
        cannotBegin,
        wantedForMs: this.#departingForMs(shard, mine ? wanted : node),
      });
      switch (step) {
        case 'serve':
          this.#followed.delete(shard);
          this.#set(shard, true);
          break;
        case 'give-up':
          void this.#release(shard, claim!);
          break;
        case 'claim':
          void this.#claim(shard, claim);
          break;
        case 'follow':
          void this.#follow(shard, claim!);
          break;
        case 'wait':
          this.#stopFollowing(shard);
      }
    }
  }

  /** How long a shard of ours was to be `to`'s. */
  #departingForMs(shard: ShardId, to: string | undefined): number {
    if (to === undefined || to === this.#options.node) {
      this.#departing.delete(shard);
      return 0;
    }
    const nowMs = this.#nowMs();
    const known = this.#departing.get(shard);
    if (known?.to === to) return nowMs - known.sinceMs;
    this.#departing.set(shard, { to, sinceMs: nowMs });
    return 0;
  }

  /** Reads its log, and says so. Once for each claim. */
  async #follow(shard: ShardId, { revision }: Claim): Promise<void> {
    if (this.#followed.get(shard)?.revision === revision) return;
    const followed: Followed = { revision, bids: false };
    this.#followed.set(shard, followed);
    const { node, follow } = this.#options;
    // Read or not: without this node's bid the shard would come later, and nothing else would be different.
    await follow?.(shard).catch(() => undefined);
    if (this.#followed.get(shard) !== followed || this.#stopping) return;
    followed.bids = true;
    try {
      await this.#kv!.put(`bid.${partOf(shard)}`, encodeBid({ node, revision }));
    } catch {
      // Not known to be said: with the next beat it is read on, and said again.
      if (this.#followed.get(shard) === followed) this.#followed.set(shard, { revision: NO_REVISION, bids: true });
    }
  }

  #stopFollowing(shard: ShardId): void {
    const followed = this.#followed.get(shard);
    if (followed === undefined) return;
    this.#followed.delete(shard);
    this.#options.unfollow?.(shard);
    // Else it would still count if the shard is to be ours again some day, under the same claim.
    if (followed.bids) void this.#kv?.delete(`bid.${partOf(shard)}`).catch(() => undefined);
  }

  #isFree(claim: Claim | undefined, living: readonly string[]): boolean {
    if (claim === undefined || claim.holder === '') return true;
    return !living.includes(claim.holder) && this.#nowMs() - this.#startedAtMs > this.#leaseMs;
  }

  async #claim(shard: ShardId, known: Claim | undefined): Promise<void> {
    const { node } = this.#options;
    const kv = this.#kv!;
    const key = `shard.${partOf(shard)}`;
    this.#busy.add(shard);
    try {
      const revision = await (known === undefined ? kv.create(key, node) : kv.update(key, node, known.revision));
      this.#holds(shard, { holder: node, revision });
    } catch {
      // Somebody was faster, or nobody knows: what is heard next tells, and each beat tries again.
      return;
    } finally {
      this.#busy.delete(shard);
    }
    if (!this.#stopping) this.#settle();
  }

  /** Drains, then lets it go. */
  async #release(shard: ShardId, claim: Claim): Promise<void> {
    this.#busy.add(shard);
    try {
      // One that was claimed and never served has nothing under way.
      if (this.#owned.has(shard)) await this.#options.drain?.(shard);
      this.#set(shard, false);
      const revision = await this.#kv!.update(`shard.${partOf(shard)}`, '', claim.revision);
      this.#holds(shard, { holder: '', revision });
    } catch {
      // Taken from us meanwhile, or not known: as above.
    } finally {
      this.#busy.delete(shard);
    }
  }

  #set(shard: ShardId, owned: boolean): void {
    if (this.#owned.has(shard) === owned) return;
    if (owned) this.#owned.add(shard);
    else this.#owned.delete(shard);
    for (const listener of this.#listeners) listener(shard, owned);
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Gives every shard up in order, drained, while this node still lives and the others take them. Resolves when they have them all, there is nobody to take
   * them, or after LEAVE_MS_MAX.
   */
  async leave(): Promise<void> {
    const { node } = this.#options;
    if (this.#kv === undefined || this.#stopping || !this.#leased) return;
    this.#leaving.add(node);
    // Whoever has not heard of it takes them when this node has stopped.
    await this.#kv.put(`leaving.${node}`, '').catch(() => undefined);
    this.#settle();
    const untilMs = this.#nowMs() + LEAVE_MS_MAX;
    const isOver = (): boolean => {
      const alone = this.living().every((other) => this.#leaving.has(other));
      return this.#options.shards.every((shard) => {
        const { holder = '' } = this.#claims.get(shard) ?? {};
        return holder !== node && (alone || holder !== '');
      });
    };
    while (!isOver() && this.#leased && this.#nowMs() < untilMs) {
      await new Promise<void>((resolve) => void this.#system.timers.after(LEAVE_LOOK_MS, resolve));
    }
  }

  /** Gives everything up, so that the others need not wait for the lease to end. */
  async stop(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined || this.#stopping) return;
    this.#stopping = true;
    this.#beating?.cancel();
    const { node } = this.#options;
    const held = [...this.#claims].filter(([, { holder }]) => holder === node);
    if (!connection.isClosed() && this.#nowMs() - this.#beatenAtMs < this.#leaseMs) {
      await Promise.all(held.map(([shard, claim]) => this.#release(shard, claim)));
      await this.#kv?.delete(`node.${node}`).catch(() => undefined);
      await this.#kv?.delete(`leaving.${node}`).catch(() => undefined);
    }
    for (const shard of this.#owned) this.#set(shard, false);
    await connection.close();
  }
}

/** No leader, none that answers yet, or servers that do not all know each other. */
function passes(error: unknown): boolean {
  if (!(error instanceof NatsError)) return false;
  const { code, api_error: answered } = error;
  if (answered !== undefined && PASSING_API_ERRORS.has(answered.err_code ?? 0)) return true;
  return code === ErrorCode.NoResponders.valueOf() || code === ErrorCode.Timeout.valueOf();
}
