// Real listeners with TLS and real clients: who gets in, who does not and how clearly, and certificates that are exchanged under
// running calls.

import { readFileSync, writeFileSync } from 'node:fs';
import { Client, Metadata, ServerCredentials } from '@grpc/grpc-js';
import { describe, expect, test, vi } from 'vitest';
import { ApiServer } from '../../src/api/server.ts';
import type { Access, Identity } from '../../src/api/identity.ts';
import { ALLOW_ALL } from '../../src/api/identity.ts';
import { adminClient, connect, type Causeway, type TlsOptions } from '../../src/client/index.ts';
import type { CausewayError } from '../../src/errors/errors.ts';
import { channelTls, serverCredentials } from '../../src/security/grpc-credentials.ts';
import { ReloadingTls } from '../../src/security/reloading.ts';
import { cleanup, serve, system } from '../support/api.ts';
import { FakeRegion } from '../support/fake-region.ts';
import { Pki, type Pair } from '../support/pki.ts';

// The machine may be busy: time is no measure of anything here.
vi.setConfig({ testTimeout: 120_000 });

interface Secured {
  readonly address: string;
  readonly tls: ReloadingTls;
  readonly identities: readonly Identity[];
  readonly server: ApiServer;
}

async function secured(
  files: { cert: string; key: string; ca?: string },
  clientCertRequired = true,
  listen?: string,
): Promise<Secured> {
  const tls = ReloadingTls.open(files, { system });
  if (!(tls instanceof ReloadingTls)) throw new Error(JSON.stringify(tls));
  const identities: Identity[] = [];
  const server = await listening(serverCredentials(tls, clientCertRequired), identities, listen);
  return { ...server, tls, identities };
}

async function listening(
  credentials: ServerCredentials,
  identities: Identity[] = [],
  listen = '127.0.0.1:0',
): Promise<{ address: string; server: ApiServer }> {
  const access: Access = {
    ...ALLOW_ALL,
    check: (identity) => {
      identities.push(identity);
      return undefined;
    },
  };
  const region = new FakeRegion({ name: 'us-west', system });
  const server = new ApiServer({
    region,
    listen,
    system,
    clusterId: 'test-cluster',
    access,
    credentials,
  });
  cleanup(() => server.stop());
  const { port } = await server.start();
  return { address: `127.0.0.1:${port}`, server };
}

function client(address: string, tls?: TlsOptions): Causeway {
  const made = connect({
    endpoints: [address],
    namespace: 'app',
    deadlineMs: 60_000,
    connectTimeoutMs: 60_000,
    ...(tls === undefined ? {} : { tls }),
  });
  cleanup(() => made.close());
  return made;
}

/** What a person is told who cannot connect. */
async function refused(address: string, tls?: TlsOptions): Promise<CausewayError> {
  const admin = adminClient(address, {
    deadlineMs: 60_000,
    connectTimeoutMs: 60_000,
    ...(tls === undefined ? {} : { tls }),
  });
  cleanup(() => admin.close());
  return admin.ping().then(
    () => {
      throw new Error('the connection was taken');
    },
    (error: CausewayError) => error,
  );
}

function both(pki: Pki, one: Pair, other: Pair): string {
  const path = pki.path('both.crt');
  writeFileSync(path, readFileSync(one.cert, 'utf8') + readFileSync(other.cert, 'utf8'));
  return path;
}

describe('with certificates on both sides', () => {
  test('calls work, by address and by name, from files and from PEM, and carry who calls', async () => {
    const pki = new Pki();
    const ca = pki.ca();
    const { address, identities } = await secured({ ...pki.issue(ca), ca: ca.cert });
    const mine = pki.issue(ca, { commonName: 'shop', names: ['DNS:shop.example.net'] });
    await client(address, { ca: ca.cert, ...mine })
      .register('profiles')
      .set('anna', 1);
    const byName = client(address.replace('127.0.0.1', 'localhost'), {
      ca: readFileSync(ca.cert),
      cert: readFileSync(mine.cert),
      key: readFileSync(mine.key, 'utf8'),
    });
    await byName.register('profiles').get('anna');
    expect(identities.at(-1)).toMatchObject({
      kind: 'certificate',
      commonName: 'shop',
      names: ['DNS:shop.example.net'],
      peer: expect.stringContaining('127.0.0.1') as string,
    });
  });

  test('who shows none, or one of another CA, or an expired one, is told what to do', async () => {
    const pki = new Pki();
    const [ca, foreign] = [pki.ca(), pki.ca('foreign')];
    const { address, identities } = await secured({ ...pki.issue(ca), ca: ca.cert });
    const none = await refused(address, { ca: ca.cert });
    expect(none).toMatchObject({
      code: 'UNAVAILABLE',
      outcome: 'not-applied',
      hint: expect.stringContaining('the node asks for a certificate: give cert and key') as string,
    });
    const stranger = await refused(address, { ca: ca.cert, ...pki.issue(foreign) });
    expect(stranger).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' });
    expect(stranger.hint).toMatch(/does not accept this certificate|does it want a certificate/);
    const plain = await refused(address);
    expect(plain).toMatchObject({ code: 'UNAVAILABLE', hint: expect.stringContaining('--ca FILE') as string });
    expect(identities).toEqual([]);
  });
});

