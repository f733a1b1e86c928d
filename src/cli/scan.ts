// causeway scan: the keys of a collection, in their order.

import { InvalidArgumentError } from 'commander';
import { EXIT_CODES } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { collectionType, noteStale, withClient } from './nodes.ts';
import { addReadFlags, readOptions, type ReadFlags } from './read-flags.ts';
import { jsonLine } from './terminal.ts';
import { asOfDocument, viewDocument, viewLine } from './view-words.ts';
import { keyRange, wholeNumber, type KeyRange } from './words.ts';

interface Flags extends ReadFlags {
  readonly keys?: true;
  readonly limit?: number;
  readonly pageToken?: string;
}

type OneCollection = KeyRange & { readonly collection: string };

const PAGE_SIZE = 1000;

export const addScan: AddCommand = (program, act) => {
  addReadFlags(
    program
      .command('scan')
      .description('list keys with their values, in the order of the keys')
      .argument('<namespace/collection[/key-prefix]>', 'which keys', oneCollection),
  )
    .option('--keys', 'the keys alone')
    .option('--limit <n>', 'end after so many', wholeNumber(1))
    .option('--page-token <token>', 'go on where a scan with --limit ended')
    .addHelpText(
      'after',
      `${examples(
        ['causeway scan demo/profiles', 'all keys of a collection'],
        ['causeway scan demo/flights/2001-01 --keys', 'the keys that begin so'],
        ['causeway scan demo/profiles --limit 10', 'the first ten; says how to go on'],
        ['causeway scan demo/profiles --json | jq -r .key', 'for programs: one JSON document per line'],
      )}
Keys come in the order of their bytes. What is written while it runs may be seen or not; --timeout counts for each page.
`,
    )
    .action(act(scan));
};

function scan(context: Context, { namespace, collection, prefix }: OneCollection, flags: Flags): Promise<number> {
  const { terminal } = context;
  return withClient(context, namespace, flags, async (client) => {
    await collectionType(client, collection);
    let left = flags.limit ?? Infinity;
    let pageToken = flags.pageToken ?? '';
    let saidStale = false;
    do {
      // A page ends where the limit does, so that its token goes on right behind.
      const pageSize = Math.min(left, PAGE_SIZE);
      const page = await client.scan(collection, { ...readOptions(flags), prefix, pageSize, pageToken });
      if (page.stale && !saidStale) noteStale(terminal);
      saidStale ||= page.stale;
      for (const { key, view } of page.entries) {
        let text: string;
        if (terminal.json) {
          const shown = flags.keys === true ? { key } : { key, ...viewDocument(view) };
          text = jsonLine({ ...shown, ...asOfDocument(page.asOfStamp) });
        } else text = flags.keys === true ? `${key}\n` : `${terminal.bold(key)}\t${viewLine(view)}\n`;
        if (!terminal.raw(text)) await terminal.drained();
      }
      left -= page.entries.length;
      pageToken = page.nextPageToken;
    } while (pageToken !== '' && left > 0);
    if (pageToken !== '') terminal.note(terminal.dim(`there is more: --page-token ${pageToken}`));
    return EXIT_CODES.ok;
  });
}

function oneCollection(text: string): OneCollection {
  const { namespace, collection, prefix } = keyRange(text);
  if (collection !== undefined) return { namespace, collection, prefix };
  throw new InvalidArgumentError(
    'Expected namespace/collection, for example demo/profiles, and a key prefix if you like.',
  );
}
