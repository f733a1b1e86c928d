// promtool, which checks rules and runs their tests: the one of the system, or Debian's package unpacked into .cache.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { unpacked } from './debian-packages.mjs';

/** @typedef {{ promtool: string, prometheus: string }} Programs */

/**
 * Where the two programs are; a sentence when they cannot be had here.
 * @returns {Programs | string}
 */
export function prometheusPrograms() {
  const installed = programsIn('/usr/bin');
  if (installed !== undefined) return installed;
  const found = unpacked('prometheus', ['prometheus']);
  if (typeof found === 'string') return found;
  return programsIn(join(found.directory, 'usr/bin')) ?? "Debian's package has no promtool";
}

/**
 * @param {string} directory
 * @returns {Programs | undefined}
 */
function programsIn(directory) {
  const promtool = join(directory, 'promtool');
  return existsSync(promtool) ? { promtool, prometheus: join(directory, 'prometheus') } : undefined;
}

/**
 * Runs one of them to its end, or to the end of the time.
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd: string, timeoutMs: number }} options
 * @returns {Promise<{ code: number | null, output: string }>}
 */
export function runBounded(program, args, { cwd, timeoutMs }) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}
