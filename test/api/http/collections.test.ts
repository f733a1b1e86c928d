// Several keys, scans, and what a namespace has.

import { expect, test } from 'vitest';
import { ask, serveHttp, type Answer } from '../../support/http.ts';

interface Entries {
  readonly entries: readonly { readonly key: string; readonly value?: unknown; readonly absent?: true }[];
  readonly nextPageToken?: string;
}

async function fill(port: number, keys: readonly string[]): Promise<void> {
  for (const key of keys) await ask(port, 'PUT', `/v1/app/profiles/${encodeURIComponent(key)}`, { body: `"${key}"` });
}

test('keys by name, in the order they were asked for, absent ones included', async () => {
  const { httpPort } = await serveHttp();
  await fill(httpPort, ['a', 'b/c']);
  await ask(httpPort, 'PUT', '/v1/app/profiles/raw', { body: Buffer.from([255]) });
  const answer = await ask(httpPort, 'GET', '/v1/app/profiles?key=b%2Fc&key=nobody&key=raw&key=a');
  expect(answer.status).toBe(200);
  expect(answer.json<Entries>().entries).toEqual([
    { key: 'b/c', type: 'register-lww', version: expect.any(String) as string, value: 'b/c' },
    { key: 'nobody', type: 'register-lww', absent: true },
    { key: 'raw', type: 'register-lww', version: expect.any(String) as string, value: { $base64: '/w==' } },
    { key: 'a', type: 'register-lww', version: expect.any(String) as string, value: 'a' },
  ]);
  expect(answer.headers['causeway-session']).toBeDefined();
  expect(answer.headers['cache-control']).toBe('no-cache');
});

test('values of several lines stand on one in a document, digit for digit', async () => {
  const { httpPort } = await serveHttp();
  await ask(httpPort, 'PUT', '/v1/app/profiles/a', { body: '{\r\n "n": 1.10,\n "big": 12345678901234567890 }\n' });
  const { text } = await ask(httpPort, 'GET', '/v1/app/profiles?key=a');
  expect(text).toContain('"value":{  "n": 1.10,  "big": 12345678901234567890 }}');
});

test('a scan goes page by page to the end, with a prefix', async () => {
  const { httpPort } = await serveHttp();
  await fill(httpPort, ['p/3', 'p/1', 'q', 'p/2', 'p/é']);
  const pages: string[][] = [];
  let token = '';
  do {
    const page = (
      await ask(httpPort, 'GET', `/v1/app/profiles?prefix=p/&pageSize=2&pageToken=${token}`)
    ).json<Entries>();
    pages.push(page.entries.map(({ key }) => key));
    token = page.nextPageToken ?? '';
  } while (token !== '');
  expect(pages).toEqual([
    ['p/1', 'p/2'],
    ['p/3', 'p/é'],
  ]);
  const all = (await ask(httpPort, 'GET', '/v1/app/profiles')).json<Entries>();
  expect(all).toMatchObject({ entries: [{}, {}, {}, {}, { key: 'q' }] });
  expect(all.nextPageToken).toBeUndefined();
  expect((await ask(httpPort, 'GET', '/v1/app/routes')).json<Entries>()).toEqual({ entries: [] });
});

test('a page token is of its scan', async () => {
  const { httpPort } = await serveHttp();
  await fill(httpPort, ['a', 'b']);
  const { nextPageToken } = (await ask(httpPort, 'GET', '/v1/app/profiles?pageSize=1')).json<Entries>();
  const refused = async (query: string): Promise<Answer> => ask(httpPort, 'GET', `/v1/app/profiles?${query}`);
  for (const [query, message] of [
    [`prefix=a&pageToken=${nextPageToken}`, /another namespace, collection or prefix/],
    ['pageToken=garbage', /none that a node wrote/],
    ['pageSize=0', /pageSize is a whole number/],
    ['key=a&prefix=a', /expected one of the two/],
    ['key=', /1 to 1024/],
  ] as const) {
    const answer = await refused(query);
    expect({ status: answer.status, code: answer.code }, query).toEqual({ status: 400, code: 'INVALID_ARGUMENT' });
    expect(answer.text).toMatch(message);
  }
});

test('too many keys at once', async () => {
  const { httpPort } = await serveHttp({ limits: { keysPerReadMax: 2 } });
  const answer = await ask(httpPort, 'GET', '/v1/app/profiles?key=a&key=b&key=c');
  expect({ status: answer.status, code: answer.code }).toEqual({ status: 413, code: 'TOO_LARGE' });
});

test('an answer that would be too large', async () => {
  const { httpPort } = await serveHttp({ limits: { responseBytesMax: 100 } });
  await fill(httpPort, ['a'.repeat(60)]);
  const answer = await ask(httpPort, 'GET', `/v1/app/profiles?key=${'a'.repeat(60)}`);
  expect(answer.code).toBe('TOO_LARGE');
  expect(answer.text).toMatch(/fewer keys/);
});

test('a namespace tells its collections', async () => {
  const { httpPort } = await serveHttp();
  const answer = await ask(httpPort, 'GET', '/v1/app');
  expect(answer.json()).toMatchObject({
    namespace: 'app',
    region: 'us-west',
    collections: expect.arrayContaining([{ name: 'delays', type: 'counter-pn' }]) as unknown,
  });
  expect((await ask(httpPort, 'GET', '/v1/ap')).code).toBe('UNKNOWN_COLLECTION');
  expect((await ask(httpPort, 'GET', '/v1/app?prefix=x')).code).toBe('INVALID_ARGUMENT');
});
