// causeway verify: do regions hold the same? Asks for digests again and again until every shard was seen at one vector.

import type { AdminClient } from '../client/index.ts';
import { CausewayError, EXIT_CODES, isCausewayError } from '../errors/errors.ts';
import { Agreement, compare, type Sample, type ShardVerdict, type Verdict } from './agreement.ts';
import { examples, usage, type AddCommand, type Context } from './context.ts';
import { withAdmin } from './nodes.ts';
import { addRegionFlags, regionContext, type RegionFlags } from './region-endpoints.ts';
import { count, span } from './words.ts';

const LOOK_EVERY_MS = 200;
const ANSWER_MS = 5000;

const VERDICTS: Readonly<Record<Verdict, { readonly text: string; readonly exitCode: number }>> = {
  match: { text: 'MATCH', exitCode: EXIT_CODES.ok },
  'in-flight': { text: 'IN FLIGHT', exitCode: EXIT_CODES.unavailable },
  diverged: { text: 'DIVERGED', exitCode: EXIT_CODES.findings },
};

export const addVerify: AddCommand = (program, act) => {
  addRegionFlags(program.command('verify'))
    .description('compare what regions hold: MATCH, IN FLIGHT or DIVERGED')
    .addHelpText(
      'after',
      `${examples(
        ['causeway verify --endpoints us-1:7400,eu-1:7400', 'two regions'],
        ['causeway verify --config node.yaml', 'all regions of a configuration'],
        ['causeway verify -e a:7400,b:7400 --timeout 1m --json', 'wait longer, for programs'],
      )}
Each shard is compared at a moment when the regions had applied the same writes, so writes may go on meanwhile.
Exits 0 MATCH: every shard was equal. 4 IN FLIGHT: some shard was never seen at one point within --timeout.
7 DIVERGED: regions that had applied the same writes held different data; the shards are listed.
`,
    )
    .action(act(verify));
};

async function verify(context: Context, flags: RegionFlags): Promise<number> {
  const { terminal, system, timeoutMs } = context;
  const endpoints = await endpointsOf(context, flags);
  const startMs = system.clock.monotonicMs();
  const agreement = new Agreement();
  let looks = 0;
  let regions: readonly string[] = [];
  // --timeout is for the verdict; a node may take longer than a short one to answer at all.
  const patient = { ...context, timeoutMs: Math.max(timeoutMs, ANSWER_MS) };
  await withAll(patient, endpoints, [], async (admins) => {
    for (;;) {
      const over = (): boolean => system.clock.monotonicMs() - startMs >= timeoutMs;
      try {
        const samples = namedApart(await look(admins), endpoints);
        regions = samples.map(({ region }) => region);
        agreement.add(compare(samples));
        looks++;
      } catch (error) {
        // A shard that is on its way from one node of its region to another can be told by neither.
        if (!isCausewayError(error) || error.code !== 'NOT_READY' || over()) throw error;
      }
      if (agreement.settled || over()) return;
      await new Promise<void>((resolve) => system.timers.after(LOOK_EVERY_MS, resolve));
    }
  });
  const shards = agreement.shards();
  if (shards.length === 0) {
    throw new CausewayError(
      'INVALID_ARGUMENT',
      `${regions.join(' and ')} have no shard in common: there is nothing to compare`,
      {
        hint: 'Their placements differ. Name regions that hold the same namespace.',
      },
    );
  }
  const verdict = agreement.verdict();
  const tookMs = system.clock.monotonicMs() - startMs;
  if (terminal.json) {
    terminal.document({
      verdict: VERDICTS[verdict].text,
      regions,
      looks,
      tookMs: Math.round(tookMs),
      keys: shards.reduce((sum, { keys }) => sum + keys, 0),
      shards,
    });
  } else {
    for (const line of lines(verdict, shards, regions, terminal)) terminal.line(line);
    terminal.note(terminal.dim(`${looks} look${looks === 1 ? '' : 's'} in ${span(tookMs)}`));
  }
  return VERDICTS[verdict].exitCode;
}

function lines(
  verdict: Verdict,
  shards: readonly ShardVerdict[],
  regions: readonly string[],
  paint: Context['terminal'],
): string[] {
  const keys = shards.reduce((sum, shard) => sum + shard.keys, 0);
  const painted = verdict === 'match' ? paint.good : verdict === 'diverged' ? paint.bad : paint.warn;
  const of = (which: Verdict): readonly ShardVerdict[] => shards.filter((shard) => shard.verdict === which);
  const head = `${painted(VERDICTS[verdict].text)}: ${regions.join(', ')}; ${shards.length} shards, ${count(keys)} keys`;
  const diverged = of('diverged').map(({ shard, digests }) => {
    const sides = [...(digests ?? [])].map(([digest, who]) => `${who.join(' and ')} ${digest}`).join(', ');
    return `  shard ${shard}: same writes applied, different data: ${sides}`;
  });
  const flying = of('in-flight').map(({ shard, missing }) => {
    const behind = [...(missing ?? [])].filter(([, n]) => n > 0).map(([region, n]) => `${region} lacks ${count(n)}`);
    return `  shard ${shard}: on its way; ${behind.join(', ')}`;
  });
  const advice =
    verdict === 'diverged'
      ? ['Keep the data directories as they are and report this: it must not happen.']
      : verdict === 'in-flight'
        ? [
            'Some writes had not arrived everywhere at any moment. Try again, with a longer --timeout, or see `causeway status` for links that are down.',
          ]
        : [];
  return [head, ...diverged, ...flying, ...advice];
}

/** All regions at one moment: that of the slowest clock, so that none is asked about its future. */
async function look(admins: readonly AdminClient[]): Promise<Sample[]> {
  const pings = await Promise.all(admins.map((admin) => admin.ping()));
  const asOfMs = Math.min(...pings.map(({ nowMs }) => nowMs));
  const digests = await Promise.all(admins.map((admin) => admin.digests(asOfMs)));
  return digests.map((each, i) => ({
    region: pings[i]!.region,
    digests: each.map(({ vector, ...digest }) => ({ ...digest, vector: new Map(Object.entries(vector)) })),
  }));
}

/** Two nodes of one name are told apart by their address: somebody may be comparing a copy with its original. */
function namedApart(samples: readonly Sample[], endpoints: readonly string[]): Sample[] {
  return samples.map((sample, i) => {
    const alone = samples.every((other, j) => j === i || other.region !== sample.region);
    return alone ? sample : { ...sample, region: `${sample.region} (${endpoints[i]})` };
  });
}

async function endpointsOf(context: Context, flags: RegionFlags): Promise<readonly string[]> {
  const { endpoints } = await regionContext(context, flags);
  if (endpoints.length < 2) {
    throw usage('expected two regions or more to compare: --endpoints a:7400,b:7400, or --config FILE');
  }
  return endpoints;
}

/** Connections to all of them, closed at the end. */
async function withAll(
  context: Context,
  endpoints: readonly string[],
  admins: readonly AdminClient[],
  work: (admins: readonly AdminClient[]) => Promise<void>,
): Promise<void> {
  const [next, ...rest] = endpoints;
  if (next === undefined) return work(admins);
  await withAdmin(context, next, (admin) => withAll(context, rest, [...admins, admin], work));
}
