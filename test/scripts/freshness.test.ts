import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  buildHash,
  ensureInstalled,
  installDifference,
  installState,
  isBuilt,
  leftovers,
  nodeTooOld,
  withLock,
} from '../../scripts/freshness.mjs';

let root: string;
const said: string[] = [];
const say = (line: string): void => void said.push(line);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'causeway-freshness-'));
  said.length = 0;
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

describe('the Node version', () => {
  test.each([
    ['20.19.0', true],
    ['20.20.2', true],
    ['22.0.0', true],
    ['20.18.9', false],
    ['18.20.0', false],
    ['8.19.1', false],
  ])('%s against >=20.19', (version, enough) => {
    const message = nodeTooOld(version, '>=20.19');
    if (enough) expect(message).toBeUndefined();
    else expect(message).toContain(`this is Node ${version}`);
  });

  test('the range of package.json is one that it understands', () => {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(nodeTooOld(process.versions.node, manifest.engines.node)).toBeUndefined();
    expect(() => nodeTooOld('20.0.0', '^20')).toThrow('>=20.19');
  });
});

describe('what is installed', () => {
  const lock = JSON.stringify({
    packages: {
      '': { name: 'x' },
      'node_modules/a': { version: '1.0.0' },
      'node_modules/linked': { link: true },
      'node_modules/other-platform': { version: '2.0.0', optional: true },
      'scripts/linked': { version: '1.0.0' },
    },
  });
  const asLocked = { 'node_modules/a': { version: '1.0.0' }, 'node_modules/linked': { link: true } };

  test('nothing installed is stale', () => {
    write('package-lock.json', lock);
    expect(installState(root)).toMatchObject({ fresh: false, reason: 'node_modules is missing' });
  });

  test('an install of our own is fresh by its hash until the lock file changes', () => {
    write('package-lock.json', lock);
    write('node_modules/.causeway-lock-hash', installState(root).lockHash);
    expect(installState(root).fresh).toBe(true);
    write('package-lock.json', lock.replace('1.0.0', '1.0.1'));
    expect(installState(root).fresh).toBe(false);
  });

  test('an install by hand is recognised and not done again', async () => {
    write('package-lock.json', lock);
    write('node_modules/.package-lock.json', JSON.stringify({ packages: asLocked }));
    await ensureInstalled(root, say);
    expect(said).toEqual([]);
    expect(existsSync(join(root, 'node_modules/.causeway-lock-hash'))).toBe(true);
  });

  test('a half-finished install is stale: npm writes its own record last', () => {
    write('package-lock.json', lock);
    write('node_modules/a/package.json', '{}');
    expect(installState(root).fresh).toBe(false);
  });

  test('the first difference is named', () => {
    const wanted = JSON.parse(lock);
    expect(installDifference(wanted, { packages: asLocked })).toBeUndefined();
    expect(installDifference(wanted, { packages: {} })).toBe('node_modules/a is not installed');
    const older = { ...asLocked, 'node_modules/a': { version: '0.9.0' } };
    expect(installDifference(wanted, { packages: older })).toBe('node_modules/a is 0.9.0, the lock file has 1.0.0');
    const optionalOlder = { ...asLocked, 'node_modules/other-platform': { version: '1.9.0' } };
    expect(installDifference(wanted, { packages: optionalOlder })).toContain('other-platform is 1.9.0');
  });

  test('a missing lock file says how to get it back', () => {
    expect(() => installState(root)).toThrow('git checkout package-lock.json');
  });
});

