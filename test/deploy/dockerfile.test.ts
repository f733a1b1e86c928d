// The image without an engine: what its Dockerfile says, and the tree that its last stage would be, started as it says. The suite in containers builds it.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import dockerignore, { type Ignore } from '@balena/dockerignore';
import { DockerfileParser } from 'dockerfile-ast';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { freePorts } from '../../demo/ports.ts';
import { packageRoot } from '../../src/config/version.ts';
import { assemble, DOCKERFILE, only, productionPackages, stages } from './dockerfile.ts';

const root = packageRoot();
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as { files: string[]; dependencies: object; devDependencies: object };

describe('the Dockerfile', () => {
  const all = stages();
  const last = all.at(-1)!;

  test('every stage stands on the one base, which is an argument with an exact version', () => {
    expect(all.map(({ image }) => image)).toEqual(all.map(() => '${BASE}'));
    const args = DockerfileParser.parse(DOCKERFILE).getInitialARGs();
    expect(args.map((arg) => arg.getProperty()?.getName())).toEqual(['BASE']);
    expect(args[0]!.getProperty()!.getValue()).toMatch(/^[\w./-]+:\d+\.\d+\.\d+-[\w-]+$/);
  });

  test('any engine builds it: no instruction or flag that BuildKit alone knows', () => {
    expect(DockerfileParser.parse(DOCKERFILE).getDirectives()).toEqual([]);
    for (const instruction of all.flatMap(({ instructions }) => instructions)) {
      const flags = instruction
        .getArguments()
        .map((argument) => argument.getValue())
        .filter((word) => /^--(?:mount|network|security|chmod|link|parents|exclude)\b/.test(word));
      if (instruction.getKeyword() !== 'HEALTHCHECK') expect(flags).toEqual([]);
    }
  });

  test('packages come from the lock file, run nothing of their own while they are installed, and only those of production reach the image', () => {
    const runs = all.map(({ name, instructions }) => [
      name,
      instructions.filter((each) => each.getKeyword() === 'RUN').map((each) => each.getArgumentsContent() ?? ''),
    ]);
    const installs = Object.fromEntries(
      runs.map(([name, lines]) => [name, (lines as string[]).filter((line) => line.includes('npm'))]),
    ) as Record<string, string[]>;
    expect(installs).toEqual({
      build: [expect.stringMatching(/^npm ci .*--ignore-scripts/), 'npm run build'],
      packages: [expect.stringMatching(/^npm ci --omit=dev .*--ignore-scripts/)],
      undefined: [],
    });
    const taken = last.copies.filter(({ from }) => from !== undefined);
    expect(taken).toEqual([
      { from: 'packages', sources: ['/causeway'], to: './' },
      { from: 'build', sources: ['/causeway/dist'], to: 'dist' },
    ]);
  });

  test('runs as a number that is not root, ends by SIGTERM, asks the node itself for its health', () => {
    expect(only(last, 'USER')).toEqual([expect.stringMatching(/^[1-9]\d{3,}:[1-9]\d{3,}$/)]);
    expect(only(last, 'STOPSIGNAL')).toEqual(['SIGTERM']);
    expect(only(last, 'VOLUME')).toEqual(['/data']);
    // The form of a list: no shell stands between the engine's signal and the node.
    expect(only(last, 'ENTRYPOINT')!.join(' ')).toBe('["causeway"]');
    expect(only(last, 'CMD')!.join(' ')).toBe('["serve"]');
    expect(last.instructions.find((each) => each.getKeyword() === 'HEALTHCHECK')!.getArgumentsContent()).toContain(
      'CMD ["causeway", "health"',
    );
    expect(DOCKERFILE).not.toMatch(/^RUN .*\b(?:curl|wget|apt-get)\b/m);
  });

  test('has all that the package has', () => {
    const copied = last.copies.flatMap(({ sources, to }) => sources.map((source) => (to === './' ? source : to)));
    for (const file of manifest.files.filter((each) => !/^dist\/|\.md$/.test(each))) expect(copied).toContain(file);
    expect(copied).toContain('dist');
  });

  test('every file that it copies is there and gets past .dockerignore, and nothing else does', () => {
    const sources = all
      .flatMap(({ copies }) => copies)
      .filter(({ from }) => from === undefined)
      .flatMap((copy) => copy.sources);
    const rules = read('.dockerignore');
    const filter = ignore().add(rules);
    for (const source of sources) {
      expect(existsSync(join(root, source)), source).toBe(true);
      expect(filter.ignores(source), `${source} is ignored`).toBe(false);
    }
    const admitted = rules
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    for (const path of admitted) {
      expect(
        sources.some((source) => source === path || source.startsWith(`${path}/`)),
        `${path} is sent to the engine and not copied`,
      ).toBe(true);
    }
    for (const path of ['.git/config', 'node_modules/vitest/package.json', '.cache/x', 'test/x.ts', 'deploy/x', '.env'])
      expect(filter.ignores(path), path).toBe(true);
  });

  test('no tool of development is among those of production', () => {
    const names = productionPackages().map((path) => path.slice('node_modules/'.length));
    expect(names).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
    // Some are wanted for development by ourselves and by others in production; tools are not.
    for (const tool of ['typescript', 'vite', 'vitest', 'prettier', 'tsx', 'playwright-core']) {
      expect(Object.keys(manifest.devDependencies)).toContain(tool);
      expect(names).not.toContain(tool);
    }
  });
});

