// causeway serve: runs one node of a region.

import { composeNode } from '../compose.ts';
import { addChaosFlags, chaosSystem, type ChaosFlags } from './chaos-flags.ts';
import { examples, type AddCommand } from './context.ts';
import { addNodeFlags, configFromFlags, type NodeFlags } from './node-flags.ts';
import { runUntilStopped, stopSignals } from './run.ts';

export const addServe: AddCommand = (program, act) => {
  addChaosFlags(addNodeFlags(program.command('serve')))
    .description('run one node from its configuration, until SIGTERM or Ctrl-C')
    .addHelpText(
      'after',
      `${examples(
        ['causeway serve --config examples/us-east.yaml', 'a node from a file'],
        ['CAUSEWAY_LOG_LEVEL=debug causeway serve -c node.yaml', 'a variable over the file'],
        ['causeway serve -c node.yaml --set limits.batchOpsMax=1000', 'a flag over both'],
      )}
Flags win over CAUSEWAY_* variables, these over the file, the file over defaults; see causeway config print --show-origin.
SIGTERM and Ctrl-C finish what is under way and exit 0; a second one ends at once.
`,
    )
    .action(
      act(async ({ system, ...context }, flags: NodeFlags & ChaosFlags) => {
        const { config } = configFromFlags({ system, ...context }, flags);
        const nodeSystem = chaosSystem(system, flags);
        const signals = stopSignals();
        const node = await composeNode(config, nodeSystem);
        if (nodeSystem !== system) node.log.warn('the clock of this node is set wrong on purpose (--chaos)');
        await runUntilStopped([node], signals, system, (text) => node.log.info(text));
      }),
    );
};
