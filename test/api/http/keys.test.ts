// One key over HTTP: every merge type, conditions, sessions, caches, and every mistake.

import { expect, test } from 'vitest';
import { CausewayError, type ErrorCode } from '../../../src/errors/errors.ts';
import { sessionFromText, sessionToText } from '../../../src/api/tokens.ts';
import { originId, regionId, shardId } from '../../../src/record/ids.ts';
import { ask, serveHttp, type Answer } from '../../support/http.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };

function expectError(answer: Answer, status: number, code: ErrorCode, message?: RegExp): void {
  expect({ status: answer.status, code: answer.code }, answer.text).toEqual({ status, code });
  expect(answer.headers['content-type']).toBe('application/json');
  expect(answer.headers['cache-control']).toMatch(/no-store|no-cache/);
  if (message !== undefined) expect(answer.text).toMatch(message);
}

test('JSON is put and read back byte for byte, in whatever digits it was written', async () => {
  const { httpPort } = await serveHttp();
  const value = '{ "big": 12345678901234567890,\n  "city": "Oslo" }';
  const put = await ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body: value, headers: JSON_TYPE });
  expect(put.status).toBe(200);
  expect(put.json()).toEqual({ version: put.headers['causeway-version'], duplicate: false });
  const got = await ask(httpPort, 'GET', '/v1/app/profiles/anna');
  expect(got.text).toBe(value);
  expect(got.headers).toMatchObject({
    'content-type': 'application/json',
    etag: put.headers.etag,
    'causeway-version': put.headers['causeway-version'],
    'causeway-region': 'us-west',
    'x-content-type-options': 'nosniff',
  });
  const head = await ask(httpPort, 'HEAD', '/v1/app/profiles/anna');
  expect({ status: head.status, text: head.text, length: head.headers['content-length'] }).toEqual({
    status: 200,
    text: '',
    length: String(value.length),
  });
});

test('bytes that are no JSON go in and out as they are, whatever they were called', async () => {
  const { httpPort } = await serveHttp();
  const bytes = Buffer.from([0, 255, 10, 13, 0x80]);
  await ask(httpPort, 'PUT', '/v1/app/profiles/raw', { body: bytes, headers: { 'Content-Type': 'text/html' } });
  const got = await ask(httpPort, 'GET', '/v1/app/profiles/raw');
  expect(got.body).toEqual(bytes);
  // Not as text/html: a stored page must not run in a browser.
  expect(got.headers['content-type']).toBe('application/octet-stream');

  await ask(httpPort, 'PUT', '/v1/app/profiles/json', { body: '{}' });
  const raw = await ask(httpPort, 'GET', '/v1/app/profiles/json', { headers: { Accept: 'application/octet-stream' } });
  expect(raw.headers['content-type']).toBe('application/octet-stream');
  expect((await ask(httpPort, 'PUT', '/v1/app/profiles/empty', { body: '' })).status).toBe(200);
  expect((await ask(httpPort, 'GET', '/v1/app/profiles/empty')).body).toHaveLength(0);
});

test.each([
  ['a/b//c', 'a/b//c'],
  ['a%2Fb', 'a/b'],
  ['%E2%82%AC%20x', '€ x'],
  ['a+b', 'a+b'],
  ['../up', '../up'],
  ['100%25', '100%'],
])('the key in the path %s is %s', async (path, key) => {
  const { httpPort, region } = await serveHttp();
  await ask(httpPort, 'PUT', `/v1/app/profiles/${path}`, { body: '1' });
  expect(region.applied[0]!.key).toBe(key);
  expect((await ask(httpPort, 'GET', `/v1/app/profiles/${path}`)).text).toBe('1');
});

test('an absent key is a 404, of every type', async () => {
  const { httpPort } = await serveHttp();
  for (const collection of ['profiles', 'drafts', 'delays', 'routes', 'flights']) {
    expectError(await ask(httpPort, 'GET', `/v1/app/${collection}/nobody`), 404, 'KEY_NOT_FOUND', /not_found/);
  }
  await ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body: '1' });
  expect((await ask(httpPort, 'DELETE', '/v1/app/profiles/anna')).status).toBe(200);
  expectError(await ask(httpPort, 'GET', '/v1/app/profiles/anna'), 404, 'KEY_NOT_FOUND');
});

