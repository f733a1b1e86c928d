// A chromium for the page's tests and its screenshot: CHROMIUM, the one of the system, or else, for root, Debian's package (which stays installed).
// Whoever is not root is told what to install: of a browser's hundred libraries half cannot be used from anywhere but their place.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const PACKAGES = ['chromium', 'fonts-dejavu-core'];
const APT_MS_MAX = 300_000;

/** For a browser that is driven: no sandbox, because root has none, and no talk with anybody. */
export const CHROMIUM_ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Its path, or a sentence that says why there is none.
 * @returns {{ path: string } | { missing: string }}
 */
export function chromium() {
  const found = inPath();
  if (found !== undefined) return { path: found };
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    return {
      missing:
        'there is no chromium in the PATH: install it (on Debian: apt-get install chromium), or name one with CHROMIUM',
    };
  }
  const refusal = installed() ?? (apt(['update']), installed());
  const path = inPath();
  return path === undefined
    ? { missing: `chromium could not be installed: ${refusal ?? 'it is not in the PATH'}` }
    : { path };
}

function inPath() {
  const named = process.env['CHROMIUM'];
  if (named !== undefined && named !== '') return named;
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((directory) => NAMES.map((name) => join(directory, name)))
    .find((path) => existsSync(path));
}

/** Why not, if so. */
function installed() {
  return apt(['install', '--yes', '--no-install-recommends', ...PACKAGES]);
}

/**
 * What went wrong, if anything. Two at once wait for each other.
 * @param {string[]} args
 */
function apt(args) {
  const { error, status, stderr } = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=240', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    encoding: 'utf8',
    timeout: APT_MS_MAX,
  });
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : stderr.trim().split('\n').slice(-3).join(' ');
}
