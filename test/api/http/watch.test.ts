// Server-sent events: what comes, in which order, and that a watcher which comes back anywhere misses nothing (I8, I12).

import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { CausewayError } from '../../../src/errors/errors.ts';
import { cleanup, until } from '../../support/api.ts';
import { ask, follow, serveHttp } from '../../support/http.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };

async function put(port: number, key: string, value: unknown): Promise<void> {
  await ask(port, 'PUT', `/v1/app/profiles/${key}`, { body: JSON.stringify(value) });
}

test('a collection is followed from now on', async () => {
  const { httpPort } = await serveHttp();
  await put(httpPort, 'before', 0);
  const watching = await follow(httpPort, '/v1/app/profiles');
  expect(watching.status).toBe(200);
  expect(watching.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  await watching.until(() => watching.of('ready').length === 1);
  expect(JSON.parse(watching.events[0]!.data)).toEqual({ region: 'us-west', namespace: 'app' });
  await put(httpPort, 'anna', { city: 'Oslo' });
  await ask(httpPort, 'POST', '/v1/app/delays/x', { body: '{"increment":1}', headers: JSON_TYPE });
  await ask(httpPort, 'DELETE', '/v1/app/profiles/anna');
  await watching.until(() => watching.changes().length === 2);
  expect(watching.changes()).toEqual([
    {
      collection: 'profiles',
      key: 'anna',
      version: expect.stringContaining('us-west~') as string,
      op: { kind: 'put' },
      entry: { key: 'anna', type: 'register-lww', version: expect.any(String) as string, value: { city: 'Oslo' } },
    },
    {
      collection: 'profiles',
      key: 'anna',
      version: expect.any(String) as string,
      op: { kind: 'delete' },
      entry: { key: 'anna', type: 'register-lww', absent: true },
    },
  ]);
});

test('one key is told as it is, then followed; keys that begin alike are not', async () => {
  const { httpPort } = await serveHttp();
  await put(httpPort, 'ann', 1);
  const watching = await follow(httpPort, '/v1/app/profiles/ann');
  await watching.until(() => watching.of('entry').length === 1);
  expect(JSON.parse(watching.of('entry')[0]!.data)).toMatchObject({
    collection: 'profiles',
    entry: { key: 'ann', value: 1 },
  });
  await put(httpPort, 'anna', 2);
  await put(httpPort, 'ann', 3);
  await watching.until(() => watching.changes().length === 1);
  expect(watching.changes()[0]).toMatchObject({ key: 'ann', entry: { value: 3 } });
});

test('a namespace is followed: all of it, or some collections, with a prefix, as ops', async () => {
  const { httpPort } = await serveHttp();
  const all = await follow(httpPort, '/v1/app?form=op');
  const some = await follow(httpPort, '/v1/app?collection=routes&collection=flights&prefix=a&form=op');
  const post = (path: string, body: string): Promise<unknown> =>
    ask(httpPort, 'POST', `/v1/app/${path}`, { body, headers: JSON_TYPE });
  await post('delays/a', '{"increment":-3}');
  await post('routes/a', '{"add":["x"]}');
  await post('routes/b', '{"remove":["x"]}');
  await post('flights/a', '{"set":{"gate":"B1"},"remove":["delay"]}');
  await all.until(() => all.changes().length === 4);
  await some.until(() => some.changes().length === 2);
  const ops = all.changes().map(({ key, collection, op }) => ({ at: `${collection}/${key}`, op }));
  expect(ops.toSorted((a, b) => (a.at < b.at ? -1 : 1))).toEqual([
    { at: 'delays/a', op: { kind: 'increment', by: '-3' } },
    { at: 'flights/a', op: { kind: 'map-update', set: { gate: 'B1' }, remove: ['delay'] } },
    { at: 'routes/a', op: { kind: 'set-add', elements: ['x'] } },
    { at: 'routes/b', op: { kind: 'set-remove', elements: ['x'] } },
  ]);
  expect(
    some
      .changes()
      .map(({ collection, key }) => `${collection}/${key}`)
      .toSorted(),
  ).toEqual(['flights/a', 'routes/a']);
});

test('by name instead of Accept, for who types it', async () => {
  const { httpPort } = await serveHttp();
  const watching = await follow(httpPort, '/v1/app?watch', { Accept: '*/*' });
  await watching.until(() => watching.of('ready').length === 1);
});

test('I8: a watcher that comes back with its last id, at another region too, misses nothing', async () => {
  const west = await serveHttp({ name: 'us-west' });
  const east = await serveHttp({ name: 'us-east' });
  const first = await follow(west.httpPort, '/v1/app/profiles?from=beginning');
  const written: string[] = [];
  const write = async (port: number, from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) {
      written.push(`k${i}`);
      await put(port, `k${i}`, i);
    }
  };
  await write(west.httpPort, 0, 20);
  await first.until(() => first.changes().length === 20);
  const seen = first.changes().map(({ key }) => key);
  first.close();
  // While it is away; some of it in the other region.
  await write(west.httpPort, 20, 30);
  await write(east.httpPort, 30, 40);
  east.region.replicateFrom(west.region);
  const second = await follow(east.httpPort, '/v1/app/profiles?from=beginning', { 'Last-Event-ID': first.lastId! });
  await second.until(() => second.changes().length >= 20);
  seen.push(...second.changes().map(({ key }) => key));
  expect(seen.toSorted()).toEqual(written.toSorted());
  // And by URL, for a script.
  second.close();
  west.region.replicateFrom(east.region);
  const third = await follow(west.httpPort, `/v1/app/profiles?cursor=${second.lastId}`);
  await put(west.httpPort, 'last', 1);
  await third.until(() => third.changes().length === 1);
  expect(third.changes()[0]!.key).toBe('last');
});

