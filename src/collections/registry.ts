// What a node serves: the configuration's collections, and those that were created at run time, as far as it has heard.
// Owns: the map from name to collection that every request looks into.
//
// The configuration wins over a definition of the same name: it is equal in all regions that replicate with each other. A definition
// with the very id that the configuration gives is the same collection.

import { SYSTEM_NAMESPACE, type ShardId, type Version } from '../record/ids.ts';
import { DEFINITIONS, type CollectionRef } from '../record/op.ts';
import { definitionKey, resolve, type Definition } from './definition.ts';

/** A collection that requests may name. */
export interface ServedCollection extends CollectionRef {
  /** 0: none. */
  readonly defaultExpiryMs: number;
}

/** `served`. `lost`: another definition of the name was created first. `hidden`: the configuration has the name. `unknown-type`: only a
 *  newer version can serve it. */
export type CollectionState = 'served' | 'lost' | 'hidden' | 'unknown-type' | 'dropped';

export interface CollectionStatus {
  readonly ref: { readonly namespace: string; readonly name: string; readonly id: number };
  readonly type: CollectionRef['type'] | undefined;
  readonly state: CollectionState;
  readonly source: 'config' | 'run-time';
  readonly description: string;
  readonly defaultExpiryMs: number;
  /** undefined: by the configuration alone. */
  readonly created: Version | undefined;
  readonly createdBy: readonly string[];
  readonly dropped: Version | undefined;
}

export interface Clash {
  readonly namespace: string;
  readonly name: string;
  /** Since when, by the later creation. */
  readonly stamp: number;
  readonly message: string;
}

export class CollectionRegistry {
  readonly #config = new Map<string, ServedCollection>();
  /** Keys of rows, by the shard that holds them. */
  readonly #keys = new Map<ShardId, ReadonlySet<string>>();
  readonly #definitions = new Map<string, readonly Definition[]>();
  /** Kept, so that what is known by identity elsewhere stays known. */
  readonly #refs = new Map<string, ServedCollection>();
  readonly #served: Map<string, ServedCollection>;
  readonly #versions = new Map<ShardId, number>();

  constructor(config: readonly CollectionRef[]) {
    const system = { ...DEFINITIONS, defaultExpiryMs: 0 };
    this.#config.set(definitionKey(system.namespace, system.name), system);
    for (const { namespace, name, id, type } of config) {
      this.#config.set(definitionKey(namespace, name), { namespace, name, id, type, defaultExpiryMs: 0 });
    }
    this.#served = new Map(this.#config);
  }

  get(namespace: string, name: string): ServedCollection | undefined {
    return this.#served.get(`${namespace}/${name}`);
  }

  /** What clients may read and write; `_system` is left out. */
  served(): ServedCollection[] {
    return [...this.#served.values()].filter(({ namespace }) => namespace !== SYSTEM_NAMESPACE);
  }

  /** Definitions that are not dropped, of all shards. */
  get liveCount(): number {
    return this.#all().filter(({ dropped }) => dropped === undefined).length;
  }

  /** Of the shard's rows: counts how often they have been told. */
  versionOf(shard: ShardId): number {
    return this.#versions.get(shard) ?? 0;
  }

  /** All rows of a shard, by key. */
  replace(shard: ShardId, rows: ReadonlyMap<string, readonly Definition[]>): void {
    this.#versions.set(shard, this.versionOf(shard) + 1);
    for (const key of this.#keys.get(shard) ?? []) if (!rows.has(key)) this.#put(key, []);
    this.#keys.set(shard, new Set(rows.keys()));
    for (const [key, definitions] of rows) this.#put(key, definitions);
  }

  #put(key: string, definitions: readonly Definition[]): void {
    this.#definitions.set(key, definitions);
    if (definitions.length === 0) this.#definitions.delete(key);
    const { served } = resolve(definitions);
    const configured = this.#config.get(key);
    const ref =
      served?.type === undefined || (configured !== undefined && configured.id !== served.id)
        ? configured
        : this.#refOf(served);
    if (ref === undefined) this.#served.delete(key);
    else this.#served.set(key, ref);
  }

  #refOf({ namespace, name, id, type, defaultExpiryMs }: Definition): ServedCollection {
    const key = `${namespace}/${name}#${id}`;
    const known = this.#refs.get(key);
    if (known !== undefined && known.defaultExpiryMs === defaultExpiryMs) return known;
    const ref = { namespace, name, id, type: type!, defaultExpiryMs };
    this.#refs.set(key, ref);
    return ref;
  }