describe('what a client does not accept', () => {
  test('a node of another CA', async () => {
    const pki = new Pki();
    const [ca, other] = [pki.ca(), pki.ca('other')];
    const { address } = await secured(pki.issue(ca), false);
    expect(await refused(address, { ca: other.cert })).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/unable to (verify|get)/) as string,
      hint: expect.stringContaining('ca does not hold the CA that signed') as string,
    });
  });

  test('a node with another name, unless it is the name that is asked for', async () => {
    const pki = new Pki();
    const ca = pki.ca();
    const { address, identities } = await secured(pki.issue(ca, { names: ['DNS:us-west.example.net'] }), false);
    expect(await refused(address, { ca: ca.cert })).toMatchObject({
      hint: expect.stringContaining('or give serverName') as string,
    });
    expect((await refused(address, { ca: ca.cert, serverName: 'us-east.example.net' })).message).toContain('us-east');
    await client(address, { ca: ca.cert, serverName: 'us-west.example.net' }).topology();
    expect(identities.map(({ kind }) => kind)).toEqual(['anonymous', 'anonymous']);
  });

  test('a node whose certificate has expired', async () => {
    const pki = new Pki();
    const ca = pki.ca();
    const expired = pki.issue(ca, { days: -1 });
    // Ours would not start with it; one that has been running for long, or is not ours, shows it all the same.
    expect(ReloadingTls.open(expired, { system })).toMatchObject([
      { part: 'cert', got: expect.stringContaining('expired on') as string },
    ]);
    const [cert, key] = [readFileSync(expired.cert), readFileSync(expired.key)];
    const { address } = await listening(
      ServerCredentials.createSsl(null, [{ cert_chain: cert, private_key: key }], false),
    );
    expect(await refused(address, { ca: ca.cert })).toMatchObject({
      message: expect.stringContaining('certificate has expired') as string,
      hint: 'the certificate of the node has expired: renew it there',
    });
  });

  test('one that has no TLS', async () => {
    const pki = new Pki();
    const { address } = await serve();
    const error = await refused(address, { ca: pki.ca().cert });
    expect(error).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' });
    expect(error.hint).toMatch(/has no TLS on this port/);
  });

  test('options that make no sense, before anything is dialled', () => {
    const pki = new Pki();
    expect(() => client('127.0.0.1:1', { ca: pki.path('ca.crt'), cert: pki.path('c.crt') })).toThrow(
      /^the client's TLS cannot be used:\n  cert: .*\n  ca: .*\n  key: /,
    );
  });
});

test('certificates and CAs are exchanged under running calls without a failed call', async () => {
  const pki = new Pki();
  const [oldCa, newCa] = [pki.ca('old'), pki.ca('new')];
  const bundle = both(pki, oldCa, newCa);
  const files = pki.install('node', pki.issue(oldCa));
  const mine = pki.install('client', pki.issue(oldCa, { commonName: 'client' }));
  const { address, tls } = await secured({ ...files, ca: bundle });

  const held = client(address, { ca: bundle, ...mine });
  await held.topology();
  let running = true;
  const calls = { done: 0, connections: 0 };
  const work = async (one: () => Promise<unknown>): Promise<void> => {
    while (running) await one();
  };
  const traffic = Promise.all([
    work(async () => {
      await held.register('profiles').set('anna', calls.done);
      calls.done++;
    }),
    work(async () => {
      const fresh = client(address, { ca: bundle, ...mine });
      await fresh.topology();
      fresh.close();
      calls.connections++;
    }),
  ]);
  const until = async (more: number): Promise<void> => {
    const [done, connections] = [calls.done + more, calls.connections + more];
    while (calls.done < done || calls.connections < connections) {
      // A call that failed ends the wait with its error.
      await Promise.race([traffic, new Promise((resolve) => setTimeout(resolve, 5))]);
    }
  };

  await until(3);
  pki.install('node', pki.issue(newCa));
  tls.look();
  await until(3);
  pki.install('client', pki.issue(newCa, { commonName: 'client' }));
  await until(3);
  running = false;
  await traffic;

  // New connections get the new certificate; the one from before the exchange still stands.
  await held.register('profiles').set('anna', 'last');
  await client(address, { ca: newCa.cert, ...mine }).topology();
  expect((await refused(address, { ca: oldCa.cert, ...mine })).hint).toContain('ca does not hold the CA');
});

test('a channel takes new files for its next connection', async () => {
  const pki = new Pki();
  const [oldCa, newCa] = [pki.ca('old'), pki.ca('new')];
  const trusted = pki.install('trusted', oldCa);
  const opened = ReloadingTls.open({ ca: trusted.cert }, { system });
  if (!(opened instanceof ReloadingTls)) throw new Error(JSON.stringify(opened));
  const first = await secured(pki.issue(oldCa), false);
  const { credentials, options } = channelTls(opened, first.address, undefined);
  const channel = new Client(first.address, credentials, { ...options, 'grpc.initial_reconnect_backoff_ms': 50 });
  cleanup(() => channel.close());
  const ask = (): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const same = (bytes: Buffer): Buffer => bytes;
      const deadline = Date.now() + 60_000;
      const waiting = new Metadata({ waitForReady: true });
      const path = '/causeway.v1.Data/GetTopology';
      channel.makeUnaryRequest(path, same, same, Buffer.alloc(0), waiting, { deadline }, (error, answer) =>
        error === null ? resolve(answer!) : reject(error),
      );
    });
  await ask();
  await first.server.stop();
  pki.install('trusted', newCa);
  opened.look();
  await secured(pki.issue(newCa), false, first.address);
  await ask();
});
