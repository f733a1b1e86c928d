// What must fit together when listeners and links have TLS; the files themselves are test/security's.

import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { isCausewayError } from '../../src/errors/errors.ts';

const MINIMAL = 'clusterId: c\nregion: us-east\ndataDir: data\n';
const PAIR = 'cert: tls/node.crt, key: /keys/node.key';

function load(yaml: string, env: Readonly<Record<string, string>> = {}) {
  const file = { name: 'node.yaml', text: MINIMAL + yaml, directory: '/etc/causeway' };
  return loadConfig({ file, env, flags: [], directory: '/work-dir' }).config;
}

function lines(yaml: string, env: Readonly<Record<string, string>> = {}): string[] {
  try {
    load(yaml, env);
  } catch (error) {
    if (!isCausewayError(error, 'CONFIG_INVALID')) throw error;
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
  }
  return [];
}

test('a listener with TLS may be reached by others; clients must show a certificate unless it says otherwise', () => {
  const yaml = `listeners:\n  clients: { address: '0.0.0.0:7400', tls: { ${PAIR}, ca: tls/ca.crt } }\n`;
  expect(load(yaml).listeners.clients.tls).toMatchObject({ clientCert: 'required' });
  const open = `listeners:\n  clients: { address: '0.0.0.0:7400', tls: { ${PAIR}, clientCert: none } }\n`;
  expect(load(open).listeners.clients.tls).toMatchObject({ clientCert: 'none' });
});

test('paths are relative to where they were written', () => {
  const config = load(`listeners:\n  peers: { tls: { ${PAIR} } }\nlinks: { tls: { ca: a.crt } }\n`, {
    CAUSEWAY_LISTENERS_PEERS_TLS_CA: 'ca.crt',
  });
  expect(config.listeners.peers.tls).toMatchObject({
    cert: '/etc/causeway/tls/node.crt',
    key: '/keys/node.key',
    ca: '/work-dir/ca.crt',
  });
  expect(config.links.tls).toEqual({ ca: '/etc/causeway/a.crt' });
});

test('what is missing is named', () => {
  expect(lines('listeners:\n  clients:\n    tls: { cert: a.crt }\n')).toEqual([
    "node.yaml:6: listeners.clients.tls.key: expected a path of a file in PEM form; got nothing. Add it: the certificate's private key, without a passphrase. Required with tls. Relative in a file: to the file.",
    'node.yaml:6: listeners.clients.tls: expected ca, since those who connect must show a certificate (clientCert: required); got none. Add the CA that signs their certificates, or say clientCert: none.',
  ]);
  expect(lines('links: { tls: { key: a.key } }\n')).toEqual([
    'node.yaml:4: links.tls: expected cert and key, or neither; got no cert. Add cert, or remove the other.',
  ]);
});

test('what contradicts itself is refused', () => {
  expect(
    lines(`listeners:\n  clients: { address: '0.0.0.0:7400', insecure: true, tls: { ${PAIR}, ca: ca.crt } }\n`),
  ).toEqual([
    'node.yaml:5: listeners.clients.insecure: expected no insecure: true beside tls; got both. With tls nobody gets in without it: remove insecure.',
  ]);
  const regions =
    "regions:\n- { name: us-east, peers: ['127.0.0.1:7401'] }\n- { name: eu, peers: ['127.0.0.1:7501'], serverName: '-x' }\n";
  expect(lines(`${regions}links: { tls: { ca: ca.crt } }\n`)).toEqual([
    "node.yaml:6: regions[1].serverName: expected a DNS name, for example 'eu-west.example.net'; got '-x'.",
    'node.yaml:7: links.tls: expected listeners.peers.tls as well; got TLS only where this node dials. Other regions dial this one in the same way: give listeners.peers its own tls.',
  ]);
});
