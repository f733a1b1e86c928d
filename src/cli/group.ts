// causeway group: the consumer groups of a namespace, how far each is, and one that is to begin anew.

import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ConsumerGroups, GroupInfo, GroupsLocation } from '../client/index.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { withClient } from './nodes.ts';
import { table } from './terminal.ts';
import { count, span } from './words.ts';

interface GroupName {
  readonly namespace: string;
  readonly group: string;
}

interface Flags {
  readonly groups?: GroupsLocation;
}

interface ResetFlags extends Flags {
  readonly to: 'beginning' | 'now';
  readonly force?: true;
}

export const addGroup: AddCommand = (program, act) => {
  const group = program
    .command('group')
    .description('consumer groups: which there are, how far they are, begin one anew')
    .addHelpText(
      'after',
      examples(
        ['causeway group list demo', 'the groups of a namespace'],
        ['causeway group show demo/billing', 'its members, its shards, its lag'],
        ['causeway group reset demo/billing --to beginning', 'everything once more'],
      ),
    );
  withLocation(group.command('list'))
    .description('names of the groups of a namespace')
    .argument('<namespace>', 'whose changes they follow')
    .addHelpText(
      'after',
      examples(
        ['causeway group list demo', 'one name a line'],
        ['causeway group list demo --groups ops/groups', 'kept in collection groups of namespace ops'],
      ),
    )
    .action(act(list));
  withLocation(group.command('show'))
    .description('members and shards of a group: who reads what, and how far it is behind')
    .argument('<namespace/group>', 'which group', groupName)
    .addHelpText(
      'after',
      `${examples(
        ['causeway group show demo/billing', 'for people'],
        ['causeway group show demo/billing --json', 'for programs'],
      )}
Behind is what the region that answers has and the group has not committed, changes of collections that it does not follow included.
`,
    )
    .action(act(show));
  withLocation(group.command('reset'))
    .description('begin a group anew, in every shard')
    .argument('<namespace/group>', 'which group', groupName)
    .addOption(new Option('--to <place>', 'where to').choices(['beginning', 'now']).makeOptionMandatory())
    .option(
      '--force',
      'also while it has members; those of the region that is asked go on from there with their next commit',
    )
    .addHelpText(
      'after',
      `${examples(
        ['causeway group reset demo/billing --to beginning', 'everything once more'],
        ['causeway group reset demo/billing --to now', 'only what comes from here on'],
      )}
What members have committed before counts for nothing any more, in any region. Exits 6 while the group has members.
`,
    )
    .action(act(reset));
};

function withLocation(command: Command): Command {
  return command.option(
    '--groups <namespace/collection>',
    'where groups keep their state (default: consumer-groups in the namespace itself)',
    location,
  );
}

function groupName(text: string): GroupName {
  const [namespace = '', group = '', ...rest] = text.split('/');
  if (namespace === '' || group === '' || rest.length > 0) {
    throw new InvalidArgumentError('Expected namespace/group, for example demo/billing.');
  }
  return { namespace, group };
}

function location(text: string): GroupsLocation {
  const [namespace = '', collection = '', ...rest] = text.split('/');
  if (namespace === '' || collection === '' || rest.length > 0) {
    throw new InvalidArgumentError('Expected namespace/collection, for example ops/consumer-groups.');
  }
  return { namespace, collection };
}

function withGroups<T>(
  context: Context,
  namespace: string,
  { groups }: Flags,
  work: (groups: ConsumerGroups) => Promise<T>,
): Promise<T> {
  return withClient(context, namespace, {}, (client) => work(client.groups(groups)));
}

async function list(context: Context, namespace: string, flags: Flags): Promise<void> {
  const { terminal } = context;
  const names = await withGroups(context, namespace, flags, (groups) => groups.list());
  if (terminal.json) terminal.document({ groups: names });
  else if (names.length === 0) terminal.note(terminal.dim('no groups'));
  else for (const name of names) terminal.line(name);
}

async function show(context: Context, { namespace, group }: GroupName, flags: Flags): Promise<void> {
  const { terminal, system } = context;
  const info = await withGroups(context, namespace, flags, (groups) => groups.show(group));
  if (terminal.json) terminal.document(info);
  else for (const line of linesOf(info, system.clock.nowMs(), terminal)) terminal.line(line);
}

async function reset(context: Context, { namespace, group }: GroupName, flags: ResetFlags): Promise<void> {
  const { terminal } = context;
  const force = flags.force ?? false;
  await withGroups(context, namespace, flags, (groups) => groups.reset(group, flags.to, { force }));
  if (terminal.json) terminal.document({ group, to: flags.to });
  else terminal.line(`${terminal.good('reset')} ${group} ${flags.to === 'now' ? 'to now' : 'to the beginning'}`);
}

function linesOf(info: GroupInfo, nowMs: number, { bold, dim }: Context['terminal']): string[] {
  const members = info.members.map(({ member, region }) => `${member} in ${region}`).join(', ');
  const behind = info.shards.reduce((sum, { lagOps }) => sum + lagOps, 0);
  return [
    `${bold(info.group)}: ${members === '' ? dim('no members') : members}; ${count(behind)} ops behind`,
    ...table([
      ['shard', 'read by', 'behind', 'committed'].map(bold),
      ...info.shards.map(({ shard, readers, lagOps, committedAtMs }) => [
        shard,
        readers.map(({ member, region }) => `${member} in ${region}`).join(', ') || dim('nobody'),
        count(lagOps),
        committedAtMs === undefined ? dim('never') : `${span(Math.max(0, nowMs - committedAtMs))} ago`,
      ]),
    ]),
  ];
}
