// causeway status: what nodes know about themselves and their peers.

import { EXIT_CODES } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { askEach } from './nodes.ts';
import { statusLines } from './status-screen.ts';

export const addStatus: AddCommand = (program, act) => {
  program
    .command('status')
    .description('regions, peers, lag, clocks, log and store, alarms: one screen')
    .option('--shards', 'every shard by itself')
    .addHelpText(
      'after',
      `${examples(
        ['causeway status', 'the node at 127.0.0.1:7400'],
        ['causeway status -e eu-1:7400,us-1:7400', 'several, one after the other'],
        ['causeway status --json', 'everything, for programs'],
        ['causeway status --shards', 'which shard holds what back'],
      )}
lag: how far behind this node's clock the peer's promises are. It grows while a peer is silent, and is never zero by accident.
to send: writes of this region that the peer has not acknowledged. clock: the peer's clock minus this one's.
Exits 4 when one of the nodes does not answer.
`,
    )
    .action(act(status));
};

async function status(context: Context, flags: { readonly shards?: true }): Promise<number> {
  const { terminal } = context;
  const answers = await askEach(context, (admin) => admin.status());
  const failed = answers.some((answer) => 'error' in answer);
  if (terminal.json) {
    const documents = answers.map((answer) =>
      'value' in answer
        ? { endpoint: answer.endpoint, ...answer.value }
        : { endpoint: answer.endpoint, error: { code: answer.error.code, message: answer.error.message } },
    );
    terminal.document(documents.length === 1 ? documents[0] : documents);
  } else {
    for (const [i, answer] of answers.entries()) {
      if (i > 0) terminal.line();
      if (answers.length > 1) terminal.line(terminal.dim(answer.endpoint));
      if ('value' in answer)
        for (const line of statusLines(answer.value, terminal, flags.shards === true)) terminal.line(line);
      else terminal.line(terminal.bad(`does not answer: ${answer.error.message}`));
    }
  }
  return failed ? EXIT_CODES.unavailable : EXIT_CODES.ok;
}
