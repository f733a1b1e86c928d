// Whether node_modules and dist/ are what the checkout asks for, and how to make them so.
// Owns: node_modules/.causeway-lock-hash, dist/.causeway-build-hash and the lock .cache/bootstrap.lock.
// Only Node's own modules: this runs before anything is installed.
// HAZARD: several commands may start at once in one checkout (npm start next to npm test). Whoever has work to do takes
//         the lock, then looks again; the others wait and find nothing left to do.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** What tsc and vite read. The proto files are here because compiled code loads them by their place in the package. */
const BUILD_INPUTS = [
  'src',
  'ui',
  'demo',
  'chaos',
  'test/bench',
  'proto',
  'tsconfig.json',
  'tsconfig.build.json',
  'package.json',
  'package-lock.json',
];

/** Directories under which every compiled file must have a source: else it is left over from a source since deleted. */
const COMPILED = ['src', 'demo', 'chaos', 'test'];

/** A holder on another host cannot be asked whether it lives; an install takes a minute, so this is dead. */
const FOREIGN_LOCK_AGE_MS_MAX = 10 * 60_000;

/** A failure that a person must read, as opposed to a bug in here: printed without a stack. */
export class BootstrapError extends Error {}

// ---------------------------------------------------------------------------------------------------------------------
// Node

/**
 * The lowest version that `engines.node` allows, compared with this one; a message when it is too old.
 * @param {string} current such as 20.20.2
 * @param {string} range of the form >=20.19 (nothing else is needed here)
 * @returns {string | undefined}
 */
export function nodeTooOld(current, range) {
  const wanted = /^>=(\d+)\.(\d+)$/.exec(range.trim());
  if (wanted === null) throw new BootstrapError(`engines.node in package.json must look like >=20.19, got ${range}`);
  const [major = 0, minor = 0] = current.split('.').map(Number);
  const [wantedMajor, wantedMinor] = [Number(wanted[1]), Number(wanted[2])];
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return undefined;
  return `Causeway needs Node ${wantedMajor}.${wantedMinor} or newer; this is Node ${current}. Install a current LTS release of Node.js and try again.`;
}

// ---------------------------------------------------------------------------------------------------------------------
// node_modules

/** @param {string} root */
function lockHashPath(root) {
  return join(root, 'node_modules', '.causeway-lock-hash');
}

/**
 * @param {string} root
 * @returns {{ fresh: boolean, lockHash: string, reason?: string }}
 */
export function installState(root) {
  const lockText = readText(join(root, 'package-lock.json'));
  if (lockText === undefined) {
    throw new BootstrapError('package-lock.json is missing: restore it with `git checkout package-lock.json`.');
  }
  const lockHash = sha256(lockText);
  if (readText(lockHashPath(root)) === lockHash) return { fresh: true, lockHash };
  const installedText = readText(join(root, 'node_modules', '.package-lock.json'));
  if (installedText === undefined) return { fresh: false, lockHash, reason: 'node_modules is missing' };
  // npm writes this file at the end of an install, so an install by hand (npm install, npm ci) is recognised and kept.
  const difference = installDifference(JSON.parse(lockText), JSON.parse(installedText));
  if (difference !== undefined) return { fresh: false, lockHash, reason: difference };
  return { fresh: true, lockHash };
}

/**
 * @typedef {{ version?: string, link?: boolean, optional?: boolean, devOptional?: boolean }} LockedPackage
 * @typedef {{ packages?: Record<string, LockedPackage> }} LockFile
 */

/**
 * The first package that is not installed as the lock file says, for a person to read. A package too many is left alone:
 * reinstalling everything would cost more than it could hide.
 * @param {LockFile} wanted
 * @param {LockFile} installed
 * @returns {string | undefined}
 */
export function installDifference(wanted, installed) {
  const have = installed.packages ?? {};
  const want = wanted.packages ?? {};
  for (const [path, locked] of Object.entries(want)) {
    if (!path.startsWith('node_modules/')) continue;
    const found = have[path];
    if (found === undefined) {
      // Other platforms' binaries are locked as optional and are rightly absent.
      if (locked.optional === true || locked.devOptional === true) continue;
      return `${path} is not installed`;
    }
    if (found.version !== locked.version) {
      return `${path} is ${found.version ?? 'linked'}, the lock file has ${locked.version ?? 'a link'}`;
    }
  }
  return undefined;
}

/**
 * @param {string} root
 * @param {(line: string) => void} say
 */
export async function ensureInstalled(root, say) {
  let state = installState(root);
  if (state.fresh && existsSync(lockHashPath(root))) return;
  await withLock(root, say, () => {
    state = installState(root);
    if (!state.fresh) {
      say(`installing dependencies (npm ci): ${state.reason}`);
      npmCi(root);
    }
    writeFileSync(lockHashPath(root), state.lockHash);
  });
}

