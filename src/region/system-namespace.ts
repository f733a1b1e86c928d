// The namespace that Causeway writes itself: definitions of collections. Clients read it like any other.

import { CausewayError } from '../errors/errors.ts';
import { SYSTEM_NAMESPACE } from '../record/ids.ts';

/** Of a client's write; undefined: it is another namespace. */
export function refusalOfWriteTo(namespace: string): CausewayError | undefined {
  if (namespace !== SYSTEM_NAMESPACE) return undefined;
  return new CausewayError('INVALID_ARGUMENT', `namespace ${SYSTEM_NAMESPACE} is written by Causeway alone`, {
    hint: 'collections are changed by causeway collection create, alter and drop',
    details: { field: 'namespace' },
  });
}
