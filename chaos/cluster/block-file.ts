// Damage to a stream's newest block file, as a bad disk or a careless hand does it. The NATS server that has it is not running.

import { closeSync, fstatSync, openSync, readdirSync, readSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export type Damage = 'flipped' | 'truncated';

const FLIPPED_BYTES = 16;

/** In `directory`, the data of a NATS server, or below it. Throws when there is no such stream, or nothing in it. Returns what was done. */
export function damageStream(directory: string, stream: string, damage: Damage): string {
  const file = newestBlock(directory, stream);
  const handle = openSync(file, 'r+');
  try {
    const { size } = fstatSync(handle);
    if (size < 4 * FLIPPED_BYTES) throw new Error(`${file} has ${size} bytes: too few to damage`);
    if (damage === 'truncated') {
      const kept = Math.floor(size * 0.75);
      truncateSync(file, kept);
      return `${file} is cut from ${size} to ${kept} bytes`;
    }
    const at = Math.floor(size / 2);
    const bytes = Buffer.alloc(FLIPPED_BYTES);
    readSync(handle, bytes, 0, FLIPPED_BYTES, at);
    for (let i = 0; i < FLIPPED_BYTES; i++) bytes[i] = bytes[i]! ^ 0xff;
    writeSync(handle, bytes, 0, FLIPPED_BYTES, at);
    return `${FLIPPED_BYTES} of ${size} bytes of ${file} are flipped from ${at} on`;
  } finally {
    closeSync(handle);
  }
}

function newestBlock(directory: string, stream: string): string {
  const entries = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const pattern = new RegExp(
    `(?:^|/)streams/${stream.replaceAll(/[^A-Za-z0-9_-]/g, String.raw`\$&`)}/msgs/(\\d+)\\.blk$`,
  );
  const blocks = entries
    .map((path) => ({ path, number: Number(pattern.exec(path)?.[1] ?? Number.NaN) }))
    .filter(({ number }) => !Number.isNaN(number))
    .sort((a, b) => b.number - a.number);
  if (blocks[0] === undefined) throw new Error(`there is no block file of stream ${stream} below ${directory}`);
  return join(directory, blocks[0].path);
}
