// Whether the rows of an LMDB environment may be trusted: proof.json beside it.
// LMDB writes here without sync. What it has written survives kill -9, because the kernel has it; after loss of power any mixture of old and
// new pages may be on the disk, and LMDB does not notice: it reads garbage or crashes the process (seen: SIGSEGV and SIGBUS
// with overwritten and with shortened files). So the decision is made before the environment is opened, from this file and from
// a look at the two meta pages.
//
// States, each written durably before what it speaks of happens:
//   opening  a start began to read the environment and did not finish: it may have died of it
//   open     rows are in the kernel's hands: good as long as the machine runs (same boot id)
//   clean    everything is on the disk and nothing was written since

import fs from 'node:fs';
import { dirname } from 'node:path';

export const STORE_FORMAT = 1;
/** Starts after kill -9 in a row, none of which came as far as to ask for a checkpoint: after so many the rows themselves are the suspect. */
const UNCLEAN_MAX = 3;
const META_PAGES = 2;

export interface Proof {
  readonly format: number;
  readonly logIdentity: string;
  readonly state: 'opening' | 'open' | 'clean';
  readonly bootId: string;
  /** Starts in a row that did not come as far as to ask for a checkpoint. */
  readonly unclean: number;
}

export type Verdict =
  | { readonly kind: 'trust'; readonly unclean: number }
  /** Nothing was there. */
  | { readonly kind: 'new' }
  /** `suspect`: the files themselves may be broken; they are kept for people to look at. */
  | { readonly kind: 'reset'; readonly suspect: boolean; readonly reason: string };

export function judge(
  path: string,
  proof: Proof | 'absent' | 'unreadable',
  logIdentity: string,
  bootId: string,
): Verdict {
  if (!fs.existsSync(path)) {
    return proof === 'absent' ? { kind: 'new' } : reset(`${path} is gone`);
  }
  if (proof === 'absent') return reset(`${path} has no proof beside it`);
  if (proof === 'unreadable') return reset(`the proof beside ${path} cannot be read`);
  if (proof.format !== STORE_FORMAT) return reset(`expected format ${STORE_FORMAT}, found ${proof.format}`);
  if (proof.logIdentity !== logIdentity) {
    return reset(`expected rows made from log ${logIdentity}, found rows made from ${proof.logIdentity}`);
  }
  if (proof.state === 'opening') return reset('the last start did not survive opening it', true);
  if (proof.state === 'open' && (bootId === '' || proof.bootId !== bootId)) {
    return reset('the machine was started anew since rows were written, with no checkpoint after them');
  }
  const unclean = proof.state === 'clean' ? 0 : proof.unclean + 1;
  if (unclean > UNCLEAN_MAX) return reset(`${unclean} starts in a row found no clean shutdown`, true);
  const broken = metaProblem(path);
  return broken === undefined ? { kind: 'trust', unclean } : reset(broken, true);
}

function reset(reason: string, suspect = false): Verdict {
  return { kind: 'reset', suspect, reason };
}

// Offsets in an LMDB meta page, after the page's own header of 24 bytes (lmdb-js 3.5, data version 2).
const MAGIC_AT = 24;
const MAGIC = 0xbeefc0de;
const VERSION_AT = 28;
const VERSION = 2;
const PAGE_SIZE_AT = 48;
const LAST_PAGE_AT = 144;
const TXN_AT = 152;

/** What is wrong with the two meta pages; LMDB itself would map what they say without a further look. */
function metaProblem(path: string): string | undefined {
  const fd = fs.openSync(path, 'r');
  try {
    const { size } = fs.fstatSync(fd);
    // A file that was created and never written to is fine.
    if (size === 0) return undefined;
    const first = Buffer.alloc(160);
    fs.readSync(fd, first, 0, first.length, 0);
    const pageSize = first.readUInt32LE(PAGE_SIZE_AT);
    if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) {
      return `${path}: expected the size of a page, found ${pageSize}`;
    }
    if (size < META_PAGES * pageSize) return `${path}: expected two meta pages, found ${size} bytes`;
    const second = Buffer.alloc(160);
    fs.readSync(fd, second, 0, second.length, pageSize);
    for (const meta of [first, second]) {
      const [magic, version] = [meta.readUInt32LE(MAGIC_AT), meta.readUInt16LE(VERSION_AT)];
      if (magic !== MAGIC || version !== VERSION || meta.readUInt32LE(PAGE_SIZE_AT) !== pageSize) {
        return `${path}: a meta page is not one of LMDB`;
      }
    }
    const newest = first.readBigUInt64LE(TXN_AT) > second.readBigUInt64LE(TXN_AT) ? first : second;
    const needed = (newest.readBigUInt64LE(LAST_PAGE_AT) + 1n) * BigInt(pageSize);
    return BigInt(size) < needed ? `${path}: expected at least ${needed} bytes, found ${size}` : undefined;
  } finally {
    fs.closeSync(fd);
  }
}

export function readProof(path: string): Proof | 'absent' | 'unreadable' {
  let text: string;
  try {
    text = fs.readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw error;
  }
  try {
    const { format, logIdentity, state, bootId, unclean } = JSON.parse(text) as Record<string, unknown>;
    if (typeof format !== 'number' || typeof logIdentity !== 'string' || typeof bootId !== 'string')
      return 'unreadable';
    if (state !== 'opening' && state !== 'open' && state !== 'clean') return 'unreadable';
    return { format, logIdentity, state, bootId, unclean: typeof unclean === 'number' ? unclean : 0 };
  } catch {
    return 'unreadable';
  }
}

/** Durable when it returns. Not often: at start and stop, at a checkpoint, and at the first write after one. */
export function writeProof(path: string, proof: Proof): void {
  const unfinished = `${path}.tmp`;
  const fd = fs.openSync(unfinished, 'w', 0o640);
  try {
    fs.writeSync(fd, `${JSON.stringify(proof, null, 2)}\n`);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(unfinished, path);
  const directory = fs.openSync(dirname(path), 'r');
  try {
    fs.fsyncSync(directory);
  } finally {
    fs.closeSync(directory);
  }
}
