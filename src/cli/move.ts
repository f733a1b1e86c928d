// causeway move: has a shard of a region of several nodes owned by another one of them, by hand.

import { EXIT_CODES } from '../errors/errors.ts';
import { examples, usage, type AddCommand, type Context } from './context.ts';
import { withAdmin } from './nodes.ts';

interface Flags {
  readonly back?: true;
}

const SHARD = /^[1-9]\d{0,4}\/\d{1,4}$/;

export const addMove: AddCommand = (program, act) => {
  program
    .command('move')
    .description('have a shard owned by another node of its region, e.g. one that is too hot where it is')
    .argument('<shard>', 'placement/index, as status shows it')
    .argument('[node]', 'a node of the region that is asked')
    .option(
      '--back',
      'take an earlier move back: the shard is shared like the others again, and stays if shares are even',
    )
    .addHelpText(
      'after',
      `${examples(
        ['causeway status --shards', 'which node owns which shard'],
        ['causeway move 1/3 eu-2', 'to this node'],
        ['causeway move 1/3 --back', 'and back'],
      )}
Any node of the region may be asked. The owner finishes what is under way and gives the shard up, the other one takes it over; writes wait for that.
A move stays in force until it is taken back, also over restarts; while its node is gone the shard is owned by another one. status shows it.
Exits 4 when the shard is not there within --timeout: the move stays in force.
`,
    )
    .action(act(move));
};

async function move(context: Context, shard: string, node: string | undefined, { back }: Flags): Promise<number> {
  const { terminal, endpoints } = context;
  if (!SHARD.test(shard)) throw usage(`a shard is placement/index, e.g. 1/3; got '${shard}'`);
  if ((node === undefined) === (back === undefined)) {
    throw usage(
      back === true ? '--back takes no node: it goes where it belongs' : 'expected a node to move it to, or --back',
    );
  }
  const moved = await withAdmin(context, endpoints[0]!, (admin) => admin.moveShard(shard, node));
  const at = moved.node === '' ? 'no node' : moved.node;
  if (terminal.json) terminal.document(moved);
  else if (moved.moved)
    terminal.line(
      `${shard} of ${moved.region} is at ${terminal.good(at)}${node === undefined ? ', where it belongs' : ''}`,
    );
  else
    terminal.line(
      terminal.warn(`${shard} of ${moved.region} is still at ${at}; the move stays in force, see causeway status`),
    );
  return moved.moved ? EXIT_CODES.ok : EXIT_CODES.unavailable;
}
