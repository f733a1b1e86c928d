// Faults: each happens at random moments at the rate that the plan says, and heals by itself or at the end of the chaos.
// What keeps a seed fair: of a region's data somebody has a copy, or the oracle is told that it is gone (Cluster.wipe and its like).

import type { MemoryAppend } from '../../src/log/memory.ts';
import type { Cluster, SimNode, SimRegion } from './cluster.ts';
import { FAULT_NAMES, type FaultName } from './plan.ts';
import { lastPause } from './workload.ts';
import type { SeededRandom } from './random.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** Where a process may be made to die. */
type Place = 'append' | 'landed' | 'write' | 'checkpoint';

export class Faults {
  readonly #cluster: Cluster;
  readonly #random: SeededRandom;
  #healed = false;
  /** One-shot faults of the log, per region. */
  readonly #pendingAppendFaults = new Map<SimRegion, ('lost-ack' | 'lost' | 'late')[]>();
  /** Where a region's owner dies next, and for how long. */
  readonly #deaths = new Map<SimRegion, { readonly place: Place; readonly downMs: number }>();
  /** A region that stamps a year ahead, and what ends that. */
  #poisoned: { readonly region: SimRegion; readonly cure: () => void } | undefined;
  readonly injected = new Map<FaultName, number>();
  /** `name.n` of what the plan drew and what happened, in order. */
  readonly taken: string[] = [];

  constructor(cluster: Cluster, random: SeededRandom) {
    this.#cluster = cluster;
    this.#random = random.fork('faults');
    for (const region of cluster.regions) {
      region.appendFault = (append) => this.#appendFault(region, append);
      region.onStore = (node, what) => this.#dieAt(node, what);
    }
  }

