// A store is of a log when it has seen exactly the batches that stand there up to its cursor.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryDisk, MemoryLog } from '../../src/log/memory.ts';
import { originId, regionId, shardId, type OriginId } from '../../src/record/ids.ts';
import { isOfLog } from '../../src/region/store-proof.ts';
import { batchEntry } from '../contract/log.ts';

const SHARD = shardId(1, 0);
const ORIGINS = ['eu', 'us', 'ap'].map((region, i) => originId(regionId(region), i + 1));

/** Whose batch is next, and of how many ops; undefined: an entry that is no batch. */
type Step = readonly [origin: number, ops: number] | undefined;

async function logOf(
  steps: readonly Step[],
): Promise<{ log: MemoryLog; seqsAt: (offset: number) => Map<OriginId, number> }> {
  const log = new MemoryLog({ disk: new MemoryDisk() });
  await log.open([SHARD]);
  const seqs = new Map<OriginId, number>();
  const history = [new Map(seqs)];
  for (const [i, step] of steps.entries()) {
    const origin = ORIGINS[step?.[0] ?? 0]!;
    const seq = seqs.get(origin) ?? 0;
    const entry =
      step === undefined
        ? ({ kind: 'barrier', bytes: Buffer.of(i & 255) } as const)
        : batchEntry(SHARD, origin, seq + 1, step[1]);
    if (step !== undefined) seqs.set(origin, seq + step[1]);
    log.append(SHARD, i + 1, [entry], ({ kind }) => expect(kind).toBe('durable'));
    history.push(new Map(seqs));
  }
  return { log, seqsAt: (offset) => history[offset]! };
}

const steps = (minLength: number, maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.option(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 3 })), { nil: undefined, freq: 8 }), {
    minLength,
    maxLength,
  });

const sameSeqs = (a: ReadonlyMap<OriginId, number>, b: ReadonlyMap<OriginId, number>): boolean =>
  ORIGINS.every((origin) => (a.get(origin) ?? 0) === (b.get(origin) ?? 0));

test('of its own log at every offset, and of one that grew otherwise only where both have the same', async () => {
  await fc.assert(
    fc.asyncProperty(steps(0, 60), steps(1, 150), steps(1, 150), async (common, one, other) => {
      const first = await logOf([...common, ...one]);
      const second = await logOf([...common, ...other]);
      const longest = common.length + Math.min(one.length, other.length);
      for (let offset = 0; offset <= longest; offset += 1 + Math.floor(longest / 20)) {
        const seqs = first.seqsAt(offset);
        const answers: boolean[] = [];
        isOfLog(first.log, SHARD, offset, seqs, (same) => answers.push(same));
        isOfLog(second.log, SHARD, offset, seqs, (same) => answers.push(same));
        expect(answers).toEqual([true, sameSeqs(seqs, second.seqsAt(offset))]);
      }
    }),
    { numRuns: 40 },
  );
});
