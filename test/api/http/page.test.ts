// What a node serves for its page: the files, and answers about itself and other regions.

import { expect, test, vi } from 'vitest';
import { Neighbours, type Place } from '../../../src/api/http/page/neighbours.ts';
import type {
  ClusterMessage,
  ConflictsMessage,
  KeyMessage,
  NodeMessage,
  TracesMessage,
} from '../../../src/api/http/page/messages.ts';
import { preview } from '../../../src/api/http/page/previews.ts';
import type { PageSources } from '../../../src/api/http/page/sources.ts';
import { CausewayError } from '../../../src/errors/errors.ts';
import type { NodeFigures } from '../../../src/region/figures.ts';
import { cleanup, system } from '../../support/api.ts';
import { FakeRegion } from '../../support/fake-region.ts';
import { ask, serveHttp, type HttpServed } from '../../support/http.ts';

interface Paged extends HttpServed {
  readonly changes: string[];
  readonly fake: FakeRegion;
}

function place(name: string, ...http: string[]): Place {
  return { name, lat: 1, lon: 2, clients: `${name}:7400`, http };
}

async function servePage(name: string, others: readonly Place[] = [], more: Partial<PageSources> = {}): Promise<Paged> {
  const fake = new FakeRegion({ name, system });
  const places = [place(name), ...others];
  const changes: string[] = [];
  const neighbours = new Neighbours({
    places,
    system,
    onChange: (region, problem) => changes.push(`${region} ${problem === '' ? 'up' : 'down'}`),
  });
  cleanup(() => neighbours.stop());
  const page: PageSources = {
    places,
    neighbours,
    figures: () =>
      ({
        status: fake.status(),
        peers: [],
        shards: [],
        storeBacklogKeys: 0,
        subscriptions: 0,
        journalEntries: 0,
      }) as unknown as NodeFigures,
    history: (sinceMs) => ({
      region: name,
      nowMs: sinceMs,
      atMs: [],
      writes: [],
      applied: [],
      refused: [],
      conflicts: [],
      receivedBytes: [],
      lagMs: {},
    }),
    events: () => [],
    recentTraces: undefined,
    ...more,
  };
  return { ...(await serveHttp({ region: fake, page })), changes, fake };
}

test('the page may load from its own node and nothing else, and nobody may frame it', async () => {
  const { httpPort } = await servePage('us');
  for (const path of ['/', '/ui']) {
    expect(await ask(httpPort, 'GET', path)).toMatchObject({ status: 302, headers: { location: '/ui/' } });
  }
  const index = await ask(httpPort, 'GET', '/ui/');
  expect(index.status).toBe(200);
  const policy = String(index.headers['content-security-policy']);
  expect(policy.split('; ')).toEqual(
    expect.arrayContaining([
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "connect-src 'self'",
      "frame-ancestors 'none'",
    ]),
  );
  expect(policy).not.toContain('unsafe');
  expect(index.headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  });
  expect(index.headers['access-control-allow-origin']).toBeUndefined();
  const files = [...index.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
  expect(files.length).toBeGreaterThanOrEqual(3);
  for (const file of files) {
    expect(file).toMatch(/^\/ui\/assets\/[\w.-]+$/);
    const asset = await ask(httpPort, 'GET', file);
    expect(asset).toMatchObject({ status: 200, headers: { 'cache-control': 'max-age=31536000, immutable' } });
    const tag = String(asset.headers['etag']);
    expect((await ask(httpPort, 'GET', file, { headers: { 'If-None-Match': tag } })).status).toBe(304);
  }
  // Nothing inline: the policy would refuse it.
  expect(index.text).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/);
});

test('there are no other files, whatever the path tries', async () => {
  const { httpPort } = await servePage('us');
  for (const path of [
    '/ui/assets/none.js',
    '/ui/assets/..%2f..%2fpackage.json',
    '/ui/assets/../index.html',
    '/ui/index.html',
    '/ui/api/none',
  ]) {
    expect((await ask(httpPort, 'GET', path)).status, path).toBe(404);
  }
  expect((await ask(httpPort, 'POST', '/ui/api/cluster', { body: '{}' })).status).toBe(405);
});

