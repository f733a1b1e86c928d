// Clients and consumers, in every region: writes of all merge types on few keys, conditions, retries after lost answers with the same
// idempotency, session reads that roam between regions, and feeds whose cursors move.
// A call that does not come back is "may have happened"; only the oracle (chaos/check) decides what that means.

import { msOfStamp } from '../../src/clock/hlc.ts';
import type { CausewayError } from '../../src/errors/errors.ts';
import type { Intent, View } from '../../src/merge/types.ts';
import type { OriginId, ShardId, Version } from '../../src/record/ids.ts';
import type { CollectionRef, Idempotency } from '../../src/record/op.ts';
import type {
  Condition,
  Consistency,
  Durability,
  FeedSink,
  FeedStart,
  FeedSubscription,
  ReadResult,
  SessionToken,
  WriteResult,
} from '../../src/region/region.ts';
import type { ClientCheck, ClientOp } from '../check/clients.ts';
import { FeedCheck } from '../check/feeds.ts';
import { keyName, traceOfClientOp } from '../check/history.ts';
import type { LevelCheck } from '../check/levels.ts';
import type { ScanCheck } from '../check/scans.ts';
import type { ViewCheck } from '../check/views.ts';
import { holds } from '../check/violation.ts';
import { NAMESPACES, TAGGED_KEYS, type Cluster, type SimNode, type SimRegion } from './cluster.ts';
import { Scanner } from './scanner.ts';
import type { SeededRandom } from './random.ts';
import type { Life } from './scheduler.ts';

/** A call that is this much later than its deadline was forgotten. */
const DEADLINE_SLACK_MS = 1500;

/** Of a client's writes. */
const ATOMIC_WRITES = 0.15;

type Session = Map<ShardId, Map<OriginId, number>>;

function merge(session: Session, token: SessionToken): void {
  for (const [shard, stamps] of token) {
    let into = session.get(shard);
    if (into === undefined) session.set(shard, (into = new Map()));
    for (const [origin, stamp] of stamps) if ((into.get(origin) ?? 0) < stamp) into.set(origin, stamp);
  }
}

function copyOf(session: Session): Session {
  return new Map([...session].map(([shard, stamps]) => [shard, new Map(stamps)]));
}

export interface WorkloadChecks {
  readonly clients: ClientCheck;
  readonly views: ViewCheck;
  readonly levels: LevelCheck;
  readonly scans: ScanCheck;
}

export class Workload {
  readonly cluster: Cluster;
  readonly checks: WorkloadChecks;
  readonly consumers: Consumer[] = [];
  readonly random: SeededRandom;
  running = true;
  opIds = 0;
  callsOpen = 0;
  /** Causal reads that were answered in another region than the one that the session was in before. */
  roamedReads = 0;
  atomicWrites = 0;
  refusals = new Map<string, number>();

  constructor(cluster: Cluster, random: SeededRandom, checks: WorkloadChecks) {
    this.cluster = cluster;
    this.checks = checks;
    this.random = random.fork('workload');
    const { plan } = cluster;
    for (const region of cluster.regions) {
      for (let i = 0; i < plan.clientsPerRegion; i++)
        new Client(this, region, random.fork(`client ${region.id} ${i}`)).start();
      for (let i = 0; i < plan.consumersPerRegion; i++) {
        const consumer = new Consumer(this, region, random.fork(`consumer ${region.id} ${i}`), i);
        this.consumers.push(consumer);
        consumer.start();
      }
      if (plan.clientsPerRegion > 0) new Scanner(this, region, random.fork(`scanner ${region.id}`)).start();
    }
  }

  /** Clients send nothing new; consumers go on. */
  stop(): void {
    this.running = false;
  }

