import { MemoryDisk, MemoryLog } from '../../src/log/memory.ts';
import { runLogContract } from '../contract/log.ts';

runLogContract('memory', () => {
  const disk = new MemoryDisk();
  return Promise.resolve({ make: () => new MemoryLog({ disk }), cleanup: () => Promise.resolve() });
});
