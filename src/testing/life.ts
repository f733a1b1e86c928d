// What a process takes with it when it dies: the timers of a node that runs inside a test's own process.

import type { System, TimerHandle } from '../system/system.ts';

export interface Life {
  /** As the given one, until the end. */
  readonly system: System;
  /** No timer of this life fires any more. */
  end(): void;
}

export function lifeOn(system: System): Life {
  let alive = true;
  const running = new Set<TimerHandle>();
  const kept = (timer: TimerHandle): TimerHandle => {
    const handle = {
      cancel: (): void => {
        running.delete(handle);
        timer.cancel();
      },
    };
    running.add(handle);
    return handle;
  };
  return {
    system: {
      ...system,
      timers: {
        after: (ms, fn) => {
          if (!alive) return { cancel: () => undefined };
          const handle = kept(
            system.timers.after(ms, () => {
              running.delete(handle);
              fn();
            }),
          );
          return handle;
        },
        every: (ms, fn) => (alive ? kept(system.timers.every(ms, fn)) : { cancel: () => undefined }),
        soon: (fn) =>
          system.timers.soon(() => {
            if (alive) fn();
          }),
      },
    },
    end: () => {
      alive = false;
      for (const timer of [...running]) timer.cancel();
    },
  };
}
