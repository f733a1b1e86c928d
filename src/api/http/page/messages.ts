// What a node tells its page, as JSON: the one description of it, for both ends. It imports nothing, because the page is compiled for browsers.
// Times are Unix ms by the clock of the node that tells them. null: not known.

export interface VersionMessage {
  readonly origin: string;
  readonly seq: number;
  readonly stamp: number;
}

export interface PlaceMessage {
  readonly name: string;
  /** Degrees north and east; null: not configured. */
  readonly lat: number | null;
  readonly lon: number | null;
  /** Where its clients go, for the commands that the page shows; null: not configured. */
  readonly clients: string | null;
}

/** What a node says of itself. */
export interface NodeMessage {
  readonly region: string;
  readonly node: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly ready: boolean;
  readonly state: string;
  /** Why it is not `ready`, for people. */
  readonly stateReason: string;
  readonly log: {
    readonly engine: string;
    readonly durable: boolean;
    readonly detail: string;
    readonly state: string;
    readonly stateReason: string;
    readonly bytes: number;
  };
  readonly store: { readonly engine: string; readonly bytes: number; readonly backlogKeys: number };
  readonly keys: number;
  /** Since the process started. */
  readonly counters: {
    readonly accepted: number;
    readonly refused: number;
    readonly appliedRemote: number;
    readonly conflicts: number;
  };
  readonly clock: { readonly maxSkewMs: number; readonly aheadMs: number };
  readonly peers: readonly PeerMessage[];
  readonly shards: readonly ShardMessage[];
  readonly collections: readonly { readonly namespace: string; readonly name: string; readonly type: string }[];
  readonly alarms: readonly { readonly sinceMs: number; readonly code: string; readonly message: string }[];
  readonly hotKeys: {
    readonly written: readonly HotKeyMessage[];
    readonly read: readonly HotKeyMessage[];
  };
  readonly subscriptions: number;
  readonly journalEntries: number;
}

export interface HotKeyMessage {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
  readonly perS: number;
  readonly share: number;
}

/** Another region, as the node that tells it sees it. */
export interface PeerMessage {
  readonly region: string;
  readonly link: 'connecting' | 'up' | 'down' | 'refused';
  /** Why it is not up. */
  readonly reason: string;
  /** By watermark: how far this node is behind of the peer. */
  readonly lagMs: number | null;
  /** Per write, over the last minute. */
  readonly opLagMsP50: number | null;
  readonly opLagMsP99: number | null;
  readonly rttMs: number | null;
  /** The peer's clock minus this node's. */
  readonly offsetMs: number | null;
  /** Durable ops of this region that the peer has not acknowledged. */
  readonly backlogOps: number | null;
  readonly backlogBytes: number | null;
  readonly linkDrops: number;
  /** Bytes over the wire since the process started. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export interface ShardMessage {
  readonly shard: string;
  /** The node that sequences and applies it in this region. */
  readonly owner: string;
  readonly open: boolean;
  readonly ownOrigin: string | null;
  readonly origins: number;
  /** Ops that have been applied, of all origins. */
  readonly ops: number;
  readonly parkedBatches: number;
  readonly tombstones: number;
  readonly held: readonly { readonly origin: string; readonly message: string }[];
  /** Equal in two regions: they have applied the same ops, and then their digests are equal too. */
  readonly vectorHash: number;
  readonly digest: number;
}

export interface RegionMessage extends PlaceMessage {
  /** What its node said of itself, last; null: nothing so far. */
  readonly node: NodeMessage | null;
  /** How old that is; null with `node`. */
  readonly ageMs: number | null;
  /** Why there is nothing newer; '' while there is no reason. */
  readonly problem: string;
}

/** GET /ui/api/cluster */
export interface ClusterMessage {
  readonly clusterId: string;
  /** The region whose node answers. */
  readonly region: string;
  readonly node: string;
  readonly nowMs: number;
  readonly regions: readonly RegionMessage[];
}

/** GET /ui/api/history: columns of equal length, oldest first. Rates are per second; lags the worst of the step. */
export interface HistoryMessage {
  readonly region: string;
  readonly nowMs: number;
  readonly atMs: readonly number[];
  readonly writes: readonly number[];
  readonly applied: readonly number[];
  readonly refused: readonly number[];
  readonly conflicts: readonly number[];
  readonly receivedBytes: readonly number[];
  /** By the region that it is behind of. */
  readonly lagMs: Readonly<Record<string, readonly (number | null)[]>>;
}

