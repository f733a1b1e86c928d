// causeway start: a playground of one or more regions in this process, without a config file.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Option } from 'commander';
import { composeNode, type Region, type RunningNode } from '../compose.ts';
import { configFrom } from '../config/load.ts';
import { LOG_LEVELS, type Config } from '../config/schema.ts';
import { CausewayError } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { runUntilStopped, stopSignals } from './run.ts';
import { table } from './terminal.ts';
import { wholeNumber } from './words.ts';

/** With a city for each, so that the page has a map: Virginia, Oregon, Dublin, Stockholm, Mumbai, Hong Kong, São Paulo. */
const PLACES = {
  'us-east': { lat: 38.9, lon: -77.4 },
  'us-west': { lat: 45.6, lon: -121.2 },
  'eu-west': { lat: 53.3, lon: -6.3 },
  'eu-north': { lat: 59.3, lon: 18.1 },
  'ap-south': { lat: 19.1, lon: 72.9 },
  'ap-east': { lat: 22.3, lon: 114.2 },
  'sa-east': { lat: -23.5, lon: -46.6 },
} as const;
const REGION_NAMES = Object.keys(PLACES) as readonly (keyof typeof PLACES)[];
const PORT_DEFAULT = 7400;
/** Clients, peers and HTTP of one region lie beside each other, the next region's ten further on, as in examples/. */
const PORTS_PER_REGION = 10;

const COLLECTIONS = [
  { namespace: 'demo', name: 'profiles', type: 'register-lww' },
  { namespace: 'demo', name: 'notes', type: 'register-mv' },
  { namespace: 'demo', name: 'counters', type: 'counter-pn' },
  { namespace: 'demo', name: 'sets', type: 'set-aw' },
  { namespace: 'demo', name: 'flights', type: 'map-lww' },
] as const;

interface StartFlags {
  readonly regions: number;
  readonly data?: string;
  readonly port: number;
  readonly otlp?: string;
  readonly logLevel: Config['log']['level'];
}

export const addStart: AddCommand = (program, act) => {
  program
    .command('start')
    .description('a playground on this machine: one region or several, no config file')
    .option('--regions <n>', `how many regions, 1 to ${REGION_NAMES.length}`, wholeNumber(1, REGION_NAMES.length), 1)
    .option('--data <directory>', 'keep the data there; without it a temporary directory that goes at the end')
    .option('--port <n>', 'first port; each region takes three, ten apart', wholeNumber(1, 65_535), PORT_DEFAULT)
    .option('--otlp <url>', 'record every write and push its trace to a collector there (deploy/compose.yaml has one)')
    .addOption(
      new Option('--log-level <level>', 'what the nodes say, once they are ready').choices(LOG_LEVELS).default('warn'),
    )
    .addHelpText(
      'after',
      `${examples(
        ['causeway start', 'one region on 127.0.0.1:7400'],
        ['causeway start --regions 3', 'three, on 7400, 7410 and 7420, replicating to each other'],
        ['causeway start --data ./playground --port 9000', 'keep what was written'],
      )}
Collections: ${COLLECTIONS.map(({ name, type }) => `demo/${name} (${type})`).join(', ')}.
`,
    )
    .action(act(start));
};

async function start({ terminal, system }: Context, flags: StartFlags): Promise<void> {
  const temporary = flags.data === undefined;
  const directory = flags.data ?? mkdtempSync(join(tmpdir(), 'causeway-start-'));
  const signals = stopSignals();
  const nodes: RunningNode[] = [];
  try {
    const configs = playground(flags, directory);
    await refuseTakenPorts(configs, flags.port);
    // All at once, since each asks the others before it takes writes.
    const starting = await Promise.allSettled(configs.map((config) => composeNode(config, system)));
    nodes.push(...starting.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
    const failed = starting.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason as CausewayError;
    await Promise.race([Promise.all(nodes.map(({ region }) => ready(region))), signals.first]);
    // Until then they miss each other, which is no news.
    for (const { log } of nodes) log.level = flags.logLevel;
    if (terminal.json) {
      terminal.document({
        directory,
        temporary,
        regions: nodes.map(({ config, clients, peers, http }) => ({ region: config.region, clients, peers, http })),
      });
    } else {
      welcome(nodes);
    }
    await runUntilStopped(nodes, signals, system, (text) => terminal.note(text));
  } finally {
    signals.release();
    await Promise.all(nodes.map((node) => node.stop()));
    if (temporary) rmSync(directory, { recursive: true, force: true });
  }

  function welcome(running: readonly RunningNode[]): void {
    const first = running[0]!;
    const last = running.at(-1)!;
    terminal.line(`${terminal.good('ready')}: ${running.length === 1 ? 'one region' : `${running.length} regions`}`);
    for (const line of table(
      running.map(({ config, clients, http }) => [`  ${config.region}`, clients, `http://${http}`]),
    ))
      terminal.line(line);
    terminal.line(`data in ${directory}${temporary ? ', which goes when this ends (--data keeps it)' : ''}`);
    const at = (address: string): string => (address === `127.0.0.1:${PORT_DEFAULT}` ? '' : `-e ${address} `);
    terminal.line();
    terminal.line('Try in another terminal:');
    terminal.line(`  causeway ${at(first.clients)}put demo/profiles/anna '{"city":"Oslo"}'`);
    terminal.line(`  causeway ${at(last.clients)}get demo/profiles/anna`);
    terminal.line(`  causeway ${at(first.clients)}status`);
    terminal.line(`  curl -N 'http://${last.http}/v1/demo?watch'`);
    terminal.line();
    terminal.line(`See it all in a browser: http://${first.http}/ui/`);
    terminal.line();
    terminal.line('Ctrl-C ends it.');
  }
}

function ready(region: Region): Promise<void> {
  return new Promise((resolve) => {
    region.onReady((now) => {
      if (now) resolve();
    });
    if (region.ready()) resolve();
  });
}

function playground(flags: StartFlags, directory: string): Config[] {
  const regions = REGION_NAMES.slice(0, flags.regions).map((name, i) => {
    const port = flags.port + i * PORTS_PER_REGION;
    const at = (offset: number): [string] => [`127.0.0.1:${port + offset}`];
    return { name, clients: at(0), peers: at(1), http: at(2), coordinates: PLACES[name] };
  });
  return regions.map(({ name, clients, peers, http }) =>
    configFrom({
      clusterId: 'playground',
      region: name,
      dataDir: join(directory, name),
      listeners: { clients: { address: clients[0] }, peers: { address: peers[0] }, http: { address: http[0] } },
      regions,
      namespaces: [{ name: 'demo' }],
      collections: [...COLLECTIONS],
      log: { level: 'fatal' },
      ...(flags.otlp === undefined ? {} : { tracing: { enabled: true, ratio: 1 }, otlp: { endpoint: flags.otlp } }),
    }),
  );
}

/** Before anything is written: the usual mistake is a second playground. */
async function refuseTakenPorts(configs: readonly Config[], port: number): Promise<void> {
  for (const { listeners } of configs) {
    for (const { address } of Object.values(listeners)) {
      if (await isFree(address)) continue;
      throw new CausewayError('CONFIG_INVALID', `expected ${address} to be free; another process listens there`, {
        hint: `Perhaps another playground is running. Take other ports with --port, for example --port ${port + 100}.`,
      });
    }
  }
}

function isFree(address: string): Promise<boolean> {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host, port: Number(port), exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
