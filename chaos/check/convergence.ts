// I3  equal vectors give equal digests, at any time; and after everything has healed: equal vectors, equal digests, equal views, which
//     are those of the reference over everything that was ever logged; nothing held, parked or left to collect; no origin but the
//     live ones open; every node takes writes again.

import type { OriginId, RegionId, ShardId } from '../../src/record/ids.ts';
import type { ReadResult } from '../../src/region/region.ts';
import type { CausewayError } from '../../src/errors/errors.ts';
import { keyName } from './history.ts';
import { viewText } from './reference.ts';
import { holds } from './violation.ts';
import { TAGGED_KEYS, type Cluster, type SimNode } from '../sim/cluster.ts';
import type { Workload } from '../sim/workload.ts';
import type { ClientCheck } from './clients.ts';
import type { ConflictCheck } from './conflicts.ts';
import type { LevelCheck } from './levels.ts';
import type { ViewCheck } from './views.ts';

/** What is judged at the end: a run's cluster, its clients, and what its checks have gathered. */
export interface Settling {
  readonly cluster: Cluster;
  readonly workload: Workload | undefined;
  readonly clients: ClientCheck;
  readonly conflicts: ConflictCheck;
  readonly levels: LevelCheck;
  readonly views: ViewCheck;
  until(what: string, ms: number, condition: () => boolean): Promise<void>;
}

function vectorText(vector: ReadonlyMap<string, number>): string {
  return [...vector]
    .map(([origin, seq]) => `${origin}:${seq}`)
    .sort()
    .join(' ');
}

/** Digests of running nodes now and then: whoever has the same vector has the same digest. */
export class DigestCheck {
  readonly #cluster: Cluster;
  compared = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  sample(): void {
    const { regions } = this.#cluster;
    const nodes = regions.flatMap((region) => region.upNodes.slice(0, 1));
    const times = nodes.map(({ region }) => region.clock.nowMs());
    const asOfMs = Math.min(...times) - 1000;
    // A digest can be told as of the last minute only; a clock that is an hour off has no moment in common.
    if (Math.max(...times) - asOfMs > 30_000) return;
    const seen = new Map<string, { region: RegionId; digest: string; keys: number }>();
    for (const node of nodes) {
      for (const { shard, digest, keys, vector } of node.node!.digests(asOfMs)) {
        const name = `${shard} ${vectorText(vector)}`;
        const other = seen.get(name);
        if (other === undefined) {
          seen.set(name, { region: node.region.id, digest, keys });
          continue;
        }
        this.compared++;
        holds(
          other.digest === digest,
          'I3',
          () =>
            `${shard}: ${other.region} and ${node.region.id} have the same vector (${vectorText(vector)}) and digests ${other.digest} and ${digest}`,
        );
      }
    }
  }
}

export class FinalCheck {
  readonly #sim: Settling;

  constructor(sim: Settling) {
    this.#sim = sim;
  }

