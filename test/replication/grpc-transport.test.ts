// The real wire on loopback: much, slowly, garbage, strangers, and nothing left afterwards.

import { connect, createServer, type Server as TcpServer, type AddressInfo } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { isCausewayError } from '../../src/errors/errors.ts';
import { regionId } from '../../src/record/ids.ts';
import { GrpcTransport } from '../../src/replication/grpc-transport.ts';
import { helloOf } from '../../src/replication/handshake.ts';
import type { Down, Up } from '../../src/replication/messages.ts';
import type { LinkHandlers, LinkStream } from '../../src/replication/transport.ts';
import { realSystem } from '../../src/system/real.ts';

const system = realSystem();
const started: GrpcTransport[] = [];
const others: { close(): void }[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((transport) => transport.stop()));
  for (const other of others.splice(0)) other.close();
});

/** One end of a stream, with what it heard. */
class End<In, Out> implements LinkHandlers<In> {
  readonly messages: In[] = [];
  readonly reasons: string[] = [];
  drains = 0;
  stream: LinkStream<Out> | undefined;
  onMessage: ((message: In) => void) | undefined;
  #waiting: (() => void)[] = [];

  message(message: In): void {
    this.messages.push(message);
    this.onMessage?.(message);
    this.#wake();
  }

  drain(): void {
    this.drains++;
    this.#wake();
  }

