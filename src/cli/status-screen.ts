// A node's status on one screen: what a person looks at first comes first. Pure: the answer in, lines out.

import type { NodePeer, NodeShard, NodeStatus } from '../client/index.ts';
import { table, type Terminal } from './terminal.ts';
import { wholeRegion } from './whole-region.ts';
import { bytes, count, span } from './words.ts';

type Paint = Pick<Terminal, 'bold' | 'dim' | 'good' | 'warn' | 'bad'>;

/** Lag above it is worth a colour: replication promises to stay below (DESIGN). */
const LAG_MS_MAX = 5000;

/** Of all ops: a key with more is worth a line. */
const HOT_SHARE = 0.05;

/** More of them in one line are only counted; --shards names them all. */
const SHARDS_NAMED_MAX = 12;

/** As long before its end a certificate is worth a line: as long as the node itself warns. */
const CERTIFICATE_MS_LEFT = 14 * 86_400_000;

export function statusLines(node: NodeStatus, paint: Paint, allShards: boolean): string[] {
  const { status, missing } = wholeRegion(node);
  const lines = [headline(status, paint), ...nodes(node, missing, paint)];
  for (const { code, message, sinceMs } of status.alarms) {
    const forMs = status.nowMs - sinceMs;
    lines.push(paint.bad(`  alarm ${code}${forMs >= 1000 ? `, for ${span(forMs)}` : ''}: ${message}`));
  }
  lines.push(...certificates(status, paint));
  lines.push('', ...figures(status, paint), '', ...peers(status, paint), '', ...shards(status, paint, allShards));
  lines.push(...hotKeys(status, paint));
  if (status.collections.length > 0) {
    const names = status.collections.map(({ namespace, name, type }) => [`  ${namespace}/${name}`, type]);
    lines.push('', paint.bold('collections'), ...table(names));
  }
  return lines;
}

/** Of a region of several: what each says of itself. All figures below are of the region. */
function nodes(asked: NodeStatus, missing: readonly string[], { bold, dim, good, warn, bad }: Paint): string[] {
  const { others, owners } = asked;
  if (others.length === 0) return [];
  const all = [{ node: asked.node, address: '', status: asked, problem: '' }, ...others];
  const rows = all
    .toSorted((a, b) => (a.node < b.node ? -1 : 1))
    .map(({ node, status, problem }) => {
      const held = owners.filter((owner) => owner.node === node).map(({ shard }) => shard);
      const shards = held.length > SHARDS_NAMED_MAX ? count(held.length) : held.join(' ') || '-';
      if (status === undefined) return [`  ${node}`, bad('no answer'), shards, '-', bad(problem)];
      const state = status.state === 'ready' ? good(status.state) : warn(status.state);
      const note = status.state === 'ready' ? '' : status.stateReason;
      return [`  ${node}`, state, shards, count(status.keys), `${note}${node === asked.node ? dim('asked') : ''}`];
    });
  const lines = ['', ...table([['node', 'state', 'shards', 'keys', ''].map(bold), ...rows])];
  const moved = owners.filter(({ pinned }) => pinned !== undefined);
  for (const { shard, node, pinned } of moved) {
    const there = node === pinned ? '' : bad(`, and is at ${node === '' ? 'no node' : node}`);
    lines.push(warn(`  ${shard} was moved to ${pinned!} by hand${there}`) + dim(`: causeway move ${shard} --back`));
  }
  if (missing.length > 0) lines.push(bad(`  the figures below lack ${missing.join(', ')}`));
  return lines;
}

/** Only those that somebody must renew soon: the rest is in --json. */
function certificates({ certificates: all, nowMs }: NodeStatus, { warn, bad }: Paint): string[] {
  return all.flatMap(({ use, part, subject, notAfterMs }) => {
    const leftMs = notAfterMs - nowMs;
    if (leftMs > CERTIFICATE_MS_LEFT) return [];
    const text = `  ${use}.tls.${part} (${subject}) ${leftMs < 0 ? 'has expired' : `expires in ${span(leftMs)}`}: put a new one there`;
    return [leftMs < 0 ? bad(text) : warn(text)];
  });
}

