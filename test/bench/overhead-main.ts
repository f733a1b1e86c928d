// npm run bench:overhead: what metrics and traces cost, in CPU per accepted op of all processes together. See docs/BENCHMARKS.md.
//
// metrics  off: no listener for HTTP, nothing scraped.  on: every region is scraped once a second.
//          What is counted on the hot path is counted in both: tracing-bench.ts has what that costs.
// traces   off: as they are by default.  on: one write in a hundred is recorded, canaries fly, and every span goes to a collector.
//
// Whoever scrapes, and the collector, are this process, which is not among those that are measured.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { freePorts } from '../../demo/ports.ts';
import { describeMachine } from './machine.ts';
import { REGION_NAMES, type BenchOptions } from './options.ts';
import { intervalOf, runPairs, type Interval, type Pair } from './paired.ts';
import { runBench, type Variant } from './runner.ts';

const EXIT_OK = 0;
const EXIT_INTERNAL = 1;
const EXIT_USAGE = 2;
const EXIT_FINDINGS = 7;
const GOAL_PERCENT = 5;
const REGIONS = 3;
const SCRAPE_MS = 1000;
const RATIO = 0.01;

const WHAT = ['metrics', 'traces'] as const;
type What = (typeof WHAT)[number];

interface Flags {
  readonly what: What | 'both';
  readonly pairs: number;
  readonly seconds: number;
  readonly warmup: number;
  readonly rate: number;
  readonly keys: number;
  readonly json: boolean;
}

interface OverheadReport {
  readonly what: What;
  /** CPU µs per accepted op, all processes of all regions. */
  readonly pairs: readonly Pair[];
  /** Of the pairs' percent, 95 %. */
  readonly percent: Interval;
  readonly goalPercent: number;
  /** The upper end of the interval is within the goal. */
  readonly met: boolean;
}

/** A collector that takes everything and keeps nothing. */
async function startSink(): Promise<{ endpoint: string; requests: () => number; close: () => Promise<unknown> }> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    request.resume().on('end', () => response.writeHead(200, { 'Content-Type': 'application/x-protobuf' }).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Scrapes again and again until it is ended; says how often that went well. */
function scrapeAll(addresses: readonly string[]): () => number {
  let scraped = 0;
  const timer = setInterval(() => {
    for (const address of addresses) {
      fetch(`http://${address}/metrics`)
        .then(async (answer) => {
          await answer.text();
          scraped++;
        })
        .catch(() => undefined);
    }
  }, SCRAPE_MS);
  return () => {
    clearInterval(timer);
    return scraped;
  };
}

async function measured(what: What, variant: 'off' | 'on', flags: Flags, say: (line: string) => void): Promise<number> {
  const options: BenchOptions = {
    json: false,
    seconds: flags.seconds,
    warmup: flags.warmup,
    keys: flags.keys,
    valueBytes: 200,
    regions: REGIONS,
    engine: 'embedded',
    shards: 8,
    rate: flags.rate,
    inFlight: undefined,
    reads: 0,
    lagTargetMs: 100,
    delayMs: 0,
    partitionS: 0,
    compression: 'auto',
    profile: undefined,
  };
  const run = async (of: Variant): Promise<number> => {
    const report = await runBench(options, () => undefined, of);
    if (!report.converged || report.failedOps > 0 || report.probesMissing > 0)
      throw new Error(`${what} ${variant}: the run does not count: writes failed, or the regions do not agree`);
    say(`${what} ${variant.padEnd(3)} ${report.cpuMicrosPerOp} µs an op at ${report.acceptedOpsPerSecond} ops/s`);
    return report.cpuMicrosPerOp;
  };
  if (variant === 'off') return run({});
  if (what === 'metrics') {
    const names = REGION_NAMES.slice(0, REGIONS);
    const addresses = (await freePorts(REGIONS)).map((port) => `127.0.0.1:${port}`);
    const ended = scrapeAll(addresses);
    const micros = await run({ serveArgs: (region) => ['--http', addresses[names.indexOf(region as never)]!] }).finally(
      () => ended(),
    );
    if (ended() < REGIONS * flags.seconds * 0.5) throw new Error('metrics on: hardly any scrape was answered');
    return micros;
  }
  const sink = await startSink();
  try {
    const micros = await run({
      config: { tracing: { enabled: true, ratio: RATIO }, otlp: { endpoint: sink.endpoint } },
    });
    if (sink.requests() === 0) throw new Error('traces on: no span came to the collector');
    return micros;
  } finally {
    await sink.close();
  }
}

async function main(): Promise<number> {
  const command = new Command('npm run bench:overhead --')
    .description('What metrics and traces cost: CPU per op with and without, in interleaved pairs.')
    .addOption(new Option('--what <what>', 'what is switched off and on').choices([...WHAT, 'both']).default('both'))
    .option('--pairs <n>', 'how many pairs of each, 1 to 100', integer(1, 100), 10)
    .option('--seconds <s>', 'how long to measure each of a pair, 1 to 600', integer(1, 600), 20)
    .option('--warmup <s>', 'how long to run before, 0 to 600', integer(0, 600), 10)
    .option('--rate <ops>', 'ops per second offered, over all regions', integer(1, 1_000_000), 12_000)
    .option('--keys <k>', 'how many keys', integer(16, 10_000_000), 20_000)
    .option('--json', 'print one JSON document on stdout; progress goes to stderr', false)
    .addHelpText(
      'after',
      `\nExit code: 0 when the upper end of each 95 % interval is at most ${GOAL_PERCENT} %, 7 when it is not.`,
    )
    .allowExcessArguments(false)
    .exitOverride()
    .showHelpAfterError('(--help shows all flags)');
  try {
    command.parse();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === EXIT_OK ? EXIT_OK : EXIT_USAGE;
  }
  const flags = command.opts<Flags>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
  const say = (line: string): void => void process.stderr.write(`overhead: ${line}\n`);
  const reports: OverheadReport[] = [];
  for (const what of flags.what === 'both' ? WHAT : [flags.what]) {
    const pairs = await runPairs(flags.pairs, (variant, pair) => {
      say(`${what}, pair ${pair + 1} of ${flags.pairs}, ${variant}`);
      return measured(what, variant, flags, say);
    });
    const percent = intervalOf(pairs.map((pair) => pair.percent));
    reports.push({ what, pairs, percent, goalPercent: GOAL_PERCENT, met: percent.high <= GOAL_PERCENT });
  }
  const { pairs: _, json: __, ...settings } = flags;
  const text = flags.json
    ? JSON.stringify({ settings, reports, machine: describeMachine(), date: new Date().toISOString() }, null, 2)
    : reports.map(forPeople).join('\n');
  await new Promise<void>((resolve) => process.stdout.write(`${text}\n`, () => resolve()));
  return reports.every(({ met }) => met) ? EXIT_OK : EXIT_FINDINGS;
}

function forPeople({ what, pairs, percent, goalPercent, met }: OverheadReport): string {
  const shown = pairs.map((pair) => `${pair.off} → ${pair.on} (${signed(pair.percent)} %)`).join(', ');
  return (
    `${what.padEnd(8)} ${signed(percent.mean)} % (95 %: ${signed(percent.low)} to ${signed(percent.high)} %), ` +
    `${pairs.length} pairs; at most ${goalPercent} %: ${met ? 'yes' : 'NO'}\n         µs an op: ${shown}`
  );
}

function signed(value: number): string {
  return `${value >= 0 ? '+' : ''}${value.toFixed(1)}`;
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    process.stderr.write(`overhead: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(EXIT_INTERNAL);
  },
);
