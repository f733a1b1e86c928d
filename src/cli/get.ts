// causeway get: what a region has for some keys.

import type { View } from '../client/types.ts';
import { EXIT_CODES } from '../errors/errors.ts';
import { examples, usage, type AddCommand, type Context } from './context.ts';
import { collectionType, keysMissing, noteStale, withClient } from './nodes.ts';
import { addReadFlags, readOptions, type ReadFlags } from './read-flags.ts';
import { table, type Terminal } from './terminal.ts';
import { asOfDocument, viewDocument } from './view-words.ts';
import { allKeyNames, printable, type KeyName } from './words.ts';

interface Flags extends ReadFlags {
  readonly raw?: true;
}

export const addGet: AddCommand = (program, act) => {
  addReadFlags(
    program
      .command('get')
      .description('read keys')
      .argument('<namespace/collection/key...>', 'which keys; several of one collection are read at once', allKeyNames),
  )
    .option('--raw', "a register's bytes as they are, without a line end")
    .addHelpText(
      'after',
      `${examples(
        ['causeway get demo/profiles/anna', 'the value'],
        ['causeway get demo/profiles/anna --json', 'with its version and a session token'],
        ['causeway get demo/profiles/anna demo/profiles/bob', 'several keys'],
        ['causeway get demo/profiles/anna --session "$TOKEN"', 'read your own write, in any region'],
        ['causeway get demo/profiles/anna --session-file ~/.causeway-session', 'the same, carried by a file'],
        [
          'causeway get demo/profiles/anna --consistency bounded:2s',
          'at most two seconds behind any region, or a refusal',
        ],
        ['causeway get demo/files/logo.png --raw > logo.png', 'bytes'],
      )}
Exits 5 when a key has no value.
`,
    )
    .action(act(get));
};

async function get(context: Context, names: readonly KeyName[], flags: Flags): Promise<number> {
  const { terminal } = context;
  const { namespace, collection } = names[0]!;
  if (names.some((name) => name.namespace !== namespace || name.collection !== collection)) {
    throw usage('expected keys of one collection; read others with a command of their own');
  }
  return withClient(context, namespace, flags, async (client) => {
    const type = await collectionType(client, collection);
    const keys = names.map(({ key }) => key);
    const { views, stale, asOfStamp } = await client.read(collection, keys, readOptions(flags));
    const missing = keys.filter((_, i) => views[i] === undefined);
    if (terminal.json) {
      const values = keys.map((key, i) => ({ key, ...viewDocument(views[i]) }));
      const head = {
        namespace,
        collection,
        type,
        region: client.endpoint()?.region,
        stale,
        ...asOfDocument(asOfStamp),
        session: client.session(),
      };
      terminal.document(names.length === 1 ? { ...head, ...values[0] } : { ...head, values });
      return missing.length === 0 ? EXIT_CODES.ok : EXIT_CODES.notFound;
    }
    if (stale) noteStale(terminal);
    for (const [i, key] of keys.entries()) {
      const view = views[i];
      if (view === undefined) continue;
      if (names.length > 1) terminal.line(terminal.bold(`${collection}/${key}`));
      show(view, terminal, flags.raw === true);
    }
    if (missing.length > 0) {
      const whole = missing.map((key) => `${namespace}/${collection}/${key}`);
      throw keysMissing(whole, client);
    }
    return EXIT_CODES.ok;
  });
}

function show(view: View, terminal: Terminal, raw: boolean): void {
  switch (view.type) {
    case 'register-lww':
      if (raw) terminal.raw(view.value);
      else terminal.line(printable(view.value));
      return;
    case 'register-mv':
      if (view.siblings.length > 1) {
        terminal.note(
          terminal.warn(`${view.siblings.length} concurrent values; the next put replaces those it has seen`),
        );
      }
      for (const { value } of view.siblings) {
        if (raw) terminal.raw(value);
        else terminal.line(printable(value));
      }
      return;
    case 'counter-pn':
      terminal.line(String(view.value));
      return;
    case 'set-aw':
      for (const element of view.elements) terminal.line(printable(element));
      return;
    case 'map-lww': {
      const rows = view.fields.map(({ field, value }) => [
        terminal.person ? terminal.bold(field) : `${field}=${printable(value)}`,
        printable(value),
      ]);
      // Programs get what put takes.
      for (const line of terminal.person ? table(rows) : rows.map(([line]) => line!)) terminal.line(line);
      return;
    }
  }
}
