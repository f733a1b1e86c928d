// What this node remembers of the streams between two starts: a stream that has vanished, was made again or has lost its end since looks whole by
// itself (I6, DESIGN 7). One small file in the node's data directory; without it (a new machine) the streams are taken as they are, and the members,
// who are asked at each start, are the only ones who can tell.
// It is a lower bound: another node of the region may have appended since.

import { crc32 } from 'node:zlib';
import { readFile, writeFileWhole, type LogFiles } from './files.ts';

const FORMAT = 1;

/** By stream name. */
export type RememberedStreams = ReadonlyMap<string, { readonly incarnation: number; readonly lastSequence: number }>;

/** Nothing when there is no such file, or an unreadable one: then nothing is known. */
export async function recallStreams(files: LogFiles, path: string): Promise<RememberedStreams> {
  const bytes = await readFile(files, path);
  if (bytes === undefined) return new Map();
  try {
    const { format, checksum, streams } = JSON.parse(bytes.toString()) as Record<string, unknown>;
    if (format !== FORMAT || checksum !== checksumOf(streams)) return new Map();
    return new Map(streams as [string, { incarnation: number; lastSequence: number }][]);
  } catch {
    return new Map();
  }
}

export async function rememberStreams(files: LogFiles, path: string, streams: RememberedStreams): Promise<void> {
  const rows = [...streams];
  const text = JSON.stringify({ format: FORMAT, checksum: checksumOf(rows), streams: rows });
  await writeFileWhole(files, path, Buffer.from(`${text}\n`));
}

function checksumOf(streams: unknown): number {
  return crc32(JSON.stringify(streams));
}