test('counters, sets and maps are changed by POST', async () => {
  const { httpPort } = await serveHttp();
  const post = (path: string, change: unknown): Promise<Answer> =>
    ask(httpPort, 'POST', `/v1/app/${path}`, { body: JSON.stringify(change), headers: JSON_TYPE });
  const get = async (path: string): Promise<Record<string, unknown>> =>
    (await ask(httpPort, 'GET', `/v1/app/${path}`)).json();

  await post('delays/osl', { increment: 5 });
  await post('delays/osl', { increment: '9223372036854775807' });
  await post('delays/osl', { increment: -7 });
  expect(await get('delays/osl')).toEqual({ type: 'counter-pn', value: '9223372036854775805' });

  await post('routes/osl', { add: ['lhr', 'jfk', { $base64: '//8=' }] });
  await post('routes/osl', { remove: ['lhr'] });
  expect(await get('routes/osl')).toEqual({ type: 'set-aw', members: ['jfk', { $base64: '//8=' }] });

  await post('flights/sk1', {
    set: { gate: 'B12', delay: 3, __proto__: 1, note: { $text: 'no JSON' }, raw: { $base64: 'gA==' } },
  });
  await post('flights/sk1', { set: { trap: { $text: '{"$text":"x"}' } }, remove: ['delay'] });
  const { type, fields } = (await get('flights/sk1')) as {
    type: string;
    fields: Record<string, { value: unknown; version: string }>;
  };
  expect(type).toBe('map-lww');
  expect(Object.fromEntries(Object.entries(fields).map(([field, { value }]) => [field, value]))).toEqual({
    gate: 'B12',
    note: { $text: 'no JSON' },
    raw: { $base64: 'gA==' },
    // Looks like a wrapper, is JSON: wrapped itself.
    trap: { $text: '{"$text":"x"}' },
  });
  expect(fields['gate']!.version).toMatch(/^us-west~[0-9a-f]{12}\.\d+\.\d+$/);
});

test('a register-mv answers its siblings, and a write says which it has seen', async () => {
  const { httpPort, region } = await serveHttp();
  await ask(httpPort, 'PUT', '/v1/app/drafts/d', { body: '"one"' });
  const { siblings } = (await ask(httpPort, 'GET', '/v1/app/drafts/d')).json<{
    siblings: { value: unknown; version: string }[];
  }>();
  expect(siblings).toEqual([{ value: 'one', version: expect.stringContaining('us-west~') as string }]);
  const observed = { 'Causeway-Observed': siblings[0]!.version };
  await ask(httpPort, 'PUT', '/v1/app/drafts/d', { body: '"two"', headers: observed });
  const [origin, seq] = siblings[0]!.version.split('.');
  expect(region.applied[1]!.intent).toMatchObject({ kind: 'put', observed: [{ origin, seq: Number(seq) }] });
  await ask(httpPort, 'DELETE', '/v1/app/drafts/d', { headers: observed });
  expect(region.applied[2]!.intent).toMatchObject({ kind: 'delete', observed: [{ origin, seq: Number(seq) }] });
  const wrong = await ask(httpPort, 'PUT', '/v1/app/drafts/d', { body: '1', headers: { 'Causeway-Observed': 'x' } });
  expectError(wrong, 400, 'INVALID_ARGUMENT', /versions of siblings/);
  const other = await ask(httpPort, 'PUT', '/v1/app/profiles/d', { body: '1', headers: observed });
  expectError(other, 400, 'INVALID_ARGUMENT', /register-mv only/);
});

test('compare-and-set by ETag, create-if-absent, replace-if-there', async () => {
  const { httpPort } = await serveHttp();
  const put = (body: string, headers: Record<string, string>): Promise<Answer> =>
    ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body, headers });
  expectError(await put('0', { 'If-Match': '*' }), 412, 'PRECONDITION_FAILED');
  const created = await put('1', { 'If-None-Match': '*' });
  expect(created.status).toBe(201);
  expectError(await put('2', { 'If-None-Match': '*' }), 412, 'PRECONDITION_FAILED');
  const second = await put('2', { 'If-Match': created.headers.etag! });
  expect(second.status).toBe(200);
  expectError(await put('3', { 'If-Match': created.headers.etag! }), 412, 'PRECONDITION_FAILED', /failed_precondition/);
  expectError(await put('3', { 'If-Match': `W/${second.headers.etag}` }), 412, 'PRECONDITION_FAILED', /weak/);
  expectError(await put('3', { 'If-Match': '"of-something-else"' }), 412, 'PRECONDITION_FAILED');
  expect((await put('3', { 'If-Match': '*' })).status).toBe(200);
  const deleted = await ask(httpPort, 'DELETE', '/v1/app/profiles/anna', {
    headers: { 'If-Match': second.headers.etag! },
  });
  expectError(deleted, 412, 'PRECONDITION_FAILED');
  expect((await ask(httpPort, 'GET', '/v1/app/profiles/anna')).text).toBe('3');
});

