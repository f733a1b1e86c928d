// causeway set: elements of a set-aw.

import { EXIT_CODES } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { collectionType, noteStale, withClient } from './nodes.ts';
import { addReadFlags, readOptions, type ReadFlags } from './read-flags.ts';
import { durationMs, jsonBytes, keyName, printable, type KeyName } from './words.ts';
import { addWriteFlags, change, wrongType, type WriteFlags } from './write.ts';

export const addSet: AddCommand = (program, act) => {
  const set = program
    .command('set')
    .description('add and remove elements of a set, and list them')
    .addHelpText(
      'after',
      examples(
        ['causeway set add demo/sets/tags blue green', 'an add wins over a concurrent remove'],
        ['causeway set rm demo/sets/tags red', 'what this region has of it'],
        ['causeway set members demo/sets/tags', 'one per line'],
      ),
    );

  addWriteFlags(
    set
      .command('add')
      .description('add elements')
      .argument('<namespace/collection/key>', 'which set', keyName)
      .argument('<elements...>', 'what to add'),
  )
    .option('--ttl <duration>', 'gone after this long', durationMs)
    .addHelpText(
      'after',
      examples(
        ['causeway set add demo/sets/tags blue green', 'two elements in one write'],
        ['causeway set add demo/sets/online anna --ttl 30s', 'gone by itself unless it is added again'],
      ),
    )
    .action(act(add));

  addWriteFlags(
    set
      .command('rm')
      .description('remove elements')
      .argument('<namespace/collection/key>', 'which set', keyName)
      .argument('<elements...>', 'what to remove'),
  )
    .addHelpText(
      'after',
      `${examples(['causeway set rm demo/sets/tags red', 'one that is not there is no mistake'])}
Removes what this region has seen: an add elsewhere at the same time wins.
`,
    )
    .action(act(remove));

  addReadFlags(
    set
      .command('members')
      .description('list the elements, one per line, in the order of their bytes')
      .argument('<namespace/collection/key>', 'which set', keyName),
  )
    .addHelpText(
      'after',
      `${examples(
        ['causeway set members demo/sets/tags', 'one per line'],
        ['causeway set members demo/sets/tags --json | jq .elements[]', 'for programs'],
      )}
A set that has no elements prints nothing and exits 0.
`,
    )
    .action(act(members));
};

function add(
  context: Context,
  name: KeyName,
  elements: readonly string[],
  flags: WriteFlags & { readonly ttl?: number },
): Promise<void> {
  const { collection, key } = name;
  const expiry = flags.ttl === undefined ? {} : { expiresAtMs: context.system.clock.nowMs() + flags.ttl };
  const intent = { kind: 'set-add', elements: elements.map(utf8), ...expiry } as const;
  return change(context, name, flags, () => [{ collection, key, intent }], { only: 'set-aw' });
}

function remove(context: Context, name: KeyName, elements: readonly string[], flags: WriteFlags): Promise<void> {
  const { collection, key } = name;
  const intent = { kind: 'set-remove', elements: elements.map(utf8) } as const;
  return change(context, name, flags, () => [{ collection, key, intent }], { only: 'set-aw' });
}

function members(context: Context, name: KeyName, flags: ReadFlags): Promise<number> {
  const { terminal } = context;
  const { namespace, collection, key } = name;
  return withClient(context, namespace, flags, async (client) => {
    const type = await collectionType(client, collection);
    if (type !== 'set-aw') throw wrongType(name, type, 'set-aw');
    const { views, stale } = await client.read(collection, [key], readOptions(flags));
    const elements = views[0]?.type === 'set-aw' ? views[0].elements : [];
    if (terminal.json) {
      const region = client.endpoint()?.region;
      terminal.document({ ...name, elements: elements.map(jsonBytes), region, stale, session: client.session() });
    } else {
      if (stale) noteStale(terminal);
      for (const element of elements) terminal.line(printable(element));
    }
    return EXIT_CODES.ok;
  });
}

function utf8(text: string): Uint8Array {
  return Buffer.from(text);
}
