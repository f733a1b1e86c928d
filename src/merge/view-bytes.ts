// How large a view is, before it is encoded: what bounds answers.

import type { View } from './types.ts';

/** About how many bytes a view takes on the wire. */
export function viewBytes(view: View | undefined): number {
  if (view === undefined) return 2;
  switch (view.type) {
    case 'register-lww':
      return view.value.length + 64;
    case 'register-mv':
      return view.siblings.reduce((sum, { value }) => sum + value.length + 64, 0);
    case 'counter-pn':
      return 32;
    case 'set-aw':
      return view.elements.reduce((sum, element) => sum + element.length + 4, 0);
    case 'map-lww':
      return view.fields.reduce((sum, { field, value }) => sum + field.length + value.length + 72, 0);
  }
}
