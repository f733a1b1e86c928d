// Nodes with TLS from their configuration on: two regions, their clients, and what is said when files are wrong.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { freePorts } from '../../demo/ports.ts';
import { adminClient, connect } from '../../src/client/index.ts';
import { composeNode, type RunningNode } from '../../src/compose.ts';
import { configFrom } from '../../src/config/load.ts';
import type { CausewayError } from '../../src/errors/errors.ts';
import { cli } from '../support/cli.ts';
import { Pki, type Pair } from '../support/pki.ts';

// The machine may be busy: time is no measure of anything here.
vi.setConfig({ testTimeout: 120_000 });

interface Tls extends Pair {
  readonly ca: string;
}

const REGIONS = ['eu', 'us'] as const;

async function configs(tlsOf: (region: string) => { clients?: Tls; peers?: Tls }, serverNames = false) {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-tls-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const ports = await freePorts(4);
  const regions = REGIONS.map((name, i) => ({
    name,
    peers: [`127.0.0.1:${ports[i * 2 + 1]}`],
    ...(serverNames ? { serverName: `${name}.example.net` } : {}),
  }));
  return REGIONS.map((region, i) => {
    const { clients, peers } = tlsOf(region);
    return configFrom({
      clusterId: 'c',
      region,
      dataDir: join(directory, region),
      listeners: {
        clients: { address: `127.0.0.1:${ports[i * 2]}`, ...(clients === undefined ? {} : { tls: clients }) },
        peers: { address: `127.0.0.1:${ports[i * 2 + 1]}`, ...(peers === undefined ? {} : { tls: peers }) },
      },
      regions,
      namespaces: [{ name: 'demo' }],
      collections: [{ namespace: 'demo', name: 'profiles', type: 'register-lww' }],
      log: { level: 'silent' },
    });
  });
}

async function started(config: Awaited<ReturnType<typeof configs>>[number]): Promise<RunningNode> {
  const node = await composeNode(config);
  onTestFinished(() => node.stop());
  return node;
}

test('two regions and their clients, all with certificates: a write arrives in the other region', async () => {
  const pki = new Pki();
  const ca = pki.ca();
  const clientsCa = pki.ca('clients');
  const nodes = await Promise.all(
    (
      await configs(
        (region) => ({
          clients: { ...pki.issue(ca), ca: clientsCa.cert },
          peers: { ...pki.issue(ca, { commonName: region, names: [`DNS:${region}.example.net`] }), ca: ca.cert },
        }),
        true,
      )
    ).map(started),
  );
  const tls = { ca: ca.cert, ...pki.issue(clientsCa, { commonName: 'shop', names: [] }) };
  const [eu, us] = nodes.map((node) => {
    const client = connect({
      endpoints: [node.clients],
      namespace: 'demo',
      deadlineMs: 60_000,
      connectTimeoutMs: 60_000,
      tls,
    });
    onTestFinished(() => client.close());
    return client;
  });
  await eu!.register('profiles').set('anna', { city: 'Oslo' }, { durability: { regions: 1 } });
  expect((await us!.register('profiles').get('anna'))?.value).toEqual({ city: 'Oslo' });

  const admin = adminClient(nodes[0]!.clients, { tls, deadlineMs: 60_000, connectTimeoutMs: 60_000 });
  onTestFinished(() => admin.close());
  const { certificates, peers } = await admin.status();
  expect(peers).toMatchObject([{ region: 'us', link: { kind: 'up' } }]);
  expect(certificates.map(({ use, part, subject }) => `${use} ${part} ${subject}`)).toEqual([
    'listeners.clients cert CN=node',
    'listeners.clients ca CN=clients',
    'listeners.peers cert CN=eu',
    'listeners.peers ca CN=test-ca',
  ]);
  expect(certificates[0]!.notAfterMs).toBeGreaterThan(Date.now());
});