test.each([
  [{ 'If-Match': 'no quotes' }, /with its quotes/],
  [{ 'If-Match': '"a", "b"' }, /one tag/],
  [{ 'If-None-Match': '"a"' }, /only if the key is absent/],
  [{ 'If-Match': '*', 'If-None-Match': '*' }, /at most one condition/],
])('the condition %j is refused', async (headers, message) => {
  const { httpPort, region } = await serveHttp();
  const answer = await ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body: '1', headers });
  expectError(answer, 400, 'INVALID_ARGUMENT', message);
  expect(region.writes).toHaveLength(0);
});

test('what merges is not compared by version', async () => {
  const { httpPort } = await serveHttp();
  const change = { body: '{"increment":1}', headers: { ...JSON_TYPE, 'If-Match': '"x"' } };
  expectError(await ask(httpPort, 'POST', '/v1/app/delays/d', change), 400, 'INVALID_ARGUMENT', /register-lww/);
});

test('If-None-Match on a read: 304 while it is still so', async () => {
  const { httpPort } = await serveHttp();
  const change = (by: number): Promise<Answer> =>
    ask(httpPort, 'POST', '/v1/app/delays/d', { body: `{"increment":${by}}`, headers: JSON_TYPE });
  await ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body: '1' });
  await change(1);
  for (const path of ['/v1/app/profiles/anna', '/v1/app/delays/d']) {
    const first = await ask(httpPort, 'GET', path);
    const etag = first.headers.etag!;
    for (const header of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const again = await ask(httpPort, 'GET', path, { headers: { 'If-None-Match': header } });
      expect({ status: again.status, text: again.text, etag: again.headers.etag }).toEqual({
        status: 304,
        text: '',
        etag,
      });
      expect(again.headers['cache-control']).toBe('no-cache');
    }
    expect((await ask(httpPort, 'GET', path, { headers: { 'If-None-Match': '"x"' } })).status).toBe(200);
    expectError(await ask(httpPort, 'GET', path, { headers: { 'If-Match': '"x"' } }), 412, 'PRECONDITION_FAILED');
    expect((await ask(httpPort, 'GET', path, { headers: { 'If-Match': etag } })).status).toBe(200);
  }
  const before = (await ask(httpPort, 'GET', '/v1/app/delays/d')).headers.etag!;
  await change(1);
  const changed = await ask(httpPort, 'GET', '/v1/app/delays/d', { headers: { 'If-None-Match': before } });
  expect(changed.status).toBe(200);
});

test('caches keep what no session asked for, as long as the reader or the listener says', async () => {
  const { httpPort, region } = await serveHttp({ cacheSeconds: 7 });
  const put = await ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body: '1' });
  expect(put.headers['cache-control']).toBe('no-store');
  const cache = async (path: string, headers: Record<string, string> = {}): Promise<string | undefined> =>
    (await ask(httpPort, 'GET', `/v1/app/profiles/${path}`, { headers })).headers['cache-control'];
  expect(await cache('anna')).toBe('max-age=7');
  expect(await cache('nobody')).toBe('max-age=7');
  expect(await cache('anna?maxAge=60')).toBe('max-age=60');
  expect(await cache('anna?maxAge=0')).toBe('no-cache');
  const session = { 'Causeway-Session': put.headers['causeway-session'] as string };
  expect(await cache('anna', session)).toBe('no-store');
  // Also a local read: its answer carries the token that came.
  expect(await cache('anna?consistency=local', session)).toBe('no-store');
  const { vary } = (await ask(httpPort, 'GET', '/v1/app/profiles/anna')).headers;
  expect(vary).toContain('Causeway-Session');
  region.refuseRead = () => new CausewayError('NOT_READY', 'a test');
  expect(await cache('anna')).toBe('no-store');
});

