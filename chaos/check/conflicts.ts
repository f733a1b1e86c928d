// The conflict journals against the reference (DESIGN 6): none missed, none invented, one for a loser; after crashes, replays and moves to
// another node as before. Two readers look: one that lists the journal now and then, and one per region that follows its stream with a
// cursor through all of the region's lives, and must be told of every verdict exactly once.
// One kind may be missing: a deletion that every region had, so that it was collected, and that a region which has lost its disk since
// overwrites without knowing of it (docs/CONSISTENCY.md).

import type { MergeTypeName } from '../../src/record/op.ts';
import { originRegion, type RegionId, type Version } from '../../src/record/ids.ts';
import type { Conflict, ConflictCursor, ConflictSubscription, PagePlace } from '../../src/region/region.ts';
import { keyName } from './history.ts';
import { holds } from './violation.ts';
import type { ViewCheck } from './views.ts';
import type { Cluster, SimNode, SimRegion } from '../sim/cluster.ts';
import type { Life } from '../sim/scheduler.ts';

type Until = (what: string, ms: number, condition: () => boolean) => Promise<void>;

interface Verdict {
  readonly region: RegionId;
  readonly winner: Version;
}

interface Expected {
  readonly winner: Version;
  /** Its loser may have been collected before the winner came. */
  readonly mayBeMissing: boolean;
}

/** Who follows a region's stream. */
interface Follower {
  readonly told: Map<string, Version>;
  cursor: ConflictCursor | undefined;
  life: Life | undefined;
  subscription: ConflictSubscription | undefined;
}

const PAGE = 7;

function dotText(version: Version): string {
  return `${version.origin}:${version.seq}`;
}

function verdictName({ shard, collection, key, field, loser }: Conflict): string {
  return `${shard} ${keyName(collection.namespace, collection.name, key)} ${field ?? ''} ${dotText(loser)}`;
}

export class ConflictCheck {
  readonly #cluster: Cluster;
  readonly #views: Pick<ViewCheck, 'conflictsOf'>;
  /** `shard name field loser` → the verdict. */
  readonly #verdicts = new Map<string, Verdict>();
  readonly #followers = new Map<SimRegion, Follower>();

  constructor(cluster: Cluster, views: Pick<ViewCheck, 'conflictsOf'>) {
    this.#cluster = cluster;
    this.#views = views;
  }

  get count(): number {
    return this.#verdicts.size;
  }

  collectAll(): void {
    for (const region of this.#cluster.regions) {
      for (const node of region.nodes) if (node.state === 'up') this.collect(node);
      this.#follow(region);
    }
  }

  collect(node: SimNode): void {
    if (node.node === undefined || node.state === 'starting') return;
    readJournal(node, (journal) => {
      for (const conflict of journal ?? []) this.#add(node.region, conflict);
    });
  }

