// Sessions that roam (docs/CONSISTENCY.md): read your writes, monotonic reads, monotonic writes, writes follow reads. A read that was
// refused as behind is no violation; a wrong answer is.
// Keys that sessions use are written to and added to, never deleted, so that absence is older than anything that was seen.

import { compareVersions } from '../../../src/record/ids.ts';
import { dotText, versionOf } from '../../history/names.ts';
import type { ReadRecord, VersionRecord, WriteRecord } from '../../history/records.ts';
import type { Check } from './check.ts';

interface Seen {
  readonly how: 'wrote' | 'read';
  readonly version: VersionRecord;
}

/** What one session knows. */
class Session {
  readonly registers = new Map<string, Seen>();
  readonly elements = new Map<string, Map<string, 'wrote' | 'read'>>();
  /** The highest stamp of what it has seen in a shard. */
  readonly stamps = new Map<string, number>();
  readonly shardOf: ReadonlyMap<string, string>;

  constructor(shardOf: ReadonlyMap<string, string>) {
    this.shardOf = shardOf;
  }

  note(collection: string, key: string, seen: Seen): void {
    const before = this.registers.get(key);
    if (before === undefined || compareVersions(versionOf(seen.version), versionOf(before.version)) >= 0)
      this.registers.set(key, seen);
    this.noteStamp(collection, key, seen.version.stamp);
  }

  noteStamp(collection: string, key: string, stamp: number): void {
    const shard = this.shardOf.get(`${collection}/${key}`);
    if (shard !== undefined) this.stamps.set(shard, Math.max(stamp, this.stamps.get(shard) ?? 0));
  }
}

export const sessions: Check = {
  name: 'sessions',
  promise: 'sessions that roam read their writes, never read backwards, and write above all that they have seen',
  anyTime: true,
  judge: (recording, found) => {
    const shardOf = new Map<string, string>();
    for (const { collection, key, shard } of recording.writes)
      if (shard !== undefined) shardOf.set(`${collection}/${key}`, shard);
    const all = new Map<string, Session>();
    let [reads, writes] = [0, 0];
    for (const call of recording.calls) {
      if (call.session === undefined || call.outcome !== 'ok') continue;
      const session = all.get(call.session) ?? new Session(shardOf);
      all.set(call.session, session);
      if (call.kind === 'read') {
        reads++;
        judgeRead(session, call, found);
      } else {
        writes++;
        judgeWrite(session, call, found);
      }
    }
    return { looked: reads + writes, facts: { sessions: all.size, reads, writes } };
  },
};

function judgeRead(session: Session, read: ReadRecord, found: (what: string) => void): void {
  const { collection, key, view, region } = read;
  const what = `${read.session} in ${region} at ${read.endMs} ms`;
  if (collection === 'sets') {
    const there = new Set(view?.type === 'set-aw' ? view.elements : []);
    const known = session.elements.get(key) ?? new Map<string, 'wrote' | 'read'>();
    session.elements.set(key, known);
    for (const [element, how] of known) {
      if (!there.has(element)) found(`${what} read set ${key} without ${element}, which it ${saidOf(how)} before`);
    }
    for (const element of there) if (!known.has(element)) known.set(element, 'read');
    return;
  }
  if (collection !== 'registers') return;
  const before = session.registers.get(key);
  if (view?.type !== 'register-lww') {
    if (before !== undefined)
      found(`${what} read ${key} as absent; it ${saidOf(before.how)} ${dotText(before.version)} before`);
    return;
  }
  if (before !== undefined && compareVersions(versionOf(view.version), versionOf(before.version)) < 0) {
    found(
      `${what} read ${dotText(view.version)} of ${key}, which is older than ${dotText(before.version)}, which it ${saidOf(before.how)} before`,
    );
  }
  session.note(collection, key, { how: 'read', version: view.version });
}

function judgeWrite(session: Session, write: WriteRecord, found: (what: string) => void): void {
  const { collection, key, intent, version, duplicate, shard } = write;
  if (version === undefined) return;
  const what = `${write.session} at ${write.endMs} ms`;
  const before = session.registers.get(key);
  if (
    duplicate !== true &&
    collection === 'registers' &&
    before !== undefined &&
    version.stamp <= before.version.stamp
  ) {
    found(
      `${what} wrote ${dotText(version)}@${version.stamp} of ${key}, which does not beat ${dotText(before.version)}@${before.version.stamp}, which it ${saidOf(before.how)} before`,
    );
  } else if (duplicate !== true && shard !== undefined && version.stamp <= (session.stamps.get(shard) ?? 0)) {
    found(
      `${what} wrote ${dotText(version)}@${version.stamp} in ${shard}, where it had seen ${session.stamps.get(shard)} before`,
    );
  }
  if (collection === 'registers') session.note(collection, key, { how: 'wrote', version });
  else session.noteStamp(collection, key, version.stamp);
  if (collection === 'sets' && intent.kind === 'set-add') {
    const known = session.elements.get(key) ?? new Map<string, 'wrote' | 'read'>();
    session.elements.set(key, known);
    for (const element of intent.elements) known.set(element, 'wrote');
  }
}

function saidOf(how: 'wrote' | 'read'): string {
  return how === 'wrote' ? 'had written' : 'had read';
}
