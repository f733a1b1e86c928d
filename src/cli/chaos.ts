// causeway chaos: a cluster on this machine, broken on purpose while clients use it, and judged by what they saw.

import { examples, type AddCommand } from './context.ts';
import { argsBehind, handOver } from './handover.ts';

export const addChaos: AddCommand = (program, act) => {
  program
    .command('chaos')
    .description(
      'break a cluster on purpose under traffic, and judge what its clients saw (a copy of yours, on this machine)',
    )
    .argument('[flags...]', 'handed to it as they are; --list names the scenarios')
    .allowUnknownOption()
    .addHelpText(
      'after',
      examples(
        ['causeway chaos region-kill', 'three regions of its own; one dies; a report'],
        [
          'causeway chaos everything --minutes 5 --config us-east.yaml --config eu-west.yaml',
          'with your regions, limits and collections',
        ],
        ['causeway chaos check .data/chaos/region-kill-7', 'judge a saved history again'],
      ),
    )
    .action(act(() => handOver('dist/chaos/main.js', argsBehind('chaos', process.argv))));
};