  #add(region: SimRegion, conflict: Conflict): void {
    const { winner } = conflict;
    const name = verdictName(conflict);
    const before = this.#verdicts.get(name);
    holds(
      before === undefined || dotText(before.winner) === dotText(winner) || region.rewound,
      'conflict',
      () => `${region.id}: ${name} was judged to lose to ${dotText(before!.winner)} and to ${dotText(winner)}`,
    );
    this.#verdicts.set(name, { region: region.id, winner });
  }

  /** Goes on with the same cursor at whichever process serves the region now. */
  #follow(region: SimRegion): void {
    const node = this.#cluster.nodeFor(region);
    if (node?.node === undefined || node.state !== 'up') return;
    let follower = this.#followers.get(region);
    if (follower === undefined) {
      follower = { told: new Map(), cursor: undefined, life: undefined, subscription: undefined };
      this.#followers.set(region, follower);
    }
    if (follower.life === node.life) return;
    if (follower.life?.alive === true) follower.subscription?.cancel();
    const { told, cursor } = follower;
    const { life } = node;
    follower.life = life;
    follower.subscription = node.node.watchConflicts(
      { namespace: '', collection: '', keyPrefix: '', start: cursor ?? 'beginning' },
      {
        conflicts: (conflicts, moved, lost) => {
          holds(
            !lost || region.rewound,
            'conflict',
            () => `${node.name} says that conflicts were dropped behind a cursor of its own`,
          );
          for (const conflict of conflicts) {
            const name = verdictName(conflict);
            holds(
              !told.has(name) || region.rewound,
              'conflict',
              () => `${node.name} told twice that ${name} lost to ${dotText(conflict.winner)}`,
            );
            told.set(name, conflict.winner);
            this.#add(region, conflict);
          }
          follower.cursor = moved;
          return true;
        },
        failed: () => {
          if (follower.life === life) follower.life = undefined;
        },
      },
    );
  }

  /** After everything healed. A region that lost its log has its ops back in another order, and is not asked. */
  async final(until: Until): Promise<void> {
    const { regions, plan } = this.#cluster;
    const expected = new Map<RegionId, ReadonlyMap<string, Expected>>();
    for (const region of regions) expected.set(region.id, this.#expectedOf(region));
    const asked = regions.filter(({ rewound }) => !rewound);
    const journals = new Map<SimRegion, readonly Conflict[] | undefined>();
    for (const region of asked) {
      const node = this.#cluster.nodeFor(region);
      if (node === undefined) journals.set(region, undefined);
      else readJournal(node, (journal) => journals.set(region, journal));
    }
    await until('the conflict journals', 5000, () => journals.size === asked.length);
    const told = (region: SimRegion): ReadonlyMap<string, Version> => this.#followers.get(region)?.told ?? new Map();
    // Who follows hears of a verdict once it is read from the store.
    if (plan.lateStore) {
      await until('the streams of conflicts', 5000, () =>
        asked.every((region) =>
          [...expected.get(region.id)!].every(([name, { mayBeMissing }]) => mayBeMissing || told(region).has(name)),
        ),
      );
    }
    for (const region of asked) {
      const journal = journals.get(region);
      holds(journal !== undefined, 'liveness', () => `${region.id}: the conflict journal cannot be read`);
      const kept = new Map<string, Version>();
      for (const conflict of journal) {
        const name = verdictName(conflict);
        holds(!kept.has(name), 'conflict', () => `${region.id}: ${name} stands in the journal twice`);
        kept.set(name, conflict.winner);
      }
      this.#compare(region, expected.get(region.id)!, kept, 'its journal');
      this.#compare(region, expected.get(region.id)!, told(region), 'its stream');
    }
    const all = new Set([...expected.values()].flatMap((verdicts) => [...verdicts.keys()]));
    for (const [verdict, { region, winner }] of this.#verdicts) {
      holds(
        all.has(verdict) || this.#cluster.region(region).rewound,
        'conflict',
        () => `${region}: a verdict that ${verdict} lost to ${dotText(winner)}, which is no conflict`,
      );
    }
  }

  #expectedOf(region: SimRegion): ReadonlyMap<string, Expected> {
    const { history, collections } = this.#cluster;
    const types = new Map<string, MergeTypeName>(
      collections.map(({ namespace, name, type }) => [`${namespace}/${name}`, type]),
    );
    const expected = new Map<string, Expected>();
    for (const shard of region.shards) {
      const log = history.log(region.id, shard);
      for (const name of log.byKey.keys()) {
        const type = types.get(name.slice(0, name.lastIndexOf('/')))!;
        for (const { field, loser, winner, loserIsCollected } of this.#views.conflictsOf(log, type, name)) {
          const mayBeMissing = loserIsCollected && history.hasForgotten(originRegion(winner.origin), shard, loser);
          expected.set(`${shard} ${name} ${field ?? ''} ${dotText(loser)}`, { winner, mayBeMissing });
        }
      }
    }
    return expected;
  }

  #compare(
    region: SimRegion,
    expected: ReadonlyMap<string, Expected>,
    given: ReadonlyMap<string, Version>,
    where: string,
  ): void {
    for (const [verdict, { winner, mayBeMissing }] of expected) {
      const there = given.get(verdict);
      if (there === undefined && mayBeMissing) continue;
      holds(
        there !== undefined,
        'conflict',
        () =>
          `${region.id}: ${verdict} lost to ${dotText(winner)}, which had not seen it, and ${where} does not say so`,
      );
      holds(
        dotText(there) === dotText(winner),
        'conflict',
        () => `${region.id}: ${verdict} lost to ${dotText(winner)}; ${where} says ${dotText(there)}`,
      );
    }
    for (const [verdict, winner] of given) {
      holds(
        expected.has(verdict),
        'conflict',
        () => `${region.id}: ${where} says that ${verdict} lost to ${dotText(winner)}, which is no conflict`,
      );
    }
  }
}

/** All of it, of a node whose store answers within the call; undefined while it is still reading its log. */
export function journalOf(node: SimNode): readonly Conflict[] | undefined {
  let journal: readonly Conflict[] | undefined;
  readJournal(node, (all) => (journal = all));
  return journal;
}

/** All of it, page by page; undefined while the node is still reading its log. */
function readJournal(node: SimNode, done: (journal: readonly Conflict[] | undefined) => void): void {
  const all: Conflict[] = [];
  const page = (after: PagePlace | undefined): void => {
    node.node!.conflicts(
      {
        namespace: '',
        collection: '',
        keyPrefix: '',
        sinceMs: 0,
        untilMs: Infinity,
        order: 'oldest',
        limit: PAGE,
        after,
      },
      (answer) => {
        if (answer instanceof Error) {
          done(undefined);
          return;
        }
        all.push(...answer.conflicts);
        if (answer.next === undefined) done(all);
        else page(answer.next);
      },
    );
  };
  page(undefined);
}
