// causeway conflicts: what writes have lost to writes that had not seen them, and giving it back.

import { EXIT_CODES, isCausewayError } from '../errors/errors.ts';
import type { NodeConflict, NodeConflictPage } from '../client/index.ts';
import { conflictDocument, conflictLine, conflictLines, scopeOf, type Scope } from './conflict-words.ts';
import { addConflictsTail } from './conflicts-tail.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { withAdmin } from './nodes.ts';
import { jsonLine } from './terminal.ts';
import { durationMs, loserOf, loserText, timeOfStamp, versionText, wholeNumber, type LoserParts } from './words.ts';

interface ListFlags {
  readonly since?: number;
  readonly limit: number;
  readonly oldestFirst?: true;
}

interface RestoreFlags {
  readonly field?: readonly string[];
  readonly force?: true;
}

/** Of one page that is asked for. */
const PAGE_MAX = 1000;

export const addConflicts: AddCommand = (program, act) => {
  const conflicts = program
    .command('conflicts')
    .description('what writes have lost to writes that had not seen them: list, tail, show, restore')
    .addHelpText(
      'after',
      `${examples(
        ['causeway conflicts list demo', 'the newest of a namespace'],
        ['causeway conflicts tail -e eu-1:7400,us-1:7400', 'as they come, of both regions'],
        ['causeway conflicts restore 1/3:eu-west~0f3a5b7c9d1e:17', 'write the loser again'],
      )}
A conflict stands in the journal of the region that wrote the loser: ask every region (-e a,b,c) to see all of them.
`,
    );
  conflicts
    .command('list')
    .description('the newest conflicts of the regions that are asked')
    .argument('[namespace[/collection[/key-prefix]]]', 'only these', scopeOf)
    .option('--since <duration>', 'only those of the last 10m, 1h, 7d …', durationMs)
    .option('--limit <n>', 'at most so many', wholeNumber(1, 100_000), 20)
    .option('--oldest-first', 'begin with the oldest')
    .addHelpText(
      'after',
      examples(
        ['causeway conflicts list', 'the newest twenty'],
        ['causeway conflicts list demo/profiles -e eu-1:7400,us-1:7400', 'of one collection, in two regions'],
        ['causeway conflicts list --since 1h --limit 1000 --json', 'for programs: one JSON document per line'],
      ),
    )
    .action(act(list));
  addConflictsTail(conflicts, act);
  conflicts
    .command('show')
    .description('one conflict: who lost, to whom, and what')
    .argument('<conflict>', 'as list prints it', loserOf)
    .addHelpText('after', examples(['causeway conflicts show 1/3:eu-west~0f3a5b7c9d1e:17', 'everything about it']))
    .action(act(show));
  conflicts
    .command('restore')
    .description('write what was lost again, unless something has been written since the winner')
    .argument('<conflict>', 'as list prints it', loserOf)
    .option('--field <name>', 'map-lww: only this field; repeatable', collect)
    .option('--force', 'also when something else has been written since')
    .addHelpText(
      'after',
      `${examples(
        ['causeway conflicts restore 1/3:eu-west~0f3a5b7c9d1e:17', 'the loser becomes the value again'],
        ['causeway conflicts restore 1/3:eu-west~0f3a5b7c9d1e:17 --field city', 'one field of a map'],
        ['causeway conflicts restore 1/3:eu-west~0f3a5b7c9d1e:17 --force', 'whatever has been written since'],
      )}
The region that wrote the loser writes it again, as a new write that has seen the winner. A value that expired since is not restored.
Exits 6 when the winner is no longer the last word, 5 when no region that was asked knows the conflict.
`,
    )
    .action(act(restore));
};

async function list(context: Context, scope: Scope | undefined, flags: ListFlags): Promise<number> {
  const { terminal, system } = context;
  const sinceMs = flags.since === undefined ? undefined : system.clock.nowMs() - flags.since;
  const journals = await Promise.all(
    context.endpoints.map((endpoint) =>
      withAdmin(context, endpoint, async (admin) => {
        const found: NodeConflict[] = [];
        let page: NodeConflictPage | undefined;
        do {
          page = await admin.listConflicts({
            ...scope,
            sinceMs,
            oldestFirst: flags.oldestFirst ?? false,
            pageSize: Math.min(PAGE_MAX, flags.limit - found.length),
            pageToken: page?.nextPageToken,
          });
          found.push(...page.conflicts);
        } while (page.nextPageToken !== undefined && found.length < flags.limit);
        return { found, page, more: page.nextPageToken !== undefined };
      }),
    ),
  );
  const direction = flags.oldestFirst ? 1 : -1;
  const all = journals.flatMap(({ found }) => found).sort((a, b) => (a.atMs - b.atMs) * direction);
  const shown = all.slice(0, flags.limit);
  for (const conflict of shown) {
    if (terminal.json) terminal.raw(jsonLine(conflictDocument(conflict)));
    else terminal.line(conflictLine(conflict, terminal));
  }
  if (terminal.json) return EXIT_CODES.ok;
  for (const { page } of journals) {
    if (page.dropped === 0) continue;
    terminal.note(
      terminal.warn(
        `${page.region} has dropped ${page.dropped} for want of room, the last of ${new Date(page.droppedUntilMs).toISOString()}`,
      ),
    );
  }
  if (shown.length === 0) terminal.note(terminal.dim('no conflicts'));
  else if (all.length > shown.length || journals.some(({ more }) => more)) {
    terminal.note(terminal.dim('there are more: --limit, --since'));
  }
  return EXIT_CODES.ok;
}

async function show(context: Context, loser: LoserParts): Promise<number> {
  const { terminal } = context;
  const found = await atItsRegion(context, (admin) => admin.conflictsOf(loser));
  if (terminal.json) terminal.document(found.map(conflictDocument));
  else for (const line of conflictLines(found, terminal)) terminal.line(line);
  return EXIT_CODES.ok;
}

async function restore(context: Context, loser: LoserParts, flags: RestoreFlags): Promise<number> {
  const { terminal } = context;
  const how = { fields: flags.field ?? [], force: flags.force ?? false };
  const { conflicts, version, region } = await atItsRegion(context, (admin) => admin.restoreConflict(loser, how));
  const [first] = conflicts;
  const fields = conflicts.flatMap(({ field }) => field ?? []);
  if (terminal.json) {
    terminal.document({
      conflict: loserText(loser.shard, loser),
      namespace: first?.collection.namespace,
      collection: first?.collection.name,
      key: first?.key,
      ...(fields.length === 0 ? {} : { fields }),
      version: versionText(version),
      writtenAt: timeOfStamp(version.stamp),
      region,
    });
    return EXIT_CODES.ok;
  }
  const what = fields.length === 0 ? '' : ` (${fields.join(', ')})`;
  terminal.line(`${terminal.good('restored')} ${first?.collection.name}/${first?.key}${what}`);
  terminal.note(terminal.dim(`${region}, version ${versionText(version)}`));
  return EXIT_CODES.ok;
}

/** Asks one region after the other: each knows only its own losers. */
async function atItsRegion<T>(
  context: Context,
  work: (admin: Parameters<Parameters<typeof withAdmin<T>>[2]>[0]) => Promise<T>,
): Promise<T> {
  let last: unknown;
  for (const endpoint of context.endpoints) {
    try {
      return await withAdmin(context, endpoint, work);
    } catch (error) {
      if (!isCausewayError(error, 'KEY_NOT_FOUND')) throw error;
      last = error;
    }
  }
  throw last;
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
