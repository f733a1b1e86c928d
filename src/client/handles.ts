// Typed handles, one per merge type. Each method is one unary call, and whatever is wrong comes as a rejection; `handle.op.…` makes the same change as an op, for a
// producer or for client.write() with several at once.

import { CausewayError, toCausewayError } from '../errors/errors.ts';
import type { Calls } from './calls.ts';
import { decodeWith, type Codec } from './codecs.ts';
import type {
  Condition,
  Dot,
  Intent,
  MergeType,
  Op,
  ReadOptions,
  ScanOptions,
  Version,
  View,
  WriteAck,
  WriteOptions,
} from './types.ts';

/** A value as a reader saw it. */
export interface Versioned<T> {
  readonly value: T;
  readonly version: Version;
  readonly expiresAtMs?: number | undefined;
  /** With `allowStale`: the region had not caught up with the session. */
  readonly stale: boolean;
  /** `maxStaleMs` and `stable`: the stamp up to which nothing is missing, see CONSISTENCY.md. */
  readonly asOfStamp?: number | undefined;
}

/** An acknowledgement with what the key is after the write, decoded: see WriteAck.after. */
export interface Answered<V> extends WriteAck {
  readonly value: V | undefined;
}

/** With the key that it is of. */
export type Keyed<V> = V & { readonly key: string };

/** How fresh what was read is. */
interface Freshness {
  readonly stale: boolean;
  readonly asOfStamp: number | undefined;
}

export interface PutOptions extends WriteOptions {
  /** Unix ms at which the value stops being there. */
  readonly expiresAtMs?: number | undefined;
}

abstract class Handle {
  readonly collection: string;
  protected readonly calls: Calls;

  constructor(calls: Calls, collection: string) {
    this.calls = calls;
    this.collection = collection;
  }

  protected async write<K extends MergeType, V>(
    type: K,
    op: Op,
    options: WriteOptions | undefined,
    decode: (view: Extract<View, { type: K }> | undefined) => V | undefined,
  ): Promise<Answered<V>> {
    const ack = await this.calls.writeOne(op, options);
    try {
      return { ...ack, value: ack.after === undefined ? undefined : decode(this.typed(type, op.key, ack.after.view)) };
    } catch (error) {
      // What cannot be decoded has been written all the same.
      const { code, message, hint } = toCausewayError(error);
      const what = hint === undefined ? {} : { hint };
      throw new CausewayError(code, `written, but ${message}`, { ...what, outcome: 'applied-locally', cause: error });
    }
  }

  protected async view<K extends MergeType>(
    type: K,
    key: string,
    options: ReadOptions | undefined,
  ): Promise<{ view: Extract<View, { type: K }> | undefined; as: Freshness }> {
    const { views, as } = await this.views(type, [key], options);
    return { view: views[0], as };
  }

  protected async views<K extends MergeType>(
    type: K,
    keys: readonly string[],
    options: ReadOptions | undefined,
  ): Promise<{ views: (Extract<View, { type: K }> | undefined)[]; as: Freshness }> {
    const { views, stale, asOfStamp } = await this.calls.read(this.collection, keys, options);
    return { views: keys.map((key, i) => this.typed(type, key, views[i])), as: { stale, asOfStamp } };
  }

  /** All pages; a deadline counts for each of them. */
  protected async *pages<K extends MergeType>(
    type: K,
    options: ScanOptions = {},
  ): AsyncGenerator<{ key: string; view: Extract<View, { type: K }>; as: Freshness }, void, undefined> {
    let { pageToken } = options;
    do {
      const { entries, nextPageToken, stale, asOfStamp } = await this.calls.scan(this.collection, {
        ...options,
        pageToken,
      });
      for (const { key, view } of entries) yield { key, view: this.typed(type, key, view)!, as: { stale, asOfStamp } };
      pageToken = nextPageToken;
    } while (pageToken !== '');
  }

  protected typed<K extends MergeType>(
    type: K,
    key: string,
    view: View | undefined,
  ): Extract<View, { type: K }> | undefined {
    if (view === undefined) return undefined;
    if (view.type === type) return view as Extract<View, { type: K }>;
    throw new CausewayError(
      'WRONG_OPERATION',
      `'${this.collection}' holds ${view.type}, and '${key}' was read as ${type}`,
      {
        hint: 'take the handle of its merge type',
      },
    );
  }
}

