// causeway bench: the benchmark of the repository, with whatever flags it takes.

import { examples, type AddCommand } from './context.ts';
import { argsBehind, handOver } from './handover.ts';

export const addBench: AddCommand = (program, act) => {
  program
    .command('bench')
    .description('measure throughput and replication lag on this machine (the same as npm run bench)')
    .argument('[flags...]', 'handed to the benchmark as they are')
    .allowUnknownOption()
    .addHelpText(
      'after',
      examples(
        ['causeway bench', 'three regions and their producers, flat out'],
        ['causeway bench --json --seconds 20', 'one JSON document'],
        ['causeway bench --rate 12000 --delay-ms 50', 'at a rate, over a long wire'],
      ),
    )
    .action(act(() => handOver('dist/test/bench/main.js', argsBehind('bench', process.argv))));
};
