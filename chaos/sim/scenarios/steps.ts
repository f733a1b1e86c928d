// What scripts do: start, write, read, cut, wait. Every write goes through the same oracle as those of the random clients.

import type { CausewayError } from '../../../src/errors/errors.ts';
import type { Intent, View } from '../../../src/merge/types.ts';
import type { OriginId, Version } from '../../../src/record/ids.ts';
import type { Idempotency, MergeTypeName } from '../../../src/record/op.ts';
import type {
  Condition,
  Durability,
  ReadResult,
  RegionStatus,
  SessionToken,
  WriteResult,
} from '../../../src/region/region.ts';
import type { ClientOp } from '../../check/clients.ts';
import { keyName, traceOfClientOp } from '../../check/history.ts';
import { holds } from '../../check/violation.ts';
import type { SimNode, SimRegion } from '../cluster.ts';
import type { Simulation } from '../simulate.ts';

export interface WriteOptions {
  /** When it was tried first; undefined: now. */
  readonly issuedAtMs?: number;
  readonly condition?: Condition;
  readonly idempotency?: Idempotency;
  readonly durability?: Durability;
  readonly deadlineMs?: number;
  readonly session?: SessionToken;
  readonly seenStamp?: number;
}

export function owner(sim: Simulation, region: string): SimNode {
  const at = sim.cluster.region(region);
  return at.nodes[at.owner]!;
}

export function status(sim: Simulation, region: string): RegionStatus {
  return owner(sim, region).node!.status();
}

/** All nodes up and taking writes. */
export async function boot(sim: Simulation): Promise<void> {
  sim.startAll();
  await ready(sim, ...sim.cluster.regions.map(({ id }) => id));
}

export async function ready(sim: Simulation, ...regions: string[]): Promise<void> {
  await sim.until(`${regions.join(', ')} ready`, 20_000, () =>
    regions.every((region) => {
      const node = owner(sim, region);
      return node.up && node.node!.status().state === 'ready';
    }),
  );
}

/** Every log holds the same. */
export async function inStep(sim: Simulation, ...regions: string[]): Promise<void> {
  const { cluster } = sim;
  const among = regions.length === 0 ? cluster.regions.map(({ id }) => id as string) : regions;
  await sim.until(`${among.join(', ')} in step`, 20_000, () => {
    cluster.catchUp();
    return cluster.region(among[0]!).shards.every((shard) => {
      const texts = among.map((region) =>
        [...cluster.history.log(cluster.region(region).id, shard).vector]
          .map(([origin, seq]) => `${origin}:${seq}`)
          .sort()
          .join(),
      );
      return new Set(texts).size === 1;
    });
  });
}

/** Starts a write; the answer comes in the returned object. */
export function begin(
  sim: Simulation,
  region: string,
  type: MergeTypeName,
  key: string,
  intent: Intent,
  options: WriteOptions = {},
  node: SimNode = owner(sim, region),
): { readonly op: ClientOp; result: WriteResult | undefined } {
  const { cluster, clients } = sim;
  const id = clients.ops.size + 1;
  const op: ClientOp = {
    id,
    region: cluster.region(region).id,
    namespace: 'shop',
    collection: type,
    type,
    key,
    name: keyName('shop', type, key),
    shard: cluster.shardOf('shop', type, key),
    intent,
    condition: options.condition,
    idempotency: options.idempotency,
    attempts: 0,
    open: 0,
    unknown: false,
    acked: undefined,
    refused: false,
  };
  clients.ops.set(id, op);
  const call: { readonly op: ClientOp; result: WriteResult | undefined } = { op, result: undefined };
  attempt(
    sim,
    region,
    op,
    options,
    (result) => {
      call.result = result;
    },
    node,
  );
  return call;
}

/** One attempt; a lost process never answers. */
export function attempt(
  sim: Simulation,
  region: string,
  op: ClientOp,
  options: WriteOptions,
  done: (result: WriteResult) => void,
  node: SimNode = owner(sim, region),
): void {
  const { cluster, clients } = sim;
  const at = cluster.region(region);
  const durability = options.durability ?? { kind: 'local' };
  op.attempts++;
  op.open++;
  op.refused = false;
  cluster.trace.add('write', node.name, `${op.id}:${op.name}:${op.intent.kind}`, op.attempts);
  const request = {
    ops: [
      {
        namespace: op.namespace,
        collection: op.collection,
        key: op.key,
        intent: op.intent,
        condition: op.condition,
        idempotency: op.idempotency,
        issuedAtMs: options.issuedAtMs ?? at.clock.nowMs(),
        trace: traceOfClientOp(op.id),
      },
    ],
    durability,
    deadlineMs: options.deadlineMs ?? 2000,
    session: options.session,
    seenStamp: options.seenStamp,
  };
  node.node!.write(request, ([result]) => {
    cluster.catchUp(at);
    cluster.trace.add(
      'answer',
      node.name,
      op.id,
      result!.ok ? `${result!.version.origin}:${result!.version.seq}` : result!.error.code,
    );
    clients.answered(op, at.id, result!, durability, options.session);
    done(result!);
  });
}

