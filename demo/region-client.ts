// One region as the demo, the benchmark and the tests with real processes see it: through the client, and nothing else.
// Owns: turning the demo's plain ops and answers into the client's and back. Everything here talks to one region only: where
// an op goes when its region is away is the replay's decision, not the client's.

import { setTimeout as sleep } from 'node:timers/promises';
import {
  adminClient,
  connect,
  type AdminClient,
  type Causeway,
  type NodeDigest,
  type Op,
  type Producer,
  type Subscription,
  type View,
} from '../src/client/index.ts';
import { isCausewayError } from '../src/errors/errors.ts';
import type { Answer, AnswerSource } from './compare.ts';
import type { DemoOp } from './events.ts';
import type { RegionWriter, WriteAck } from './replay.ts';

/** A region that is killed comes back in this run or not at all; until then its producer goes on asking. */
const DELIVERY_MS_MAX = 600_000;
const PING_MS_MAX = 2000;
/** Generous, so that a machine that is busy with other things makes the demo slow and not wrong. */
const CALL_MS_MAX = 30_000;

/** Whether the node at this address takes reads and writes. */
export async function regionReady(address: string): Promise<boolean> {
  const admin = adminClient(address, { deadlineMs: PING_MS_MAX, connectTimeoutMs: PING_MS_MAX });
  try {
    return (await admin.ping()).ready;
  } catch {
    return false;
  } finally {
    admin.close();
  }
}

/** A region, whichever of its nodes answers. */
export class RegionAdmin {
  readonly #nodes: readonly AdminClient[];

  constructor(addresses: readonly string[]) {
    this.#nodes = addresses.map((address) => adminClient(address, { deadlineMs: CALL_MS_MAX }));
  }

