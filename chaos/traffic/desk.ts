// What all clients of a run share: the regions' addresses, the recorder, and the one way in which a call goes into the history.

import { setTimeout as sleep } from 'node:timers/promises';
import { CausewayError, type Causeway, type WriteAck } from '../../src/client/index.ts';
import type { Stage } from '../cluster/stage.ts';
import { clientOp, versionRecord, viewRecord } from '../history/names.ts';
import type { Recorder } from '../history/recorder.ts';
import type { CollectionName, Outcome, ViewRecord, WriteIntent, WriteRecord } from '../history/records.ts';
import type { SeededRandom } from '../sim/random.ts';

/** One who does things until it is told to stop. */
export interface Worker {
  /** Resolves when what was under way when it was told to stop has ended. */
  run(stop: AbortSignal): Promise<void>;
  close(): void;
}

export interface Desk {
  readonly stage: Stage;
  readonly recorder: Recorder;
  readonly random: SeededRandom;
}

/** Who calls, and from where. */
export interface Caller {
  readonly client: string;
  readonly home: string;
  readonly session?: string;
  readonly failsOver?: true;
}

export interface Write {
  readonly collection: CollectionName;
  readonly key: string;
  readonly intent: WriteIntent;
  readonly otherRegions?: number;
  readonly deadlineMs?: number;
  /** A further try of this op, with its key; or the first one with a key. */
  readonly again?: { readonly op: number; readonly idempotencyKey: string; readonly issuedAtMs: number };
}

export interface Written {
  readonly op: number;
  readonly outcome: Outcome;
  readonly ack: WriteAck | undefined;
  readonly error: CausewayError | undefined;
}

export function outcomeOf(error: CausewayError | undefined): Outcome {
  if (error === undefined || error.outcome === 'applied-locally') return 'ok';
  return error.outcome === 'not-applied' ? 'failed' : 'maybe';
}

export function asCausewayError(error: unknown): CausewayError {
  // Anything else is a mistake in the client or here, and not an outcome.
  if (error instanceof CausewayError) return error;
  throw error;
}

export function writeRecord(
  caller: Caller,
  { collection, key, intent, otherRegions, again }: Write,
  op: number,
  times: { readonly startMs: number; readonly endMs: number },
  ack: WriteAck | undefined,
  error: CausewayError | undefined,
): WriteRecord {
  return {
    kind: 'write',
    op,
    ...caller,
    ...times,
    outcome: outcomeOf(error),
    ...(error === undefined ? {} : { code: error.code }),
    collection,
    key,
    intent,
    ...(otherRegions === undefined ? {} : { otherRegions }),
    ...(ack === undefined ? {} : { version: versionRecord(ack.version), shard: ack.shard }),
    ...(ack?.duplicate === true ? { duplicate: true } : {}),
    ...(again === undefined ? {} : { idempotencyKey: again.idempotencyKey }),
  };
}

/** One write by a unary call, into the history whatever becomes of it. */
export async function recordedWrite(desk: Desk, causeway: Causeway, caller: Caller, write: Write): Promise<Written> {
  const { recorder, stage } = desk;
  const { collection, key, intent, otherRegions, deadlineMs, again } = write;
  const name = stage.subject.collections[collection];
  const op = again?.op ?? recorder.nextOp();
  const startMs = recorder.nowMs();
  let ack: WriteAck | undefined;
  let error: CausewayError | undefined;
  try {
    const [result] = await causeway.write([clientOp(op, name, key, intent, again?.idempotencyKey)], {
      deadlineMs,
      issuedAtMs: again?.issuedAtMs,
      durability: otherRegions === undefined ? undefined : { regions: otherRegions },
    });
    if (result instanceof CausewayError) error = result;
    else ack = result;
  } catch (thrown) {
    error = asCausewayError(thrown);
  }
  recorder.add(writeRecord(caller, write, op, { startMs, endMs: recorder.nowMs() }, ack, error));
  return { op, outcome: outcomeOf(error), ack, error };
}

export interface Seen {
  readonly view: ViewRecord | undefined;
  readonly error: CausewayError | undefined;
}

/** One read of one key, at level `causal` when the caller has a session. */
export async function recordedRead(
  desk: Desk,
  causeway: Causeway,
  caller: Caller & { readonly region: string },
  collection: CollectionName,
  key: string,
  deadlineMs: number,
): Promise<Seen> {
  const { recorder, stage } = desk;
  const { client, region, session } = caller;
  const startMs = recorder.nowMs();
  let view: ViewRecord | undefined;
  let error: CausewayError | undefined;
  try {
    const { views } = await causeway.read(stage.subject.collections[collection], [key], {
      deadlineMs,
      consistency: session === undefined ? 'local' : 'causal',
    });
    view = views[0] === undefined ? undefined : viewRecord(views[0]);
  } catch (thrown) {
    error = asCausewayError(thrown);
  }
  recorder.add({
    kind: 'read',
    client,
    region,
    startMs,
    endMs: recorder.nowMs(),
    outcome: error === undefined ? 'ok' : 'failed',
    ...(error === undefined ? {} : { code: error.code }),
    collection,
    key,
    ...(view === undefined ? {} : { view }),
    ...(session === undefined ? {} : { session }),
  });
  return { view, error };
}

/** Returns early when told to stop. */
export async function rest(ms: number, stop: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: stop }).catch(() => {});
}
