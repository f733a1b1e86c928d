// One run of the demo: three regions, the flights, the death of one, and the comparison at the end.
// Owns: the order of things and the result. main.ts decides what is printed where.

import { setTimeout as sleep } from 'node:timers/promises';
import { compareRegions, type Mismatch } from './compare.ts';
import { DEMO_REGIONS, FLIGHTS_MAX, readDataset, REGION_PLACES, type DemoRegion } from './dataset.ts';
import { COLLECTIONS, flightEvents, formatMinutes, type FlightEvent } from './events.ts';
import { LagMeter } from './lag.ts';
import { runOutage } from './outage.ts';
import { Cluster, type EngineName } from './processes.ts';
import { digestsEqual, regionReady, RegionClient, waitConverged } from './region-client.ts';
import { Replay } from './replay.ts';
import { truthOf, type LastSeenAck } from './truth.ts';
import type { RegionView, Snapshot, View } from './view.ts';

export const NAMESPACE = 'demo';

/** The one with fewest flights of its own lies between the others and has the most to catch up. */
const KILLED: DemoRegion = 'us-central';

/** With an outage a run is at least this long, however few flights: the region must die, be missed, and come back. */
const OUTAGE_RUN_SECONDS_MIN = 5;
/** Events that the slowest region has not shown its subscriber: a second's worth at full pace. */
const EVENTS_BEHIND_MAX = 1300;
const CONVERGE_MS_MAX = 60_000;
const DRAW_EVERY_MS = 250;
const STATUS_EVERY_MS = 500;
const LAG_TURN_MS = 4000;
const REPLAYING = 'replaying the flights of 2001';

/** The JSON document of `--once --json`. */
export interface DemoResult {
  readonly flights: number;
  readonly ops: number;
  /** From the first write until the last acknowledgement. */
  readonly seconds: number;
  readonly opsPerSecond: number;
  readonly regions: readonly string[];
  readonly converged: boolean;
  readonly mismatches: number;
  readonly compared: number;
  /** Write until a subscriber in a peer has it, over all ordered pairs, while both regions were up. */
  readonly lagMsP50: number;
  readonly lagMsP99: number;
  readonly lagSamples: number;
  /** The same with what had to wait for the killed region. */
  readonly lagMsP99WithOutage: number;
  readonly killed: string | null;
  readonly caughtUpMs: number | null;
  /** Events that another region took while theirs was away. */
  readonly rerouted: number;
}

export interface RunOptions {
  readonly flights: number;
  readonly kill: boolean;
  readonly seconds: number;
  readonly view: View;
}

export interface FinishedRun {
  readonly result: DemoResult;
  readonly examples: readonly Mismatch[];
}

/** `watched`: somebody may look at the page, which shows traces of one write in a hundred. No canaries: they would keep digests moving. */
export async function startCluster(watched: boolean, engine: EngineName): Promise<Cluster> {
  return Cluster.start({
    engine,
    config: watched ? { tracing: { enabled: true, canaryMs: 0 } } : {},
    regions: DEMO_REGIONS,
    namespace: NAMESPACE,
    collections: COLLECTIONS,
    coordinates: REGION_PLACES,
    ready: regionReady,
  });
}

export async function runFlights(cluster: Cluster, options: RunOptions): Promise<FinishedRun> {
  const clients = cluster.regions.map(({ name, addresses }) => new RegionClient(name, addresses, NAMESPACE));
  const ended = new AbortController();
  try {
    return await new Run(cluster, clients, options, ended.signal).run();
  } finally {
    ended.abort();
    for (const client of clients) client.close();
  }
}

class Run {
  readonly #cluster: Cluster;
  readonly #clients: readonly RegionClient[];
  readonly #options: RunOptions;
  readonly #signal: AbortSignal;
  readonly #lag = new LagMeter();
  readonly #lastSeen: LastSeenAck[] = [];
  readonly #board: Board;
  /** Caught up, and its subscriber has not been heard since. */
  #awaitedSubscriber: string | undefined;

  constructor(cluster: Cluster, clients: readonly RegionClient[], options: RunOptions, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#clients = clients;
    this.#options = options;
    this.#signal = signal;
    this.#board = new Board(clients, this.#lag, options.view);
  }

