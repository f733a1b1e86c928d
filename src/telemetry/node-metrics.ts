// A node's figures as metrics (metrics/catalog.ts says what each one is). Nothing here remembers anything: each scrape is made of what is so now.

import type { MetricSink } from '../metrics/sink.ts';
import type { Histogram } from '../metrics/histogram.ts';
import type { NodeFigures, PeerFigures } from '../region/figures.ts';
import type { Alarm, RegionStatus } from '../region/region.ts';

const STATES: Readonly<Record<RegionStatus['state'], true>> = {
  starting: true,
  'asking-members': true,
  'catching-up': true,
  ready: true,
  'read-only': true,
  'clock-unsynced': true,
  draining: true,
  stopped: true,
};

const ALARMS: Readonly<Record<Alarm['code'], true>> = {
  'clock-hold': true,
  fork: true,
  quarantine: true,
  'clock-unsynced': true,
  'read-only': true,
  'store-away': true,
  'log-damaged': true,
  'identity-clash': true,
  'collection-clash': true,
  unsafe: true,
};

const LINK_STATES: Readonly<Record<RegionStatus['peers'][number]['link']['kind'], true>> = {
  connecting: true,
  up: true,
  down: true,
  refused: true,
};

const LOG_STATES: Readonly<Record<RegionStatus['log']['state']['kind'], true>> = {
  ready: true,
  'read-only': true,
  failed: true,
};

export function exportNode(into: MetricSink, figures: NodeFigures, ready: boolean): void {
  const { status } = figures;
  into.value('causeway_build_info', 1, { version: status.version });
  into.value('causeway_node_ready', Number(ready));
  for (const state of Object.keys(STATES)) into.value('causeway_node_state', Number(state === status.state), { state });
  for (const alarm of Object.keys(ALARMS)) {
    into.value('causeway_alarms', status.alarms.filter(({ code }) => code === alarm).length, { alarm });
  }
  exportWrites(into, figures);
  for (const peer of figures.peers) exportPeer(into, status, peer);
  into.value('causeway_batches_duplicate_total', status.counters.duplicateBatches);
  into.value(
    'causeway_batches_parked',
    status.shards.reduce((batches, { parkedBatches }) => batches + parkedBatches, 0),
  );
  for (const [kind, origins] of Object.entries(figures.held)) into.value('causeway_origins_held', origins, { kind });
  into.value('causeway_clock_skew_max_seconds', status.clock.maxSkewMs / 1000);
  into.value('causeway_clock_ahead_seconds', status.clock.aheadMs / 1000);
  exportShards(into, figures);
  exportEngines(into, figures);
}

function exportWrites(into: MetricSink, figures: NodeFigures): void {
  const { status } = figures;
  const { counters } = status;
  into.value('causeway_ops_accepted_total', counters.accepted);
  into.value('causeway_ops_retried_total', counters.duplicatesAnswered);
  into.value('causeway_ops_in_flight_bytes', figures.inFlightBytes);
  into.value('causeway_ops_in_flight_bytes_max', figures.inFlightBytesMax);
  into.value('causeway_batches_sealed_total', counters.commits);
  for (const [type, conflicts] of figures.conflicts) into.value('causeway_conflicts_total', conflicts, { type });
  into.value('causeway_conflict_journal_entries', figures.journalEntries);
  into.value('causeway_idempotency_entries', figures.idempotencyEntries);
  into.value('causeway_keys', status.keys);
  into.value(
    'causeway_tombstones',
    status.shards.reduce((sum, { tombstones }) => sum + tombstones, 0),
  );
  into.value('causeway_subscriptions', figures.subscriptions);
}

function exportPeer(into: MetricSink, status: RegionStatus, figures: PeerFigures): void {
  const peer = figures.region;
  const { lagMs, link, clock } = status.peers.find(({ region }) => region === peer)!;
  into.value('causeway_ops_applied_total', figures.appliedOps, { origin: peer });
  // I14: what is not known is not 0. Whoever watches it is told that it is beyond every bound.
  into.value('causeway_replication_lag_seconds', (lagMs ?? Infinity) / 1000, { origin: peer });
  into.histogram('causeway_replication_op_lag_seconds', figures.opLagSeconds, { origin: peer });
  into.value('causeway_replication_backlog_ops', figures.backlogOps, { peer });
  into.value('causeway_replication_backlog_bytes', figures.backlogBytes, { peer });
  into.value('causeway_batches_refused_total', figures.refusedBatches, { origin: peer });
  for (const state of Object.keys(LINK_STATES)) {
    into.value('causeway_link_state', Number(state === link.kind), { peer, state });
  }
  into.value('causeway_link_drops_total', figures.linkDrops, { peer });
  into.value('causeway_link_window_bytes', figures.windowBytes, { peer });
  into.value('causeway_link_window_used_bytes', figures.windowUsedBytes, { peer });
  into.value('causeway_link_received_bytes_total', figures.received.raw, { peer });
  into.value('causeway_link_received_wire_bytes_total', figures.received.wire, { peer });
  into.value('causeway_link_sent_bytes_total', figures.sent.raw, { peer });
  into.value('causeway_link_sent_wire_bytes_total', figures.sent.wire, { peer });
  into.value('causeway_clock_offset_seconds', clock && clock.offsetMs / 1000, { peer });
  into.value('causeway_clock_round_trip_seconds', clock && clock.rttMs / 1000, { peer });
  into.value('causeway_clock_skew_seconds', figures.skewMs / 1000, { peer });
  into.histogram('causeway_canary_round_trip_seconds', figures.canarySeconds, { peer });
  into.value('causeway_canaries_lost_total', figures.canariesLost, { peer });
}

function exportShards(into: MetricSink, figures: NodeFigures): void {
  const { shards, shardRestarts, storeRebuilds, sweptKeys, unsweptShards } = figures;
  into.value('causeway_shards', shards.length);
  into.value('causeway_shards_open', shards.filter(({ open }) => open).length);
  into.value('causeway_shard_restarts_total', shardRestarts);
  into.value('causeway_store_rebuilds_total', storeRebuilds);
  into.value('causeway_swept_keys_total', sweptKeys);
  into.value('causeway_unswept_shards', unsweptShards);
  for (const { shard, digest, vectorHash } of shards) {
    into.value('causeway_shard_digest', digest, { shard });
    into.value('causeway_shard_vector_hash', vectorHash, { shard });
  }
}

function exportEngines(into: MetricSink, figures: NodeFigures): void {
  const { log, store } = figures.status;
  into.value('causeway_log_bytes', log.bytes);
  into.value('causeway_log_durable', Number(log.durable));
  for (const state of Object.keys(LOG_STATES)) {
    into.value('causeway_log_state', Number(state === log.state.kind), { state });
  }
  into.value('causeway_store_bytes', store.bytes);
  into.value('causeway_store_silent_seconds', figures.storeSilentMs / 1000);
  into.value('causeway_store_backlog_keys', figures.storeBacklogKeys);
  into.value('causeway_store_backlog_keys_max', figures.storeBacklogKeysMax);
  into.value('causeway_state_cache_bytes', figures.stateCacheBytes);
}

/** Of the log that commits in groups. */
export function exportCommits(
  into: MetricSink,
  commits: { readonly bytes: Histogram; readonly entries: Histogram; readonly syncSeconds: Histogram },
): void {
  into.histogram('causeway_log_commit_bytes', commits.bytes, {});
  into.histogram('causeway_log_commit_entries', commits.entries, {});
  into.histogram('causeway_log_sync_seconds', commits.syncSeconds, {});
}