  /** A call of a client's into a node: answered, or lost with the node, or by the network on the way back. Never twice. */
  call<T>(
    node: SimNode,
    deadlineMs: number,
    what: string,
    start: (done: (answer: T) => void) => void,
    done: (answer: T | undefined) => void,
  ): void {
    const { scheduler } = this.cluster;
    const { life } = node;
    let open = true;
    this.callsOpen++;
    const finish = (answer: T | undefined): void => {
      if (!open) return;
      open = false;
      this.callsOpen--;
      done(answer);
    };
    const watch = (ms: number): void => {
      scheduler.after(ms, () => {
        if (!open) return;
        if (life.alive && life.paused) watch(1000);
        else if (!life.alive) finish(undefined);
        else if (node.state === 'up') {
          holds(
            pausedLately(life, scheduler.now, deadlineMs + DEADLINE_SLACK_MS),
            'I12',
            () =>
              `${node.name} has not answered ${what} ${DEADLINE_SLACK_MS} ms after its deadline of ${deadlineMs} ms`,
          );
          watch(deadlineMs + DEADLINE_SLACK_MS);
        } else watch(1000);
      });
    };
    watch(deadlineMs + DEADLINE_SLACK_MS);
    start((answer) => {
      holds(open, 'api', () => `${node.name} answered ${what} twice, or after its process had ended`);
      finish(answer);
    });
  }

  countRefusal(error: CausewayError): void {
    this.refusals.set(error.code, (this.refusals.get(error.code) ?? 0) + 1);
  }

  /** A key and its collection; few, so that regions meet on them. Narrow ones only where they are placed. */
  pickKey(random: SeededRandom, region: SimRegion): { readonly collection: CollectionRef; readonly key: string } {
    const { placements, collections, plan } = this.cluster;
    const open = collections.filter(({ namespace }) =>
      placements[NAMESPACES.indexOf(namespace as 'shop')]!.regions.includes(region.id),
    );
    return { collection: random.pick(open), key: `k${random.below(plan.keysPerCollection)}` };
  }
}

function pausedLately(life: { readonly name: string }, now: number, withinMs: number): boolean {
  const at = lastPause.get(life);
  return at !== undefined && now - at < withinMs;
}

/** When a process last came back from a pause: its deadlines are late for that. */
export const lastPause = new WeakMap<object, number>();

class Client {
  readonly workload: Workload;
  readonly random: SeededRandom;
  readonly home: SimRegion;
  region: SimRegion;
  readonly producer: number;
  #producerSeqs = new Map<ShardId, number>();
  #session: Session = new Map();
  /** Dots that the session read, for observed puts. */
  readonly #observed = new Map<string, Version[]>();
  readonly #seenVersions = new Map<string, Version>();
  readonly #levels: SeededRandom;
  readonly #atomics: SeededRandom;
  /** Where the session was last answered. */
  #wasIn: SimRegion | undefined;

  constructor(workload: Workload, home: SimRegion, random: SeededRandom) {
    this.workload = workload;
    this.home = home;
    this.region = home;
    this.random = random;
    this.producer = random.uint48();
    this.#levels = random.fork('levels');
    this.#atomics = random.fork('atomics');
  }

  start(): void {
    this.#next();
  }

