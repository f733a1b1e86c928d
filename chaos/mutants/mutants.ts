// Every safety guard, each taken out by itself. A suite that does not notice a missing guard proves nothing.
// Two kinds: switches of the engine (src/shard/guards.ts), which the simulator turns; and, where a switch would stand on a hot path below the
// engine, one line of the source that is changed in a copy, in which the suites of that folder, or the simulator, then run.

import type { GuardName } from '../../src/shard/guards.ts';

/** What is lost without it, for people; the compiler asks for every switch. */
export const SWITCHES: Readonly<Record<GuardName, string>> = {
  duplicateCheck: 'a batch at or below the vector is taken again',
  gapCheck: 'a batch above the next seq is taken',
  depsCheck: 'a batch is taken before what it depends on',
  sessionWait: "a session's write does not wait for what the session has seen",
  batchSeal: 'a remote batch is applied under an open one',
  stampLease: 'stamps and promises are not bounded by the log',
  newIncarnation: 'a restart goes on under the old incarnation',
  tombstoneReports: "tombstones go without the members' reports",
  closingMaximum: 'an origin ends where one member had come to, not at the maximum',
  bindingBeginning: 'where a region may begin is said, and does not bind who says it',
  vouchedTail: 'the tail of a lost disk is taken on the word of that disk',
  clockGuard: 'a stamp from the far future is taken',
  forkCheck: "a batch's link to the one before it is not looked at",
  watermarkSeq: 'a promise counts before its seq is reached',
  idempotencyTable: 'a retry is not recognised',
  rereadHorizon: 'a retry of an op that was not read again is new',
  journalRows: "conflicts' rows are not written",
  durableOnly: 'writes are acknowledged before they are durable',
  durableReads: 'reads show what is not durable',
};

export interface SuiteTest {
  readonly file: string;
  readonly name: string;
}

/** One line of the source, as it would be without the guard. */
export interface Patch {
  readonly name: string;
  readonly says: string;
  readonly file: string;
  /** Stands there exactly once. */
  readonly line: string;
  readonly without: string;
  /** The test that must notice, by a part of its name; or the simulator, scenarios first. */
  readonly noticedBy: SuiteTest | 'sim';
}

export const PATCHES: readonly Patch[] = [
  {
    name: 'fsyncBeforeAck',
    says: 'the log acknowledges what is in the page cache',
    file: 'src/log/segment.ts',
    line: 'this.#files.fdatasync(fd, (syncError) => {',
    without: '((_fd, synced) => queueMicrotask(() => synced(null)))(fd, (syncError) => {',
    noticedBy: {
      file: 'test/log/segment-recovery.test.ts',
      name: 'I1: loss of power at any moment, with any pages written: what was acknowledged is there, and the log is whole',
    },
  },
  {
    name: 'logFence',
    says: 'segment files: an append is taken at any offset',
    file: 'src/log/segment.ts',
    line: 'append.fenced = append.expectOffset !== append.track.assigned + 1;',
    without: 'append.fenced = false;',
    noticedBy: {
      file: 'test/log/segment.test.ts',
      name: 'segment files an append at any other offset than the next is fenced, writes nothing and names the tail',
    },
  },
  {
    name: 'fence',
    says: "an append lands whatever stands before it (the simulator's log)",
    file: 'src/log/memory.ts',
    line: 'if (at.tail !== append.expectOffset - 1 || at.entries.at(-1)?.bytes !== append.follows) return { tail: at.tail };',
    without: '',
    noticedBy: 'sim',
  },
  {
    name: 'storeFence',
    says: 'a step of the store is taken from any cursor',
    file: 'src/store/lmdb-environment.mjs',
    line: 'const isDue = cursor === fromCursor;',
    without: 'const isDue = true;',
    noticedBy: {
      file: 'test/store/lmdb.test.ts',
      name: 'a step from another cursor than the present one is refused, and changes nothing',
    },
  },
  {
    name: 'relay',
    says: 'who takes note that a peer is out of reach asks nobody else',
    file: 'src/replication/links.ts',
    line: 'if (this.#noteDirect()) this.#wantAll();',
    without: 'this.#noteDirect();',
    noticedBy: 'sim',
  },
  {
    name: 'recordChecksum',
    says: 'a record of the log is read whatever its checksum says',
    file: 'src/log/segment-format.ts',
    line: 'return crc32(bytes.subarray(at + 4, at + length), salt) === bytes.readUInt32LE(at);',
    without: 'return true;',
    noticedBy: {
      file: 'test/log/segment-recovery.test.ts',
      name: 'I1, I6: one flipped bit anywhere in the files of a log that crashed: torn or damaged, and never wrong data',
    },
  },
  {
    name: 'batchChecksum',
    says: 'a batch from a peer is taken whatever its checksum says',
    file: 'src/record/batch.ts',
    line: 'if (!verified && !checksum64(bytes.subarray(16)).equals(checksum))',
    without: 'if (verified && bytes.length === 0)',
    noticedBy: { file: 'test/record/batch.test.ts', name: 'every single flipped bit is refused by the header alone' },
  },
];

export const MUTANT_NAMES: readonly string[] = [...Object.keys(SWITCHES), ...PATCHES.map(({ name }) => name)];