/** Its types say that the function is within what is imported; it is that. */
const ignore = dockerignore as unknown as () => Ignore;

const [ENTRY] = JSON.parse(only(stages().at(-1)!, 'ENTRYPOINT')!.join(' ')) as [string];

/** Who the image runs as. Only root can become somebody else; anybody else is nobody's root already. */
const [uid, gid] = only(stages().at(-1)!, 'USER')![0]!.split(':').map(Number) as [number, number];
const identity = process.getuid?.() === 0 ? { uid, gid } : {};

describe('the tree of its last stage', () => {
  let directory: string;
  let home: string;
  let data: string;
  let endpoint: string;
  let env: NodeJS.ProcessEnv;
  let node: ChildProcess | undefined;
  let output = '';

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'causeway-image-'));
    chmodSync(directory, 0o755);
    home = assemble(directory);
    data = join(directory, 'data');
    mkdirSync(data);
    if (identity.uid !== undefined) chownSync(data, uid, gid);
    const [clients, peers] = await freePorts(2);
    endpoint = `127.0.0.1:${clients}`;
    const config = join(directory, 'node.yaml');
    writeFileSync(
      config,
      `clusterId: image\nregion: eu\nlisteners: { clients: { address: '${endpoint}' }, peers: { address: '127.0.0.1:${peers}' } }
namespaces: [{ name: demo }]\ncollections: [{ namespace: demo, name: profiles, type: register-lww }]\n`,
    );
    // The image's own, and nothing else of this process.
    env = {
      PATH: `${join(home, 'bin')}:${join(process.execPath, '..')}:/usr/bin:/bin`,
      NODE_ENV: 'production',
      CAUSEWAY_CONFIG: config,
      CAUSEWAY_DATA_DIR: data,
      CAUSEWAY_ENDPOINT: endpoint,
    };
  });

  afterAll(() => {
    node?.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  const run = (...args: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(ENTRY, args, { cwd: home, env, ...identity, encoding: 'utf8', timeout: 20_000 });

  test('serves as the user of the image, writes nowhere but in its data directory, and says how it is', async () => {
    expect(run('health', '--timeout', '3s').status, 'nobody serves yet').toBe(4);
    node = spawn(ENTRY, ['serve'], { cwd: home, env, ...identity, stdio: ['ignore', 'pipe', 'pipe'] });
    node.stderr!.setEncoding('utf8').on('data', (text: string) => (output += text));
    await vi.waitFor(() => expect(run('health', '--timeout', '3s').status, output).toBe(0), {
      timeout: 25_000,
      interval: 100,
    });
    expect(run('put', 'demo/profiles/anna', '{"city":"Oslo"}').status).toBe(0);
    expect(existsSync(join(data, 'identity.json'))).toBe(true);
    if (identity.uid === undefined) return;
    expect(readFileSync(`/proc/${node.pid}/status`, 'utf8')).toContain(`Uid:\t${uid}\t${uid}`);
    // Nothing under its home is this user's to write: what it wrote, it wrote to its data.
    const writable = spawnSync('find', [home, '-xdev', '-not', '-type', 'l', '-writable'], {
      ...identity,
      encoding: 'utf8',
    });
    expect(writable.stdout).toBe('');
  });

  test('SIGTERM drains it, and it ends with 0', async () => {
    const ended = new Promise((resolve) => node!.once('close', (code, signal) => resolve({ code, signal })));
    node!.kill('SIGTERM');
    expect(await ended, output).toEqual({ code: 0, signal: null });
    expect(output).toContain('draining');
    expect(run('health', '--timeout', '1s').status, 'nobody serves any more').toBe(4);
  });
});
