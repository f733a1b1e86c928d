// The segment files of a directory: which are there, and opening one of them.

import { join } from 'node:path';
import { CausewayError } from '../errors/errors.ts';
import { syncData, UNFINISHED, writeAt, type LogFiles } from './files.ts';
import {
  encodeSegmentHeader,
  segmentName,
  segmentNumber,
  segmentNumberAny,
  type SegmentHeader,
} from './segment-format.ts';
import { FileWindow } from './segment-scan.ts';

export interface SegmentDirectory {
  readonly files: LogFiles;
  /** Where the segments are. */
  readonly directory: string;
  readonly identityPath: string;
  /** 32 random bits for a new segment. */
  readonly newSalt: () => number;
}

export interface Segment {
  readonly number: number;
  readonly path: string;
  readonly salt: number;
  readonly epoch: number;
  readonly salvaged: boolean;
  /** Position of its first byte, counted over all segments. */
  readonly base: number;
  readonly headerBytes: number;
  /** Up to the last durable record. */
  length: number;
  /** Of the file. What it has behind `length` is zeros, which the next records are written over. */
  fileBytes: number;
}

/** `any`: those of damaged files too. Both ascending. */
export async function listSegments(at: SegmentDirectory): Promise<{ segments: number[]; any: number[] }> {
  const names = await at.files.list(at.directory);
  const ascending = (numbers: (number | undefined)[]): number[] =>
    numbers.filter((number) => number !== undefined).sort((a, b) => a - b);
  return { segments: ascending(names.map(segmentNumber)), any: ascending(names.map(segmentNumberAny)) };
}

export async function withSegment<T>(
  at: SegmentDirectory,
  number: number,
  use: (window: FileWindow) => Promise<T>,
): Promise<T> {
  const fd = await at.files.open(join(at.directory, segmentName(number)), 'read');
  try {
    return await use(new FileWindow(at.files, fd, await at.files.size(fd)));
  } finally {
    await at.files.close(fd);
  }
}

/** A file of `bytes` durable zeros that becomes the segment. */
export interface ZeroedFile {
  readonly path: string;
  readonly bytes: number;
}

/**
 * Writes a segment under another name and renames it when it is durable: a file named *.seg never has half a header.
 * `records` may be empty.
 */
export async function createSegment(
  at: SegmentDirectory,
  header: SegmentHeader,
  base: number,
  records: (headerBytes: number) => readonly Uint8Array[],
  zeroed?: ZeroedFile,
): Promise<Segment> {
  const { files, directory } = at;
  const path = join(directory, segmentName(header.number));
  const head = encodeSegmentHeader(header);
  const parts = [head, ...records(head.length)];
  const unfinished = zeroed?.path ?? path + UNFINISHED;
  const fd = await files.open(unfinished, zeroed === undefined ? 'create' : 'read-write');
  let length = 0;
  try {
    for (const part of parts) {
      await writeAt(files, fd, part, length);
      length += part.length;
    }
    await syncData(files, fd);
  } finally {
    await files.close(fd);
  }
  await files.rename(unfinished, path);
  await files.syncDirectory(directory);
  const { number, salt, epoch, salvaged } = header;
  const fileBytes = Math.max(length, zeroed?.bytes ?? 0);
  return { number, path, salt, epoch, salvaged, base, headerBytes: head.length, length, fileBytes };
}

export function newerFormat(message: string): CausewayError {
  return new CausewayError('CORRUPT', `the log is of a newer version than this one reads: ${message}`, {
    details: { reason: 'newer-format' },
    hint: 'Start the version that wrote it, or a later one. Nothing was changed.',
  });
}
