// node scripts/screenshot.mjs: the page while a region of the demo is dead, as it stands in the README (docs/images). Needs a build, and a chromium.
//   --out DIRECTORY   somewhere else
// Starts the demo, waits until the page says that a region does not answer, and ends what it has started.

import { spawn } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium as browserOf } from 'playwright-core';
import { chromium, CHROMIUM_ARGS } from './chromium.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Long enough a replay for the charts to have something before the kill, which comes at a third of it. */
const SECONDS = 150;
const KILL_MS_MAX = 180_000;
/** After the kill: lag has grown, and the others have been seen carrying on. */
const AFTER_KILL_MS = 12_000;

const SHOTS = /** @type {const} */ ([
  { name: 'page-dark', colorScheme: 'dark', width: 1280, height: 1000 },
  { name: 'page-light', colorScheme: 'light', width: 1280, height: 1000 },
  { name: 'page-phone', colorScheme: 'dark', width: 360, height: 780 },
]);

async function main() {
  const at = process.argv.indexOf('--out');
  const directory = at === -1 ? join(root, 'docs/images') : resolve(process.argv[at + 1] ?? '.');
  mkdirSync(directory, { recursive: true });
  const found = chromium();
  if ('missing' in found) throw new Error(found.missing);

  const demo = spawn(process.execPath, [join(root, 'dist/demo/main.js'), '--seconds', `${SECONDS}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const browser = await browserOf.launch({ executablePath: found.path, args: CHROMIUM_ARGS });
  try {
    const address = await addressIn(demo.stdout);
    const pages = [];
    for (const { colorScheme, width, height } of SHOTS) {
      const context = await browser.newContext({ colorScheme, viewport: { width, height }, reducedMotion: 'reduce' });
      const page = await context.newPage();
      await page.goto(address);
      pages.push(page);
    }
    await pages[0]?.locator('[data-testid="region-us-central"][data-health="down"]').waitFor({ timeout: KILL_MS_MAX });
    await sleep(AFTER_KILL_MS);
    for (const [i, { name }] of SHOTS.entries()) {
      const path = join(directory, `${name}.png`);
      await pages[i]?.screenshot({ path });
      console.log(`${path}: ${Math.round(statSync(path).size / 1024)} KiB`);
    }
  } finally {
    await browser.close();
    demo.kill('SIGTERM');
  }
}

/**
 * The page's address, which the demo prints when its regions are ready.
 * @param {import('node:stream').Readable} output
 * @returns {Promise<string>}
 */
function addressIn(output) {
  return new Promise((resolve, reject) => {
    let text = '';
    output.setEncoding('utf8').on('data', (/** @type {string} */ more) => {
      text += more;
      const [address] = /http:\/\/\S+\/ui\//.exec(text) ?? [];
      if (address !== undefined) resolve(address);
    });
    output.on('end', () => reject(new Error(`the demo ended:\n${text}`)));
  });
}

await main();