  #owners(): SimNode[] {
    return this.#sim.cluster.regions.map((region) => region.nodes[region.owner]!);
  }

  /** Which members of a shard do not hold the same ops of it, for people; undefined when all logs are equal. */
  logsDiffer(): string | undefined {
    const { cluster } = this.#sim;
    cluster.catchUp();
    for (const shard of new Set(cluster.regions.flatMap((region) => region.shards))) {
      const vectors = cluster.members(shard).map((region) => vectorText(cluster.history.log(region, shard).vector));
      if (new Set(vectors).size > 1) return `the logs of ${shard} differ: ${vectors.join(' | ')}`;
    }
    return undefined;
  }

  /** What is still missing, for people; undefined when all is settled. */
  notSettled(): string | undefined {
    const { cluster, workload } = this.#sim;
    const { plan } = cluster;
    cluster.catchUp();
    for (const node of this.#owners()) {
      if (!node.up) return `${node.name} is ${node.state}`;
      if (!node.node!.ready())
        return `${node.name} is not ready: ${node.node!.status().state}, ${node.node!.status().stateReason}`;
    }
    if (workload !== undefined && workload.callsOpen > 0) return `${workload.callsOpen} calls are open`;
    const differ = this.logsDiffer();
    if (differ !== undefined) return differ;
    const asOfMs = Math.min(...cluster.regions.map(({ clock }) => clock.nowMs())) - 1;
    const digests = new Map<ShardId, string>();
    for (const node of this.#owners()) {
      for (const { shard, digest, vector } of node.node!.digests(asOfMs)) {
        const log = cluster.history.log(node.region.id, shard);
        const text = vectorText(vector);
        if (text !== vectorText(log.vector))
          return `${node.name} has applied ${shard} up to ${text}; its log is at ${vectorText(log.vector)}`;
        const other = digests.get(shard);
        holds(
          other === undefined || other === digest,
          'I3',
          () => `${shard}: digest ${digest} in ${node.region.id}, ${other} elsewhere, at equal vectors ${text}`,
        );
        digests.set(shard, digest);
      }
    }
    const statuses = this.#owners().map((node) => ({ node, shards: node.node!.status().shards }));
    // An origin is of one shard.
    const live = new Set(
      statuses.flatMap(({ shards }) => shards.map(({ shard, ownOrigin }) => `${shard} ${ownOrigin}`)),
    );
    for (const { node, shards: each } of statuses) {
      for (const { shard, parkedBatches, tombstones, origins, ownOrigin } of each) {
        if (parkedBatches > 0) return `${node.name} ${shard}: ${parkedBatches} batches are parked`;
        for (const { origin, held, state } of origins) {
          if (held !== undefined) return `${node.name} ${shard}: ${origin} is held: ${held}`;
          if (state !== 'closed' && !live.has(`${shard} ${origin}`))
            return `${node.name} ${shard}: ${origin} has ended and is ${state}`;
        }
        if (ownOrigin === undefined) return `${node.name} ${shard}: no own origin`;
        if (tombstones > 0 && !plan.expiry) return `${node.name} ${shard}: ${tombstones} tombstones`;
      }
    }
    for (const consumer of workload?.consumers ?? []) {
      if (consumer.node === undefined) return `a consumer in ${consumer.region.id} is not subscribed`;
      for (const shard of consumer.shards) {
        if (consumer.form === 'value' && this.#namesVanished(consumer.check.cursor.get(shard), shard)) continue;
        const missing = consumer.check.missing(consumer.region.id, shard);
        if (missing !== undefined) return `a consumer in ${consumer.region.id} waits for ${missing}`;
      }
    }
    return undefined;
  }

  /**
   * Does a cursor name an origin of which no log has anything? It was lost whole with its disk, nobody can tell that from an origin
   * that has not arrived yet, and a consumer of values waits for it (chaos/README.md).
   */
  #namesVanished(cursor: ReadonlyMap<OriginId, number> | undefined, shard: ShardId): boolean {
    const { cluster } = this.#sim;
    const logs = cluster.members(shard).map((region) => cluster.history.log(region, shard));
    return [...(cursor?.keys() ?? [])].some((origin) => logs.every(({ vector }) => !vector.has(origin)));
  }

  async check(): Promise<void> {
    const { cluster, clients, conflicts, levels, views } = this.#sim;
    clients.final((shard) => cluster.members(shard));
    conflicts.collectAll();
    await conflicts.final((what, ms, condition) => this.#sim.until(what, ms, condition));
    levels.final();
    const answers: { region: RegionId; name: string; text: string }[] = [];
    let open = 0;
    for (const node of this.#owners()) {
      for (const { namespace, name: collection, type } of cluster.collections) {
        const keys = [...Array.from({ length: cluster.plan.keysPerCollection }, (_, i) => `k${i}`), ...TAGGED_KEYS];
        if (!cluster.members(cluster.shardOf(namespace, collection, keys[0]!)).includes(node.region.id)) continue;
        open++;
        const fromMs = node.region.clock.nowMs();
        node.node!.read(
          { namespace, collection, keys, consistency: { kind: 'local' }, deadlineMs: 5000 },
          (answer: ReadResult | CausewayError) => {
            open--;
            holds(
              !(answer instanceof Error),
              'liveness',
              () =>
                `${node.name} cannot read ${namespace}/${collection}: ${answer instanceof Error ? answer.message : ''}`,
            );
            const toMs = node.region.clock.nowMs();
            keys.forEach((key, i) => {
              const shard = cluster.shardOf(namespace, collection, key);
              const name = keyName(namespace, collection, key);
              const log = cluster.history.log(node.region.id, shard);
              views.read(
                node.region.id,
                shard,
                type,
                name,
                answer.views[i],
                answer.session.get(shard) ?? new Map(),
                fromMs,
                toMs,
              );
              const expected = viewText(views.expected(log, type, name, toMs));
              const text = viewText(answer.views[i]);
              holds(
                // What expires may have done so while it was read.
                text === expected || text === viewText(views.expected(log, type, name, fromMs)),
                'I3',
                () => `${node.name} reads ${name} as ${text} after everything healed; by all ops it is ${expected}`,
              );
              if (!cluster.plan.expiry) answers.push({ region: node.region.id, name, text });
            });
          },
        );
      }
    }
    await this.#sim.until('the last reads', 5000, () => open === 0);
    const first = new Map<string, { region: RegionId; text: string }>();
    for (const { region, name, text } of answers) {
      const other = first.get(name);
      if (other === undefined) first.set(name, { region, text });
      else
        holds(
          other.text === text,
          'I3',
          () => `${name} reads as ${text} in ${region} and as ${other.text} in ${other.region}`,
        );
    }
  }
}
