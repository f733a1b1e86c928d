// causeway regions: which regions there are, and how those that were asked see the others.

import type { NodeStatus } from '../client/index.ts';
import { EXIT_CODES } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { askEach, type Answer } from './nodes.ts';
import { addRegionFlags, regionContext, type RegionFlags } from './region-endpoints.ts';
import { table } from './terminal.ts';
import { wholeRegion } from './whole-region.ts';
import { count, span } from './words.ts';

interface RegionRow {
  readonly region: string;
  /** What it says itself, when it was asked. */
  readonly status: NodeStatus | undefined;
  /** Shards of which nothing is told. */
  readonly missing: readonly string[];
  readonly endpoint: string | undefined;
  readonly seenBy: readonly { readonly region: string; readonly link: string; readonly lagMs: number | undefined }[];
}

export const addRegions: AddCommand = (program, act) => {
  addRegionFlags(program.command('regions'))
    .description('all regions of the cluster: their state, and who reaches whom')
    .addHelpText(
      'after',
      `${examples(
        ['causeway regions', 'what one node knows of all'],
        ['causeway regions -e us-1:7400,eu-1:7400', 'with what each of them says itself'],
        ['causeway regions --json', 'for programs'],
      )}
A region that was not asked is shown as the others see it. Exits 4 when one of the nodes does not answer.
`,
    )
    .action(act(regions));
};

async function regions(asked: Context, flags: RegionFlags): Promise<number> {
  const context = await regionContext(asked, flags);
  const { terminal } = context;
  const answers = await askEach(context, (admin) => admin.status());
  const rows = rowsOf(answers);
  const failed = answers.filter((answer) => 'error' in answer);
  if (terminal.json) {
    terminal.document({
      regions: rows.map(({ region, status, missing, endpoint, seenBy }) => ({
        region,
        ...(status === undefined
          ? { asked: false }
          : {
              asked: true,
              endpoint,
              state: status.state,
              node: status.node,
              version: status.version,
              keys: status.keys,
              nodes: 1 + status.others.length,
              missing,
            }),
        seenBy: seenBy.map(({ region: by, link, lagMs }) => ({ region: by, link, lagMs: lagMs ?? null })),
      })),
      failed: failed.map(({ endpoint, error }) => ({ endpoint, code: error.code, message: error.message })),
    });
  } else {
    for (const line of regionLines(answers, terminal)) terminal.line(line);
    for (const { endpoint, error } of failed)
      terminal.line(terminal.bad(`${endpoint} does not answer: ${error.message}`));
  }
  return failed.length > 0 ? EXIT_CODES.unavailable : EXIT_CODES.ok;
}

function rowsOf(answers: readonly Answer<NodeStatus>[]): RegionRow[] {
  const asked = answers.flatMap((answer) => ('value' in answer ? [answer] : []));
  const names = new Set(asked.flatMap(({ value }) => [value.region, ...value.peers.map(({ region }) => region)]));
  return [...names].toSorted().map((region) => {
    const own = asked.find(({ value }) => value.region === region);
    const whole = own && wholeRegion(own.value);
    const seenBy = asked.flatMap(({ value }) =>
      wholeRegion(value)
        .status.peers.filter((peer) => peer.region === region)
        .map(({ link, lagMs }) => ({ region: value.region, link: link.kind, lagMs })),
    );
    return { region, status: whole?.status, missing: whole?.missing ?? [], endpoint: own?.endpoint, seenBy };
  });
}

/** A table: a line for each region, those that were not asked included. */
export function regionLines(answers: readonly Answer<NodeStatus>[], terminal: Context['terminal']): string[] {
  return linesOf(rowsOf(answers), terminal);
}

function more({ others }: NodeStatus): string {
  return others.length === 0 ? '' : ` and ${others.length} more`;
}

function linesOf(rows: readonly RegionRow[], { bold, good, warn, bad, dim }: Context['terminal']): string[] {
  const head = ['region', 'state', 'keys', 'node', 'seen by'].map(bold);
  return table([
    head,
    ...rows.map(({ region, status, missing, seenBy }) => [
      region,
      status === undefined ? dim('not asked') : status.state === 'ready' ? good('ready') : warn(status.state),
      status === undefined
        ? '-'
        : `${count(status.keys)}${missing.length > 0 ? bad(` without ${missing.join(', ')}`) : ''}`,
      status === undefined ? '-' : `${status.node}${more(status)}, causeway ${status.version}`,
      seenBy
        .map(({ region: by, link, lagMs }) => {
          const how = link === 'up' ? (lagMs === undefined ? 'up' : `${span(lagMs)} behind`) : bad(link);
          return `${by}: ${how}`;
        })
        .join(', ') || dim('nobody'),
    ]),
  ]);
}
