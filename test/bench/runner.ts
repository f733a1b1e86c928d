// One run: regions, wires and workers as processes, a warm-up, a window, and what came of it.
// Owns: the order of things, and the arithmetic of the report. docs/BENCHMARKS.md says what each number means.

import { loadavg, tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { mkdirSync } from 'node:fs';
import { Wires } from '../../chaos/cluster/wires.ts';
import { Cluster } from '../../demo/processes.ts';
import { RegionAdmin, regionReady, waitConverged } from '../../demo/region-client.ts';
import { adminClient, type AdminClient } from '../../src/client/index.ts';
import { mergeLatencies, percentileMs } from './latency.ts';
import {
  cpuMicros,
  describeMachine,
  measureControl,
  nowMicros,
  rssMiB,
  type Control,
  type Machine,
} from './machine.ts';
import { REGION_NAMES, type BenchOptions } from './options.ts';
import { catchUpOf, partition, type CatchUp, type Healed } from './partition.ts';
import { RATE_START, Steering } from './steering.ts';
import type { Progress } from './worker-messages.ts';
import { Worker } from './workers.ts';

const NAMESPACE = 'bench';
const COLLECTION = 'items';

/** Workers connect and make their values before the clock starts. */
const LEAD_MS = 300;
const CONVERGE_MS_MAX = 60_000;
const PROBES_MS_MAX = 10_000;
/** A region that is flat out answers an operator late. */
const CALL_MS_MAX = 30_000;

export interface BenchReport {
  readonly engine: BenchOptions['engine'];
  readonly regions: number;
  readonly seconds: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly shards: number;
  readonly compression: BenchOptions['compression'];
  readonly load:
    | { readonly kind: 'steered'; readonly lagTargetMs: number; /** offered, at the end */ readonly rate: number }
    | { readonly kind: 'open'; readonly rate: number }
    | { readonly kind: 'closed'; readonly inFlight: number };
  readonly delayMs: number;

  readonly acceptedOpsPerSecond: number;
  readonly failedOps: number;
  readonly ackMsP50: number;
  readonly ackMsP99: number;
  /** Local reads, from their intended start; undefined: none were asked for. */
  readonly reads:
    { readonly perSecond: number; readonly failed: number; readonly msP50: number; readonly msP99: number } | undefined;
  readonly lagMsP50: number;
  readonly lagMsP99: number;
  readonly lagMsP999: number;
  readonly lagMsMax: number;
  /** p99 of each second, the worst region: whether lag grew. */
  readonly lagMsP99BySecond: readonly number[];
  readonly lagSamples: number;
  /** Probes that no subscriber got; 0 unless something is wrong. */
  readonly probesMissing: number;
  /** CPU of all processes over the window, the runner left out, per accepted op. */
  readonly cpuMicrosPerOp: number;
  readonly cpuMicrosPerOpByProcess: Readonly<Record<string, number>>;
  readonly cpuUtilization: number;
  /** Bytes that all regions received from their peers, per accepted op. */
  readonly wanBytesPerOp: number;
  /** The same, per op and peer that it went to, against key and value. */
  readonly wanBytesPerOpAndPeer: number;
  /** Batches that all regions sealed of their own writes, each of one shard; every peer takes each of them again. */
  readonly batchesPerSecond: number;
  readonly opsPerBatch: number;
  /** Batches that came again: work for nothing. */
  readonly duplicateBatches: number;
  readonly rssMiB: Readonly<Record<string, number>>;
  /** To write every key once and have all regions agree, before the warm-up. */
  readonly loadedSeconds: number;
  /** With --partition-s; the lag above is then that of a partition. */
  readonly catchUp: CatchUp | undefined;
  readonly converged: boolean;
  /** From the last acknowledgement until all digests were equal. */
  readonly convergedMs: number | undefined;

  readonly control: Control;
  readonly loadAverageBefore: number;
  readonly machine: Machine;
  readonly date: string;
}

/** What of the regions is other than usual. */
export interface Variant {
  /** Further options of every node, in the shape of its config file. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Further flags of a region's `causeway serve`. */
  readonly serveArgs?: (region: string) => readonly string[];
}

export async function runBench(
  options: BenchOptions,
  say: (line: string) => void,
  variant: Variant = {},
): Promise<BenchReport> {
  const names = REGION_NAMES.slice(0, options.regions);
  const execArgv = profileFlags(options.profile);
  const loadAverageBefore = loadavg()[0]!;
  const cleanups: (() => Promise<unknown>)[] = [];
  try {
    const control = await measureControl(tmpdir());
    say(
      `control: ${control.fdatasyncPerSecond} fdatasync/s, loopback ${control.loopbackRoundTripsPerSecond} round trips/s, ${control.loopbackMBPerSecond} MB/s`,
    );

    // No wires of ours without need: forwarding costs CPU that is not Causeway's.
    const wires = options.delayMs > 0 || options.partitionS > 0 ? new Wires(options.delayMs) : undefined;
    if (wires !== undefined) cleanups.push(() => wires.close());
    const cluster = await Cluster.prepare({
      engine: options.engine,
      regions: names,
      namespace: NAMESPACE,
      collections: { [COLLECTION]: 'register-lww' },
      ready: regionReady,
      execArgv,
      config: {
        placements: [{ id: 1, name: 'default', shards: options.shards, regions: [...names] }],
        linkCompression: options.compression,
        ...variant.config,
      },
      ...(variant.serveArgs === undefined ? {} : { serveArgs: variant.serveArgs }),
      ...(wires === undefined ? {} : { peerAddress: wires.lay }),
    });
    cleanups.unshift(() => cluster.stop());
    for (const region of cluster.regions) region.spawn();
    await Promise.all(cluster.regions.map((region) => region.ready()));
    say(`${names.length} regions are up: ${names.join(', ')}`);

    const workers = cluster.regions.map(
      ({ name, addresses }, i) =>
        new Worker(
          {
            region: name,
            addresses,
            namespace: NAMESPACE,
            collection: COLLECTION,
            keys: options.keys,
            valueBytes: options.valueBytes,
            seed: i + 1,
            closedLoop: options.inFlight !== undefined,
            opsPerSecond: (options.rate ?? RATE_START) / names.length,
            inFlight: options.inFlight ?? 0,
            readsPerSecond: options.reads / names.length,
          },
          execArgv,
        ),
    );
    cleanups.unshift(() => Promise.all(workers.map((worker) => worker.end())));
    /** Of every node. */
    const admins = cluster.regions
      .flatMap(({ addresses }) => addresses)
      .map((address) => adminClient(address, { deadlineMs: CALL_MS_MAX, connectTimeoutMs: CALL_MS_MAX }));
    const regions = cluster.regions.map(({ addresses }) => new RegionAdmin(addresses));
    cleanups.unshift(() => Promise.resolve([...admins, ...regions].map((admin) => admin.close())));
    await Promise.all(workers.map((worker) => worker.setup()));
    const loadFromMicros = nowMicros();
    await Promise.all(workers.map((worker, i) => worker.preload(i, workers.length)));
    if ((await waitConverged(regions, CONVERGE_MS_MAX)) === undefined)
      throw new Error('the regions do not agree on the keys');
    const loadedSeconds = Math.round((nowMicros() - loadFromMicros) / 100_000) / 10;
    say(`${options.keys} keys are written once, everywhere, in ${loadedSeconds} s`);

    // The window, in a clock that all processes share.
    const startMicros = nowMicros() + LEAD_MS * 1000;
    const windowFromMicros = startMicros + options.warmup * 1_000_000;
    // With a partition: so long before it, it, and as long again to catch up in.
    const seconds = options.partitionS === 0 ? options.seconds : 2 * (options.seconds + options.partitionS);
    const windowToMicros = windowFromMicros + seconds * 1_000_000;
    const running = workers.map((worker) => worker.run({ startMicros, windowFromMicros, windowToMicros }));
    const steering = new Steering(options.lagTargetMs);
    if (options.rate === undefined && options.inFlight === undefined) steer(workers, steering);
    // Looked at only later: a failure before must not count as unhandled.
    for (const each of running) each.catch(() => {});
    say(`${options.warmup} s of warm-up, then ${seconds} s are measured`);

    const pids = new Map<string, number>([
      ...cluster.processes(),
      ...workers.map((worker) => [`producer of ${worker.region}`, worker.pid] as const),
    ]);
    // Once for nothing: what an operator's call costs the first time is not the load's.
    await snapshot(pids, admins);
    await sleepUntil(windowFromMicros);
    const before = await snapshot(pids, admins);
    let healed: Healed | undefined;
    if (wires !== undefined && options.partitionS > 0) {
      await sleepUntil(windowFromMicros + options.seconds * 1_000_000);
      healed = await partition(names, admins, wires, options.partitionS);
    }
    await sleepUntil(windowToMicros);
    const after = await snapshot(pids, admins);

    const sent = await Promise.all(running);
    const convergedMs = await waitConverged(regions, CONVERGE_MS_MAX);
    const probesSent = sent.map(({ probes }) => probes);
    const allProbes = sum(probesSent);
    const received = await Promise.all(
      workers.map((worker, i) => worker.finish(allProbes - probesSent[i]!, PROBES_MS_MAX)),
    );

    const accepted = sum(sent.map((each) => each.accepted));
    const ack = mergeLatencies(sent.map((each) => each.ack));
    const lag = mergeLatencies(received.map((each) => each.lag));
    const read = mergeLatencies(sent.map((each) => each.read));
    const cpuByProcess = new Map([...pids.keys()].map((name) => [name, after.cpu.get(name)! - before.cpu.get(name)!]));
    const cpu = sum([...cpuByProcess.values()]);
    const windowMicros = after.atMicros - before.atMicros;
    const moved = (name: Counter): number => after.counters[name] - before.counters[name];
    const wanBytes = moved('bytesReceived');
    return {
      engine: options.engine,
      regions: names.length,
      seconds,
      keys: options.keys,
      valueBytes: options.valueBytes,
      shards: options.shards,
      compression: options.compression,
      load: loadOf(options, steering),
      delayMs: options.delayMs,
      acceptedOpsPerSecond: Math.round(accepted / seconds),
      failedOps: sum(sent.map((each) => each.failed)),
      ackMsP50: percentileMs(ack, 50),
      ackMsP99: percentileMs(ack, 99),
      reads:
        options.reads === 0
          ? undefined
          : {
              perSecond: Math.round(read.totalCount / seconds),
              failed: sum(sent.map((each) => each.failedReads)),
              msP50: percentileMs(read, 50),
              msP99: percentileMs(read, 99),
            },
      lagMsP50: percentileMs(lag, 50, options.delayMs),
      lagMsP99: percentileMs(lag, 99, options.delayMs),
      lagMsP999: percentileMs(lag, 99.9, options.delayMs),
      lagMsMax: percentileMs(lag, 100, options.delayMs),
      lagMsP99BySecond: worstBySecond(received.map((each) => each.lagP99MsBySecond)),
      lagSamples: lag.totalCount,
      probesMissing: allProbes * (names.length - 1) - sum(received.map((each) => each.probes)),
      cpuMicrosPerOp: perOp(cpu, accepted),
      cpuMicrosPerOpByProcess: Object.fromEntries(
        [...cpuByProcess].map(([name, micros]) => [name, perOp(micros, accepted)]),
      ),
      cpuUtilization: Math.round((cpu / windowMicros) * 100) / 100,
      wanBytesPerOp: perOp(wanBytes, accepted),
      wanBytesPerOpAndPeer: perOp(wanBytes, accepted * (names.length - 1)),
      batchesPerSecond: Math.round((moved('commits') * 1_000_000) / windowMicros),
      opsPerBatch: perOp(moved('accepted'), moved('commits')),
      duplicateBatches: moved('duplicateBatches'),
      rssMiB: Object.fromEntries(after.rss),
      loadedSeconds,
      catchUp:
        healed === undefined
          ? undefined
          : catchUpOf(
              healed,
              windowFromMicros,
              sent.map((each) => each.ackBySecond),
            ),
      converged: convergedMs !== undefined,
      convergedMs,
      control,
      loadAverageBefore: Math.round(loadAverageBefore * 100) / 100,
      machine: describeMachine(),
      date: new Date().toISOString().slice(0, 10),
    };
  } finally {
    for (const cleanup of cleanups) await cleanup();
  }
}

/** A step whenever every worker has reported since the last one. */
function steer(workers: readonly Worker[], steering: Steering): void {
  const reports = new Map<Worker, Progress>();
  for (const worker of workers) {
    worker.onProgress = (progress) => {
      reports.set(worker, progress);
      if (reports.size < workers.length) return;
      const rate = steering.next([...reports.values()]);
      reports.clear();
      for (const each of workers) each.steer(rate / workers.length);
    };
  }
}

function loadOf({ rate, inFlight, lagTargetMs }: BenchOptions, steering: Steering): BenchReport['load'] {
  if (rate !== undefined) return { kind: 'open', rate };
  if (inFlight !== undefined) return { kind: 'closed', inFlight };
  return { kind: 'steered', lagTargetMs, rate: Math.round(steering.rate) };
}

function profileFlags(directory: string | undefined): string[] {
  if (directory === undefined) return [];
  mkdirSync(directory, { recursive: true });
  return ['--cpu-prof', `--cpu-prof-dir=${directory}`];
}

interface Snapshot {
  readonly atMicros: number;
  readonly cpu: ReadonlyMap<string, number>;
  readonly rss: ReadonlyMap<string, number>;
  readonly counters: Readonly<Record<Counter, number>>;
}

const COUNTERS = ['bytesReceived', 'commits', 'duplicateBatches', 'appliedRemote', 'accepted'] as const;
type Counter = (typeof COUNTERS)[number];

async function snapshot(pids: ReadonlyMap<string, number>, admins: readonly AdminClient[]): Promise<Snapshot> {
  const atMicros = nowMicros();
  const cpu = new Map([...pids].map(([name, pid]) => [name, cpuMicros(pid)]));
  const rss = new Map([...pids].map(([name, pid]) => [name, rssMiB(pid)]));
  const statuses = await Promise.all(admins.map((admin) => admin.status()));
  const total = (name: Counter): number => sum(statuses.map(({ counters }) => counters[name]));
  return {
    atMicros,
    cpu,
    rss,
    counters: Object.fromEntries(COUNTERS.map((name) => [name, total(name)])) as Snapshot['counters'],
  };
}

async function sleepUntil(micros: number): Promise<void> {
  await sleep(Math.max(0, (micros - nowMicros()) / 1000));
}

function worstBySecond(regions: readonly (readonly number[])[]): number[] {
  const seconds = Math.max(0, ...regions.map((each) => each.length));
  return Array.from({ length: seconds }, (_, i) => Math.max(...regions.map((each) => each[i] ?? 0)));
}

function perOp(total: number, ops: number): number {
  return ops === 0 ? 0 : Math.round((total / ops) * 10) / 10;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
