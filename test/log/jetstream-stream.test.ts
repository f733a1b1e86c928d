// What becomes of a stream that JetStream cannot make just now, or never: on answers in the servers' own words. How real servers take it, jetstream.test.ts tries.

import { expect, test } from 'vitest';
import { Streams, type OpenedStream } from '../../src/log/jetstream-stream.ts';
import type { ApiAnswer, Requests } from '../../src/nats/requests.ts';
import { regionId, shardId } from '../../src/record/ids.ts';

const NO_SUCH_STREAM = { kind: 'error', code: 10_059, status: 404, message: 'stream not found' } as const;
const SHARD = shardId(1, 0);

/** Answers of STREAM.CREATE, one after the other; then it is made. */
function serversThat(...answers: readonly ApiAnswer<unknown>[]): { streams: Streams; created: () => number } {
  const left = [...answers];
  let created = 0;
  let config: object | undefined;
  const ask = (subject: string, payload: string): Promise<ApiAnswer<unknown>> => {
    if (subject.includes('STREAM.INFO')) {
      const value = { config, state: { first_seq: 1, last_seq: 0, messages: 0, bytes: 0 } };
      return Promise.resolve(config === undefined ? NO_SUCH_STREAM : { kind: 'ok', value });
    }
    created++;
    const answer = left.shift();
    if (answer !== undefined) return Promise.resolve(answer);
    config = JSON.parse(payload) as object;
    return Promise.resolve({ kind: 'ok', value: {} });
  };
  const options = { clusterId: 'c', region: regionId('eu'), replicas: 3, bytesMax: 1 << 20 };
  return { streams: new Streams({ ask } as unknown as Requests, options), created: () => created };
}

const open = (streams: Streams): ReturnType<Streams['open']> => streams.open(SHARD, () => 0xabcdef);

test.each([
  [10_005, 'no suitable peers for placement'],
  [10_049, 'deleting message from stream: open 1.blk: too many open files'],
])('what passes (%i: %s) is tried again, and the reason kept for who waits in vain', async (code, message) => {
  const { streams, created } = serversThat({ kind: 'error', code, status: 500, message });
  const first = await open(streams);
  expect('notNow' in first && first.notNow?.message).toContain(`${message} (${code})`);
  const second = (await open(streams)) as OpenedStream;
  expect(second).toMatchObject({ created: true, incarnation: 0xabcdef, name: 'causeway-c-eu-1-0' });
  expect(created()).toBe(2);
});

test('no leader yet: it is tried again, and nobody has given a reason', async () => {
  const { streams } = serversThat({ kind: 'error', code: 10_008, status: 503, message: 'system unavailable' });
  expect(await open(streams)).toEqual({ notNow: undefined });
  expect(await open(streams)).toMatchObject({ created: true });
});

test('what does not pass is said at once', async () => {
  const { streams } = serversThat({ kind: 'error', code: 10_047, status: 503, message: 'insufficient storage' });
  await expect(open(streams)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    hint: expect.stringContaining('max_file') as string,
  });
  const other = serversThat({ kind: 'error', code: 10_052, status: 400, message: 'maximum number of streams reached' });
  await expect(open(other.streams)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
