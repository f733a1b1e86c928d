// After damage: keeps what is readable, sets the damaged files aside, and raises the epoch.
// For each shard the entries up to the first missing one are kept, wherever they are found. The order of the steps makes a crash between
// any two of them harmless: copies are written and synced (the next open finds the same damage and copies again), then
// identity.json names the new epoch and what is to be set aside (from then on the copies count), then files are renamed.

import { join } from 'node:path';
import { saveIdentity, type LogIdentity } from './identity.ts';
import { createSegment, listSegments, withSegment, type Segment, type SegmentDirectory } from './segment-directory.ts';
import {
  RECORD_HEADER_BYTES,
  recordKind,
  recordOffset,
  recordShardKey,
  segmentName,
  writeRecord,
} from './segment-format.ts';
import type { LogEntryKind } from './log.ts';
import { findGoodRecord, scanHeader, scanRecords, type FileWindow } from './segment-scan.ts';

/** A directory can have more wrong with it than anybody reads. */
const FINDINGS_MAX = 20;

export interface Damage {
  readonly findings: readonly string[];
  /** The first segment that cannot be used as it is; undefined: all that are there can. */
  readonly from: number | undefined;
  /** What precedes it. */
  readonly intact: readonly Segment[];
  /** By shardKey: offset of the next entry after the intact segments. */
  readonly next: ReadonlyMap<number, number>;
}

export async function repair(at: SegmentDirectory, identity: LogIdentity, damage: Damage): Promise<LogIdentity> {
  const { segments, any } = await listSegments(at);
  const highest = Math.max(identity.lastSegment, ...any);
  const { from } = damage;
  const aside = from === undefined ? [] : segments.filter((number) => number >= from);
  const salvage = new Salvage(at, damage, highest + 1, identity.epoch + 1);
  for (const source of await inOrderOfWriting(at, aside)) await salvage.copy(source.number, identity.log);
  const lastSegment = await salvage.finish(identity.log);

  const findings = [...identity.findings, ...damage.findings, ...salvage.findings()];
  if (aside.length > 0) {
    const names = aside.map(segmentName).join(', ');
    findings.push(`${names}: renamed to *.damaged; ${salvage.entries} entries of them are kept`);
  }
  const bounded = findings.slice(0, FINDINGS_MAX);
  if (findings.length > FINDINGS_MAX) bounded.push(`and ${findings.length - FINDINGS_MAX} more`);
  const repaired: LogIdentity = {
    ...identity,
    epoch: identity.epoch + 1,
    lastSegment,
    findings: bounded,
    setAside: aside.length === 0 ? identity.setAside : { from: aside[0]!, to: highest },
    closed: null,
  };
  await saveIdentity(at.files, at.identityPath, repaired);
  await finishSettingAside(at, repaired);
  return repaired;
}

/** Renames what the identity says is set aside. Nothing is left to do when that was finished before. */
export async function finishSettingAside(at: SegmentDirectory, identity: LogIdentity): Promise<void> {
  if (identity.setAside === null) return;
  const { from, to } = identity.setAside;
  for (const number of (await listSegments(at)).segments) {
    if (number < from || number > to) continue;
    const path = join(at.directory, segmentName(number));
    await at.files.rename(path, `${path}.damaged`);
  }
  await at.files.syncDirectory(at.directory);
}

/** By the number in the header: files that were swapped give all they have. */
async function inOrderOfWriting(at: SegmentDirectory, numbers: readonly number[]): Promise<{ number: number }[]> {
  const found: { number: number; written: number }[] = [];
  for (const number of numbers) {
    const head = await withSegment(at, number, scanHeader);
    found.push({ number, written: head.kind === 'good' ? head.header.number : number });
  }
  return found.sort((a, b) => a.written - b.written);
}

interface SavedRecord {
  readonly key: number;
  readonly offset: number;
  readonly kind: LogEntryKind;
  readonly payload: Buffer;
}

