// Virtual time: one queue of events, ordered by time and then by the order in which they were asked for.
// Owns: what happens next. Nothing else in a simulation may wait.
//
// The node is driven by callbacks; only start, drain, stop and a store's checkpoint are promises. Draining microtasks after
// every event would cost more than the events, so the scheduler does it only while it knows of a promise (track()).
// HAZARD: a run must never wait for a macrotask: whatever else lives in the process (a test runner) would then run under
//         the traps. Awaiting microtasks only keeps the run closed.

export interface Task {
  cancel(): void;
}

/** One life of a simulated process: what it asked for dies with it, and waits while it is paused. */
export class Life {
  readonly name: string;
  alive = true;
  paused = false;
  readonly #backlog: Event[] = [];
  readonly #onDeath: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  onDeath(fn: () => void): void {
    this.#onDeath.push(fn);
  }

  die(): void {
    this.alive = false;
    this.#backlog.length = 0;
    for (const fn of this.#onDeath.splice(0)) fn();
  }

  hold(event: Event): void {
    this.#backlog.push(event);
  }

  takeBacklog(): Event[] {
    return this.#backlog.splice(0);
  }
}

interface Event {
  time: number;
  order: number;
  fn: (() => void) | undefined;
  readonly life: Life | undefined;
}

const SETTLED = Promise.resolve();
/** Enough for the deepest chain of awaits that a node has; more only costs time. */
const MICROTASK_TICKS = 24;
/** Events after the last promise settled for which microtasks are still drained: its own continuations. */
const TRAILING_EVENTS = 4;

export class Scheduler {
  /** Virtual ms since the run began. */
  now = 0;
  events = 0;
  readonly #heap: Event[] = [];
  #order = 0;
  #promises = 0;
  #trailing = 0;
  /** After each event; throws to end the run. */
  afterEvent: (() => void) | undefined;

  at(time: number, fn: () => void, life?: Life): Task {
    const event: Event = { time: time > this.now ? time : this.now, order: this.#order++, fn, life };
    this.#push(event);
    return {
      cancel: () => {
        event.fn = undefined;
      },
    };
  }

  after(ms: number, fn: () => void, life?: Life): Task {
    return this.at(this.now + (ms > 0 ? ms : 0), fn, life);
  }

  /** Microtasks are drained until this promise has settled, or the process that waits for it has died. */
  track<T>(promise: Promise<T>, life: Life): Promise<T> {
    let done = false;
    const settled = (): void => {
      if (done) return;
      done = true;
      this.#promises--;
      this.#trailing = TRAILING_EVENTS;
    };
    this.#promises++;
    life.onDeath(settled);
    promise.then(settled, settled);
    return promise;
  }

  pause(life: Life): void {
    life.paused = true;
  }

  resume(life: Life): void {
    life.paused = false;
    for (const event of life.takeBacklog()) {
      event.time = this.now;
      event.order = this.#order++;
      this.#push(event);
    }
  }

  /** Runs events up to `until` (virtual ms), or until `stop` says so. */
  async run(until: number, stop?: () => boolean): Promise<boolean> {
    await this.#drain();
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.time > until) break;
      this.#pop();
      const fn = next.fn;
      if (fn === undefined) continue;
      const life = next.life;
      if (life !== undefined) {
        if (!life.alive) continue;
        if (life.paused) {
          life.hold(next);
          continue;
        }
      }
      if (next.time > this.now) this.now = next.time;
      this.events++;
      next.fn = undefined;
      fn();
      if (this.#promises > 0 || this.#trailing > 0) await this.#drain();
      this.afterEvent?.();
      if (stop?.() === true) return true;
    }
    if (until > this.now && until !== Infinity) this.now = until;
    return false;
  }

  async #drain(): Promise<void> {
    if (this.#trailing > 0) this.#trailing--;
    for (let i = 0; i < MICROTASK_TICKS; i++) await SETTLED;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = heap[parent]!;
      if (before(other, event)) break;
      heap[at] = other;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const size = heap.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child++;
      if (before(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}
