// The listener over real loopback gRPC, with clients that are not ours: what is refused, and how clearly.

import { connect as tcp } from 'node:net';
import { connect as http2 } from 'node:http2';
import { once } from 'node:events';
import { Metadata } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { FORWARDED_KEY } from '../../src/api/env.ts';
import { pageToken } from '../../src/api/page-tokens.ts';
import { ApiServer } from '../../src/api/server.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { FakeRegion } from '../support/fake-region.ts';
import {
  bidi,
  cleanup,
  decode,
  encode,
  failure,
  raw,
  serve,
  serverStream,
  system,
  unary,
  until,
} from '../support/api.ts';

const MIB = 1024 * 1024;
const WRITE = '/causeway.v1.Data/Write';
const STREAM = '/causeway.v1.Data/WriteStream';
const READ = '/causeway.v1.Data/Read';
const SCAN = '/causeway.v1.Data/Scan';
const SUBSCRIBE = '/causeway.v1.Data/Subscribe';

const put = (key: string, value: string | Buffer = 'v'): object => ({ key, put: Buffer.from(value) });
const request = (ops: object[], more: object = {}): object => ({
  namespace: 'app',
  collections: ['profiles'],
  ops,
  ...more,
});
const write = (ops: object[], more: object = {}): Buffer => encode('WriteRequest', request(ops, more));
const message = (requestId: number, ops: object[], epoch = 0): Buffer =>
  encode('WriteStreamRequest', { requestId, epoch, write: request(ops) });

describe('Write', () => {
  test('answers in packed arrays, versions only when asked for', async () => {
    const { address, region } = await serve();
    const via = raw(address);
    const plain = decode('WriteResponse', await unary(via, WRITE, write([put('a'), put('b')])));
    expect(plain).toMatchObject({
      failed: [],
      errors: [],
      opSeq: [],
      session: { version: 1, clusterId: 'test-cluster' },
    });

    const full = decode(
      'WriteResponse',
      await unary(via, WRITE, write([put('a'), { key: 'b' }, put('c')], { wantVersions: true })),
    );
    expect(full).toMatchObject({
      failed: [1],
      failedError: [0],
      errors: [{ code: 'INVALID_ARGUMENT', outcome: 'OUTCOME_NOT_APPLIED', retriable: false }],
      origins: [region.origin],
    });
    expect(full.opSeq).toHaveLength(3);
    expect(full).toMatchObject({ opStamp: [expect.any(Number), 0, expect.any(Number)] });
    expect(region.applied.map(({ key }) => key)).toEqual(['a', 'b', 'a', 'c']);
  });

  test('errors that are the same are sent once', async () => {
    const { address, region } = await serve();
    region.refuse = (op) => new CausewayError('PRECONDITION_FAILED', op.key < 'c' ? 'first kind' : 'second kind');
    const ops = ['a', 'b', 'c', 'd'].map((key) => put(key));
    const answer = decode('WriteResponse', await unary(raw(address), WRITE, write(ops)));
    expect(answer).toMatchObject({ failed: [0, 1, 2, 3], failedError: [0, 0, 1, 1] });
    expect(answer.errors).toHaveLength(2);
  });

  test('10,001 ops are refused whole, and nothing of them is tried', async () => {
    const { address, region } = await serve();
    const ops = Array.from({ length: 10_001 }, (_, i) => put(`k${i}`));
    const error = await failure(unary(raw(address), WRITE, write(ops)), 'TOO_LARGE');
    expect(error.message).toMatch(/at most 10000 ops/);
    expect(region.writes).toHaveLength(0);
  });

  test('a value of 20 MB gets an answer that says the limit, and the connection lives on', async () => {
    const { address } = await serve();
    const via = raw(address);
    const error = await failure(unary(via, WRITE, write([put('k', Buffer.alloc(20 * MIB))])), 'TOO_LARGE');
    expect(error.message).toMatch(/larger than max \(\d+ vs 17825792\)/);
    await unary(via, WRITE, write([put('k')]));
  });

  test('so does one of 16.5 MiB, which grpc-js lets through', async () => {
    const { address } = await serve();
    const error = await failure(unary(raw(address), WRITE, write([put('k', Buffer.alloc(16.5 * MIB))])), 'TOO_LARGE');
    expect(error.message).toMatch(/the limit is 16777216/);
  });

  test('and one of 2 MiB fails its op', async () => {
    const { address } = await serve();
    const answer = decode(
      'WriteResponse',
      await unary(raw(address), WRITE, write([put('k', Buffer.alloc(2 * MIB)), put('l')])),
    );
    expect(answer).toMatchObject({
      failed: [0],
      errors: [{ code: 'TOO_LARGE', detailsJson: '{"limit":1048576,"came":2097152}' }],
    });
  });

  test('names that are wrong come with those that are near', async () => {
    const { address } = await serve();
    const via = raw(address);
    const namespace = await failure(unary(via, WRITE, write([put('k')], { namespace: 'ap' })), 'UNKNOWN_COLLECTION');
    expect(namespace.hint).toBe("did you mean 'app'?");
    const far = await failure(unary(via, WRITE, write([put('k')], { namespace: 'elsewhere' })), 'UNKNOWN_COLLECTION');
    expect(far.hint).toMatch(/there are: app/);
    const answer = decode('WriteResponse', await unary(via, WRITE, write([put('k')], { collections: ['profile'] })));
    expect(answer).toMatchObject({
      errors: [
        { code: 'UNKNOWN_COLLECTION', message: "there is no collection 'profile'", hint: "did you mean 'profiles'?" },
      ],
    });
  });

  test('the deadline of the call counts when it is sooner', async () => {
    const { address, region } = await serve();
    const via = raw(address);
    await unary(via, WRITE, write([put('k')], { deadlineMs: 60_000 }), 1000);
    await unary(via, WRITE, write([put('k')], { deadlineMs: 300 }), 10_000);
    await unary(via, WRITE, write([put('k')]), 30_000);
    const [first, second, third] = region.writes.map(({ deadlineMs }) => deadlineMs);
    expect(first).toBeLessThanOrEqual(1000);
    expect(second).toBe(300);
    expect(third).toBe(5000);
  });

  test('more than the node holds is refused with pushback', async () => {
    const { address, region } = await serve({ limits: { pendingBytesMax: 4000 } });
    region.stall();
    const via = raw(address);
    const first = unary(via, WRITE, write([put('k', Buffer.alloc(3000))]));
    await until(() => region.stalled === 1, 'the first write waits');
    const error = await failure(unary(via, WRITE, write([put('k', Buffer.alloc(3000))])), 'OVERLOADED');
    expect(error).toMatchObject({ retriable: true, outcome: 'not-applied', retryAfterMs: 50 });
    region.release();
    await first;
    await unary(via, WRITE, write([put('k', Buffer.alloc(3000))]));
  });
});

