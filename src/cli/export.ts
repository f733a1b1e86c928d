// causeway export: the keys of a namespace as lines of JSON, for import, backups and other tools.

import { createWriteStream, renameSync, type WriteStream } from 'node:fs';
import { once } from 'node:events';
import type { Causeway } from '../client/index.ts';
import { CausewayError } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { lineOf } from './ndjson.ts';
import { collectionType, noteStale, withClient } from './nodes.ts';
import { Progress } from './progress.ts';
import { addReadFlags, readOptions, type ReadFlags } from './read-flags.ts';
import { jsonLine, type Terminal } from './terminal.ts';
import { keyRange, type KeyRange } from './words.ts';

interface Flags extends ReadFlags {
  readonly output?: string;
}

const PAGE_SIZE = 1000;

export const addExport: AddCommand = (program, act) => {
  addReadFlags(
    program
      .command('export')
      .description('write keys as lines of JSON (NDJSON), one key a line')
      .argument('<namespace[/collection[/key-prefix]]>', 'what to export', keyRange),
  )
    .option('-o, --output <file>', 'into a file, which is there when all of it is; else to standard output')
    .addHelpText(
      'after',
      `${examples(
        ['causeway export demo -o demo.ndjson', 'all collections of a namespace'],
        ['causeway export demo/profiles | gzip > profiles.ndjson.gz', 'one collection'],
        ['causeway export demo/flights/2001-01 | jq -c .fields', 'keys that begin so, for other tools'],
      )}
Each collection is read in the order of its keys, as it is meanwhile: not all at one moment. Values, not history: see causeway watch
--from beginning for that. causeway import writes the lines back.
`,
    )
    .action(act(exportKeys));
};

function exportKeys(context: Context, range: KeyRange, flags: Flags): Promise<void> {
  const { terminal, system } = context;
  const progress = new Progress(system, process.stderr, 'keys');
  return withClient(context, range.namespace, flags, async (client) => {
    const collections = await collectionsOf(client, range);
    const out = flags.output === undefined ? terminal : await openFile(flags.output);
    let done = 0;
    let stale = false;
    try {
      for (const collection of collections) {
        let pageToken = '';
        do {
          const options = { ...readOptions(flags), prefix: range.prefix, pageSize: PAGE_SIZE, pageToken };
          const page = await client.scan(collection, options);
          stale ||= page.stale;
          for (const { key, view } of page.entries) {
            if (!out.raw(jsonLine(lineOf(collection, key, view)))) await out.drained();
          }
          done += page.entries.length;
          progress.update(done);
          pageToken = page.nextPageToken;
        } while (pageToken !== '');
      }
      if (out !== terminal) await (out as FileOutput).end();
    } finally {
      progress.clear();
    }
    if (stale) noteStale(terminal);
    if (flags.output !== undefined && terminal.json)
      terminal.document({ keys: done, collections, output: flags.output });
    else terminal.note(terminal.dim(`exported ${progress.summary(done)}`));
  });
}

async function collectionsOf(client: Causeway, { collection }: KeyRange): Promise<readonly string[]> {
  if (collection !== undefined) {
    await collectionType(client, collection);
    return [collection];
  }
  const { namespaces } = await client.topology();
  return (namespaces.find(({ name }) => name === client.namespace)?.collections ?? [])
    .map(({ name }) => name)
    .toSorted();
}

type Output = Pick<Terminal, 'raw' | 'drained'>;

interface FileOutput extends Output {
  end(): Promise<void>;
}

/** Under another name until it is whole: what stands under the name that was asked for is never a part. */
async function openFile(path: string): Promise<FileOutput> {
  const part = `${path}.part`;
  const stream: WriteStream = createWriteStream(part);
  let failure: Error | undefined;
  stream.on('error', (error) => {
    failure = error;
  });
  const check = (): void => {
    if (failure === undefined) return;
    throw new CausewayError('INVALID_ARGUMENT', `cannot write ${part}: ${failure.message}`, { cause: failure });
  };
  await Promise.race([once(stream, 'open'), once(stream, 'close')]).catch(() => undefined);
  check();
  return {
    raw: (text) => {
      check();
      return stream.write(text);
    },
    drained: async () => {
      if (stream.writableNeedDrain)
        await Promise.race([once(stream, 'drain'), once(stream, 'close')]).catch(() => undefined);
      check();
    },
    end: async () => {
      await new Promise<void>((resolve) => {
        stream.once('close', resolve);
        stream.end();
      });
      check();
      renameSync(part, path);
    },
  };
}
