// causeway collection: what there is, and creating, altering and dropping collections while the cluster runs.

import { Option, type Command } from 'commander';
import type { AdminClient, MergeType, NodeDefinition, NodeDefinitionPage } from '../client/index.ts';
import { CausewayError, EXIT_CODES, isCausewayError } from '../errors/errors.ts';
import { examples, usage, type AddCommand, type Context } from './context.ts';
import { withAdmin } from './nodes.ts';
import { jsonLine, table } from './terminal.ts';
import { collectionName, durationMs, span, timeOfStamp, versionText, wholeNumber } from './words.ts';

interface Name {
  readonly namespace: string;
  readonly name: string;
}

interface AttributeFlags {
  readonly description?: string;
  readonly defaultExpiry?: number;
  readonly wait: boolean;
}

const TYPES: readonly MergeType[] = ['register-lww', 'register-mv', 'counter-pn', 'set-aw', 'map-lww'];

const NAME = '<namespace/collection>';

export const addCollection: AddCommand = (program, act) => {
  const collection = program
    .command('collection')
    .description('collections: list, show, create, alter, drop')
    .addHelpText(
      'after',
      `${examples(
        ['causeway collection list', 'all that there are'],
        ['causeway collection create demo/carts --type set-aw', 'in every region of the namespace'],
        ['causeway collection drop demo/carts', 'for good, in every region'],
      )}
A merge type says what becomes of concurrent writes, and is for ever: docs/MERGE_TYPES.md. docs/COLLECTIONS.md has the rest.
`,
    );
  collection
    .command('list')
    .description('the collections that a region knows')
    .argument('[namespace]', 'only those of one namespace')
    .option('--dropped', 'also those that were dropped')
    .addHelpText(
      'after',
      examples(
        ['causeway collection list demo', 'those of a namespace'],
        ['causeway collection list --dropped', 'also what was dropped'],
        ['causeway collection list --json | jq -r .name', 'for programs: one JSON document per line'],
      ),
    )
    .action(act(list));
  collection
    .command('show')
    .description('everything about a collection, and about others that have had its name')
    .argument(NAME, 'which', collectionName)
    .addHelpText('after', examples(['causeway collection show demo/carts', 'type, id, who created it and when']))
    .action(act(show));
  attributes(
    collection
      .command('create')
      .description('create a collection in every region of its namespace')
      .argument(NAME, 'a new name in a namespace of the configuration', collectionName)
      .addOption(new Option('-t, --type <type>', 'its merge type, for ever').choices(TYPES).makeOptionMandatory()),
  )
    .addHelpText(
      'after',
      `${examples(
        [
          'causeway collection create demo/carts --type set-aw',
          'what is added wins over what is removed at the same time',
        ],
        [
          'causeway collection create demo/sessions --type register-lww --default-expiry 30m',
          'values that go by themselves',
        ],
        ["causeway collection create demo/likes --type counter-pn --description 'per post'", 'with a word for people'],
      )}
Asked for again it changes nothing. Two regions that cannot see each other may create one name: with the same type it is one collection, with different
types the first one is served everywhere. Exits 6 when there is another one of the name.
`,
    )
    .action(act(create));
  attributes(
    collection
      .command('alter')
      .description('change the description or the default expiry of a collection')
      .argument(NAME, 'which', collectionName)
      .addOption(new Option('-t, --type <type>', 'what it is taken for; another one is refused').choices(TYPES)),
  )
    .addHelpText(
      'after',
      `${examples(
        ["causeway collection alter demo/carts --description 'what people want'", 'for people'],
        ['causeway collection alter demo/sessions --default-expiry 1h', 'of what is written from now on'],
        ['causeway collection alter demo/sessions --default-expiry 0', 'none from now on'],
      )}
The merge type cannot be altered: create another collection.
`,
    )
    .action(act(alter));
  collection
    .command('drop')
    .description('end a collection in every region, for good')
    .argument(NAME, 'which', collectionName)
    .option('--id <id>', 'only the definition with this id', wholeNumber(1, 2 ** 32 - 1))
    .option('--force', 'also when a region may not have heard of it')
    .option('--no-wait', 'do not wait until every region has heard of it')
    .addHelpText(
      'after',
      `${examples(
        ['causeway collection drop demo/carts', 'nobody reads or writes it any more'],
        [
          'causeway collection drop demo/carts --id 2147483908',
          'one of two that were created at the same time: the other is served',
        ],
      )}
The same name created again is another collection, and empty. Exits 2 when there is none, 4 while a region may not have heard of it: it might be
creating it just now, and --force would hide what that region takes.
`,
    )
    .action(act(drop));
};

