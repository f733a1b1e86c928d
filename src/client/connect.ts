// The client: endpoints, session, handles, producers and subscriptions of one namespace.

import { CausewayError } from '../errors/errors.ts';
import { realSystem } from '../system/real.ts';
import type { System } from '../system/system.ts';
import { Calls, type CallDefaults, type ReadAnswer, type ScanAnswer } from './calls.ts';
import { json, text, type Codec } from './codecs.ts';
import { Consumer } from './consumer/consumer.ts';
import { ConsumerGroups } from './consumer/groups.ts';
import type { ConsumerOptions, GroupsLocation } from './consumer/options.ts';
import { Endpoints } from './endpoints.ts';
import { Counter, MapHandle, MultiRegister, Register, SetHandle } from './handles.ts';
import type { ProducerOptions } from './producer/options.ts';
import { Producer } from './producer/producer.ts';
import { Session } from './session.ts';
import { ShardMap } from './shard-map.ts';
import { Subscription, type SubscribeOptions } from './subscribe.ts';
import { openTls, type TlsOptions } from './tls.ts';
import type { ClientTracer } from './tracer.ts';
import type {
  CallOptions,
  Consistency,
  Durability,
  Op,
  ReadOptions,
  ScanOptions,
  Topology,
  WriteAck,
  WriteOptions,
} from './types.ts';
import { checkDurability } from './write-request.ts';

export interface ConnectOptions {
  /** `host:port`, the home region's first. The first that is ready is used; the client comes back when an earlier one is again. */
  readonly endpoints: readonly string[];
  readonly namespace: string;
  /** TLS; without it connections are not encrypted. */
  readonly tls?: TlsOptions;
  /** For a whole call, retries included. Default 5000; a node takes at most 60,000 per attempt. */
  readonly deadlineMs?: number;
  /** How long an endpoint may take to accept a connection before the next is tried. Default 1000. */
  readonly connectTimeoutMs?: number;
  /** Of writes that name none. Default 'local'. */
  readonly durability?: Durability;
  /** Of reads that name none. Default 'local'. With 'causal' what is written comes after what was read and written, too. */
  readonly consistency?: Consistency;
  /** A session that another client exported: what is written comes after what that has seen, in every region. */
  readonly session?: string;
  /**
   * May a write whose outcome is not known be tried in another region? Default false: it is tried in its own region until the
   * deadline, then reported as INDETERMINATE. True makes writes at-least-once: harmless for registers and sets, not for counters.
   */
  readonly moveIndeterminate?: boolean;
  /** Records spans of writes and of changes that are handled; openTelemetry() makes one. Default: none. */
  readonly tracer?: ClientTracer;
  /** Time, timers and randomness; for tests. */
  readonly system?: System;
}

/** Connects when it is first used. Throws CausewayError INVALID_ARGUMENT when the options make no sense. */
export function connect(options: ConnectOptions): Causeway {
  return new Causeway(options);
}

export class Causeway {
  readonly namespace: string;
  readonly #endpoints: Endpoints;
  readonly #system: System;
  readonly #session = new Session();
  readonly #shardMap: ShardMap;
  readonly #calls: Calls;
  readonly #defaults: CallDefaults;
  /** Producers, subscriptions and consumers, which end with the client. */
  readonly #owned = new Set<{ abort(error: CausewayError): void }>();