test('a watcher of now that comes back before anything came misses nothing', async () => {
  const { httpPort } = await serveHttp();
  await put(httpPort, 'before', 0);
  const first = await follow(httpPort, '/v1/app/profiles');
  await first.until(() => first.of('ready').length === 1);
  first.close();
  await put(httpPort, 'meanwhile', 1);
  const second = await follow(httpPort, '/v1/app/profiles', { 'Last-Event-ID': first.lastId! });
  await second.until(() => second.changes().length === 1);
  expect(second.changes()[0]!.key).toBe('meanwhile');
});

test('many changes at once have ids in between', async () => {
  const { httpPort } = await serveHttp();
  // All in one shard.
  for (let i = 0; i < 30; i++) await put(httpPort, 'same', { i, text: 'x'.repeat(4000) });
  const watching = await follow(httpPort, '/v1/app/profiles?from=beginning&form=op');
  await watching.until(() => watching.changes().length === 30);
  const ids = watching.of('change').filter(({ id }) => id !== undefined);
  expect(ids.length).toBeGreaterThan(4);
  expect(watching.of('change').at(-1)!.id).toBeDefined();
  // From one in the middle: exactly what came behind it.
  const at = watching.of('change').findIndex(({ id }) => id !== undefined);
  const rest = await follow(httpPort, `/v1/app/profiles?form=op&cursor=${watching.of('change')[at]!.id}`);
  await rest.until(() => rest.changes().length === 29 - at);
  expect(rest.changes().map(({ version }) => version)).toEqual(
    watching
      .changes()
      .slice(at + 1)
      .map(({ version }) => version),
  );
});

test('from a time, also after coming back', async () => {
  const { httpPort, region } = await serveHttp();
  for (let i = 0; i < 8; i++) await put(httpPort, `old${i}`, i);
  const boundMs = Math.floor(region.writes.length === 8 ? Date.now() + 5 : 0);
  await until(() => Date.now() > boundMs + 5, 'the clock goes on');
  const path = `/v1/app/profiles?from=${new Date(boundMs).toISOString()}`;
  const first = await follow(httpPort, path);
  await put(httpPort, 'new', 1);
  await first.until(() => first.changes().length === 1);
  first.close();
  await put(httpPort, 'newer', 2);
  // Its cursor lacks the shards that had nothing new; what is old in them is left out all the same.
  const second = await follow(httpPort, path, { 'Last-Event-ID': first.lastId! });
  await second.until(() => second.changes().length === 1);
  expect([first, second].flatMap((one) => one.changes().map(({ key }) => key))).toEqual(['new', 'newer']);
});

test.each([
  ['/v1/app/profiles?from=yesterday', 400, 'INVALID_ARGUMENT'],
  ['/v1/app/profiles?form=both', 400, 'INVALID_ARGUMENT'],
  ['/v1/app/profiles?cursor=garbage!', 410, 'CURSOR_INVALID'],
  ['/v1/app/profiles?cursor=CAE', 200, undefined],
  ['/v1/app/profiles?consistency=causal', 400, 'INVALID_ARGUMENT'],
  ['/v1/app?collection=profile', 404, 'UNKNOWN_COLLECTION'],
  ['/v1/ap', 404, 'UNKNOWN_COLLECTION'],
] as const)('%s as a watch is a %i', async (path, status, code) => {
  const { httpPort } = await serveHttp();
  if (code === undefined) {
    expect((await follow(httpPort, path)).status).toBe(status);
    return;
  }
  const answer = await ask(httpPort, 'GET', path, { headers: { Accept: 'text/event-stream' } });
  expect({ status: answer.status, code: answer.code }).toEqual({ status, code });
});

