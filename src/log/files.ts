// The file system as the segment log uses it: a port, so that tests can fail any call of it, deterministically.
// The hot path (writev, fdatasync, read, ftruncate) takes callbacks: promises of node:fs cost more than the call. What happens once
// per start or per segment takes promises.

import fs from 'node:fs';
import { dirname } from 'node:path';
import { lockDirectory, type DataLock } from './data-lock.ts';

export type FileError = NodeJS.ErrnoException;

export interface LogFiles {
  writev(
    fd: number,
    buffers: readonly Uint8Array[],
    position: number,
    done: (error: FileError | null, written: number) => void,
  ): void;
  fdatasync(fd: number, done: (error: FileError | null) => void): void;
  ftruncate(fd: number, length: number, done: (error: FileError | null) => void): void;
  read(
    fd: number,
    into: Uint8Array,
    at: number,
    length: number,
    position: number,
    done: (error: FileError | null, bytes: number) => void,
  ): void;

  /** Throws FENCED when somebody else has the directory. */
  lock(directory: string): Promise<DataLock>;
  /** With its parents, durably; fine when it is there. */
  makeDirectory(path: string): Promise<void>;
  /** Names in the directory. */
  list(path: string): Promise<string[]>;
  /** `create` truncates what is there. */
  open(path: string, how: 'read' | 'read-write' | 'create'): Promise<number>;
  size(fd: number): Promise<number>;
  close(fd: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(path: string): Promise<void>;
}

const OPEN_FLAGS = { read: 'r', 'read-write': 'r+', create: 'w+' } as const;

export const realFiles: LogFiles = {
  writev: (fd, buffers, position, done) => fs.writev(fd, buffers, position, done),
  fdatasync: (fd, done) => fs.fdatasync(fd, done),
  ftruncate: (fd, length, done) => fs.ftruncate(fd, length, done),
  read: (fd, into, at, length, position, done) => fs.read(fd, into, at, length, position, done),
  lock: (directory) => lockDirectory(directory),
  makeDirectory: async (path) => {
    // Where it was there before, a start that was killed may have made it and not synced it: two levels are ours.
    const first = (await fs.promises.mkdir(path, { recursive: true })) ?? dirname(path);
    // A new directory is durable when its parent is: else loss of power takes it, with all that was synced in it.
    for (let made = path; made.length >= first.length; made = dirname(made)) {
      await realFiles.syncDirectory(dirname(made)).catch((error: FileError) => {
        // The parent of the data directory may be closed to us; then somebody else made it.
        if (error.code !== 'EACCES') throw error;
      });
    }
  },
  list: (path) => fs.promises.readdir(path),
  open: (path, how) =>
    new Promise((resolve, reject) => {
      fs.open(path, OPEN_FLAGS[how], 0o640, (error, fd) => (error === null ? resolve(fd) : reject(error)));
    }),
  size: (fd) =>
    new Promise((resolve, reject) => {
      fs.fstat(fd, (error, stats) => (error === null ? resolve(stats.size) : reject(error)));
    }),
  close: (fd) =>
    new Promise((resolve, reject) => {
      fs.close(fd, (error) => (error ? reject(error) : resolve()));
    }),
  rename: (from, to) => fs.promises.rename(from, to),
  remove: (path) => fs.promises.rm(path, { force: true }),
  syncDirectory: async (path) => {
    const directory = await fs.promises.open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
};

// The same calls as promises, for recovery and roll.

export function readAt(files: LogFiles, fd: number, into: Uint8Array, at: number, length: number, position: number) {
  return new Promise<number>((resolve, reject) => {
    files.read(fd, into, at, length, position, (error, bytes) => (error === null ? resolve(bytes) : reject(error)));
  });
}

export function syncData(files: LogFiles, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    files.fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
  });
}

export function truncate(files: LogFiles, fd: number, length: number): Promise<void> {
  return new Promise((resolve, reject) => {
    files.ftruncate(fd, length, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Writes all of it. A short write is ordinary near the end of a disk: the next one then says why. */
export function writeAll(
  files: LogFiles,
  fd: number,
  buffers: readonly Uint8Array[],
  position: number,
  done: (error: FileError | null) => void,
): void {
  files.writev(fd, buffers, position, (error, written) => {
    if (error !== null) return done(error);
    let rest = written;
    let first = 0;
    while (first < buffers.length && rest >= buffers[first]!.length) rest -= buffers[first++]!.length;
    if (first === buffers.length) return done(null);
    if (written === 0) return done(Object.assign(new Error('a write wrote nothing'), { code: 'EIO' }));
    const left = [buffers[first]!.subarray(rest), ...buffers.slice(first + 1)];
    writeAll(files, fd, left, position + written, done);
  });
}

export function writeAt(files: LogFiles, fd: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    writeAll(files, fd, [bytes], position, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** The whole file, undefined when it is not there. For small files. */
export async function readFile(files: LogFiles, path: string): Promise<Buffer | undefined> {
  let fd: number;
  try {
    fd = await files.open(path, 'read');
  } catch (error) {
    if ((error as FileError).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const bytes = Buffer.alloc(await files.size(fd));
    let filled = 0;
    while (filled < bytes.length) {
      const got = await readAt(files, fd, bytes, filled, bytes.length - filled, filled);
      if (got === 0) break;
      filled += got;
    }
    return bytes.subarray(0, filled);
  } finally {
    await files.close(fd);
  }
}

/** A file is there durably with exactly these bytes, or it is not there (or is the older one): never half of it. */
export async function writeFileWhole(files: LogFiles, path: string, bytes: Uint8Array): Promise<void> {
  const unfinished = `${path}${UNFINISHED}`;
  const fd = await files.open(unfinished, 'create');
  try {
    await writeAt(files, fd, bytes, 0);
    await syncData(files, fd);
  } finally {
    await files.close(fd);
  }
  await files.rename(unfinished, path);
  await files.syncDirectory(dirname(path));
}

/** Suffix of a file that was not finished; nothing in it was ever relied on. */
export const UNFINISHED = '.tmp';
