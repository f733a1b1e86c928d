// docs/examples/python as a stranger runs it: Debian's packages, protoc, a node, and its README's words.

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi, type TestContext } from 'vitest';
import { freePorts } from '../../demo/ports.ts';
import { connect } from '../../src/client/index.ts';
import { composeNode } from '../../src/compose.ts';
import { configFrom } from '../../src/config/load.ts';
import { packageRoot } from '../../src/config/version.ts';
import { Pki } from '../support/pki.ts';

// Installing takes as long as the network does.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 600_000 });

const PACKAGES = ['python3-grpcio', 'python3-protobuf', 'protobuf-compiler', 'protobuf-compiler-grpc'];
const EXAMPLE = join(packageRoot(), 'docs/examples/python');
const run = promisify(execFile);

/** Why it cannot run here; undefined: it can. */
let missing: string | undefined;
let gen: string;
let python: string;

function has(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Debian's packages belong to Debian's Python, which need not be the first on the path. */
function pythonWithGrpc(): string | undefined {
  return ['python3', '/usr/bin/python3'].find((python) => has(python, '-c', 'import grpc, google.protobuf'));
}

function complete(): boolean {
  return pythonWithGrpc() !== undefined && has('protoc', '--version') && has('which', 'grpc_python_plugin');
}

/** As root on a machine with apt, what is missing is installed; otherwise the test says what is missing. */
function install(): string | undefined {
  if (complete()) return undefined;
  const wanted = `apt-get install ${PACKAGES.join(' ')}`;
  if (process.getuid?.() !== 0 || !has('apt-get', '--version'))
    return `needs Python with grpcio, and protoc: ${wanted}`;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]): string => {
    const { stdout, stderr } = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
      env,
      encoding: 'utf8',
    });
    return `${stdout}${stderr}`.trim();
  };
  let said = apt('install', '-y', '--no-install-recommends', ...PACKAGES);
  // Lists of packages that are old or not there.
  if (!complete()) said = `${apt('update')}\n${apt('install', '-y', '--no-install-recommends', ...PACKAGES)}`;
  return complete() ? undefined : `${wanted} failed:\n${said.slice(-2000)}`;
}

beforeAll(async () => {
  missing = install();
  if (missing !== undefined) return;
  python = pythonWithGrpc()!;
  gen = mkdtempSync(join(tmpdir(), 'causeway-python-'));
  await run(join(EXAMPLE, 'generate.sh'), [gen]);
});

afterAll(() => {
  if (gen !== undefined) rmSync(gen, { recursive: true, force: true });
});

/** A skip is seen: it is printed with its reason. */
function skipUnlessReady(context: TestContext): void {
  if (missing === undefined) return;
  console.warn(`skipped: ${missing}`);
  context.skip(missing);
}

async function node(tls?: { cert: string; key: string; ca: string }) {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-python-node-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const [clients, peers] = await freePorts(2);
  const running = await composeNode(
    configFrom({
      clusterId: 'c',
      region: 'us-west',
      dataDir: directory,
      listeners: {
        clients: { address: `127.0.0.1:${clients}`, ...(tls === undefined ? {} : { tls }) },
        peers: { address: `127.0.0.1:${peers}` },
      },
      namespaces: [{ name: 'demo' }],
      collections: [{ namespace: 'demo', name: 'profiles', type: 'register-lww' }],
      log: { level: 'silent' },
    }),
  );
  onTestFinished(() => running.stop());
  return running;
}

async function example(...args: string[]): Promise<Record<string, unknown>[]> {
  const { stdout } = await run(python, [join(EXAMPLE, 'example.py'), '--gen', gen, ...args], { timeout: 110_000 });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('writes, reads, watches, and is told clearly what it may not', async (context) => {
  skipUnlessReady(context);
  const { clients } = await node();
  const db = connect({ endpoints: [clients], namespace: 'demo' });
  onTestFinished(() => db.close());
  await db.register('profiles').set('anna', 'before');

  const value = '{"city":"Tromsø"}';
  const steps = await example('--endpoint', clients, 'anna', value);
  expect(steps.map(({ step }) => step)).toEqual(['connected', 'written', 'read', 'changed', 'refused']);
  const [connected, written, read, changed, refused] = steps;
  expect(connected).toMatchObject({ region: 'us-west' });
  expect(read).toMatchObject({ value, seq: written!['seq'] });
  expect(changed).toMatchObject({ key: 'anna', value, seq: written!['seq'], origin: read!['origin'] });
  expect(refused).toMatchObject({
    code: 'UNKNOWN_COLLECTION',
    retriable: false,
    outcome: 'OUTCOME_NOT_APPLIED',
    message: expect.stringContaining('no-such-collection') as string,
  });
  // And ours reads what Python wrote.
  expect((await db.register('profiles').get('anna'))?.value).toEqual({ city: 'Tromsø' });
});

test('the same over mutual TLS; without a certificate it does not get in', async (context) => {
  skipUnlessReady(context);
  const pki = new Pki();
  const ca = pki.ca();
  const { clients } = await node({ ...pki.issue(ca), ca: ca.cert });
  const mine = pki.issue(ca, { commonName: 'python', names: [] });
  const tls = ['--endpoint', clients, '--ca', ca.cert];
  const steps = await example(...tls, '--cert', mine.cert, '--cert-key', mine.key, 'anna', '1');
  expect(steps.map(({ step }) => step)).toEqual(['connected', 'written', 'read', 'changed', 'refused']);
  await expect(example(...tls, '--deadline', '3', 'anna', '2')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('"step": "failed"') as string,
  });
});

test('a mistake on the command line ends with its usage', async (context) => {
  skipUnlessReady(context);
  await expect(example('only-a-key')).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('required: value') as string,
  });
});
