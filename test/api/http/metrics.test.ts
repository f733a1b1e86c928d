// The golden signals of calls, as /metrics has them: rate, errors by code, duration, in flight.

import { expect, test } from 'vitest';
import { parseExposition, valueOf } from '../../support/exposition.ts';
import { bidi, client, encode, failure, raw, serverStream, unary, until } from '../../support/api.ts';
import { ask, serveHttp, type HttpServed } from '../../support/http.ts';

async function scrape({ httpPort }: HttpServed) {
  return parseExposition((await ask(httpPort, 'GET', '/metrics')).text);
}

test('unary calls by code, with how long they took; what nobody called is there with 0', async () => {
  const served = await serveHttp();
  const via = raw(served.address);
  await unary(via, '/causeway.v1.Admin/Ping', encode('PingRequest', {}));
  const read = (namespace: string): Promise<Buffer> =>
    unary(via, '/causeway.v1.Data/Read', encode('ReadRequest', { namespace, collection: 'profiles', keys: ['k'] }));
  await read('app');
  await read('app');
  await failure(read('nowhere'), 'UNKNOWN_COLLECTION');
  await failure(read('not a name'), 'INVALID_ARGUMENT');
  const found = await scrape(served);
  const requests = (rpc: string, code: string): number => valueOf(found, 'causeway_rpc_requests_total', { rpc, code });
  expect(requests('Ping', 'OK')).toBe(1);
  expect(requests('Read', 'OK')).toBe(2);
  expect(requests('Read', 'UNKNOWN_COLLECTION')).toBe(1);
  expect(requests('Read', 'INVALID_ARGUMENT')).toBe(1);
  expect(requests('Scan', 'OK')).toBe(0);
  expect(valueOf(found, 'causeway_rpc_duration_seconds_count', { rpc: 'Read' })).toBe(4);
  expect(valueOf(found, 'causeway_rpc_in_flight', { rpc: 'Read' })).toBe(0);
});

test('of a WriteStream each message counts, and what is not answered is in flight', async () => {
  const served = await serveHttp();
  served.region.stall();
  const call = bidi(raw(served.address), '/causeway.v1.Data/WriteStream');
  let answers = 0;
  call.on('data', () => answers++);
  call.on('error', () => undefined);
  const op = { collection: 0, key: 'k', put: Buffer.from('x') };
  for (const requestId of [1, 2]) {
    call.write(
      encode('WriteStreamRequest', { requestId, write: { namespace: 'app', collections: ['profiles'], ops: [op] } }),
    );
  }
  await until(() => served.region.writes.length === 2, 'both messages came');
  expect(valueOf(await scrape(served), 'causeway_rpc_in_flight', { rpc: 'WriteStream' })).toBe(2);
  served.region.release();
  await until(() => answers > 0, 'an answer');
  const after = await scrape(served);
  expect(valueOf(after, 'causeway_rpc_in_flight', { rpc: 'WriteStream' })).toBe(0);
  expect(valueOf(after, 'causeway_rpc_requests_total', { rpc: 'WriteStream', code: 'OK' })).toBe(2);
  call.cancel();
});

test('ops that are refused count by their own code, also where the request was answered OK', async () => {
  const served = await serveHttp();
  const via = client([served.address]);
  await expect(via.register('nowhere').set('k', 1)).rejects.toMatchObject({ code: 'UNKNOWN_COLLECTION' });
  await expect(via.counter('profiles').increment('k')).rejects.toMatchObject({ code: expect.any(String) });
  await ask(served.httpPort, 'PUT', '/v1/app/profiles/k', {
    body: 'x',
    headers: { 'If-Match': '"1-1@us-west~0123456789ab"' },
  });
  const text = (await ask(served.httpPort, 'GET', '/metrics')).text;
  expect(text).toMatch(/^causeway_ops_refused_total\{.*code="UNKNOWN_COLLECTION"\} 1$/m);
});

test('a subscription is in flight until it ends', async () => {
  const served = await serveHttp();
  const inFlight = async (): Promise<number> =>
    valueOf(await scrape(served), 'causeway_rpc_in_flight', { rpc: 'Subscribe' });
  const call = serverStream(
    raw(served.address),
    '/causeway.v1.Data/Subscribe',
    encode('SubscribeRequest', { namespace: 'app' }),
  );
  call.on('error', () => undefined);
  await new Promise((resolve) => call.once('data', resolve));
  expect(await inFlight()).toBe(1);
  call.cancel();
  while ((await inFlight()) > 0);
  expect(valueOf(await scrape(served), 'causeway_rpc_requests_total', { rpc: 'Subscribe', code: 'OK' })).toBe(1);
});

test('HTTP by route, never by path, and by methods that there are', async () => {
  const served = await serveHttp();
  await ask(served.httpPort, 'PUT', '/v1/app/profiles/secret-key', { body: 'x' });
  await ask(served.httpPort, 'GET', '/v1/app/profiles/other-key');
  await ask(served.httpPort, 'GET', '/nothing/here');
  await ask(served.httpPort, 'PURGE', '/v1/app/profiles/secret-key').catch(() => undefined);
  const { text } = await ask(served.httpPort, 'GET', '/metrics');
  expect(text).not.toMatch(/secret-key|other-key|nothing.here/);
  const found = parseExposition(text);
  const requests = (route: string, method: string, status: string): number =>
    valueOf(found, 'causeway_http_requests_total', { route, method, status });
  expect(requests('/v1/{namespace}/{collection}/{key}', 'PUT', '200')).toBe(1);
  expect(requests('/v1/{namespace}/{collection}/{key}', 'GET', '404')).toBe(1);
  expect(requests('none', 'GET', '404')).toBe(1);
  // The one that asks.
  expect(valueOf(found, 'causeway_http_in_flight')).toBe(1);
});
