import { MemoryStore, MemoryStoreDisk } from '../../src/store/memory.ts';
import { runStoreContract } from '../contract/store.ts';

runStoreContract('memory', () => {
  const disk = new MemoryStoreDisk();
  return Promise.resolve({ make: () => new MemoryStore({ disk }), cleanup: () => Promise.resolve() });
});
