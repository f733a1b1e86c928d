// causeway top: what regions do just now, again and again: rates, lag, backlog, hot keys.

import { Option } from 'commander';
import type { AdminClient, NodeStatus } from '../client/index.ts';
import { EXIT_CODES, isCausewayError, type CausewayError } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { withAdmins } from './nodes.ts';
import { hottest, ratesOf, type NodeRates } from './rates.ts';
import { addRegionFlags, regionContext, type RegionFlags } from './region-endpoints.ts';
import { jsonLine, table } from './terminal.ts';
import { bytes, count, durationMs, span, wholeNumber } from './words.ts';

interface Flags extends RegionFlags {
  readonly every: number;
  readonly once?: true;
  readonly count?: number;
}

const EVERY_DEFAULT = '1s';
const LAG_MS_MAX = 5000;
const HOT_KEYS = 8;
/** To the first column of the first line, and from there on nothing. */
const CLEAR = '\u001b[H\u001b[J';

type Look =
  | { readonly endpoint: string; readonly status: NodeStatus }
  | { readonly endpoint: string; readonly error: CausewayError };
type Row = {
  readonly endpoint: string;
  readonly rates: NodeRates | undefined;
  readonly error: CausewayError | undefined;
};

export const addTop: AddCommand = (program, act) => {
  addRegionFlags(program.command('top'))
    .description('what regions do just now, until Ctrl-C: writes, lag, backlog, conflicts, hot keys')
    .addOption(
      new Option('--every <duration>', 'how often')
        .argParser(durationMs)
        .default(durationMs(EVERY_DEFAULT), EVERY_DEFAULT),
    )
    .option('--once', 'one look over --every, for scripts')
    .option('--count <n>', 'end after so many looks', wholeNumber(1))
    .addHelpText(
      'after',
      `${examples(
        ['causeway top -e us-1:7400,eu-1:7400', 'two regions, side by side'],
        ['causeway top --config node.yaml', 'all regions of a configuration'],
        ['causeway top --once', 'the rates of one second, for scripts'],
        ['causeway top --json | jq .nodes[].writesPerS', 'for programs: one JSON document per look'],
      )}
lag: behind the region that it is furthest behind of; - while of one nothing is known. to send: what the peer that is furthest behind has not acknowledged.
Hot keys come from samples of one op in 64, over the last one to two minutes.
Exits 4 when at the end one of the nodes does not answer.
`,
    )
    .action(act(top));
};

async function top(asked: Context, flags: Flags): Promise<number> {
  const context = await regionContext(asked, flags);
  const { system } = context;
  const looks = flags.once === true ? 1 : flags.count;
  let stopped = false;
  let wake = (): void => undefined;
  const end = (): void => {
    stopped = true;
    wake();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end);
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = system.timers.after(flags.every, resolve);
      wake = () => {
        timer.cancel();
        resolve();
      };
    });
  try {
    return await withAdmins(context, async (admins) => {
      let before = await look(admins);
      // A name that is wrong is said at once; what goes away later comes back.
      if (before.every((each) => 'error' in each)) throw (before[0] as { readonly error: CausewayError }).error;
      let failed = false;
      for (let n = 1; ; n++) {
        await pause();
        if (stopped) break;
        const after = await look(admins);
        const rows = after.map((now, i) => rowOf(before[i]!, now));
        failed = rows.some(({ error }) => error !== undefined);
        show(rows, context, looks === undefined);
        before = after;
        if (n === looks) break;
      }
      return failed ? EXIT_CODES.unavailable : EXIT_CODES.ok;
    });
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, end);
  }
}

function look(admins: readonly { readonly endpoint: string; readonly admin: AdminClient }[]): Promise<Look[]> {
  return Promise.all(
    admins.map(async ({ endpoint, admin }): Promise<Look> => {
      try {
        return { endpoint, status: await admin.status() };
      } catch (error) {
        if (!isCausewayError(error)) throw error;
        return { endpoint, error };
      }
    }),
  );
}

function rowOf(before: Look, now: Look): Row {
  const { endpoint } = now;
  if ('error' in now) return { endpoint, rates: undefined, error: now.error };
  return { endpoint, rates: 'error' in before ? undefined : ratesOf(before.status, now.status), error: undefined };
}

function show(rows: readonly Row[], { terminal, system }: Context, redraw: boolean): void {
  if (terminal.json) {
    terminal.raw(
      jsonLine({
        at: new Date(system.clock.nowMs()).toISOString(),
        nodes: rows.flatMap(({ endpoint, rates }) =>
          rates === undefined ? [] : [{ endpoint, ...rates, lagMs: rates.lagMs ?? null }],
        ),
        failed: rows.flatMap(({ endpoint, error }) =>
          error === undefined ? [] : [{ endpoint, code: error.code, message: error.message }],
        ),
      }),
    );
    return;
  }
  const lines = linesOf(rows, terminal);
  if (redraw && terminal.person) {
    const head = terminal.dim(
      `causeway top  ${new Date(system.clock.nowMs()).toISOString().slice(11, 19)}  Ctrl-C ends`,
    );
    terminal.raw(`${CLEAR}${[head, '', ...lines].join('\n')}\n`);
  } else for (const line of lines) terminal.line(line);
}

function linesOf(rows: readonly Row[], { bold, dim, warn, bad, good }: Context['terminal']): string[] {
  const heads = [
    'region',
    'state',
    'writes/s',
    'from peers/s',
    'refused/s',
    'conflicts/s',
    'lag',
    'to send',
    'received/s',
    'keys',
    'log',
    'links',
  ];
  const cells: string[][] = [heads.map(bold)];
  const notes: string[] = [];
  for (const { endpoint, rates, error } of rows) {
    if (error !== undefined) notes.push(bad(`${endpoint} does not answer: ${error.message}`));
    else if (rates === undefined)
      notes.push(dim(`${endpoint} has just (re)started: its rates come with the next look`));
    if (rates === undefined) continue;
    const { region, state, lagMs, lagOf, linksUp, links, alarms } = rates;
    const lag =
      lagMs === undefined ? bad(`- of ${lagOf}`) : lagMs > LAG_MS_MAX ? bad(`${span(lagMs)} of ${lagOf}`) : span(lagMs);
    cells.push([
      bold(region),
      state === 'ready' ? good(state) : warn(state),
      count(Math.round(rates.writesPerS)),
      count(Math.round(rates.fromPeersPerS)),
      rates.refusedPerS > 0 ? warn(count(Math.round(rates.refusedPerS))) : '0',
      count(Math.round(rates.conflictsPerS)),
      links === 0 ? '-' : lag,
      rates.toSendOps === undefined ? '-' : count(rates.toSendOps),
      bytes(Math.round(rates.receivedBytesPerS)),
      count(rates.keys),
      bytes(rates.logBytes),
      linksUp === links ? `${linksUp}/${links}` : bad(`${linksUp}/${links}`),
    ]);
    if (alarms.length > 0) notes.push(bad(`${region}: alarm ${[...new Set(alarms)].join(', ')}`));
  }
  const hot = hottest(
    rows.flatMap(({ rates }) => rates ?? []),
    HOT_KEYS,
  );
  const hotLines =
    hot.length === 0
      ? []
      : [
          '',
          `${bold('hot keys')} ${dim('of all that is written, or read, by samples')}`,
          ...table(
            hot.map(({ namespace, collection, key, how, perS, share }) => [
              `  ${namespace}/${collection}/${key}`,
              how,
              `about ${count(Math.round(perS))}/s`,
              `${Math.round(share * 100)} %`,
            ]),
          ),
        ];
  return [...table(cells), ...notes, ...hotLines];
}