/** Writes, and requires that it is acknowledged. */
export async function write(
  sim: Simulation,
  region: string,
  type: MergeTypeName,
  key: string,
  intent: Intent,
  options: WriteOptions = {},
): Promise<Version> {
  const call = begin(sim, region, type, key, intent, options);
  await sim.until(`an answer from ${region}`, 5000, () => call.result !== undefined);
  const { result } = call;
  holds(
    result!.ok,
    'scenario',
    () => `${region} refused client op ${call.op.id}: ${result!.ok ? '' : result!.error.code}`,
  );
  return result!.version;
}

/** Writes again, with the same idempotency key, until it is acknowledged. */
export async function insist(
  sim: Simulation,
  region: string,
  type: MergeTypeName,
  key: string,
  intent: Intent,
  ms = 10_000,
): Promise<Version> {
  const options: WriteOptions = { idempotency: { kind: 'key', key: `insist-${sim.clients.ops.size}` } };
  const call = begin(sim, region, type, key, intent, options);
  let busy = true;
  await sim.until(`${region} acknowledges client op ${call.op.id}`, ms, () => {
    if (call.result?.ok === true) return true;
    if (call.result !== undefined) {
      call.result = undefined;
      busy = false;
    }
    if (!busy && owner(sim, region).up) {
      busy = true;
      attempt(sim, region, call.op, options, (result) => {
        call.result = result;
      });
    }
    return false;
  });
  return call.op.acked!;
}

/** Reads one key, checked against the reference by what the answer says that it saw. */
export function read(sim: Simulation, region: string, type: MergeTypeName, key: string): View | undefined {
  const { cluster, views } = sim;
  const at = cluster.region(region);
  const nowMs = at.clock.nowMs();
  let answer: ReadResult | CausewayError | undefined;
  owner(sim, region).node!.read(
    { namespace: 'shop', collection: type, keys: [key], consistency: { kind: 'local' }, deadlineMs: 1000 },
    (result) => {
      answer = result;
    },
  );
  holds(
    answer !== undefined && !(answer instanceof Error),
    'scenario',
    () => `${region} does not answer a read: ${answer instanceof Error ? answer.message : 'nothing'}`,
  );
  cluster.catchUp(at);
  const result = answer as ReadResult;
  const shard = cluster.shardOf('shop', type, key);
  views.read(
    at.id,
    shard,
    type,
    keyName('shop', type, key),
    result.views[0],
    result.session.get(shard) ?? new Map<OriginId, number>(),
    nowMs,
    nowMs,
  );
  return result.views[0];
}

/** Reads one key as of a cut, checked against all ops at or below it, now and at the end; returns the cut's stamp. */
export async function readStable(sim: Simulation, region: string, type: MergeTypeName, key: string): Promise<number> {
  const { cluster, levels } = sim;
  const at = cluster.region(region);
  let answer: ReadResult | CausewayError | undefined;
  owner(sim, region).node!.read(
    { namespace: 'shop', collection: type, keys: [key], consistency: { kind: 'stable' }, deadlineMs: 5000 },
    (result) => {
      answer = result;
    },
  );
  await sim.until(`a stable read in ${region}`, 6000, () => answer !== undefined);
  const result = answer as ReadResult | CausewayError;
  if (result instanceof Error) throw result;
  cluster.catchUp(at);
  const shard = cluster.shardOf('shop', type, key);
  levels.readStable(at.id, shard, type, keyName('shop', type, key), result.views[0], result.asOfStamp);
  return result.asOfStamp!;
}

export function cut(sim: Simulation, a: string, b: string, blocked = true): void {
  sim.faults.block(sim.cluster.region(a), sim.cluster.region(b), blocked);
}

export function isolate(sim: Simulation, region: string, blocked = true): void {
  for (const other of sim.cluster.regions) if (other.id !== region) cut(sim, region, other.id, blocked);
}

export function crash(sim: Simulation, region: string, keep: 'none' | 'all' = 'none', machine = false): SimRegion {
  const at = sim.cluster.region(region);
  for (const node of at.nodes) sim.cluster.crash(node, { keep, torn: false, machine });
  return at;
}

export function restart(sim: Simulation, region: string): void {
  for (const node of sim.cluster.region(region).nodes) sim.cluster.start(node);
}

export function put(text: string): Intent {
  return { kind: 'put', value: Buffer.from(text) };
}

export function add(...elements: string[]): Intent {
  return { kind: 'set-add', elements: elements.map((element) => Buffer.from(element)) };
}

export function remove(...elements: string[]): Intent {
  return { kind: 'set-remove', elements: elements.map((element) => Buffer.from(element)) };
}

export function increment(by: number): Intent {
  return { kind: 'increment', by: BigInt(by) };
}

export const DELETE: Intent = { kind: 'delete' };

export function expect(condition: unknown, message: () => string): asserts condition {
  holds(condition, 'scenario', message);
}

/** The set's elements as text. */
export function elementsOf(view: View | undefined): string[] {
  return view?.type === 'set-aw' ? view.elements.map((element) => Buffer.from(element).toString()) : [];
}

export function counterOf(view: View | undefined): bigint {
  return view?.type === 'counter-pn' ? view.value : 0n;
}

export function textOf(view: View | undefined): string | undefined {
  return view?.type === 'register-lww' ? Buffer.from(view.value).toString() : undefined;
}
