// A collection's default expiry: given to what is written without one, by the region that takes the write. In the op it is an absolute
// time like any other, so no other region needs to know the collection's attributes (DESIGN 7).

import type { Intent } from '../merge/types.ts';

export function withDefaultExpiry(intent: Intent, expiresAtMs: number): Intent {
  switch (intent.kind) {
    case 'put':
    case 'set-add':
      return intent.expiresAtMs === undefined ? { ...intent, expiresAtMs } : intent;
    case 'map-update':
      return {
        ...intent,
        put: intent.put.map((one) => (one.expiresAtMs === undefined ? { ...one, expiresAtMs } : one)),
      };
    default:
      return intent;
  }
}
