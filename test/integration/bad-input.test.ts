// What people get wrong, and the error that each mistake gets. One row a mistake; the list is that of the first issue.

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { freePorts } from '../../demo/ports.ts';
import {
  adminClient,
  bytes,
  connect,
  isCausewayError,
  type Causeway,
  type NodeStatus,
} from '../../src/client/index.ts';
import { cli, RunningCli, type RunOptions } from '../support/cli.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';

// Each command is a process, and a machine that is busy starts a process in seconds.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let cluster: TestCluster;
let client: Causeway;

beforeAll(async () => {
  cluster = await startCluster(['us-east', 'us-west']);
  client = connect({ endpoints: cluster.endpoints, namespace: 'demo' });
});

afterAll(async () => {
  client.close();
  await cluster.stop();
});

/** Whatever came in, the regions go on. */
afterEach(async () => {
  await client.register('profiles').set('alive', 'yes');
  expect((await client.register('profiles').get('alive'))?.value).toBe('yes');
});

const MIB = 1024 * 1024;
/** File systems of their own need no more than a namespace for users, which some machines forbid. */
const APART = ['unshare', '-rm', 'sh', '-c'];
const canMount = spawnSync(APART[0]!, [...APART.slice(1), 'mount -t tmpfs tmpfs /mnt']).status === 0;
const NOISE = Buffer.alloc(1000, 0xff);

const work = mkdtempSync(join(tmpdir(), 'causeway-bad-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('requests', () => {
  const rows: readonly (readonly [
    mistake: string,
    act: () => Promise<unknown>,
    code: string,
    message: string,
    hint: string,
  ])[] = [
    [
      'an unknown collection, written',
      () => client.register('profile').set('k', 1),
      'UNKNOWN_COLLECTION',
      "there is no collection 'profile'",
      "did you mean 'profiles'?",
    ],
    [
      'an unknown collection, read',
      () => client.register('profile').get('k'),
      'UNKNOWN_COLLECTION',
      "there is no collection 'profile'",
      "did you mean 'profiles'?",
    ],
    [
      'a wrong operation for the merge type',
      () => client.counter('profiles').increment('k'),
      'WRONG_OPERATION',
      'a register-lww collection takes put and delete; got increment',
      'whose merge type takes increment',
    ],
    [
      'a value of 20 MB',
      () => client.register('profiles', bytes).set('k', new Uint8Array(20_000_000)),
      'TOO_LARGE',
      'a value has at most 1048576 bytes; this one has 20000000',
      '',
    ],
    [
      'a value of a little more than its limit',
      () => client.register('profiles', bytes).set('k', new Uint8Array(MIB + 1)),
      'TOO_LARGE',
      'a value has at most 1048576 bytes; this one has 1048577',
      '',
    ],
    [
      'a key of more than 1 KiB',
      () => client.register('profiles').set('k'.repeat(1025), 1),
      'TOO_LARGE',
      'a key has at most 1024 bytes of UTF-8; this one has 1025',
      '',
    ],
    [
      'an empty key',
      () => client.register('profiles').set('', 1),
      'INVALID_ARGUMENT',
      'a key has 1 to 1024 bytes of UTF-8; this one is empty',
      '',
    ],
  ];
  test.each(rows)('%s', async (_mistake, act, code, message, hint) => {
    const error: unknown = await act().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!isCausewayError(error)) throw new Error(`no error of ours: ${String(error)}`);
    expect(error).toMatchObject({ code, outcome: 'not-applied', retriable: false });
    expect(error.message).toContain(message);
    expect(error.hint ?? '').toContain(hint);
  });
});

