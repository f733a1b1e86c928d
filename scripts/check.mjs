// npm run check [-- names of steps]: everything that is checked before the tests run. --fix rewrites to the format instead.
// All steps run even when one fails, so that one run shows all there is to mend.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkContract } from './contract.mjs';
import { lockFileProblems } from './lock-file.mjs';
import { fetched, installed, node } from './tools.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** As many as a small machine has cores; most steps use more than one thread as it is. */
const STEPS_AT_ONCE = 2;

/**
 * These are fetched when they are called and are not in package.json: some of their platforms' packages are missing from
 * mirrors, and npm then writes a lock file that `npm ci` refuses.
 */
const OXLINT = ['oxlint@1.94.0', 'oxlint-tsgolint@7.0.2007'];
const KNIP = ['knip@6.44.2'];

/** Files that are as they were need not be looked at again. @param {'--check' | '--write'} what */
const prettier = (what) =>
  installed('prettier', 'prettier', [
    what,
    '--log-level=warn',
    '--cache',
    '--cache-strategy=content',
    `--cache-location=${join(root, '.cache/prettier')}`,
    '.',
  ]);

/** @type {Record<string, { says: string, run: () => Promise<import('./tools.mjs').Result> }>} */
const STEPS = {
  lint: {
    says: 'oxlint, with types',
    run: () => fetched(OXLINT, ['oxlint', '--type-aware', '--format=unix']),
  },
  'dead-code': { says: 'knip', run: () => fetched(KNIP, ['knip', '--no-progress']) },
  types: { says: 'tsc', run: () => installed('typescript', 'tsc', ['-p', 'tsconfig.json']) },
  'types-ui': { says: 'tsc, for browsers', run: () => installed('typescript', 'tsc', ['-p', 'ui/tsconfig.json']) },
  imports: {
    says: 'cycles and direction of imports',
    run: () => installed('vitest', 'vitest', ['run', '--reporter=dot', 'test/layering.test.ts']),
  },
  format: { says: 'prettier', run: () => prettier('--check') },
  proto: {
    says: 'generated types match proto/',
    run: () => node([join(root, 'scripts/generate-proto-types.mjs'), '--check']),
  },
  contract: { says: 'buf: lint, nothing breaks what was released, descriptors match proto/', run: checkContract },
  'lock-file': {
    says: 'package-lock.json names no registry',
    run: () => {
      const problems = lockFileProblems(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')));
      return Promise.resolve({ ok: problems.length === 0, output: problems.join('\n') });
    },
  },
  manifests: {
    says: 'deploy/kubernetes is what Kubernetes and kustomize take',
    run: () => node([join(root, 'scripts/manifests.mjs')]),
  },
};

/** @param {string[]} names */
async function check(names) {
  const queue = [...names];
  /** @type {string[]} */
  const failed = [];
  const startedMs = Date.now();
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const step = STEPS[name];
      if (step === undefined) continue; // main() has refused unknown names
      const stepMs = Date.now();
      // A step that cannot even start has failed; the others still have something to say.
      const { ok, output } = await step.run().catch((error) => ({ ok: false, output: String(error) }));
      const seconds = ((Date.now() - stepMs) / 1000).toFixed(1);
      console.log(`${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds.padStart(5)} s  ${step.says}`);
      if (ok) continue;
      failed.push(name);
      console.log(output.trim().replace(/^/gm, '       '));
    }
  };
  await Promise.all(Array.from({ length: STEPS_AT_ONCE }, worker));
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  if (failed.length === 0) {
    console.log(`check: ${names.length} steps passed in ${seconds} s`);
    return 0;
  }
  console.log(`check: ${failed.length} of ${names.length} steps failed in ${seconds} s: ${failed.join(', ')}`);
  if (failed.includes('format')) console.log('       `npm run format` rewrites the files.');
  return 1;
}

async function main() {
  const args = process.argv.slice(2);
  if (args.includes('--fix')) {
    const { ok, output } = await prettier('--write');
    if (output !== '') console.log(output.trim());
    return ok ? 0 : 1;
  }
  const unknown = args.filter((name) => !Object.hasOwn(STEPS, name));
  if (unknown.length > 0) {
    console.error(`check: no such step: ${unknown.join(', ')}. There are: ${Object.keys(STEPS).join(', ')}`);
    return 2;
  }
  return check(args.length === 0 ? Object.keys(STEPS) : args);
}

process.exitCode = await main();
