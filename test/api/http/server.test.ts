// The listener itself: what is no HTTP, too long, too late, too much; probes; and an end in order.

import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { HttpServer } from '../../../src/api/http/server.ts';
import { cleanup, until } from '../../support/api.ts';
import { ask, serveHttp, type Asked } from '../../support/http.ts';

interface Raw {
  readonly socket: Socket;
  readonly ended: Promise<string>;
  text(): string;
}

function raw(port: number, ...sent: string[]): Raw {
  const socket = connect({ port, host: '127.0.0.1' });
  cleanup(() => socket.destroy());
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => socket.on('close', () => resolve(text)));
  for (const part of sent) socket.write(part, 'latin1');
  return { socket, ended, text: () => text };
}

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
}

test.each([
  ['GET', '/nothing', 404],
  ['GET', '/v1', 404],
  ['GET', '/v2/app/profiles/x', 404],
  ['GET', '/livez/', 404],
  ['GET', '/v1/{namespace}', 400],
  ['POST', '/livez', 405],
  ['PATCH', '/v1/app/profiles/x', 405],
  ['DELETE', '/v1/app/profiles', 405],
] as const)('%s %s is a %i in JSON', async (method, path, status) => {
  const { httpPort } = await serveHttp();
  const answer = await ask(httpPort, method, path);
  expect({ status: answer.status, code: answer.code }).toEqual({ status, code: 'INVALID_ARGUMENT' });
  if (status === 405) expect(answer.headers.allow).toContain('GET, HEAD');
});

test('OPTIONS says what is taken, and permits no other origin', async () => {
  const { httpPort } = await serveHttp();
  const answer = await ask(httpPort, 'OPTIONS', '/v1/app/profiles/x', { headers: { Origin: 'https://evil.example' } });
  expect({ status: answer.status, allow: answer.headers.allow }).toEqual({
    status: 204,
    allow: 'GET, HEAD, PUT, POST, DELETE',
  });
  expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
});

test('on loopback only who means this machine is served', async () => {
  const { httpPort } = await serveHttp();
  for (const host of ['localhost', `localhost:${httpPort}`, '127.0.0.1:1', '[::1]:80']) {
    expect((await ask(httpPort, 'GET', '/livez', { headers: { Host: host } })).status, host).toBe(200);
  }
  for (const host of ['evil.example', '127.0.0.1.evil.example:7402', '10.0.0.1']) {
    expect(
      (await ask(httpPort, 'PUT', '/v1/app/profiles/x', { body: '1', headers: { Host: host } })).status,
      host,
    ).toBe(421);
  }
});

test('a proxy may send the whole URL', async () => {
  const { httpPort } = await serveHttp();
  await ask(httpPort, 'PUT', '/v1/app/profiles/a/../b', { body: '1' });
  expect((await ask(httpPort, 'GET', `http://127.0.0.1:${httpPort}/v1/app/profiles/a/../b`)).text).toBe('1');
});

test('connections are used again', async () => {
  const { httpPort } = await serveHttp();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  cleanup(() => agent.destroy());
  const ports = new Set<number | undefined>();
  agent.on('free', (socket: Socket) => ports.add(socket.localPort));
  const asked: Asked = { agent };
  await ask(httpPort, 'PUT', '/v1/app/profiles/a', { ...asked, body: '1' });
  await ask(httpPort, 'GET', '/v1/app/profiles/a', asked);
  await ask(httpPort, 'GET', '/v1/app/profiles/b', asked);
  expect((await ask(httpPort, 'HEAD', '/v1/app/profiles/a', asked)).headers.connection).toBe('keep-alive');
  expect(ports.size).toBe(1);
});

test('what is no HTTP is told so, in JSON', async () => {
  const { httpPort } = await serveHttp();
  const answer = await raw(httpPort, 'HELLO\r\n\r\n').ended;
  expect(statusOf(answer)).toBe(400);
  expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toMatchObject({ code: 'invalid_argument' });
});

test('garbage behind a write that is under way is no answer to it', async () => {
  const { httpPort, region } = await serveHttp();
  region.stall();
  const head = 'PUT /v1/app/profiles/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1';
  const broken = raw(httpPort, head);
  await until(() => region.stalled === 1, 'the write is under way');
  broken.socket.write('GARBAGE\r\n\r\n');
  expect(await broken.ended).toBe('');
  region.release();
  expect((await ask(httpPort, 'GET', '/v1/app/profiles/x')).text).toBe('1');
});

