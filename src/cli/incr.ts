// causeway incr: adds to a counter and says what it is then.

import { InvalidArgumentError } from 'commander';
import { examples, type AddCommand, type Context } from './context.ts';
import { keyName, type KeyName } from './words.ts';
import { addWriteFlags, change, type WriteFlags } from './write.ts';

export const addIncr: AddCommand = (program, act) => {
  addWriteFlags(
    program
      .command('incr')
      .description('add to a counter, and print what it is then in this region')
      .argument('<namespace/collection/key>', 'which counter', keyName)
      .argument('[by]', 'a whole number, negative to subtract; 1 when it is left out', whole),
  )
    .addHelpText(
      'after',
      `${examples(
        ['causeway incr demo/counters/likes', 'one more'],
        ['causeway incr demo/counters/likes -3', 'three less'],
        ['causeway incr demo/counters/likes 5 --idempotency-key order-17', 'once, however often it is repeated'],
        ['n=$(causeway incr demo/counters/likes)', 'the number alone is on stdout'],
      )}
Increments of all regions count; the number is what this region has seen of them.
`,
    )
    .action(act(incr));
};

function incr(context: Context, name: KeyName, by: bigint | undefined, flags: WriteFlags): Promise<void> {
  const { collection, key } = name;
  return change(context, name, flags, () => [{ collection, key, intent: { kind: 'increment', by: by ?? 1n } }], {
    only: 'counter-pn',
    // A node that is too old to say so leaves it open.
    result: ({ after }) =>
      after === undefined ? 'ok' : String(after.view?.type === 'counter-pn' ? after.view.value : 0n),
  });
}

function whole(text: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) throw new InvalidArgumentError('Expected a whole number such as 5 or -3.');
  return BigInt(text.replace(/^\+/, ''));
}
