// A disk in memory behind the segment log's file port, with what real disks do to programs: pages of an unsynced write
// reach it in any order or not at all, a crash of the process leaves the page cache alone, a failed fdatasync forgets what it was to write
// and says so once, space runs out in the middle of a write.

import { dirname } from 'node:path';
import type { FileError, LogFiles } from '../../src/log/files.ts';

const PAGE = 4096;

type Call =
  | 'writev'
  | 'fdatasync'
  | 'ftruncate'
  | 'read'
  | 'size'
  | 'open'
  | 'close'
  | 'rename'
  | 'remove'
  | 'syncDirectory'
  | 'list'
  | 'makeDirectory';

interface Inode {
  /** What the kernel shows. */
  cached: Buffer;
  /** What would be there after loss of power if nothing more was written back. */
  stored: Buffer;
}

export function fileError(code: string): FileError {
  return Object.assign(new Error(`${code}: simulated`), { code });
}

export class SimulatedDisk {
  #names = new Map<string, Inode>();
  /** As after a loss of power, and the changes since, which are in order for each directory. */
  #storedNames = new Map<string, Inode>();
  #journal: { readonly directory: string; readonly apply: (names: Map<string, Inode>) => void }[] = [];
  readonly #handles = new Map<number, Inode>();
  #nextHandle = 100;
  #life = 0;
  /** Bytes that all files together may have. */
  capacity = Number.POSITIVE_INFINITY;
  /** Asked at each call: an error to fail it with. */
  fault: (call: Call, path: string) => string | undefined = () => undefined;
  readonly counts = { writes: 0, syncs: 0, reads: 0 };

  // What tests do to it

  /** kill -9: what was written is still in the page cache; nobody is called back any more. */
  crashProcess(): void {
    this.#life++;
    this.#handles.clear();
  }

