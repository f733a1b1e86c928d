// Links with certificates on real sockets: a region is who its certificate says, whichever side dials.

import { afterEach, describe, expect, test } from 'vitest';
import { regionId } from '../../src/record/ids.ts';
import { GrpcTransport, type TransportTls } from '../../src/replication/grpc-transport.ts';
import { helloOf } from '../../src/replication/handshake.ts';
import type { Down, Up } from '../../src/replication/messages.ts';
import type { LinkHandlers, LinkStream } from '../../src/replication/transport.ts';
import { serverCredentials } from '../../src/security/grpc-credentials.ts';
import { ReloadingTls } from '../../src/security/reloading.ts';
import { realSystem } from '../../src/system/real.ts';
import { Pki, type Pair } from '../support/pki.ts';

const system = realSystem();
const started: GrpcTransport[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((transport) => transport.stop()));
});

const SERVER_NAMES: Readonly<Record<string, string>> = { eu: 'eu.example.net', us: 'us.example.net' };

function opened(pair: Partial<Pair>, ca: Pair): ReloadingTls {
  const tls = ReloadingTls.open({ ...pair, ca: ca.cert }, { system });
  if (!(tls instanceof ReloadingTls)) throw new Error(JSON.stringify(tls));
  return tls;
}

function tlsOf(own: ReloadingTls, dialled?: string): TransportTls {
  return {
    server: serverCredentials(own, true),
    links: own,
    serverNameAt: () => dialled,
    namesOf: (region) => (SERVER_NAMES[region] === undefined ? [] : [SERVER_NAMES[region]]),
  };
}

/** Everything one end hears; resolves as soon as it hears something. */
class Ear<In> implements LinkHandlers<In> {
  readonly heard: (In | string)[] = [];
  #wake: (() => void) | undefined;

  message(message: In): void {
    this.heard.push(message);
    this.#wake?.();
  }

  drain(): void {}

  closed(reason: string): void {
    this.heard.push(reason);
    this.#wake?.();
  }

  async until(count: number): Promise<(In | string)[]> {
    while (this.heard.length < count) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.heard;
  }
}

/** The source is us. */
async function source(own: ReloadingTls): Promise<{ address: string; ear: Ear<Up>; streams: LinkStream<Down>[] }> {
  const transport = new GrpcTransport({ listen: '127.0.0.1:0', system, tls: tlsOf(own) });
  started.push(transport);
  const ear = new Ear<Up>();
  const streams: LinkStream<Down>[] = [];
  transport.onAccept((stream) => {
    streams.push(stream);
    return ear;
  });
  const { port } = await transport.start();
  return { address: `127.0.0.1:${port}`, ear, streams };
}

function dial(address: string, own: ReloadingTls, dialled: string | undefined, claims: string): Ear<Down> {
  const transport = new GrpcTransport({ system, tls: tlsOf(own, dialled) });
  started.push(transport);
  const ear = new Ear<Down>();
  const stream = transport.dial(address, ear);
  stream.send(helloOf({ region: regionId(claims), node: 'n1', instance: 'i', clusterId: 'c', settingsHash: 'h' }));
  return ear;
}

function pairs(pki: Pki) {
  const ca = pki.ca();
  const of = (region: string): Pair =>
    pki.issue(ca, { commonName: region, names: [`DNS:${SERVER_NAMES[region] ?? 'localhost'}`] });
  return { ca, eu: of('eu'), us: of('us') };
}

describe('a link with TLS', () => {
  test('stands between regions whose certificates say so', async () => {
    const pki = new Pki();
    const { ca, eu, us } = pairs(pki);
    const { address, ear } = await source(opened(us, ca));
    dial(address, opened(eu, ca), SERVER_NAMES['us'], 'eu');
    expect(await ear.until(1)).toMatchObject([{ kind: 'hello', region: 'eu' }]);
  });

  test('is not made to a region with the certificate of another', async () => {
    const pki = new Pki();
    const { ca, eu, us } = pairs(pki);
    const { address, streams } = await source(opened(us, ca));
    const [reason] = await dial(address, opened(eu, ca), SERVER_NAMES['eu'], 'eu').until(1);
    expect(reason).toMatch(/eu\.example\.net\. is not in the cert's altnames: DNS:us\.example\.net/);
    // Without a name of its own, the address is what the certificate must be for.
    const [byAddress] = await dial(address, opened(eu, ca), undefined, 'eu').until(1);
    expect(byAddress).toMatch(/127\.0\.0\.1 is not in the cert's list/);
    expect(streams).toEqual([]);
  });

  test('is refused to who claims to be another region, with what to do', async () => {
    const pki = new Pki();
    const { ca, eu, us } = pairs(pki);
    const { address, ear } = await source(opened(us, ca));
    const heard = await dial(address, opened(us, ca), SERVER_NAMES['us'], 'eu').until(2);
    expect(heard[0]).toEqual({
      kind: 'refuse',
      reason: 'region-name',
      message:
        'a node of eu must show a certificate for eu.example.net; this one is for DNS:us.example.net: give it one, or set serverName of the region everywhere',
    });
    expect(await ear.until(1)).toEqual(['region-name: the certificate is for another region']);
    expect(eu.cert).not.toBe(us.cert);
  });

  test('is not made without a certificate, or with one of another CA', async () => {
    const pki = new Pki();
    const { ca, us } = pairs(pki);
    const foreign = pki.ca('foreign');
    const { address, streams } = await source(opened(us, ca));
    expect(await dial(address, opened({}, ca), SERVER_NAMES['us'], 'eu').until(1)).toMatchObject([/UNAVAILABLE/]);
    const stranger = pki.issue(foreign, { names: [`DNS:${SERVER_NAMES['eu']!}`] });
    expect(await dial(address, opened(stranger, ca), SERVER_NAMES['us'], 'eu').until(1)).toMatchObject([/UNAVAILABLE/]);
    expect(streams).toEqual([]);
  });

  test('says what is the matter when one side has TLS and the other has not', async () => {
    const pki = new Pki();
    const { ca, us } = pairs(pki);
    const { address } = await source(opened(us, ca));
    const plain = new GrpcTransport({ system });
    started.push(plain);
    const ear = new Ear<Down>();
    plain.dial(address, ear);
    expect((await ear.until(1))[0]).toMatch(/if the other side has TLS, say so/);

    const without = new GrpcTransport({ listen: '127.0.0.1:0', system });
    started.push(without);
    without.onAccept(() => new Ear<Up>());
    const { port } = await without.start();
    const [reason] = await dial(`127.0.0.1:${port}`, opened(us, ca), SERVER_NAMES['us'], 'eu').until(1);
    expect(reason).toMatch(/has no TLS on this port/);
  });
});