test('a cache never keeps a value beyond its end', async () => {
  const { httpPort, region } = await serveHttp({ cacheSeconds: 3600 });
  await ask(httpPort, 'PUT', '/v1/app/profiles/brief?ttlMs=60000', { body: '1' });
  const { intent } = region.applied[0]!;
  const { headers } = await ask(httpPort, 'GET', '/v1/app/profiles/brief');
  expect(headers['causeway-expires-at-ms']).toBe(String((intent as { expiresAtMs: number }).expiresAtMs));
  const [, seconds] = /^max-age=(\d+)$/.exec(headers['cache-control']!)!;
  expect(Number(seconds)).toBeLessThanOrEqual(60);
});

test('staleness is the region’s, and unknown is said to be unknown', async () => {
  const { httpPort, region } = await serveHttp();
  const staleness = async (): Promise<unknown> =>
    (await ask(httpPort, 'GET', '/v1/app/profiles/anna')).headers['causeway-staleness-ms'];
  expect(await staleness()).toBe('0');
  region.staleness = 120.4;
  expect(await staleness()).toBe('121');
  region.staleness = undefined;
  expect(await staleness()).toBe('unknown');
});

test('a session reads causally what it wrote, elsewhere too, and grows with what it sees', async () => {
  const west = await serveHttp({ name: 'us-west' });
  const east = await serveHttp({ name: 'us-east' });
  const put = await ask(west.httpPort, 'PUT', '/v1/app/profiles/anna', { body: '1' });
  const session = { 'Causeway-Session': put.headers['causeway-session'] as string };

  const behind = await ask(east.httpPort, 'GET', '/v1/app/profiles/anna', { headers: session });
  expectError(behind, 503, 'SESSION_BEHIND');
  expect(behind.headers['retry-after']).toBe('1');
  expect(east.region.reads[0]!.consistency).toMatchObject({ kind: 'causal', allowStale: false });
  const local = await ask(east.httpPort, 'GET', '/v1/app/profiles/anna?consistency=local', { headers: session });
  expectError(local, 404, 'KEY_NOT_FOUND');
  const stale = await ask(east.httpPort, 'GET', '/v1/app/profiles/anna?allowStale', { headers: session });
  expect({ status: stale.status, stale: stale.headers['causeway-stale'] }).toEqual({ status: 404, stale: 'true' });

  east.region.replicateFrom(west.region);
  const seen = await ask(east.httpPort, 'GET', '/v1/app/profiles/anna', { headers: session });
  expect(seen.text).toBe('1');
  const grown = { 'Causeway-Session': seen.headers['causeway-session'] as string };
  const write = await ask(east.httpPort, 'PUT', '/v1/app/profiles/bert', { body: '2', headers: grown });
  // The write is stamped above what the session has seen, and the token has both.
  expect(east.region.writes[0]!.session!.size).toBeGreaterThan(0);
  const both = { 'Causeway-Session': write.headers['causeway-session'] as string };
  expectError(await ask(west.httpPort, 'GET', '/v1/app/profiles/bert', { headers: both }), 503, 'SESSION_BEHIND');
});

test('I12: a session has a bound; what goes is what every region passed first', async () => {
  const { httpPort } = await serveHttp();
  const stamps = new Map(Array.from({ length: 1100 }, (_, i) => [originId(regionId('eu'), i), 1000 + i]));
  const session = sessionToText(new Map([[shardId(1, 0), stamps]]), 'test-cluster');
  const answer = await ask(httpPort, 'GET', '/v1/app/profiles/anna?consistency=local', {
    headers: { 'Causeway-Session': session },
  });
  const kept = sessionFromText(answer.headers['causeway-session'] as string, 'test-cluster').get(shardId(1, 0))!;
  expect(kept.size).toBe(1024);
  expect(Math.min(...kept.values())).toBe(1000 + 1100 - 1024);
});

