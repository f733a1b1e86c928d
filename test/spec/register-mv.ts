// Visible are the puts that no op has replaced. An op replaces what it has seen, or of that what its writer named.

import { dotName, hadSeen, isLiveAt, isNewer, type Spec, type SpecOp } from './history.ts';

export const registerMvSpec: Spec = (history, nowMs) => {
  const siblings = history
    .filter((op) => !history.some((later) => replaces(later, op)))
    .sort((a, b) => (isNewer(a, b) ? 1 : -1))
    .flatMap(({ intent, version }) =>
      intent.kind === 'put' && isLiveAt(nowMs, intent.expiresAtMs) ? [{ value: intent.value, version }] : [],
    );
  return siblings.length === 0 ? undefined : { type: 'register-mv', siblings };
};

function replaces(later: SpecOp, earlier: SpecOp): boolean {
  const { intent } = later;
  if (intent.kind !== 'put' && intent.kind !== 'delete') return false;
  const named = intent.observed?.some((dot) => dotName(dot) === dotName(earlier.version)) ?? true;
  return named && hadSeen(later, earlier);
}
