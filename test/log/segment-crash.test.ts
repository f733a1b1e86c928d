// kill -9 of a real process in the middle of appending.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { SegmentLog } from '../../src/log/segment.ts';
import { realSystem } from '../../src/system/real.ts';
import { isCausewayError } from '../../src/errors/errors.ts';
import { appendTo, entry, readAll, SHARDS } from '../contract/log.ts';

const WRITER = join(dirname(fileURLToPath(import.meta.url)), 'segment-crash-main.ts');

function logIn(directory: string): SegmentLog {
  const onFatal = (error: Error): void => {
    throw error;
  };
  return new SegmentLog({ directory, clusterId: 'test', system: realSystem(), onFatal, segmentBytes: 200_000 });
}

async function expectFenced(directory: string, pid: number): Promise<void> {
  await expect(logIn(directory).open(SHARDS)).rejects.toSatisfy(
    (error) => isCausewayError(error, 'FENCED') && error.message.includes(`process ${pid} has it`),
  );
}

test('I1: after kill -9 in mid-append every acknowledged entry is there, and another start is refused while it lives', async () => {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'causeway-crash-'));
  const acknowledged = SHARDS.map(() => 0);
  try {
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, ['--import', 'tsx', WRITER, directory], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let fenced: Promise<void> | undefined;
      await new Promise<void>((resolve, reject) => {
        let text = '';
        child.on('error', reject);
        child.on('exit', (code, signal) =>
          signal === 'SIGKILL' ? resolve() : reject(new Error(`the writer ended with ${code}`)),
        );
        child.stdout.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          const lines = text.split('\n');
          text = lines.pop()!;
          // "shard offset", printed after each acknowledgement.
          for (const line of lines) {
            const [shard, offset] = line.split(' ').map(Number) as [number, number];
            acknowledged[shard] = Math.max(acknowledged[shard]!, offset);
          }
          fenced ??= expectFenced(directory, child.pid!);
          if (acknowledged[0]! + acknowledged[1]! > (round + 1) * 400)
            void fenced.then(() => child.kill('SIGKILL'), reject);
        });
      });
      const log = logIn(directory);
      const recovery = await log.open(SHARDS);
      expect(recovery).toMatchObject({ state: 'whole', findings: [] });
      for (const [i, shard] of SHARDS.entries()) {
        const entries = await readAll(log, shard);
        expect(entries.length).toBeGreaterThanOrEqual(acknowledged[i]!);
        for (const { offset, bytes, kind } of entries) {
          if (kind === 'barrier') expect(Buffer.from(bytes).toString().trimEnd()).toBe(`${i} ${offset}`);
        }
      }
      expect(await appendTo(log, SHARDS[0]!, log.tail(SHARDS[0]!) + 1, entry('lease', 'after the crash'))).toEqual({
        kind: 'durable',
      });
      await log.close();
    }
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}, 120_000);