function attributes(command: Command): Command {
  return command
    .option('--description <text>', 'for people')
    .option('--default-expiry <duration>', 'of writes that say none of their own; 0 for none', durationMs)
    .option('--no-wait', 'do not wait until every region has heard of it');
}

async function list(
  context: Context,
  namespace: string | undefined,
  flags: { readonly dropped?: true },
): Promise<number> {
  const { terminal } = context;
  const found = await all(context, { namespace, dropped: flags.dropped ?? false });
  if (terminal.json) {
    for (const each of found) terminal.raw(jsonLine(documentOf(each)));
    return EXIT_CODES.ok;
  }
  if (found.length === 0) terminal.note(terminal.dim('no collections'));
  else for (const line of lines(found, context)) terminal.line(line);
  return EXIT_CODES.ok;
}

function lines(found: readonly NodeDefinition[], { terminal }: Context): string[] {
  const { bold, dim, warn } = terminal;
  const head = ['collection', 'type', 'from', 'expiry', ''].map(bold);
  const rows = found.map((each) => {
    const state = each.state === 'served' ? '' : warn(each.state);
    const words = [state, each.description].filter((word) => word !== '').join('  ');
    return [
      `${each.namespace}/${each.name}`,
      each.type ?? 'unknown',
      each.source === 'config' ? 'configuration' : `${each.createdBy.join(', ')}, id ${each.id}`,
      each.defaultExpiryMs === undefined ? dim('-') : span(each.defaultExpiryMs),
      words,
    ];
  });
  return table([head, ...rows]);
}

async function show(context: Context, { namespace, name }: Name): Promise<number> {
  const { terminal } = context;
  const found = await all(context, { namespace, name, dropped: true });
  if (found.length === 0) {
    throw new CausewayError('KEY_NOT_FOUND', `there is no collection ${namespace}/${name}, and was none`, {
      hint: 'causeway collection list shows what there is',
    });
  }
  if (terminal.json) {
    terminal.document(found.map(documentOf));
    return EXIT_CODES.ok;
  }
  found.forEach((each, i) => {
    if (i > 0) terminal.line();
    for (const line of linesOf(each, context)) terminal.line(line);
  });
  return EXIT_CODES.ok;
}

const STATES: Readonly<Record<string, string>> = {
  served: 'served',
  lost: 'not served: another definition of the name was created before it. What was written to it is kept, and hidden',
  hidden: 'not served: the configuration has the name. What was written to it is kept, and hidden',
  'unknown-type': 'not served: only a newer version knows its merge type',
  dropped: 'dropped',
};

function linesOf(each: NodeDefinition, { terminal }: Context): string[] {
  const { bold, good, warn } = terminal;
  const state = STATES[each.state] ?? each.state;
  const rows: [string, string][] = [
    ['collection', bold(`${each.namespace}/${each.name}`)],
    ['type', each.type ?? 'unknown'],
    ['id', String(each.id)],
    ['state', each.state === 'served' ? good(state) : warn(state)],
    ['from', each.source === 'config' ? 'the configuration' : 'run time'],
  ];
  if (each.created !== undefined) {
    const by = each.createdBy.length === 0 ? '' : ` in ${each.createdBy.join(', ')}`;
    rows.push(['created', `${timeOfStamp(each.created.stamp)}${by}`]);
  }
  if (each.dropped !== undefined) rows.push(['dropped', timeOfStamp(each.dropped.stamp)]);
  if (each.description !== '') rows.push(['description', each.description]);
  if (each.defaultExpiryMs !== undefined)
    rows.push(['expiry', `${span(each.defaultExpiryMs)} after a write that says none`]);
  if (!each.settled) rows.push(['settled', warn('no: a region may not have heard of it')]);
  return table(rows);
}