test('one node answers for all regions; one that is not reached is told as such, with what it said last', async () => {
  const eu = await servePage('eu');
  const us = await servePage('us', [place('eu', `127.0.0.1:${eu.httpPort}`), place('ap')]);
  const first = (await ask(us.httpPort, 'GET', '/ui/api/cluster')).json<ClusterMessage>();
  expect(first).toMatchObject({ region: 'us', clusterId: 'test-cluster' });
  expect(first.regions.map(({ name, node, problem }) => [name, node?.region, problem])).toEqual([
    ['us', 'us', ''],
    ['eu', 'eu', ''],
    ['ap', undefined, 'regions[].http says no address of ap'],
  ]);
  await eu.http.stop();
  await vi.waitFor(
    async () => {
      const { regions } = (await ask(us.httpPort, 'GET', '/ui/api/cluster')).json<ClusterMessage>();
      expect(regions[1]).toMatchObject({ name: 'eu', node: { region: 'eu' } });
      expect(regions[1]!.problem).toContain('ECONNREFUSED');
      expect(regions[1]!.ageMs).toBeGreaterThan(0);
    },
    { timeout: 20_000 },
  );
  expect(us.changes).toEqual(['eu down']);
});

test('pages that ask at once cost a region one question', async () => {
  const eu = await servePage('eu');
  const us = await servePage('us', [place('eu', `127.0.0.1:${eu.httpPort}`)]);
  const status = vi.spyOn(eu.fake, 'status');
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(us.httpPort, 'GET', '/ui/api/cluster')));
  expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 20 }, () => 200));
  expect(status.mock.calls.length).toBeLessThanOrEqual(2);
});

test('a node that is of another region than the configuration says is not taken for it', async () => {
  const ap = await servePage('ap');
  const us = await servePage('us', [place('eu', `127.0.0.1:${ap.httpPort}`)]);
  const { regions } = (await ask(us.httpPort, 'GET', '/ui/api/cluster')).json<ClusterMessage>();
  expect(regions[1]).toMatchObject({ node: null, problem: 'the node there is of ap' });
});

test('the next address of a region is asked when one does not answer', async () => {
  const gone = await servePage('eu');
  await gone.http.stop();
  const eu = await servePage('eu');
  const us = await servePage('us', [place('eu', `127.0.0.1:${gone.httpPort}`, `127.0.0.1:${eu.httpPort}`)]);
  const { regions } = (await ask(us.httpPort, 'GET', '/ui/api/cluster')).json<ClusterMessage>();
  expect(regions[1]).toMatchObject({ node: { region: 'eu' }, problem: '' });
});

test('a question about another region is asked there; only regions of the configuration can be asked', async () => {
  const trace = { traceId: 'ab', spans: [] };
  const limits: number[] = [];
  const eu = await servePage('eu', [], {
    recentTraces: (limit) => {
      limits.push(limit);
      return [trace];
    },
  });
  const us = await servePage('us', [place('eu', `127.0.0.1:${eu.httpPort}`)]);
  expect((await ask(us.httpPort, 'GET', '/ui/api/traces')).json<TracesMessage>()).toEqual({
    region: 'us',
    on: false,
    traces: [],
  });
  expect((await ask(us.httpPort, 'GET', '/ui/api/traces?region=eu&limit=7')).json<TracesMessage>()).toEqual({
    region: 'eu',
    on: true,
    traces: [trace],
  });
  expect(limits).toEqual([7]);
  expect(await ask(us.httpPort, 'GET', '/ui/api/traces?region=127.0.0.1:22')).toMatchObject({
    status: 400,
    code: 'INVALID_ARGUMENT',
  });
  // What is wrong with it there is said as it is said there.
  expect(await ask(us.httpPort, 'GET', '/ui/api/traces?region=eu&limit=0')).toMatchObject({
    status: 400,
    code: 'INVALID_ARGUMENT',
  });
  await eu.http.stop();
  expect(await ask(us.httpPort, 'GET', '/ui/api/history?region=eu&sinceMs=1')).toMatchObject({
    status: 503,
    code: 'UNAVAILABLE',
  });
});

