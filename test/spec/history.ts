// What a specification is given, and the questions it asks of it.

import type { Dot, Version } from '../../src/record/ids.ts';
import type { Intent, View } from '../../src/merge/types.ts';

export interface SpecOp {
  readonly version: Version;
  readonly intent: Intent;
  /** Every dot that had been applied where the op was prepared (see dotName). */
  readonly seen: ReadonlySet<string>;
}

export type Spec = (history: readonly SpecOp[], nowMs: number) => View | undefined;

export function dotName(dot: Dot): string {
  return `${dot.origin}/${dot.seq}`;
}

export function hadSeen(later: SpecOp, earlier: SpecOp): boolean {
  return later.seen.has(dotName(earlier.version));
}

/** The total order of versions: by stamp, then by origin. */
export function isNewer(a: SpecOp, b: SpecOp): boolean {
  return (
    a.version.stamp > b.version.stamp || (a.version.stamp === b.version.stamp && a.version.origin > b.version.origin)
  );
}

export function newest(history: readonly SpecOp[]): SpecOp | undefined {
  return history.find((op) => history.every((other) => other === op || isNewer(op, other)));
}

export function isLiveAt(nowMs: number, expiresAtMs: number | undefined): boolean {
  return expiresAtMs === undefined || nowMs < expiresAtMs;
}
