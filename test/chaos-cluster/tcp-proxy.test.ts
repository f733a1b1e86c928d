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