/** @param {string} root */
function npmCi(root) {
  // Run by npm, the npm that runs us; run by hand, the one in the path. --include=dev because NODE_ENV=production would
  // leave the compiler out; loglevel because .npmrc makes npm silent, errors included.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const npmCli = process.env['npm_execpath'];
  /** @type {import('node:child_process').SpawnSyncOptions} */
  const options = { cwd: root, stdio: ['ignore', process.stderr.fd, process.stderr.fd] };
  const done =
    npmCli !== undefined && /\.c?js$/.test(npmCli)
      ? spawnSync(process.execPath, [npmCli, ...args], options)
      : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
  if (done.error)
    throw new BootstrapError(`could not run npm: ${done.error.message}. Is npm installed and in the path?`);
  if (done.status !== 0) {
    throw new BootstrapError(
      `npm ci failed (${done.signal ?? `exit code ${done.status}`}); its message is above. It needs a package registry that this machine can reach.`,
    );
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// dist

/** @param {string} root */
function buildHashPath(root) {
  return join(root, 'dist', '.causeway-build-hash');
}

/**
 * Names, sizes and modification times of everything that the compiler reads; reading the contents would take longer than
 * the compiler's own incremental check saves.
 * @param {string} root
 */
export function buildHash(root) {
  const hash = createHash('sha256');
  for (const input of BUILD_INPUTS) {
    for (const path of filesUnder(join(root, input))) {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined) continue; // deleted in between: the next run sees it
      hash.update(`${relative(root, path)}\0${stat.size}\0${stat.mtimeMs}\n`);
    }
  }
  return hash.digest('hex');
}

/** @param {string} root */
export function isBuilt(root) {
  return readText(buildHashPath(root)) === buildHash(root);
}

/**
 * @param {string} root
 * @param {(line: string) => void} say
 */
export async function ensureBuilt(root, say) {
  if (isBuilt(root)) return;
  await withLock(root, say, () => {
    // Taken before compiling: a file saved while tsc runs makes the next run compile again.
    const hash = buildHash(root);
    if (readText(buildHashPath(root)) === hash) return;
    say('compiling to dist/');
    compile(root);
    bundlePage(root);
    for (const path of leftovers(root)) rmSync(path);
    writeFileSync(buildHashPath(root), hash);
  });
}

/** @param {string} root */
function compile(root) {
  const manifestPath = join(root, 'node_modules', 'typescript', 'package.json');
  const bin = JSON.parse(readFileSync(manifestPath, 'utf8')).bin.tsc;
  const done = spawnSync(process.execPath, [join(dirname(manifestPath), bin), '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: ['ignore', process.stderr.fd, process.stderr.fd],
  });
  if (done.error) throw new BootstrapError(`could not run the TypeScript compiler: ${done.error.message}`);
  if (done.status !== 0) throw new BootstrapError('the sources do not compile; the errors are above.');
}

/**
 * ui/ → dist/ui
 * @param {string} root
 */
function bundlePage(root) {
  const args = [join(root, 'node_modules/vite/bin/vite.js'), 'build', 'ui', '--logLevel', 'warn'];
  const done = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', process.stderr.fd, process.stderr.fd],
  });
  if (done.error) throw new BootstrapError(`could not run vite: ${done.error.message}`);
  if (done.status !== 0) throw new BootstrapError('the page (ui/) does not compile; the errors are above.');
}

/**
 * Compiled files whose source is gone: they would be picked up by an import that should fail.
 * @param {string} root
 */
export function leftovers(root) {
  const dist = join(root, 'dist');
  return COMPILED.flatMap((folder) => filesUnder(join(dist, folder))).filter((path) => {
    const source = relative(dist, path)
      .replace(/\.(js|d\.ts)(\.map)?$/, '.ts')
      .replace(/\.(mjs|d\.mts)(\.map)?$/, '.mjs');
    return /\.(ts|mjs)$/.test(source) && !existsSync(join(root, source));
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// The lock

/**
 * Runs `work` while no other bootstrap of this checkout works. A holder that died is recognised by its pid.
 * @param {string} root
 * @param {(line: string) => void} say
 * @param {() => void} work
 */
export async function withLock(root, say, work) {
  const lock = join(root, '.cache', 'bootstrap.lock');
  const mine = `${process.pid} ${hostname()}`;
  mkdirSync(dirname(lock), { recursive: true });
  let waiting = false;
  while (!tryCreate(lock, mine)) {
    const holder = readText(lock);
    if (holder === undefined) continue;
    if (isAbandoned(lock, holder)) {
      breakLock(lock, holder);
      continue;
    }
    if (!waiting) say(`waiting for another bootstrap of this checkout (${holder})`);
    waiting = true;
    await delay(100);
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/**
 * @param {string} lock
 * @param {string} mine
 */
function tryCreate(lock, mine) {
  // Written apart and then linked, which fails when the name exists: nobody ever reads a half-written lock.
  const draft = `${lock}.${process.pid}`;
  writeFileSync(draft, mine);
  try {
    linkSync(draft, lock);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * @param {string} lock
 * @param {string} holder
 */
function isAbandoned(lock, holder) {
  const [pid, host] = holder.split(' ');
  if (host !== hostname()) {
    const stat = statSync(lock, { throwIfNoEntry: false });
    return stat !== undefined && Date.now() - stat.mtimeMs > FOREIGN_LOCK_AGE_MS_MAX;
  }
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH';
  }
}

/**
 * Two that wait may both find the same dead holder. The rename takes the lock away once; whoever finds that it took a
 * fresh one (the other was faster) puts it back.
 * @param {string} lock
 * @param {string} holder
 */
function breakLock(lock, holder) {
  const taken = `${lock}.broken.${process.pid}`;
  try {
    renameSync(lock, taken);
  } catch {
    return; // gone already
  }
  if (readText(taken) !== holder) {
    try {
      linkSync(taken, lock);
    } catch {
      // A third one holds it by now; the one put aside here works under a lock that it no longer has. It takes three
      // bootstraps within a millisecond of each other and one that died: accepted.
    }
  }
  rmSync(taken, { force: true });
}

// ---------------------------------------------------------------------------------------------------------------------

/** @param {string} text */
function sha256(text) {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * @param {string} path
 * @returns {string | undefined} undefined when there is no such file
 */
function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/**
 * The file itself, or every file below the directory, in a fixed order; nothing when it does not exist.
 * @param {string} path
 * @returns {string[]}
 */
function filesUnder(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (stat.isFile()) return [path];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}${sep}${entry.name}`)
    .sort();
}
