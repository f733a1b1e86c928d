// causeway del: keys that read as absent afterwards, whatever their merge type.

import type { Op } from '../client/types.ts';
import { isCausewayError } from '../errors/errors.ts';
import { examples, usage, type AddCommand, type Context } from './context.ts';
import { collectionType, withClient } from './nodes.ts';
import { allKeyNames, count, versionText, type KeyName } from './words.ts';
import { addWriteFlags, withKeys, type WriteFlags } from './write.ts';

interface Flags extends WriteFlags {
  readonly ifExists?: true;
}

export const addDel: AddCommand = (program, act) => {
  addWriteFlags(
    program
      .command('del')
      .description('delete keys, whatever their merge type')
      .argument('<namespace/collection/key...>', 'which keys, of one namespace', allKeyNames),
  )
    .option('--if-exists', 'only keys that have a value in this region; one that has none is a failure')
    .addHelpText(
      'after',
      `${examples(
        ['causeway del demo/profiles/anna', 'one key'],
        ['causeway del demo/profiles/anna demo/sets/tags', 'several, of any collections of a namespace'],
        ['causeway del demo/profiles/anna --if-exists', 'fails (6) when there is nothing to delete'],
        ['causeway del demo/counters/likes', 'a counter begins again at 0'],
      )}
What other regions write at the same time and have not seen the delete may stay: docs/MERGE_TYPES.md says what wins.
`,
    )
    .action(act(del));
};

async function del(context: Context, names: readonly KeyName[], flags: Flags): Promise<void> {
  const { terminal } = context;
  const { namespace } = names[0]!;
  if (names.some((name) => name.namespace !== namespace)) {
    throw usage('expected keys of one namespace; delete others with a command of their own');
  }
  await withClient(context, namespace, flags, async (client) => {
    for (const collection of new Set(names.map((name) => name.collection))) await collectionType(client, collection);
    const ops = names.map(({ collection, key }): Op => ({
      collection,
      key,
      intent: { kind: 'delete' },
      ...(flags.ifExists === true ? { condition: { kind: 'exists' } } : {}),
    }));
    const results = await client.write(withKeys(ops, flags.idempotencyKey), { durability: flags.durability });
    const done = names.flatMap((name, i) => {
      const result = results[i]!;
      return isCausewayError(result) ? [] : [{ ...name, version: versionText(result.version) }];
    });
    const failed = results.find((result) => isCausewayError(result));
    if (terminal.json && failed === undefined) {
      terminal.document({ deleted: done, region: client.endpoint()?.region, session: client.session() });
    } else if (!terminal.json) {
      for (const { collection, key } of done) terminal.line(`${terminal.good('deleted')} ${collection}/${key}`);
    }
    if (failed === undefined) return;
    if (names.length > 1) terminal.note(`${count(done.length)} of ${count(names.length)} keys were deleted`);
    throw failed;
  });
}
