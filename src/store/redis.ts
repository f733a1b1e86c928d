// The store on Redis: single, behind Sentinel, or a Cluster. Rows and cursor of a shard move in one short script (redis-scripts.ts), from the step
// that this node knows to be the last one and from no other.
//
// I11  Redis may lose what it acknowledged: a flush, a restart without data, a fail-over to a replica that was behind, an eviction. Each step has a random
//      name, and every reply that has rows carries the name of the step that they are of. When it is not the last one that this node made, the rows are
//      not shown to anybody: onLost() is told, and cursor() says from where the shard is to be rebuilt. Idle shards are looked at every CHECK_MS.
//
// One connection, and Redis answers in the order in which it was asked: what was asked behind a step is answered behind it. When the connection
// breaks everything that has no answer is sent again; a step that was made already knows itself by its name.
//
// While Redis is away reads and writes wait here; whoever asks sees that nothing is answered and asks no more (region/late-store.ts). Bounds: whoever writes has one write under way (region/store-writer.ts); reads are bounded by those who
// read. A script works as long as its step is large, and Redis answers nobody meanwhile.
// HAZARD: `maxmemory-policy` other than noeviction would make Redis forget rows in mid run. open() refuses it.

import { readFileSync } from 'node:fs';
import { Cluster, Command, Redis } from 'ioredis';
import { CausewayError, invariant } from '../errors/errors.ts';
import type { RegionId, ShardId } from '../record/ids.ts';
import type { System, TimerHandle } from '../system/system.ts';
import { DROP, LOOK, SCAN, STEP } from './redis-scripts.ts';
import { stepMessage } from './redis-step.ts';
import { PackedRows } from './packed-rows.ts';
import type { StepOutcome, Store, StoreRow, StoreStep } from './store.ts';

const OPEN_MS_MAX = 30_000;
const CONNECT_MS_MAX = 5000;
const RECONNECT_MS_MAX = 500;
const AGAIN_MS = 200;
const CHECK_MS = 500;
/** Memory is asked for less often: Redis samples for it. */
const MEASURE_EVERY_CHECKS = 20;
const FORMAT = '1';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

export type RedisServers =
  | ({ readonly kind: 'single' } & RedisAddress)
  | { readonly kind: 'sentinel'; readonly sentinels: readonly RedisAddress[]; readonly name: string }
  | { readonly kind: 'cluster'; readonly nodes: readonly RedisAddress[] };

export interface RedisStoreOptions {
  readonly servers: RedisServers;
  readonly username?: string;
  readonly password?: string;
  /** PEM files. With any of them the connection is TLS. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly clusterId: string;
  readonly region: RegionId;
  /** Which log, and which history of it, the rows are made from. A function is called at open(), when the log is open already. */
  readonly logIdentity: string | (() => string);
  /** The shard's rows are not those that this node wrote. Called before anything more of the shard is answered; what was asked for before is not
   *  answered any more. Whoever keeps states of the shard throws them away and begins again from cursor(). */
  readonly onLost: (shard: ShardId, why: string) => void;
  readonly system: System;
  /** How long to wait at open() for servers that are not there yet. Default 30,000. */
  readonly openMsMax?: number;
}

/** The last step of a shard: `1 <cursor> <name> <log identity>`; nothing: no step was made. */
interface Head {
  readonly cursor: number;
  readonly text: string;
}

const NONE: Head = { cursor: 0, text: '' };

/** A step, as the bytes that are sent: the same when it is sent again after a broken connection. */
class StepCommand extends Command {
  readonly #message: Buffer;

  /** `keys`: for a Cluster, which asks a command where it belongs. */
  constructor(keys: readonly string[], message: Buffer) {
    super('EVAL', ['', keys.length, ...keys]);
    this.#message = message;
  }

  override toWritable(): Buffer {
    return this.#message;
  }
}

class Place {
  readonly shard: ShardId;
  readonly keys: readonly [head: string, rows: string, index: string];
  /** As Redis has answered; as it will have when it has answered everything; as callers were told. */
  now = NONE;
  next = NONE;
  told = NONE;
  /** Its rows are not what we wrote. Asked for before that: not answered any more. */
  life = 0;
  lost = false;
  /** Replies behind a step whose write has others to wait for. */
  readonly held: (() => void)[] = [];
  holding = false;
  bytes = 0;
  /** Somebody here reads or writes it; shards of other nodes move, and are nobody's loss. */
  used = false;

