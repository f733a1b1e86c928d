// The saved history of a run with real processes: JSON lines, each one record. What the checkers judge is this and nothing else, so that
// a saved history can be judged again, also by checkers that are written later.
// Owns: the shapes. Times are milliseconds since the run began, by one monotonic clock, that of the process which drives the run.

import type { MergeTypeName } from '../../src/record/op.ts';

/** Raised when an older history could be read wrongly. */
export const HISTORY_FORMAT = 1;

export const COLLECTIONS = {
  registers: 'register-lww',
  siblings: 'register-mv',
  counters: 'counter-pn',
  sets: 'set-aw',
  maps: 'map-lww',
} as const satisfies Readonly<Record<string, MergeTypeName>>;

export type CollectionName = keyof typeof COLLECTIONS;

/**
 * - `ok`: the client was told that it is durable, at the level that was asked for or at least in its region.
 * - `failed`: it was told that nothing was written.
 * - `maybe`: the call ended without telling; it may have happened, also later.
 */
export type Outcome = 'ok' | 'failed' | 'maybe';

export interface VersionRecord {
  /** `region~incarnation`. */
  readonly origin: string;
  readonly seq: number;
  readonly stamp: number;
}

/** As the client's intents, in text. Values are unique in a run, so that a read tells whose write it saw. */
export type WriteIntent =
  /** `bytes`: made so long with spaces, which histories leave out. */
  | { readonly kind: 'put'; readonly value: string; readonly bytes?: number }
  | { readonly kind: 'delete' }
  | { readonly kind: 'increment'; readonly by: number }
  | { readonly kind: 'set-add'; readonly elements: readonly string[] }
  | { readonly kind: 'set-remove'; readonly elements: readonly string[] }
  | { readonly kind: 'map-update'; readonly put: Readonly<Record<string, string>>; readonly remove: readonly string[] };

/** As the client's views, in text. */
export type ViewRecord =
  | { readonly type: 'register-lww'; readonly value: string; readonly version: VersionRecord }
  | {
      readonly type: 'register-mv';
      readonly siblings: readonly { readonly value: string; readonly version: VersionRecord }[];
    }
  | { readonly type: 'counter-pn'; readonly value: string }
  | { readonly type: 'set-aw'; readonly elements: readonly string[] }
  | {
      readonly type: 'map-lww';
      readonly fields: readonly { readonly field: string; readonly value: string; readonly version: VersionRecord }[];
    };

/** What a scenario promises beyond what every run does. */
export interface Limits {
  /** Longest time without a successful write, for the clients of a region; of regions that are not named nothing is asked. */
  readonly unavailableMsMax?: Readonly<Record<string, number>>;
  /** Longest time in which a region acknowledged no write in one of its shards, as long as it lived; of regions that are not named nothing is asked. */
  readonly shardUnavailableMsMax?: Readonly<Record<string, number>>;
  /** Of ops between regions that no fault stood between. */
  readonly lagP99MsMax: number;
  /** From the end of the traffic with all faults healed to equal digests. */
  readonly convergeMsMax: number;
}

/** Where the traffic of a run with somebody's configuration went. */
export interface ConfigRecord {
  readonly files: readonly string[];
  readonly namespace: string;
  readonly collections: readonly string[];
  /** Those of them that the configuration lacks. */
  readonly added: readonly string[];
}

export interface RunRecord {
  readonly kind: 'run';
  readonly format: number;
  readonly scenario: string;
  readonly seed: number;
  readonly minutes: number;
  readonly regions: readonly string[];
  /** Unix ms at 0. */
  readonly startedAtMs: number;
  readonly maxSkewMs: number;
  readonly limits: Limits;
  /** Of a run with somebody's configuration. */
  readonly config?: ConfigRecord;
}

/** One call of a client that writes one op. Tries of one op with one idempotency key are calls of their own. */
export interface WriteRecord {
  readonly kind: 'write';
  /** Travels in the op's trace context, so that the op is known again wherever it turns up. */
  readonly op: number;
  readonly client: string;
  /** The region that the client calls home; who answered stands in the version. */
  readonly home: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: Outcome;
  readonly code?: string;
  readonly collection: CollectionName;
  readonly key: string;
  readonly intent: WriteIntent;
  /** 0: in the region that answered alone. */
  readonly otherRegions?: number;
  readonly version?: VersionRecord;
  readonly shard?: string;
  readonly duplicate?: true;
  readonly idempotencyKey?: string;
  /** The client goes to other regions while its home is away: by these the availability of a region is judged. */
  readonly failsOver?: true;
  /** Under whose token it was written. A session goes through its calls one after the other. */
  readonly session?: string;
}

export interface ReadRecord {
  readonly kind: 'read';
  readonly client: string;
  /** The region that was asked. */
  readonly region: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: 'ok' | 'failed';
  readonly code?: string;
  readonly collection: CollectionName;
  readonly key: string;
  /** Absent: the key was. */
  readonly view?: ViewRecord;
  /** A read at level `causal` under this session's token. */
  readonly session?: string;
}