  /** Draws when what happens. */
  schedule(): void {
    const { plan, scheduler } = this.#cluster;
    for (const name of FAULT_NAMES) {
      const mean = plan.faults[name];
      if (mean === undefined) continue;
      const draws = this.#random.fork(name);
      const times = draws.chance(mean % 1) ? Math.floor(mean) + 1 : Math.floor(mean);
      for (let i = 0; i < times; i++) {
        const at = draws.between(100, plan.chaosMs);
        const which = `${name}.${i}`;
        // From numbers of its own, so that a seed without one of its faults is otherwise the same seed (shrink.ts).
        const random = draws.fork(String(i));
        if (plan.faultsKept?.includes(which) === false) continue;
        scheduler.at(at, () => {
          if (this.#healed) return;
          this.taken.push(which);
          this.inject(name, random.pick(this.#cluster.regions), random);
        });
      }
    }
  }

  inject(name: FaultName, region: SimRegion, random = this.#random): void {
    this.injected.set(name, (this.injected.get(name) ?? 0) + 1);
    this.#cluster.trace.add('fault', name, region.id);
    this.#inject(name, region, random);
  }

  #inject(name: FaultName, region: SimRegion, random: SeededRandom): void {
    const cluster = this.#cluster;
    const { scheduler, network } = cluster;
    const node = region.nodes[region.owner]!;
    const other = random.pick(cluster.regions.filter((each) => each !== region));
    const someTime = (): number => random.logBetween(50, 4000);
    const later = (ms: number, fn: () => void): void => {
      scheduler.after(ms, () => {
        if (!this.#healed) fn();
      });
    };
    switch (name) {
      case 'crash':
        this.crash(random.pick(region.nodes), someTime(), {
          keep: random.pick(['none', 'all', 'random']),
          torn: false,
          machine: false,
        });
        break;
      case 'crashAt':
        this.#deaths.set(region, {
          place: random.pick(['append', 'landed', 'write', 'checkpoint']),
          downMs: someTime(),
        });
        break;
      case 'gone':
        for (const each of region.nodes)
          this.crash(each, undefined, { keep: 'random', torn: false, machine: random.chance(0.5) });
        break;
      case 'rolling':
        this.#roll(
          random.shuffled(cluster.regions).flatMap(({ nodes }) => nodes),
          random,
        );
        break;
      case 'repeat':
        this.#arrives(region, other, { repeats: 1 + random.below(5) });
        break;
      case 'bitFlip':
        this.#arrives(region, other, { flips: 1 + random.below(2) });
        break;
      case 'newer':
      case 'apart':
        network.versions.set(region.id, name);
        this.#roll(region.nodes, random);
        later(someTime(), () => {
          network.versions.delete(region.id);
          this.#roll(region.nodes, random);
        });
        break;
      case 'poison':
        if (this.#poisoned === undefined && this.#othersWhole(region)) this.#poison(region, random);
        break;
      case 'power':
        for (const each of region.nodes)
          this.crash(each, someTime(), {
            keep: random.pick(['none', 'random']),
            torn: random.chance(0.5),
            machine: true,
          });
        break;
      case 'restart':
        cluster.stop(node, () => {
          if (!this.#healed) scheduler.after(random.between(0, 300), () => cluster.start(node));
        });
        break;
      case 'pause':
        this.pause(node, someTime());
        break;
      case 'partition':
        this.block(region, other, true);
        later(someTime(), () => this.block(region, other, false));
        break;
      case 'isolate': {
        const others = cluster.regions.filter((each) => each !== region);
        for (const each of others) this.block(region, each, true);
        later(someTime(), () => others.forEach((each) => this.block(region, each, false)));
        break;
      }
      case 'oneWay':
        network.change(region.id, other.id, { blocked: true });
        later(someTime(), () => network.change(region.id, other.id, { blocked: false }));
        break;
      case 'clog':
        network.change(region.id, other.id, {
          bytesPerMs: random.logBetween(0.5, 50),
          delayMs: random.logBetween(50, 1000),
        });
        later(someTime(), () => network.change(region.id, other.id, cluster.calm()));
        break;
      case 'breaks': {
        const breakRate = random.logBetween(0.005, 0.2);
        network.change(region.id, other.id, { breakRate });
        network.change(other.id, region.id, { breakRate: breakRate / 2 });
        later(someTime(), () => {
          network.change(region.id, other.id, { breakRate: 0 });
          network.change(other.id, region.id, { breakRate: 0 });
        });
        break;
      }
      case 'cut':
        network.breakOne(region.id, other.id, 'cut');
        break;
      case 'clockStep':
        region.clock.step(Math.round(random.pick([-1, 1]) * random.logBetween(5, 2.5 * cluster.plan.maxSkewMs)));
        break;
      case 'clockDrift':
        region.clock.set(region.clock.offsetMs, random.pick([-1, 1]) * random.logBetween(0.0001, 0.05));
        break;
      case 'clockBack':
        this.crash(node, random.between(50, 500), { keep: 'random', torn: false, machine: true });
        region.clock.step(-HOUR_MS);
        later(random.between(500, 4000), () => region.clock.step(HOUR_MS));
        break;
      case 'lostAck':
        this.#nextAppends(region, 'lost-ack', random);
        break;
      case 'lostAppend':
        this.#nextAppends(region, 'lost', random);
        break;
      case 'lateAppend':
        this.#nextAppends(region, 'late', random);
        later(random.logBetween(1, 3000), () => {
          region.disk.landLate();
          cluster.touched(region);
        });
        break;
      case 'slowDisk':
        region.diskMs = random.logBetween(20, 800);
        later(someTime(), () => {
          region.diskMs = cluster.plan.diskMs;
        });
        break;
      case 'readOnly':
        region.disk.setReadOnly('no space left on device');
        later(someTime(), () => region.disk.setReadOnly(undefined));
        break;
      case 'logFails':
        if (node.logOpen) {
          node.log!.fail('fdatasync: EIO');
          // Whoever runs the node restarts a process whose log has failed.
          later(random.between(100, 1500), () =>
            this.crash(node, random.between(20, 500), { keep: 'none', torn: false, machine: false }),
          );
        }
        break;
      case 'storeFails':
        node.storeDisk.failWrites('MDB_MAP_FULL');
        later(someTime(), () => node.storeDisk.failWrites(undefined));
        break;
      case 'storeCleared':
        this.#whileDown(region, random, () => region.nodes.forEach(({ storeDisk }) => storeDisk.clear()));
        break;
      case 'storeFlushed':
        node.storeDisk.flush();
        later(500, () => lookAtStores(region));
        break;
      case 'storeBehind': {
        const image = node.storeDisk.image();
        const { generation } = region;
        later(someTime(), () => {
          if (region.generation !== generation) return;
          node.storeDisk.goBack(image);
          later(500, () => lookAtStores(region));
        });
        break;
      }
      case 'storeStands':
        region.storeStandsUntilMs = scheduler.now + random.between(500, 4000);
        break;
      case 'wipe':
        if (this.#othersWhole(region)) this.#whileDown(region, random, () => cluster.wipe(region, random.chance(0.5)));
        break;
      case 'damage':
        if (this.#othersWhole(region))
          this.#whileDown(region, random, () =>
            cluster.damage(region, random.pick(region.shards), 1 + random.below(20)),
          );
        break;
      case 'backup':
        if (region.backup === undefined) {
          cluster.takeBackup(region);
          later(random.between(300, 2500), () => {
            if (this.#othersWhole(region)) this.#whileDown(region, random, () => cluster.restoreBackup(region));
          });
        }
        break;
      case 'ownerMove':
        if (region.nodes.length > 1) {
          const to = 1 - region.owner;
          const lateMs = random.pick([0, 1, 50, 1000]);
          if (random.chance(0.5)) cluster.moveOwner(region, to, lateMs);
          else cluster.moveOwnerAhead(region, to, random.pick([0, 1, 10, 200, 2000]), lateMs);
        }
        break;
    }
  }

  /** At most one region loses data in a seed: two would be a loss that nothing promises to survive. */
  #othersWhole(region: SimRegion): boolean {
    const lost = (other: SimRegion): boolean => other.rewound || this.#poisoned?.region === other;
    return this.#cluster.regions.every((other) => other === region || !lost(other));
  }

  /** Nobody takes what it stamps now (I5), so that all of it goes when its disk is given up: the cure that needs no operator. */
  #poison(region: SimRegion, random: SeededRandom): void {
    const cluster = this.#cluster;
    const others = cluster.regions.filter((each) => each !== region);
    for (const each of others) this.block(region, each, true);
    // Half of the time nothing that it says gets out. Otherwise the others hear its promises and reports, and hold what it wrote.
    if (!random.chance(0.5)) for (const each of others) while (cluster.network.breakOne(region.id, each.id, 'cut'));
    region.clock.step(YEAR_MS);
    const cure = (): void => {
      this.#poisoned = undefined;
      this.#whileDown(region, random, () => cluster.wipe(region, false));
      region.clock.step(-YEAR_MS);
      for (const each of others) this.block(region, each, false);
    };
    this.#poisoned = { region, cure };
    cluster.scheduler.after(random.between(100, 2000), () => {
      if (this.#poisoned?.region === region) cure();
    });
  }

  #arrives(from: SimRegion, to: SimRegion, change: { readonly repeats: number } | { readonly flips: number }): void {
    this.#cluster.network.change(from.id, to.id, change);
  }

  /** One after the other: the next when the one before has stopped. */
  #roll(nodes: readonly SimNode[], random: SeededRandom): void {
    const [node, ...rest] = nodes;
    if (node === undefined || this.#healed) return;
    const next = (): void => {
      if (this.#healed) return;
      this.#cluster.scheduler.after(random.between(0, 300), () => {
        if (this.#healed) return;
        this.#cluster.start(node);
        this.#roll(rest, random);
      });
    };
    if (node.up) this.#cluster.stop(node, next);
    else this.#roll(rest, random);
  }

  #dieAt(node: SimNode, place: Place): boolean {
    const death = this.#deaths.get(node.region);
    if (death?.place !== place || !node.life.alive || node.state === 'starting') return false;
    this.#deaths.delete(node.region);
    const { life } = node;
    this.#cluster.trace.add('dies at', place, node.name);
    // Nothing else happens in between.
    this.#cluster.scheduler.after(0, () => {
      if (node.life === life)
        this.crash(node, death.downMs, { keep: 'random', torn: false, machine: death.downMs > 1000 });
    });
    return true;
  }

  #whileDown(region: SimRegion, random: SeededRandom, fn: () => void): void {
    for (const node of region.nodes) this.crash(node, undefined, { keep: 'random', torn: false, machine: true });
    // After a loss: late appends of the lost disk are lost with it.
    region.disk.landLate();
    fn();
    this.#cluster.touched(region);
    for (const node of region.nodes) this.#restartLater(node, random.between(20, 1000));
  }

  crash(node: SimNode, downMs: number | undefined, options: Parameters<Cluster['crash']>[1]): void {
    if (node.life.paused) this.#cluster.scheduler.resume(node.life);
    this.#cluster.crash(node, options);
    if (downMs !== undefined) this.#restartLater(node, downMs);
  }

  #restartLater(node: SimNode, ms: number): void {
    this.#cluster.scheduler.after(ms, () => {
      if (!this.#healed) this.#cluster.start(node);
    });
  }

  pause(node: SimNode, ms: number): void {
    if (!node.life.alive || node.life.paused) return;
    const { scheduler, trace } = this.#cluster;
    const { life } = node;
    scheduler.pause(life);
    trace.add('pause', node.name);
    scheduler.after(ms, () => this.#resume(node, life));
  }

  #resume(node: SimNode, life: SimNode['life']): void {
    if (!life.alive || !life.paused) return;
    this.#cluster.trace.add('resume', node.name);
    lastPause.set(life, this.#cluster.scheduler.now);
    this.#cluster.scheduler.resume(life);
  }

  block(a: SimRegion, b: SimRegion, blocked: boolean): void {
    this.#cluster.network.change(a.id, b.id, { blocked });
    this.#cluster.network.change(b.id, a.id, { blocked });
  }

  #nextAppends(region: SimRegion, fault: 'lost-ack' | 'lost' | 'late', random: SeededRandom): void {
    const pending = this.#pendingAppendFaults.get(region) ?? [];
    for (let i = 1 + random.below(2); i > 0; i--) pending.push(fault);
    this.#pendingAppendFaults.set(region, pending);
  }

  #appendFault(region: SimRegion, _append: MemoryAppend): 'none' | 'lost-ack' | 'lost' | 'late' {
    const owner = region.nodes[region.owner]!;
    if (this.#dieAt(owner, 'append')) return 'lost';
    if (this.#dieAt(owner, 'landed')) return 'lost-ack';
    const pending = this.#pendingAppendFaults.get(region);
    if (pending === undefined || pending.length === 0) return 'none';
    return this.#random.chance(0.7) ? pending.shift()! : 'none';
  }

  /** Everything works again, and every process runs. */
  heal(): void {
    this.#healed = true;
    const { regions, network, trace } = this.#cluster;
    trace.add('heal');
    this.#pendingAppendFaults.clear();
    this.#deaths.clear();
    network.versions.clear();
    this.#poisoned?.cure();
    for (const region of regions) {
      region.appendFault = undefined;
      region.storeStandsUntilMs = 0;
      region.diskMs = Math.min(region.diskMs, this.#cluster.plan.diskMs);
      region.disk.setReadOnly(undefined);
      region.disk.landLate();
      this.#cluster.touched(region);
      for (const { storeDisk } of region.nodes) storeDisk.failWrites(undefined);
      if (this.#cluster.plan.lateStore) lookAtStores(region);
      region.clock.set(0, 0);
      for (const other of regions) if (other !== region) network.change(region.id, other.id, this.#cluster.calm());
      for (const node of region.nodes) {
        if (node.life.paused) this.#resume(node, node.life);
        // A log that has failed writes again only after a restart.
        if (node.logOpen && node.log!.state().kind === 'failed')
          this.#cluster.crash(node, { keep: 'none', torn: false, machine: false });
        if (node.state === 'stopping') this.#cluster.scheduler.after(3000, () => this.#cluster.start(node));
        this.#cluster.start(node);
      }
    }
  }
}

/** A store on a server notices a loss within half a second, also when nobody asks. */
function lookAtStores({ nodes }: SimRegion): void {
  for (const { life, storeOpen, store } of nodes) if (life.alive && storeOpen && store?.isOpen === true) store.look();
}