  constructor(shard: ShardId, prefix: string) {
    this.shard = shard;
    // What is in braces decides the slot in a Cluster: the three are together.
    const key = `${prefix}/${shard}`;
    this.keys = [`causeway:{${key}}:head`, `causeway:{${key}}:rows`, `causeway:{${key}}:index`];
  }
}

export class RedisStore implements Store {
  readonly #options: RedisStoreOptions;
  readonly #system: System;
  readonly #places = new Map<ShardId, Place>();
  #redis: Redis | Cluster | undefined;
  #identity = '';
  #version = '';
  #findings: string[] = [];
  #checking: TimerHandle | undefined;
  #checks = 0;
  /** Writes and resets under way, and who waits for their end. */
  #underWay = 0;
  #idle: (() => void) | undefined;
  #closed = false;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#system = options.system;
  }

  readonly answersAtOnce = false;

  get engine(): string {
    return `redis ${this.#version}`.trim();
  }

  /** Why open() dropped rows, for people. Empty when it did not. */
  get findings(): readonly string[] {
    return this.#findings;
  }

  // ── Open ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async open(shards: readonly ShardId[]): Promise<void> {
    invariant(this.#redis === undefined && !this.#closed, 'a Redis store is opened once');
    const { logIdentity, clusterId, region } = this.#options;
    this.#identity = typeof logIdentity === 'string' ? logIdentity : logIdentity();
    const redis = this.#dial();
    this.#redis = redis;
    try {
      await this.#ready(redis);
      await this.#learn(redis);
      const prefix = `${clusterId}/${region}`.replaceAll(/[{}\s]/g, '_');
      for (const shard of shards) this.#places.set(shard, new Place(shard, prefix));
      await Promise.all([...this.#places.values()].map((place) => this.#find(place)));
    } catch (error) {
      this.#redis = undefined;
      redis.disconnect();
      throw error instanceof CausewayError ? error : this.#openError(error as Error);
    }
    this.#checking = this.#system.timers.every(CHECK_MS, () => this.#check());
  }

  #dial(): Redis | Cluster {
    const { servers, username, password, tls } = this.#options;
    const common = {
      connectTimeout: CONNECT_MS_MAX,
      maxRetriesPerRequest: null,
      retryStrategy: (times: number) => Math.min(times * 50, RECONNECT_MS_MAX),
      // A master that has become a replica: the connection is made again, to the new one, and what it refused is sent there.
      reconnectOnError: (error: Error) => (codeOf(error) === 'READONLY' ? (2 as const) : false),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(tls === undefined
        ? {}
        : {
            tls: {
              ...(tls.ca === undefined ? {} : { ca: readPem(tls.ca) }),
              ...(tls.cert === undefined ? {} : { cert: readPem(tls.cert) }),
              ...(tls.key === undefined ? {} : { key: readPem(tls.key) }),
            },
          }),
    };
    switch (servers.kind) {
      case 'single':
        return new Redis({ ...common, host: servers.host, port: servers.port });
      case 'sentinel':
        return new Redis({ ...common, sentinels: [...servers.sentinels], name: servers.name });
      case 'cluster': {
        const { retryStrategy: _, ...ofNodes } = common;
        return new Cluster([...servers.nodes], {
          redisOptions: ofNodes,
          clusterRetryStrategy: (times) => Math.min(times * 50, RECONNECT_MS_MAX),
        });
      }
    }
  }

  #ready(redis: Redis | Cluster): Promise<void> {
    return new Promise((resolve, reject) => {
      let last: Error | undefined;
      const patience = this.#system.timers.after(this.#options.openMsMax ?? OPEN_MS_MAX, () =>
        reject(this.#openError(last ?? new Error('it does not answer'))),
      );
      redis.once('ready', () => {
        patience.cancel();
        resolve();
      });
      redis.on('error', (error: Error & { lastNodeError?: Error }) => {
        last = error.lastNodeError ?? error;
        if (!REFUSED.has(codeOf(last))) return;
        patience.cancel();
        reject(this.#openError(last));
      });
    });
  }

  #openError(cause: Error): CausewayError {
    const { servers } = this.#options;
    const addresses =
      servers.kind === 'single' ? [servers] : servers.kind === 'cluster' ? servers.nodes : servers.sentinels;
    const at = addresses.map(({ host, port }) => `${host}:${port}`).join(', ');
    if (REFUSED.has(codeOf(cause))) {
      return new CausewayError('CONFIG_INVALID', `Redis at ${at} refuses this node: ${cause.message}`, {
        hint: 'Compare the user, password and TLS files of this node with what Redis expects.',
        cause,
      });
    }
    return new CausewayError('UNAVAILABLE', `Redis at ${at} cannot be reached: ${cause.message}`, {
      hint: 'Start Redis, or name another address.',
      cause,
    });
  }

  async #learn(redis: Redis | Cluster): Promise<void> {
    this.#version = /redis_version:(\S+)/.exec(String(await redis.call('INFO', 'server')))?.[1] ?? '';
    let policy: unknown;
    try {
      [, policy] = (await redis.call('CONFIG', 'GET', 'maxmemory-policy')) as string[];
    } catch {
      // Managed services do not tell. An eviction is noticed when it happens.
      return;
    }
    if (policy === 'noeviction') return;
    throw new CausewayError('CONFIG_INVALID', `expected maxmemory-policy noeviction, found ${String(policy)}`, {
      hint: 'Redis would forget rows of the store under memory pressure: each time that is noticed the shard is rebuilt from the log.',
    });
  }

  /** What Redis has of a shard. What proves nothing is dropped. */
  async #find(place: Place): Promise<void> {
    const [found, whole] = (await this.#script(LOOK, place, [])) as [Buffer, number];
    const text = found.toString();
    const head = this.#parse(text);
    if (head !== undefined && whole === 1) {
      place.now = place.next = place.told = head;
      place.bytes = await this.#measure(place);
      return;
    }
    place.now = place.next = place.told = NONE;
    const why = whole === 1 ? 'made from another log' : 'not whole';
    // Later ones are told by onLost().
    if (this.#checking === undefined)
      this.#findings.push(
        `the rows of shard ${place.shard} in Redis are dropped and rebuilt from the log: they are ${why}`,
      );
    await this.#script(DROP, place, [text]);
  }

  /** undefined: not a head of rows that are made from our log. */
  #parse(text: string): Head | undefined {
    if (text === '') return NONE;
    const [format, cursor, , identity] = text.split(' ');
    if (format !== FORMAT || identity !== this.#identity) return undefined;
    return { cursor: Number(cursor), text };
  }

  #script(lua: string, { keys }: Place, args: readonly (string | Buffer)[]): Promise<unknown> {
    const redis = this.#redis;
    if (redis === undefined) return Promise.reject(new Error('the store is closed'));
    // With its text and not with its hash: what has to be sent twice would overtake, or be overtaken by, what was sent once.
    return redis.callBuffer('EVAL', lua, keys.length, ...keys, ...args);
  }

  #sendStep(words: readonly string[], { keys }: Place, rows: PackedRows): Promise<unknown> {
    const redis = this.#redis;
    if (redis === undefined) return Promise.reject(new Error('the store is closed'));
    const command = new StepCommand(keys, stepMessage(words, rows));
    return redis.sendCommand(command) as Promise<unknown>;
  }

  // ── Read ────────────────────────────────────────────────────────────────────────────────────────────────────────

  cursor(shard: ShardId): number {
    return this.#place(shard).told.cursor;
  }

  getMany(
    shard: ShardId,
    rowKeys: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void {
    const place = this.#place(shard);
    this.#read(
      place,
      (redis) => redis.callBuffer('HMGET', place.keys[1], '', ...rowKeys) as Promise<(Buffer | null)[]>,
      ([mark]) => (mark ?? '').toString(),
      (values) => done(values.slice(1).map((value) => value ?? undefined)),
      () => done(rowKeys.map(() => undefined)),
    );
  }

  peek(shard: ShardId, rowKey: string, answer: (value: Uint8Array | undefined) => void): void {
    const redis = this.#redis;
    if (redis === undefined) return;
    // Another node's steps go on: which one this row is of does not matter, as long as it is of our log.
    (redis.callBuffer('HMGET', this.#place(shard).keys[1], '', rowKey) as Promise<(Buffer | null)[]>).then(
      ([mark, value]) => answer(this.#parse((mark ?? '').toString()) === undefined ? undefined : (value ?? undefined)),
      () => {
        this.#system.timers.after(AGAIN_MS, () => this.peek(shard, rowKey, answer));
      },
    );
  }

  scan(shard: ShardId, from: string, to: string, limit: number, done: (rows: readonly StoreRow[]) => void): void {
    const place = this.#place(shard);
    this.#read(
      place,
      () => this.#script(SCAN, place, [from, to, `${limit}`]) as Promise<[Buffer, number, Buffer[], (Buffer | null)[]]>,
      ([mark, same, , values]) => (same === 1 && !values.includes(null) ? mark.toString() : 'not whole'),
      ([, , keys, values]) => done(keys.map((key, i) => ({ rowKey: key.toString(), value: values[i]! }))),
      () => done([]),
    );
  }

  /** Asks, and answers if the reply is of the step that it must be of. `empty`: no step was made. */
  #read<T>(
    place: Place,
    ask: (redis: Redis | Cluster) => Promise<T>,
    markOf: (reply: T) => string,
    answer: (reply: T) => void,
    empty: () => void,
  ): void {
    const redis = this.#redis;
    // Of a closed store nobody waits for an answer; of lost rows there is none.
    if (redis === undefined || place.lost) return;
    if (place.next.text === '') {
      empty();
      return;
    }
    place.used = true;
    const { life } = place;
    ask(redis).then(
      (reply) => {
        if (life !== place.life || this.#redis === undefined) return;
        const mark = markOf(reply);
        if (mark !== place.now.text) {
          this.#lose(place, mark);
          return;
        }
        if (place.holding) place.held.push(() => answer(reply));
        else answer(reply);
      },
      () => {
        // Redis says no, for a while: it loads its data, or has no master.
        this.#system.timers.after(AGAIN_MS, () => {
          if (life === place.life) this.#read(place, ask, markOf, answer, empty);
        });
      },
    );
  }

  // ── Write ───────────────────────────────────────────────────────────────────────────────────────────────────────

  write(steps: readonly StoreStep[], done: (outcomes: readonly StepOutcome[]) => void): void {
    if (steps.length === 0) {
      done([]);
      return;
    }
    const outcomes: StepOutcome[] = [];
    const places = new Set<Place>();
    let left = steps.length;
    this.#underWay++;
    steps.forEach((step, i) => {
      const place = this.#place(step.shard);
      places.add(place);
      this.#step(place, step, (outcome) => {
        outcomes[i] = outcome;
        if (--left > 0) return;
        this.#ended(places, () => done(outcomes));
      });
    });
  }

  #ended(places: ReadonlySet<Place>, done: () => void): void {
    for (const place of places) place.told = place.now;
    this.#underWay--;
    done();
    for (const place of places) {
      place.holding = false;
      for (const answer of place.held.splice(0)) answer();
    }
    if (this.#underWay === 0) this.#idle?.();
  }

  #step(place: Place, step: StoreStep, tell: (outcome: StepOutcome) => void): void {
    if (place.lost) {
      tell({ kind: 'moved', cursor: 0 });
      return;
    }
    const before = place.next;
    // One that cannot fit is asked all the same, from where nobody is: the reply says where the shard stands then.
    const fits = step.fromCursor === before.cursor;
    const name = this.#system.random.uint48().toString(16).padStart(12, '0');
    const after: Head = { cursor: step.toCursor, text: `${FORMAT} ${step.toCursor} ${name} ${this.#identity}` };
    const rows = fits ? step.rows : new PackedRows();
    if (fits) place.next = after;
    let bytes = 0;
    rows.each((rowKey, value) => (bytes += value === null ? 0 : rowKey.length + value.length));
    const words = [STEP, `${place.keys.length}`, ...place.keys, fits ? before.text : 'nowhere', after.text];
    place.used = true;
    const { life } = place;
    this.#sendStep(words, place, rows).then(
      (reply) => {
        if (life !== place.life) {
          tell({ kind: 'moved', cursor: 0 });
          return;
        }
        const text = String(reply);
        place.holding = true;
        if (text === after.text) {
          place.now = after;
          place.bytes += bytes;
          tell({ kind: 'written' });
          return;
        }
        if (text === place.now.text) {
          // As we know it: the step was from another cursor.
          tell({ kind: 'moved', cursor: place.now.cursor });
          return;
        }
        this.#lose(place, text);
        tell({ kind: 'moved', cursor: this.#parse(text)?.cursor ?? 0 });
      },
      (error: Error) => {
        // Nothing of it is there: Redis refused the script, or is not there any more.
        if (place.next === after) place.next = place.now;
        place.holding = true;
        tell({ kind: 'failed', message: error.message });
      },
    );
  }

  refresh(shard: ShardId, done: () => void): void {
    const place = this.#place(shard);
    // Of what was asked for before, nobody waits for an answer any more.
    place.life++;
    place.held.length = 0;
    place.lost = true;
    place.used = true;
    this.#refind(place, done);
  }

  reset(shard: ShardId, done: () => void): void {
    const place = this.#place(shard);
    const before = place.next;
    place.next = NONE;
    this.#underWay++;
    const over = (): void => {
      place.now = NONE;
      place.bytes = 0;
      place.holding = true;
      this.#ended(new Set([place]), done);
    };
    // Another owner's rows stay where they are: what we write next is refused by them.
    this.#script(DROP, place, [before.text]).then(over, over);
  }

  /** Redis syncs as it is set to; what it loses is noticed. */
  checkpoint(): Promise<void> {
    return Promise.resolve();
  }

  bytes(): number {
    let bytes = 0;
    for (const place of this.#places.values()) bytes += place.bytes;
    return bytes;
  }

  #place(shard: ShardId): Place {
    const place = this.#places.get(shard);
    invariant(place !== undefined, `shard ${shard} is one that the store was opened with`);
    return place;
  }

  // ── What was lost ───────────────────────────────────────────────────────────────────────────────────────────────

  #check(): void {
    const measures = this.#checks++ % MEASURE_EVERY_CHECKS === 0;
    for (const place of this.#places.values()) {
      if (place.lost || !place.used) continue;
      const { life } = place;
      // Not by way of another promise: it would be heard after a step that was answered behind it.
      this.#script(LOOK, place, []).then(
        (reply) => {
          if (life !== place.life || this.#redis === undefined) return;
          const [head, whole] = reply as [Buffer, number];
          if (head.toString() !== place.now.text) this.#lose(place, head.toString());
          else if (whole !== 1) this.#lose(place, 'not whole');
        },
        // Not there, or not now: whoever reads or writes waits for it.
        () => undefined,
      );
      if (!measures) continue;
      this.#measure(place).then(
        (bytes) => (place.bytes = bytes),
        () => undefined,
      );
    }
  }

  async #measure({ keys }: Place): Promise<number> {
    const redis = this.#redis;
    if (redis === undefined) return 0;
    const sizes = await Promise.all(keys.map((key) => redis.call('MEMORY', 'USAGE', key)));
    return sizes.reduce((sum: number, size) => sum + Number(size ?? 0), 0);
  }

  /** The rows are of another step than the one that we made last. */
  #lose(place: Place, found: string): void {
    if (place.lost || this.#closed) return;
    place.lost = true;
    place.used = false;
    place.life++;
    place.held.length = 0;
    const expected = place.now;
    place.now = place.next = place.told = NONE;
    const what =
      found === ''
        ? 'it has none: Redis was flushed, or has restarted without its data'
        : found === 'not whole' || found === 'lost'
          ? 'some are gone: Redis has evicted or somebody has deleted them'
          : `they are of cursor ${this.#parse(found)?.cursor ?? `${found} of another log`}`;
    this.#options.onLost(
      place.shard,
      `expected the rows of shard ${place.shard} in Redis as of cursor ${expected.cursor} (${expected.text}); ${what}`,
    );
    this.#refind(place);
  }

  /** From where on the shard can be rebuilt. */
  #refind(place: Place, found?: () => void): void {
    const { life } = place;
    this.#find(place).then(
      () => {
        if (life !== place.life) return;
        place.lost = false;
        found?.();
      },
      () => {
        this.#system.timers.after(AGAIN_MS, () => {
          if (life === place.life && !this.#closed) this.#refind(place, found);
        });
      },
    );
  }

  // ── Close ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async close(): Promise<void> {
    const redis = this.#redis;
    if (redis === undefined || this.#closed) return;
    this.#closed = true;
    this.#checking?.cancel();
    // Without a connection there is nothing to wait for.
    if (this.#underWay > 0 && redis.status === 'ready') await new Promise<void>((resolve) => (this.#idle = resolve));
    this.#redis = undefined;
    await new Promise<void>((resolve) => {
      redis.once('end', () => resolve());
      redis.disconnect();
    });
  }
}

/** Redis' errors begin with a word that says which. */
function codeOf(error: Error & { code?: string }): string {
  return error.code ?? /^[A-Z_]+/.exec(error.message)?.[0] ?? '';
}

const REFUSED: ReadonlySet<string> = new Set([
  'WRONGPASS',
  'NOAUTH',
  'NOPERM',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new CausewayError('CONFIG_INVALID', `expected a PEM file for Redis in ${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
}
