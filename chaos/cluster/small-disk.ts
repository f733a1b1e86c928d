// A disk of a few MiB for one region, so that it can be filled without filling the machine's.
// Owns: a tmpfs that this process mounts and unmounts. Only root may; others are told why not.
// HAZARD: our own end. An ordinary exit unmounts; after a kill -9 of this process the mount stays until somebody runs the umount that
//         `mount | grep causeway-chaos` shows. It holds no more memory than its size.

import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DEVICE = 'causeway-chaos';
const BALLAST = 'ballast';
const BLOCK = Buffer.alloc(64 * 1024);

/** Why this process cannot make one; undefined: it can. Found out by trying: root in a container may not mount either. */
export function smallDiskUnavailable(): string | undefined {
  if (process.platform !== 'linux') return `a small disk is a tmpfs, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'mounting a tmpfs takes root';
  const directory = mkdtempSync(join(tmpdir(), 'causeway-disk-'));
  try {
    SmallDisk.mount(directory, 1).unmount();
    return undefined;
  } catch (error) {
    return `a tmpfs cannot be mounted: ${(error as Error).message.trim()}`;
  } finally {
    rmdirSync(directory);
  }
}

export class SmallDisk {
  readonly directory: string;
  readonly #onExit = (): void => this.unmount();
  #mounted = true;
  #full = false;

  private constructor(directory: string) {
    this.directory = directory;
    process.on('exit', this.#onExit);
  }

  /** Throws when mount does. */
  static mount(directory: string, mebibytes: number): SmallDisk {
    mkdirSync(directory, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, DEVICE, directory], { stdio: 'pipe' });
    return new SmallDisk(directory);
  }

  get isFull(): boolean {
    return this.#full;
  }

  /** Until not a byte more goes onto it. What is there stays. */
  fill(): void {
    this.#full = true;
    const file = openSync(join(this.directory, BALLAST), 'a');
    try {
      for (let block = BLOCK; block.length > 0;) {
        try {
          writeSync(file, block);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          block = block.subarray(0, block.length >> 1);
        }
      }
    } finally {
      closeSync(file);
    }
  }

  /** What fill() put there goes. */
  free(): void {
    this.#full = false;
    rmSync(join(this.directory, BALLAST), { force: true });
  }

  /** Never fails; may be called twice. Whoever uses it has ended. */
  unmount(): void {
    if (!this.#mounted) return;
    this.#mounted = false;
    process.off('exit', this.#onExit);
    try {
      execFileSync('umount', [this.directory], { stdio: 'pipe' });
    } catch {
      // Somebody still has a file open there: it goes with the last of them.
      execFileSync('umount', ['-l', this.directory], { stdio: 'pipe' });
    }
  }
}