  constructor(options: ConnectOptions) {
    const { namespace } = options;
    if (typeof namespace !== 'string' || namespace === '') {
      throw new CausewayError('INVALID_ARGUMENT', 'connect() needs a namespace');
    }
    this.namespace = namespace;
    this.#system = options.system ?? realSystem();
    this.#defaults = {
      namespace,
      deadlineMs: options.deadlineMs ?? 5000,
      durability: checkDurability(options.durability ?? 'local'),
      consistency: options.consistency ?? 'local',
      moveIndeterminate: options.moveIndeterminate ?? false,
      tracer: options.tracer,
    };
    if (options.session !== undefined) this.#session.join(options.session);
    if (this.#defaults.consistency === 'causal') this.#session.ask();
    const tls = openTls(options.tls, this.#system);
    try {
      this.#endpoints = new Endpoints(options.endpoints, this.#system, options.connectTimeoutMs ?? 1000, tls);
    } catch (error) {
      tls?.close();
      throw error;
    }
    this.#shardMap = new ShardMap(this.#endpoints, this.#system, namespace);
    this.#calls = new Calls(this.#endpoints, this.#system, this.#session, this.#defaults, this.#shardMap);
  }

  /** register-lww. Values are JSON unless a codec says otherwise. */
  register<T = unknown>(collection: string, codec: Codec<T> = json<T>()): Register<T> {
    return new Register(this.#calls, collection, codec);
  }

  /** register-mv. */
  multiRegister<T = unknown>(collection: string, codec: Codec<T> = json<T>()): MultiRegister<T> {
    return new MultiRegister(this.#calls, collection, codec);
  }

  /** counter-pn. */
  counter(collection: string): Counter {
    return new Counter(this.#calls, collection);
  }

  /** set-aw. Elements are text unless a codec says otherwise. */
  set(collection: string): SetHandle<string>;
  set<T>(collection: string, codec: Codec<T>): SetHandle<T>;
  set<T>(collection: string, codec?: Codec<T>): SetHandle<T> {
    return new SetHandle(this.#calls, collection, codec ?? (text as unknown as Codec<T>));
  }

  /** map-lww. Fields are JSON unless a codec says otherwise. */
  map<T = unknown>(collection: string, codec: Codec<T> = json<T>()): MapHandle<T> {
    return new MapHandle(this.#calls, collection, codec);
  }

  /** Several ops in one request, taken in their order. One result per op: what became of it, or why it failed. */
  write(ops: readonly Op[], options?: WriteOptions): Promise<(WriteAck | CausewayError)[]> {
    return this.#calls.write(ops, options);
  }

  /**
   * All ops or none, in one batch: no region ever shows a part of it. Their keys share a partition key, the same tag in braces:
   * `cart/{anna}` and `orders/{anna}/1`, also of several collections. Throws what nothing was written for; a condition that fails
   * (op.compareAndSet, op.createIfAbsent) is PRECONDITION_FAILED.
   */
  writeAtomic(ops: readonly Op[], options?: WriteOptions): Promise<WriteAck[]> {
    return this.#calls.writeAtomic(ops, options);
  }

  /** Keys of one collection, as they are, whatever its merge type. */
  read(collection: string, keys: readonly string[], options?: ReadOptions): Promise<ReadAnswer> {
    return this.#calls.read(collection, keys, options);
  }

  /** One page of a collection's keys, as they are, whatever its merge type; handles have scan(), which goes through all pages. */
  scan(collection: string, options?: ScanOptions): Promise<ScanAnswer> {
    return this.#calls.scan(collection, options);
  }

  /** What the node in use serves. */
  topology(options?: CallOptions): Promise<Topology> {
    return this.#calls.topology(options);
  }

  /** For very many writes: batches, many in flight, in order. */
  producer(options: ProducerOptions = {}): Producer {
    const producer: Producer = new Producer(
      {
        endpoints: this.#endpoints,
        system: this.#system,
        session: this.#session,
        shardMap: this.#shardMap,
        defaults: this.#defaults,
      },
      options,
      () => this.#owned.delete(producer),
    );
    this.#owned.add(producer);
    return producer;
  }

  /** Follows changes; goes on by itself after a failure, in another region if need be. */
  subscribe(options: SubscribeOptions = {}): Subscription {
    const subscription: Subscription = new Subscription(
      {
        endpoints: this.#endpoints,
        system: this.#system,
        namespace: this.namespace,
        tracer: this.#defaults.tracer,
      },
      options,
      () => this.#owned.delete(subscription),
    );
    this.#owned.add(subscription);
    return subscription;
  }

  /** A member of a consumer group: follows changes together with the other members, from where the group is, in any region. */
  consumer(options: ConsumerOptions): Consumer {
    const consumer: Consumer = new Consumer(
      { endpoints: this.#endpoints, system: this.#system, defaults: this.#defaults },
      options,
      () => this.#owned.delete(consumer),
    );
    this.#owned.add(consumer);
    return consumer;
  }

  /** The consumer groups of the namespace, for operators. */
  groups(location: GroupsLocation = {}): ConsumerGroups {
    const parts = { endpoints: this.#endpoints, system: this.#system, defaults: this.#defaults };
    return new ConsumerGroups(parts, location);
  }

  /** What this client has read and written, as text: hand it to another client, which then reads at least that. */
  session(): string {
    return this.#session.text();
  }

  /** Adds what another client's session() has seen to this one's. Throws CausewayError INVALID_ARGUMENT. */
  join(session: string): void {
    this.#session.join(session);
  }

  /** The endpoint that the next call goes to; undefined while none is usable. */
  endpoint(): { readonly address: string; readonly region: string | undefined } | undefined {
    const best = this.#endpoints.best(true) ?? this.#endpoints.best(false);
    return best === undefined ? undefined : { address: best.address, region: best.region };
  }

  /** Ends producers, subscriptions and consumers as they are: flush or close them first. */
  close(): void {
    const error = new CausewayError('CANCELLED', 'the client was closed');
    for (const one of [...this.#owned]) one.abort(error);
    this.#owned.clear();
    this.#shardMap.close();
    this.#endpoints.close();
  }
}
