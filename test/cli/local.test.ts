// Commands that need no cluster: config, serve, start, demo, bench.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { freePorts } from '../../demo/ports.ts';
import { cli, RunningCli } from '../support/cli.ts';

// Each command is a process, and a machine that is busy starts a process in seconds.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const directory = mkdtempSync(join(tmpdir(), 'causeway-cli-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;

function file(text: string): string {
  const path = join(directory, `node-${++files}.yaml`);
  writeFileSync(path, text);
  return path;
}

const MINIMAL = 'clusterId: c\nregion: us-east\ndataDir: data\n';

describe('config', () => {
  test('check: nothing wrong', async () => {
    const { code, stdout } = await cli([
      'config',
      'check',
      file(`${MINIMAL}namespaces: [{name: n}]\ncollections: [{namespace: n, name: c, type: set-aw}]\n`),
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^ok: us-east, one of 1 region\(s\); 8 shards, 1 collection\(s\)\nsettings hash [0-9a-f]{16} /,
    );
  });

  test('check: everything wrong at once, 3', async () => {
    const { code, stdout, stderr } = await cli([
      'config',
      'check',
      file(`${MINIMAL}leaseMs: 5000\nmaxSkew: 1\n`),
      '--log-level',
      'loud',
    ]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toContain('has 3 problems:');
    expect(stderr).toContain('yaml:4: leaseMs: expected less than maxSkewMs (2000); got 5000.');
    expect(stderr).toContain(
      "yaml:5: maxSkew: expected an option that exists; got the unknown option 'maxSkew' (1). Did you mean 'maxSkewMs'?",
    );
    expect(stderr).toContain('--log-level: log.level: expected one of trace,');
  });

  test('print: as YAML, and where each value comes from', async () => {
    const path = file(MINIMAL);
    const args = ['config', 'print', path, '--set', 'leaseMs=700'];
    const env = { CAUSEWAY_LOG_LEVEL: 'warn' };
    expect((await cli(args, { env })).stdout).toMatch(/^clusterId: c\n[\s\S]*leaseMs: 700\n[\s\S]*level: warn\n/);
    const { stdout } = await cli([...args, '--show-origin'], { env });
    expect(stdout).toMatch(/^region +node-\d+\.yaml:2 +us-east$/m);
    expect(stdout).toMatch(/^leaseMs +--set leaseMs +700$/m);
    expect(stdout).toMatch(/^log\.level +CAUSEWAY_LOG_LEVEL +warn$/m);
    expect(stdout).toMatch(/^heartbeatMs +default +100$/m);
    expect(JSON.parse((await cli([...args, '--json'])).stdout)).toMatchObject({ region: 'us-east', leaseMs: 700 });
    expect((await cli([...args, '--settings'])).stdout).toContain('maxSkewMs 2000\n');
  });

  test('schema', async () => {
    expect(JSON.parse((await cli(['config', 'schema'])).stdout)).toMatchObject({
      required: ['clusterId', 'region', 'dataDir'],
    });
    expect((await cli(['config', 'schema', '--options'])).stdout).toContain(
      'limits.batchOpsMax  CAUSEWAY_LIMITS_BATCH_OPS_MAX',
    );
  });

  test('a file that is not there', async () => {
    const { code, stderr } = await cli(['config', 'check', '/none.yaml']);
    expect(code).toBe(3);
    expect(stderr).toContain('cannot read the config file /none.yaml: there is no such file');
  });
});

describe('serve', () => {
  async function config(): Promise<{ readonly path: string; readonly clients: string }> {
    const [clients, peers] = await freePorts(2);
    const path = file(`clusterId: c
region: us-east
dataDir: serve-${files}
listeners: { clients: { address: '127.0.0.1:${clients}' }, peers: { address: '127.0.0.1:${peers}' } }
namespaces: [{ name: demo }]
collections: [{ namespace: demo, name: profiles, type: register-lww }]
`);
    return { path, clients: `127.0.0.1:${clients}` };
  }

  test('runs until SIGTERM, then exits 0; what was written is there after a restart', async () => {
    const { path, clients } = await config();
    for (const write of [true, false]) {
      const serving = new RunningCli(['serve', '--config', path]);
      await serving.until(({ stderr }) => stderr.includes('is ready'));
      if (write) expect((await cli(['-e', clients, 'put', 'demo/profiles/anna', 'x'])).code).toBe(0);
      expect((await cli(['-e', clients, 'get', 'demo/profiles/anna'])).stdout).toBe('x\n');
      serving.child.kill('SIGTERM');
      const { code, signal, stdout, stderr } = await serving.ended;
      expect({ code, signal, stdout }).toEqual({ code: 0, signal: null, stdout: '' });
      // JSON lines, since stderr is no terminal.
      const lines = stderr
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { msg: string; region: string });
      expect(lines[0]).toMatchObject({ msg: 'listening', region: 'us-east', clients });
      expect(lines.at(-1)).toMatchObject({ msg: 'stopped' });
    }
  });

  test('ends soon after it has stopped, whatever cannot be called off; seen: a region cut off from its name servers, killed after its grace period', async () => {
    const { path } = await config();
    // Stands for a look-up under way, which keeps a process alive until it gives up.
    const held = 'data:text/javascript,setInterval(()=>{},1e9)';
    const serving = new RunningCli(['serve', '--config', path], { env: { NODE_OPTIONS: `--import=${held}` } });
    await serving.until(({ stderr }) => stderr.includes('is ready'));
    serving.child.kill('SIGTERM');
    const { code, signal, stderr } = await serving.ended;
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(stderr).toMatch(/"stopped"[^]*ends without waiting for Timeout/);
  });

  test('a flag over the file; pretty lines when asked for', async () => {
    const { path } = await config();
    const serving = new RunningCli(['serve', '-c', path, '--node', 'n7', '--set', 'log.format=pretty']);
    await serving.until(({ stderr }) => stderr.includes('is ready'));
    serving.child.kill('SIGINT');
    const { code, stderr } = await serving.ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INFO {2}us-east listening {2}clients=/);
  });

  test('wrong configuration: 3, before anything is made', async () => {
    const path = file(`${MINIMAL.replace('data\n', 'never-made\n')}leaseMs: 9999\n`);
    const { code, stdout, stderr } = await cli(['serve', '--config', path]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toContain('leaseMs: expected less than maxSkewMs');
    expect(existsSync(join(directory, 'never-made'))).toBe(false);
  });
});

describe('start', () => {
  test('three regions without a configuration, gone without a trace', async () => {
    const port = await freePlayground();
    const playing = new RunningCli(['start', '--regions', '3', '--port', `${port}`, '--json']);
    await playing.until(({ stdout }) => stdout.endsWith('\n'));
    const { directory: data, regions } = JSON.parse((await printed(playing)).stdout) as {
      directory: string;
      regions: { region: string; clients: string }[];
    };
    expect(regions.map(({ region }) => region)).toEqual(['us-east', 'us-west', 'eu-west']);
    const { session } = JSON.parse(
      (await cli(['-e', regions[0]!.clients, 'put', 'demo/sets/s', 'a', '--json'])).stdout,
    ) as { session: string };
    expect((await cli(['-e', regions[2]!.clients, 'get', 'demo/sets/s', '--session', session])).stdout).toBe('a\n');
    expect(existsSync(data)).toBe(true);
    playing.child.kill('SIGINT');
    expect((await playing.ended).code).toBe(0);
    expect(existsSync(data)).toBe(false);
  });

  test('says what to try, and keeps the data where it is told to', async () => {
    const [port = 0] = await freePorts(1);
    const data = join(directory, 'kept');
    const playing = new RunningCli(['start', '--port', `${port}`, '--data', data]);
    await playing.until(({ stdout }) => stdout.includes('Ctrl-C ends it.'));
    const { stdout } = await printed(playing);
    expect(stdout).toContain(`ready: one region\n  us-east  127.0.0.1:${port}  http://127.0.0.1:${port + 2}\n`);
    expect((await fetch(`http://127.0.0.1:${port + 2}/readyz`)).status).toBe(200);
    expect(stdout.match(/^ {2}causeway -e /gm)).toHaveLength(3);
    playing.child.kill('SIGTERM');
    expect((await playing.ended).code).toBe(0);
    expect(existsSync(join(data, 'us-east'))).toBe(true);
  });

  test('a port that is taken', async () => {
    const [port = 0] = await freePorts(1);
    const holder = await listen(port);
    onTestFinished(() => void holder.close());
    const { code, stderr } = await cli(['start', '--port', `${port}`]);
    expect(code).toBe(3);
    expect(stderr).toContain(`expected 127.0.0.1:${port} to be free; another process listens there`);
    expect(stderr).toContain('--port');
  });
});

test.each([['demo'], ['bench'], ['chaos']])('%s hands over, flags and exit code included', async (name) => {
  // Both refuse a flag that they do not know by themselves: that shows that it was theirs to judge.
  const { code, stderr } = await cli([name, '--no-such-flag']);
  expect(code).toBe(2);
  expect(stderr).toContain("unknown option '--no-such-flag'");
  expect(stderr).not.toContain('→ causeway');
});

async function printed(command: RunningCli): Promise<{ readonly stdout: string }> {
  let stdout = '';
  await command.until((output) => {
    ({ stdout } = output);
    return true;
  });
  return { stdout };
}

/** A first port for `start`: the two of each of three regions are free. */
async function freePlayground(): Promise<number> {
  for (;;) {
    const [port = 0] = await freePorts(1);
    const wanted = [0, 1, 10, 11, 20, 21].map((offset) => port + offset);
    const servers = await Promise.allSettled(wanted.map(listen));
    for (const server of servers) if (server.status === 'fulfilled') server.value.close();
    if (servers.every(({ status }) => status === 'fulfilled')) return port;
  }
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1' }, () => resolve(server));
  });
}