test('bytes that are not ASCII in a URL', async () => {
  const { httpPort } = await serveHttp();
  const answer = await raw(
    httpPort,
    'GET /v1/app/profiles/\xe9 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  ).ended;
  expect(statusOf(answer)).toBe(400);
});

test('headers that are too long', async () => {
  const { httpPort } = await serveHttp({ http: { headerBytesMax: 4096 } });
  const answer = await raw(httpPort, `GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(9000)}\r\n\r\n`).ended;
  expect(statusOf(answer)).toBe(431);
  expect(answer).toMatch(/at most 4096 bytes/);
});

test('headers that do not come, and a body that does not', async () => {
  const { httpPort, region } = await serveHttp({ http: { headersTimeoutMs: 50, requestTimeoutMs: 100 } });
  const headers = raw(httpPort, 'GET /livez HTTP/1.1\r\nHost: localhost\r\n');
  const body = raw(httpPort, 'PUT /v1/app/profiles/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab');
  for (const answer of await Promise.all([headers.ended, body.ended])) {
    expect(statusOf(answer), answer).toBe(408);
    expect(answer).toMatch(/DEADLINE_EXCEEDED/);
  }
  expect(region.writes).toHaveLength(0);
});

test('a value that is too large: declared, in chunks, and asked for first', async () => {
  const { httpPort, region, server } = await serveHttp();
  const tooLarge = Buffer.alloc(1024 * 1024 + 1);
  const declared = await ask(httpPort, 'PUT', '/v1/app/profiles/x', { body: tooLarge });
  expect({ status: declared.status, code: declared.code }).toEqual({ status: 413, code: 'TOO_LARGE' });
  expect(declared.text).toMatch(/at most 1048576 bytes/);

  const part = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  const head = 'PUT /v1/app/profiles/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';
  const chunked = await raw(httpPort, head, ...Array.from({ length: 17 }, () => part), '0\r\n\r\n').ended;
  expect(statusOf(chunked)).toBe(413);

  const expect100 = raw(
    httpPort,
    'PUT /v1/app/profiles/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n',
  );
  const refused = await expect100.ended;
  expect(statusOf(refused)).toBe(413);
  expect(refused).not.toContain('100 Continue');
  expect(region.writes).toHaveLength(0);
  await until(() => server.env.load.pendingBytes === 0, 'nothing is held');

  const exactly = await ask(httpPort, 'PUT', '/v1/app/profiles/x', { body: tooLarge.subarray(1) });
  expect(exactly.status).toBe(200);
});

test('who asks before sending is told to go on', async () => {
  const { httpPort, region } = await serveHttp();
  const asking = raw(
    httpPort,
    'PUT /v1/app/profiles/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n',
  );
  await until(() => asking.text().includes('100 Continue'), 'told to go on');
  asking.socket.write('42');
  expect(await asking.ended).toMatch(/HTTP\/1\.1 200 OK/);
  expect(region.applied).toHaveLength(1);
});

test('a request that is refused does not leave its body for the next', async () => {
  const { httpPort } = await serveHttp();
  const answer = await raw(
    httpPort,
    'PUT /v1/app/unknown/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\n',
    'GET /livez HTTP/1.1\r\n\r\nabcdefg',
  ).ended;
  expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(statusOf(answer)).toBe(404);
  expect(answer).toMatch(/Connection: close/);
});

test('a client that goes in mid-body leaves nothing behind', async () => {
  const { httpPort, server, region } = await serveHttp();
  const half = raw(httpPort, 'PUT /v1/app/profiles/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nabc');
  await until(() => server.env.load.pendingBytes > 256, 'some of it is there');
  half.socket.destroy();
  await until(() => server.env.load.pendingBytes === 0, 'nothing is held');
  expect(region.writes).toHaveLength(0);
});

test('a client that does not wait for the answer leaves nothing behind', async () => {
  const { httpPort, server, region } = await serveHttp();
  region.stall();
  const gone = raw(httpPort, 'GET /v1/app/profiles/x HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => region.stalled === 1, 'the read has begun');
  gone.socket.destroy();
  await until(() => server.env.load.pendingBytes === 0, 'nothing is held');
  region.release();
  expect((await ask(httpPort, 'GET', '/livez')).status).toBe(200);
});

test('I12: what all requests hold has a bound', async () => {
  const { httpPort, region } = await serveHttp({ limits: { pendingBytesMax: 100_000 } });
  region.stall();
  const first = ask(httpPort, 'PUT', '/v1/app/profiles/a', { body: 'x'.repeat(90_000) });
  await until(() => region.stalled === 1, 'the first is under way');
  const second = await ask(httpPort, 'PUT', '/v1/app/profiles/b', { body: 'x'.repeat(20_000) });
  expect({ status: second.status, code: second.code, after: second.headers['retry-after'] }).toEqual({
    status: 429,
    code: 'OVERLOADED',
    after: '1',
  });
  region.release();
  expect((await first).status).toBe(200);
});

test('I12: connections have a bound', async () => {
  const { httpPort } = await serveHttp({ http: { connectionsMax: 2 } });
  const held = [raw(httpPort), raw(httpPort)];
  await until(() => held.every(({ socket }) => !socket.connecting), 'both are connected');
  expect(await raw(httpPort, 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n').ended).toBe('');
});

test('alive while it starts and while it goes; ready only when reads and writes are taken', async () => {
  const { httpPort, region, server } = await serveHttp();
  expect((await ask(httpPort, 'GET', '/livez')).json()).toEqual({ status: 'ok' });
  expect((await ask(httpPort, 'GET', '/readyz')).json()).toEqual({
    ready: true,
    region: 'us-west',
    state: 'ready',
    reason: '',
  });
  region.setReady(false);
  const starting = await ask(httpPort, 'GET', '/readyz');
  expect({ status: starting.status, body: starting.json() }).toEqual({
    status: 503,
    body: { ready: false, region: 'us-west', state: 'catching-up', reason: 'told so by a test' },
  });
  expect((await ask(httpPort, 'GET', '/livez')).status).toBe(200);
  region.setReady(true);
  const verbose = await ask(httpPort, 'GET', '/readyz?verbose');
  expect(verbose.status).toBe(200);
  // A peer that is down is told, and changes nothing.
  expect(verbose.json()).toMatchObject({
    node: 'us-west-1',
    checks: [
      { name: 'serving', ok: true, required: true },
      { name: 'reads', ok: true, required: true },
      { name: 'writes', ok: true, required: false },
      { name: 'log', ok: true, required: false },
      { name: 'peer far-away', ok: false, required: false, message: 'down, lag 13 ms' },
    ],
    alarms: [{ code: 'clock-hold' }],
  });
  await server.drain();
  const draining = await ask(httpPort, 'GET', '/readyz?verbose');
  expect({ status: draining.status, state: draining.json()['state'] }).toEqual({ status: 503, state: 'draining' });
  expect((await ask(httpPort, 'GET', '/livez')).status).toBe(200);
});

test('a drain waits for what is under way, and refuses what is new', async () => {
  const { httpPort, region, server } = await serveHttp();
  region.stall();
  const writing = ask(httpPort, 'DELETE', '/v1/app/profiles/a');
  await until(() => region.stalled === 1, 'the write is under way');
  let drained = false;
  const draining = server.drain().then(() => (drained = true));
  const late = await ask(httpPort, 'GET', '/v1/app/profiles/a');
  expect({ status: late.status, code: late.code }).toEqual({ status: 503, code: 'DRAINING' });
  expect(drained).toBe(false);
  region.release();
  expect((await writing).status).toBe(200);
  await draining;
});

test('stop cuts what is left', async () => {
  const { http, httpPort, region } = await serveHttp();
  region.stall();
  const hanging = ask(httpPort, 'GET', '/v1/app/profiles/a').catch(() => 'cut');
  await until(() => region.stalled === 1, 'the read is under way');
  await http.stop();
  expect(await hanging).toBe('cut');
  await http.stop();
});

test('an address that is taken', async () => {
  const { server, httpPort } = await serveHttp();
  const second = new HttpServer({ env: server.env, listen: `127.0.0.1:${httpPort}` });
  await expect(second.start()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(`cannot listen on 127.0.0.1:${httpPort}`) as string,
    hint: expect.stringContaining('another process has this port') as string,
  });
  await second.stop();
});
