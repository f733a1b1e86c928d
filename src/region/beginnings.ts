// Where the shards of a node may begin (DESIGN 7): what the members have said of them, whom to ask, and when a live origin opens.
// Owns: one question (MembershipCheck) for each shard that has not begun, and what each member has said last, since this node started.
// I5, I9 An answer from a clock that is wrong is not followed, one from a clock that is right is not ignored (membership-check.ts).
// I6 A log that is an old copy, or has lost its tail, is noticed by what a peer holds of it.

import { msOfStamp, type Hlc } from '../clock/hlc.ts';
import { isTooFarAhead, judgeStamp } from '../clock/skew.ts';
import type { Log, LogRecovery } from '../log/log.ts';
import { originId, originRegion, type OriginId, type RegionId, type ShardId } from '../record/ids.ts';
import type { BegunShard, WelcomeShard } from '../replication/messages.ts';
import type { System } from '../system/system.ts';
import { MembershipCheck } from './membership-check.ts';
import type { ShardRunner } from './shard-runner.ts';

export interface BeginningsHost {
  readonly region: RegionId;
  readonly maxSkewMs: number;
  readonly allowFreshStart: boolean;
  readonly clock: Hlc;
  readonly log: Pick<Log, 'state'>;
  readonly system: Pick<System, 'clock' | 'random'>;
  readonly runners: ReadonlyMap<ShardId, ShardRunner>;
  /** How far the members' clocks are off ours, ms. */
  clockOffsets(): ReadonlyMap<RegionId, number>;
  /** The log is open, and its shards are being read. */
  isStarted(): boolean;
  /** Asks the member's node that has these shards; answered with heardBegun(). */
  begin(from: RegionId, shards: readonly { readonly shard: ShardId; readonly origin: OriginId }[]): void;
  opened(): void;
  notice(level: 'info' | 'warn' | 'error', message: string): void;
}

export class Beginnings {
  readonly #host: BeginningsHost;
  readonly #asking = new Map<ShardId, MembershipCheck>();
  /** Shards whose log tail is proven, by itself or by the members. */
  readonly #proven = new Set<ShardId>();
  readonly #welcomes = new Map<RegionId, Map<ShardId, WelcomeShard>>();
  /** Peers that can be asked where we may begin. */
  readonly #binding = new Set<RegionId>();
  #recovery: LogRecovery['state'] | undefined;
  #behindPeers: { readonly sinceMs: number; readonly message: string } | undefined;

  constructor(host: BeginningsHost) {
    this.#host = host;
  }

  /** What the log has found of itself at its start. */
  recovered({ state, unproven }: LogRecovery, shards: Iterable<ShardId>): void {
    this.#recovery = state;
    for (const shard of shards) if (!unproven.includes(shard)) this.#proven.add(shard);
  }

