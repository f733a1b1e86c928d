// What a log directory is worth: read at open, before anything is appended.
// Owns: the judgement (whole, torn, damaged), cutting a torn tail off, and saving what is readable of damaged files.
//
// A bad record at the end is a torn write, not damage, when it can belong to a commit that was never acknowledged:
// - it is in the last segment, and no good record follows it; or those that follow are of the same commit (they say where their
//   commit began, at or before the bad record), and a page between never reached the disk; and
// - the log was not shut down cleanly with more bytes than that.
// A commit begins only when the one before is durable, so whatever precedes the last commit's start was acknowledged.
//
// Everything else is damage. Then, for each shard, the entries up to the first that is missing are kept. From the first damaged
// file on they are copied into new segments; the damaged files are renamed to *.damaged and never deleted; the epoch is raised, so that
// no lease written before proves anything. Copies are written and synced first, identity.json says so second, the renaming
// comes last and is finished at the next open if it was interrupted. Then everything is read once more.

import { join } from 'node:path';
import { CausewayError } from '../errors/errors.ts';
import type { BatchPeeker } from '../record/peek.ts';
import { syncData, truncate, UNFINISHED, writeAt } from './files.ts';
import { loadIdentity, newIdentity, saveIdentity, type LogIdentity } from './identity.ts';
import { listSegments, newerFormat, withSegment, type Segment, type SegmentDirectory } from './segment-directory.ts';
import {
  RECORD_HEADER_BYTES,
  recordCommitStart,
  recordKind,
  recordOffset,
  recordShardKey,
  segmentName,
  shardKey,
  type SegmentHeader,
} from './segment-format.ts';
import { finishSettingAside, repair, type Damage } from './segment-repair.ts';
import { endOfContent, FileWindow, findGoodRecord, hasLostPage, scanHeader, scanRecords } from './segment-scan.ts';
import { trackOf, type ShardTracks } from './shard-track.ts';

const REWRITE_BYTES = 4 * 1024 * 1024;

export interface RecoveryOptions extends SegmentDirectory {
  readonly clusterId: string;
  readonly peeker: BatchPeeker;
  readonly nowMs: number;
  /** 32 hex digits; used when the log is new. */
  readonly newLogId: () => string;
}

export interface Recovered {
  readonly identity: LogIdentity;
  readonly segments: Segment[];
  readonly tracks: ShardTracks;
  readonly tornBytes: number;
  /** Of all segments that were ever here, damaged ones included: numbers are not used again. */
  readonly highestNumber: number;
}

type Scan =
  | { readonly kind: 'usable'; readonly segments: Segment[]; readonly tracks: ShardTracks; readonly tornBytes: number }
  | { readonly kind: 'damaged'; readonly damage: Damage };

export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { files, directory } = options;
  for (const name of await files.list(directory)) {
    if (name.endsWith(UNFINISHED)) await files.remove(join(directory, name));
  }
  // A start that was killed may have left names that only the page cache has; nothing may be built on those.
  await files.syncDirectory(directory);
  let identity = await establishIdentity(options);
  await finishSettingAside(options, identity);

  let scan = await scanAll(options, identity);
  if (scan.kind === 'damaged') {
    identity = await repair(options, identity, scan.damage);
    scan = await scanAll(options, identity);
    if (scan.kind === 'damaged') {
      throw new CausewayError('CORRUPT', `the log in ${directory} is still damaged after what is readable was saved`, {
        details: { findings: scan.damage.findings },
        hint: 'The disk or its file system is failing: look at the kernel log before anything else.',
      });
    }
  }
  const highestNumber = Math.max(identity.lastSegment, ...(await listSegments(options)).any);
  return { identity, segments: scan.segments, tracks: scan.tracks, tornBytes: scan.tornBytes, highestNumber };
}

/** The identity as it stands; one that is missing although there are entries is made again, in an epoch of its own. */
async function establishIdentity(options: RecoveryOptions): Promise<LogIdentity> {
  const { files, directory, identityPath, clusterId } = options;
  const found = await loadIdentity(files, identityPath);
  if (found.kind === 'newer') throw newerFormat(found.message);
  if (found.kind === 'good') {
    if (found.identity.clusterId === clusterId) return found.identity;
    const message = `${identityPath} belongs to cluster '${found.identity.clusterId}', expected '${clusterId}'`;
    throw new CausewayError('CONFIG_INVALID', message, {
      hint: 'Give this node a data directory of its own, or set the cluster id that the directory was made with.',
    });
  }
  let log: string | undefined;
  let epoch = 0;
  let entries = false;
  const { segments } = await listSegments(options);
  for (const number of segments) {
    const { header, longer } = await glance(options, number);
    log ??= header?.log;
    epoch = Math.max(epoch, header?.epoch ?? 0);
    entries ||= longer || header === undefined;
  }
  if (found.kind === 'absent' && !entries) {
    // New; or the first start was cut off before it had written anything but an empty segment.
    for (const number of segments) await files.remove(join(directory, segmentName(number)));
    return newIdentity(clusterId, options.newLogId(), options.nowMs);
  }
  const finding = found.kind === 'bad' ? found.message : `expected ${identityPath} beside the log, found nothing`;
  const identity: LogIdentity = {
    ...newIdentity(clusterId, log ?? options.newLogId(), options.nowMs),
    epoch: epoch + 1,
    lastSegment: Math.max(0, ...segments),
    findings: [finding],
  };
  await saveIdentity(files, identityPath, identity);
  return identity;
}

