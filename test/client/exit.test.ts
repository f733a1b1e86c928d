// A process that used everything and closed it ends by itself: no timer, socket or stream is left behind.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

const PROGRAM = `
  import { ApiServer } from './src/api/server.ts';
  import { adminClient, connect } from './src/client/index.ts';
  import { realSystem } from './src/system/real.ts';
  import { FakeRegion } from './test/support/fake-region.ts';
  const system = realSystem();
  const region = new FakeRegion({ name: 'us-west', system });
  const server = new ApiServer({ region, listen: '127.0.0.1:0', system });
  const { port } = await server.start();
  const address = '127.0.0.1:' + port;
  const db = connect({ endpoints: ['127.0.0.1:1', address], namespace: 'app' });
  await db.register('profiles').set('k', 1);
  const events = [];
  const following = (async () => { for await (const event of db.subscribe({ from: 'beginning' })) events.push(event); })().catch(() => undefined);
  const producer = db.producer();
  for (let i = 0; i < 100; i++) await producer.send(db.counter('delays').op.increment('k'));
  await producer.close();
  const left = db.producer();
  void left.send(db.counter('delays').op.increment('k'));
  const admin = adminClient(address);
  await admin.status();
  admin.close();
  db.close();
  await following;
  await server.drain();
  await server.stop();
  console.log('closed everything');
`;

test('nothing is left behind', async () => {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM], { cwd: root });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(timer);
  expect({ code, output }).toEqual({ code: 0, output: 'closed everything\n' });
});