describe('Read', () => {
  const read = (keys: string[], more: object = {}): Buffer =>
    encode('ReadRequest', { namespace: 'app', collection: 'profiles', keys, ...more });

  test('one view per key, absent ones empty', async () => {
    const { address } = await serve();
    const via = raw(address);
    await unary(via, WRITE, write([put('a', 'A')]));
    const answer = decode('ReadResponse', await unary(via, READ, read(['a', 'b']))) as unknown as { views: object[] };
    expect(answer.views[0]).toMatchObject({ register: { value: Buffer.from('A') } });
    expect(answer.views[1]).toEqual({});
  });

  test.each<[string, Buffer, string, RegExp]>([
    ['no keys', read([]), 'INVALID_ARGUMENT', /at least one key/],
    ['1001 keys', read(new Array<string>(1001).fill('k')), 'TOO_LARGE', /at most 1000 keys/],
    ['a key of 2 KiB', read(['k'.repeat(2048)]), 'TOO_LARGE', /at most 1024 bytes/],
    ['an empty key', read(['']), 'INVALID_ARGUMENT', /empty/],
    ['an unknown collection', read(['k'], { collection: 'rutes' }), 'UNKNOWN_COLLECTION', /rutes/],
    ['an unknown namespace', read(['k'], { namespace: 'apq' }), 'UNKNOWN_COLLECTION', /apq/],
    ['no namespace', read(['k'], { namespace: '' }), 'INVALID_ARGUMENT', /no namespace/],
    ['a causal read without a session', read(['k'], { consistency: 2 }), 'INVALID_ARGUMENT', /session/],
    ['a consistency of the future', read(['k'], { consistency: 9 }), 'INVALID_ARGUMENT', /consistency 9/],
    [
      'a session of another cluster',
      read(['k'], { consistency: 2, session: { version: 1, clusterId: 'other' } }),
      'INVALID_ARGUMENT',
      /another cluster/,
    ],
  ])('%s', async (_name, bytes, code, message_) => {
    const { address } = await serve();
    const error = await failure(unary(raw(address), READ, bytes), code as 'INTERNAL');
    expect(error.message).toMatch(message_);
  });

  test('an answer above its bound asks for fewer keys', async () => {
    const { address } = await serve({ limits: { responseBytesMax: 1000 } });
    const via = raw(address);
    await unary(via, WRITE, write([put('a', Buffer.alloc(800)), put('b', Buffer.alloc(800))]));
    const error = await failure(unary(via, READ, read(['a', 'b'])), 'TOO_LARGE');
    expect(error.hint).toBe('ask for fewer keys at once');
    await unary(via, READ, read(['a']));
  });
});

