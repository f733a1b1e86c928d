// Clients' writes of a node: which of them are let in, to which shard each op goes, and those that wait for what their session has seen (DESIGN 8).
// Owns: the writes that wait.
// I4 What a session has seen of a shard stands before what it writes there. I5 No stamp that a client brings moves the clock beyond the skew guard.
// I12 What is beyond a bound is refused before it is stamped: of ops in a request, bytes on their way to the log, keys that the store lacks.

import { msOfStamp, type Hlc } from '../clock/hlc.ts';
import { isTooFarAhead } from '../clock/skew.ts';
import { withDefaultExpiry } from '../collections/expiry.ts';
import type { CollectionRegistry } from '../collections/registry.ts';
import { CausewayError } from '../errors/errors.ts';
import type { Log } from '../log/log.ts';
import { KEY_BYTES_MAX, type OriginId, type RegionId, type ShardId } from '../record/ids.ts';
import type { EngineOp } from '../shard/engine.ts';
import { GUARDS } from '../shard/guards.ts';
import { refusalOfAtomic, withTheOthers } from './atomic.ts';
import { storeAway } from './late-store.ts';
import type { NodeLimits, PlacementSettings } from './options.ts';
import type { SessionToken, WriteOp, WriteRequest, WriteResult } from './region.ts';
import { behindOf, lostOf, sessionBehind } from './sessions.ts';
import type { ShardRunner } from './shard-runner.ts';
import { refusalOfWriteTo } from './system-namespace.ts';
import { DEADLINE_MS_MAX, WaitingCalls } from './waiting-calls.ts';
import { WriteCall } from './write-call.ts';

const OVERLOAD_RETRY_MS = 50;

export interface WritesHost {
  readonly region: RegionId;
  readonly limits: NodeLimits;
  readonly maxSkewMs: number;
  readonly clock: Pick<Hlc, 'advanceTo'>;
  readonly log: Pick<Log, 'state'>;
  readonly runners: ReadonlyMap<ShardId, ShardRunner>;
  readonly collections: Pick<CollectionRegistry, 'get'>;
  readonly namespaces: ReadonlyMap<string, PlacementSettings>;
  phase(): 'starting' | 'running' | 'draining' | 'stopped';
  clockUnsynced(): { readonly message: string } | undefined;
  /** Keys that the store lacks. */
  storeBacklog(): number;
  /** Who takes writes of the key here, or why nobody does. */
  runnerOf(
    placement: PlacementSettings,
    namespace: string,
    collection: string,
    key: string,
  ): ShardRunner | CausewayError;
  /** Why what waits for the shard waits here in vain. */
  movedAway(shard: ShardId): CausewayError | undefined;
  draining(): CausewayError;
  notReady(): CausewayError;
  unknownCollection(namespace: string, name: string): CausewayError;
  /** A call waits to be acknowledged by other regions. */
  wantAcks(): void;
  /** For what is counted: ops that came, and ops that were refused. */
  written(ops: readonly WriteOp[]): void;
  refused(ops: number): void;
  nowMs(): number;
  monotonicMs(): number;
}

export class Writes {
  readonly #host: WritesHost;
  /** Of sessions that have seen what is not here yet. */
  readonly #waiting = new WaitingCalls('writes');

  constructor(host: WritesHost) {
    this.#host = host;
  }

  /** Something moved, or time passed. */
  check(monotonicMs: number): void {
    this.#waiting.check(monotonicMs);
  }