describe('garbage on the wire', () => {
  const listeners = [
    ['clients', () => cluster.regions[0]!.address] as const,
    ['peers', () => cluster.regions[0]!.peerAddress] as const,
  ];

  test.each(listeners)('on the listener for %s: bytes that are no HTTP/2', async (_who, address) => {
    for (const garbage of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(100_000, 0xa5), Buffer.from([0])]) {
      await sendAndClose(address(), garbage);
    }
  });

  test.each(listeners)('on the listener for %s: HTTP/2 that turns into garbage', async (_who, address) => {
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    // A frame that says it is 16 MiB long, of a type that does not exist, on a stream that was never opened.
    const frame = Buffer.from([0xff, 0xff, 0xff, 0x77, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    await sendAndClose(address(), Buffer.concat([preface, settings, frame, Buffer.alloc(50_000, 0xee)]));
  });

  // Not of ours at all: raw gRPC, past the client's own checks.
  const calls: readonly (readonly [
    mistake: string,
    listener: 'address' | 'peerAddress',
    path: string,
    content: Buffer,
    status: number,
    says: string,
  ])[] = [
    [
      'a Write that is no protobuf',
      'address',
      'Data/Write',
      NOISE,
      3,
      'these bytes are no causeway.v1.WriteRequest: invalid wire type',
    ],
    [
      'a Read that is no protobuf',
      'address',
      'Data/Read',
      NOISE,
      3,
      'this is no causeway.v1.ReadRequest: invalid wire type',
    ],
    [
      'a Write of 20 MB',
      'address',
      'Data/Write',
      Buffer.alloc(20_000_000),
      8,
      'Received message larger than max (20000000 vs 17825792)',
    ],
    [
      'a method that does not exist',
      'address',
      'Data/Wirte',
      NOISE,
      12,
      'does not implement the method /causeway.v1.Data/Wirte',
    ],
    [
      'a link that is no link',
      'peerAddress',
      'Replication/Link',
      NOISE,
      10,
      'protocol-error: not a LinkUp: invalid wire type',
    ],
  ];
  test.each(calls)('%s', async (_mistake, listener, path, content, status, says) => {
    const error = await callRaw(cluster.regions[0]![listener], `/causeway.v1.${path}`, content);
    expect(error.code).toBe(status);
    expect(error.details).toContain(says);
  });
});

describe('regions that do not belong together', () => {
  const rows: readonly (readonly [mistake: string, changes: object, reason: string, says: string])[] = [
    [
      'a wrong cluster id',
      { clusterId: 'other' },
      'cluster-id',
      "us-east (node us-east-1) belongs to cluster 'demo', us-west (node us-west-1) to cluster 'other'; give all regions the same clusterId",
    ],
    ['other settings', { maxSkewMs: 3000 }, 'settings-hash', 'have different settings ('],
    [
      'two regions of one name, as two processes',
      {},
      'region-name',
      'two processes call themselves node us-west-1 of us-west: instances ',
    ],
  ];
  test.each(rows)('%s: refused, with the reason, and said on stderr', async (_mistake, changes, reason, says) => {
    const wrong = serving(await variant('us-west', changes));
    await wrong.until(({ stderr }) => stderr.includes(`us-east refuses us (${reason})`) && stderr.includes(says));
    wrong.child.kill('SIGTERM');
    expect((await wrong.ended).code).toBe(0);
    if (reason !== 'region-name') return;
    const { alarms } = await statusOf(cluster.regions[0]!.address);
    expect(alarms).toMatchObject([{ code: 'identity-clash', message: expect.stringContaining(says) }]);
  });

  test('two regions of one name, in one configuration', async () => {
    const regions = [1, 2].map((port) => ({ name: 'us-west', peers: [`127.0.0.1:${port}`] }));
    const { code, stderr } = await cli(['serve', '--config', await variant('us-west', { regions })]);
    expect({ code, stderr }).toEqual({ code: 3, stderr });
    expect(stderr).toContain("regions[1].name: expected each region once; got 'us-west' again, first in regions[0].");
  });

  test('the data directory of another cluster', async () => {
    const config = { ...(await solo('foreign')), clusterId: 'first' };
    await serveOnce(write(config));
    const { code, stderr } = await cli(['serve', '--config', write({ ...config, clusterId: 'second' })]);
    expect({ code, stderr }).toEqual({ code: 3, stderr });
    expect(stderr).toContain(`belongs to cluster 'first', expected 'second'`);
    expect(stderr).toContain('→ Give this node a data directory of its own');
  });

  test('a data directory that another process has', async () => {
    const first = serving(write(await solo('shared')));
    await first.until(({ stderr }) => stderr.includes('is ready'));
    const { code, stderr } = await cli(['serve', '--config', write(await solo('shared'))]);
    expect({ code, stderr }).toEqual({ code: 4, stderr });
    expect(stderr).toContain(
      `/shared alone; process ${first.child.pid} has it\n  → Stop process ${first.child.pid} first`,
    );
    first.child.kill('SIGTERM');
    await first.ended;
  });
});

describe('what a node starts with', () => {
  test('bad YAML', async () => {
    const path = join(work, 'bad.yaml');
    writeFileSync(path, 'clusterId: c\nregion: [us-east\ndataDir: d\n');
    const { code, stderr } = await cli(['serve', '--config', path]);
    expect({ code, stderr }).toEqual({ code: 3, stderr });
    expect(stderr).toMatch(/^causeway: bad\.yaml has .*problem.*:\n {2}bad\.yaml:3:1: expected YAML; got /);
  });

  test.each([['clients'], ['peers']] as const)('an occupied port for %s', async (who) => {
    const config = await solo(`occupied-${who}`);
    const { address } = config.listeners[who];
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(Number(address.split(':')[1]), '127.0.0.1', resolve));
    onTestFinished(() => void holder.close());
    const { code, stderr } = await cli(['serve', '--config', write(config)]);
    expect({ code, stderr }).toEqual({ code: 3, stderr });
    expect(stderr).toMatch(new RegExp(`cannot listen (?:for peers )?on ${address}: `));
    expect(stderr).toMatch(/→ .*another port/);
    expect(existsSync(join(config.dataDir, 'log'))).toBe(false);
  });

  test('a data directory under a file', async () => {
    const path = join(work, 'a-file');
    writeFileSync(path, '');
    const { code, stderr } = await cli([
      'serve',
      '--config',
      write({ ...(await solo('x')), dataDir: join(path, 'data') }),
    ]);
    expect({ code, stderr }).toEqual({ code: 3, stderr });
    expect(stderr).toContain(`cannot use ${path}/data as dataDir: something on its path is a file\n  → Create it`);
  });

  // Permissions do not hold root back, a read-only file system does; nobody else may mount one.
  test('an unwritable data directory', async () => {
    if (!canMount) {
      const config = await solo('forbidden');
      mkdirSync(config.dataDir, { mode: 0o500 });
      const { code, stderr } = await cli(['serve', '--config', write(config)]);
      expect({ code, stderr }).toEqual({ code: 3, stderr });
      expect(stderr).toMatch(/forbidden.*(?:not writable|may not|EACCES)/);
      return;
    }
    const mount = join(work, 'read-only');
    const { code, stderr } = await cli(
      ['serve', '--config', write({ ...(await solo('x')), dataDir: join(mount, 'data') })],
      mounted(mount, 'ro'),
    );
    expect({ code, stderr }).toEqual({ code: 3, stderr });
    expect(stderr).toContain(`cannot use ${mount}/data as dataDir: the file system is read-only`);
  });

  test.runIf(canMount)('a disk that is full from the start', async () => {
    const mount = join(work, 'full');
    const { code, stderr } = await cli(
      ['serve', '--config', write({ ...(await solo('x')), dataDir: join(mount, 'data') })],
      mounted(mount, 'size=8k'),
    );
    expect({ code, stderr }).toEqual({ code: 3, stderr });
    expect(stderr).toContain(`expected ${mount}/data to be a directory with space, found ENOSPC\n  → Free some space`);
  });
});

