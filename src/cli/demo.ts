// causeway demo: the demo of the repository, with whatever flags it takes.

import { examples, type AddCommand } from './context.ts';
import { argsBehind, handOver } from './handover.ts';

export const addDemo: AddCommand = (program, act) => {
  program
    .command('demo')
    .description('three regions, real flights, one region killed in mid-run (the same as npm start)')
    .argument('[flags...]', 'handed to the demo as they are')
    .allowUnknownOption()
    .addHelpText(
      'after',
      examples(
        ['causeway demo', 'watch it, then try the commands it prints; Ctrl-C ends it'],
        ['causeway demo --once --json', 'run once and print one JSON document'],
        ['causeway demo --once --no-kill --flights 2000', 'shorter, and everyone survives'],
      ),
    )
    .action(act(() => handOver('dist/demo/main.js', argsBehind('demo', process.argv))));
};
