// The API as others hold it in their hands: the .proto files checked by buf, and the descriptor set that is made from them.
// node scripts/contract.mjs            writes proto/descriptors.binpb, from which nodes answer gRPC reflection
// node scripts/contract.mjs --check    lint, breaking changes against proto/released.binpb, freshness of the descriptors
// node scripts/contract.mjs --release  what is there now becomes what may not be broken: with each release, and not before
// buf.yaml has the rules and their exceptions. Nothing of it talks to a server of buf's.

import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fetched } from './tools.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const DESCRIPTORS = 'proto/descriptors.binpb';
const RELEASED = 'proto/released.binpb';
/** Not in package.json, for the reason that scripts/check.mjs gives for its tools. */
const BUF = ['@bufbuild/buf@1.75.0'];

/** @typedef {import('./tools.mjs').Result} Result */

/** @param {string[]} args */
function buf(args) {
  return fetched(BUF, ['buf', ...args]);
}

/**
 * Without source positions and comments: a comment that moves would make it stale.
 * @param {string} file
 */
function build(file) {
  return buf(['build', '--as-file-descriptor-set', '--exclude-source-info', '-o', file]);
}

/** @returns {Promise<Result>} */
export function writeDescriptors() {
  return build(join(root, DESCRIPTORS));
}

/** @returns {Promise<Result>} */
export async function checkContract() {
  /** @type {Result[]} */
  const results = [await buf(['lint']), await buf(['breaking', '--against', RELEASED])];
  const directory = mkdtempSync(join(tmpdir(), 'causeway-contract-'));
  try {
    const fresh = join(directory, 'fresh.binpb');
    const built = await build(fresh);
    results.push(built);
    const committed = join(root, DESCRIPTORS);
    if (built.ok && !(existsSync(committed) && readFileSync(fresh).equals(readFileSync(committed)))) {
      const output = `${DESCRIPTORS} does not match proto/: run \`npm run generate\` and commit the result.`;
      results.push({ ok: false, output });
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return {
    ok: results.every(({ ok }) => ok),
    output: results
      .map(({ output }) => output.trim())
      .filter(Boolean)
      .join('\n'),
  };
}

async function main() {
  const [flag] = process.argv.slice(2);
  const result = await (flag === '--check' ? checkContract() : writeDescriptors());
  if (result.ok && flag === '--release') copyFileSync(join(root, DESCRIPTORS), join(root, RELEASED));
  if (result.output.trim() !== '') console.error(result.output.trim());
  return result.ok ? 0 : 1;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await main();
}
