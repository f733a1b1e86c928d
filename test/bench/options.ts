// The benchmark's command line.
// Owns: its flags, their help and their refusals (exit code 2).

import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { EngineName } from '../../demo/processes.ts';

export interface BenchOptions {
  readonly json: boolean;
  readonly seconds: number;
  readonly warmup: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly regions: number;
  readonly engine: EngineName;
  readonly shards: number;
  /** Open loop: offered, over all regions. */
  readonly rate: number | undefined;
  /** Closed loop: ops under way per region. Neither: the rate is steered by the lag. */
  readonly inFlight: number | undefined;
  /** What the p90 of lag is steered to. */
  readonly lagTargetMs: number;
  /** Local reads of random keys beside the writes, per second, over all regions. */
  readonly reads: number;
  /** One way, between regions. */
  readonly delayMs: number;
  /** How long one region is cut off in mid-run; 0: it is not. */
  readonly partitionS: number;
  /** Whether links are compressed; auto: when the delay makes their round trip 5 ms or more. */
  readonly compression: 'auto' | 'always' | 'never';
  /** Where Node writes CPU profiles of all processes. */
  readonly profile: string | undefined;
}

export type Parsed = { readonly options: BenchOptions } | { readonly exitCode: number };

const EXIT_OK = 0;
const EXIT_USAGE = 2;

/** Names and, by their number, how many regions there may be. */
export const REGION_NAMES = ['us-west', 'us-central', 'us-east', 'eu-west', 'eu-north', 'ap-south', 'ap-east'] as const;

const HELP = `
Examples:
  npm run bench -- --json                                      the most that three regions take while lag stays low
  npm run bench -- --json --rate 12000 --delay-ms 50           open loop at 12 k ops/s, regions 50 ms apart
  npm run bench -- --in-flight 4000                            flat out: the regions' queues fill, and lag grows
  npm run bench -- --engine distributed --rate 5000            regions of two nodes, on a NATS and a Redis server each
  npm run bench -- --rate 12000 --partition-s 60               how fast a region catches up, beside the load
  npm run bench -- --keys 10000000 --rate 6000 --reads 600     many keys: how long they take to load, memory, writes and reads
  npm run bench -- --profile /tmp/profiles                     with CPU profiles of every process

What it measures, how, and what it does not: docs/BENCHMARKS.md.`;

export function parseOptions(
  args: readonly string[],
  print: { out: (text: string) => void; err: (text: string) => void },
): Parsed {
  const command = new Command('npm run bench --')
    .description('Regions and producers as processes of their own on this machine: throughput, lag and cost.')
    .option('--json', 'print one JSON document on stdout; progress goes to stderr', false)
    .option('--seconds <s>', 'how long to measure, 1 to 3600', integer(1, 3600), 20)
    .option('--warmup <s>', 'how long to run before, 0 to 600', integer(0, 600), 15)
    .option('--keys <k>', 'how many keys, uniformly chosen, 16 to 10000000', integer(16, 10_000_000), 100_000)
    .option('--value-bytes <b>', 'size of values, 64 to 65536', integer(64, 65_536), 200)
    .option('--regions <r>', 'how many regions, 2 to 7', integer(2, REGION_NAMES.length), 3)
    .addOption(
      new Option('--engine <name>', 'embedded: a node a region; distributed: two nodes on NATS JetStream and Redis')
        .choices(['embedded', 'distributed'])
        .default('embedded'),
    )
    .option('--shards <n>', 'into how many shards the keys are divided, 1 to 64', integer(1, 64), 8)
    .option('--rate <ops>', 'open loop: ops per second offered, over all regions', integer(1, 10_000_000))
    .option('--in-flight <n>', 'closed loop, flat out: ops under way per region, 1 to 8000', integer(1, 8000))
    .option('--lag-target-ms <ms>', 'with neither: the most load with a p90 of lag of so much', integer(1, 60_000), 100)
    .option('--reads <n>', 'local reads of random keys beside, per second, over all regions', integer(0, 100_000), 0)
    .option('--delay-ms <d>', 'one-way delay between regions, 0 to 1000', integer(0, 1000), 0)
    .option(
      '--partition-s <s>',
      'cut one region off for so long and measure how all catch up, 0 to 3600',
      integer(0, 3600),
      0,
    )
    .addOption(
      new Option('--compression <when>', 'of links; auto: where the delay makes a round trip of 5 ms or more')
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    )
    .option(
      '--profile <directory>',
      'write CPU profiles of all processes there; rounds are then paced as on a busy node',
    )
    .addHelpText('after', HELP)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: print.out, writeErr: print.err })
    .showHelpAfterError('(--help shows all flags, with examples)');
  try {
    command.parse([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { exitCode: error.exitCode === EXIT_OK ? EXIT_OK : EXIT_USAGE };
  }
  const options = command.opts<BenchOptions>();
  if (options.rate !== undefined && options.inFlight !== undefined) {
    print.err('error: --rate is an open loop and --in-flight a closed one; give one of them\n');
    return { exitCode: EXIT_USAGE };
  }
  if (options.engine === 'distributed' && options.partitionS > 0) {
    print.err('error: --partition-s is measured with --engine embedded; leave one of them out\n');
    return { exitCode: EXIT_USAGE };
  }
  return { options };
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
