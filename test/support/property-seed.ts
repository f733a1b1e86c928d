// What properties draw from. The seed is the tree of the commit: the same code draws the same cases wherever it is tested, and each
// commit draws others. `PROPERTY_SEED=random npm test` draws anew, `PROPERTY_SEED=4711 npm test` as somebody else did.

import fc from 'fast-check';
import { inject } from 'vitest';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly propertySeed: number;
  }
}

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: inject('propertySeed') });
