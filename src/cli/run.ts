// Keeps nodes running in this process until a signal or a failure, and ends them in order.

import type { RunningNode } from '../compose.ts';
import { EXIT_CODES, type CausewayError } from '../errors/errors.ts';
import { ifStillAliveIn } from '../system/real.ts';
import type { System } from '../system/system.ts';

/** Writes under way have deadlines up to a minute; whoever stops a process does not wait that long. */
const DRAIN_MS_MAX = 15_000;

/** Everything is closed by then. What is left cannot be: e.g. a look-up of a name whose servers are out of reach takes half a minute. */
const LINGER_MS_MAX = 3000;

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export interface StopSignals {
  /** Resolves with the first. A second one ends the process at once. */
  readonly first: Promise<NodeJS.Signals>;
  release(): void;
}

/** Listens from before anything starts, so that a signal during a long start is not lost. */
export function stopSignals(): StopSignals {
  let received = false;
  let resolveFirst: (signal: NodeJS.Signals) => void;
  const first = new Promise<NodeJS.Signals>((resolve) => {
    resolveFirst = resolve;
  });
  const handle = (signal: NodeJS.Signals): void => {
    // Somebody insists. The log survives this as it survives kill -9.
    if (received) process.exit(EXIT_CODES.internal);
    received = true;
    resolveFirst(signal);
  };
  for (const signal of STOP_SIGNALS) process.on(signal, handle);
  return {
    first,
    release: () => {
      for (const signal of STOP_SIGNALS) process.off(signal, handle);
    },
  };
}

/** Ends the process when a node fails. */
export async function runUntilStopped(
  nodes: readonly RunningNode[],
  signals: StopSignals,
  system: System,
  say: (text: string) => void,
): Promise<void> {
  const stopped = signals.first.then((signal) => ({ kind: 'signal' as const, signal }));
  const failed = nodes.map((node) => node.failed.then((error: CausewayError) => ({ kind: 'failed' as const, error })));
  const end = await Promise.race([stopped, ...failed]);
  // The node has said why in its log. Stopping it in order would write behind what the log could not write.
  if (end.kind === 'failed') process.exit(end.error.exitCode);
  say(`${end.signal}: refusing new requests, finishing those under way; again to end at once`);
  try {
    await withinMs(system, DRAIN_MS_MAX, Promise.all(nodes.map((node) => node.drain())));
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
  ifStillAliveIn(LINGER_MS_MAX, () => {
    const left = [...new Set(process.getActiveResourcesInfo())].filter((each) => !OUTPUT.has(each));
    say(`ends without waiting for ${left.join(', ')}`);
    process.exit();
  });
}

/** Of the process' own streams, as Node calls them. */
const OUTPUT: ReadonlySet<string> = new Set(['PipeWrap', 'TTYWrap']);

async function withinMs(system: System, ms: number, work: Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = system.timers.after(ms, resolve);
    work.then(
      () => {
        timer.cancel();
        resolve();
      },
      (error: unknown) => {
        timer.cancel();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}