async function glance(
  options: RecoveryOptions,
  number: number,
): Promise<{ header: SegmentHeader | undefined; longer: boolean }> {
  return withSegment(options, number, async (window) => {
    const scan = await scanHeader(window);
    if (scan.kind === 'newer') throw newerFormat(scan.message);
    return scan.kind === 'good'
      ? { header: scan.header, longer: window.size > scan.length }
      : { header: undefined, longer: true };
  });
}

async function scanAll(options: RecoveryOptions, identity: LogIdentity): Promise<Scan> {
  const { directory, identityPath } = options;
  const { closed } = identity;
  const { segments: numbers } = await listSegments(options);
  const segments: Segment[] = [];
  const tracks: ShardTracks = new Map();
  let tornBytes = 0;
  const nextOffsets = (): Map<number, number> => new Map([...tracks].map(([key, track]) => [key, track.tail + 1]));
  const damaged = (finding: string, from?: number, next = nextOffsets()): Scan => {
    return { kind: 'damaged', damage: { findings: [finding], from, intact: segments, next } };
  };

  for (const number of numbers) {
    const nextBefore = nextOffsets();
    const path = join(directory, segmentName(number));
    const last = number === numbers.at(-1);
    const judged = await withSegment(options, number, async (window): Promise<string | undefined> => {
      const head = await scanHeader(window);
      if (head.kind === 'newer') throw newerFormat(`${path}: ${head.message}`);
      if (head.kind === 'bad') return `byte 0: ${head.message}`;
      const misplaced = misplacement(head.header, number, identity, segments.at(-1), tracks);
      if (misplaced !== undefined) return misplaced;
      enter(head.header, segments.at(-1), tracks);
      const before = segments.at(-1);
      const segment: Segment = {
        number,
        path,
        salt: head.header.salt,
        epoch: head.header.epoch,
        salvaged: head.header.salvaged,
        base: before === undefined ? 0 : before.base + before.length,
        headerBytes: head.length,
        length: window.size,
        fileBytes: window.size,
      };
      let lastCommit = head.length;
      const records = await scanRecords(window, head.length, segment.salt, (bytes, at, length, position) => {
        const problem = takeRecord(tracks, segment, options.peeker, bytes, at, length, position);
        lastCommit = recordCommitStart(bytes, at);
        return problem;
      });
      if (records.kind === 'newer') throw newerFormat(`${path} at byte ${records.position}: ${records.message}`);
      if (records.kind === 'misfit') return `byte ${records.position}: ${records.message}`;
      if (records.kind === 'bad') {
        // Zeros up to the end are space that nothing was written to yet. Whether records are missing there, the next segment's
        // header or a clean shutdown says, as it does of a file that is cut off.
        const content = await endOfContent(window, records.position);
        const why =
          content === records.position
            ? undefined
            : last
              ? await whyNotTorn(window, records.position, segment, identity)
              : 'it is not in the last segment';
        if (why !== undefined) return `byte ${records.position}: ${records.message}; not a torn write, because ${why}`;
        segment.length = records.position;
        tornBytes = content - records.position;
        if (tornBytes > 0) segment.fileBytes = records.position;
      }
      segments.push(segment);
      const clean = closed?.segment === number && closed.length === segment.length;
      if (last && !clean) await settle(options, segment, tornBytes > 0, lastCommit);
      return undefined;
    });
    if (judged !== undefined) return damaged(`${path}, ${judged}`, number, nextBefore);
  }

  const end = segments.at(-1);
  if (identity.lastSegment > (end?.number ?? 0)) {
    const there = end === undefined ? 'no segment' : `none after ${segmentName(end.number)}`;
    const finding = `${identityPath} says that ${segmentName(identity.lastSegment)} was written, found ${there}`;
    return damaged(finding);
  }
  if (closed !== null && end?.number === closed.segment && end.length < closed.length) {
    const finding = `${end.path}: expected ${closed.length} bytes, as at its clean shutdown, found ${end.length}`;
    return damaged(finding);
  }
  // Leases of an earlier epoch prove nothing (the segments of this one are still to come).
  if (end !== undefined && end.epoch !== identity.epoch) for (const track of tracks.values()) track.proven = false;
  return { kind: 'usable', segments, tracks, tornBytes };
}