  async run(): Promise<FinishedRun> {
    const { flights: count, kill, seconds } = this.#options;
    const { flights, airports } = readDataset(count);
    const events = flightEvents(flights, airports);
    for (const client of this.#clients) {
      client.follow('flights', (key, fields, writtenIn) => this.#delivered(client.region, key, fields, writtenIn));
    }

    const share = seconds * (flights.length / FLIGHTS_MAX);
    const replay = new Replay({
      events,
      writers: this.#clients,
      seconds: kill ? Math.max(share, OUTAGE_RUN_SECONDS_MIN) : share,
      // A machine that is busy with other things gets a slower replay rather than one that piles up and shows nothing but queues.
      hold: () => this.#lag.behind(DEMO_REGIONS) > EVENTS_BEHIND_MAX,
      onSent: (event, sentMs) => this.#lag.sent(lagId(event), sentMs),
      onAck: (op, { stamp, origin }) => {
        if (op.collection === 'last-seen') this.#lastSeen.push({ airport: op.key, value: op.value, stamp, origin });
      },
    });
    this.#board.start(replay, events.length, this.#signal);

    const startMs = performance.now();
    const outage = kill ? this.#outage(replay, events.length) : Promise.resolve(null);
    // The first failure of either ends both: the run's signal is what the other waits on.
    const [replayedMs, caughtUpMs] = await Promise.all([replay.run().then(() => performance.now()), outage]);

    this.#board.phase = 'all acknowledged; waiting until the digests are equal';
    const converged = await waitConverged(
      this.#clients.map(({ admin }) => admin),
      CONVERGE_MS_MAX,
    );
    this.#board.phase = 'comparing every expected value with what each region answers';
    const comparison = await compareRegions(truthOf(flights, this.#lastSeen), this.#clients);
    await this.#board.stop();

    const runSeconds = (replayedMs - startMs) / 1000;
    const { p50Ms, p99Ms, count: lagSamples } = this.#lag.total();
    return {
      examples: comparison.examples,
      result: {
        flights: flights.length,
        ops: replay.opsAcknowledged,
        seconds: Math.round(runSeconds * 10) / 10,
        opsPerSecond: Math.round(replay.opsAcknowledged / runSeconds),
        regions: this.#clients.map(({ region }) => region),
        converged: converged !== undefined,
        mismatches: comparison.mismatches,
        compared: comparison.compared,
        lagMsP50: p50Ms,
        lagMsP99: p99Ms,
        lagSamples,
        lagMsP99WithOutage: this.#lag.totalWithOutage().p99Ms,
        killed: kill ? KILLED : null,
        caughtUpMs,
        rerouted: replay.rerouted,
      },
    };
  }

  #delivered(at: string, key: string, fields: readonly string[], writtenIn: string): void {
    const nowMs = performance.now();
    if (this.#awaitedSubscriber === at) {
      this.#awaitedSubscriber = undefined;
      this.#lag.up(at, nowMs);
    }
    const kind = fields.includes('departed') ? 'departure' : 'arrival';
    this.#lag.delivered(lagId({ flight: key, kind }), writtenIn, at, nowMs);
  }

  async #outage(replay: Replay, total: number): Promise<number> {
    const board = this.#board;
    const { view } = this.#options;
    const dead = this.#clients.find(({ region }) => region === KILLED)!;
    const others = this.#clients.filter((client) => client !== dead);
    const names = others.map(({ region }) => region).join(' and ');
    const caughtUpMs = await runOutage({
      process: this.#cluster.region(KILLED),
      dead,
      others,
      progress: () => replay.eventsSent / total,
      signal: this.#signal,
      onPhase: (phase) => {
        if (phase === 'killed') {
          this.#lag.down(KILLED, performance.now());
          board.state(KILLED, 'killed');
          board.phase = `${KILLED} was killed (SIGKILL); ${names} carry on, also with its new flights`;
          view.say(board.phase);
        } else if (phase === 'restarting') {
          board.state(KILLED, 'catching up');
          board.phase = `${KILLED} starts again and catches up`;
        } else {
          board.state(KILLED, 'up');
          board.phase =
            replay.eventsSent < total ? REPLAYING : `all flights are sent; ${KILLED} answers for what it had been sent`;
          this.#awaitedSubscriber = KILLED;
        }
      },
    });
    view.say(`${KILLED} is back: ${caughtUpMs} ms from the start of its process until it had what it missed`);
    return caughtUpMs;
  }
}

function lagId({ flight, kind }: Pick<FlightEvent, 'flight' | 'kind'>): string {
  return `${flight} ${kind}`;
}

/** Gathers what the view shows. */
class Board {
  readonly #clients: readonly RegionClient[];
  readonly #lag: LagMeter;
  readonly #view: View;
  readonly #states = new Map<string, RegionView['state']>();
  readonly #rates = new Map<string, number>();
  readonly #keys = new Map<string, number>();
  /** Counted since a process started, so what a killed one had counted is kept. */
  readonly #conflicts = new Map<string, { earlier: number; now: number }>();
  #digestsEqual: boolean | undefined;
  #stopped = false;
  #loops: Promise<unknown> = Promise.resolve();
  phase = REPLAYING;

