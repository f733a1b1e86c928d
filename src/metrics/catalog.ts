// Every metric that a node exports: its name with the unit in it, its type, its labels, and what it means. docs/METRICS.md is this list for
// readers (`metricsMarkdown` prints it), and a test holds both to what a live node answers.
//
// No label has a value that clients make up (keys, collections, producers): the number of series is bounded by regions, shards, RPCs and
// codes, whatever is written. Hot keys are in `causeway status` for that reason.

export interface MetricFacts {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  /** For the exposition and the document; a sentence. */
  readonly help: string;
}

/** Of every sample. */
export const CONSTANT_LABELS = ['cluster', 'region', 'node'] as const;

export const METRICS = {
  // The node
  causeway_build_info: {
    type: 'gauge',
    labels: ['version'],
    help: 'Always 1; the version of the software is in its label.',
  },
  causeway_node_ready: {
    type: 'gauge',
    labels: [],
    help: 'Whether the node serves reads: 1 or 0. A lost peer changes nothing about it.',
  },
  causeway_node_state: {
    type: 'gauge',
    labels: ['state'],
    help: '1 for the state that the node is in, 0 for the others.',
  },
  causeway_alarms: {
    type: 'gauge',
    labels: ['alarm'],
    help: 'Alarms that are raised now, by their code (docs/OPERATIONS.md, Alarms).',
  },

  // Calls: rate, errors, duration, in flight
  causeway_rpc_requests_total: {
    type: 'counter',
    labels: ['rpc', 'code'],
    help: 'gRPC requests that have been answered, by the code of the answer. Of WriteStream each message counts; of other streams each stream, when it ends.',
  },
  causeway_rpc_duration_seconds: {
    type: 'histogram',
    labels: ['rpc'],
    help: 'From a gRPC request (of WriteStream: a message) to its answer. Subscriptions have none.',
  },
  causeway_rpc_in_flight: {
    type: 'gauge',
    labels: ['rpc'],
    help: 'gRPC requests that are not answered, and streams that are open.',
  },
  causeway_http_requests_total: {
    type: 'counter',
    labels: ['route', 'method', 'status'],
    help: 'HTTP requests that have been answered, watches when they end.',
  },
  causeway_http_request_duration_seconds: {
    type: 'histogram',
    labels: ['route'],
    help: 'From an HTTP request to the end of its answer. Watches have none.',
  },
  causeway_http_in_flight: {
    type: 'gauge',
    labels: [],
    help: 'HTTP requests that are not answered, watches included.',
  },
  causeway_api_pending_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Bytes of requests and answers, gRPC and HTTP, that are not finished.',
  },
  causeway_api_pending_bytes_max: {
    type: 'gauge',
    labels: [],
    help: 'The bound of causeway_api_pending_bytes, beyond which requests are refused as OVERLOADED.',
  },

  // Writes
  causeway_ops_accepted_total: {
    type: 'counter',
    labels: [],
    help: "Ops of this region's clients that became durable.",
  },
  causeway_ops_refused_total: {
    type: 'counter',
    labels: ['code'],
    help: 'Ops of clients that were refused, or failed, by the code of the error. The request that brought them may have been answered OK.',
  },
  causeway_ops_retried_total: {
    type: 'counter',
    labels: [],
    help: 'Retries of ops that were applied before, answered with the first result.',
  },
  causeway_ops_applied_total: {
    type: 'counter',
    labels: ['origin'],
    help: 'Ops of another region that have become durable and visible here.',
  },
  causeway_ops_in_flight_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Bytes of ops that are sequenced and not durable yet.',
  },
  causeway_ops_in_flight_bytes_max: {
    type: 'gauge',
    labels: [],
    help: 'limits.inFlightBytesMax, beyond which writes are refused as OVERLOADED.',
  },
  causeway_batches_sealed_total: { type: 'counter', labels: [], help: "Batches of this region's own writes." },
  causeway_conflicts_total: {
    type: 'counter',
    labels: ['type'],
    help: 'Verdicts about losers of this region, by merge type: each is an entry of the conflict journal.',
  },
  causeway_conflict_journal_entries: { type: 'gauge', labels: [], help: 'Entries that the conflict journal keeps.' },
  causeway_idempotency_entries: {
    type: 'gauge',
    labels: [],
    help: 'Ops that are remembered, so that their retries are recognised; all shards.',
  },
  causeway_keys: { type: 'gauge', labels: [], help: 'Live keys, all shards of the node.' },
  causeway_tombstones: {
    type: 'gauge',
    labels: [],
    help: 'What is kept to beat late arrivals, as last counted: of 100,000 every ten seconds, of fewer more often.',
  },
  causeway_subscriptions: { type: 'gauge', labels: [], help: 'Subscriptions to the change feed, gRPC and HTTP.' },

  // Replication
  causeway_replication_lag_seconds: {
    type: 'gauge',
    labels: ['origin'],
    help: 'By watermark: how far behind this node the newest promise of the other region is that counts here, in the shard that is worst off. Computed when it is asked for, so it grows while nothing is heard; +Inf while nothing of that region counts here.',
  },
  causeway_replication_op_lag_seconds: {
    type: 'histogram',
    labels: ['origin'],
    help: "Per op of another region: from its stamp there to being durable and visible here, by this node's clock. The clocks' offset is in it.",
  },
  causeway_replication_backlog_ops: {
    type: 'gauge',
    labels: ['peer'],
    help: 'Durable ops of this region that the peer has not acknowledged. No sample while nothing has been heard of the peer since the start and ops of earlier starts may be among them.',
  },
  causeway_replication_backlog_bytes: {
    type: 'gauge',
    labels: ['peer'],
    help: 'About how many bytes those are: their number times the mean size of an op.',
  },
  causeway_batches_duplicate_total: {
    type: 'counter',
    labels: [],
    help: 'Batches of peers that had been here before, each dropped without effect.',
  },
  causeway_batches_parked: {
    type: 'gauge',
    labels: [],
    help: 'Batches of peers that wait for something that they depend on.',
  },
  causeway_batches_refused_total: {
    type: 'counter',
    labels: ['origin'],
    help: 'Batches that a peer sent and that were not kept: a full buffer, a log that takes nothing, a held stream. They are asked for again.',
  },
  causeway_origins_held: {
    type: 'gauge',
    labels: ['kind'],
    help: 'Streams of origins that are held: for the clock, for a fork, or in quarantine (all shards).',
  },
  causeway_link_state: {
    type: 'gauge',
    labels: ['peer', 'state'],
    help: '1 for the state of the link over which this node fetches from the peer, 0 for the others.',
  },
  causeway_link_drops_total: {
    type: 'counter',
    labels: ['peer'],
    help: 'How often a link to the peer that was up has ended.',
  },
  causeway_link_window_bytes: {
    type: 'gauge',
    labels: ['peer'],
    help: 'What the peer lets this node have under way to it: its window, all its streams.',
  },
  causeway_link_window_used_bytes: {
    type: 'gauge',
    labels: ['peer'],
    help: 'How much of that is under way and not answered.',
  },
  causeway_link_received_bytes_total: {
    type: 'counter',
    labels: ['peer'],
    help: 'Bytes of batches from the peer, unpacked.',
  },
  causeway_link_received_wire_bytes_total: {
    type: 'counter',
    labels: ['peer'],
    help: 'The same as they came over the wire, compressed where that was agreed.',
  },
  causeway_link_sent_bytes_total: {
    type: 'counter',
    labels: ['peer'],
    help: 'Bytes of batches to the peer, unpacked.',
  },
  causeway_link_sent_wire_bytes_total: {
    type: 'counter',
    labels: ['peer'],
    help: 'Bytes that went to the peer over the wire: the batches, compressed where that was agreed, and heartbeats.',
  },
  causeway_canary_round_trip_seconds: {
    type: 'histogram',
    labels: ['peer'],
    help: 'From writing a canary here to having applied the answer that the peer wrote: through both logs, both ways. Empty unless tracing is on (tracing.canaryMs).',
  },
  causeway_canaries_lost_total: {
    type: 'counter',
    labels: ['peer'],
    help: 'Canaries that had no answer within half a minute.',
  },

  // Clocks
  causeway_clock_offset_seconds: {
    type: 'gauge',
    labels: ['peer'],
    help: "The peer's clock minus this node's, corrected for half the round trip. No sample while the link is not up.",
  },
  causeway_clock_round_trip_seconds: {
    type: 'gauge',
    labels: ['peer'],
    help: 'Round trip to the peer. No sample while the link is not up.',
  },
  causeway_clock_skew_seconds: {
    type: 'gauge',
    labels: ['peer'],
    help: "How far ahead of this node's clock the newest stamp of the peer is, 0 when it is behind. Above causeway_clock_skew_max_seconds its stream is held.",
  },
  causeway_clock_skew_max_seconds: { type: 'gauge', labels: [], help: 'maxSkewMs.' },
  causeway_clock_ahead_seconds: {
    type: 'gauge',
    labels: [],
    help: "How far the node's hybrid clock is ahead of the machine's, 0 when it is not: because of a peer's stamps, or of a clock that was set back.",
  },

  // Shards
  causeway_shards: { type: 'gauge', labels: [], help: 'Shards that the node owns.' },
  causeway_shards_open: { type: 'gauge', labels: [], help: 'Those of them that take writes.' },
  causeway_shard_restarts_total: {
    type: 'counter',
    labels: [],
    help: 'How often a shard was read again from its log while the node ran: it was deposed, or its log or store refused it.',
  },
  causeway_store_rebuilds_total: {
    type: 'counter',
    labels: [],
    help: 'How often a shard of the store was made anew from the log, because it was missing or proved nothing.',
  },
  causeway_swept_keys_total: {
    type: 'counter',
    labels: [],
    help: 'Keys of dropped collections that this node has deleted.',
  },
  causeway_unswept_shards: {
    type: 'gauge',
    labels: [],
    help: 'Shards of dropped collections in which this node found something to delete when it last looked, or has not looked yet.',
  },
  causeway_shard_digest: {
    type: 'gauge',
    labels: ['shard'],
    help: "The first 52 bits of the digest of the shard's live state, as of the last full minute. Of two regions with the same causeway_shard_vector_hash it is the same.",
  },
  causeway_shard_vector_hash: {
    type: 'gauge',
    labels: ['shard'],
    help: '52 bits of a hash of the vector that the digest is of.',
  },

  // Engines
  causeway_log_bytes: { type: 'gauge', labels: [], help: 'Bytes of the log on disk.' },
  causeway_log_durable: {
    type: 'gauge',
    labels: [],
    help: 'Whether what was acknowledged survives loss of power: 1 or 0.',
  },
  causeway_log_state: {
    type: 'gauge',
    labels: ['state'],
    help: '1 for the state of the log, 0 for the others. read-only: no space; failed: the node must end.',
  },
  causeway_log_commit_bytes: { type: 'histogram', labels: [], help: 'Bytes of a group commit, all shards together.' },
  causeway_log_commit_entries: {
    type: 'histogram',
    labels: [],
    help: 'Entries (batches, leases) of a group commit, all shards together.',
  },
  causeway_log_sync_seconds: { type: 'histogram', labels: [], help: 'How long the fdatasync of a group commit took.' },
  causeway_store_bytes: { type: 'gauge', labels: [], help: 'Bytes of the store on disk.' },
  causeway_store_silent_seconds: {
    type: 'gauge',
    labels: [],
    help: 'For how long a store on a server has answered nothing of what it was asked for a shard; 0 while it answers. From 1 on it is away (alarm store-away).',
  },
  causeway_store_backlog_keys: {
    type: 'gauge',
    labels: [],
    help: 'Changed keys that the store does not have yet; they are answered from memory.',
  },
  causeway_store_backlog_keys_max: {
    type: 'gauge',
    labels: [],
    help: 'limits.storeBacklogMax, beyond which writes are refused as OVERLOADED.',
  },
  causeway_state_cache_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Key states in memory, by the bytes of their encoding.',
  },
  causeway_disk_size_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Size of the file system that the data directory is on.',
  },
  causeway_disk_free_bytes: {
    type: 'gauge',
    labels: [],
    help: "What is free of it for the node's user. At 0 the region takes no writes.",
  },

  // The process
  causeway_event_loop_delay_seconds: {
    type: 'histogram',
    labels: [],
    help: 'How late a timer of 20 ms was: the time that a request may wait before anybody looks at it.',
  },
  process_cpu_seconds_total: { type: 'counter', labels: [], help: 'CPU time of the process, user and system.' },
  process_resident_memory_bytes: { type: 'gauge', labels: [], help: 'Memory of the process in RAM.' },
  process_heap_bytes: { type: 'gauge', labels: [], help: "JavaScript's heap that is in use." },
  process_external_memory_bytes: { type: 'gauge', labels: [], help: 'Memory outside the heap that it holds: buffers.' },
  process_start_time_seconds: { type: 'gauge', labels: [], help: 'When the process started, in Unix seconds.' },
} as const satisfies Readonly<Record<string, MetricFacts>>;

export type MetricName = keyof typeof METRICS;

export type LabelsOf<N extends MetricName> = Readonly<Record<(typeof METRICS)[N]['labels'][number], string>>;

/** The lines between the two marks in docs/METRICS.md. */
export function metricsMarkdown(): string {
  const rows = Object.entries(METRICS).map(
    ([name, { type, labels, help }]) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
  );
  return ['| metric | type | labels | what it is |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