  #next(): void {
    const { cluster, running } = this.workload;
    if (!running) return;
    const ms = cluster.plan.thinkMs * -Math.log(1 - this.random.float());
    cluster.scheduler.after(ms, () => {
      if (this.workload.running) this.#act();
    });
  }

  #act(): void {
    const { random } = this;
    // Sessions roam: their token makes the other region wait, or refuse.
    if (random.chance(0.05)) this.region = random.pick(this.workload.cluster.regions);
    else if (random.chance(0.2)) this.region = this.home;
    if (random.chance(0.02)) this.#session = new Map();
    if (random.chance(0.3)) this.#read();
    else this.#write();
  }

  #read(): void {
    const { workload, random, region } = this;
    const { cluster } = workload;
    const node = cluster.nodeFor(region);
    if (node === undefined) {
      this.#next();
      return;
    }
    const { collection, key } = workload.pickKey(random, region);
    const keys = random.chance(0.2) ? [key, `k${random.below(cluster.plan.keysPerCollection)}`] : [key];
    const session = copyOf(this.#session);
    const causal = random.chance(0.5);
    const allowStale = random.chance(0.2);
    const consistency: Consistency = causal ? { kind: 'causal', session, allowStale } : this.#level();
    const deadlineMs = random.pick([50, 500, 2000]);
    const { generation } = region;
    const fromMs = region.clock.nowMs();
    workload.call<ReadResult | CausewayError>(
      node,
      deadlineMs,
      'a read',
      (done) =>
        node.node!.read(
          { namespace: collection.namespace, collection: collection.name, keys, consistency, deadlineMs },
          done,
        ),
      (answer) => {
        if (answer !== undefined) {
          if (answer instanceof Error) {
            workload.countRefusal(answer);
            cluster.trace.add('read', node.name, collection.name, keys.join(','), answer.code);
            if (answer.code === 'SESSION_LOST') this.#session = new Map();
          } else if (generation === region.generation) {
            cluster.catchUp(region);
            this.#readAnswer(collection, keys, answer, consistency, fromMs);
          }
        }
        this.#next();
      },
    );
  }

  #readAnswer(
    collection: CollectionRef,
    keys: readonly string[],
    answer: ReadResult,
    consistency: Consistency,
    fromMs: number,
  ): void {
    const asked = consistency.kind === 'causal' ? consistency.session : undefined;
    const { workload, region } = this;
    const { cluster, checks } = workload;
    const toMs = region.clock.nowMs();
    cluster.trace.add('read', region.id, collection.name, keys.join(','), answer.stale ? 'stale' : 'ok');
    if (asked !== undefined && !answer.stale && asked.size > 0 && this.#wasIn !== region) workload.roamedReads++;
    this.#wasIn = region;
    holds(asked !== undefined || !answer.stale, 'session', () => `${region.id}: a local read was called stale`);
    keys.forEach((key, i) => {
      const shard = cluster.shardOf(collection.namespace, collection.name, key);
      const token = answer.session.get(shard) ?? NO_TOKEN;
      const name = keyName(collection.namespace, collection.name, key);
      const view = answer.views[i];
      if (consistency.kind === 'bounded') {
        checks.levels.readBounded(region.id, shard, answer.asOfStamp, consistency.maxStaleMs, toMs);
      }
      if (consistency.kind === 'stable') {
        checks.levels.readStable(region.id, shard, collection.type, name, view, answer.asOfStamp);
        // What expires is judged at the cut.
        const cutMs = msOfStamp(answer.asOfStamp!);
        checks.views.read(region.id, shard, collection.type, name, view, token, cutMs, cutMs);
      } else checks.views.read(region.id, shard, collection.type, name, view, token, fromMs, toMs);
      if (asked !== undefined && !answer.stale)
        checks.views.causal(region.id, shard, asked.get(shard) ?? NO_TOKEN, token);
      if (view?.type === 'register-mv')
        this.#observed.set(
          name,
          view.siblings.map(({ version }) => version),
        );
      if (view?.type === 'register-lww') this.#seenVersions.set(name, view.version);
    });
    merge(this.#session, answer.session);
  }

  /** From numbers of their own, so that what else a seed does is what it did before there were levels. */
  #level(): Consistency {
    if (this.#levels.chance(0.3)) return { kind: 'bounded', maxStaleMs: this.#levels.pick([50, 500, 3000]) };
    return this.#levels.chance(0.4) ? { kind: 'stable' } : { kind: 'local' };
  }

  #write(): void {
    const { random, region, workload } = this;
    if (workload.opIds >= (workload.cluster.plan.opsMax ?? Infinity)) {
      this.#next();
      return;
    }
    if (this.#atomics.chance(ATOMIC_WRITES)) {
      this.#writeAtomic();
      return;
    }
    const ops: ClientOp[] = [];
    for (let n = random.chance(0.2) ? 1 + random.below(4) : 1; n > 0; n--) ops.push(this.#newOp());
    const durability: Durability = random.chance(0.85)
      ? { kind: 'local' }
      : random.chance(0.5)
        ? { kind: 'applied' }
        : { kind: 'regions', n: 1 };
    this.#attempt(ops, region, durability, random.chance(0.6), 0, region.clock.nowMs());
  }

  /** Some keys of one partition, in whichever collections, with a name for each op or for none: a retry is recognised as a whole. */
  #writeAtomic(): void {
    const { workload, region } = this;
    const random = this.#atomics;
    const { namespace } = workload.pickKey(random, region).collection;
    const tag = random.pick(['{t}', '{u}']);
    const named = random.chance(0.7);
    const atomicWith = Array.from({ length: 2 + random.below(3) }, (_, i) => workload.opIds + 1 + i);
    const ops = atomicWith.map((id) => {
      const collection = random.pick(workload.cluster.collections.filter((each) => each.namespace === namespace));
      const place = { collection, key: random.pick(TAGGED_KEYS.filter((key) => key.startsWith(tag))) };
      return this.#newOp(place, { atomicWith, idempotency: named ? { kind: 'key', key: `atomic-${id}` } : undefined });
    });
    workload.atomicWrites++;
    this.#attempt(ops, region, { kind: 'local' }, random.chance(0.6), 0, region.clock.nowMs());
  }

  #newOp(
    place = this.workload.pickKey(this.random, this.region),
    atomic?: Pick<ClientOp, 'atomicWith' | 'idempotency'>,
  ): ClientOp {
    const { workload, region } = this;
    const { cluster } = workload;
    const { collection, key } = place;
    const id = ++workload.opIds;
    const name = keyName(collection.namespace, collection.name, key);
    const shard = cluster.shardOf(collection.namespace, collection.name, key);
    const op: ClientOp = {
      id,
      region: region.id,
      namespace: collection.namespace,
      collection: collection.name,
      type: collection.type,
      key,
      name,
      shard,
      intent: this.#intent(collection, name, id),
      condition: this.#condition(collection, name),
      idempotency: atomic === undefined ? this.#idempotency(shard, id) : atomic.idempotency,
      atomicWith: atomic?.atomicWith,
      attempts: 0,
      open: 0,
      unknown: false,
      acked: undefined,
      refused: false,
    };
    workload.checks.clients.ops.set(id, op);
    return op;
  }

  #intent(collection: CollectionRef, name: string, id: number): Intent {
    const { random, workload } = this;
    const { plan } = workload.cluster;
    const value = (): Buffer => {
      const bytes = Buffer.alloc(plan.valueBytes, 0x2e);
      bytes.write(String(id));
      return bytes;
    };
    const expiring = plan.expiry && random.chance(0.3);
    const expiry = expiring ? { expiresAtMs: this.region.clock.nowMs() + random.pick([-5, 50, 400, 3000]) } : {};
    const element = (): Buffer => Buffer.from(`e${random.below(plan.elements)}`);
    switch (collection.type) {
      case 'register-lww':
        return random.chance(0.25) ? { kind: 'delete' } : { kind: 'put', value: value(), ...expiry };
      case 'register-mv': {
        const observed = random.chance(0.4) ? this.#observed.get(name) : undefined;
        const saw = observed === undefined ? {} : { observed };
        return random.chance(0.25) ? { kind: 'delete', ...saw } : { kind: 'put', value: value(), ...expiry, ...saw };
      }
      case 'counter-pn':
        return random.chance(0.15) ? { kind: 'delete' } : { kind: 'increment', by: BigInt(random.below(7)) - 2n };
      case 'set-aw': {
        const dice = random.float();
        if (dice < 0.1) return { kind: 'delete' };
        const elements = random.chance(0.3) ? [element(), element()] : [element()];
        return dice < 0.4 ? { kind: 'set-remove', elements } : { kind: 'set-add', elements, ...expiry };
      }
      case 'map-lww': {
        if (random.chance(0.15)) return { kind: 'delete' };
        const fields = random
          .shuffled(Array.from({ length: plan.elements }, (_, i) => `f${i}`))
          .slice(0, 1 + random.below(2));
        const removed = random.chance(0.3) ? 1 : 0;
        return {
          kind: 'map-update',
          put: fields.slice(removed).map((field) => ({ field, value: value(), ...expiry })),
          remove: fields.slice(0, removed),
        };
      }
    }
  }

  #condition(collection: CollectionRef, name: string): Condition | undefined {
    const { random } = this;
    if (!random.chance(0.15)) return undefined;
    const version = this.#seenVersions.get(name);
    if (collection.type === 'register-lww' && version !== undefined && random.chance(0.6))
      return { kind: 'version', version };
    return { kind: random.chance(0.6) ? 'absent' : 'exists' };
  }

  #idempotency(shard: ShardId, id: number): Idempotency | undefined {
    const { random } = this;
    const dice = random.float();
    if (dice < 0.4) {
      const seq = (this.#producerSeqs.get(shard) ?? 0) + 1;
      this.#producerSeqs.set(shard, seq);
      return { kind: 'producer', producer: this.producer, seq };
    }
    return dice < 0.7 ? { kind: 'key', key: `order-${id}` } : undefined;
  }

  #attempt(
    ops: readonly ClientOp[],
    region: SimRegion,
    durability: Durability,
    withSession: boolean,
    attempt: number,
    issuedAtMs: number,
  ): void {
    const { workload, random } = this;
    const { cluster, checks } = workload;
    const node = cluster.nodeFor(region);
    const again = (): void => {
      const after = random.between(20, 400);
      cluster.scheduler.after(after, () =>
        this.#attempt(ops, region, durability, withSession, attempt + 1, issuedAtMs),
      );
    };
    if (node === undefined) {
      if (attempt > 0 && attempt < 6 && workload.running) again();
      else this.#next();
      return;
    }
    const deadlineMs = random.pick([60, 500, 2000]);
    const session = withSession ? copyOf(this.#session) : undefined;
    for (const op of ops) {
      op.attempts++;
      op.open++;
      op.refused = false;
    }
    const loseAnswer = random.chance(0.08);
    const { generation } = region;
    cluster.trace.add(
      'write',
      node.name,
      ops.map(({ id, name, intent }) => `${id}:${name}:${intent.kind}`).join(' '),
      attempt,
    );
    workload.call<readonly WriteResult[]>(
      node,
      deadlineMs,
      `write ${ops.map(({ id }) => id).join(',')}`,
      (done) =>
        node.node!.write(
          {
            ops: ops.map((op) => ({
              namespace: op.namespace,
              collection: op.collection,
              key: op.key,
              intent: op.intent,
              condition: op.condition,
              idempotency: op.idempotency,
              issuedAtMs,
              trace: traceOfClientOp(op.id),
            })),
            durability,
            deadlineMs,
            session,
            atomic: ops[0]!.atomicWith !== undefined,
          },
          done,
        ),
      (results) => {
        // An answer that got lost on its way is for the client the same as none.
        const heard = results !== undefined && !loseAnswer ? results : undefined;
        if (results !== undefined) {
          cluster.catchUp(region);
          holds(results.length === ops.length, 'api', () => `${results.length} results for ${ops.length} ops`);
          if (ops[0]!.atomicWith !== undefined) checks.clients.answeredAsOne(ops, results);
        }
        const retry: ClientOp[] = [];
        ops.forEach((op, i) => {
          const result = results?.[i];
          if (result !== undefined && generation === region.generation)
            checks.clients.answered(op, region.id, result, durability, session);
          else {
            op.open--;
            op.unknown = true;
          }
          cluster.trace.add(
            'answer',
            node.name,
            op.id,
            result === undefined
              ? 'none'
              : result.ok
                ? `${result.version.origin}:${result.version.seq}`
                : result.error.code,
          );
          if (result?.ok === false) workload.countRefusal(result.error);
          const answer = heard?.[i];
          if (answer?.ok === true) this.#remember(op, answer.version);
          else if (op.idempotency !== undefined && (answer === undefined || answer.error.retriable)) retry.push(op);
        });
        if (retry.length > 0 && attempt < 5 && workload.running) {
          if (retry.length === ops.length) again();
          else
            cluster.scheduler.after(random.between(20, 400), () =>
              this.#attempt(retry, region, durability, withSession, attempt + 1, issuedAtMs),
            );
        } else this.#next();
      },
    );
  }

  #remember(op: ClientOp, version: Version): void {
    this.#wasIn = this.region;
    merge(this.#session, new Map([[op.shard, new Map([[version.origin, version.stamp]])]]));
    if (op.type === 'register-lww') this.#seenVersions.set(op.name, version);
  }
}

