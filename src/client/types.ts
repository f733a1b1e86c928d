// Words of the client. They stand here and not in src/record or src/merge, because the client is installed without the server.

/** The name of one op, and its place in the order of versions: by stamp, then by origin. */
export interface Version {
  /** `region~incarnation`. */
  readonly origin: string;
  readonly seq: number;
  /** Hybrid logical clock value. */
  readonly stamp: number;
}

export type MergeType = 'register-lww' | 'register-mv' | 'counter-pn' | 'set-aw' | 'map-lww';

export interface Dot {
  readonly origin: string;
  readonly seq: number;
}

/** What an op asks for; which merge type takes which is in docs/MERGE_TYPES.md. */
export type Intent =
  | {
      readonly kind: 'put';
      readonly value: Uint8Array;
      readonly expiresAtMs?: number | undefined;
      /** register-mv: the siblings that were read and are replaced; absent = all that are there. */
      readonly observed?: readonly Dot[] | undefined;
    }
  | { readonly kind: 'delete'; readonly observed?: readonly Dot[] | undefined }
  /** Within ±(2^63 - 1). */
  | { readonly kind: 'increment'; readonly by: bigint }
  | { readonly kind: 'set-add'; readonly elements: readonly Uint8Array[]; readonly expiresAtMs?: number | undefined }
  | { readonly kind: 'set-remove'; readonly elements: readonly Uint8Array[] }
  | {
      readonly kind: 'map-update';
      readonly put: readonly MapPut[];
      readonly remove: readonly string[];
    };

export interface MapPut {
  readonly field: string;
  readonly value: Uint8Array;
  readonly expiresAtMs?: number | undefined;
}

/** Checked by the region that takes the write, in that region only. */
export type Condition =
  | { readonly kind: 'absent' }
  | { readonly kind: 'exists' }
  /** register-lww. */
  | { readonly kind: 'version'; readonly version: Version };

/** One change of one key. Handles make them (`profiles.op.set(…)`); producers and client.write() take them. */
export interface Op {
  readonly collection: string;
  /** 1 to 1024 bytes of UTF-8. */
  readonly key: string;
  readonly intent: Intent;
  readonly condition?: Condition | undefined;
  /** The caller's own, 1 to 128 bytes, instead of the one that the client gives every op. */
  readonly idempotencyKey?: string | undefined;
  /** With an own key that was tried before, by an earlier call: Unix ms of that first try. Regions judge by it what they no longer
   *  remember. Default: now. */
  readonly issuedAtMs?: number | undefined;
  /** W3C trace context: 16 bytes trace id, 8 bytes span id, 1 byte flags. */
  readonly trace?: Uint8Array | undefined;
}

/** What became of an op that was written. */
export interface WriteAck {
  /** `placement/index`. */
  readonly shard: string;
  readonly version: Version;
  /** The op had been applied before, by an earlier attempt; this is the first result. */
  readonly duplicate: boolean;
  /** With `returnValue`: the key right after the op, in the region that answered; of a duplicate, the key now. undefined when it was not
   *  asked for, or was too large for the answer (about 3 MiB a request). */
  readonly after?: { readonly view: View | undefined } | undefined;
}

export type Durability =
  /** Durable in the region that answers. */
  | 'local'
  /** And visible to its reads. */
  | 'applied'
  /** And durable in so many other regions. */
  | { readonly regions: number };

export interface CallOptions {
  /** For the whole call, retries included. Default: that of connect(). */
  readonly deadlineMs?: number | undefined;
  /** Gives up when aborted: CANCELLED; what became of a write is then unknown. */
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions extends CallOptions {
  readonly durability?: Durability | undefined;
  /** See Op. */
  readonly idempotencyKey?: string | undefined;
  /** See Op. */
  readonly issuedAtMs?: number | undefined;
  readonly trace?: Uint8Array | undefined;
  /** Answer with what the key is after the op. Default false; counters always do. */
  readonly returnValue?: boolean | undefined;
}

/** How fresh a read is; docs/CONSISTENCY.md says what each survives. */
export type Consistency =
  /** What the region has. */
  | 'local'
  /** At least what this client has read and written, wherever that was. */
  | 'causal'
  /** Everything that another region wrote more than so many milliseconds ago, 1 to 3,600,000; else CONSISTENCY_NOT_REACHED at the deadline. */
  | { readonly maxStaleMs: number }
  /** One cut through all keys of the read that no later write can change; else CONSISTENCY_NOT_REACHED at the deadline. */
  | 'stable';

export interface ReadOptions extends CallOptions {
  /** Default: that of connect(). */
  readonly consistency?: Consistency | undefined;
  /** causal: at the deadline, answer with what is there, marked stale. */
  readonly allowStale?: boolean | undefined;
}

export interface ScanOptions extends ReadOptions {
  /** Only keys that start with it. Default: all of the collection. */
  readonly prefix?: string | undefined;
  /** Only keys of these shards, `placement/index`. Default: of all. */
  readonly shards?: readonly string[] | undefined;
  /** Of the page that is asked for in one call. Default 100; the node's limit is 1000. */
  readonly pageSize?: number | undefined;
  /** Where a page before said to go on; good in every region. Default: from the beginning. */
  readonly pageToken?: string | undefined;
}

/** What a read saw of one key, before a handle decodes it. */
export type View =
  | {
      readonly type: 'register-lww';
      readonly value: Uint8Array;
      readonly version: Version;
      readonly expiresAtMs?: number | undefined;
    }
  | {
      readonly type: 'register-mv';
      readonly siblings: readonly { readonly value: Uint8Array; readonly version: Version }[];
    }
  | { readonly type: 'counter-pn'; readonly value: bigint }
  /** Sorted by bytes. */
  | { readonly type: 'set-aw'; readonly elements: readonly Uint8Array[] }
  /** Sorted by field. */
  | {
      readonly type: 'map-lww';
      readonly fields: readonly { readonly field: string; readonly value: Uint8Array; readonly version: Version }[];
    };

export interface Topology {
  readonly region: string;
  readonly node: string;
  readonly version: string;
  readonly ready: boolean;
  readonly readyReason: string;
  readonly namespaces: readonly {
    readonly name: string;
    readonly placementId: number;
    readonly shards: number;
    readonly collections: readonly { readonly name: string; readonly id: number; readonly type: MergeType }[];
  }[];
  readonly limits: {
    readonly keyBytesMax: number;
    readonly valueBytesMax: number;
    readonly opsPerRequestMax: number;
    readonly requestBytesMax: number;
    readonly streamMessageBytesMax: number;
    readonly keysPerReadMax: number;
    readonly scanPageSizeMax: number;
  };
  readonly peers: readonly string[];
}