  async digests(): Promise<NodeDigest[]> {
    let failure: unknown;
    for (const node of this.#nodes) {
      try {
        return await node.digests();
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async status(): Promise<{ readonly keys: number; readonly conflicts: number }> {
    const all = await Promise.all(this.#nodes.map((node) => node.status()));
    const sum = (of: (status: (typeof all)[number]) => number): number =>
      all.reduce((total, each) => total + of(each), 0);
    return { keys: sum(({ keys }) => keys), conflicts: sum(({ counters }) => counters.conflicts) };
  }

  close(): void {
    for (const node of this.#nodes) node.close();
  }
}

export class RegionClient implements RegionWriter, AnswerSource {
  readonly region: string;
  readonly address: string;
  readonly client: Causeway;
  readonly admin: RegionAdmin;
  readonly #producer: Producer;

  /** `addresses`: of the region's nodes. */
  constructor(region: string, addresses: readonly string[], namespace: string) {
    this.region = region;
    this.address = addresses[0]!;
    this.client = connect({ endpoints: [...addresses], namespace, deadlineMs: CALL_MS_MAX });
    this.admin = new RegionAdmin(addresses);
    this.#producer = this.client.producer({ deliveryTimeoutMs: DELIVERY_MS_MAX });
  }

  write(op: DemoOp): Promise<WriteAck> {
    return new Promise((resolve, reject) => {
      // Whoever calls bounds what is under way, so there is nothing to wait for here.
      void this.#producer.send(clientOp(op), (error, ack) => {
        if (ack === undefined) reject(error ?? new Error('an op without a result'));
        else resolve({ stamp: ack.version.stamp, origin: ack.version.origin });
      });
    });
  }

  /** Calls back for every write of `collection`, from the first on: the key, the fields of a map, and the region that wrote it. */
  follow(
    collection: string,
    onEvent: (key: string, fields: readonly string[], writtenIn: string) => void,
  ): Subscription {
    return this.client.subscribe({
      collections: [collection],
      from: 'beginning',
      onEvents: ({ events }) => {
        for (const { key, op, version } of events) {
          const fields = op.kind === 'map-update' ? op.put.map(({ field }) => field) : [];
          onEvent(key, fields, regionOf(version.origin));
        }
      },
    });
  }

  async read(collection: string, keys: readonly string[]): Promise<readonly Answer[]> {
    const { views } = await this.client.read(collection, keys);
    return views.map(answerOf);
  }

  async keys(): Promise<number> {
    return (await this.admin.digests()).reduce((sum, { keys }) => sum + keys, 0);
  }

  close(): void {
    this.client.close();
    this.admin.close();
  }
}

function clientOp(op: DemoOp): Op {
  const { collection, key } = op;
  if ('fields' in op) {
    const put = Object.entries(op.fields).map(([field, value]) => ({ field, value: Buffer.from(value) }));
    return { collection, key, intent: { kind: 'map-update', put, remove: [] } };
  }
  if ('by' in op) return { collection, key, intent: { kind: 'increment', by: BigInt(op.by) } };
  if ('add' in op) return { collection, key, intent: { kind: 'set-add', elements: [Buffer.from(op.add)] } };
  return { collection, key, intent: { kind: 'put', value: Buffer.from(op.value) } };
}

export function answerOf(view: View | undefined): Answer {
  switch (view?.type) {
    case undefined:
      return undefined;
    case 'register-lww':
      return { value: Buffer.from(view.value).toString() };
    case 'counter-pn':
      return { count: view.value };
    case 'set-aw':
      return { elements: view.elements.map((element) => Buffer.from(element).toString()) };
    case 'map-lww':
      return {
        fields: Object.fromEntries(view.fields.map(({ field, value }) => [field, Buffer.from(value).toString()])),
      };
    case 'register-mv':
      return { elements: view.siblings.map(({ value }) => Buffer.from(value).toString()) };
  }
}

/** `region~incarnation` → `region`. */
export function regionOf(origin: string): string {
  return origin.slice(0, origin.lastIndexOf('~'));
}

type Digested = Pick<AdminClient, 'digests'>;

/** Whether all regions give the same digest for every shard now. */
export async function digestsEqual(admins: readonly Digested[]): Promise<boolean> {
  const [first, ...others] = (await Promise.all(admins.map((admin) => admin.digests()))).map(digestText);
  return others.every((other) => other === first);
}

function digestText(digests: readonly NodeDigest[]): string {
  return digests
    .map(({ shard, digest }) => `${shard} ${digest}`)
    .sort()
    .join('\n');
}

/** Milliseconds until all digests are equal; undefined when they are not within the time. */
export async function waitConverged(admins: readonly Digested[], withinMs: number): Promise<number | undefined> {
  const startMs = performance.now();
  while (performance.now() - startMs < withinMs) {
    const askedMs = performance.now();
    try {
      if (await digestsEqual(admins)) return Math.round(askedMs - startMs);
    } catch (error) {
      // A shard that is on its way to another node can be told by neither.
      if (!isCausewayError(error, 'NOT_READY')) throw error;
    }
    await sleep(CONVERGED_POLL_MS);
  }
  return undefined;
}

const CONVERGED_POLL_MS = 50;

/** Per shard and origin, the highest seq that any of the nodes has. */
export type Goal = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** What the nodes together have now. */
export async function joinedVector(admins: readonly Digested[]): Promise<Goal> {
  const goal = new Map<string, Map<string, number>>();
  for (const digests of await Promise.all(admins.map((admin) => admin.digests()))) {
    for (const { shard, vector } of digests) {
      const joined = goal.get(shard) ?? new Map<string, number>();
      for (const [origin, seq] of Object.entries(vector)) joined.set(origin, Math.max(seq, joined.get(origin) ?? 0));
      goal.set(shard, joined);
    }
  }
  return goal;
}

/** Whether the node has everything that the goal names. Throws when it does not answer. */
export async function hasReached(admin: Digested, goal: Goal): Promise<boolean> {
  const digests = new Map((await admin.digests()).map(({ shard, vector }) => [shard, vector]));
  for (const [shard, vector] of goal) {
    for (const [origin, seq] of vector) if ((digests.get(shard)?.[origin] ?? 0) < seq) return false;
  }
  return true;
}
