// A server over a FakeRegion on loopback, a raw gRPC client for it, and an end for everything that a test opened.

import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { afterEach, expect } from 'vitest';
import type { ApiLimits } from '../../src/api/limits.ts';
import { ApiServer } from '../../src/api/server.ts';
import { connect, type Causeway, type ConnectOptions } from '../../src/client/index.ts';
import { fromServiceError } from '../../src/client/status.ts';
import { CausewayError, type ErrorCode } from '../../src/errors/errors.ts';
import { messageType } from '../../src/proto/load.ts';
import { realSystem } from '../../src/system/real.ts';
import { FakeRegion } from './fake-region.ts';

export const system = realSystem();

const cleanups: (() => unknown)[] = [];

export function cleanup(end: () => unknown): void {
  cleanups.push(end);
}

afterEach(async () => {
  for (const end of cleanups.splice(0).toReversed()) await end();
});

export interface Served {
  readonly region: FakeRegion;
  readonly server: ApiServer;
  readonly port: number;
  readonly address: string;
}

export async function serve(
  options: {
    name?: string;
    limits?: Partial<ApiLimits>;
    port?: number;
    region?: FakeRegion;
    clockAheadMs?: number;
  } = {},
): Promise<Served> {
  const region = options.region ?? new FakeRegion({ name: options.name ?? 'us-west', system });
  const server = new ApiServer({
    region,
    listen: `127.0.0.1:${options.port ?? 0}`,
    system: { ...system, clock: { ...system.clock, nowMs: () => system.clock.nowMs() + (options.clockAheadMs ?? 0) } },
    clusterId: 'test-cluster',
    limits: options.limits ?? {},
  });
  cleanup(() => server.stop());
  const { port } = await server.start();
  return { region, server, port, address: `127.0.0.1:${port}` };
}

export function client(endpoints: readonly string[], options: Partial<ConnectOptions> = {}): Causeway {
  const made = connect({ endpoints, namespace: 'app', ...options });
  cleanup(() => made.close());
  return made;
}

/** grpc-js without anything of ours. */
export function raw(address: string): Client {
  const made = new Client(address, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': -1,
    'grpc.enable_retries': 0,
  });
  cleanup(() => made.close());
  return made;
}

const same = (bytes: Buffer): Buffer => bytes;

export function encode(type: string, message: object): Buffer {
  return messageType(`causeway.v1.${type}`)
    .encode(message as never)
    .finish() as Buffer;
}

export function decode(type: string, bytes: Uint8Array): Record<string, unknown> {
  const found = messageType(`causeway.v1.${type}`);
  return found.toObject(found.decode(bytes), { enums: String, defaults: true, oneofs: true });
}

/** The answer's bytes; rejects with the ServiceError. */
export function unary(via: Client, method: string, request: Buffer, deadlineMs = 10_000): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + deadlineMs };
    via.makeUnaryRequest(method, same, same, request, new Metadata(), options, (error, response) => {
      if (error) reject(error);
      else resolve(response as Buffer);
    });
  });
}

export function bidi(via: Client, method: string, metadata = new Metadata()) {
  return via.makeBidiStreamRequest(method, same, same, metadata);
}

export function serverStream(via: Client, method: string, request: Buffer) {
  return via.makeServerStreamRequest(method, same, same, request, new Metadata());
}

/** What a promise fails with, as a CausewayError. */
export async function failure(promise: Promise<unknown>, code?: ErrorCode): Promise<CausewayError> {
  let error: unknown;
  try {
    await promise;
  } catch (thrown) {
    error = thrown;
  }
  expect(error, 'the promise was to fail').toBeDefined();
  const converted = error instanceof CausewayError ? error : fromServiceError(error as ServiceError, 'test');
  if (code !== undefined) expect(converted, converted.message).toMatchObject({ code });
  return converted;
}

/** Waits for a condition, never for a time. */
export async function until(condition: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
