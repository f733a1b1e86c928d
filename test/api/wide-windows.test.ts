// What a client may have on its way, as HTTP/2 itself tells it.

import { readFileSync } from 'node:fs';
import { connect, type ClientHttp2Session } from 'node:http2';
import { ServerCredentials } from '@grpc/grpc-js';
import { test } from 'vitest';
import { ApiServer } from '../../src/api/server.ts';
import { cleanup, serve, system, until } from '../support/api.ts';
import { FakeRegion } from '../support/fake-region.ts';
import { Pki } from '../support/pki.ts';

const WINDOW = 300_000;
const limits = { uploadWindowBytes: WINDOW };

/** Of a stream that has not begun, and of the connection. */
async function isTold(session: ClientHttp2Session): Promise<void> {
  cleanup(() => session.destroy());
  await until(() => session.remoteSettings.initialWindowSize === WINDOW, 'the window of each stream');
  await until(() => (session.state.remoteWindowSize ?? 0) >= WINDOW, 'the window of the connection');
}

test('I12: a connection, and each stream of it, has the window that the limits say', async () => {
  const { address } = await serve({ limits });
  await isTold(connect(`http://${address}`));
});

test('with TLS too', async () => {
  const pki = new Pki();
  const ca = pki.ca();
  const { cert, key } = pki.issue(ca);
  const credentials = ServerCredentials.createSsl(null, [
    { cert_chain: readFileSync(cert), private_key: readFileSync(key) },
  ]);
  const region = new FakeRegion({ name: 'us-west', system });
  const server = new ApiServer({ region, listen: '127.0.0.1:0', system, limits, credentials });
  cleanup(() => server.stop());
  const { port } = await server.start();
  await isTold(connect(`https://localhost:${port}`, { ca: readFileSync(ca.cert) }));
});
