// Ownership in a region of one node: everything, always. The data directory's lock keeps it true.

import type { Ownership } from './ownership.ts';

export class SingleOwnership implements Ownership {
  owns(): boolean {
    return true;
  }

  onChange(): void {
    // Nothing ever changes.
  }
}
