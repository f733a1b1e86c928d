// The listener with TLS: who gets in, and certificates that are exchanged while it runs.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type SecureContextOptions } from 'node:tls';
import { afterAll, expect, test } from 'vitest';
import { HttpServer, type HttpTls } from '../../../src/api/http/server.ts';
import { cleanup, serve } from '../../support/api.ts';

const directory = mkdtempSync(join(tmpdir(), 'causeway-http-tls-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** Signs itself, so it is its own CA. */
function selfSigned(name: string): Pair {
  const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync('openssl', [...args, ...names, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

async function secure(tls: Partial<HttpTls>, context: SecureContextOptions): Promise<number> {
  const { server } = await serve();
  const http = new HttpServer({
    env: server.env,
    listen: '127.0.0.1:0',
    tls: { context, clientCertRequired: false, onChange: () => undefined, ...tls },
  });
  cleanup(() => http.stop());
  return (await http.start()).port;
}

/** The status, or the code of what went wrong. */
function get(port: number, options: SecureContextOptions): Promise<number | string | undefined> {
  return new Promise((resolve) => {
    const asked = request({ port, host: '127.0.0.1', path: '/livez', agent: false, ...options }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    asked.end();
  });
}

test('who trusts the certificate is served; plain HTTP is not, and harms nothing', async () => {
  const server = selfSigned('server');
  const port = await secure({}, server);
  expect(await get(port, { ca: server.cert })).toBe(200);
  expect(await get(port, { ca: selfSigned('other').cert })).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
  await expect(fetch(`http://127.0.0.1:${port}/livez`)).rejects.toThrow('fetch failed');
  expect(await get(port, { ca: server.cert })).toBe(200);
});

test('mutual TLS: without a certificate of the CA nobody gets in', async () => {
  const [server, client, stranger] = [selfSigned('server'), selfSigned('client'), selfSigned('stranger')];
  const port = await secure({ clientCertRequired: true }, { ...server, ca: client.cert });
  expect(await get(port, { ca: server.cert, ...client })).toBe(200);
  expect(await get(port, { ca: server.cert })).toMatch(/^ERR_SSL|ECONNRESET/);
  expect(await get(port, { ca: server.cert, ...stranger })).toMatch(/^ERR_SSL|ECONNRESET/);
});

test('new certificates are for new connections', async () => {
  const [before, after] = [selfSigned('before'), selfSigned('after')];
  let change: ((context: SecureContextOptions) => void) | undefined;
  const port = await secure({ onChange: (listener) => (change = listener) }, before);
  const standing = connect({ port, host: '127.0.0.1', ca: before.cert });
  cleanup(() => standing.destroy());
  await new Promise((resolve) => standing.once('secureConnect', resolve));
  change!(after);
  expect(await get(port, { ca: after.cert })).toBe(200);
  expect(await get(port, { ca: before.cert })).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
  const answer = new Promise<string>((resolve) => standing.once('data', (chunk: Buffer) => resolve(chunk.toString())));
  standing.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  expect(await answer).toMatch(/^HTTP\/1\.1 200/);
});
