// A reader of whole collections, page by page, in one region. It changes nothing, and draws from numbers of its own.

import type { CausewayError } from '../../src/errors/errors.ts';
import type { CollectionRef } from '../../src/record/op.ts';
import type { Consistency, ScanRequest, ScanResult } from '../../src/region/region.ts';
import type { SimRegion } from './cluster.ts';
import type { SeededRandom } from './random.ts';
import type { Workload } from './workload.ts';

/** A scan is as much work for the oracle as many reads. */
const THINK_TIMES = 4;

export class Scanner {
  readonly workload: Workload;
  readonly region: SimRegion;
  readonly random: SeededRandom;

  constructor(workload: Workload, region: SimRegion, random: SeededRandom) {
    this.workload = workload;
    this.region = region;
    this.random = random;
  }

  start(): void {
    this.#next();
  }

  #next(): void {
    const { cluster } = this.workload;
    if (!this.workload.running) return;
    const ms = THINK_TIMES * cluster.plan.thinkMs * -Math.log(1 - this.random.float());
    cluster.scheduler.after(ms, () => {
      if (this.workload.running) this.#scan();
    });
  }

  #scan(): void {
    const { random, workload, region } = this;
    const { collection } = workload.pickKey(random, region);
    this.#page(collection, {
      namespace: collection.namespace,
      collection: collection.name,
      prefix: random.pick(['', '', 'k', '{t}']),
      after: random.chance(0.1) ? 'k0' : undefined,
      limit: random.pick([1, 2, 1000]),
      bytesMax: random.pick([20, 1_000_000]),
      consistency: this.#level(),
      deadlineMs: random.pick([500, 2000]),
    });
  }

  #level(): Consistency {
    const dice = this.random.float();
    if (dice < 0.6) return { kind: 'stable' };
    return dice < 0.8 ? { kind: 'local' } : { kind: 'bounded', maxStaleMs: this.random.pick([500, 3000]) };
  }

  #page(collection: CollectionRef, request: ScanRequest): void {
    const { workload, region } = this;
    const node = workload.cluster.nodeFor(region);
    if (node === undefined) {
      this.#next();
      return;
    }
    const { generation } = region;
    const fromMs = region.clock.nowMs();
    const vectors = workload.cluster.plan.lateStore
      ? new Map(node.node!.digests(fromMs).map(({ shard, vector }) => [shard, vector]))
      : undefined;
    workload.call<ScanResult | CausewayError>(
      node,
      request.deadlineMs,
      'a scan',
      (done) => node.node!.scan(request, done),
      (answer) => {
        if (answer === undefined || answer instanceof Error || generation !== region.generation) {
          if (answer instanceof Error) workload.countRefusal(answer);
          this.#next();
          return;
        }
        workload.cluster.catchUp(region);
        workload.cluster.trace.add('scan', region.id, collection.name, request.consistency.kind, answer.entries.length);
        const toMs = region.clock.nowMs();
        workload.checks.scans.page(region.id, region.shards, collection, request, answer, fromMs, toMs, vectors);
        if (answer.next === undefined) this.#next();
        else this.#page(collection, { ...request, after: answer.next });
      },
    );
  }
}