/** What is wrong with a segment where it stands; undefined when it follows what was read before. */
function misplacement(
  header: SegmentHeader,
  number: number,
  identity: LogIdentity,
  before: Segment | undefined,
  tracks: ShardTracks,
): string | undefined {
  if (header.log !== identity.log) return `a segment of log ${header.log}, expected one of ${identity.log}`;
  if (header.number !== number) return `expected segment ${number}, found segment ${header.number} under its name`;
  if (header.epoch > identity.epoch) {
    return `expected epoch ${identity.epoch} or before, found ${header.epoch} (left by a repair that was interrupted)`;
  }
  const { previous } = header;
  const is = before ?? { number: 0, length: 0, salt: 0 };
  if (previous.number !== is.number || previous.length !== is.length || previous.salt !== is.salt) {
    const after = (part: { number: number; length: number }): string =>
      part.number === 0 ? 'nothing' : `segment ${part.number} of ${part.length} bytes`;
    return `a segment that follows ${after(previous)}, found ${after(is)} before it`;
  }
  const marked = new Map(header.shards.map((mark) => [shardKey(mark.placement, mark.index), mark.next]));
  for (const [key, track] of tracks) {
    const expected = marked.get(key) ?? 1;
    if (expected !== track.tail + 1) {
      return `shard ${track.shard} goes on with offset ${expected}, expected ${track.tail + 1}`;
    }
  }
  for (const mark of header.shards) {
    if (mark.next > 1 && !tracks.has(shardKey(mark.placement, mark.index))) {
      return `shard ${mark.placement}/${mark.index} goes on with offset ${mark.next}, expected 1`;
    }
  }
  return undefined;
}

function enter(header: SegmentHeader, before: Segment | undefined, tracks: ShardTracks): void {
  for (const mark of header.shards) trackOf(tracks, mark.placement, mark.index);
  if (before !== undefined && before.epoch === header.epoch) return;
  for (const track of tracks.values()) track.proven = false;
}

function takeRecord(
  tracks: ShardTracks,
  segment: Segment,
  peeker: BatchPeeker,
  bytes: Buffer,
  at: number,
  length: number,
  position: number,
): string | undefined {
  const key = recordShardKey(bytes, at);
  const track = tracks.get(key) ?? trackOf(tracks, Math.floor(key / 0x1_0000), key % 0x1_0000);
  const offset = recordOffset(bytes, at);
  if (offset !== track.tail + 1) return `expected offset ${track.tail + 1} of shard ${track.shard}, found ${offset}`;
  track.tail = offset;
  track.assigned = offset;
  track.positions.add(offset, segment.base + position);
  const kind = recordKind(bytes, at);
  if (kind === 'lease' && !segment.salvaged) track.proven = true;
  if (kind === 'batch') {
    const peek = peeker.peek(bytes.subarray(at + RECORD_HEADER_BYTES, at + length));
    if (peek !== undefined) track.batches.add(peek, offset);
  }
  return undefined;
}

/** Why a bad record in the last segment is damage; undefined: it is a torn write. */
async function whyNotTorn(
  window: FileWindow,
  position: number,
  segment: Segment,
  identity: LogIdentity,
): Promise<string | undefined> {
  const { closed } = identity;
  if (closed !== null && closed.segment === segment.number && position < closed.length) {
    return `the log was shut down cleanly with ${closed.length} bytes`;
  }
  const first = await findGoodRecord(window, position + 1, segment.salt);
  if (first === undefined) return undefined;
  const laterCommit = await commitAfter(window, first.position, segment.salt, position);
  if (laterCommit !== undefined) return `a later commit follows at byte ${laterCommit}`;
  if (await hasLostPage(window, position, first.position, first.commitStart)) return undefined;
  return `a good record follows at byte ${first.position}`;
}

/** Where a commit began, after `position`, of which a good record at or after `from` is part. */
async function commitAfter(
  window: FileWindow,
  from: number,
  salt: number,
  position: number,
): Promise<number | undefined> {
  const later: number[] = [];
  for (let at: number | undefined = from; at !== undefined;) {
    const scan = await scanRecords(window, at, salt, (bytes, start) => {
      const commitStart = recordCommitStart(bytes, start);
      if (commitStart > position) later.push(commitStart);
      return later.length > 0 ? 'found' : undefined;
    });
    if (scan.kind === 'end' || later.length > 0) break;
    at = (await findGoodRecord(window, scan.position + 1, salt))?.position;
  }
  return later[0];
}

/**
 * Makes the end of the log durable as it was read. After kill -9 its last commit may be in the page cache only; after a failed
 * fdatasync it may be there, marked as written, although the disk has not got it. So that commit is written once more, the
 * same bytes in the same place, and synced before anybody is shown it.
 */
async function settle(options: RecoveryOptions, segment: Segment, torn: boolean, lastCommit: number): Promise<void> {
  const { files } = options;
  const fd = await files.open(segment.path, 'read-write');
  try {
    if (torn) await truncate(files, fd, segment.length);
    const window = new FileWindow(files, fd, segment.length);
    for (let position = Math.min(lastCommit, segment.length); position < segment.length;) {
      const at = await window.load(position, Math.min(REWRITE_BYTES, segment.length - position));
      const bytes = window.buffer.subarray(at, window.filled);
      await writeAt(files, fd, bytes, position);
      position += bytes.length;
    }
    await syncData(files, fd);
  } finally {
    await files.close(fd);
  }
}
