// causeway lag: how far behind each region is of each other, by every region's own answer.

import type { NodePeer, NodeStatus } from '../client/index.ts';
import { EXIT_CODES } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { askEach, type Answer } from './nodes.ts';
import { addRegionFlags, regionContext, type RegionFlags } from './region-endpoints.ts';
import { jsonLine, table } from './terminal.ts';
import { wholeRegion } from './whole-region.ts';
import { count, durationMs, span, wholeNumber } from './words.ts';

interface Flags extends RegionFlags {
  readonly max?: number;
  readonly every?: number;
  readonly count?: number;
}

/** As replication promises (DESIGN). */
const LAG_MS_MAX = 5000;

export const addLag: AddCommand = (program, act) => {
  addRegionFlags(program.command('lag'))
    .description('how far behind regions are of each other, and what waits to be sent')
    .option('--max <duration>', 'exit 7 when a lag is above it, or not known', durationMs)
    .option('--every <duration>', 'again and again, until Ctrl-C', durationMs)
    .option('--count <n>', 'with --every: end after so many times', wholeNumber(1))
    .addHelpText(
      'after',
      `${examples(
        ['causeway lag', 'as the node at 127.0.0.1:7400 sees its peers'],
        ['causeway lag -e eu-1:7400,us-1:7400', 'a matrix: every region that is asked says how far behind it is'],
        ['causeway lag --config node.yaml', 'of all regions of a configuration'],
        ['causeway lag --max 5s || page-somebody', 'for a script'],
        ['causeway lag --every 2s --json', 'for programs: one JSON document per line'],
      )}
lag: how far behind the asked node's clock the peer's promises are; it grows while a peer is silent, and is - while nothing is known. writes p50, p99: from a write
there to its being visible here, over the last minute. to send: writes of the asked region that the peer has not acknowledged.
Exits 4 when one of the nodes does not answer.
`,
    )
    .action(act(lag));
};

async function lag(asked: Context, flags: Flags): Promise<number> {
  const context = await regionContext(asked, flags);
  const { terminal, system } = context;
  let exitCode: number = EXIT_CODES.ok;
  let stopped = false;
  const stop = (): void => {
    stopped = true;
  };
  if (flags.every !== undefined) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  for (let times = 1; ; times++) {
    const answers = await askEach(context, async (admin) => wholeRegion(await admin.status()).status);
    exitCode = exitCodeOf(answers, flags.max);
    if (terminal.json) terminal.raw(jsonLine(documentOf(answers)));
    else for (const line of linesOf(answers, flags.max, terminal)) terminal.line(line);
    if (flags.every === undefined || times === flags.count) return exitCode;
    await new Promise<void>((resolve) => system.timers.after(flags.every!, resolve));
    if (stopped) return exitCode;
    if (!terminal.json) terminal.line();
  }
}

/** Worse first: who does not answer may be behind by anything. */
function exitCodeOf(answers: readonly Answer<NodeStatus>[], maxMs: number | undefined): number {
  if (answers.some((answer) => 'error' in answer)) return EXIT_CODES.unavailable;
  const above = answers.some((answer) => 'value' in answer && answer.value.peers.some((peer) => isAbove(peer, maxMs)));
  return above ? EXIT_CODES.findings : EXIT_CODES.ok;
}

function isAbove({ lagMs }: NodePeer, maxMs: number | undefined): boolean {
  return maxMs !== undefined && (lagMs === undefined || lagMs > maxMs);
}

function documentOf(answers: readonly Answer<NodeStatus>[]): object {
  const regions = answers.map((answer) =>
    'error' in answer
      ? { endpoint: answer.endpoint, error: { code: answer.error.code, message: answer.error.message } }
      : {
          endpoint: answer.endpoint,
          region: answer.value.region,
          nowMs: answer.value.nowMs,
          peers: answer.value.peers.map(({ region, link, lagMs, opLagMsP50, opLagMsP99, unacknowledgedOps }) => ({
            region,
            link: link.kind,
            lagMs: lagMs ?? null,
            opLagMsP50,
            opLagMsP99,
            unacknowledgedOps: unacknowledgedOps ?? null,
          })),
        },
  );
  return { regions, matrix: matrixOf(statusesOf(answers)) };
}

function statusesOf(answers: readonly Answer<NodeStatus>[]): NodeStatus[] {
  return answers.flatMap((answer) => ('value' in answer ? [answer.value] : []));
}

/** Where → of whom → ms; null: not known. */
function matrixOf(statuses: readonly NodeStatus[]): Record<string, Record<string, number | null>> {
  return Object.fromEntries(
    statuses.map(({ region, peers }) => [
      region,
      Object.fromEntries(peers.map((peer) => [peer.region, peer.lagMs ?? null])),
    ]),
  );
}

/** One line for each region that was asked: how far behind each other one it is. */
function matrixLines(
  statuses: readonly NodeStatus[],
  maxMs: number | undefined,
  { bold, bad, dim }: Context['terminal'],
): string[] {
  const names = [...new Set(statuses.flatMap(({ region, peers }) => [region, ...peers.map((peer) => peer.region)]))];
  const cell = (status: NodeStatus, of: string): string => {
    if (of === status.region) return dim('·');
    const peer = status.peers.find(({ region }) => region === of);
    // Regions that share no placement.
    if (peer === undefined) return '';
    const text = peer.lagMs === undefined ? '-' : span(peer.lagMs);
    return isAbove(peer, maxMs ?? LAG_MS_MAX) ? bad(text) : text;
  };
  return table([
    [bold('behind'), ...names.map(bold)],
    ...statuses.map((status) => [bold(status.region), ...names.map((name) => cell(status, name))]),
  ]);
}

function linesOf(
  answers: readonly Answer<NodeStatus>[],
  maxMs: number | undefined,
  terminal: Context['terminal'],
): string[] {
  const { bold, bad, dim } = terminal;
  const rows: string[][] = [['at', 'of', 'lag', 'writes p50', 'p99', 'to send', 'link'].map(bold)];
  const notes: string[] = [];
  for (const answer of answers) {
    if ('error' in answer) {
      notes.push(bad(`${answer.endpoint} does not answer: ${answer.error.message}`));
      continue;
    }
    const { region, peers } = answer.value;
    if (peers.length === 0) notes.push(dim(`${region} has no peers`));
    for (const peer of peers) {
      const text = peer.lagMs === undefined ? '-' : span(peer.lagMs);
      rows.push([
        region,
        peer.region,
        isAbove(peer, maxMs) ? bad(text) : text,
        peer.opLagMsP50 === undefined ? '-' : span(peer.opLagMsP50),
        peer.opLagMsP99 === undefined ? '-' : span(peer.opLagMsP99),
        peer.unacknowledgedOps === undefined ? '-' : count(peer.unacknowledgedOps),
        peer.link.kind === 'up' ? peer.link.kind : bad(peer.link.kind),
      ]);
    }
  }
  const statuses = statusesOf(answers);
  const matrix = statuses.length > 1 ? [...matrixLines(statuses, maxMs, terminal), ''] : [];
  return [...matrix, ...(rows.length > 1 ? table(rows) : []), ...notes];
}