describe('what happens to the data later', () => {
  test.runIf(canMount)(
    'I1: a disk that fills up: writes are refused, nothing acknowledged is lost, reads go on',
    async () => {
      const mount = join(work, 'filling');
      const config = { ...(await solo('x')), dataDir: join(mount, 'data') };
      const node = serving(write(config), mounted(mount, 'size=3m'));
      await node.until(({ stderr }) => stderr.includes('is ready'));
      const writer = connect({ endpoints: [config.listeners.clients.address], namespace: 'demo' });
      onTestFinished(() => writer.close());
      const values = writer.register('profiles', bytes);
      const acknowledged: string[] = [];
      const refusals: unknown[] = [];
      for (let i = 0; refusals.length === 0 && i < 10; i++) {
        await values.set(`k${i}`, new Uint8Array(900_000).fill(i)).then(
          () => acknowledged.push(`k${i}`),
          (error: unknown) => refusals.push(error),
        );
      }
      expect(refusals[0]).toMatchObject({
        code: 'READ_ONLY',
        outcome: 'not-applied',
        message: expect.stringMatching(/no space for the log in .* free some/),
      });
      expect(acknowledged.length).toBeGreaterThan(0);
      for (const key of acknowledged) expect((await values.get(key))?.value.length).toBe(900_000);
      const status = await statusOf(config.listeners.clients.address);
      expect(status).toMatchObject({ state: 'read-only', alarms: [{ code: 'read-only' }] });
      node.child.kill('SIGTERM');
      expect((await node.ended).code).toBe(0);
    },
  );

  test('I1: a corrupt segment, in a region alone: found, said, and kept for a person', async () => {
    const config = await solo('corrupt');
    const path = write(config);
    const first = serving(path);
    await first.until(({ stderr }) => stderr.includes('is ready'));
    const writer = connect({ endpoints: [config.listeners.clients.address], namespace: 'demo' });
    for (let i = 0; i < 50; i++) await writer.register('profiles').set(`k${i}`, 'x'.repeat(100));
    writer.close();
    first.child.kill('SIGTERM');
    await first.ended;
    flipMiddle(config.dataDir);
    const second = serving(path);
    await second.until(({ stderr }) => stderr.includes('is ready'));
    second.child.kill('SIGTERM');
    const { stderr } = await second.ended;
    expect(stderr).toMatch(/\/log\/\d+\.seg, byte \d+: a record of \d+ bytes that does not have its checksum/);
    expect(stderr).toMatch(/shard 1\/\d+ is kept up to offset \d+; \d+ readable entries stand behind a gap/);
    expect(stderr).toContain('renamed to *.damaged');
    expect(readdirSync(join(config.dataDir, 'log')).some((name) => name.endsWith('.damaged'))).toBe(true);
  });

  test('I1, I6: a corrupt segment, in a region with peers: asked for, fetched back, equal again', async () => {
    const region = cluster.region('us-west');
    const writer = connect({ endpoints: [region.address], namespace: 'demo' });
    for (let i = 0; i < 50; i++)
      await writer.counter('counters').increment(`k${i % 5}`, 1, { durability: { regions: 1 } });
    writer.close();
    expect(await region.stop()).toBe('exit code 0');
    flipMiddle(join(cluster.cluster.directory, 'us-west'));
    await cluster.startRegion(region);
    // Whichever byte of a record it was: its length, its header, or what is in it.
    expect(region.logTail(50)).toMatch(/byte \d+: .*; not a torn write, because the log was shut down cleanly/);
    const verified = await cli(['verify', '--endpoints', cluster.endpoints.join(','), '--timeout', '20s']);
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringMatching(/^MATCH/) });
  });
});

