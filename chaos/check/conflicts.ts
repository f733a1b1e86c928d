// Verdicts that the regions gave, against those of the reference (DESIGN 6): none missed, none invented, one for a loser.
// A region that restarts judges again what it replays; the loser's dot tells a repetition from a second verdict.

import type { MergeTypeName } from '../../src/record/op.ts';
import type { RegionId, Version } from '../../src/record/ids.ts';
import type { Conflict } from '../../src/region/region.ts';
import { keyName } from './history.ts';
import { holds } from './violation.ts';
import type { ViewCheck } from './views.ts';
import type { Cluster, SimNode } from '../sim/cluster.ts';

interface Verdict {
  readonly region: RegionId;
  readonly winner: Version;
}

function dotText(version: Version): string {
  return `${version.origin}:${version.seq}`;
}

export class ConflictCheck {
  readonly #cluster: Cluster;
  readonly #views: ViewCheck;
  /** `shard name field loser` → the verdict. */
  readonly #verdicts = new Map<string, Verdict>();
  readonly #seen = new WeakMap<Conflict, true>();

  constructor(cluster: Cluster, views: ViewCheck) {
    this.#cluster = cluster;
    this.#views = views;
  }

  get count(): number {
    return this.#verdicts.size;
  }

  collectAll(): void {
    for (const region of this.#cluster.regions)
      for (const node of region.nodes) if (node.state === 'up') this.collect(node);
  }

  collect(node: SimNode): void {
    if (node.node === undefined || node.state === 'starting') return;
    const all = node.node.conflicts();
    for (let i = all.length - 1; i >= 0; i--) {
      const conflict = all[i]!;
      if (this.#seen.has(conflict)) break;
      this.#seen.set(conflict, true);
      this.#add(node.region.id, conflict);
    }
  }

  #add(region: RegionId, { shard, collection, key, field, loser, winner }: Conflict): void {
    const name = `${shard} ${keyName(collection.namespace, collection.name, key)} ${field ?? ''} ${dotText(loser)}`;
    const before = this.#verdicts.get(name);
    holds(
      before === undefined || dotText(before.winner) === dotText(winner) || this.#cluster.region(region).rewound,
      'conflict',
      () => `${region}: ${name} was judged to lose to ${dotText(before!.winner)} and to ${dotText(winner)}`,
    );
    this.#verdicts.set(name, { region, winner });
  }

  /** After everything healed. A region that lost its log has its ops back in another order, and is not asked. */
  final(): void {
    const { history, regions, collections } = this.#cluster;
    const types = new Map<string, MergeTypeName>(
      collections.map(({ namespace, name, type }) => [`${namespace}/${name}`, type]),
    );
    const expected = new Set<string>();
    for (const region of regions) {
      for (const shard of region.shards) {
        const log = history.log(region.id, shard);
        for (const name of log.byKey.keys()) {
          const type = types.get(name.slice(0, name.lastIndexOf('/')))!;
          for (const { field, loser, winner } of this.#views.conflictsOf(log, type, name)) {
            const verdict = `${shard} ${name} ${field ?? ''} ${dotText(loser)}`;
            expected.add(verdict);
            if (region.rewound) continue;
            const given = this.#verdicts.get(verdict);
            holds(
              given !== undefined,
              'conflict',
              () => `${region.id}: ${verdict} lost to ${dotText(winner)}, which had not seen it, and nobody was told`,
            );
            holds(
              dotText(given.winner) === dotText(winner),
              'conflict',
              () => `${region.id}: ${verdict} lost to ${dotText(winner)}; the verdict says ${dotText(given.winner)}`,
            );
          }
        }
      }
    }
    for (const [verdict, { region, winner }] of this.#verdicts) {
      holds(
        expected.has(verdict) || this.#cluster.region(region).rewound,
        'conflict',
        () => `${region}: a verdict that ${verdict} lost to ${dotText(winner)}, which is no conflict`,
      );
    }
  }
}