class Salvage {
  entries = 0;
  readonly #at: SegmentDirectory;
  readonly #epoch: number;
  readonly #next: Map<number, number>;
  /** By shardKey: good entries behind a missing one. */
  readonly #behind = new Map<number, number>();
  readonly #findings: string[] = [];
  #number: number;
  #previous: Segment | undefined;
  #written = 0;

  constructor(at: SegmentDirectory, damage: Damage, number: number, epoch: number) {
    this.#at = at;
    this.#next = new Map(damage.next);
    this.#number = number;
    this.#epoch = epoch;
    this.#previous = damage.intact.at(-1);
  }

  async copy(number: number, log: string): Promise<void> {
    const name = segmentName(number);
    const head = await withSegment(this.#at, number, scanHeader);
    if (head.kind !== 'good') {
      this.#findings.push(`${name}: nothing can be read without its header`);
      return;
    }
    if (head.header.log !== log) {
      this.#findings.push(`${name}: left alone, it is of another log`);
      return;
    }
    const nextBefore = new Map(this.#next);
    const saved = await withSegment(this.#at, number, (window) => this.#collect(window, head.length, head.header.salt));
    if (saved.length > 0) await this.#write(saved, nextBefore, log);
  }

  /** There is at least one new segment afterwards, so that the number of the last one is never used again. */
  async finish(log: string): Promise<number> {
    if (this.#written === 0) await this.#write([], this.#next, log);
    return this.#number - 1;
  }

  findings(): string[] {
    const behind = [...this.#behind].map(([key, count]) => {
      const shard = `${Math.floor(key / 0x1_0000)}/${key % 0x1_0000}`;
      return `shard ${shard} is kept up to offset ${(this.#next.get(key) ?? 1) - 1}; ${count} readable entries stand behind a gap`;
    });
    return [...this.#findings, ...behind];
  }

  /** All of one file in memory: a segment is bounded, and this happens once after damage. */
  async #collect(window: FileWindow, from: number, salt: number): Promise<SavedRecord[]> {
    const saved: SavedRecord[] = [];
    let position: number | undefined = from;
    while (position !== undefined) {
      const scan = await scanRecords(window, position, salt, (bytes, at, length) => {
        const key = recordShardKey(bytes, at);
        const offset = recordOffset(bytes, at);
        const next = this.#next.get(key) ?? 1;
        if (offset > next) this.#behind.set(key, (this.#behind.get(key) ?? 0) + 1);
        if (offset !== next) return undefined;
        this.#next.set(key, offset + 1);
        const payload = Buffer.from(bytes.subarray(at + RECORD_HEADER_BYTES, at + length));
        saved.push({ key, offset, kind: recordKind(bytes, at)!, payload });
        return undefined;
      });
      if (scan.kind === 'end') break;
      position = (await findGoodRecord(window, scan.position + 1, salt))?.position;
    }
    return saved;
  }

  async #write(saved: readonly SavedRecord[], next: ReadonlyMap<number, number>, log: string): Promise<void> {
    const salt = this.#at.newSalt();
    const before = this.#previous;
    const header = {
      salt,
      log,
      number: this.#number++,
      epoch: this.#epoch,
      previous: { number: before?.number ?? 0, length: before?.length ?? 0, salt: before?.salt ?? 0 },
      salvaged: true,
      shards: [...next].map(([key, offset]) => ({
        placement: Math.floor(key / 0x1_0000),
        index: key % 0x1_0000,
        next: offset,
        proven: false,
      })),
    };
    const base = before === undefined ? 0 : before.base + before.length;
    this.#previous = await createSegment(this.#at, header, base, (headerBytes) => {
      const bytes = Buffer.allocUnsafe(
        saved.reduce((sum, { payload }) => sum + RECORD_HEADER_BYTES + payload.length, 0),
      );
      let end = 0;
      for (const { key, offset, kind, payload } of saved) {
        const [placement, index] = [Math.floor(key / 0x1_0000), key % 0x1_0000];
        end = writeRecord(bytes, end, salt, headerBytes, placement, index, offset, kind, payload);
      }
      return [bytes];
    });
    this.entries += saved.length;
    this.#written++;
  }
}
