// What the faults of NATS and Redis are made of: damage to a block file, what nodes said in their logs, wires to several nodes of a region.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { damageStream } from '../../chaos/cluster/block-file.ts';
import { said } from '../../chaos/cluster/node-logs.ts';
import { Wires } from '../../chaos/cluster/wires.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'causeway-chaos-servers-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('damage to a stream', () => {
  const BYTES = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251));

  function block(stream: string, number: number, bytes = BYTES): string {
    const file = join(directory, 'jetstream/$G/streams', stream, 'msgs', `${number}.blk`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    return file;
  }

  test('flips bytes in the middle of the newest block of that stream, and nowhere else', () => {
    const files = [block('s', 9), block('s', 10), block('other', 11)];
    damageStream(directory, 's', 'flipped');
    const [before, damaged, other] = files.map((file) => readFileSync(file));
    expect(before).toEqual(BYTES);
    expect(other).toEqual(BYTES);
    const changed = [...BYTES.keys()].filter((i) => damaged![i] !== BYTES[i]);
    expect(changed).toEqual(Array.from({ length: 16 }, (_, i) => 500 + i));
    expect(damaged).toHaveLength(BYTES.length);
  });

  test('cuts its last quarter off', () => {
    const file = block('s', 1);
    damageStream(directory, 's', 'truncated');
    expect(readFileSync(file)).toEqual(BYTES.subarray(0, 750));
  });

  test('says when there is nothing to damage', () => {
    block('s', 1, Buffer.alloc(3));
    expect(() => damageStream(directory, 's', 'flipped')).toThrow(/3 bytes: too few/);
    expect(() => damageStream(directory, 'gone', 'flipped')).toThrow(/no block file of stream gone/);
  });
});

test('what nodes said since a moment, in order, whatever else stands in their logs', () => {
  const files = ['a', 'b', 'none'].map((name) => join(directory, name));
  const line = (time: number, msg: string): string => `${JSON.stringify({ level: 'warn', time, msg })}\n`;
  writeFileSync(files[0]!, `${line(99, 'lost 1/0')}${line(120, 'lost 1/1')}not JSON\n{"time":130,"msg":"lost 1/2"`);
  writeFileSync(files[1]!, `${line(110, 'lost 1/3')}${line(111, 'found')}`);
  expect(said(files, 100, /^lost/)).toEqual([
    { atMs: 110, message: 'lost 1/3' },
    { atMs: 120, message: 'lost 1/1' },
  ]);
});

test('a wire to each node of a region, shared by the nodes that dial it; all are cut together', async () => {
  const servers = await Promise.all(
    [0, 1].map(
      () =>
        new Promise<Server>((resolve) => {
          const server = createServer((socket) => void socket.on('error', () => undefined).end('hello'));
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  onTestFinished(() => servers.forEach((server) => server.close()));
  const wires = new Wires();
  onTestFinished(() => wires.close());
  const direct = servers.map((server) => `127.0.0.1:${(server.address() as { port: number }).port}`);
  const [one, two, again] = [
    await wires.lay('eu', 'us', direct[0]!),
    await wires.lay('eu', 'us', direct[1]!),
    await wires.lay('eu', 'us', direct[0]!),
  ];
  expect(again).toBe(one);
  expect(two).not.toBe(one);
  expect(await Promise.all([heard(one), heard(two)])).toEqual(['hello', 'hello']);
  wires.cut('us', 'eu', 'reset');
  expect(await Promise.all([heard(one), heard(two)])).toEqual(['', '']);
  wires.heal();
  expect(await Promise.all([heard(one), heard(two)])).toEqual(['hello', 'hello']);
});

function heard(address: string): Promise<string> {
  const [host, port] = address.split(':') as [string, string];
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host, port: Number(port) });
    socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}