function opOf(collection: string, key: string, intent: Intent, condition?: Condition): Op {
  return condition === undefined ? { collection, key, intent } : { collection, key, intent, condition };
}

/** register-lww: the highest version wins. */
export class Register<T> extends Handle {
  readonly #codec: Codec<T>;
  readonly op: RegisterOps<T>;

  constructor(calls: Calls, collection: string, codec: Codec<T>) {
    super(calls, collection);
    this.#codec = codec;
    this.op = new RegisterOps(collection, codec);
  }

  /** undefined: absent. */
  async get(key: string, options?: ReadOptions): Promise<Versioned<T> | undefined> {
    const { view, as } = await this.view('register-lww', key, options);
    return view === undefined ? undefined : this.#versioned(key, view, as);
  }

  /** One per key, in their order; undefined: absent. Keys of one shard are read from one state. */
  async getMany(keys: readonly string[], options?: ReadOptions): Promise<(Versioned<T> | undefined)[]> {
    const { views, as } = await this.views('register-lww', keys, options);
    return views.map((view, i) => (view === undefined ? undefined : this.#versioned(keys[i]!, view, as)));
  }

  /** Keys with their values, in the order of the keys' bytes. What is written meanwhile may be seen or not. */
  async *scan(options?: ScanOptions): AsyncGenerator<Keyed<Versioned<T>>, void, undefined> {
    for await (const { key, view, as } of this.pages('register-lww', options))
      yield { key, ...this.#versioned(key, view, as) };
  }

  #versioned(key: string, view: Extract<View, { type: 'register-lww' }>, as: Freshness): Versioned<T> {
    const { version, expiresAtMs } = view;
    return { value: decodeWith(this.#codec, view.value, this.collection, key), version, expiresAtMs, ...as };
  }

  async set(key: string, value: T, options?: PutOptions): Promise<Answered<T>> {
    return this.#write(this.op.set(key, value, options), options);
  }

  async delete(key: string, options?: WriteOptions): Promise<Answered<T>> {
    return this.#write(this.op.delete(key), options);
  }

  /** Writes only if `expected` is the visible version in the region that answers; else PRECONDITION_FAILED. */
  async compareAndSet(key: string, expected: Version, value: T, options?: PutOptions): Promise<Answered<T>> {
    return this.#write(this.op.compareAndSet(key, expected, value, options), options);
  }

  /** Writes only if the region that answers has no value; else PRECONDITION_FAILED. */
  async createIfAbsent(key: string, value: T, options?: PutOptions): Promise<Answered<T>> {
    return this.#write(this.op.createIfAbsent(key, value, options), options);
  }

  #write(op: Op, options: WriteOptions | undefined): Promise<Answered<T>> {
    return this.write('register-lww', op, options, (view) =>
      view === undefined ? undefined : decodeWith(this.#codec, view.value, this.collection, op.key),
    );
  }
}

export class RegisterOps<T> {
  readonly #collection: string;
  readonly #codec: Codec<T>;

  constructor(collection: string, codec: Codec<T>) {
    this.#collection = collection;
    this.#codec = codec;
  }

  set(key: string, value: T, options: { readonly expiresAtMs?: number | undefined } = {}): Op {
    return opOf(this.#collection, key, {
      kind: 'put',
      value: this.#codec.encode(value),
      expiresAtMs: options.expiresAtMs,
    });
  }

  delete(key: string): Op {
    return opOf(this.#collection, key, { kind: 'delete' });
  }

  compareAndSet(key: string, expected: Version, value: T, options?: { readonly expiresAtMs?: number | undefined }): Op {
    return { ...this.set(key, value, options), condition: { kind: 'version', version: expected } };
  }

  createIfAbsent(key: string, value: T, options?: { readonly expiresAtMs?: number | undefined }): Op {
    return { ...this.set(key, value, options), condition: { kind: 'absent' } };
  }
}

/** Concurrent values of one key, all of them. */
export interface Siblings<T> {
  /** Oldest version first. */
  readonly values: readonly { readonly value: T; readonly version: Version }[];
  readonly stale: boolean;
  /** `maxStaleMs` and `stable`: the stamp up to which nothing is missing, see CONSISTENCY.md. */
  readonly asOfStamp?: number | undefined;
}

export interface ReplaceOptions extends PutOptions {
  /** The versions that were read and are replaced. Absent: all that the region has. */
  readonly observed?: readonly Dot[] | undefined;
}

/** register-mv: concurrent values stay side by side until a write that has seen them replaces them. */
export class MultiRegister<T> extends Handle {
  readonly #codec: Codec<T>;
  readonly op: MultiRegisterOps<T>;

  constructor(calls: Calls, collection: string, codec: Codec<T>) {
    super(calls, collection);
    this.#codec = codec;
    this.op = new MultiRegisterOps(collection, codec);
  }

  async get(key: string, options?: ReadOptions): Promise<Siblings<T> | undefined> {
    const { view, as } = await this.view('register-mv', key, options);
    return view === undefined ? undefined : this.#siblings(key, view, as);
  }

  /** One per key, in their order; undefined: absent. */
  async getMany(keys: readonly string[], options?: ReadOptions): Promise<(Siblings<T> | undefined)[]> {
    const { views, as } = await this.views('register-mv', keys, options);
    return views.map((view, i) => (view === undefined ? undefined : this.#siblings(keys[i]!, view, as)));
  }

  /** As Register.scan. */
  async *scan(options?: ScanOptions): AsyncGenerator<Keyed<Siblings<T>>, void, undefined> {
    for await (const { key, view, as } of this.pages('register-mv', options))
      yield { key, ...this.#siblings(key, view, as) };
  }

  #siblings(key: string, view: Extract<View, { type: 'register-mv' }>, as: Freshness): Siblings<T> {
    const values = view.siblings.map(({ value, version }) => ({
      value: decodeWith(this.#codec, value, this.collection, key),
      version,
    }));
    return { values, ...as };
  }

  async set(key: string, value: T, options?: ReplaceOptions): Promise<Answered<readonly T[]>> {
    return this.#write(this.op.set(key, value, options), options);
  }

  async delete(key: string, options?: Omit<ReplaceOptions, 'expiresAtMs'>): Promise<Answered<readonly T[]>> {
    return this.#write(this.op.delete(key, options), options);
  }

  #write(op: Op, options: WriteOptions | undefined): Promise<Answered<readonly T[]>> {
    return this.write('register-mv', op, options, (view) =>
      (view?.siblings ?? []).map(({ value }) => decodeWith(this.#codec, value, this.collection, op.key)),
    );
  }
}

export class MultiRegisterOps<T> {
  readonly #collection: string;
  readonly #codec: Codec<T>;

  constructor(collection: string, codec: Codec<T>) {
    this.#collection = collection;
    this.#codec = codec;
  }

  set(key: string, value: T, options: Pick<ReplaceOptions, 'expiresAtMs' | 'observed'> = {}): Op {
    const { expiresAtMs, observed } = options;
    return opOf(this.#collection, key, { kind: 'put', value: this.#codec.encode(value), expiresAtMs, observed });
  }

  delete(key: string, options: Pick<ReplaceOptions, 'observed'> = {}): Op {
    return opOf(this.#collection, key, { kind: 'delete', observed: options.observed });
  }
}

/** counter-pn: increments and decrements of all regions count. */
export class Counter extends Handle {
  readonly op: CounterOps;

  constructor(calls: Calls, collection: string) {
    super(calls, collection);
    this.op = new CounterOps(collection);
  }

  /** 0 when absent. */
  async get(key: string, options?: ReadOptions): Promise<bigint> {
    const { view } = await this.view('counter-pn', key, options);
    return view?.value ?? 0n;
  }

  /** One per key, in their order; 0 when absent. */
  async getMany(keys: readonly string[], options?: ReadOptions): Promise<bigint[]> {
    const { views } = await this.views('counter-pn', keys, options);
    return views.map((view) => view?.value ?? 0n);
  }

  /** As Register.scan. */
  async *scan(options?: ScanOptions): AsyncGenerator<Keyed<{ readonly value: bigint }>, void, undefined> {
    for await (const { key, view } of this.pages('counter-pn', options)) yield { key, value: view.value };
  }

  /** `value` is what the counter then is in the region that answered; of a retry that was applied before, what it is now. */
  async increment(key: string, by: number | bigint = 1, options?: WriteOptions): Promise<Answered<bigint>> {
    return this.#write(this.op.increment(key, by), options);
  }

  async decrement(key: string, by: number | bigint = 1, options?: WriteOptions): Promise<Answered<bigint>> {
    return this.#write(this.op.decrement(key, by), options);
  }

  /** To 0, as far as this region has seen: increments elsewhere that it has not seen still count. */
  async reset(key: string, options?: WriteOptions): Promise<Answered<bigint>> {
    return this.#write(this.op.reset(key), options);
  }

  #write(op: Op, options: WriteOptions | undefined): Promise<Answered<bigint>> {
    return this.write('counter-pn', op, { ...options, returnValue: true }, (view) => view?.value ?? 0n);
  }
}

export class CounterOps {
  readonly #collection: string;

  constructor(collection: string) {
    this.#collection = collection;
  }

  increment(key: string, by: number | bigint = 1): Op {
    return opOf(this.#collection, key, { kind: 'increment', by: whole(by) });
  }

  decrement(key: string, by: number | bigint = 1): Op {
    return opOf(this.#collection, key, { kind: 'increment', by: -whole(by) });
  }

  reset(key: string): Op {
    return opOf(this.#collection, key, { kind: 'delete' });
  }
}

function whole(by: number | bigint): bigint {
  if (typeof by === 'bigint') return by;
  if (Number.isSafeInteger(by)) return BigInt(by);
  throw new CausewayError('INVALID_ARGUMENT', `a counter moves by whole numbers; got ${by}`, {
    hint: 'above 2^53 take a bigint',
  });
}

/** set-aw: an add wins over a concurrent remove. */
export class SetHandle<T> extends Handle {
  readonly #codec: Codec<T>;
  readonly op: SetOps<T>;

  constructor(calls: Calls, collection: string, codec: Codec<T>) {
    super(calls, collection);
    this.#codec = codec;
    this.op = new SetOps(collection, codec);
  }

  /** Empty when absent. Sorted by their bytes. */
  async members(key: string, options?: ReadOptions): Promise<T[]> {
    const { view } = await this.view('set-aw', key, options);
    return this.#decode(key, view);
  }

  /** The members of each key, in their order; empty when absent. */
  async getMany(keys: readonly string[], options?: ReadOptions): Promise<T[][]> {
    const { views } = await this.views('set-aw', keys, options);
    return views.map((view, i) => this.#decode(keys[i]!, view));
  }

  /** As Register.scan. */
  async *scan(options?: ScanOptions): AsyncGenerator<Keyed<{ readonly members: T[] }>, void, undefined> {
    for await (const { key, view } of this.pages('set-aw', options)) yield { key, members: this.#decode(key, view) };
  }

  #decode(key: string, view: Extract<View, { type: 'set-aw' }> | undefined): T[] {
    return (view?.elements ?? []).map((element) => decodeWith(this.#codec, element, this.collection, key));
  }

  async add(key: string, elements: T | readonly T[], options?: PutOptions): Promise<Answered<T[]>> {
    return this.#write(this.op.add(key, elements, options), options);
  }

  async remove(key: string, elements: T | readonly T[], options?: WriteOptions): Promise<Answered<T[]>> {
    return this.#write(this.op.remove(key, elements), options);
  }

  /** Removes what the region has; what is added elsewhere meanwhile stays. */
  async clear(key: string, options?: WriteOptions): Promise<Answered<T[]>> {
    return this.#write(this.op.clear(key), options);
  }

  #write(op: Op, options: WriteOptions | undefined): Promise<Answered<T[]>> {
    return this.write('set-aw', op, options, (view) => this.#decode(op.key, view));
  }
}

export class SetOps<T> {
  readonly #collection: string;
  readonly #codec: Codec<T>;

  constructor(collection: string, codec: Codec<T>) {
    this.#collection = collection;
    this.#codec = codec;
  }

  add(key: string, elements: T | readonly T[], options: { readonly expiresAtMs?: number | undefined } = {}): Op {
    return opOf(this.#collection, key, {
      kind: 'set-add',
      elements: this.#encode(elements),
      expiresAtMs: options.expiresAtMs,
    });
  }

  remove(key: string, elements: T | readonly T[]): Op {
    return opOf(this.#collection, key, { kind: 'set-remove', elements: this.#encode(elements) });
  }

  clear(key: string): Op {
    return opOf(this.#collection, key, { kind: 'delete' });
  }

  #encode(elements: T | readonly T[]): Uint8Array[] {
    return (Array.isArray(elements) ? (elements as readonly T[]) : [elements as T]).map((element) =>
      this.#codec.encode(element),
    );
  }
}

export interface MapValue<T> {
  readonly value: Readonly<Record<string, T>>;
  /** Per field, the write that is visible. */
  readonly versions: Readonly<Record<string, Version>>;
  readonly stale: boolean;
  /** `maxStaleMs` and `stable`: the stamp up to which nothing is missing, see CONSISTENCY.md. */
  readonly asOfStamp?: number | undefined;
}

/** map-lww: a register per field; fields merge independently. */
export class MapHandle<T> extends Handle {
  readonly #codec: Codec<T>;
  readonly op: MapOps<T>;

  constructor(calls: Calls, collection: string, codec: Codec<T>) {
    super(calls, collection);
    this.#codec = codec;
    this.op = new MapOps(collection, codec);
  }

  /** undefined: no field is there. */
  async get(key: string, options?: ReadOptions): Promise<MapValue<T> | undefined> {
    const { view, as } = await this.view('map-lww', key, options);
    return view === undefined ? undefined : this.#fields(key, view, as);
  }

  /** One per key, in their order; undefined: absent. */
  async getMany(keys: readonly string[], options?: ReadOptions): Promise<(MapValue<T> | undefined)[]> {
    const { views, as } = await this.views('map-lww', keys, options);
    return views.map((view, i) => (view === undefined ? undefined : this.#fields(keys[i]!, view, as)));
  }

  /** As Register.scan. */
  async *scan(options?: ScanOptions): AsyncGenerator<Keyed<MapValue<T>>, void, undefined> {
    for await (const { key, view, as } of this.pages('map-lww', options)) yield { key, ...this.#fields(key, view, as) };
  }

  #fields(key: string, view: Extract<View, { type: 'map-lww' }>, as?: Freshness): MapValue<T> {
    // Null prototypes: a field may be called __proto__.
    const value = Object.create(null) as Record<string, T>;
    const versions = Object.create(null) as Record<string, Version>;
    for (const field of view.fields) {
      value[field.field] = decodeWith(this.#codec, field.value, this.collection, key);
      versions[field.field] = field.version;
    }
    return { value, versions, stale: false, ...as };
  }

  /** Writes these fields and leaves the others. */
  async update(
    key: string,
    fields: Readonly<Record<string, T>>,
    options?: UpdateOptions,
  ): Promise<Answered<Readonly<Record<string, T>>>> {
    return this.#write(this.op.update(key, fields, options), options);
  }

  /** Removes these fields. */
  async remove(
    key: string,
    fields: string | readonly string[],
    options?: WriteOptions,
  ): Promise<Answered<Readonly<Record<string, T>>>> {
    return this.#write(this.op.remove(key, fields), options);
  }

  /** Removes every field. */
  async delete(key: string, options?: WriteOptions): Promise<Answered<Readonly<Record<string, T>>>> {
    return this.#write(this.op.delete(key), options);
  }

  #write(op: Op, options: WriteOptions | undefined): Promise<Answered<Readonly<Record<string, T>>>> {
    return this.write('map-lww', op, options, (view) =>
      view === undefined ? undefined : this.#fields(op.key, view).value,
    );
  }
}

export interface UpdateOptions extends PutOptions {
  /** Fields to remove in the same op. */
  readonly remove?: readonly string[] | undefined;
}

export class MapOps<T> {
  readonly #collection: string;
  readonly #codec: Codec<T>;

  constructor(collection: string, codec: Codec<T>) {
    this.#collection = collection;
    this.#codec = codec;
  }

  update(
    key: string,
    fields: Readonly<Record<string, T>>,
    options: Pick<UpdateOptions, 'expiresAtMs' | 'remove'> = {},
  ): Op {
    const { expiresAtMs, remove = [] } = options;
    const put = Object.entries(fields).map(([field, value]) => ({
      field,
      value: this.#codec.encode(value),
      expiresAtMs,
    }));
    return opOf(this.#collection, key, { kind: 'map-update', put, remove });
  }

  remove(key: string, fields: string | readonly string[]): Op {
    const remove = typeof fields === 'string' ? [fields] : fields;
    return opOf(this.#collection, key, { kind: 'map-update', put: [], remove });
  }

  delete(key: string): Op {
    return opOf(this.#collection, key, { kind: 'delete' });
  }
}
