import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { SegmentLog } from '../../src/log/segment.ts';
import { realSystem } from '../../src/system/real.ts';
import { runLogContract } from '../contract/log.ts';

for (const [name, options] of Object.entries({
  'segment files': {},
  'segment files, small and uncached': { segmentBytes: 4096, tailCacheBytes: 0 },
})) {
  runLogContract(name, () => {
    const directory = fs.mkdtempSync(join(os.tmpdir(), 'causeway-log-'));
    const make = (): SegmentLog =>
      new SegmentLog({
        directory,
        clusterId: 'test',
        system: realSystem(),
        onFatal: (e) => {
          throw e;
        },
        ...options,
      });
    return Promise.resolve({ make, cleanup: () => fs.promises.rm(directory, { recursive: true }) });
  });
}
