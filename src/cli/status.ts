// causeway status: what nodes know about themselves and their peers.

import type { NodeStatus } from '../client/index.ts';
import { EXIT_CODES } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { askEach } from './nodes.ts';
import { addRegionFlags, regionContext, type RegionFlags } from './region-endpoints.ts';
import { regionLines } from './regions.ts';
import { statusLines } from './status-screen.ts';
import { wholeRegion } from './whole-region.ts';

export const addStatus: AddCommand = (program, act) => {
  addRegionFlags(program.command('status'))
    .description('regions, peers, lag, clocks, log and store, alarms: one screen')
    .option('--shards', 'every shard by itself')
    .addHelpText(
      'after',
      `${examples(
        ['causeway status', 'the node at 127.0.0.1:7400'],
        ['causeway status -e eu-1:7400,us-1:7400', 'several: all regions in a table, then each'],
        ['causeway status --config node.yaml', 'of all regions of a configuration'],
        ['causeway status --json', 'everything, for programs'],
        ['causeway status --shards', 'which shard holds what back'],
      )}
lag: how far behind this node's clock the peer's promises are. It grows while a peer is silent, and is never zero by accident.
to send: writes of this region that the peer has not acknowledged. clock: the peer's clock minus this one's.
In a region of several nodes any of them tells of all: a line for each node, and figures of the whole region (with --json in "whole"; the rest is the asked node's own).
Exits 4 when one of the nodes does not answer, or the owner of a shard does not.
`,
    )
    .action(act(status));
};

/** Beside what each node says of itself. */
function wholeDocument(answer: NodeStatus): object {
  if (answer.others.length === 0) return {};
  const { status: whole, missing } = wholeRegion(answer);
  const { keys, counters, peers } = whole;
  return { whole: { keys, counters, peers, missing } };
}

async function status(asked: Context, flags: RegionFlags & { readonly shards?: true }): Promise<number> {
  const context = await regionContext(asked, flags);
  const { terminal } = context;
  const answers = await askEach(context, (admin) => admin.status());
  const failed = answers.some((answer) => 'error' in answer || wholeRegion(answer.value).missing.length > 0);
  if (terminal.json) {
    const documents = answers.map((answer) =>
      'value' in answer
        ? { endpoint: answer.endpoint, ...answer.value, ...wholeDocument(answer.value) }
        : { endpoint: answer.endpoint, error: { code: answer.error.code, message: answer.error.message } },
    );
    terminal.document(documents.length === 1 ? documents[0] : documents);
  } else {
    if (answers.length > 1) for (const line of regionLines(answers, terminal)) terminal.line(line);
    for (const answer of answers) {
      if (answers.length > 1) terminal.line();
      if (answers.length > 1) terminal.line(terminal.dim(answer.endpoint));
      if ('value' in answer)
        for (const line of statusLines(answer.value, terminal, flags.shards === true)) terminal.line(line);
      else terminal.line(terminal.bad(`does not answer: ${answer.error.message}`));
    }
  }
  return failed ? EXIT_CODES.unavailable : EXIT_CODES.ok;
}