function headline(status: NodeStatus, { bold, good, warn, bad, dim }: Paint): string {
  const paint =
    status.state === 'ready' ? good : status.state === 'read-only' || status.state === 'clock-unsynced' ? bad : warn;
  const reason = status.stateReason === '' ? '' : `: ${status.stateReason}`;
  const up = span(Math.max(0, status.nowMs - status.startedAtMs));
  return `${bold(status.region)} ${paint(status.state + reason)}  ${dim(`node ${status.node}, causeway ${status.version}, up ${up}`)}`;
}

function figures({ keys, counters, log, store, clock, peers }: NodeStatus, { bold, bad, warn, dim }: Paint): string[] {
  const rows: [string, string][] = [];
  if (counters !== null) {
    const { accepted, refused, appliedRemote, conflicts } = counters;
    const share = [
      `${count(accepted)} accepted`,
      `${count(appliedRemote)} from peers`,
      `${count(conflicts)} conflicts`,
    ];
    if (refused > 0) share.push(`${count(refused)} refused`);
    rows.push(['  writes', `${share.join(', ')} ${dim('since the start')}`]);
  }
  rows.push(['  keys', count(keys)]);
  if (log !== null) {
    const promise = log.durable ? `durable (${log.detail})` : warn(`NOT durable (${log.detail})`);
    const state = log.state === 'ready' ? '' : `, ${bad(`${log.state}: ${log.stateReason}`)}`;
    rows.push(['  log', `${log.engine}, ${promise}, ${bytes(log.bytes)}${state}`]);
  }
  if (store !== null) {
    rows.push(['  store', `${store.engine}, a cache of the log: rebuilt from it when in doubt, ${bytes(store.bytes)}`]);
  }
  rows.push(['  clock', clockText(clock, peers, { bad, warn })]);
  return table(rows.map(([name, text]) => [bold(name), text]));
}

function clockText(
  { maxSkewMs, aheadMs }: NodeStatus['clock'],
  peers: NodeStatus['peers'],
  { bad, warn }: Pick<Paint, 'bad' | 'warn'>,
): string {
  const offsets = peers.flatMap(({ clock }) => (clock === undefined ? [] : [Math.abs(clock.offsetMs)]));
  const furthest = offsets.length === 0 ? undefined : Math.max(...offsets);
  const bound = maxSkewMs === 0 ? '' : `; stamps more than ${span(maxSkewMs)} ahead are held`;
  const stamps = aheadMs < 1 ? '' : `, its stamps run ${span(aheadMs)} ahead of it`;
  if (furthest === undefined) return `no peer to compare it with${stamps}${bound}`;
  const within = `within ${span(furthest)} of its peers`;
  const paint = furthest > maxSkewMs ? bad : furthest > maxSkewMs / 4 ? warn : (text: string): string => text;
  return `${maxSkewMs === 0 ? within : paint(within)}${stamps}${bound}`;
}

function hotKeys({ hotKeys: { written, read } }: NodeStatus, { bold, dim }: Paint): string[] {
  const rows = [
    ...written.map((key) => ['written', key] as const),
    ...read.map((key) => ['read', key] as const),
  ].filter(([, { share }]) => share >= HOT_SHARE);
  if (rows.length === 0) return [];
  return [
    '',
    `${bold('hot keys')} ${dim('of the last minutes, by samples')}`,
    ...table(
      rows.map(([how, { namespace, collection, key, perS, share }]) => [
        `  ${namespace}/${collection}/${key}`,
        how,
        `about ${count(Math.round(perS))}/s`,
        `${Math.round(share * 100)} %`,
      ]),
    ),
  ];
}