test('a feed that cannot begin is an error, not an empty stream; one that breaks later says why', async () => {
  const { httpPort, region } = await serveHttp();
  const refusal = new CausewayError('CURSOR_INVALID', 'gone');
  const begins = region.subscribe.bind(region);
  // As the feed does it: a turn later.
  region.subscribe = (_request, sink) => {
    setImmediate(() => sink.failed(refusal));
    return { resume: () => undefined, cancel: () => undefined };
  };
  const answer = await ask(httpPort, 'GET', '/v1/app/profiles?watch');
  expect({ status: answer.status, code: answer.code }).toEqual({ status: 410, code: 'CURSOR_INVALID' });
  region.subscribe = begins;
  const watching = await follow(httpPort, '/v1/app/profiles');
  await watching.until(() => watching.of('ready').length === 1);
  region.failSubscribers(new CausewayError('FORK', 'two histories'));
  await watching.end();
  expect(JSON.parse(watching.of('failure')[0]!.data)).toMatchObject({
    code: 'data_loss',
    details: [{ debug: { code: 'FORK' } }],
  });
});

test('a drain ends watches, and tells new ones to go elsewhere', async () => {
  const { httpPort, server, region } = await serveHttp();
  const watching = await follow(httpPort, '/v1/app/profiles');
  await watching.until(() => watching.of('ready').length === 1);
  await server.drain();
  await watching.end();
  expect(JSON.parse(watching.of('failure')[0]!.data)).toMatchObject({ code: 'unavailable' });
  expect(region.subscribers).toBe(0);
  const answer = await ask(httpPort, 'GET', '/v1/app/profiles?watch');
  expect({ status: answer.status, code: answer.code }).toEqual({ status: 503, code: 'DRAINING' });
  expect(answer.headers.connection).toBe('close');
});

test('silence is broken by comments', async () => {
  const { httpPort } = await serveHttp({ http: { heartbeatMs: 5 } });
  const watching = await follow(httpPort, '/v1/app/profiles');
  await watching.until(() => watching.comments >= 3);
});

test('a watcher that goes leaves nothing behind', async () => {
  const { httpPort, server, region } = await serveHttp();
  const watching = await follow(httpPort, '/v1/app/profiles');
  expect(region.subscribers).toBe(1);
  watching.close();
  await until(() => region.subscribers === 0, 'the subscription is cancelled');
  await until(() => server.env.load.pendingBytes === 0 && server.env.load.streams === 0, 'nothing is held');
});

test('I12: one that does not read costs a bound of memory, and is cut when it takes nothing for long', async () => {
  const subscriberBufferBytesMax = 64 * 1024;
  const { httpPort, region } = await serveHttp({
    limits: { subscriberBufferBytesMax },
    http: { heartbeatMs: 20, watchStallMs: 300 },
  });
  const value = 'x'.repeat(20_000);
  const socket = connect({ port: httpPort, host: '127.0.0.1' });
  cleanup(() => socket.destroy());
  socket.on('error', () => undefined);
  // Read once, then never again: the kernel's buffers fill, then ours.
  const begun = new Promise((resolve) => socket.once('data', resolve));
  socket.write('GET /v1/app/profiles?watch&form=op HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await begun;
  socket.pause();
  let written = 0;
  let delivered = -1;
  // Until more writes no longer reach it.
  while (region.deliveredTo !== delivered && region.subscribers > 0) {
    delivered = region.deliveredTo;
    for (let i = 0; i < 100; i++, written++) await put(httpPort, 'same', value);
  }
  expect(region.deliveredTo).toBeLessThan(written);
  await until(() => region.subscribers === 0, 'it is cut');
});

test('I8: one that reads again gets all of it, in order', async () => {
  const { httpPort, region } = await serveHttp({ limits: { subscriberBufferBytesMax: 64 * 1024 } });
  const watching = await follow(httpPort, '/v1/app/profiles?form=op');
  await watching.until(() => watching.of('ready').length === 1);
  watching.response.pause();
  const value = 'x'.repeat(20_000);
  let written = 0;
  let delivered = -1;
  while (region.deliveredTo !== delivered) {
    delivered = region.deliveredTo;
    for (let i = 0; i < 100; i++, written++) await put(httpPort, 'same', value);
  }
  watching.response.resume();
  await watching.until(() => watching.changes().length === written);
  const seqs = watching.changes().map(({ version }) => Number(version.split('.')[1]));
  expect(seqs).toEqual(Array.from({ length: written }, (_, i) => i + 1));
});

test('more watchers than there may be', async () => {
  const { httpPort } = await serveHttp({ limits: { subscribersMax: 1 } });
  const first = await follow(httpPort, '/v1/app/profiles');
  expect(first.status).toBe(200);
  const answer = await ask(httpPort, 'GET', '/v1/app/profiles?watch');
  expect({ status: answer.status, code: answer.code, after: answer.headers['retry-after'] }).toEqual({
    status: 429,
    code: 'OVERLOADED',
    after: '1',
  });
});
