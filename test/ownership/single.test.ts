import { SingleOwnership } from '../../src/ownership/single.ts';
import { runOwnershipContractAlone } from '../contract/ownership.ts';

const nothing = (): Promise<void> => Promise.resolve();

runOwnershipContractAlone('a region of one node', () => ({
  start: (name) => Promise.resolve({ name, ownership: new SingleOwnership(), stop: nothing, cut: () => undefined }),
  cleanup: nothing,
}));