test('the HTTP listener has TLS by its configuration, as the others do', async () => {
  const pki = new Pki();
  const ca = pki.ca();
  const clientsCa = pki.ca('clients');
  const [given] = await configs(() => ({}));
  const tls = { ...pki.issue(ca), ca: clientsCa.cert, clientCert: 'required' as const };
  const http = { address: '127.0.0.1:0', insecure: false, cacheSeconds: 0, tls };
  const node = await started({ ...given!, listeners: { ...given!.listeners, http } });
  const get = (
    who: { readonly cert: string; readonly key: string } | undefined,
  ): Promise<number | string | undefined> =>
    new Promise((resolve) => {
      const pair = who === undefined ? {} : { cert: readFileSync(who.cert), key: readFileSync(who.key) };
      const options = { agent: false, ca: readFileSync(ca.cert), servername: 'localhost', ...pair } as const;
      const asked = request(`https://${node.http}/livez`, options, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      asked.end();
    });
  expect(await get(pki.issue(clientsCa, { commonName: 'shop', names: [] }))).toBe(200);
  expect(await get(undefined)).toMatch(/^ERR_SSL|ECONNRESET/);
  const admin = adminClient(node.clients, { deadlineMs: 60_000, connectTimeoutMs: 60_000 });
  onTestFinished(() => admin.close());
  expect((await admin.status()).certificates.map(({ use, part }) => `${use} ${part}`)).toEqual([
    'listeners.http cert',
    'listeners.http ca',
  ]);
});

test('the command line has flags and variables for it', async () => {
  const pki = new Pki();
  const ca = pki.ca();
  const both = await configs(() => ({ clients: { ...pki.issue(ca), ca: ca.cert } }));
  const [node] = (await Promise.all(both.map(started))) as [RunningNode, RunningNode];
  const mine = pki.issue(ca, { commonName: 'operator' });
  const at = ['-e', node.clients];
  const byFlags = await cli([...at, '--ca', ca.cert, '--cert', mine.cert, '--key', mine.key, 'status', '--json']);
  expect(JSON.parse(byFlags.stdout)).toMatchObject({ region: 'eu', certificates: [{ use: 'listeners.clients' }, {}] });
  const byVariables = await cli([...at, 'put', 'demo/profiles/anna', '1'], {
    env: { CAUSEWAY_CA: ca.cert, CAUSEWAY_CERT: mine.cert, CAUSEWAY_KEY: mine.key },
  });
  expect(byVariables).toMatchObject({ code: 0, stdout: 'ok profiles/anna\n' });

  const check = ['config', 'check', '--region', 'eu', '--data-dir', pki.directory, '--set', 'clusterId=c'];
  const named = (name: string): string[] => ['--set', `listeners.clients.tls.${name}`];
  const files = [...named(`cert=${mine.cert}`), ...named(`key=${ca.key}`), ...named(`ca=${ca.cert}`)];
  expect((await cli([...check, ...files])).code).toBe(0);
  const looked = await cli([...check, ...files, '--files']);
  expect(looked.code).toBe(3);
  expect(looked.stderr).toContain(`listeners.clients.tls.key: expected the private key of ${mine.cert} (CN=operator)`);

  // Mistakes: files that are none, all of them; and no certificate where one is asked for.
  const wrong = await cli([...at, '--ca', pki.path('none'), '--cert', mine.cert, 'status']);
  expect(wrong.code).toBe(3);
  expect(wrong.stderr).toMatch(/ca: expected .*there is no such file[^]*key: expected a key with the cert; got none/);
  const without = await cli([...at, '--ca', ca.cert, '--timeout', '30s', 'status']);
  expect(without.code).toBe(4);
  expect(without.stderr).toContain('the node asks for a certificate: give cert and key');
});

test('every mistake in every file is told at once, before anything is written', async () => {
  const pki = new Pki();
  const [ca, other] = [pki.ca(), pki.ca('other')];
  const expired = pki.issue(ca, { days: -1 });
  const key = pki.issue(ca).key;
  const nameless = pki.issue(ca, { names: ['DNS:elsewhere.example.net'] });
  const [config] = await configs(() => ({
    clients: { cert: expired.cert, key, ca: pki.path('no-ca.crt') },
    peers: { ...nameless, ca: other.cert },
  }));
  const error = await composeNode(config!).then(
    () => undefined,
    (thrown: CausewayError) => thrown,
  );
  expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
  const lines = error!.message.split('\n').map((line) => line.trim());
  expect(lines[0]).toBe('TLS has 5 problems:');
  expect(lines.slice(1).map((line) => line.split(': ')[0])).toEqual([
    'listeners.clients.tls.ca',
    'listeners.clients.tls.key',
    'listeners.clients.tls.cert',
    'listeners.peers.tls.cert',
    'listeners.peers.tls.ca',
  ]);
  expect(error!.message).toContain("expected a certificate for '127.0.0.1' (subject alternative name)");
  expect(error!.hint).toContain('causeway config check --files');
  expect(() => readFileSync(join(config!.dataDir, 'LOCK'))).toThrow(/ENOENT/);
});

test('a node goes on with the files it has when new ones are wrong, and takes them when they are mended', async () => {
  const pki = new Pki();
  const ca = pki.ca();
  const files = pki.install('node', pki.issue(ca, { commonName: 'first' }));
  const [config] = await configs(() => ({ clients: { ...files, ca: ca.cert } }));
  const node = await started(config!);
  const tls = { ca: ca.cert, ...pki.issue(ca) };
  const subject = async (): Promise<string> => {
    const admin = adminClient(node.clients, { tls, deadlineMs: 60_000, connectTimeoutMs: 60_000 });
    const status = await admin.status();
    admin.close();
    return status.certificates[0]!.subject;
  };
  expect(await subject()).toBe('CN=first');
  writeFileSync(files.cert, 'half a fi');
  expect(await subject()).toBe('CN=first');
  pki.install('node', pki.issue(ca, { commonName: 'second' }));
  // The node looks every few seconds by itself.
  while ((await subject()) !== 'CN=second') await new Promise((resolve) => setTimeout(resolve, 100));
});