export type EventLevel = 'info' | 'warn' | 'error';

export interface EventMessage {
  /** Counts up within one process. */
  readonly id: number;
  readonly atMs: number;
  readonly level: EventLevel;
  /** `state`: of the node. `alarm`: raised or over. `region`: whether another one answers. `notice`: what the node says in its log. */
  readonly kind: 'state' | 'alarm' | 'region' | 'notice';
  readonly message: string;
  /** How often it came; `atMs` is the first. */
  readonly times: number;
}

/** GET /ui/api/events, oldest first. */
export interface EventsMessage {
  readonly region: string;
  readonly nowMs: number;
  readonly startedAtMs: number;
  readonly events: readonly EventMessage[];
}

/** Bytes for a reader's eye: at most PREVIEW_CHARS of them. */
export interface PreviewMessage {
  readonly form: 'json' | 'text' | 'base64';
  readonly text: string;
  /** Of all of it. */
  readonly bytes: number;
  readonly cut: boolean;
}

export type OpMessage =
  | { readonly kind: 'put'; readonly value: PreviewMessage }
  | { readonly kind: 'delete' }
  | { readonly kind: 'increment'; readonly by: string }
  | {
      readonly kind: 'set-add' | 'set-remove';
      readonly elements: readonly PreviewMessage[];
      /** Beyond those that are told. */
      readonly more: number;
    }
  | {
      readonly kind: 'map-update';
      readonly put: readonly { readonly field: string; readonly value: PreviewMessage }[];
      readonly remove: readonly string[];
      readonly more: number;
    };

export type ValueMessage =
  | { readonly type: 'register-lww'; readonly version: VersionMessage; readonly value: PreviewMessage }
  | {
      readonly type: 'register-mv';
      readonly siblings: readonly { readonly version: VersionMessage; readonly value: PreviewMessage }[];
    }
  | { readonly type: 'counter-pn'; readonly value: string }
  | { readonly type: 'set-aw'; readonly elements: readonly PreviewMessage[]; readonly more: number }
  | {
      readonly type: 'map-lww';
      readonly fields: readonly {
        readonly field: string;
        readonly version: VersionMessage;
        readonly value: PreviewMessage;
      }[];
    };

export interface ConflictMessage {
  readonly atMs: number;
  readonly shard: string;
  readonly namespace: string;
  readonly collection: string;
  readonly type: string;
  readonly key: string;
  readonly field: string | null;
  readonly loser: VersionMessage;
  /** null: the loser was a delete. */
  readonly loserValue: PreviewMessage | null;
  readonly loserExpiresAtMs: number | null;
  readonly winner: VersionMessage;
  readonly winnerDeletes: boolean;
}

/** GET /ui/api/conflicts: of losers of one region, newest first. */
export interface ConflictsMessage {
  readonly region: string;
  readonly conflicts: readonly ConflictMessage[];
  /** null: that was all. */
  readonly nextPageToken: string | null;
  readonly total: number;
  readonly dropped: number;
  readonly droppedUntilMs: number;
}

export interface ChangeMessage {
  readonly version: VersionMessage;
  readonly op: OpMessage;
  /** W3C trace id; null: the write was not sampled. */
  readonly traceId: string | null;
  readonly offset: number;
  readonly landedAfterMs: number | null;
  readonly landedBeforeMs: number;
  readonly acknowledgedBy: readonly string[];
}

/** GET /ui/api/key: what one region's log and journal have of a key. */
export interface KeyMessage {
  readonly region: string;
  readonly shard: string;
  readonly type: string;
  /** What a local read has now; null: absent. */
  readonly value: ValueMessage | null;
  /** Newest first. */
  readonly changes: readonly ChangeMessage[];
  /** All that its log has. */
  readonly whole: boolean;
  readonly logStart: number;
  readonly conflicts: readonly ConflictMessage[];
  readonly journalFromMs: number;
}

export interface SpanMessage {
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  readonly region: string;
  readonly kind: string;
  readonly startMs: number;
  readonly durationMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly error?: string | undefined;
}

export interface TraceMessage {
  readonly traceId: string;
  readonly spans: readonly SpanMessage[];
}

/** GET /ui/api/traces, newest first. */
export interface TracesMessage {
  readonly region: string;
  /** False: nothing is traced here. */
  readonly on: boolean;
  readonly traces: readonly TraceMessage[];
}