test.each([
  ['consistency=causal', {}, /needs a session/],
  ['consistency=strong', {}, /local, causal, bounded or stable/],
  ['consistency=bounded', {}, /needs maxStaleMs/],
  ['consistency=bounded&maxStaleMs=0', {}, /from 1 to 3600000/],
  ['consistency=stable&maxStaleMs=5', {}, /maxStaleMs is for consistency=bounded/],
  ['maxStaleMs=5', {}, /this read is local/],
  ['', { 'Causeway-Session': 'not a token!' }, /session token/],
  ['', { 'Causeway-Session': 'AAAA' }, /session token/],
  ['deadlineMs=0', {}, /from 1 to 60000/],
  ['deadlineMs=5&deadlineMs=6', {}, /2 times/],
  ['deadlineMs=5', { 'Causeway-Deadline-Ms': '6' }, /in the query and '6' in the header/],
  ['allowStale=perhaps', {}, /true or false/],
  ['maxAge=-1', {}, /maxAge is a whole number/],
  ['consistancy=causal', {}, /did you mean 'consistency'/],
  ['ttlMs=5', {}, /no query parameter 'ttlMs'/],
  ['a=%zz', {}, /percent-encoded/],
  ['from=beginning', {}, /no query parameter 'from'/],
])('GET with %s and %j is refused', async (query, headers, message) => {
  const { httpPort, region } = await serveHttp();
  const answer = await ask(httpPort, 'GET', `/v1/app/profiles/anna?${query}`, { headers });
  expectError(answer, 400, 'INVALID_ARGUMENT', message);
  expect(region.reads).toHaveLength(0);
});

test('bounded and stable reads, of a key, of keys and in pages', async () => {
  const { httpPort, region } = await serveHttp();
  await ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body: '1' });
  for (const path of ['profiles/anna?', 'profiles?key=anna&', 'profiles?']) {
    const bounded = await ask(httpPort, 'GET', `/v1/app/${path}consistency=bounded&maxStaleMs=250`);
    expect({ status: bounded.status, cache: bounded.headers['cache-control'] }).toEqual({
      status: 200,
      cache: 'no-store',
    });
    await ask(httpPort, 'GET', `/v1/app/${path}`, {
      headers: { 'Causeway-Consistency': 'bounded', 'Causeway-Max-Stale-Ms': '7' },
    });
    const stable = await ask(httpPort, 'GET', `/v1/app/${path}consistency=stable`);
    // The double has a cut for scans only.
    if (path === 'profiles?') expect(stable.headers['causeway-as-of-stamp']).toMatch(/^\d+$/);
  }
  const asked = [{ kind: 'bounded', maxStaleMs: 250 }, { kind: 'bounded', maxStaleMs: 7 }, { kind: 'stable' }];
  expect(region.reads.map(({ consistency }) => consistency)).toEqual([...asked, ...asked]);
});

test('consistency, deadline and durability by header', async () => {
  const { httpPort, region } = await serveHttp();
  const headers = { 'Causeway-Deadline-Ms': '123', 'Causeway-Durability': 'regions:2' };
  await ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body: '1', headers });
  expect(region.writes[0]).toMatchObject({ deadlineMs: 123, durability: { kind: 'regions', n: 2 } });
  await ask(httpPort, 'DELETE', '/v1/app/profiles/anna?durability=applied');
  expect(region.writes[1]).toMatchObject({ deadlineMs: 5000, durability: { kind: 'applied' } });
  await ask(httpPort, 'GET', '/v1/app/profiles/anna?deadlineMs=77', { headers: { 'Causeway-Consistency': 'local' } });
  expect(region.reads[0]).toMatchObject({ deadlineMs: 77, consistency: { kind: 'local' } });
  const wrong = await ask(httpPort, 'PUT', '/v1/app/profiles/anna?durability=regions:0', { body: '1' });
  expectError(wrong, 400, 'INVALID_ARGUMENT', /regions:N/);
});

test('a retry with its idempotency key is answered with the first result', async () => {
  const { httpPort, region } = await serveHttp();
  const put = (headers: Record<string, string>): Promise<Answer> =>
    ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body: '1', headers: { 'If-None-Match': '*', ...headers } });
  const issued = { 'Causeway-Issued-At-Ms': '1700000000000' };
  const first = await put({ 'Idempotency-Key': 'order-1', ...issued });
  const second = await put({ 'Idempotency-Key': '"order-1"', ...issued });
  expect(first.json()).toMatchObject({ duplicate: false });
  expect(second.json()).toEqual({ version: first.json<{ version: string }>().version, duplicate: true });
  expect([first.status, second.status]).toEqual([201, 201]);
  // The value may have changed since.
  expect(second.headers.etag).toBeUndefined();
  expect(region.applied).toHaveLength(1);
  expect(region.applied[0]).toMatchObject({
    idempotency: { kind: 'key', key: 'order-1' },
    issuedAtMs: 1_700_000_000_000,
  });
  expectError(await put({ 'Idempotency-Key': 'x'.repeat(129), ...issued }), 400, 'INVALID_ARGUMENT', /1 to 128/);
  expectError(await put({ 'Idempotency-Key': 'order-2' }), 400, 'INVALID_ARGUMENT', /needs Causeway-Issued-At-Ms/);
  expectError(await put({ 'Causeway-Issued-At-Ms': 'now' }), 400, 'INVALID_ARGUMENT', /Unix ms/);
});

