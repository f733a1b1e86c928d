// Against a Map: whatever the order in which seqs come and leave.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SeqRun } from '../../src/shard/seq-run.ts';

test('finds what a map finds', () => {
  const step = fc.record({ seq: fc.integer({ min: 1, max: 40 }), drop: fc.constantFrom('none', 'oldest', 'any') });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.boolean(), (steps, inOrder) => {
      const run = new SeqRun();
      const model = new Map<number, number>();
      steps.forEach(({ seq, drop }, i) => {
        const add = inOrder ? i + 1 : seq;
        if (!model.has(add)) {
          run.add(add, i);
          model.set(add, i);
        }
        const leaving = drop === 'oldest' ? model.keys().next().value : drop === 'any' ? seq : undefined;
        if (leaving !== undefined && model.delete(leaving)) run.delete(leaving);
        expect(run.size).toBe(model.size);
      });
      for (let seq = 0; seq <= 121; seq++) expect(run.find(seq)).toBe(model.get(seq) ?? -1);
    }),
  );
});

test('I12: a run that moves on stays as large as what is in it', () => {
  const run = new SeqRun();
  for (let seq = 1; seq <= 100_000; seq++) {
    run.add(seq, seq % 64);
    if (seq > 64) run.delete(seq - 64);
  }
  expect(run.size).toBe(64);
  expect(run.find(100_000)).toBe(100_000 % 64);
  expect(run.find(100_000 - 64)).toBe(-1);
});
