// What a stranger does with curl, against nodes that really run: the script in docs/examples, and every example of docs/HTTP.md.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { freePorts } from '../../demo/ports.ts';
import { packageRoot } from '../../src/config/version.ts';
import { RunningCli } from '../support/cli.ts';

// Each curl is a process, and a machine that is busy starts a process in seconds.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

let playground: RunningCli;
/** Of the two regions. */
let urls: string[];

beforeAll(async () => {
  const port = await consecutivePorts();
  playground = new RunningCli(['start', '--regions', '2', '--port', String(port), '--json']);
  await playground.until(({ stdout }) => stdout.trimEnd().endsWith('}'));
  urls = [`http://127.0.0.1:${port + 2}`, `http://127.0.0.1:${port + 12}`];
});

afterAll(async () => {
  // In order also with a watch still open, which is told why it ends.
  const watching = await fetch(`${urls[0]}/v1/demo?watch`);
  const told = watching.text();
  playground.child.kill('SIGTERM');
  expect((await playground.ended).code).toBe(0);
  expect(await told).toMatch(/event: ready[\s\S]*event: failure\ndata: .*DRAINING/);
});

/** The playground counts up from one; a port in between that is taken makes it fail, so others are tried. */
async function consecutivePorts(): Promise<number> {
  for (let i = 0; i < 20; i++) {
    const [port = 0] = await freePorts(1);
    if (port < 65_500) return port;
  }
  throw new Error('no free port with room above it');
}

function sh(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', args, { cwd: packageRoot(), stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

test('the script in docs/examples writes, reads and watches in two regions', async () => {
  const { code, stdout, stderr } = await sh(['docs/examples/http.sh', ...urls]);
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
  expect(stdout.match(/^ok: /gm)!.length).toBeGreaterThan(20);
  expect(stdout).toMatch(/done\n$/);
});

test('the script notices what is not as it should be', async () => {
  // One region with itself is no two regions that count: here the other one is not there at all.
  const { code, stderr } = await sh(['docs/examples/http.sh', 'http://127.0.0.1:9', 'http://127.0.0.1:9']);
  expect(code).not.toBe(0);
  expect(stderr).not.toBe('');
});

test('every example of docs/HTTP.md prints what stands behind it', async () => {
  const text = readFileSync(join(packageRoot(), 'docs/HTTP.md'), 'utf8');
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1]!);
  expect(blocks.length).toBeGreaterThan(8);
  for (const block of blocks) {
    if (block.includes('npm run')) continue;
    const script = block
      .replaceAll('127.0.0.1:7402', urls[0]!.slice(7))
      .replaceAll('127.0.0.1:7412', urls[1]!.slice(7));
    const { code, stdout, stderr } = await sh(['-euc', script]);
    expect(code, `${script}\n${stdout}\n${stderr}`).toBe(0);
    const expected = block.split('\n').flatMap((line) => (line.startsWith('#=> ') ? [line.slice(4)] : []));
    expect(expected.length, `${block} says what it prints`).toBeGreaterThan(0);
    const flat = stdout.replaceAll('\r', '');
    for (const line of expected) {
      // … stands for anything.
      const pattern = line
        .split('…')
        .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
        .join('.*');
      expect(flat, script).toMatch(new RegExp(pattern));
    }
  }
});
