// The retry policy that gRPC itself keeps: what it tries again, what not, and that other languages get the same one.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Server, ServerCredentials, status, type ServiceDefinition, type sendUnaryData } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { toStatus } from '../../src/api/status.ts';
import { adminClient, connect } from '../../src/client/index.ts';
import { SERVICE_CONFIG } from '../../src/client/service-config.ts';
import { packageRoot } from '../../src/config/version.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { protoRoot } from '../../src/proto/load.ts';
import { cleanup } from '../support/api.ts';

/** A node of which every method fails so often, then answers with an empty message. */
async function failing(errors: readonly object[]): Promise<{ address: string; calls: Map<string, number> }> {
  const calls = new Map<string, number>();
  const server = new Server();
  const same = (bytes: Buffer): Buffer => bytes;
  for (const service of ['causeway.v1.Admin', 'causeway.v1.Data']) {
    const definition: Record<string, object> = {};
    const implementation: Record<string, (call: unknown, callback: sendUnaryData<Buffer>) => void> = {};
    for (const name of Object.keys(protoRoot().lookupService(service).methods)) {
      definition[name] = {
        path: `/${service}/${name}`,
        requestStream: false,
        responseStream: false,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      };
      implementation[name] = (_call, callback) => {
        const before = calls.get(name) ?? 0;
        calls.set(name, before + 1);
        const error = errors[before];
        if (error === undefined) callback(null, Buffer.alloc(0));
        else callback(error);
      };
    }
    server.addService(definition as unknown as ServiceDefinition, implementation as never);
  }
  cleanup(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { address: `127.0.0.1:${port}`, calls };
}

const unavailable = { code: status.UNAVAILABLE, details: 'a proxy on the way' };

test('a question to a node is asked again when nobody answered it', async () => {
  const { address, calls } = await failing([unavailable, unavailable]);
  const admin = adminClient(address);
  cleanup(() => admin.close());
  expect(await admin.ping()).toMatchObject({ ready: false });
  expect(calls.get('Ping')).toBe(3);
});

test('but no oftener than that, and not when the node says that it is no use', async () => {
  const { address, calls } = await failing(Array.from({ length: 10 }, () => unavailable));
  const admin = adminClient(address);
  cleanup(() => admin.close());
  await expect(admin.ping()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(calls.get('Ping')).toBe(3);

  const firm = toStatus(new CausewayError('UNAVAILABLE', 'x', { retriable: false }));
  const other = await failing([firm]);
  const asked = adminClient(other.address);
  cleanup(() => asked.close());
  await expect(asked.ping()).rejects.toMatchObject({ code: 'UNAVAILABLE', retriable: false });
  expect(other.calls.get('Ping')).toBe(1);
});

test('an Admin method that writes is not asked again by gRPC', async () => {
  const { address, calls } = await failing([unavailable]);
  const admin = adminClient(address);
  cleanup(() => admin.close());
  const lost = admin.restoreConflict({ shard: '1/0', origin: 'eu~0f3a5b7c9d1e', seq: 1 });
  await expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(calls.get('RestoreConflict')).toBe(1);
});

test('a write is never tried again by gRPC, only by the client that knows its outcome', async () => {
  const firm = { ...unavailable, metadata: toStatus(new CausewayError('INVALID_ARGUMENT', 'x')).metadata };
  const { address, calls } = await failing([firm]);
  const client = connect({ endpoints: [address], namespace: 'app' });
  cleanup(() => client.close());
  await expect(client.register('profiles').set('anna', 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(calls.get('Write')).toBe(1);
  const methods = SERVICE_CONFIG.methodConfig.flatMap(({ name }) => name.map((each) => JSON.stringify(each)));
  expect(methods.filter((each) => /Write|Subscribe/.test(each))).toEqual([]);
});

test('what only reads is asked again of the same node by the client itself, as by the policy', async () => {
  const { address, calls } = await failing([unavailable, unavailable]);
  const other = await failing([]);
  const client = connect({ endpoints: [address, other.address], namespace: 'app' });
  cleanup(() => client.close());
  await client.read('profiles', ['anna']);
  expect([calls.get('Read'), other.calls.get('Read')]).toEqual([3, undefined]);

  const down = await failing(Array.from({ length: 100 }, () => unavailable));
  const moving = connect({ endpoints: [down.address, other.address], namespace: 'app' });
  cleanup(() => moving.close());
  await moving.scan('profiles');
  expect([down.calls.get('Scan'), other.calls.get('Scan')]).toEqual([3, 1]);
});

test('names methods that exist, and is what docs/examples gives to other languages', () => {
  for (const { service, method } of SERVICE_CONFIG.methodConfig.flatMap(
    ({ name }): readonly { service: string; method?: string }[] => name,
  )) {
    const { methods } = protoRoot().lookupService(service);
    if (method !== undefined) expect(Object.keys(methods)).toContain(method);
  }
  const published = readFileSync(join(packageRoot(), 'docs/examples/service-config.json'), 'utf8');
  expect(JSON.parse(published)).toEqual(SERVICE_CONFIG);
});