  closed(reason: string): void {
    this.reasons.push(reason);
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Waits until the condition holds; looked at after every event. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

async function listening(): Promise<{
  address: string;
  accepted: End<Up, Down>[];
  next: () => Promise<End<Up, Down>>;
}> {
  const transport = new GrpcTransport({ listen: '127.0.0.1:0', system });
  started.push(transport);
  const accepted: End<Up, Down>[] = [];
  let wake: (() => void) | undefined;
  transport.onAccept((stream) => {
    const end = new End<Up, Down>();
    end.stream = stream;
    accepted.push(end);
    wake?.();
    return end;
  });
  const { port } = await transport.start();
  let taken = 0;
  const next = async (): Promise<End<Up, Down>> => {
    while (accepted.length === taken) await new Promise<void>((resolve) => (wake = resolve));
    return accepted[taken++]!;
  };
  return { address: `127.0.0.1:${port}`, accepted, next };
}

function dial(address: string): End<Down, Up> {
  const transport = new GrpcTransport({ system });
  started.push(transport);
  const end = new End<Down, Up>();
  end.stream = transport.dial(address, end);
  return end;
}

const hello = helloOf({ region: regionId('eu'), node: 'n1', instance: 'i', clusterId: 'c', settingsHash: 'h' });

describe('the gRPC transport', () => {
  test('carries messages both ways, in order, as they were', async () => {
    const source = await listening();
    const receiver = dial(source.address);
    receiver.stream!.send(hello);
    for (let i = 1; i <= 100; i++) receiver.stream!.send({ kind: 'ping', sentAtMs: i });
    const server = await source.next();
    await server.until(() => server.messages.length === 101);
    expect(server.messages[0]).toEqual(hello);
    expect(server.messages.slice(1)).toEqual(
      Array.from({ length: 100 }, (_, i) => ({ kind: 'ping', sentAtMs: i + 1 })),
    );
    server.stream!.send({ kind: 'batches', batches: [Buffer.from('one'), Buffer.alloc(0), Buffer.from('three')] });
    await receiver.until(() => receiver.messages.length === 1);
    expect(receiver.messages).toEqual([
      { kind: 'batches', batches: [Buffer.from('one'), Buffer.alloc(0), Buffer.from('three')] },
    ]);
  });

  test('I12: 100 MB flow, and what is unsent stays bounded', async () => {
    const source = await listening();
    const receiver = dial(source.address);
    receiver.stream!.send(hello);
    const server = await source.next();
    const batch = Buffer.alloc(256 * 1024, 7);
    const total = 400;
    let bytes = 0;
    receiver.onMessage = (message) => {
      if (message.kind === 'batches') for (const each of message.batches) bytes += each.length;
      receiver.messages.length = 0;
    };
    let waited = 0;
    for (let i = 0; i < total; i++) {
      if (server.stream!.send({ kind: 'batches', batches: [batch] })) continue;
      waited++;
      const { drains } = server;
      await server.until(() => server.drains > drains);
    }
    await receiver.until(() => bytes === total * batch.length);
    // At most 1 MiB and one message are given to grpc-js at once, so it had to be waited for.
    expect(waited).toBeGreaterThan(total / 20);
    expect(bytes).toBe(100 * 1024 * 1024);
  });

  test('a batch of the largest size passes', async () => {
    const source = await listening();
    const receiver = dial(source.address);
    receiver.stream!.send(hello);
    const server = await source.next();
    server.stream!.send({ kind: 'batches', batches: [Buffer.alloc(16 * 1024 * 1024, 3)] });
    await receiver.until(() => receiver.messages.length === 1);
    expect(receiver.messages[0]).toMatchObject({ kind: 'batches' });
  });

  test('I8: a reader that does not read blocks its own stream only', async () => {
    const source = await listening();
    // A peer that reads nothing: its socket is paused below gRPC.
    const proxy = pausingProxy(source.address);
    await proxy.ready;
    const slow = dial(proxy.address());
    slow.stream!.send(hello);
    const slowServer = await source.next();
    const fast = dial(source.address);
    fast.stream!.send(hello);
    const fastServer = await source.next();
    proxy.pause();
    const batch = Buffer.alloc(256 * 1024, 7);
    let given = 0;
    while (given < 1000) {
      given++;
      if (!slowServer.stream!.send({ kind: 'batches', batches: [batch] })) {
        const before = slowServer.drains;
        await Promise.race([slowServer.until(() => slowServer.drains > before), pauseMs(300)]);
        if (slowServer.drains === before) break;
      }
    }
    // 16 MiB of window, the sockets' buffers, and 1 MiB here.
    expect(given * batch.length).toBeLessThan(40 * 1024 * 1024);
    fastServer.stream!.send({ kind: 'batches', batches: [batch] });
    await fast.until(() => fast.messages.length === 1);
    proxy.resume();
    await slow.until(() => slow.messages.length === given);
  });

  test('a refusal arrives before the end, and the end says why', async () => {
    const source = await listening();
    const receiver = dial(source.address);
    receiver.stream!.send(hello);
    const server = await source.next();
    server.stream!.send({ kind: 'refuse', reason: 'settings-hash', message: 'not the same' });
    server.stream!.close('settings differ: grün ≠ blau');
    await receiver.until(() => receiver.reasons.length > 0);
    expect(receiver.messages).toEqual([{ kind: 'refuse', reason: 'settings-hash', message: 'not the same' }]);
    expect(receiver.reasons).toEqual(['ABORTED: settings differ: grün ≠ blau']);
    await server.until(() => server.reasons.length > 0);
    expect(server.reasons).toHaveLength(1);
  });

  test('the source notices when the receiver closes, and when it vanishes', async () => {
    const source = await listening();
    const receiver = dial(source.address);
    receiver.stream!.send(hello);
    const server = await source.next();
    receiver.stream!.close('enough');
    receiver.stream!.close('again');
    await server.until(() => server.reasons.length > 0);
    await receiver.until(() => receiver.reasons.length > 0);
    expect(receiver.reasons).toEqual(['enough']);
    expect(server.reasons).toHaveLength(1);
    // Nothing may be thrown by what comes too late.
    expect(server.stream!.send({ kind: 'beat', sentAtMs: 1, echo: undefined, shards: [] })).toBe(true);
  });

  test('a frame that does not decode ends the stream with the reason, on either side', async () => {
    const source = await listening();
    const receiver = dial(source.address);
    receiver.stream!.send(hello);
    const server = await source.next();
    // A hello is no message of a source: its field numbers mean other things there.
    server.stream!.send({ kind: 'batches', batches: Array.from({ length: 1001 }, () => Buffer.alloc(1)) });
    await receiver.until(() => receiver.reasons.length > 0);
    expect(receiver.reasons[0]).toMatch(/^protocol-error: more than 1000 batches/);

    const other = dial(source.address);
    other.stream!.send({ ...hello, region: 'Not A Region' as never });
    const second = await source.next();
    await second.until(() => second.reasons.length > 0);
    expect(second.reasons[0]).toMatch(/^protocol-error: a badly named region/);
    await other.until(() => other.reasons.length > 0);
    expect(other.reasons[0]).toMatch(/ABORTED: protocol-error/);
  });

  test('a message above the bound ends the stream', async () => {
    const source = await listening();
    const receiver = dial(source.address);
    receiver.stream!.send({ ...hello, node: 'n'.repeat(2 * 1024 * 1024) });
    await receiver.until(() => receiver.reasons.length > 0);
    expect(receiver.reasons[0]).toMatch(/RESOURCE_EXHAUSTED/);
  });

  test('bytes that are not HTTP/2 do no harm', async () => {
    const source = await listening();
    const port = Number(source.address.split(':')[1]);
    for (const garbage of [
      'GET / HTTP/1.1\r\n\r\n',
      '\u0000'.repeat(5000),
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense',
    ]) {
      await new Promise<void>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => socket.end(garbage));
        socket.on('error', () => resolve());
        socket.on('close', () => resolve());
        socket.resume();
      });
    }
    const receiver = dial(source.address);
    receiver.stream!.send(hello);
    const server = await source.next();
    await server.until(() => server.messages.length === 1);
  });