/** Ops that a region's feed has just shown. */
export interface ArrivalRecord {
  readonly kind: 'arrival';
  readonly region: string;
  readonly atMs: number;
  readonly ops: readonly number[];
}

/** [shard, origin, seq, op]: op 0 is one that no client of the run wrote. */
export type FeedEntry = readonly [shard: string, origin: string, seq: number, op: number];

/** Events that a consumer got. */
export interface FeedRecord {
  readonly kind: 'feed';
  readonly consumer: string;
  readonly region: string;
  readonly atMs: number;
  readonly events: readonly FeedEntry[];
}

/** A consumer subscribes in a region, from its cursor. */
export interface FeedMoveRecord {
  readonly kind: 'feed-move';
  readonly consumer: string;
  readonly region: string;
  readonly atMs: number;
}

/** The last thing that is heard of a consumer. */
export interface FeedEndRecord {
  readonly kind: 'feed-end';
  readonly consumer: string;
  readonly region: string;
  readonly atMs: number;
  /** Told that its cursor is no longer good, or other reasons to give up; absent: it has all that its last region had. */
  readonly code?: string;
}

export interface FaultRecord {
  readonly kind: 'fault';
  readonly name: string;
  /** One sentence for people. */
  readonly says: string;
  readonly startMs: number;
  /** When it was whole again: healed, and the process ready. */
  readonly endMs: number;
  /** `from to`: nothing is promised meanwhile about how long ops take from one to the other. */
  readonly hinders: readonly string[];
  /** Regions whose processes do not take writes meanwhile, or may not. */
  readonly stops: readonly string[];
  /** Regions whose disk was lost. */
  readonly wipes: readonly string[];
}

/** What a fault had to bring about, as the run saw it. */
export interface EffectRecord {
  readonly kind: 'effect';
  readonly fault: string;
  readonly region: string;
  readonly atMs: number;
  /** For people: `says that its stream is gone`. */
  readonly says: string;
  readonly withinMs: number;
  /** Absent: it was waited for, and did not come. */
  readonly afterMs?: number;
}

/** A region could log nothing from then to then: its watermarks stood still, and everybody's lag to it grew. */
export interface SilenceRecord {
  readonly kind: 'silence';
  readonly region: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** What a region says of itself now and then. */
export interface SampleRecord {
  readonly kind: 'sample';
  readonly region: string;
  readonly atMs: number;
  /** `down` when it does not answer. */
  readonly state: string;
  /** By peer; by watermark, so it also grows when nothing is written. */
  readonly lagMs: Readonly<Record<string, number>>;
  readonly alarms: readonly string[];
}

/** When everything had healed: ms until all digests were equal; absent when they did not become so. */
export interface ConvergedRecord {
  readonly kind: 'converged';
  readonly fromMs: number;
  readonly afterMs?: number;
}

/** [origin, seq, stamp, op]. */
export type LogEntry = readonly [origin: string, seq: number, stamp: number, op: number];

/** A region's log at the end, read through its feed from the beginning: a piece of one shard's, in its order. */
export interface LogRecord {
  readonly kind: 'log';
  readonly region: string;
  readonly shard: string;
  readonly entries: readonly LogEntry[];
}

/** What a region's keys read as at the end; keys that are not in any of these records are absent. */
export interface FinalRecord {
  readonly kind: 'final';
  readonly region: string;
  readonly collection: CollectionName;
  readonly views: readonly (readonly [key: string, view: ViewRecord])[];
}

export interface DigestRecord {
  readonly kind: 'digest';
  readonly region: string;
  readonly shards: readonly {
    readonly shard: string;
    readonly digest: string;
    readonly vector: Readonly<Record<string, number>>;
  }[];
}

/** The conflict journal of a region at the end. */
export interface ConflictsRecord {
  readonly kind: 'conflicts';
  readonly region: string;
  /** Entries that went for want of room. */
  readonly dropped: number;
  readonly entries: readonly {
    readonly shard: string;
    readonly collection: string;
    readonly key: string;
    readonly field?: string;
    readonly loser: VersionRecord;
    readonly winner: VersionRecord;
  }[];
}

/** Something that the run itself could not do; a finding. */
export interface TroubleRecord {
  readonly kind: 'trouble';
  readonly atMs: number;
  readonly what: string;
}

/** From when to when clients were at work. The last record: a history without it is of a run that was broken off. */
export interface EndRecord {
  readonly kind: 'end';
  readonly trafficFromMs: number;
  readonly trafficToMs: number;
  readonly endMs: number;
}

export type HistoryRecord =
  | RunRecord
  | WriteRecord
  | ReadRecord
  | ArrivalRecord
  | FeedRecord
  | FeedMoveRecord
  | FeedEndRecord
  | FaultRecord
  | EffectRecord
  | SilenceRecord
  | SampleRecord
  | ConvergedRecord
  | LogRecord
  | FinalRecord
  | DigestRecord
  | ConflictsRecord
  | TroubleRecord
  | EndRecord;