async function create(
  context: Context,
  { namespace, name }: Name,
  flags: AttributeFlags & { readonly type: MergeType },
): Promise<number> {
  const { description, defaultExpiry: defaultExpiryMs, wait, type } = flags;
  const spec = { namespace, name, type, description, defaultExpiryMs };
  const { collection, changed, region } = await first(context, (admin) => admin.createCollection(spec, { wait }));
  return tell(context, [collection], changed ? 'created' : 'was there already:', region, wait);
}

async function alter(
  context: Context,
  { namespace, name }: Name,
  flags: AttributeFlags & { readonly type?: MergeType },
): Promise<number> {
  const { description, defaultExpiry: defaultExpiryMs, wait, type } = flags;
  if (description === undefined && defaultExpiryMs === undefined && type === undefined) {
    throw usage('expected what to alter: --description, --default-expiry');
  }
  const spec = { namespace, name, type, description, defaultExpiryMs };
  const { collection, changed, region } = await first(context, (admin) => admin.alterCollection(spec, { wait }));
  return tell(context, [collection], changed ? 'altered' : 'was so already:', region, wait);
}

async function drop(
  context: Context,
  { namespace, name }: Name,
  flags: { readonly id?: number; readonly force?: true; readonly wait: boolean },
): Promise<number> {
  const { id, wait, force = false } = flags;
  const { collections, region } = await first(context, (admin) =>
    admin.dropCollection({ namespace, name, id }, { wait, force }),
  );
  return tell(context, collections, 'dropped', region, wait);
}

function tell(
  { terminal }: Context,
  collections: readonly NodeDefinition[],
  done: string,
  region: string,
  waited: boolean,
): number {
  if (terminal.json) terminal.document(collections.map((each) => ({ ...documentOf(each), region })));
  else {
    for (const { namespace, name, type, id } of collections) {
      terminal.line(`${terminal.good(done)} ${namespace}/${name} (${type ?? 'unknown'}, id ${id})`);
    }
  }
  const loser = collections.find(({ state }) => state !== 'served' && state !== 'dropped');
  if (loser !== undefined) {
    terminal.note(terminal.warn(`it is ${STATES[loser.state] ?? loser.state}`));
    return EXIT_CODES.precondition;
  }
  if (waited && collections.some(({ settled }) => !settled)) {
    terminal.note(terminal.warn(`${region} has done it; not every other region has said that it has heard of it`));
  }
  return EXIT_CODES.ok;
}

async function all(
  context: Context,
  filter: { readonly namespace: string | undefined; readonly name?: string; readonly dropped: boolean },
): Promise<NodeDefinition[]> {
  return first(context, async (admin) => {
    const found: NodeDefinition[] = [];
    let page: NodeDefinitionPage | undefined;
    do {
      page = await admin.listCollections({ ...filter, pageToken: page?.nextPageToken });
      found.push(...page.collections);
    } while (page.nextPageToken !== undefined);
    return found;
  });
}

/** At the first node that answers. What is asked here may be asked twice. */
async function first<T>(context: Context, work: (admin: AdminClient) => Promise<T>): Promise<T> {
  let last: unknown;
  for (const endpoint of context.endpoints) {
    try {
      return await withAdmin(context, endpoint, work);
    } catch (error) {
      if (!isCausewayError(error, 'UNAVAILABLE')) throw error;
      last = error;
    }
  }
  throw last;
}

function documentOf(each: NodeDefinition): object {
  const { created, dropped, ...rest } = each;
  return {
    ...rest,
    ...(created === undefined ? {} : { created: versionText(created), createdAt: timeOfStamp(created.stamp) }),
    ...(dropped === undefined ? {} : { dropped: versionText(dropped), droppedAt: timeOfStamp(dropped.stamp) }),
  };
}