test('conflicts and keys come with both values, bounded, whatever the bytes are', async () => {
  const { httpPort, fake, region } = await servePage('us');
  const version = (seq: number): { origin: typeof fake.origin; seq: number; stamp: number } => ({
    origin: fake.origin,
    seq,
    stamp: seq * 4096,
  });
  region.conflictList = [
    {
      atMs: 5,
      shard: '1/0',
      collection: { namespace: 'app', name: 'profiles', id: 1, type: 'register-lww' },
      key: 'anna',
      field: undefined,
      loser: version(1),
      loserValue: Buffer.from('{"city":"Oslo"}'),
      loserExpiresAtMs: undefined,
      winner: version(2),
      winnerDeletes: false,
      offset: 1,
      index: 0,
    } as unknown as (typeof region.conflictList)[number],
  ];
  const conflicts = (
    await ask(httpPort, 'GET', '/ui/api/conflicts?namespace=app&collection=profiles&prefix=an')
  ).json<ConflictsMessage>();
  expect(conflicts.conflicts).toMatchObject([
    {
      key: 'anna',
      field: null,
      loser: version(1),
      winner: version(2),
      loserValue: { form: 'json', text: '{"city":"Oslo"}' },
    },
  ]);
  await ask(httpPort, 'PUT', '/v1/app/profiles/anna', {
    body: '{"city":"Bergen"}',
    headers: { 'Content-Type': 'application/json' },
  });
  const key = (await ask(httpPort, 'GET', '/ui/api/key?namespace=app&collection=profiles&key=anna')).json<KeyMessage>();
  expect(key).toMatchObject({ region: 'us', type: 'register-lww', conflicts: [{ key: 'anna' }] });
  expect(await ask(httpPort, 'GET', '/ui/api/key?namespace=app&collection=nothing&key=anna')).toMatchObject({
    status: 404,
    code: 'UNKNOWN_COLLECTION',
  });
});

test('a preview is bounded text', () => {
  expect(preview(Buffer.from('{"a": 1}'))).toEqual({ form: 'json', text: '{"a": 1}', bytes: 8, cut: false });
  expect(preview(Buffer.from('no json'))).toMatchObject({ form: 'text', text: 'no json' });
  expect(preview(Uint8Array.of(0xff, 0xfe))).toEqual({ form: 'base64', text: '//4=', bytes: 2, cut: false });
  const long = preview(Buffer.from('ü'.repeat(10_000)));
  expect(long).toMatchObject({ form: 'text', bytes: 20_000, cut: true });
  expect(long.text).toBe('ü'.repeat(2000));
  expect(preview(new Uint8Array(1_000_000).fill(0xff)).text.length).toBeLessThan(3000);
});

test('who may not operate gets nothing of it', async () => {
  const { httpPort, server } = await servePage('us');
  const refused = new CausewayError('UNAVAILABLE', 'not for you');
  vi.spyOn(server.env.access, 'check').mockImplementation((_, action) => (action === 'operate' ? refused : undefined));
  cleanup(() => vi.restoreAllMocks());
  for (const path of ['node', 'cluster', 'history', 'events', 'traces', 'conflicts', 'key']) {
    expect((await ask(httpPort, 'GET', `/ui/api/${path}`)).status, path).toBe(503);
  }
});

test('a listener that has nothing for a page says so', async () => {
  const { httpPort } = await serveHttp();
  expect(await ask(httpPort, 'GET', '/ui/api/node')).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  const { ready } = (await ask((await servePage('us')).httpPort, 'GET', '/ui/api/node')).json<NodeMessage>();
  expect(ready).toBe(true);
});