  test('nobody there, a silent stranger, another service, an address that is none', async () => {
    const nobody = dial('127.0.0.1:1');
    await nobody.until(() => nobody.reasons.length > 0);
    expect(nobody.reasons[0]).toMatch(/UNAVAILABLE.*ECONNREFUSED/);

    const grpc = new Server();
    const port = await new Promise<number>((resolve) =>
      grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
    );
    others.push({ close: () => grpc.forceShutdown() });
    const wrong = dial(`127.0.0.1:${port}`);
    wrong.stream!.send(hello);
    await wrong.until(() => wrong.reasons.length > 0);
    expect(wrong.reasons[0]).toMatch(/speaks gRPC but not causeway\.v1\.Replication/);

    const tcp: TcpServer = createServer((socket) => socket.end('220 mail ready\r\n'));
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    others.push(tcp);
    const mail = dial(`127.0.0.1:${(tcp.address() as AddressInfo).port}`);
    mail.stream!.send(hello);
    await mail.until(() => mail.reasons.length > 0);
    expect(mail.reasons[0]).toMatch(/UNAVAILABLE/);

    for (const address of ['', 'not an address', 'unix', 'ipv4:']) {
      const none = dial(address);
      await none.until(() => none.reasons.length > 0);
      expect(none.reasons).toHaveLength(1);
    }
  });

  test('an occupied port is a mistake of the configuration, with its address and what to do', async () => {
    const tcp = createServer();
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    others.push(tcp);
    const listen = `127.0.0.1:${(tcp.address() as AddressInfo).port}`;
    const transport = new GrpcTransport({ listen, system });
    started.push(transport);
    const error = await transport.start().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(isCausewayError(error, 'CONFIG_INVALID')).toBe(true);
    expect(error).toMatchObject({
      message: `cannot listen for peers on ${listen}: another process listens there`,
      hint: expect.stringContaining('another port') as string,
    });
  });

  test.each(['256.1.1.1:80', 'nonsense', '127.0.0.1:99999', '192.0.2.1:0'])('cannot listen on %s', async (listen) => {
    const transport = new GrpcTransport({ listen, system });
    started.push(transport);
    const error = await transport.start().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(isCausewayError(error, 'CONFIG_INVALID')).toBe(true);
  });

  test('stop ends both sides and leaves no handle', async () => {
    const before = sockets();
    const source = await listening();
    const receivers = [dial(source.address), dial(source.address)];
    for (const receiver of receivers) receiver.stream!.send(hello);
    const servers = [await source.next(), await source.next()];
    await Promise.all(started.splice(0).map((transport) => transport.stop()));
    for (const end of [...receivers, ...servers]) await end.until(() => end.reasons.length === 1);
    await vanished(before);
  });

  test('stop does not wait for a peer that reads nothing', async () => {
    const before = sockets();
    const source = await listening();
    const proxy = pausingProxy(source.address);
    await proxy.ready;
    const receiver = dial(proxy.address());
    receiver.stream!.send(hello);
    const server = await source.next();
    proxy.pause();
    const batch = Buffer.alloc(256 * 1024);
    for (let i = 0; i < 100; i++) server.stream!.send({ kind: 'batches', batches: [batch] });
    const from = system.clock.monotonicMs();
    await Promise.all(started.splice(0).map((transport) => transport.stop()));
    expect(system.clock.monotonicMs() - from).toBeLessThan(5000);
    for (const other of others.splice(0)) other.close();
    await vanished(before);
  });
});

function sockets(): number {
  return process.getActiveResourcesInfo().filter((name) => /^(TCP|Timeout)/.test(name)).length;
}

async function vanished(before: number): Promise<void> {
  for (let tries = 0; sockets() > before; tries++) {
    if (tries > 100) throw new Error(`left over: ${process.getActiveResourcesInfo().join(', ')}`);
    await pauseMs(20);
  }
}

function pauseMs(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** A TCP proxy whose way from server to client can be stopped. */
function pausingProxy(target: string): {
  ready: Promise<void>;
  address: () => string;
  pause: () => void;
  resume: () => void;
} {
  const [host, port] = target.split(':');
  let paused = false;
  const upstreams = new Set<{ pause(): void; resume(): void; destroy(): void }>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), host);
    upstreams.add(upstream);
    upstreams.add(client);
    client.on('data', (chunk) => void upstream.write(chunk));
    upstream.on('data', (chunk) => {
      if (!client.write(chunk)) {
        upstream.pause();
        client.once('drain', () => {
          if (!paused) upstream.resume();
        });
      }
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    if (paused) upstream.pause();
  });
  const ready = new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  others.push({
    close: () => {
      server.close();
      for (const socket of upstreams) socket.destroy();
    },
  });
  return {
    ready,
    address: () => `127.0.0.1:${(server.address() as AddressInfo).port}`,
    pause: () => {
      paused = true;
      for (const socket of upstreams) socket.pause();
    },
    resume: () => {
      paused = false;
      for (const socket of upstreams) socket.resume();
    },
  };
}