  write(request: WriteRequest, done: (results: readonly WriteResult[]) => void): void {
    const nowMs = this.#host.nowMs();
    const call = new WriteCall(request, this.#host.monotonicMs() + Math.min(request.deadlineMs, DEADLINE_MS_MAX), done);
    const refusal = this.refusal(request.ops.length) ?? this.#refusalOfSession(call, nowMs);
    if (refusal !== undefined) {
      this.#host.refused(request.ops.length);
      for (let i = 0; i < request.ops.length; i++) call.refuse(i, refusal);
      call.allHandedOut();
      return;
    }
    if (request.atomic === true && this.#refuseAtomic(request, call)) return;
    if (request.session === undefined) {
      if (isTooFarAhead(call.above, nowMs, this.#host.maxSkewMs)) call.above = 0;
      this.#host.clock.advanceTo(call.above);
    }
    if (request.durability.kind === 'regions') this.#host.wantAcks();
    this.#host.written(request.ops);
    const parts = new Map<ShardRunner, { indexes: number[]; ops: EngineOp[] }>();
    for (let i = 0; i < request.ops.length; i++) {
      const routed = this.#route(request.ops[i]!);
      if (routed instanceof CausewayError) {
        this.#host.refused(1);
        call.refuse(i, routed);
        continue;
      }
      let part = parts.get(routed.runner);
      if (part === undefined) {
        part = { indexes: [], ops: [] };
        parts.set(routed.runner, part);
      }
      part.indexes.push(i);
      part.ops.push(routed.op);
    }
    let waits = false;
    for (const [runner, { indexes, ops }] of parts) {
      call.addPart();
      if (request.session === undefined) runner.write(call, indexes, ops);
      else if (!this.#writeInSession(call, runner.shard, request.session, indexes, ops)) waits = true;
    }
    if (waits) request.waits?.();
    call.allHandedOut();
  }

  /**
   * I4: what a session has seen of a shard stands before what it writes there, so that nobody sees the answer without the question. Waits for
   * it up to the call's deadline. False: it waits.
   */
  #writeInSession(
    call: WriteCall,
    shard: ShardId,
    session: SessionToken,
    indexes: readonly number[],
    ops: readonly EngineOp[],
  ): boolean {
    const seen: SessionToken = new Map([[shard, session.get(shard) ?? new Map<OriginId, number>()]]);
    let waits = true;
    const refuse = (error: CausewayError): void => {
      this.#host.refused(indexes.length);
      for (const index of indexes) call.refuse(index, error);
      call.partDone();
    };
    const attempt = (): boolean => {
      const error =
        this.#host.phase() === 'running'
          ? (this.#host.movedAway(shard) ?? lostOf(seen, this.#host.runners))
          : this.#host.draining();
      if (error !== undefined) {
        waits = false;
        refuse(error);
        return true;
      }
      const nowMs = this.#host.nowMs();
      const runner = this.#host.runners.get(shard);
      // A shard may begin anew meanwhile. Between seal and take of a remote batch nothing may be written (I4).
      if (runner?.open !== true || runner.taking) return false;
      if (isTooFarAhead(call.above, nowMs, this.#host.maxSkewMs)) return false;
      if (GUARDS.sessionWait && behindOf(seen, this.#host.runners).length > 0) return false;
      waits = false;
      this.#host.clock.advanceTo(call.above);
      runner.write(call, indexes, ops);
      return true;
    };
    const expired = (): void => {
      const behind = behindOf(seen, this.#host.runners);
      if (behind.length > 0) refuse(sessionBehind(this.#host.region, behind));
      else refuse(this.#sessionAhead(call.above) ?? this.#host.notReady());
    };
    // Those of before go first: of one session they may be.
    this.#waiting.check(this.#host.monotonicMs());
    const error = this.#waiting.wait({ deadlineAtMs: call.deadlineAtMs, attempt, expired });
    if (error !== undefined) {
      waits = false;
      refuse(error);
    }
    return !waits;
  }

  /** Nothing of it is handed out unless all of it can be, to one shard. */
  #refuseAtomic({ ops }: WriteRequest, call: WriteCall): boolean {
    const routed = ops.map((op) => this.#route(op));
    let at = routed.findIndex((one) => one instanceof CausewayError);
    const error = at < 0 ? refusalOfAtomic(ops, this.#host.limits) : (routed[at] as CausewayError);
    if (error === undefined) return false;
    at = Math.max(0, at);
    this.#host.refused(ops.length);
    const others = withTheOthers(error, at);
    ops.forEach((_, i) => call.refuse(i, i === at ? error : others));
    call.allHandedOut();
    return true;
  }

  /** Why none is let in now; `ops`: of one request. */
  refusal(ops: number): CausewayError | undefined {
    if (this.#host.phase() === 'draining' || this.#host.phase() === 'stopped') return this.#host.draining();
    if (this.#host.phase() === 'starting') return this.#host.notReady();
    const logState = this.#host.log.state();
    if (logState.kind !== 'ready') {
      return new CausewayError('READ_ONLY', `region ${this.#host.region} takes no writes: ${logState.reason}`, {
        hint: 'free space in the data directory, or write to another region',
      });
    }
    const clockUnsynced = this.#host.clockUnsynced();
    if (clockUnsynced !== undefined) {
      return new CausewayError('CLOCK_UNSYNCED', clockUnsynced.message, {
        hint: 'write to another region; operators: check NTP here',
      });
    }
    const { limits } = this.#host;
    if (ops > limits.opsPerRequestMax) {
      return new CausewayError('TOO_LARGE', `a write holds at most ${limits.opsPerRequestMax} ops; got ${ops}`, {
        hint: 'split it',
      });
    }
    let inFlight = 0;
    for (const runner of this.#host.runners.values()) inFlight += runner.inFlightBytes;
    if (inFlight > limits.inFlightBytesMax) {
      return (
        this.#refusalOfStore() ?? overloaded(`${inFlight} bytes wait for the log, above ${limits.inFlightBytesMax}`)
      );
    }
    if (this.#host.storeBacklog() > limits.storeBacklogMax) {
      return (
        this.#refusalOfStore() ?? overloaded(`the store is more than ${limits.storeBacklogMax} keys behind the log`)
      );
    }
    return undefined;
  }

  /** What is behind a bound because of it is not load that is over in a moment. */
  #refusalOfStore(): CausewayError | undefined {
    const away = [...this.#host.runners.values()].find((runner) => runner.storeAway);
    return away && storeAway(away.shard);
  }

  /** One that is so far ahead that waiting for the time to come would be in vain. */
  #refusalOfSession(call: WriteCall, nowMs: number): CausewayError | undefined {
    const { request, above, deadlineAtMs } = call;
    if (request.session === undefined) return undefined;
    const untilMs = nowMs + deadlineAtMs - this.#host.monotonicMs();
    return isTooFarAhead(above, untilMs, this.#host.maxSkewMs) ? this.#sessionAhead(above) : undefined;
  }

  /** I5: no token moves the clock beyond the skew guard. */
  #sessionAhead(highest: number): CausewayError | undefined {
    const { maxSkewMs } = this.#host;
    const nowMs = this.#host.nowMs();
    if (!isTooFarAhead(highest, nowMs, maxSkewMs)) return undefined;
    const aheadMs = Math.round(msOfStamp(highest) - nowMs);
    return new CausewayError(
      'SESSION_AHEAD',
      `the session has seen a write that is stamped ${aheadMs} ms ahead of the clock of ${this.#host.region}, more than maxSkewMs (${maxSkewMs})`,
      {
        details: { aheadMs, maxSkewMs },
        hint: `begin a new session, without what this one has seen; it can go on ${aheadMs - maxSkewMs} ms from now. Operators: some region's clock was far ahead, see the alarms of causeway status`,
      },
    );
  }

  #route(op: WriteOp): { runner: ShardRunner; op: EngineOp } | CausewayError {
    const collection = this.#host.collections.get(op.namespace, op.collection);
    const placement = this.#host.namespaces.get(op.namespace);
    if (collection === undefined || placement === undefined)
      return refusalOfWriteTo(op.namespace) ?? this.#host.unknownCollection(op.namespace, op.collection);
    const keyBytes = Buffer.byteLength(op.key, 'utf8');
    if (keyBytes === 0 || keyBytes > KEY_BYTES_MAX) {
      return new CausewayError(
        keyBytes === 0 ? 'INVALID_ARGUMENT' : 'TOO_LARGE',
        `a key has 1 to ${KEY_BYTES_MAX} bytes of UTF-8; got ${keyBytes}`,
      );
    }
    if (op.idempotency !== undefined && op.issuedAtMs === undefined) {
      return new CausewayError('INVALID_ARGUMENT', 'an op with an idempotency key must say when it was first tried', {
        hint: 'set issued_at_ms to the time of the first try and keep it in retries: what is no longer remembered is judged by it',
      });
    }
    const runner = this.#host.runnerOf(placement, op.namespace, op.collection, op.key);
    if (runner instanceof CausewayError) return runner;
    return {
      runner,
      op: {
        collection,
        key: op.key,
        intent:
          collection.defaultExpiryMs === 0
            ? op.intent
            : withDefaultExpiry(op.intent, this.#host.nowMs() + collection.defaultExpiryMs),
        condition: op.condition,
        idempotency: op.idempotency,
        issuedAtMs: op.issuedAtMs,
        trace: op.trace,
      },
    };
  }
}

function overloaded(message: string): CausewayError {
  return new CausewayError('OVERLOADED', message, {
    retryAfterMs: OVERLOAD_RETRY_MS,
    hint: 'slow down and send it again',
  });
}
