// Views and topologies as they come from the wire → as the client shows them.

import type { GetTopologyResponse__Output } from '../proto/generated/causeway/v1/GetTopologyResponse.ts';
import type { MergeType, Topology, Version, View } from './types.ts';

/** By the numbers and the names of causeway.v1.MergeType. */
const MERGE_TYPES: Readonly<Record<string, MergeType>> = {
  1: 'register-lww',
  2: 'register-mv',
  3: 'counter-pn',
  4: 'set-aw',
  5: 'map-lww',
  MERGE_TYPE_REGISTER_LWW: 'register-lww',
  MERGE_TYPE_REGISTER_MV: 'register-mv',
  MERGE_TYPE_COUNTER_PN: 'counter-pn',
  MERGE_TYPE_SET_AW: 'set-aw',
  MERGE_TYPE_MAP_LWW: 'map-lww',
};

/** A type of a newer node keeps its name or number: what does not need to know it still works. */
export function mergeTypeOf(value: number | string): MergeType {
  return MERGE_TYPES[value] ?? (String(value) as MergeType);
}

interface DecodedVersion {
  readonly origin: string;
  readonly seq: number;
  readonly stamp: number;
}

/** As Type.decode gives it: what did not come is null, or for scalars the default, on the prototype. */
export interface DecodedView {
  readonly register?: {
    readonly value: Uint8Array;
    readonly version: DecodedVersion | null;
    readonly expiresAtMs: number;
  } | null;
  readonly siblings?: {
    readonly siblings: readonly { readonly value: Uint8Array; readonly version: DecodedVersion | null }[];
  } | null;
  readonly counter?: string;
  readonly set?: { readonly elements: readonly Uint8Array[] } | null;
  readonly map?: {
    readonly fields: readonly {
      readonly field: string;
      readonly value: Uint8Array;
      readonly version: DecodedVersion | null;
    }[];
  } | null;
}

export function versionOf(version: DecodedVersion | null): Version {
  return { origin: version?.origin ?? '', seq: version?.seq ?? 0, stamp: version?.stamp ?? 0 };
}

/** undefined: the key is absent. */
export function viewOf(view: DecodedView): View | undefined {
  if (view.register) {
    const { value, version, expiresAtMs } = view.register;
    return {
      type: 'register-lww',
      value,
      version: versionOf(version),
      expiresAtMs: expiresAtMs === 0 ? undefined : expiresAtMs,
    };
  }
  if (view.counter !== undefined && Object.hasOwn(view, 'counter'))
    return { type: 'counter-pn', value: BigInt(view.counter) };
  if (view.set) return { type: 'set-aw', elements: view.set.elements };
  if (view.map) {
    const fields = view.map.fields.map(({ field, value, version }) => ({ field, value, version: versionOf(version) }));
    return { type: 'map-lww', fields };
  }
  if (view.siblings) {
    const siblings = view.siblings.siblings.map(({ value, version }) => ({ value, version: versionOf(version) }));
    return { type: 'register-mv', siblings };
  }
  return undefined;
}

export function topologyOf(message: GetTopologyResponse__Output): Topology {
  const { limits } = message;
  return {
    region: message.region,
    node: message.node,
    version: message.version,
    ready: message.ready,
    readyReason: message.readyReason,
    namespaces: message.namespaces.map(({ name, placementId, shards, collections }) => ({
      name,
      placementId,
      shards,
      collections: collections.map((collection) => ({
        name: collection.name,
        id: collection.id,
        type: mergeTypeOf(collection.mergeType),
      })),
    })),
    limits: {
      keyBytesMax: limits?.keyBytesMax ?? 0,
      valueBytesMax: limits?.valueBytesMax ?? 0,
      opsPerRequestMax: limits?.opsPerRequestMax ?? 0,
      requestBytesMax: limits?.requestBytesMax ?? 0,
      streamMessageBytesMax: limits?.streamMessageBytesMax ?? 0,
      keysPerReadMax: limits?.keysPerReadMax ?? 0,
      scanPageSizeMax: limits?.scanPageSizeMax ?? 0,
    },
    peers: message.peers,
  };
}
