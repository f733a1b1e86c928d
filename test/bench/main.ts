// npm run bench: what this machine does with regions and producers as processes of their own. See docs/BENCHMARKS.md.

import { parseOptions } from './options.ts';
import { runBench, type BenchReport } from './runner.ts';

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
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
  const report = await runBench(options, (line) => process.stderr.write(`bench: ${line}\n`));
  const text = options.json ? JSON.stringify(report, null, 2) : forPeople(report).join('\n');
  await new Promise<void>((resolve) => process.stdout.write(`${text}\n`, () => resolve()));
  // A number without agreement, or with writes that failed or never came, measures something else.
  return report.converged && report.probesMissing === 0 && report.failedOps === 0 ? EXIT_OK : EXIT_FINDINGS;
}

function forPeople(report: BenchReport): string[] {
  return [
    `${report.regions} regions, ${report.keys} keys, ${report.valueBytes} B values, ${report.shards} shards, ${loadText(report.load)}` +
      (report.delayMs > 0 ? `, ${report.delayMs} ms apart` : ''),
    `accepted    ${report.acceptedOpsPerSecond} ops/s, durable, over ${report.seconds} s; ${report.failedOps} failed`,
    `ack         p50 ${report.ackMsP50} ms   p99 ${report.ackMsP99} ms`,
    `lag         p50 ${report.lagMsP50} ms   p99 ${report.lagMsP99} ms   p99.9 ${report.lagMsP999} ms   max ${report.lagMsMax} ms` +
      (report.delayMs > 0 ? '   (above the delay)' : ''),
    ...(report.reads === undefined
      ? []
      : [
          `reads       ${report.reads.perSecond} a second, p50 ${report.reads.msP50} ms   p99 ${report.reads.msP99} ms; ${report.reads.failed} failed or found nothing`,
        ]),
    `lag by s    ${report.lagMsP99BySecond.join(' ')}  (p99, worst region)`,
    `CPU         ${report.cpuMicrosPerOp} µs an op, ${report.cpuUtilization} cores busy`,
    ...Object.entries(report.cpuMicrosPerOpByProcess).map(
      ([name, micros]) => `              ${name.padEnd(24)} ${micros} µs, ${report.rssMiB[name]} MiB`,
    ),
    `WAN         ${report.wanBytesPerOp} B an op, ${report.wanBytesPerOpAndPeer} B an op and peer`,
    `batches     ${report.batchesPerSecond} a second in all regions, ${report.opsPerBatch} ops each; ${report.duplicateBatches} batches came again`,
    ...(report.catchUp === undefined ? [] : [catchUpText(report.catchUp)]),
    report.converged ? `converged   ${report.convergedMs} ms after the last acknowledgement` : 'NOT CONVERGED',
    ...(report.probesMissing === 0 ? [] : [`MISSING     ${report.probesMissing} writes reached no subscriber`]),
    `control     ${report.control.fdatasyncPerSecond} fdatasync/s, loopback ${report.control.loopbackRoundTripsPerSecond} round trips/s, ${report.control.loopbackMBPerSecond} MB/s`,
  ];
}

function catchUpText(of: NonNullable<BenchReport['catchUp']>): string {
  const { region, partitionSeconds, missingOps, caughtUpMs, opsPerSecond, timesIngest } = of;
  const ended =
    caughtUpMs === undefined
      ? 'NOT CAUGHT UP'
      : `caught up in ${caughtUpMs} ms: ${opsPerSecond} ops/s, ${timesIngest} times as fast as they came`;
  return (
    `partition   ${region} cut off for ${partitionSeconds} s, ${missingOps} ops missing; ${ended}; ` +
    `ack p99 ${of.ackMsP99Before} ms before, ${of.ackMsP99CatchingUp} ms meanwhile`
  );
}

function loadText(load: BenchReport['load']): string {
  switch (load.kind) {
    case 'steered':
      return `load steered to a p90 of lag of ${load.lagTargetMs} ms`;
    case 'open':
      return `${load.rate} ops/s offered`;
    case 'closed':
      return `flat out with ${load.inFlight} ops under way per region`;
  }
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(EXIT_INTERNAL);
  },
);