const NO_TOKEN: ReadonlyMap<OriginId, number> = new Map();

/** Follows one namespace, now in this region, now in that one, with the same cursor. */
export class Consumer {
  readonly workload: Workload;
  readonly random: SeededRandom;
  readonly namespace: string;
  check: FeedCheck;
  readonly form: 'op' | 'value';
  region: SimRegion;
  node: SimNode | undefined;
  /** Of the process that it is subscribed at. */
  #life: Life | undefined;
  #subscription: FeedSubscription | undefined;
  #epoch = 0;

  constructor(workload: Workload, home: SimRegion, random: SeededRandom, index: number) {
    this.workload = workload;
    this.region = home;
    this.random = random;
    const { cluster } = workload;
    const narrow = cluster.placements[1];
    this.namespace = narrow?.regions.includes(home.id) === true && random.chance(0.3) ? NAMESPACES[1] : NAMESPACES[0];
    this.form = index === 0 && random.chance(0.5) ? 'value' : 'op';
    this.check = this.#fromBeginning();
  }

  #fromBeginning(): FeedCheck {
    return new FeedCheck(this.workload.cluster.history, (op) => op.op.collection?.namespace === this.namespace);
  }

  get shards(): readonly ShardId[] {
    const { cluster } = this.workload;
    const placement = cluster.placements[NAMESPACES.indexOf(this.namespace as 'shop')]!;
    return this.region.shards.filter((shard) => shard.startsWith(`${placement.id}/`));
  }

  start(): void {
    this.#subscribe();
    this.#roam();
  }

  #roam(): void {
    const { cluster } = this.workload;
    cluster.scheduler.after(this.random.between(500, 3000), () => {
      if (this.workload.running && this.random.chance(0.3)) {
        const places = cluster.regions.filter((region) =>
          cluster.placements[NAMESPACES.indexOf(this.namespace as 'shop')]!.regions.includes(region.id),
        );
        this.region = this.random.pick(places);
        this.#subscribe();
      } else if (this.node === undefined || this.#life?.alive !== true || this.node !== cluster.nodeFor(this.region)) {
        this.#subscribe();
      }
      this.#roam();
    });
  }

  #subscribe(): void {
    const { cluster, checks } = this.workload;
    if (this.#life?.alive === true) this.#subscription?.cancel();
    const epoch = ++this.#epoch;
    this.#subscription = undefined;
    this.node = cluster.nodeFor(this.region);
    const { node, region } = this;
    if (node === undefined) return;
    const { life } = node;
    this.#life = life;
    const { cursor } = this.check;
    const start: FeedStart = cursor.size === 0 ? { kind: 'beginning' } : { kind: 'cursor', cursor: copyOf(cursor) };
    this.check.subscribed(region.id);
    cluster.trace.add('subscribe', node.name, this.form);
    const since = region.clock.nowMs();
    let lastMs = since;
    const sink: FeedSink = {
      events: (events, shard, moved) => {
        holds(epoch === this.#epoch, 'feed', () => `${node.name} sent events to a subscription that was cancelled`);
        cluster.catchUp(region);
        this.check.received(
          shard,
          events.map(({ shard: of, version, collection, key }) => {
            holds(of === shard, 'feed', () => `an event of ${of} among those of ${shard}`);
            return { shard, version, name: keyName(collection.namespace, collection.name, key) };
          }),
          moved,
        );
        if (this.form === 'value') {
          const log = cluster.history.log(region.id, shard);
          const nowMs = region.clock.nowMs();
          for (const { version, collection, key, view } of events) {
            const name = keyName(collection.namespace, collection.name, key);
            checks.views.sent(
              region.id,
              shard,
              collection.type,
              name,
              view as View | undefined,
              log.offsetOf(version.origin, version.seq)!,
              Math.min(lastMs, nowMs),
              nowMs,
            );
          }
          lastMs = nowMs;
        }
        cluster.trace.add('events', node.name, shard, events.length);
        if (this.random.chance(0.9)) return true;
        // A slow consumer.
        cluster.scheduler.after(this.random.between(1, 300), () => {
          if (epoch === this.#epoch && life.alive) this.#subscription?.resume();
        });
        return false;
      },
      failed: (error) => {
        if (epoch !== this.#epoch) return;
        this.workload.countRefusal(error);
        cluster.trace.add('feed failed', node.name, error.code);
        // It has seen what no region has any more, and was told so.
        if (error.code === 'CURSOR_INVALID') this.check = this.#fromBeginning();
        this.node = undefined;
      },
    };
    this.#subscription = node.node!.subscribe(
      { namespace: this.namespace, collections: [], keyPrefix: '', start, form: this.form },
      sink,
    );
  }
}
