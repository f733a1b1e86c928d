// Where canaries are written: a collection of Causeway's own namespace, key `<from>/<to>` and back `<from>/<to>/echo`.

import { SYSTEM_NAMESPACE } from '../record/ids.ts';
import type { CollectionRef } from '../record/op.ts';

export const CANARIES: CollectionRef = { namespace: SYSTEM_NAMESPACE, name: 'canaries', id: 1, type: 'register-lww' };

export function isCanaries(collection: CollectionRef | undefined): boolean {
  return collection?.name === CANARIES.name && collection.namespace === CANARIES.namespace;
}

/** One that a peer wrote, durable and visible here. */
export interface LandedCanary {
  readonly key: string;
  /** Of its op. */
  readonly payload: Uint8Array;
  readonly stamp: number;
  readonly context: Uint8Array;
}
