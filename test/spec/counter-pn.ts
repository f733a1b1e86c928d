// The sum of the increments that no reset had seen; absent when there are none of them.

import { hadSeen, type Spec } from './history.ts';

export const counterPnSpec: Spec = (history) => {
  const resets = history.filter((op) => op.intent.kind === 'delete');
  const counted = history.flatMap((op) =>
    op.intent.kind === 'increment' && !resets.some((reset) => hadSeen(reset, op)) ? [op.intent.by] : [],
  );
  return counted.length === 0 ? undefined : { type: 'counter-pn', value: counted.reduce((sum, by) => sum + by) };
};
