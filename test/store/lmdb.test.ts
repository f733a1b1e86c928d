import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { LmdbStore } from '../../src/store/lmdb.ts';
import { runStoreContract } from '../contract/store.ts';

runStoreContract('lmdb', () => {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'causeway-store-'));
  const make = (): LmdbStore => new LmdbStore({ directory, logIdentity: 'log/1' });
  return Promise.resolve({ make, cleanup: () => fs.promises.rm(directory, { recursive: true }) });
});