function peers(status: NodeStatus, paint: Paint): string[] {
  if (status.peers.length === 0) return [paint.dim('no peers')];
  const head = ['peer', 'link', 'lag', 'writes p50', 'p99', 'to send', 'clock', 'round trip'].map((name, i) =>
    paint.bold(i === 0 ? name : `  ${name}`),
  );
  const rows = status.peers.map((peer) => [
    `  ${peer.region}`,
    `  ${link(peer, paint)}`,
    `  ${lag(peer, paint)}`,
    `  ${optional(peer.opLagMsP50, span)}`,
    `  ${optional(peer.opLagMsP99, span)}`,
    `  ${optional(peer.unacknowledgedOps, count)}`,
    `  ${optional(peer.clock?.offsetMs, signedMs)}`,
    `  ${optional(peer.clock?.rttMs, span)}`,
  ]);
  const reasons = status.peers.flatMap((peer) => {
    const text = linkReason(peer);
    return text === undefined ? [] : [paint.bad(`  ${peer.region}: ${text}`)];
  });
  return [...table([head, ...rows], 0), ...reasons];
}

function link({ link: state }: NodePeer, { good, warn, bad }: Paint): string {
  if (state.kind === 'up') return good('up');
  return state.kind === 'connecting' ? warn('connecting') : bad(state.kind);
}

function linkReason({ link: state }: NodePeer): string | undefined {
  if (state.kind === 'refused') {
    return `refused (${state.reason}): ${state.message}; next attempt in ${span(state.retryInMs)}`;
  }
  if (state.kind === 'down') return `down: ${state.reason}; next attempt in ${span(state.retryInMs)}`;
  return undefined;
}

function lag({ lagMs }: NodePeer, { warn }: Paint): string {
  if (lagMs === undefined) return '-';
  return lagMs > LAG_MS_MAX ? warn(span(lagMs)) : span(lagMs);
}

function shards(status: NodeStatus, paint: Paint, all: boolean): string[] {
  const origins = status.shards.reduce((sum, shard) => sum + shard.origins.length, 0);
  const parked = status.shards.reduce((sum, shard) => sum + shard.parkedBatches, 0);
  const tombstones = status.shards.reduce((sum, shard) => sum + shard.tombstones, 0);
  const lines = [
    `${paint.bold('shards')} ${count(status.shards.length)}, ${count(origins)} origins, ${count(parked)} batches waiting, ${count(tombstones)} tombstones`,
  ];
  const shown = all ? status.shards : status.shards.filter((shard) => troubles(shard).length > 0);
  if (all && shown.length > 0) {
    const nodeOf = new Map(status.owners.map(({ shard, node }) => [shard, node]));
    const loadOf = new Map(status.owners.map(({ shard, loadPerS }) => [shard, loadPerS]));
    const head = ['  shard', 'writes as', 'origins', 'ops', 'waiting', 'tombstones'].map(paint.bold);
    if (nodeOf.size > 0) head.splice(1, 0, paint.bold('node'), paint.bold('ops/s'));
    const rows = shown.map((shard) => [
      `  ${shard.shard}`,
      ...(nodeOf.size > 0 ? [nodeOf.get(shard.shard) ?? '-', optional(loadOf.get(shard.shard), count)] : []),
      shard.ownOrigin ?? '-',
      count(shard.origins.length),
      count(shard.origins.reduce((sum, { seq }) => sum + seq, 0)),
      count(shard.parkedBatches),
      count(shard.tombstones),
    ]);
    lines.push(...table([head, ...rows]));
  }
  for (const shard of shown) {
    for (const trouble of troubles(shard)) lines.push(paint.bad(`  ${shard.shard}: ${trouble}`));
  }
  return lines;
}

function troubles(shard: NodeShard): string[] {
  return shard.origins.flatMap(({ origin, held }) => (held === undefined ? [] : [`${origin} is held: ${held}`]));
}

function optional(value: number | undefined, say: (value: number) => string): string {
  return value === undefined ? '-' : say(value);
}

function signedMs(ms: number): string {
  const rounded = Math.round(ms * 10) / 10;
  return `${rounded > 0 ? '+' : ''}${rounded} ms`;
}
