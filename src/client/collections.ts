// Collections as operators and tools see them: the shapes of the Admin service.

import type { Collection__Output } from '../proto/generated/causeway/v1/Collection.ts';
import type { DropCollectionResponse__Output } from '../proto/generated/causeway/v1/DropCollectionResponse.ts';
import type { ListCollectionsResponse__Output } from '../proto/generated/causeway/v1/ListCollectionsResponse.ts';
import type { MergeType, Version } from './types.ts';
import { mergeTypeOf, versionOf } from './views.ts';

/** A collection of the configuration, or a definition of run time. */
export interface NodeDefinition {
  readonly namespace: string;
  readonly name: string;
  readonly id: number;
  /** undefined: one that the node does not know. */
  readonly type: MergeType | undefined;
  /** `served`; `lost`: another definition of the name was created before it; `hidden`: the configuration has the name; `unknown-type`;
   *  `dropped`. A newer node may say others. */
  readonly state: string;
  /** `config` or `run-time`. */
  readonly source: string;
  readonly description: string;
  /** Of writes that say no expiry of their own; undefined: they do not expire. */
  readonly defaultExpiryMs: number | undefined;
  /** undefined: it is of the configuration alone. */
  readonly created: Version | undefined;
  readonly createdBy: readonly string[];
  readonly dropped: Version | undefined;
  /** Every region has heard of it (if it was dropped: of that), and nothing can come that was created before it. */
  readonly settled: boolean;
}

export interface CollectionFilter {
  readonly namespace?: string | undefined;
  /** Needs a namespace. */
  readonly name?: string | undefined;
  /** Also those that were dropped. */
  readonly dropped?: boolean | undefined;
  /** 1 to 1000; default 1000. */
  readonly pageSize?: number | undefined;
  /** From the page before. */
  readonly pageToken?: string | undefined;
}

export interface NodeDefinitionPage {
  readonly collections: readonly NodeDefinition[];
  /** undefined: this was the last page. */
  readonly nextPageToken: string | undefined;
  readonly region: string;
}

/** What can be altered. */
export interface CollectionAttributes {
  /** For people, up to 1024 bytes. */
  readonly description?: string | undefined;
  /** At least 1000; 0: none. */
  readonly defaultExpiryMs?: number | undefined;
}

export interface NewCollection extends CollectionAttributes {
  readonly namespace: string;
  readonly name: string;
  readonly type: MergeType;
}

export interface AlteredCollection extends CollectionAttributes {
  readonly namespace: string;
  readonly name: string;
  /** What the caller takes it for: another one is refused. */
  readonly type?: MergeType | undefined;
}

export interface DroppedCollection {
  readonly namespace: string;
  readonly name: string;
  /** Only this definition; another one that had lost to it is then served. Default: all of the name. */
  readonly id?: number | undefined;
}

export interface CollectionOptions {
  /** Answer when every region has heard of it; by the deadline all the same, with `settled: false`. */
  readonly wait?: boolean;
}

export interface ChangedCollection {
  readonly collection: NodeDefinition;
  /** False: it was so already. */
  readonly changed: boolean;
  readonly region: string;
}

export interface DroppedCollections {
  readonly collections: readonly NodeDefinition[];
  readonly region: string;
}

const MERGE_TYPE_NUMBERS: Readonly<Record<MergeType, number>> = {
  'register-lww': 1,
  'register-mv': 2,
  'counter-pn': 3,
  'set-aw': 4,
  'map-lww': 5,
};

/** As requests carry it. 0: does not matter. */
export function mergeTypeNumber(type: MergeType | undefined): number {
  return type === undefined ? 0 : MERGE_TYPE_NUMBERS[type];
}

export function attributes({ description, defaultExpiryMs }: CollectionAttributes): object {
  return {
    ...(description === undefined ? {} : { description }),
    ...(defaultExpiryMs === undefined ? {} : { defaultExpiryMs }),
  };
}

export function definitionOf(message: Collection__Output | null): NodeDefinition {
  const { collection, created, dropped } = message ?? {};
  const mergeType = collection?.mergeType ?? 'MERGE_TYPE_UNSPECIFIED';
  const defaultExpiryMs = message?.defaultExpiryMs ?? 0;
  return {
    namespace: message?.namespace ?? '',
    name: collection?.name ?? '',
    id: collection?.id ?? 0,
    type: mergeType === 'MERGE_TYPE_UNSPECIFIED' ? undefined : mergeTypeOf(mergeType),
    state: message?.state ?? '',
    source: message?.source ?? '',
    description: message?.description ?? '',
    defaultExpiryMs: defaultExpiryMs === 0 ? undefined : defaultExpiryMs,
    created: created ? versionOf(created) : undefined,
    createdBy: message?.createdBy ?? [],
    dropped: dropped ? versionOf(dropped) : undefined,
    settled: message?.settled ?? false,
  };
}

export function definitionPageOf(message: ListCollectionsResponse__Output): NodeDefinitionPage {
  return {
    collections: message.collections.map(definitionOf),
    nextPageToken: message.nextPageToken === '' ? undefined : message.nextPageToken,
    region: message.region,
  };
}

export function droppedOf({ collections, region }: DropCollectionResponse__Output): DroppedCollections {
  return { collections: collections.map(definitionOf), region };
}
