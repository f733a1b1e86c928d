// A way to break regions: what it is, whether it can be done here, and how it is undone.

import type { Stage } from '../cluster/stage.ts';

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
  inject(stage: Stage): Promise<() => Promise<void>>;
}

/** Every way between a region and the others, both ways. */
export function waysOf(stage: Stage, region: string): string[] {
  return stage.others(region).flatMap((other) => [`${region} ${other}`, `${other} ${region}`]);
}

export function always(): undefined {
  return undefined;
}
