// The lines that `npm run chaos:mutants` changes in a copy. (The engine's switches are tried in sim.test.ts.)

import { describe, expect, test } from 'vitest';
import { MutantError, patched, SourceCopy } from '../../chaos/mutants/copy.ts';
import { PATCHES } from '../../chaos/mutants/mutants.ts';

const MINUTE_MS = 60_000;

describe('mutants', () => {
  test.each(PATCHES.map((patch) => [patch.name, patch] as const))(
    '%s: its line stands where the list says',
    (_, patch) => {
      expect(patched('.', patch)).not.toContain(patch.line);
    },
  );

  test('a line that has moved is told, and not passed over', () => {
    expect(() => patched('.', { ...PATCHES[0]!, line: 'no such line' })).toThrow(MutantError);
  });

  test(
    'batchChecksum: its test passes with it, and fails without',
    async () => {
      const patch = PATCHES.find(({ name }) => name === 'batchChecksum')!;
      const copy = new SourceCopy('.');
      try {
        expect(await copy.without(patch, 1)).toMatchObject({
          check: 'test',
          by: expect.stringContaining('flipped bit') as string,
        });
      } finally {
        copy.remove();
      }
    },
    3 * MINUTE_MS,
  );

  test(
    'a line that makes no difference is not said to be noticed',
    async () => {
      const patch = PATCHES.find(({ name }) => name === 'batchChecksum')!;
      const copy = new SourceCopy('.');
      try {
        expect(await copy.without({ ...patch, without: `${patch.line} ` }, 1)).toBeUndefined();
      } finally {
        copy.remove();
      }
    },
    3 * MINUTE_MS,
  );

  test(
    'a test that is called otherwise now is told, and is no notice',
    async () => {
      const patch = PATCHES.find(({ name }) => name === 'batchChecksum')!;
      const copy = new SourceCopy('.');
      try {
        const gone = { ...patch, noticedBy: { file: 'test/record/batch.test.ts', name: 'no such test' } };
        await expect(copy.without(gone, 1)).rejects.toThrow("no test 'no such test' ran");
      } finally {
        copy.remove();
      }
    },
    MINUTE_MS,
  );
});
