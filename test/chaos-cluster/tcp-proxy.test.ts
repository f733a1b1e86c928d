import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TcpProxy } from '../../chaos/cluster/tcp-proxy.ts';

let echo: Server;
let port: number;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket).on('error', () => {}));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  port = (echo.address() as { port: number }).port;
});

afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
  await new Promise((resolve) => echo.close(resolve));
});

async function through(
  delayMs: number,
): Promise<{ proxy: TcpProxy; socket: Socket; ask: (text: string) => Promise<string> }> {
  const proxy = await TcpProxy.listen({ targetHost: '127.0.0.1', targetPort: port, delayMs });
  const [host, proxyPort] = proxy.address.split(':');
  const socket = connect({ host: host!, port: Number(proxyPort), noDelay: true });
  socket.on('error', () => {});
  socket.setEncoding('utf8');
  open.push({ close: () => socket.destroy() }, proxy);
  const ask = (text: string): Promise<string> =>
    new Promise((resolve) => {
      let got = '';
      const take = (some: string): void => {
        got += some;
        if (got.length < text.length) return;
        socket.off('data', take);
        resolve(got);
      };
      socket.on('data', take);
      socket.write(text);
    });
  return { proxy, socket, ask };
}

test('forwards both ways, and counts', async () => {
  const { proxy, ask } = await through(0);
  expect(await ask('hello')).toBe('hello');
  const large = 'x'.repeat(3_000_000);
  expect(await ask(large)).toBe(large);
  expect(proxy.bytes).toEqual({ toTarget: 3_000_005, fromTarget: 3_000_005 });
});

test('delays each way by what it was told, and never less', async () => {
  const { ask } = await through(40);
  await ask('warm');
  const startMs = performance.now();
  expect(await ask('hello')).toBe('hello');
  const tookMs = performance.now() - startMs;
  expect(tookMs).toBeGreaterThanOrEqual(80);
  expect(tookMs).toBeLessThan(400);
});

test('passes on the end of a stream after what was before it', async () => {
  const { socket } = await through(10);
  let got = '';
  socket.on('data', (some: string) => (got += some));
  socket.end('last words');
  await new Promise((resolve) => socket.on('end', resolve));
  expect(got).toBe('last words');
});

test('holds everything in a blackhole, and delivers it after', async () => {
  const { proxy, ask } = await through(0);
  await ask('before');
  proxy.cut('blackhole');
  const answer = ask('during');
  const first = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100, 'nothing'))]);
  expect(first).toBe('nothing');
  proxy.heal();
  expect(await answer).toBe('during');
});

test('breaks and refuses connections after a reset, and takes new ones when healed', async () => {
  const { proxy, socket, ask } = await through(0);
  await ask('before');
  const closed = new Promise((resolve) => socket.on('close', resolve));
  proxy.cut('reset');
  await closed;
  const [host, proxyPort] = proxy.address.split(':');
  const again = connect({ host: host!, port: Number(proxyPort) });
  await new Promise((resolve) => again.on('close', resolve).on('error', () => {}));
  proxy.heal();
  const healed = connect({ host: host!, port: Number(proxyPort) });
  open.unshift({ close: () => healed.destroy() });
  healed.write('x');
  await new Promise((resolve) => healed.once('data', resolve));
});

test('narrows a wire to its bandwidth, and lets go when it is wide again', async () => {
  const { proxy, ask } = await through(0);
  await ask('warm');
  proxy.degrade('there', { bytesPerSecond: 100_000 });
  const startMs = performance.now();
  await ask('x'.repeat(20_000));
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(195);
  proxy.degrade('there', { bytesPerSecond: 1000 });
  const answer = ask('y'.repeat(50_000));
  await new Promise((resolve) => setTimeout(resolve, 30));
  proxy.heal();
  expect(await answer).toHaveLength(50_000);
  expect(performance.now() - startMs).toBeLessThan(5000);
});

test('keeps the order of bytes whatever the jitter', async () => {
  const { proxy, socket } = await through(0);
  proxy.degrade('back', { delayMs: 1, jitterMs: 20 });
  let got = '';
  socket.on('data', (some: string) => (got += some));
  const said = Array.from({ length: 30 }, (_, i) => `${i};`);
  for (const word of said) {
    socket.write(word);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (got.length < said.join('').length) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(got).toBe(said.join(''));
});

test('one way is silent and the other goes on', async () => {
  const { proxy, socket, ask } = await through(0);
  await ask('before');
  proxy.hold('back');
  const before = proxy.bytes;
  let got = '';
  socket.on('data', (some: string) => (got += some));
  socket.write('during');
  while (proxy.bytes.toTarget < before.toTarget + 6) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(proxy.bytes.fromTarget).toBe(before.fromTarget);
  expect(got).toBe('');
  proxy.heal();
  while (got === '') await new Promise((resolve) => setTimeout(resolve, 5));
  expect(got).toBe('during');
});

test('half open: the target is gone and nobody says so, until it heals', async () => {
  const { proxy, socket, ask } = await through(0);
  await ask('before');
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  proxy.halfOpen();
  socket.write('anybody there?');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(closed).toBe(false);
  expect(socket.writableLength).toBe(0);
  const gone = new Promise((resolve) => socket.on('close', resolve));
  proxy.heal();
  await gone;
});
