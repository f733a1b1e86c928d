// What happened to a node lately, for the timeline of its page: its notices as they come, and alarms and states as they change.
//
// I12 the last EVENTS_MAX; the same complaint again within REPEAT_MS counts up the one that is there.

import type { EventLevel, EventMessage } from '../api/http/page/messages.ts';
import type { RegionStatus } from '../region/region.ts';

const EVENTS_MAX = 500;
const REPEAT_MS = 30_000;

interface Kept {
  event: EventMessage;
  /** When it came last. */
  lastMs: number;
}

export class NodeEvents {
  readonly #nowMs: () => number;
  readonly #events: Kept[] = [];
  #next = 1;
  #before: RegionStatus | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  add(kind: EventMessage['kind'], level: EventLevel, message: string): void {
    const atMs = this.#nowMs();
    const same = level === 'info' ? undefined : this.#complaint(kind, message);
    if (same !== undefined && atMs - same.lastMs < REPEAT_MS) {
      same.event = { ...same.event, times: same.event.times + 1 };
      same.lastMs = atMs;
      return;
    }
    this.#events.push({ event: { id: this.#next++, atMs, level, kind, message, times: 1 }, lastMs: atMs });
    if (this.#events.length > EVENTS_MAX) this.#events.shift();
  }

  /** The same, unless there was good news after it: then the next is a new story. */
  #complaint(kind: EventMessage['kind'], message: string): Kept | undefined {
    const last = this.#events.findLast(
      ({ event }) => event.kind === kind && (event.message === message || event.level === 'info'),
    );
    return last?.event.message === message ? last : undefined;
  }

  /** The node as it is, about once a second. */
  look(status: RegionStatus): void {
    const before = this.#before;
    this.#before = status;
    if (before?.state !== status.state) {
      const level = status.state === 'ready' ? 'info' : status.state === 'read-only' ? 'error' : 'warn';
      const reason = status.stateReason === '' ? '' : `: ${status.stateReason}`;
      this.add('state', level, `${status.node} is ${status.state}${reason}`);
    }
    // Messages may hold figures that move; an alarm is the same as long as there are as many of its code.
    const codes = new Set([...(before?.alarms ?? []), ...status.alarms].map(({ code }) => code));
    for (const code of codes) {
      const known = before?.alarms.filter((alarm) => alarm.code === code) ?? [];
      const now = status.alarms.filter((alarm) => alarm.code === code);
      for (const { message } of now.slice(known.length)) this.add('alarm', 'error', `${code}: ${message}`);
      for (const { message } of known.slice(now.length)) this.add('alarm', 'info', `over: ${code}: ${message}`);
    }
  }

  /** Oldest first. */
  told(): readonly EventMessage[] {
    return this.#events.map(({ event }) => event);
  }
}