describe('Scan', () => {
  const scan = (more: object = {}): Buffer =>
    encode('ScanRequest', { namespace: 'app', collection: 'profiles', ...more });
  const page = async (via: ReturnType<typeof raw>, more: object = {}) =>
    decode('ScanResponse', await unary(via, SCAN, scan(more))) as unknown as {
      entries: { key: string; view: object }[];
      nextPageToken: string;
      session: object;
    };

  test('goes through the keys, page by page, each with its value and version', async () => {
    const { address, region } = await serve();
    const via = raw(address);
    const keys = Array.from({ length: 250 }, (_, i) => `u/${i}`);
    await unary(via, WRITE, write([...keys, 'v'].map((key) => put(key, key))));
    const found: string[] = [];
    let pageToken = '';
    do {
      const answer = await page(via, { prefix: 'u/', pageToken });
      expect(answer.entries.length).toBeLessThanOrEqual(100);
      expect(answer.session).toMatchObject({ clusterId: 'test-cluster' });
      found.push(...answer.entries.map(({ key }) => key));
      ({ nextPageToken: pageToken } = answer);
    } while (pageToken !== '');
    expect(found).toEqual(keys.toSorted());
    expect((await page(via, { prefix: 'v' })).entries).toMatchObject([
      { key: 'v', view: { register: { value: Buffer.from('v'), version: { origin: region.origin } } } },
    ]);
    // More than a page may hold is taken as that (AIP-158).
    expect((await page(via, { pageSize: 100_000 })).entries).toHaveLength(251);
    expect(region.scans.at(-1)).toMatchObject({ limit: 1000, bytesMax: 3 * MIB });
  });

  test.each<[string, object, string, RegExp]>([
    ['a prefix of 2 KiB', { prefix: 'k'.repeat(2048) }, 'TOO_LARGE', /at most 1024 bytes/],
    ['an unknown collection', { collection: 'rutes' }, 'UNKNOWN_COLLECTION', /rutes/],
    ['no namespace', { namespace: '' }, 'INVALID_ARGUMENT', /no namespace/],
    ['no collection', { collection: '' }, 'INVALID_ARGUMENT', /no collection/],
    ['a token of nobody', { pageToken: 'bm8' }, 'INVALID_ARGUMENT', /none that a node wrote/],
    ['a token that is too long', { pageToken: 'a'.repeat(20_000) }, 'INVALID_ARGUMENT', /none that a node wrote/],
    [
      'a token of another prefix',
      { pageToken: pageToken({ namespace: 'app', collection: 'profiles', prefix: 'u' }, 'u1') },
      'INVALID_ARGUMENT',
      /another namespace, collection or prefix/,
    ],
    [
      'a token of the future',
      { pageToken: Buffer.from('[2,"x","k"]').toString('base64url') },
      'INVALID_ARGUMENT',
      /format 2/,
    ],
    ['a causal scan without a session', { consistency: 2 }, 'INVALID_ARGUMENT', /session/],
  ])('%s', async (_name, more, code, message_) => {
    const { address } = await serve();
    const error = await failure(unary(raw(address), SCAN, scan(more)), code as 'INTERNAL');
    expect(error.message).toMatch(message_);
  });
});

