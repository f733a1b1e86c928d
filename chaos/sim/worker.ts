// A process that runs chunks of seeds for bulk.ts.

import { runChunk } from './bulk.ts';

process.on('message', (chunk) => {
  runChunk(chunk as Parameters<typeof runChunk>[0]).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exit(1);
    },
  );
});
