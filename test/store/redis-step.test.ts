// A step as it is sent to Redis, against what ioredis makes of the same arguments.

import fc from 'fast-check';
import { Command } from 'ioredis';
import { expect, test } from 'vitest';
import { PackedRows } from '../../src/store/packed-rows.ts';
import { stepMessage } from '../../src/store/redis-step.ts';

const rows = fc.uniqueArray(
  fc.tuple(fc.string({ unit: 'binary', minLength: 1 }), fc.option(fc.uint8Array({ maxLength: 300 }))),
  { selector: ([rowKey]) => rowKey, maxLength: 40 },
);

test('the same bytes as one argument after the other', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 6 }), rows, (words, step) => {
      const sets = step.flatMap(([rowKey, value]) => (value === null ? [] : [rowKey, Buffer.from(value)]));
      const deletes = step.flatMap(([rowKey, value]) => (value === null ? [rowKey] : []));
      const command = new Command('EVAL', [...words, `${sets.length / 2}`, ...sets, ...deletes]);
      const expected = Buffer.from(command.toWritable(undefined as never));
      expect(stepMessage(words, PackedRows.of(step)).toString('latin1')).toBe(expected.toString('latin1'));
    }),
  );
});
