// A process that runs chunks of seeds for bulk.ts.

import { runChunk } from './bulk.ts';

// Ctrl-C goes to all processes of a terminal: the parent asks for no more chunks, and the one under way is finished.
process.on('SIGINT', () => undefined);

// A parent that is gone wants no more results.
process.on('disconnect', () => process.exit(0));

process.on('message', (chunk) => {
  runChunk(chunk as Parameters<typeof runChunk>[0]).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exit(1);
    },
  );
});
