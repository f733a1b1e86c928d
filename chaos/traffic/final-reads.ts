// What every region has at the end: each key by a scan, its log through the feed, its digests and its conflict journal.

import { setTimeout as sleep } from 'node:timers/promises';
import { adminClient, type AdminClient, type Causeway } from '../../src/client/index.ts';
import { decodeCursor } from '../../src/client/cursor.ts';
import type { Stage } from '../cluster/stage.ts';
import type { Subject } from '../cluster/subject.ts';
import { opOfTrace, versionRecord, viewRecord } from '../history/names.ts';
import type { Recorder } from '../history/recorder.ts';
import { COLLECTIONS, type CollectionName, type LogEntry, type ViewRecord } from '../history/records.ts';

const DEADLINE_MS = 30_000;
const PAGE = 500;
const ENTRIES_PER_RECORD = 500;
const LOOK_MS = 50;
/** A log that shows nothing new for so long, in a region that takes no writes any more, has shown everything. */
const QUIET_MS = 3000;
const LOG_MS_MAX = 120_000;

export async function finalReads(stage: Stage, recorder: Recorder): Promise<void> {
  for (const region of stage.names) {
    const { address } = stage.region(region);
    const causeway = stage.connect([region], { deadlineMs: DEADLINE_MS });
    const admin = adminClient(address, { deadlineMs: DEADLINE_MS });
    try {
      const digests = await admin.digests();
      recorder.add({
        kind: 'digest',
        region,
        shards: digests.map(({ shard, digest, vector }) => ({ shard, digest, vector })),
      });
      for (const collection of Object.keys(COLLECTIONS) as CollectionName[]) {
        await readCollection(causeway, recorder, region, collection, stage.subject);
      }
      await readLog(causeway, recorder, region, new Map(digests.map(({ shard, vector }) => [shard, vector])));
      await readConflicts(admin, recorder, region, stage.subject);
    } catch (error) {
      recorder.trouble(`${region} could not be read at the end: ${(error as Error).message}`);
    } finally {
      causeway.close();
      admin.close();
    }
  }
}

async function readCollection(
  causeway: Causeway,
  recorder: Recorder,
  region: string,
  collection: CollectionName,
  { collections }: Subject,
): Promise<void> {
  let pageToken: string | undefined;
  do {
    const { entries, nextPageToken } = await causeway.scan(collections[collection], { pageSize: PAGE, pageToken });
    const views = entries.map(({ key, view }): readonly [string, ViewRecord] => [key, viewRecord(view)]);
    recorder.add({ kind: 'final', region, collection, views });
    pageToken = nextPageToken;
  } while (pageToken !== '');
}

async function readLog(
  causeway: Causeway,
  recorder: Recorder,
  region: string,
  goal: ReadonlyMap<string, Readonly<Record<string, number>>>,
): Promise<void> {
  const waiting = new Map<string, LogEntry[]>();
  const flush = (shard: string, entries: LogEntry[]): void => {
    if (entries.length > 0) recorder.add({ kind: 'log', region, shard, entries });
    waiting.set(shard, []);
  };
  const startMs = performance.now();
  let lastMs = startMs;
  const subscription = causeway.subscribe({
    from: 'beginning',
    onEvents: ({ events }) => {
      lastMs = performance.now();
      for (const { shard, version, trace } of events) {
        const { origin, seq, stamp } = versionRecord(version);
        const entries = waiting.get(shard) ?? [];
        entries.push([origin, seq, stamp, opOfTrace(trace)]);
        waiting.set(shard, entries);
        if (entries.length >= ENTRIES_PER_RECORD) flush(shard, entries);
      }
    },
  });
  let failure: Error | undefined;
  subscription.done.catch((error: unknown) => {
    failure = error as Error;
  });
  const isDone = (): boolean => {
    const { cursor } = subscription;
    if (cursor === undefined) return false;
    const { position } = decodeCursor(cursor);
    return [...goal].every(([shard, vector]) =>
      Object.entries(vector).every(([origin, seq]) => (position.get(shard)?.get(origin) ?? 0) >= seq),
    );
  };
  while (!isDone() && performance.now() - lastMs < QUIET_MS) {
    if (failure !== undefined) throw failure;
    if (performance.now() - startMs > LOG_MS_MAX) throw new Error(`its feed did not end within ${LOG_MS_MAX / 1000} s`);
    await sleep(LOOK_MS);
  }
  subscription.close();
  for (const [shard, entries] of waiting) flush(shard, entries);
}

async function readConflicts(
  admin: AdminClient,
  recorder: Recorder,
  region: string,
  { namespace, collections }: Subject,
): Promise<void> {
  const own = new Map(Object.entries(collections).map(([name, theirs]) => [theirs, name]));
  let pageToken: string | undefined;
  do {
    const page = await admin.listConflicts({ namespace, oldestFirst: true, pageSize: PAGE, pageToken });
    recorder.add({
      kind: 'conflicts',
      region,
      dropped: page.dropped,
      entries: page.conflicts.map(({ shard, collection, key, field, loser, winner }) => ({
        shard,
        collection: own.get(collection.name) ?? collection.name,
        key,
        ...(field === undefined ? {} : { field }),
        loser: versionRecord(loser),
        winner: versionRecord(winner),
      })),
    });
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined);
}
