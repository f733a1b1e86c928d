// An element is present while an add of it holds: one that no op on the element has seen. An add that was seen by a later add
// of the same element has handed over to it, which matters because the later one may expire sooner.

import { hadSeen, isLiveAt, type Spec, type SpecOp } from './history.ts';

export const setAwSpec: Spec = (history, nowMs) => {
  const present = new Set<string>();
  for (const op of history) {
    if (op.intent.kind !== 'set-add' || !isLiveAt(nowMs, op.intent.expiresAtMs)) continue;
    for (const element of op.intent.elements) {
      const holds = !history.some((later) => touches(later, element) && hadSeen(later, op));
      if (holds) present.add(hex(element));
    }
  }
  if (present.size === 0) return undefined;
  // Hex sorts as the bytes do.
  return { type: 'set-aw', elements: [...present].sort().map((text) => Buffer.from(text, 'hex')) };
};

function touches({ intent }: SpecOp, element: Uint8Array): boolean {
  if (intent.kind === 'delete') return true;
  if (intent.kind !== 'set-add' && intent.kind !== 'set-remove') return false;
  return intent.elements.some((other) => hex(other) === hex(element));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