  configured(namespace: string, name: string): CollectionRef | undefined {
    return this.#config.get(definitionKey(namespace, name));
  }

  definitions(namespace: string, name: string): readonly Definition[] {
    return this.#definitions.get(definitionKey(namespace, name)) ?? [];
  }

  /** Known to be something else than what its name means now: dropped, lost or hidden. What is not known at all is not. */
  passedOver(collection: CollectionRef): boolean {
    const { namespace, name, id } = collection;
    if (this.get(namespace, name)?.id === id) return false;
    return this.definitions(namespace, name).some((definition) => definition.id === id);
  }

  #all(): Definition[] {
    return [...this.#definitions.values()].flat();
  }

  /** Everything there is, by name and then in the order of creation; the configuration's first. */
  list(): CollectionStatus[] {
    const all: CollectionStatus[] = [];
    for (const { namespace, name, id, type } of this.#config.values()) {
      if (namespace === SYSTEM_NAMESPACE) continue;
      if (this.definitions(namespace, name).some((one) => one.id === id && one.dropped === undefined)) continue;
      all.push({
        ref: { namespace, name, id },
        type,
        state: 'served',
        source: 'config',
        description: '',
        defaultExpiryMs: 0,
        created: undefined,
        createdBy: [],
        dropped: undefined,
      });
    }
    for (const definition of this.#all()) all.push(this.#statusOf(definition));
    return all.sort(byNameAndAge);
  }

  /** In no order. */
  dropped(): CollectionStatus[] {
    return this.#all()
      .filter((definition) => this.#stateOf(definition) === 'dropped')
      .map((definition) => this.#statusOf(definition));
  }

  #statusOf(definition: Definition): CollectionStatus {
    const { namespace, name, id, type, description, defaultExpiryMs, created, createdBy, dropped } = definition;
    return {
      ref: { namespace, name, id },
      type,
      state: this.#stateOf(definition),
      source: this.configured(namespace, name)?.id === id ? 'config' : 'run-time',
      description,
      defaultExpiryMs,
      created,
      createdBy,
      dropped,
    };
  }

  #stateOf({ namespace, name, id, dropped }: Definition): CollectionState {
    const configured = this.configured(namespace, name);
    if (configured?.id === id) return 'served';
    if (dropped !== undefined) return 'dropped';
    if (configured !== undefined) return 'hidden';
    const { served } = resolve(this.definitions(namespace, name));
    if (served?.id !== id) return 'lost';
    return served.type === undefined ? 'unknown-type' : 'served';
  }

  /** What a person has to decide. */
  clashes(): Clash[] {
    const clashes: Clash[] = [];
    for (const { ref, state, created, createdBy, type } of this.list()) {
      if (created === undefined || (state !== 'lost' && state !== 'hidden' && state !== 'unknown-type')) continue;
      const { namespace, name, id } = ref;
      const full = `${namespace}/${name}`;
      const it = `${full} (id ${id}, ${type ?? 'of an unknown merge type'}, created in ${createdBy.join(', ')})`;
      const served = this.get(namespace, name);
      const other = served === undefined ? 'another definition' : `id ${served.id} (${served.type})`;
      const why = {
        lost: `${it} is not served, because ${other} was created before it: what was written under it is kept, and hidden`,
        hidden: `${it} is not served, because the configuration has ${other} under the same name: what was written under it is kept, and hidden`,
        'unknown-type': `${it} can only be served by a newer version of Causeway`,
      }[state];
      clashes.push({ namespace, name, stamp: created.stamp, message: why });
    }
    return clashes;
  }
}

function byNameAndAge(a: CollectionStatus, b: CollectionStatus): number {
  const [one, two] = [definitionKey(a.ref.namespace, a.ref.name), definitionKey(b.ref.namespace, b.ref.name)];
  if (one !== two) return one < two ? -1 : 1;
  return (a.created?.stamp ?? 0) - (b.created?.stamp ?? 0);
}
