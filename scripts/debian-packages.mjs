// Programs out of Debian's packages, unpacked into .cache. Nothing of the system is installed or changed: apt's lists and caches of what the
// system does not know are the checkout's own.
//
// Two tests may ask at once: each unpacks for itself, and the first to rename wins.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CACHE = join(dirname(dirname(fileURLToPath(import.meta.url))), '.cache');
const FETCH_MS_MAX = 120_000;
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Where the packages are unpacked; a sentence when they cannot be had here.
 * @param {string} name the folder in .cache, of what is in it: another version is another name
 * @param {string[]} packages
 * @param {string} [suite] Debian's release to take them from. Default: what the system itself takes its packages from
 * @returns {{ directory: string } | string}
 */
export function unpacked(name, packages, suite) {
  const directory = join(CACHE, name);
  if (existsSync(directory)) return { directory };
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(`${directory}-`);
  try {
    const failed = fetched(work, packages, suite);
    if (failed !== undefined)
      return `${packages[0]} is not installed, and Debian's package could not be had: ${failed}`;
    for (const file of readdirSync(work).filter((file) => file.endsWith('.deb'))) {
      const failure = ran('dpkg-deb', ['--extract', file, 'out'], work);
      if (failure !== undefined) return `${file} could not be unpacked: ${failure}`;
    }
    try {
      renameSync(join(work, 'out'), directory);
    } catch (error) {
      // Somebody else was faster.
      if (!existsSync(directory)) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return { directory };
}

/**
 * What went wrong, if anything.
 * @param {string} work
 * @param {string[]} packages
 * @param {string | undefined} suite
 */
function fetched(work, packages, suite) {
  const download = ['download', ...packages];
  // The lists that the system has, if it has any; a bare machine may never have asked for them.
  if (suite === undefined && ran('apt-get', download, work) === undefined) return undefined;
  const options = ownLists(work);
  if (suite !== undefined) {
    const mirror = debianMirror();
    if (mirror === undefined) return `this is no Debian, whose ${suite} has it`;
    const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : '';
    const list = join(work, 'sources.list');
    writeFileSync(list, `deb ${signed}${mirror} ${suite} main\n`);
    options.push('-o', `Dir::Etc::sourcelist=${list}`, '-o', 'Dir::Etc::sourceparts=-');
  }
  return ran('apt-get', [...options, 'update'], work) ?? ran('apt-get', [...options, ...download], work);
}

/** @param {string} work */
function ownLists(work) {
  mkdirSync(join(work, 'lists/partial'), { recursive: true });
  mkdirSync(join(work, 'cache/archives/partial'), { recursive: true });
  return ['-o', `Dir::State::lists=${join(work, 'lists')}`, '-o', `Dir::Cache=${join(work, 'cache')}`];
}

/** Where this system gets Debian from; told also before it has asked there for anything. */
function debianMirror() {
  const { status, stdout } = spawnSync('apt-get', ['update', '--print-uris'], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  return /'([^']*\/debian)\/+dists\//.exec(stdout)?.[1];
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
