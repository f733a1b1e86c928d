// causeway conflicts tail: conflicts of one region or several, as they are judged.

import type { ConflictBatch } from '../client/index.ts';
import { EXIT_CODES, isCausewayError } from '../errors/errors.ts';
import { conflictDocument, conflictLine, scopeOf, type Scope } from './conflict-words.ts';
import { examples, usage, type AddCommand, type Context } from './context.ts';
import { withAdmin } from './nodes.ts';
import { jsonLine } from './terminal.ts';
import { wholeNumber } from './words.ts';

interface Flags {
  readonly from: string;
  readonly count?: number;
}

type Start = 'now' | 'beginning' | { readonly cursor: string };

/** After a node went away. */
const AGAIN_MS = 500;

export const addConflictsTail: AddCommand = (conflicts, act) => {
  conflicts
    .command('tail')
    .description('conflicts as they are judged, of every region that is asked, until Ctrl-C')
    .argument('[namespace[/collection[/key-prefix]]]', 'only these', scopeOf)
    .option(
      '--from <where>',
      'beginning (all that is kept), now, or the cursor of an earlier line (of one region)',
      'now',
    )
    .option('--count <n>', 'end after so many', wholeNumber(1))
    .addHelpText(
      'after',
      `${examples(
        ['causeway conflicts tail', 'of the region at 127.0.0.1:7400'],
        ['causeway conflicts tail demo -e eu-1:7400,us-1:7400', 'of a namespace in two regions'],
        ['causeway conflicts tail --from beginning --json', 'for programs: one JSON document per line, with a cursor'],
        ['causeway conflicts tail --from "$CURSOR" --json', 'go on, after a restart of the node too'],
      )}
If a node goes away it is tried again, from where it was.
`,
    )
    .action(act(tail));
};

async function tail(context: Context, scope: Scope | undefined, flags: Flags): Promise<number> {
  const { terminal } = context;
  const from = startOf(flags.from);
  if (typeof from === 'object' && context.endpoints.length > 1) {
    throw usage('--from: a cursor is of one region; ask that one alone');
  }
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  let seen = 0;
  const told = async (batch: ConflictBatch): Promise<void> => {
    if (batch.lost) terminal.note(terminal.warn(`${batch.region}: some conflicts before these have been dropped`));
    for (const [i, conflict] of batch.conflicts.entries()) {
      if (stop.signal.aborted) return;
      // A cursor stands behind the last of those that came together.
      const cursor = i === batch.conflicts.length - 1 && batch.cursor !== undefined ? { cursor: batch.cursor } : {};
      const text = terminal.json
        ? jsonLine({ ...conflictDocument(conflict), region: batch.region, ...cursor })
        : `${conflictLine(conflict, terminal)}\n`;
      if (!terminal.raw(text)) await terminal.drained();
      if (++seen === flags.count) end();
    }
  };
  try {
    await Promise.all(context.endpoints.map((endpoint) => follow(context, endpoint, scope, from, stop, told)));
  } finally {
    stop.abort();
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
  }
  return EXIT_CODES.ok;
}

/** Goes on where it was when the node comes back. The first failure before anything was heard is the command's. */
async function follow(
  context: Context,
  endpoint: string,
  scope: Scope | undefined,
  from: Start,
  stop: AbortController,
  told: (batch: ConflictBatch) => Promise<void>,
): Promise<void> {
  const { terminal, system } = context;
  const { signal } = stop;
  let start = from;
  let heard = false;
  while (!signal.aborted) {
    try {
      await withAdmin(context, endpoint, async (admin) => {
        for await (const batch of admin.watchConflicts({ ...scope, from: start, signal })) {
          heard = true;
          await told(batch);
          if (batch.cursor !== undefined) start = { cursor: batch.cursor };
          if (signal.aborted) return;
        }
      });
    } catch (error) {
      if (!heard || !isCausewayError(error) || !error.retriable) {
        stop.abort();
        throw error;
      }
      terminal.note(terminal.warn(`${error.message}; trying again`));
    }
    if (!signal.aborted) await new Promise<void>((resolve) => void system.timers.after(AGAIN_MS, resolve));
  }
}

function startOf(text: string): Start {
  if (text === 'beginning' || text === 'now') return text;
  if (text.length < 8) throw usage(`--from: expected beginning, now or a cursor; got '${text}'`);
  return { cursor: text };
}
