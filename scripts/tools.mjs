// Running other programs: those of installed packages, and those of packages that npm fetches when they are needed.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** @typedef {{ ok: boolean, output: string }} Result */

/**
 * A program of a package in node_modules.
 * @param {string} name
 * @param {string} program
 * @param {string[]} args
 */
export function installed(name, program, args) {
  const manifestPath = join(root, 'node_modules', name, 'package.json');
  const { bin } = JSON.parse(readFileSync(manifestPath, 'utf8'));
  return node([join(dirname(manifestPath), typeof bin === 'string' ? bin : bin[program]), ...args]);
}

/**
 * A program of packages that npm fetches, or has fetched before.
 * @param {string[]} packages
 * @param {string[]} command
 * @returns {Promise<Result>}
 */
export async function fetched(packages, command) {
  const args = [
    'exec',
    '--yes',
    '--prefer-offline',
    '--loglevel=error',
    '--fetch-retries=1',
    '--fetch-timeout=60000',
    ...packages.map((name) => `--package=${name}`),
    '--',
    ...command,
  ];
  const npmCli = process.env['npm_execpath'];
  const byPath = npmCli === undefined || !/\.c?js$/.test(npmCli) || !existsSync(npmCli);
  const result = byPath ? await spawned('npm', args) : await node([npmCli, ...args]);
  if (!result.ok && /npm error (code|network|errno)/.test(result.output)) {
    result.output = `${packages.join(' and ')} could not be fetched, so this step did not run. It needs a package registry that this machine can reach, once.\n${result.output}`;
  }
  return result;
}

/** @param {string[]} args */
export function node(args) {
  return spawned(process.execPath, args);
}

/**
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<Result>}
 */
function spawned(command, args) {
  return new Promise((resolve) => {
    // Colour would be lost on most terminals' scrollback and in logs; positions in `file:line` form are what matters.
    const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined };
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', (error) => resolve({ ok: false, output: `could not run ${command}: ${error.message}` }));
    child.on('close', (code, signal) => {
      if (signal !== null) output += `\nended by ${signal}`;
      resolve({ ok: code === 0, output });
    });
  });
}