describe('what is compiled', () => {
  beforeEach(() => {
    write('src/a.ts', 'export const a = 1;');
    write('tsconfig.json', '{}');
  });

  test.each(['src/a.ts', 'src/new/b.ts', 'demo/main.ts', 'chaos/sim/main.ts', 'test/bench/main.ts', 'tsconfig.json'])(
    'a change of %s makes it stale',
    (path) => {
      write('dist/.causeway-build-hash', buildHash(root));
      expect(isBuilt(root)).toBe(true);
      write(path, 'export const changed = true;');
      expect(isBuilt(root)).toBe(false);
    },
  );

  test('a change that keeps the size, a deletion and a renaming make it stale', () => {
    const before = buildHash(root);
    utimesSync(join(root, 'src/a.ts'), new Date(1000), new Date(1000));
    const touched = buildHash(root);
    expect(touched).not.toBe(before);
    rmSync(join(root, 'src/a.ts'));
    expect(buildHash(root)).not.toBe(touched);
  });

  test('tests and documents do not matter to it', () => {
    const before = buildHash(root);
    write('test/record/batch.test.ts', '');
    write('docs/PROTOCOL.md', '');
    expect(buildHash(root)).toBe(before);
  });

  test('compiled files whose source is gone are found, and only those', () => {
    write('src/b.mjs', '');
    for (const name of ['a.js', 'a.js.map', 'a.d.ts', 'gone.js', 'gone.js.map', 'gone.d.ts', 'data.json']) {
      write(`dist/src/${name}`, '');
    }
    for (const name of ['b.mjs', 'b.mjs.map', 'b.d.mts', 'gone.mjs', 'gone.mjs.map', 'gone.d.mts']) {
      write(`dist/src/${name}`, '');
    }
    write('dist/.tsbuildinfo', '');
    expect(
      leftovers(root)
        .map((path) => path.slice(root.length + 1))
        .toSorted(),
    ).toEqual([
      'dist/src/gone.d.mts',
      'dist/src/gone.d.ts',
      'dist/src/gone.js',
      'dist/src/gone.js.map',
      'dist/src/gone.mjs',
      'dist/src/gone.mjs.map',
    ]);
  });
});

describe('the lock', () => {
  const lock = (): string => join(root, '.cache', 'bootstrap.lock');

  test('is held while the work runs and gone afterwards, also when the work fails', async () => {
    await withLock(root, say, () => expect(readFileSync(lock(), 'utf8')).toBe(`${process.pid} ${hostname()}`));
    await expect(
      withLock(root, say, () => {
        throw new Error('npm ci failed');
      }),
    ).rejects.toThrow('npm ci failed');
    expect(readdirSync(join(root, '.cache'))).toEqual([]);
    expect(said).toEqual([]);
  });

  test('of a process that died is taken over', async () => {
    const dead = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => dead.on('close', resolve));
    write('.cache/bootstrap.lock', `${dead.pid} ${hostname()}`);
    let ran = false;
    await withLock(root, say, () => void (ran = true));
    expect(ran).toBe(true);
    expect(readdirSync(join(root, '.cache'))).toEqual([]);
  });

  test('of another host is respected until it is too old to be alive', async () => {
    write('.cache/bootstrap.lock', '1 another-host');
    let ran = false;
    const waiting = withLock(root, say, () => void (ran = true));
    await expect.poll(() => said).toEqual(['waiting for another bootstrap of this checkout (1 another-host)']);
    expect(ran).toBe(false);
    const anHourAgo = new Date(Date.now() - 3_600_000);
    utimesSync(lock(), anHourAgo, anHourAgo);
    await waiting;
    expect(ran).toBe(true);
  });

  test('lets one process at a time through, with a dead holder to begin with', async () => {
    write('.cache/bootstrap.lock', `999999999 ${hostname()}`);
    const freshness = new URL('../../scripts/freshness.mjs', import.meta.url).href;
    // Each reads, dwells and writes back: two at once would lose a count.
    const script = `import { withLock } from ${JSON.stringify(freshness)};
      import { readFileSync, writeFileSync } from 'node:fs';
      await withLock(${JSON.stringify(root)}, () => {}, () => {
        let n = 0;
        try { n = Number(readFileSync(${JSON.stringify(join(root, 'count'))}, 'utf8')); } catch {}
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
        writeFileSync(${JSON.stringify(join(root, 'count'))}, String(n + 1));
      });`;
    const exits = Array.from({ length: 6 }, () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
      return new Promise((resolve) => child.on('close', resolve));
    });
    expect(await Promise.all(exits)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(readFileSync(join(root, 'count'), 'utf8')).toBe('6');
  });
});

describe('the command', () => {
  test('is what every npm script becomes, so that signals reach it and its exit code comes back', () => {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    for (const [name, script] of Object.entries(manifest.scripts)) {
      expect(script).toBe(`exec node scripts/bootstrap.mjs ${name}`);
    }
  });

  const bootstrap = fileURLToPath(new URL('../../scripts/bootstrap.mjs', import.meta.url));

  test('an unknown one lists the known ones on stderr and exits 2', async () => {
    const child = spawn(process.execPath, [bootstrap, 'nonsense'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => (stdout += text));
    child.stderr.on('data', (text) => (stderr += text));
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('unknown command nonsense');
    expect(stderr).toContain('bench');
  });
});
