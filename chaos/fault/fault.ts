// A way to break regions: what it is, whether it can be done here, and how it is undone.

import type { Stage } from '../cluster/stage.ts';

/** To whom a fault tells what it saw of its effects; all of it goes into the history. */
export interface Witness {
  /** Something had to happen in a region because of the fault, within a time; `afterMs` undefined: it did not, for as long as was waited. */
  expected(effect: {
    readonly region: string;
    readonly says: string;
    readonly withinMs: number;
    readonly afterMs: number | undefined;
  }): void;
  /** From now on the region can log nothing, so that whoever tells how far behind it he is must tell more and more; until the end is called. */
  silent(region: string): () => void;
}

export interface Fault {
  /** Of its kind: `kill`. */
  readonly name: string;
  /** With its target: `us-east is killed`. */
  readonly says: string;
  /** `from to`: ops may take any time from one to the other until it is healed. */
  readonly hinders: readonly string[];
  /** Regions that take no writes, or may not, until it is healed. */
  readonly stops: readonly string[];
  /** Regions that lose what they have on disk. */
  readonly wipes?: readonly string[];
  /** Why it cannot be done on this machine; undefined: it can. */
  available(stage: Stage): string | undefined;
  /** Resolves when it is broken, with what makes it whole again. That resolves when the region serves again, and never leaves it broken. */
  inject(stage: Stage, witness: Witness): Promise<() => Promise<void>>;
}

/** Every way between a region and the others, both ways. */
export function waysOf(stage: Stage, region: string): string[] {
  return stage.others(region).flatMap((other) => [`${region} ${other}`, `${other} ${region}`]);
}

/** As `available`: for what is done to a region's NATS and Redis, or to one of its nodes. */
export function withServers(stage: Stage): string | undefined {
  return stage.hasServers ? undefined : 'the regions of this scenario stand on no servers of their own';
}

export function always(): undefined {
  return undefined;
}