test('a trace travels with the op', async () => {
  const { httpPort, region } = await serveHttp();
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body: '1', headers: { traceparent } });
  await ask(httpPort, 'PUT', '/v1/app/profiles/anna', { body: '1', headers: { traceparent: 'garbage' } });
  expect(Buffer.from(region.applied[0]!.trace!).toString('hex')).toBe(
    '0af7651916cd43dd8448eb211c80319cb7ad6b716920333101',
  );
  expect(region.applied[1]!.trace).toBeUndefined();
});

test('what a type does not take is a 405 that says what it does', async () => {
  const { httpPort } = await serveHttp();
  for (const collection of ['delays', 'routes', 'flights']) {
    const answer = await ask(httpPort, 'PUT', `/v1/app/${collection}/x`, { body: '1' });
    expectError(answer, 405, 'WRONG_OPERATION', /changed by POST/);
    expect(answer.headers.allow).toBe('GET, HEAD, POST, DELETE');
  }
  for (const collection of ['profiles', 'drafts']) {
    const answer = await ask(httpPort, 'POST', `/v1/app/${collection}/x`, { body: '{}', headers: JSON_TYPE });
    expectError(answer, 405, 'WRONG_OPERATION', /replaced by PUT/);
    expect(answer.headers.allow).toBe('GET, HEAD, PUT, DELETE');
  }
});

test.each([
  ['delays', '{"add":["x"]}', 400, 'WRONG_OPERATION', /increment/],
  ['delays', '{}', 400, 'WRONG_OPERATION', /nothing to change/],
  ['delays', '[1]', 400, 'INVALID_ARGUMENT', /got an array/],
  ['delays', '{"increment":1.5}', 400, 'INVALID_ARGUMENT', /whole number/],
  ['delays', '{"increment":9007199254740993}', 400, 'INVALID_ARGUMENT', /as a string/],
  ['delays', '{"increment":"9223372036854775808"}', 400, 'INVALID_ARGUMENT', /2\^63/],
  ['delays', '{"increment":', 400, 'INVALID_ARGUMENT', /not JSON/],
  ['routes', '{"add":["x"],"remove":["y"]}', 400, 'INVALID_ARGUMENT', /two requests/],
  ['routes', '{"add":"x"}', 400, 'INVALID_ARGUMENT', /an array/],
  ['routes', '{"add":[1]}', 400, 'INVALID_ARGUMENT', /add\[0\] is a string/],
  ['routes', '{"add":[{"$base64":"?"}]}', 400, 'INVALID_ARGUMENT', /base64/],
  ['routes', '{"add":["\\ud800"]}', 400, 'INVALID_ARGUMENT', /surrogate/],
  ['flights', '{"set":[1]}', 400, 'INVALID_ARGUMENT', /a value per field/],
  ['flights', '{"set":{"a":12345678901234567890}}', 400, 'INVALID_ARGUMENT', /lose digits/],
  ['flights', `{"set":{"a":${'['.repeat(1000)}${']'.repeat(1000)}}}`, 400, 'INVALID_ARGUMENT', /deeper/],
  ['flights', '{"remove":[1]}', 400, 'INVALID_ARGUMENT', /strings/],
  ['flights', '{"put":{"a":1}}', 400, 'WRONG_OPERATION', /'put'/],
] as const)('POST to %s of %s is refused', async (collection, body, status, code, message) => {
  const { httpPort, region } = await serveHttp();
  expectError(
    await ask(httpPort, 'POST', `/v1/app/${collection}/x`, { body, headers: JSON_TYPE }),
    status,
    code,
    message,
  );
  expect(region.writes).toHaveLength(0);
});

test('expiry goes with what can expire', async () => {
  const { httpPort, region } = await serveHttp();
  const post = (path: string, body: string): Promise<Answer> =>
    ask(httpPort, 'POST', `/v1/app/${path}?ttlMs=1000`, { body, headers: JSON_TYPE });
  expectError(await post('delays/x', '{"increment":1}'), 400, 'INVALID_ARGUMENT', /does not expire/);
  expectError(await post('routes/x', '{"remove":["a"]}'), 400, 'INVALID_ARGUMENT', /does not expire/);
  expect((await post('routes/x', '{"add":["a"]}')).status).toBe(200);
  expect((await post('flights/x', '{"set":{"a":1}}')).status).toBe(200);
  expect(region.applied.map(({ intent }) => intent)).toMatchObject([
    { kind: 'set-add', expiresAtMs: expect.any(Number) as number },
    { kind: 'map-update', put: [{ field: 'a', expiresAtMs: expect.any(Number) as number }] },
  ]);
});

