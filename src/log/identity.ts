// identity.json in the data directory, beside log/: that a log was created here, and which one.
// Without it, a log directory that somebody emptied would look like a new region, and the region would stamp below what its peers hold
// (I6, DESIGN 7). It also says what the segment files cannot say about themselves: the last of them, and where a clean shutdown left it.

import { crc32 } from 'node:zlib';
import { readFile, writeFileWhole, type LogFiles } from './files.ts';
import { hex } from './segment-format.ts';

const FORMAT = 1;

export interface LogIdentity {
  readonly format: number;
  readonly clusterId: string;
  /** Random, 32 hex digits; stands in every segment. */
  readonly log: string;
  readonly createdAt: string;
  /** Raised each time the log is found damaged. A lease proves its shard only in the epoch in which it was appended. */
  readonly epoch: number;
  /** The newest segment that records may have been written to. */
  readonly lastSegment: number;
  /** What was found when the epoch was raised, for people, until every shard is proven again. */
  readonly findings: readonly string[];
  /** Segments whose readable records were copied elsewhere: they are renamed, also if that was interrupted. */
  readonly setAside: { readonly from: number; readonly to: number } | null;
  /** Where a clean shutdown left the log; null while it is open. */
  readonly closed: { readonly segment: number; readonly length: number } | null;
}

export type IdentityFound =
  | { readonly kind: 'good'; readonly identity: LogIdentity }
  | { readonly kind: 'absent' }
  | { readonly kind: 'bad' | 'newer'; readonly message: string };

export async function loadIdentity(files: LogFiles, path: string): Promise<IdentityFound> {
  const bytes = await readFile(files, path);
  if (bytes === undefined) return { kind: 'absent' };
  let content: unknown;
  try {
    content = JSON.parse(bytes.toString());
  } catch {
    return { kind: 'bad', message: `${path} is not JSON` };
  }
  const { checksum, ...rest } = content as Record<string, unknown>;
  if (checksum !== checksumOf(rest)) {
    return { kind: 'bad', message: `${path}: expected checksum ${checksumOf(rest)}, found ${String(checksum)}` };
  }
  const format = rest['format'];
  if (typeof format === 'number' && format > FORMAT) {
    return { kind: 'newer', message: `${path} has format ${format}, this version reads up to ${FORMAT}` };
  }
  // The checksum says that these are the fields that saveIdentity wrote in this format.
  return { kind: 'good', identity: rest as unknown as LogIdentity };
}

export async function saveIdentity(files: LogFiles, path: string, identity: LogIdentity): Promise<void> {
  const text = JSON.stringify({ ...identity, checksum: checksumOf(identity) }, null, 2);
  await writeFileWhole(files, path, Buffer.from(`${text}\n`));
}

export function newIdentity(clusterId: string, log: string, createdAtMs: number): LogIdentity {
  const createdAt = new Date(createdAtMs).toISOString();
  return {
    format: FORMAT,
    clusterId,
    log,
    createdAt,
    epoch: 1,
    lastSegment: 0,
    findings: [],
    setAside: null,
    closed: null,
  };
}

/** Of the fields as they stand, whatever their order: a newer version's fields count too. */
function checksumOf(fields: object): string {
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
  return hex(crc32(JSON.stringify(sorted)));
}