  /** All of the members have said what they know of the shard. */
  areWelcomed(shard: ShardId, members: readonly RegionId[]): boolean {
    return members.every((member) => this.#welcomes.get(member)?.has(shard) === true);
  }

  /** What it holds may be less than it must: it is not to be read yet (I11). */
  isUnproven(shard: ShardId): boolean {
    return this.#asking.get(shard)?.whole === false;
  }

  /** The shard has been read from its log. */
  ask(shard: ShardId, members: readonly RegionId[], runner: ShardRunner): void {
    // A log that was new when this node opened it, and has a lease now: another owner of this region has asked before us. (Entries
    // alone say nothing: what comes from peers is logged before anybody was asked.)
    if (this.#recovery === 'new' && runner.engine.leased) this.#proven.add(shard);
    const whole = this.#proven.has(shard) || this.#host.allowFreshStart;
    const others = members.filter((member) => member !== this.#host.region);
    const { clock, random } = this.#host.system;
    const origin = originId(this.#host.region, random.uint48());
    const check = new MembershipCheck(shard, origin, others, whole, clock.monotonicMs());
    this.#asking.set(shard, check);
    // What was lost was lost before this node opened the log, so whatever a member has said since then counts.
    for (const [from, welcomes] of this.#welcomes) {
      const welcome = welcomes.get(shard);
      if (welcome !== undefined) this.#hearWelcome(from, welcome, check, runner);
    }
    for (const from of this.#binding) this.#askWhereToBegin(from, [shard]);
  }

  /** The shard is not this node's any more. */
  forget(shard: ShardId): void {
    this.#asking.delete(shard);
  }

  /** Opens a live origin once the members have said what they must. */
  tryOpen(shard: ShardId): void {
    const runner = this.#host.runners.get(shard);
    const asking = this.#asking.get(shard);
    if (runner === undefined || asking === undefined || !runner.recovered || !this.#host.isStarted()) return;
    if (this.#host.log.state().kind !== 'ready') return;
    const bound = asking.bound(this.#host.system.clock.monotonicMs());
    if (bound === undefined) return;
    this.#asking.delete(shard);
    this.#proven.add(shard);
    runner.openIncarnation(asking.origin, bound);
    this.#host.opened();
  }

  tick(): void {
    const monotonicMs = this.#host.system.clock.monotonicMs();
    for (const [shard, check] of this.#asking) {
      for (const [from, bound] of check.doubts) this.#hearBound(from, bound, check);
      this.tryOpen(shard);
      if (!this.#asking.has(shard) || !check.isDueAgain(monotonicMs)) continue;
      for (const from of check.waitingFor()) if (this.#binding.has(from)) this.#askWhereToBegin(from, [shard]);
    }
  }

  heardWelcome(from: RegionId, shards: readonly WelcomeShard[], bindingAnswers: boolean): void {
    const nowMs = this.#host.system.clock.nowMs();
    if (bindingAnswers) this.#binding.add(from);
    else this.#binding.delete(from);
    let welcomes = this.#welcomes.get(from);
    if (welcomes === undefined) {
      welcomes = new Map();
      this.#welcomes.set(from, welcomes);
    }
    for (const welcome of shards) {
      welcomes.set(welcome.shard, welcome);
      const runner = this.#host.runners.get(welcome.shard);
      if (runner?.recovered !== true) continue;
      const { boundOfReceiver } = welcome;
      if (!isTooFarAhead(boundOfReceiver, nowMs, this.#host.maxSkewMs)) this.#host.clock.advanceTo(boundOfReceiver);
      const asking = this.#asking.get(welcome.shard);
      if (asking?.whole !== false) this.#checkOwnPast(from, runner, welcome, nowMs);
      if (asking !== undefined) {
        this.#hearWelcome(from, welcome, asking, runner);
        this.tryOpen(welcome.shard);
      }
    }
    this.#askWhereToBegin(
      from,
      shards.map(({ shard }) => shard),
    );
  }

  heardBegun(from: RegionId, shards: readonly BegunShard[]): void {
    for (const { shard, origin, boundOfReceiver } of shards) {
      const asking = this.#asking.get(shard);
      // An answer to an earlier question binds nobody to this one.
      if (asking === undefined || asking.origin !== origin) continue;
      this.#hearBound(from, boundOfReceiver, asking);
      this.tryOpen(shard);
    }
  }

  /** Why the members are waited for; undefined when they are not. */
  asking(): { readonly reason: string } | undefined {
    const asking = [...this.#asking.values()];
    const waiting = asking.find((check) => !check.whole) ?? asking[0];
    if (waiting === undefined) return undefined;
    const [doubt] = asking.flatMap(({ doubts }) => [...doubts]);
    if (doubt !== undefined) return { reason: this.#doubtOf(...doubt) };
    const why = waiting.whole ? 'its log is whole' : `its log is ${this.#recovery ?? 'unproven'}`;
    const forWhom = waiting.waitingFor().join(', ') || 'nobody';
    const without = waiting.whole ? '' : ' (allowFreshStart starts without them)';
    return { reason: `${why}; waits for ${forWhom} to say what they know of ${this.#host.region}${without}` };
  }

  /** Peers hold what our log has lost; until it is back. */
  get behindPeers(): { readonly sinceMs: number; readonly message: string } | undefined {
    return this.#behindPeers;
  }

  /** Whether what was lost is back. */
  checkFetched(): void {
    if (this.#behindPeers === undefined) return;
    if ([...this.#host.runners.values()].some((runner) => runner.catchingUp)) return;
    this.#host.notice('info', 'what the log had lost has been fetched back from the peers');
    this.#behindPeers = undefined;
  }

  #hearWelcome(from: RegionId, welcome: WelcomeShard, check: MembershipCheck, runner: ShardRunner): void {
    if (!check.whole) runner.mustReach(from, welcome);
    if (check.whole || !this.#binding.has(from)) this.#hearBound(from, welcome.boundOfReceiver, check);
  }

  #hearBound(from: RegionId, bound: number, check: MembershipCheck): void {
    const { system, maxSkewMs } = this.#host;
    switch (judgeStamp(bound, from, system.clock.nowMs(), this.#host.clockOffsets(), maxSkewMs)) {
      case 'right':
        check.answer(from, bound);
        return;
      case 'wrong':
        check.disregard(from);
        return;
      case 'unclear':
        if (![...this.#asking.values()].some(({ doubts }) => doubts.has(from)))
          this.#host.notice('warn', this.#doubtOf(from, bound));
        check.doubt(from, bound);
    }
  }

  #doubtOf(from: RegionId, bound: number): string {
    const aheadMs = Math.round(msOfStamp(bound) - this.#host.system.clock.nowMs());
    return `${from} says to begin ${aheadMs} ms ahead of this node's clock, and no third clock tells which of the two is wrong: nothing is accepted until they agree or another region tells (set the wrong one right; runbook clock-skew)`;
  }

  #askWhereToBegin(from: RegionId, shards: Iterable<ShardId>): void {
    const begin = [];
    for (const shard of shards) {
      const check = this.#asking.get(shard);
      if (check?.whole === false) begin.push({ shard, origin: check.origin });
    }
    if (begin.length > 0) this.#host.begin(from, begin);
  }

  /** A peer that holds more of our own earlier ops than our whole-looking log does: the log is an old copy, or lost its tail. */
  #checkOwnPast(from: RegionId, runner: ShardRunner, welcome: WelcomeShard, nowMs: number): void {
    const live = runner.engine.ownOrigin;
    for (const [origin, seq] of welcome.vector) {
      if (originRegion(origin) !== this.#host.region || origin === live) continue;
      if ((runner.engine.origins.taken.get(origin) ?? 0) >= seq) continue;
      runner.mustReach(from, welcome);
      if (this.#behindPeers === undefined) {
        const message = `${from} holds ops of ${origin} up to ${seq} that our log lacks: the log was restored from an older copy or lost its tail; they are fetched back`;
        this.#behindPeers = { sinceMs: nowMs, message };
        this.#host.notice('error', message);
      }
      return;
    }
  }
}
