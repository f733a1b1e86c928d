// node scripts/bootstrap.mjs <command> [args...]: what every npm script runs.
// Makes a bare clone ready (installs, compiles) and then becomes the command. Quiet and quick when all is ready.
// Its own messages go to stderr: stdout belongs to the command (npm start -- --once --json).
// Only Node's own modules: this runs before anything is installed.
// The npm scripts say `exec node …`: without it npm's shell stays in between, dies of a SIGTERM and leaves us orphaned.
// HAZARD: Ctrl-C under npm arrives twice, from the terminal and from npm; a handler must not take the second for impatience.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { BootstrapError, ensureBuilt, ensureInstalled, nodeTooOld } from './freshness.mjs';

/**
 * `script` is relative to the root; `args` come before those of the caller; `build` is whether it needs dist/.
 * @type {Record<string, { script?: string, args?: string[], build: boolean, says: string }>}
 */
const COMMANDS = {
  start: { script: 'dist/demo/main.js', build: true, says: 'run the demo: three regions and real flights' },
  cli: { script: 'dist/src/cli/main.js', build: true, says: 'the causeway command' },
  test: { script: 'node_modules/vitest/vitest.mjs', args: ['run'], build: true, says: 'run the tests' },
  check: { script: 'scripts/check.mjs', build: false, says: 'format, lint, types, imports, dead code' },
  format: { script: 'scripts/check.mjs', args: ['--fix'], build: false, says: 'rewrite files to the format' },
  generate: { script: 'scripts/generate-proto-types.mjs', build: false, says: 'generate types from proto/' },
  build: { build: true, says: 'compile to dist/' },
  sim: { script: 'dist/chaos/sim/main.js', build: true, says: 'the seeded simulation' },
  bench: { script: 'dist/test/bench/main.js', build: true, says: 'the benchmark' },
  'bench:overhead': { script: 'dist/test/bench/overhead-main.js', build: true, says: 'what metrics and traces cost' },
  chaos: { script: 'dist/chaos/main.js', build: true, says: 'regions as processes, broken on purpose under traffic' },
  screenshot: { script: 'scripts/screenshot.mjs', build: true, says: "pictures of the demo's page, docs/images" },
  'chaos:mutants': { script: 'dist/chaos/mutants/main.js', build: true, says: 'safety guards taken out, one by one' },
  'test:containers': { script: 'scripts/containers.mjs', build: false, says: 'regions in containers of the image' },
  'chaos:kill': { script: 'dist/chaos/cluster/kill-main.js', build: true, says: 'kill -9 under load' },
};

const EXIT_INTERNAL = 1;
const EXIT_USAGE = 2;

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** @param {string} line */
function say(line) {
  process.stderr.write(`causeway: ${line}\n`);
}

async function main() {
  // Before anything that an old Node may lack.
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const tooOld = nodeTooOld(process.versions.node, manifest.engines.node);
  if (tooOld !== undefined) throw new BootstrapError(tooOld);

  const [name = '', ...args] = process.argv.slice(2);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    say(name === '' ? 'which command?' : `unknown command ${name}`);
    for (const [each, { says }] of Object.entries(COMMANDS)) process.stderr.write(`  ${each.padEnd(16)}${says}\n`);
    process.exitCode = EXIT_USAGE;
    return;
  }

  await ensureInstalled(root, say);
  if (command.build) await ensureBuilt(root, say);
  if (command.script === undefined) return;

  // The command runs in this process and not in a child: signals, the terminal, standard streams and the exit code are
  // then its own, with nothing to pass through, and a start costs one Node less.
  process.setSourceMapsEnabled(true);
  const script = join(root, command.script);
  if (!existsSync(script))
    throw new BootstrapError(`${name} is not part of this checkout: there is no ${command.script}`);
  process.argv.splice(1, process.argv.length - 1, script, ...(command.args ?? []), ...args);
  await import(pathToFileURL(script).href);
}

main().catch((/** @type {unknown} */ error) => {
  if (error instanceof BootstrapError) say(error.message);
  else say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = EXIT_INTERNAL;
});