const SOLO = {
  clusterId: 'solo',
  region: 'solo',
  namespaces: [{ name: 'demo' }],
  collections: [{ namespace: 'demo', name: 'profiles', type: 'register-lww' }],
};

interface SoloConfig {
  readonly dataDir: string;
  readonly listeners: { readonly clients: { readonly address: string }; readonly peers: { readonly address: string } };
}

/** A region alone, with its data in a directory of that name. */
async function solo(name: string): Promise<SoloConfig> {
  return { ...SOLO, dataDir: join(work, name), listeners: await freeListeners() };
}

async function freeListeners(): Promise<SoloConfig['listeners']> {
  const [clients, peers] = await freePorts(2);
  return { clients: { address: `127.0.0.1:${clients}` }, peers: { address: `127.0.0.1:${peers}` } };
}

let configs = 0;

function write(config: object): string {
  const path = join(work, `config-${++configs}.yaml`);
  writeFileSync(path, stringify(config));
  return path;
}

/** The config of a region of the cluster, for a second process: ports and directory of its own, and what is changed. */
async function variant(region: string, changes: object): Promise<string> {
  const config = parse(readFileSync(join(cluster.cluster.directory, `${region}.yaml`), 'utf8')) as object;
  const dataDir = join(work, `variant-${++configs}`);
  return write({ ...config, dataDir, listeners: await freeListeners(), ...changes });
}

/** Ended with the test, whatever becomes of it. */
function serving(path: string, options?: RunOptions): RunningCli {
  const node = new RunningCli(['serve', '--config', path], options);
  onTestFinished(async () => {
    node.child.kill('SIGKILL');
    await node.ended;
  });
  return node;
}

async function serveOnce(path: string): Promise<void> {
  const node = serving(path);
  await node.until(({ stderr }) => stderr.includes('is ready'));
  node.child.kill('SIGTERM');
  expect((await node.ended).code).toBe(0);
}

async function statusOf(address: string): Promise<NodeStatus> {
  const admin = adminClient(address);
  try {
    return await admin.status();
  } finally {
    admin.close();
  }
}

/** Runs a node with a small or read-only file system of its own at `mount`, which goes with the process. */
function mounted(mount: string, options: string): RunOptions {
  mkdirSync(mount, { recursive: true });
  return { under: [...APART, `mount -t tmpfs -o ${options} tmpfs '${mount}' && exec "$@"`, 'sh'] };
}

/** Changes one byte of the newest segment that holds records, in its middle: good records follow the bad one. */
function flipMiddle(dataDir: string): void {
  const segments = readdirSync(join(dataDir, 'log'))
    .filter((name) => name.endsWith('.seg'))
    .toSorted();
  const largest = segments
    .map((name) => join(dataDir, 'log', name))
    .toSorted((a, b) => statSync(b).size - statSync(a).size)[0]!;
  const content = readFileSync(largest);
  const middle = Math.floor(content.length / 2);
  content[middle] = content[middle]! ^ 0xff;
  writeFileSync(largest, content);
}

function sendAndClose(address: string, content: Buffer): Promise<void> {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connectTcp({ host: host!, port: Number(port) }, () => socket.end(content));
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
    socket.setTimeout(500, () => socket.destroy());
  });
}

function callRaw(address: string, path: string, content: Buffer): Promise<ServiceError> {
  const channel = new Client(address, credentials.createInsecure(), { 'grpc.max_send_message_length': -1 });
  return new Promise((resolve, reject) => {
    const same = (buffer: Buffer): Buffer => buffer;
    channel.makeUnaryRequest(
      path,
      same,
      same,
      content,
      new Metadata(),
      { deadline: Date.now() + 5000 },
      (error, answer) => {
        channel.close();
        if (error === null) reject(new Error(`it was answered: ${answer?.toString('hex')}`));
        else resolve(error);
      },
    );
  });
}
