// promtool, which checks rules and runs their tests: the one of the system, or Debian's package unpacked into .cache, of which nothing is installed.
//
// Two tests may ask at once: each unpacks for itself, and the first to rename wins.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const UNPACKED = join(root, '.cache', 'prometheus');
const FETCH_MS_MAX = 60_000;

/** @typedef {{ promtool: string, prometheus: string }} Programs */

/**
 * Where the two programs are; a sentence when they cannot be had here.
 * @returns {Programs | string}
 */
export function prometheusPrograms() {
  const installed = programsIn('/usr/bin');
  if (installed !== undefined) return installed;
  const before = programsIn(join(UNPACKED, 'usr/bin'));
  if (before !== undefined) return before;
  mkdirSync(dirname(UNPACKED), { recursive: true });
  const work = mkdtempSync(`${UNPACKED}-`);
  try {
    const fetched = ran('apt-get', ['download', 'prometheus'], work);
    if (fetched !== undefined)
      return `promtool is not installed, and Debian's package could not be fetched: ${fetched}`;
    const [file] = readdirSync(work).filter((name) => name.endsWith('.deb'));
    if (file === undefined) return 'apt-get download left no package';
    const unpacked = ran('dpkg-deb', ['--extract', file, 'out'], work);
    if (unpacked !== undefined) return `Debian's package could not be unpacked: ${unpacked}`;
    try {
      renameSync(join(work, 'out'), UNPACKED);
    } catch (error) {
      // Somebody else was faster.
      if (!existsSync(UNPACKED)) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return programsIn(join(UNPACKED, 'usr/bin')) ?? "Debian's package has no promtool";
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
 * What went wrong, if anything.
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
function ran(command, args, cwd) {
  const { error, status, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: FETCH_MS_MAX });
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : stderr.trim();
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
