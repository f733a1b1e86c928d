// What a reader sees and what an op did, as messages. Plain objects for Type.encode: enums as numbers, absent fields absent.

import type { View } from '../merge/types.ts';
import type { CollectionRef, MergeTypeName } from '../record/op.ts';
import type { CollectionInfo } from '../proto/generated/causeway/v1/CollectionInfo.ts';
import type { View as ViewMessage } from '../proto/generated/causeway/v1/View.ts';

/** Numbers of causeway.v1.MergeType. */
const MERGE_TYPE_NUMBERS: Readonly<Record<MergeTypeName, number>> = {
  'register-lww': 1,
  'register-mv': 2,
  'counter-pn': 3,
  'set-aw': 4,
  'map-lww': 5,
};

/** As Type.encode takes it. */
export type CollectionMessage = Omit<CollectionInfo, 'mergeType'> & { mergeType: number };

export function mergeTypeNumber(type: MergeTypeName): number {
  return MERGE_TYPE_NUMBERS[type];
}

export function collectionMessage(collection: CollectionRef): CollectionMessage {
  return { name: collection.name, id: collection.id, mergeType: MERGE_TYPE_NUMBERS[collection.type] };
}

export function viewMessage(view: View | undefined): ViewMessage {
  if (view === undefined) return {};
  switch (view.type) {
    case 'register-lww': {
      const { value, version, expiresAtMs } = view;
      return { register: { value, version, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) } };
    }
    case 'register-mv':
      return { siblings: { siblings: [...view.siblings] } };
    case 'counter-pn':
      return { counter: view.value.toString() };
    case 'set-aw':
      return { set: { elements: [...view.elements] } };
    case 'map-lww':
      return { map: { fields: [...view.fields] } };
  }
}