test.each([
  ['/v1/app/profiles/', 400, 'INVALID_ARGUMENT', /1 to 1024 bytes/],
  ['/v1/app/profiles/%ff', 400, 'INVALID_ARGUMENT', /percent-encoded/],
  ['/v1/app/profiles/%', 400, 'INVALID_ARGUMENT', /%25/],
  ['/v1/app/profiles/%EF%BF%BD', 400, 'INVALID_ARGUMENT', /U\+FFFD/],
  [`/v1/app/profiles/${'x'.repeat(1025)}`, 413, 'TOO_LARGE', /1024/],
  ['/v1/app/profile/x', 404, 'UNKNOWN_COLLECTION', /did you mean 'profiles'/],
  ['/v1/apps/profiles/x', 404, 'UNKNOWN_COLLECTION', /did you mean 'app'/],
  ['/v1//profiles/x', 400, 'INVALID_ARGUMENT', /names no namespace/],
  ['/v1/app//x', 400, 'INVALID_ARGUMENT', /names no collection/],
  ['/v1/a%20b/profiles/x', 400, 'INVALID_ARGUMENT', /1 to 64/],
] as const)('%s is refused', async (path, status, code, message) => {
  const { httpPort } = await serveHttp();
  expectError(await ask(httpPort, 'GET', path), status, code, message);
  expectError(await ask(httpPort, 'PUT', path, { body: '1' }), status, code, message);
});

test('what the body is called matters where it must', async () => {
  const { httpPort, region } = await serveHttp();
  const put = (headers: Record<string, string>): Promise<Answer> =>
    ask(httpPort, 'PUT', '/v1/app/profiles/x', { body: '{', headers });
  expectError(await put(JSON_TYPE), 400, 'INVALID_ARGUMENT', /not JSON/);
  expectError(
    await put({ 'Content-Type': 'application/problem+json; charset=utf-8' }),
    400,
    'INVALID_ARGUMENT',
    /not JSON/,
  );
  expectError(
    await put({ 'Content-Type': 'multipart/form-data; boundary=x' }),
    415,
    'INVALID_ARGUMENT',
    /--data-binary/,
  );
  expectError(await put({ 'Content-Encoding': 'gzip' }), 415, 'INVALID_ARGUMENT', /gzip/);
  const change = { body: '{"increment":1}', headers: { 'Content-Type': 'text/plain' } };
  expectError(await ask(httpPort, 'POST', '/v1/app/delays/x', change), 415, 'INVALID_ARGUMENT', /--json/);
  expect(region.writes).toHaveLength(0);
});

test.each([
  ['OVERLOADED', 429, 'resource_exhausted'],
  ['READ_ONLY', 503, 'unavailable'],
  ['IDEMPOTENCY_WINDOW_PASSED', 409, 'failed_precondition'],
  ['DURABILITY_NOT_REACHED', 504, 'deadline_exceeded'],
  ['INDETERMINATE', 504, 'unknown'],
  ['INTERNAL', 500, 'internal'],
] as const)('a write that fails with %s is a %i, as Connect says it', async (code, status, connect) => {
  const { httpPort, region } = await serveHttp();
  const error = new CausewayError(code, 'told so by a test', {
    details: { n: 1n },
    hint: 'nothing',
    retryAfterMs: 1500,
  });
  region.refuse = () => error;
  const answer = await ask(httpPort, 'PUT', '/v1/app/profiles/x', { body: '1' });
  expectError(answer, status, code);
  expect(answer.json()).toMatchObject({
    code: connect,
    message: 'told so by a test (nothing)',
    details: [
      {
        type: 'causeway.v1.ErrorDetail',
        debug: {
          code,
          message: 'told so by a test',
          hint: 'nothing',
          outcome: error.outcome,
          retriable: error.retriable,
          details: { n: '1' },
        },
      },
    ],
  });
  expect(answer.headers['retry-after']).toBe(error.retriable ? '2' : undefined);
});