  /** Loss of power. `pick` decides for each unsynced page (and each change of a directory) whether it had reached the disk. */
  crashMachine(pick: () => boolean): void {
    this.crashProcess();
    for (const directory of new Set(this.#journal.map((change) => change.directory))) {
      const changes = this.#journal.filter((change) => change.directory === directory);
      for (let i = 0; i < changes.length && pick(); i++) changes[i]!.apply(this.#storedNames);
    }
    this.#journal = [];
    this.#names = new Map(this.#storedNames);
    for (const inode of new Set(this.#names.values())) {
      inode.stored = afterPowerLoss(inode, pick);
      inode.cached = Buffer.from(inode.stored);
    }
  }

  content(path: string): Buffer {
    const inode = this.#names.get(path);
    if (inode === undefined) throw fileError('ENOENT');
    return inode.cached;
  }

  /** Changes a file as nobody should, durably. */
  tamper(path: string, change: (bytes: Buffer) => Buffer): void {
    const inode = this.#names.get(path) ?? { cached: Buffer.alloc(0), stored: Buffer.alloc(0) };
    inode.cached = Buffer.from(change(Buffer.from(inode.cached)));
    inode.stored = Buffer.from(inode.cached);
    this.#names.set(path, inode);
    this.#storedNames.set(path, inode);
  }

  delete(path: string): void {
    this.#names.delete(path);
    this.#storedNames.delete(path);
  }

  /** Only between logs. */
  swap(one: string, other: string): void {
    const [a, b] = [this.#names.get(one)!, this.#names.get(other)!];
    for (const names of [this.#names, this.#storedNames]) names.set(one, b).set(other, a);
  }

  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  copy(): SimulatedDisk {
    const disk = new SimulatedDisk();
    for (const [path, { cached }] of this.#names) disk.tamper(path, () => cached);
    return disk;
  }

  get openHandles(): number {
    return this.#handles.size;
  }

  /** The port, for one process: after a crash nobody calls that process back, and nothing it still does arrives. */
  process(): LogFiles {
    const life = this.#life;
    const alive = (): boolean => life === this.#life;
    const later = (call: Call, fd: number, action: (inode: Inode, error: FileError | undefined) => void): void => {
      setImmediate(() => {
        const inode = alive() ? this.#handles.get(fd) : undefined;
        if (inode === undefined) return;
        const error = this.fault(call, this.#pathOf(inode));
        // The fault may have been the end of this process.
        if (alive()) action(inode, error === undefined ? undefined : fileError(error));
      });
    };
    const soon = <T>(call: Call, path: string, action: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        setImmediate(() => {
          if (!alive()) return;
          const error = this.fault(call, path);
          if (!alive()) return;
          if (error !== undefined) return reject(fileError(error));
          try {
            resolve(action());
          } catch (thrown) {
            reject(thrown as Error);
          }
        });
      });
    return {
      writev: (fd, buffers, position, done) =>
        later('writev', fd, (inode, error) => {
          this.counts.writes++;
          if (error !== undefined) return done(error, 0);
          const bytes = Buffer.concat(buffers);
          const grows = Math.max(0, position + bytes.length - inode.cached.length);
          const room = Math.max(0, this.capacity - this.#used());
          // As much as there is room for is written; only a write that finds none fails.
          const taken = Math.min(bytes.length, bytes.length - grows + room);
          if (taken <= 0 && bytes.length > 0) return done(fileError('ENOSPC'), 0);
          inode.cached = written(inode.cached, bytes.subarray(0, taken), position);
          done(null, taken);
        }),
      fdatasync: (fd, done) =>
        later('fdatasync', fd, (inode, error) => {
          this.counts.syncs++;
          if (error !== undefined) return done(error);
          inode.stored = Buffer.from(inode.cached);
          done(null);
        }),
      ftruncate: (fd, length, done) =>
        later('ftruncate', fd, (inode, error) => {
          if (error !== undefined) return done(error);
          inode.cached = Buffer.from(inode.cached.subarray(0, length));
          done(null);
        }),
      read: (fd, into, at, length, position, done) =>
        later('read', fd, (inode, error) => {
          this.counts.reads++;
          if (error !== undefined) return done(error, 0);
          done(null, inode.cached.copy(into, at, position, Math.min(position + length, inode.cached.length)));
        }),
      lock: () => Promise.resolve({ release: () => undefined }),
      makeDirectory: (path) => soon('makeDirectory', path, () => undefined),
      list: (path) =>
        soon('list', path, () =>
          this.paths()
            .filter((name) => name.startsWith(`${path}/`))
            .map((name) => name.slice(path.length + 1)),
        ),
      open: (path, how) =>
        soon('open', path, () => {
          let inode = this.#names.get(path);
          if (inode === undefined) {
            if (how !== 'create') throw fileError('ENOENT');
            const created = { cached: Buffer.alloc(0), stored: Buffer.alloc(0) };
            inode = created;
            this.#change(path, (names) => names.set(path, created));
          }
          if (how === 'create') inode.cached = Buffer.alloc(0);
          this.#handles.set(this.#nextHandle, inode);
          return this.#nextHandle++;
        }),
      size: (fd) => soon('size', '', () => this.#handles.get(fd)!.cached.length),
      close: (fd) => soon('close', '', () => void this.#handles.delete(fd)),
      rename: (from, to) =>
        soon('rename', from, () => {
          const inode = this.#names.get(from);
          if (inode === undefined) throw fileError('ENOENT');
          this.#change(from, (names) => {
            names.delete(from);
            names.set(to, inode);
          });
        }),
      remove: (path) => soon('remove', path, () => this.#change(path, (names) => names.delete(path))),
      syncDirectory: (path) =>
        soon('syncDirectory', path, () => {
          for (const change of this.#journal) if (change.directory === path) change.apply(this.#storedNames);
          this.#journal = this.#journal.filter((change) => change.directory !== path);
        }),
    };
  }

  #change(path: string, apply: (names: Map<string, Inode>) => void): void {
    apply(this.#names);
    this.#journal.push({ directory: dirname(path), apply });
  }

  #used(): number {
    let used = 0;
    for (const { cached } of this.#names.values()) used += cached.length;
    return used;
  }

  #pathOf(inode: Inode): string {
    for (const [path, named] of this.#names) if (named === inode) return path;
    return '';
  }
}

function written(into: Buffer, bytes: Buffer, position: number): Buffer {
  const result = Buffer.alloc(Math.max(into.length, position + bytes.length));
  into.copy(result);
  bytes.copy(result, position);
  return result;
}

function afterPowerLoss({ cached, stored }: Inode, pick: () => boolean): Buffer {
  if (cached.equals(stored)) return stored;
  // The new length, or a page boundary below it that some page had been written up to, or the old one.
  let length = cached.length;
  while (length !== stored.length && !pick()) {
    const shorter = Math.floor((length - 1) / PAGE) * PAGE;
    length = cached.length < stored.length ? stored.length : Math.max(stored.length, shorter);
  }
  const result = Buffer.alloc(length);
  for (let page = 0; page < length; page += PAGE) {
    const from = pick() ? cached : stored;
    if (page < from.length) from.copy(result, page, page, Math.min(page + PAGE, length));
  }
  return result;
}
