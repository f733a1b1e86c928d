// npm start: three regions on this machine, fed with the real flights of 2001; one dies in mid-run, and at the end all agree.
// Owns: what is printed where, the exit code, and that nothing is left running.

import { parseOptions } from './options.ts';
import type { Cluster } from './processes.ts';
import { NAMESPACE, runFlights, startCluster, type FinishedRun } from './run.ts';
import { View } from './view.ts';

const EXIT_OK = 0;
const EXIT_INTERNAL = 1;
const EXIT_FINDINGS = 7;

async function main(): Promise<number> {
  const parsed = parseOptions(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
  if ('exitCode' in parsed) return parsed.exitCode;
  const { options } = parsed;
  const view = new View(options.json ? process.stderr : process.stdout);

  let cluster: Cluster | undefined;
  /** What to exit with once everything is compared and it goes on serving. */
  let served: number | undefined;
  const interrupted = new Promise<number>((resolve) => {
    for (const [signal, number] of [
      ['SIGINT', 2],
      ['SIGTERM', 15],
      ['SIGHUP', 1],
    ] as const) {
      process.once(signal, () => {
        // A second one ends at once; the regions are ended by the 'exit' handler and the watchdog.
        process.once(signal, () => process.exit(128 + number));
        resolve(128 + number);
      });
    }
  });

  view.say(
    options.engine === 'distributed'
      ? 'Starting three regions, each of two nodes, NATS and Redis: us-west, us-central and us-east ...'
      : 'Starting three regions, each a process of its own: us-west, us-central and us-east ...',
  );
  const work = async (): Promise<number> => {
    cluster = await startCluster(!options.once, options.engine);
    for (const { name, addresses, pid } of cluster.regions)
      view.say(`  ${name.padEnd(11)} ${addresses.join(', ')}  (pid ${pid})`);
    view.say(`  data in ${cluster.directory}`);
    if (!options.once) view.say(`Watch it in a browser: ${pageOf(cluster)}`);
    const finished = await runFlights(cluster, {
      flights: options.flights,
      kill: options.kill,
      seconds: options.seconds,
      view,
    });
    const passed = finished.result.converged && finished.result.mismatches === 0;
    for (const line of summary(finished)) view.say(line);
    if (options.json) await printed(`${JSON.stringify(finished.result)}\n`);
    const exitCode = passed ? EXIT_OK : EXIT_FINDINGS;
    if (options.once) return exitCode;
    for (const line of invitation(cluster)) view.say(line);
    served = exitCode;
    await interrupted;
    return exitCode;
  };

  try {
    // Ctrl-C while it serves is how it is meant to end; before that it is an interruption.
    return await Promise.race([work(), interrupted.then((code) => served ?? code)]);
  } finally {
    if (!options.once) view.say('Ending the regions ...');
    await cluster?.stop();
  }
}

/** Resolves when it has left this process, which may end right after. */
function printed(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}

function summary({ result, examples }: FinishedRun): string[] {
  const { flights, ops, seconds, opsPerSecond, regions, lagMsP50, lagMsP99, killed, caughtUpMs } = result;
  const lines = [
    '',
    `${flights} flights, ${ops} ops acknowledged in ${seconds} s (${opsPerSecond} ops/s), durable in the region that took them`,
    `lag from a write to a subscriber in another region: p50 ${lagMsP50} ms, p99 ${lagMsP99} ms`,
  ];
  if (killed !== null) lines.push(`${killed} was killed, and had caught up ${caughtUpMs} ms after its restart`);
  lines.push(
    result.converged ? `digests are equal in ${regions.join(', ')}` : 'DIGESTS DIFFER between the regions',
    result.mismatches === 0
      ? `${result.compared} answers compared with the dataset: all right`
      : `${result.mismatches} of ${result.compared} answers DIFFER from the dataset, among them:`,
    ...examples.map(
      ({ region, collection, key, expected, got }) =>
        `  ${region} ${collection}/${key}: expected ${expected}, got ${got}`,
    ),
  );
  return lines;
}

/** Of the first region, which is not the one that is killed: a page that is open stays. */
function pageOf(cluster: Cluster): string {
  return `http://${cluster.regions[0]!.httpAddress}/ui/`;
}

function invitation(cluster: Cluster): string[] {
  const [west, , east] = cluster.regions;
  return [
    '',
    `The regions go on serving, at ${cluster.regions.map(({ address }) => address).join(', ')}. Try, in another terminal:`,
    '',
    `  npm run cli -- get ${NAMESPACE}/last-seen/ORD --endpoint ${east!.address}`,
    `  npm run cli -- put ${NAMESPACE}/last-seen/ORD hello --endpoint ${west!.address}`,
    `  npm run cli -- status --endpoint ${cluster.regions.map(({ address }) => address).join(',')}`,
    '',
    `and see it in a browser: ${pageOf(cluster)}`,
    '',
    'Ctrl-C ends everything.',
  ];
}

main().then(
  (exitCode) => {
    // Not process.exitCode: a connection that lingers in a library must not keep a finished demo from ending.
    process.exit(exitCode);
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(EXIT_INTERNAL);
  },
);
