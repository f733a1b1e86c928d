// causeway completion: a script that lets a shell complete commands and flags.

import { Argument } from 'commander';
import { examples, type AddCommand } from './context.ts';
import { completionScript, placesOf, SHELLS, type Shell } from './shells.ts';

export const addCompletion: AddCommand = (program, act) => {
  program
    .command('completion')
    .description('print a script that completes commands and flags in your shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        ['source <(causeway completion bash)', 'now; in ~/.bashrc for always'],
        ['causeway completion zsh > "${fpath[1]}/_causeway"', 'then start zsh again'],
        ['causeway completion fish > ~/.config/fish/completions/causeway.fish', 'fish finds it there'],
      ),
    )
    .action(
      act((context, shell: Shell) => {
        context.terminal.raw(completionScript(shell, placesOf(program)));
        return Promise.resolve();
      }),
    );
};