  constructor(clients: readonly RegionClient[], lag: LagMeter, view: View) {
    this.#clients = clients;
    this.#lag = lag;
    this.#view = view;
    for (const { region } of clients) this.#states.set(region, 'up');
  }

  state(region: string, state: RegionView['state']): void {
    this.#states.set(region, state);
    if (state !== 'killed') return;
    const known = this.#conflicts.get(region);
    if (known !== undefined) this.#conflicts.set(region, { earlier: known.earlier + known.now, now: 0 });
  }

  start(replay: Replay, eventsTotal: number, signal: AbortSignal): void {
    const startMs = performance.now();
    const loop = async (everyMs: number, once: () => unknown): Promise<void> => {
      while (!this.#stopped && !signal.aborted) {
        await once();
        await sleep(everyMs);
      }
    };
    const before = new Map<string, number>();
    let beforeMs = startMs;
    this.#loops = Promise.all([
      loop(DRAW_EVERY_MS, () => this.#view.draw(this.#snapshot(replay, eventsTotal, performance.now() - startMs))),
      loop(LAG_TURN_MS, () => this.#lag.turn()),
      loop(STATUS_EVERY_MS, async () => {
        const nowMs = performance.now();
        for (const { region } of this.#clients) {
          const acknowledged = replay.acknowledgedBy(region);
          this.#rates.set(region, ((acknowledged - (before.get(region) ?? 0)) * 1000) / Math.max(1, nowMs - beforeMs));
          before.set(region, acknowledged);
        }
        beforeMs = nowMs;
        await this.#ask();
      }),
    ]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loops;
  }

  async #ask(): Promise<void> {
    const up = this.#clients.filter(({ region }) => this.#states.get(region) !== 'killed');
    const asked = up.map(async ({ region, admin }) => {
      const { keys, conflicts } = await admin.status();
      this.#keys.set(region, keys);
      this.#conflicts.set(region, { earlier: this.#conflicts.get(region)?.earlier ?? 0, now: conflicts });
    });
    // A region that is just dying or starting does not answer; the view then shows what it said last.
    await Promise.allSettled(asked);
    this.#digestsEqual = await digestsEqual(up.map(({ admin }) => admin)).catch(() => undefined);
  }

  #snapshot(replay: Replay, eventsTotal: number, elapsedMs: number): Snapshot {
    const regions = this.#clients.map(({ region }): RegionView => {
      const conflicts = this.#conflicts.get(region);
      return {
        name: region,
        state: this.#states.get(region) ?? 'starting',
        opsPerSecond: Math.round(this.#rates.get(region) ?? 0),
        keys: this.#keys.get(region),
        conflicts: conflicts === undefined ? undefined : conflicts.earlier + conflicts.now,
        lagTo: new Map(this.#clients.map((peer) => [peer.region, this.#lag.recent(region, peer.region)])),
      };
    });
    return {
      elapsedMs,
      phase: this.phase,
      eventsSent: replay.eventsSent,
      eventsTotal,
      opsAcknowledged: replay.opsAcknowledged,
      simulated: formatMinutes(replay.atMinutes),
      regions,
      digestsEqual: this.#digestsEqual,
    };
  }
}
