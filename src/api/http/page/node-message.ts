// A node's figures in the form in which its page, and the pages of other regions, get them.

import type { NodeFigures, PeerFigures } from '../../../region/figures.ts';
import type { PeerStatus, RegionStatus, ShardStatus } from '../../../region/region.ts';
import type { NodeMessage, PeerMessage, ShardMessage } from './messages.ts';

export function nodeMessage(figures: NodeFigures, ready: boolean): NodeMessage {
  const { status } = figures;
  const { log, counters } = status;
  return {
    region: status.region,
    node: status.node,
    version: status.version,
    startedAtMs: status.startedAtMs,
    nowMs: status.nowMs,
    ready,
    state: status.state,
    stateReason: status.stateReason,
    log: {
      engine: log.engine,
      durable: log.durable,
      detail: log.detail,
      state: log.state.kind,
      stateReason: log.state.kind === 'ready' ? '' : log.state.reason,
      bytes: log.bytes,
    },
    store: { engine: status.store.engine, bytes: status.store.bytes, backlogKeys: figures.storeBacklogKeys },
    keys: status.keys,
    counters: {
      accepted: counters.accepted,
      refused: counters.refused,
      appliedRemote: counters.appliedRemote,
      conflicts: counters.conflicts,
    },
    clock: { maxSkewMs: status.clock.maxSkewMs, aheadMs: status.clock.aheadMs },
    peers: status.peers.map((peer) =>
      peerMessage(
        peer,
        figures.peers.find(({ region }) => region === peer.region),
      ),
    ),
    shards: status.shards.map((shard) => shardMessage(shard, status, figures)),
    collections: status.collections.map(({ namespace, name, type }) => ({ namespace, name, type })),
    alarms: status.alarms.map(({ sinceMs, code, message }) => ({ sinceMs, code, message })),
    hotKeys: { written: status.hotKeys.written, read: status.hotKeys.read },
    subscriptions: figures.subscriptions,
    journalEntries: figures.journalEntries,
  };
}

function peerMessage(peer: PeerStatus, figures: PeerFigures | undefined): PeerMessage {
  const { link, clock } = peer;
  return {
    region: peer.region,
    link: link.kind,
    reason: link.kind === 'down' ? link.reason : link.kind === 'refused' ? `${link.reason}: ${link.message}` : '',
    lagMs: peer.lagMs ?? null,
    opLagMsP50: peer.opLagMsP50 ?? null,
    opLagMsP99: peer.opLagMsP99 ?? null,
    rttMs: clock?.rttMs ?? null,
    offsetMs: clock?.offsetMs ?? null,
    backlogOps: figures?.backlogOps ?? null,
    backlogBytes: figures?.backlogBytes ?? null,
    linkDrops: figures?.linkDrops ?? 0,
    receivedBytes: figures?.received.wire ?? 0,
    sentBytes: figures?.sent.wire ?? 0,
  };
}

function shardMessage(shard: ShardStatus, { node }: RegionStatus, { shards }: NodeFigures): ShardMessage {
  const figures = shards.find((each) => each.shard === shard.shard);
  return {
    shard: shard.shard,
    // A node tells of the shards that it owns itself.
    owner: node,
    open: figures?.open ?? false,
    ownOrigin: shard.ownOrigin ?? null,
    origins: shard.origins.length,
    ops: shard.origins.reduce((ops, { seq }) => ops + seq, 0),
    parkedBatches: shard.parkedBatches,
    tombstones: shard.tombstones,
    held: shard.origins.flatMap(({ origin, held }) => (held === undefined ? [] : [{ origin, message: held }])),
    vectorHash: figures?.vectorHash ?? 0,
    digest: figures?.digest ?? 0,
  };
}
