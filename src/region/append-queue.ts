// Appends of one shard under way, in order, and what became of them (DESIGN 4: an outcome that is unknown is resolved, not guessed).
//
// - durable: told on, in order.
// - unknown: the identical bytes are sent again at the same offset. Either they land now, or the log says `fenced`, and then what
//   stands there is read and compared: equal means that the first try had landed.
// - fenced otherwise: somebody else writes this shard. We are deposed.
// While an outcome is being resolved nothing new is sent: what stands behind it would be written behind whatever is there by then.

import type { AppendOutcome, Log, LogEntry } from '../log/log.ts';
import type { ShardId } from '../record/ids.ts';
import type { Timers, TimerHandle } from '../system/system.ts';

/** Between tries while an outcome is unknown. */
const RETRY_MS = 20;

export type AppendFailure =
  | { readonly kind: 'deposed'; readonly message: string }
  | {
      readonly kind: 'refused';
      readonly reason: 'read-only' | 'failed';
      readonly message: string;
      /** An earlier try of what was refused may be in the log all the same. */
      readonly unknown: boolean;
    };

export interface AppendQueueHandlers {
  /** Everything up to this offset is durable. */
  durable(offset: number): void;
  /** This queue is over; what was under way and is not durable yet may or may not be in the log. */
  failed(failure: AppendFailure): void;
}

interface Pending {
  readonly expectOffset: number;
  readonly entries: readonly LogEntry[];
  outcome: AppendOutcome | undefined;
  /** Its outcome may come from before the append ahead of it was resolved: only a new try can tell. */
  stale: boolean;
  /** A try whose outcome nobody knows may have written it. */
  maybe: boolean;
  /** On its way to the log; false while it waits for those ahead of it. */
  sent: boolean;
}

export class AppendQueue {
  readonly #log: Log;
  readonly #shard: ShardId;
  readonly #timers: Timers;
  readonly #handlers: AppendQueueHandlers;
  readonly #pending: Pending[] = [];
  #closed = false;
  #resolving = false;
  #retry: TimerHandle | undefined;

  constructor(log: Log, shard: ShardId, timers: Timers, handlers: AppendQueueHandlers) {
    this.#log = log;
    this.#shard = shard;
    this.#timers = timers;
    this.#handlers = handlers;
  }

  get length(): number {
    return this.#pending.length;
  }

  append(expectOffset: number, entries: readonly LogEntry[]): void {
    // Nor behind a second try: it may find its own entry there, and then this one follows that.
    const waits = this.#resolving || this.#pending.some(({ stale, maybe }) => stale || maybe);
    const pending: Pending = { expectOffset, entries, outcome: undefined, stale: waits, maybe: false, sent: !waits };
    this.#pending.push(pending);
    if (!waits) this.#send(pending);
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
  }

  #send(pending: Pending): void {
    pending.outcome = undefined;
    pending.sent = true;
    this.#log.append(this.#shard, pending.expectOffset, pending.entries, (outcome) => {
      if (this.#closed) return;
      pending.outcome = outcome;
      if (outcome.kind === 'unknown' || outcome.kind === 'durable') pending.maybe = true;
      this.#settle();
    });
  }

  #settle(): void {
    let durableTo = 0;
    while (!this.#closed && this.#pending.length > 0) {
      const head = this.#pending[0]!;
      if (head.outcome?.kind !== 'durable') break;
      this.#pending.shift();
      durableTo = head.expectOffset + head.entries.length - 1;
    }
    if (durableTo > 0) this.#handlers.durable(durableTo);
    const head = this.#pending[0];
    if (this.#closed || this.#resolving || head === undefined || head.outcome?.kind === 'durable') return;
    if (head.stale && (head.outcome !== undefined || !head.sent)) {
      head.stale = false;
      this.#send(head);
      return;
    }
    if (head.outcome !== undefined) this.#resolve(head, head.outcome);
  }

  #resolve(head: Pending, outcome: Exclude<AppendOutcome, { kind: 'durable' }>): void {
    switch (outcome.kind) {
      case 'refused':
        this.#fail({
          kind: 'refused',
          reason: outcome.reason,
          message: outcome.message,
          unknown: this.#pending.some(({ maybe }) => maybe),
        });
        break;
      case 'unknown':
        this.#again(head);
        break;
      case 'fenced':
        if (outcome.tail >= head.expectOffset) this.#compare(head);
        else {
          this.#fail({
            kind: 'deposed',
            message: `the log of ${this.#shard} ends at ${outcome.tail}, and our entry ${head.expectOffset} does not follow what stands there`,
          });
        }
        break;
    }
  }

  #again(head: Pending): void {
    this.#resolving = true;
    for (const behind of this.#pending) if (behind !== head) behind.stale = true;
    this.#retry = this.#timers.after(RETRY_MS, () => {
      this.#resolving = false;
      if (!this.#closed) this.#send(head);
    });
  }

  /** Something stands where our append wanted to: is it ours? */
  #compare(head: Pending): void {
    this.#resolving = true;
    const bytes = head.entries.reduce((sum, entry) => sum + entry.bytes.length + 256, 0);
    this.#log.read(this.#shard, head.expectOffset, bytes, (result) => {
      this.#resolving = false;
      if (this.#closed) return;
      const same =
        result.kind === 'entries' &&
        head.entries.every((entry, i) => {
          const stored = result.entries[i];
          return stored?.kind === entry.kind && Buffer.compare(stored.bytes, entry.bytes) === 0;
        });
      if (!same) {
        this.#fail({
          kind: 'deposed',
          message: `offset ${head.expectOffset} of ${this.#shard} holds another owner's entry`,
        });
        return;
      }
      head.outcome = { kind: 'durable' };
      this.#settle();
    });
  }

  #fail(failure: AppendFailure): void {
    this.close();
    this.#handlers.failed(failure);
  }
}