describe('garbage', () => {
  test.each([WRITE, READ, SCAN, '/causeway.v1.Data/GetTopology', '/causeway.v1.Admin/Digests'])(
    'as a message to %s',
    async (method) => {
      const { address } = await serve();
      const via = raw(address);
      const error = await failure(unary(via, method, Buffer.from([0xff, 0xff, 0xff, 0xff])), 'INVALID_ARGUMENT');
      expect(error.message).toMatch(/causeway\.v1\.\w+Request/);
      await unary(via, '/causeway.v1.Admin/Ping', Buffer.alloc(0));
    },
  );

  test('as a message of a WriteStream ends that stream, after everything before it was answered', async () => {
    const { address } = await serve();
    const call = bidi(raw(address), STREAM);
    const answers: Buffer[] = [];
    call.on('data', (bytes: Buffer) => answers.push(bytes));
    call.write(message(1, [put('k')]));
    call.write(Buffer.from([0xff, 0xff]));
    const [error] = (await once(call, 'error')) as [Error];
    expect((await failure(Promise.reject(error))).code).toBe('INVALID_ARGUMENT');
    expect(decode('WriteStreamResponse', Buffer.concat(answers))).toMatchObject({ results: [{ requestId: 1 }] });
  });

  test('as a subscription', async () => {
    const { address } = await serve();
    const call = serverStream(raw(address), SUBSCRIBE, Buffer.from([0xff]));
    call.resume();
    const [error] = (await once(call, 'error')) as [Error];
    expect((await failure(Promise.reject(error))).code).toBe('INVALID_ARGUMENT');
  });

  test('as bytes on the socket, and as frames that are not gRPC', async () => {
    const { address, port } = await serve();
    const socket = tcp(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.end('GET / HTTP/1.1\r\nHost: x\r\n\r\n\u0000\u00ff\u00ff');
    await once(socket, 'close');

    const session = http2(`http://${address}`);
    session.on('error', () => undefined);
    const stream = session.request({
      ':method': 'POST',
      ':path': WRITE,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    // Says that 4 GiB follow.
    stream.end(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
    stream.resume();
    await once(stream, 'close');
    session.destroy();

    await unary(raw(address), WRITE, write([put('k')]));
  });

  test('metadata above its bound is refused, and the node lives on', async () => {
    const { address } = await serve();
    const session = http2(`http://${address}`);
    session.on('error', () => undefined);
    const stream = session.request({
      ':method': 'POST',
      ':path': WRITE,
      'content-type': 'application/grpc',
      x: 'y'.repeat(40_000),
    });
    stream.on('error', () => undefined);
    stream.end();
    await once(stream, 'close');
    session.destroy();
    await unary(raw(address), WRITE, write([put('k')]));
  });
});

describe('WriteStream', () => {
  interface Result {
    requestId: number;
    write: { failed: number[]; errors: { code: string }[] } | null;
    error: { code: string; outcome: string; message: string; retriable: boolean } | null;
  }

  function stream(address: string) {
    const call = bidi(raw(address), STREAM);
    const results: Result[] = [];
    call.on('data', (bytes: Buffer) => {
      results.push(...(decode('WriteStreamResponse', bytes) as unknown as { results: Result[] }).results);
    });
    call.on('error', () => undefined);
    return { call, results };
  }

  test('answers that are ready together travel together, by request id', async () => {
    const { address, region } = await serve();
    const { call, results } = stream(address);
    region.stall();
    for (let i = 1; i <= 5; i++) call.write(message(i, [put(`k${i}`)]));
    await until(() => region.stalled === 5, 'all are under way');
    let messages = 0;
    call.on('data', () => (messages += 1));
    region.release();
    await until(() => results.length === 5, 'all are answered');
    expect(results.map(({ requestId }) => requestId)).toEqual([1, 2, 3, 4, 5]);
    expect(messages).toBe(1);
    call.end();
    await once(call, 'end');
  });

  test('what is wrong with one message is answered, and the stream goes on', async () => {
    const { address } = await serve();
    const { call, results } = stream(address);
    call.write(
      encode('WriteStreamRequest', { requestId: 1, write: { namespace: 'nope', collections: ['c'], ops: [put('k')] } }),
    );
    call.write(message(2, [put('k')]));
    await until(() => results.length === 2, 'both are answered');
    expect(results[0]).toMatchObject({ requestId: 1, error: { code: 'UNKNOWN_COLLECTION' } });
    expect(results[1]).toMatchObject({ requestId: 2, write: { failed: [] } });
    call.end();
  });

  test('after a failure that may be retried, later messages of its epoch are refused untried', async () => {
    const { address, region } = await serve();
    const { call, results } = stream(address);
    region.refuse = (op) =>
      op.key === 'bad' ? new CausewayError('OVERLOADED', 'full', { retryAfterMs: 7 }) : undefined;
    call.write(message(1, [put('a'), put('bad')], 4));
    call.write(message(2, [put('b')], 4));
    call.write(message(3, [put('c')], 3));
    call.write(message(4, [put('d')], 5));
    await until(() => results.length === 4, 'all are answered');
    expect(results[0]).toMatchObject({ write: { failed: [1], errors: [{ code: 'OVERLOADED' }] } });
    expect(results[1]).toMatchObject({
      error: { code: 'OVERLOADED', outcome: 'OUTCOME_NOT_APPLIED', retriable: true, retryAfterMs: 7 },
    });
    expect(results[2]).toMatchObject({ error: { code: 'OVERLOADED' } });
    expect(results[3]).toMatchObject({ write: { failed: [] } });
    expect(region.applied.map(({ key }) => key)).toEqual(['a', 'd']);
    call.end();
  });

  test('so are those that come while the rest of the failed one is not answered yet', async () => {
    const { address, region } = await serve();
    const { call, results } = stream(address);
    region.refuse = (op) => (op.key === 'bad' ? new CausewayError('NOT_READY', 'not open yet') : undefined);
    region.stall();
    call.write(message(1, [put('a'), put('bad')]));
    await until(() => region.stalled === 1, 'the first waits for what it wrote');
    region.refuse = () => undefined;
    call.write(message(2, [put('bad')]));
    await until(() => results.length === 1, 'the second is answered');
    expect(results[0]).toMatchObject({ requestId: 2, error: { code: 'NOT_READY', outcome: 'OUTCOME_NOT_APPLIED' } });
    region.release();
    await until(() => results.length === 2, 'both are answered');
    expect(region.applied.map(({ key }) => key)).toEqual(['a']);
    call.end();
  });

  test('what comes behind a message that waits for its session is not tried before it, nor at all when it is refused', async () => {
    const { address, region } = await serve();
    const { call, results } = stream(address);
    const session = { version: 1, clusterId: '', shards: [] };
    const inSession = (requestId: number, key: string) =>
      encode('WriteStreamRequest', { requestId, epoch: 1, write: { ...request([put(key)]), session } });
    region.stall();
    call.write(inSession(1, 'a'));
    call.write(message(2, [put('b')], 1));
    await until(() => region.stalled === 1, 'the first waits');
    await settled(() => region.writes.length);
    expect(region.writes).toHaveLength(1);
    region.release();
    await until(() => results.length === 2, 'both are answered');
    expect(region.applied.map(({ key }) => key)).toEqual(['a', 'b']);
    region.refuse = (op) => (op.key === 'c' ? new CausewayError('SESSION_BEHIND', 'not yet') : undefined);
    region.stall();
    call.write(inSession(3, 'c'));
    call.write(message(4, [put('d')], 1));
    await until(() => region.stalled === 1, 'the third waits');
    region.release();
    await until(() => results.length === 4, 'all are answered');
    expect(results[3]).toMatchObject({ error: { code: 'SESSION_BEHIND' } });
    expect(region.applied.map(({ key }) => key)).toEqual(['a', 'b']);
    call.end();
  });

  test('a failure that may not be retried holds nothing up', async () => {
    const { address, region } = await serve();
    const { call, results } = stream(address);
    region.refuse = (op) => (op.key === 'bad' ? new CausewayError('PRECONDITION_FAILED', 'no') : undefined);
    call.write(message(1, [put('bad')]));
    call.write(message(2, [put('b')]));
    await until(() => results.length === 2, 'both are answered');
    expect(region.applied.map(({ key }) => key)).toEqual(['b']);
    call.end();
  });

  test('I12: is not read while more than its bound is unanswered', async () => {
    const { address, region } = await serve({ limits: { streamPendingBytesMax: 100_000 } });
    const { call, results } = stream(address);
    region.stall();
    let sent = 0;
    for (let i = 1; i <= 200; i++) {
      call.write(message(i, [put(`k${i}`, Buffer.alloc(10_000))]), () => (sent += 1));
    }
    await until(() => region.stalled >= 10, 'the bound is reached');
    await settled(() => region.stalled);
    // The bound, one message more that reached it, and one that was read ahead.
    expect(region.stalled).toBeLessThanOrEqual(12);
    expect(sent).toBeLessThan(200);
    const pump = setInterval(() => region.release(), 1);
    cleanup(() => clearInterval(pump));
    await until(() => results.length === 200, 'all are answered in the end');
    call.end();
  });

  test('a message above its bound ends the stream with the limit', async () => {
    const { address } = await serve({ limits: { streamMessageBytesMax: 1000 } });
    const call = bidi(raw(address), STREAM);
    call.resume();
    call.write(message(1, [put('k', Buffer.alloc(2000))]));
    const [error] = (await once(call, 'error')) as [Error];
    const converted = await failure(Promise.reject(error), 'TOO_LARGE');
    expect(converted.message).toMatch(/the limit is 1000/);
  });

  test('another node of the region passes on several messages together, up to the bound of a request', async () => {
    const { address } = await serve({ limits: { streamMessageBytesMax: 1000, requestBytesMax: 10_000 } });
    const metadata = new Metadata();
    metadata.set(FORWARDED_KEY, '1');
    const call = bidi(raw(address), STREAM, metadata);
    const answered = once(call, 'data');
    call.write(message(1, [put('k', Buffer.alloc(5000))]));
    await answered;
    call.write(message(2, [put('k', Buffer.alloc(20_000))]));
    const [error] = (await once(call, 'error')) as [Error];
    expect((await failure(Promise.reject(error), 'TOO_LARGE')).message).toMatch(/the limit is 10000/);
  });

  test('draining: what was taken is answered, then the stream ends as DRAINING', async () => {
    const { address, region, server } = await serve();
    const { call, results } = stream(address);
    region.stall();
    call.write(message(1, [put('k')]));
    await until(() => region.stalled === 1, 'it is under way');
    const drained = server.drain();
    const ended = once(call, 'error') as Promise<[Error]>;
    region.release();
    const [error] = await ended;
    expect((await failure(Promise.reject(error))).code).toBe('DRAINING');
    expect(results).toMatchObject([{ requestId: 1, write: { failed: [] } }]);
    await drained;
    expect((await failure(unary(raw(address), WRITE, write([put('k')])))).code).toBe('DRAINING');
  });
});

/** Until a number stops changing. */
async function settled(value: () => number): Promise<void> {
  let last = value();
  for (let same = 0; same < 10;) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    same = value() === last ? same + 1 : 0;
    last = value();
  }
}

describe('Subscribe', () => {
  const subscribe = (more: object = {}): Buffer =>
    encode('SubscribeRequest', { namespace: 'app', beginning: true, ...more });

  test('the first message says that the subscription stands', async () => {
    const { address } = await serve();
    const call = serverStream(raw(address), SUBSCRIBE, subscribe({ now: true, beginning: undefined }));
    call.on('error', () => undefined);
    const [first] = (await once(call, 'data')) as [Buffer];
    expect(first).toHaveLength(0);
    call.cancel();
  });

  test('I8, I12: a consumer that does not read costs a bounded buffer, and loses nothing', async () => {
    const { address, region } = await serve({ limits: { subscriberBufferBytesMax: 50_000 } });
    const via = raw(address);
    const call = serverStream(via, SUBSCRIBE, subscribe());
    call.on('error', () => undefined);
    let events = 0;
    call.on('data', (bytes: Buffer) => {
      for (const shard of (decode('SubscribeResponse', bytes) as unknown as { shards: { events: object[] }[] })
        .shards) {
        events += shard.events.length;
      }
    });
    await once(call, 'data');
    call.pause();
    await until(() => region.subscribers === 1, 'it is subscribed');
    const value = Buffer.alloc(10_000, 'x');
    for (let i = 0; i < 100; i++)
      await unary(via, WRITE, write(Array.from({ length: 10 }, (_, j) => put(`${i}/${j}`, value))));
    // 10 MB were written, most of which the feed has not handed out: it waits at a cursor.
    await settled(() => region.deliveredTo);
    expect(region.deliveredTo).toBeLessThan(500);
    call.resume();
    await until(() => events === 1000, 'all events have come');
    call.cancel();
    await until(() => region.subscribers === 0, 'the region let go of it');
  });

  test.each<[string, object, string, RegExp]>([
    [
      'a cursor of another namespace',
      { cursor: { version: 1, namespace: 'other' } },
      'CURSOR_INVALID',
      /namespace 'other'/,
    ],
    ['a cursor of another cluster', { cursor: { version: 1, clusterId: 'x' } }, 'CURSOR_INVALID', /another cluster/],
    ['a cursor of the future', { cursor: { version: 3 } }, 'CURSOR_INVALID', /format 3/],
    ['an unknown collection', { collections: ['flight'] }, 'UNKNOWN_COLLECTION', /flight/],
    ['a form of the future', { form: 7 }, 'INVALID_ARGUMENT', /form 7/],
    ['a long prefix', { keyPrefix: 'k'.repeat(2000) }, 'TOO_LARGE', /1024/],
  ])('%s', async (_name, more, code, message_) => {
    const { address } = await serve();
    const call = serverStream(raw(address), SUBSCRIBE, encode('SubscribeRequest', { namespace: 'app', ...more }));
    call.resume();
    const [error] = (await once(call, 'error')) as [Error];
    const converted = await failure(Promise.reject(error), code as 'INTERNAL');
    expect(converted.message).toMatch(message_);
  });

  test('more subscribers than the bound are refused', async () => {
    const { address, region } = await serve({ limits: { subscribersMax: 2 } });
    const via = raw(address);
    for (let i = 0; i < 2; i++) {
      const call = serverStream(via, SUBSCRIBE, subscribe());
      call.on('error', () => undefined);
      call.resume();
      cleanup(() => call.cancel());
    }
    await until(() => region.subscribers === 2, 'two are subscribed');
    const call = serverStream(via, SUBSCRIBE, subscribe());
    call.resume();
    const [error] = (await once(call, 'error')) as [Error];
    await failure(Promise.reject(error), 'OVERLOADED');
  });
});

describe('the listener', () => {
  test('an occupied port is a mistake of the configuration, said clearly', async () => {
    const { address } = await serve();
    const region = new FakeRegion({ name: 'us-east', system });
    const second = new ApiServer({ region, listen: address, system });
    const error = await failure(second.start(), 'CONFIG_INVALID');
    expect(error.message).toContain(`cannot listen on ${address}`);
    expect(error.hint).toMatch(/another process has this port/);
    await second.stop();
  });

  test('health follows readiness, and a lost peer changes nothing about it', async () => {
    const { address, region, server } = await serve();
    const via = raw(address);
    const check = async (service: string): Promise<number | undefined> => {
      const request_ = Buffer.concat([Buffer.from([10, service.length]), Buffer.from(service)]);
      return (await unary(via, '/grpc.health.v1.Health/Check', request_))[1];
    };
    const SERVING = 1;
    const NOT_SERVING = 2;
    expect(region.status().peers[0]?.link.kind).toBe('down');
    for (const service of ['', 'causeway.v1.Data', 'causeway.v1.Admin']) expect(await check(service)).toBe(SERVING);
    region.setReady(false);
    for (const service of ['', 'causeway.v1.Data', 'causeway.v1.Admin']) expect(await check(service)).toBe(NOT_SERVING);
    region.setReady(true);
    expect(await check('')).toBe(SERVING);
    await server.drain();
    expect(await check('')).toBe(NOT_SERVING);
  });

  test('drain ends subscriptions and waits for what is under way', async () => {
    const { address, region, server } = await serve();
    const via = raw(address);
    const feed = serverStream(via, SUBSCRIBE, encode('SubscribeRequest', { namespace: 'app' }));
    feed.resume();
    await until(() => region.subscribers === 1, 'it is subscribed');
    region.stall();
    const pending = unary(via, WRITE, write([put('k')]));
    await until(() => region.stalled === 1, 'the write is under way');
    const ended = once(feed, 'error') as Promise<[Error]>;
    let drained = false;
    const drain = server.drain().then(() => (drained = true));
    const [error] = await ended;
    await failure(Promise.reject(error), 'DRAINING');
    expect(drained).toBe(false);
    region.release();
    await pending;
    await drain;
  });

  test('stop does not wait for ever for a health watcher', async () => {
    const { address, server } = await serve();
    const watch = serverStream(raw(address), '/grpc.health.v1.Health/Watch', Buffer.alloc(0));
    watch.on('error', () => undefined);
    watch.resume();
    await once(watch, 'data');
    await server.stop();
  });
});
