// A producer and a subscriber of one region, in a process of their own, through the client that applications use.
// Owns: the load on its region, and the clock readings at both ends. The runner starts it and tells it when to begin.

import { connect, type Causeway, type Op, type Producer } from '../../src/client/index.ts';
import { encodeLatency, newLatency, percentileMs, recordMicros } from './latency.ts';
import { keyName, makeLoad, OpenLoop, random32, PROBE_PREFIX, sentAtMicros, type Load } from './load.ts';
import { nowMicros } from './machine.ts';
import {
  REPORT_MS,
  type FromWorker,
  type ReceiveResult,
  type Schedule,
  type SendResult,
  type ToWorker,
  type WorkerSettings,
} from './worker-messages.ts';

/** Ops under way in an open loop: beyond, the schedule waits, and what waits is late from its intended start on. */
const OPEN_LOOP_IN_FLIGHT_MAX = 8000;
/** What has not been answered by then counts as failed. */
const DELIVERY_MS_MAX = 30_000;
const POLL_MS = 10;
/** Between looks at the schedule. Each costs a wake-up in each of the producers' processes, and what starts late for it counts as late. */
const LOOK_MS = 2;
const CONNECT_MS_MAX = 30_000;
const WAIT_MICROS_MAX = 1_000_000;

class Sender {
  readonly #settings: WorkerSettings;
  readonly #schedule: Schedule;
  readonly #producer: Producer;
  readonly #load: Load;
  readonly #ack = newLatency();
  readonly #ackBySecond: ReturnType<typeof newLatency>[] = [];
  readonly #inFlightMax: number;
  readonly #openLoop: OpenLoop | undefined;
  #inFlight = 0;
  #accepted = 0;
  #acceptedInAll = 0;
  #failed = 0;
  #probes = 0;
  #firstError: string | undefined;

  constructor(settings: WorkerSettings, schedule: Schedule, producer: Producer, load: Load) {
    this.#settings = settings;
    this.#schedule = schedule;
    this.#producer = producer;
    this.#load = load;
    this.#inFlightMax = settings.closedLoop ? settings.inFlight : OPEN_LOOP_IN_FLIGHT_MAX;
    if (!settings.closedLoop) this.#openLoop = new OpenLoop(schedule.startMicros, settings.opsPerSecond);
  }

  setRate(opsPerSecond: number): void {
    this.#openLoop?.setRate(opsPerSecond);
  }

  get behindMs(): number {
    return this.#openLoop === undefined ? 0 : Math.max(0, (nowMicros() - this.#openLoop.nextMicros) / 1000);
  }

  async run(): Promise<Omit<SendResult, 'read' | 'failedReads'>> {
    await sleepUntil(this.#schedule.startMicros);
    // Answers refill what is under way at once; this loop only makes sure that time passes when there are none.
    while (nowMicros() < this.#schedule.windowToMicros) {
      this.#fill();
      await sleepMs(LOOK_MS);
    }
    while (this.#inFlight > 0) await sleepMs(POLL_MS);
    if (this.#firstError !== undefined) process.stderr.write(`${this.#settings.region}: ${this.#firstError}\n`);
    return {
      accepted: this.#accepted,
      failed: this.#failed,
      acceptedInAll: this.#acceptedInAll,
      probes: this.#probes,
      ack: encodeLatency(this.#ack),
      ackBySecond: Array.from(this.#ackBySecond, (second) => encodeLatency(second ?? newLatency())),
    };
  }

  #fill(): void {
    const loop = this.#openLoop;
    const now = nowMicros();
    if (now >= this.#schedule.windowToMicros) return;
    // Closed loop: the clock is read once for all that start together, a few microseconds early for the last of them.
    while (this.#inFlight < this.#inFlightMax && (loop === undefined || loop.nextMicros <= now)) {
      this.#send(Math.floor(loop === undefined ? now : loop.take()));
    }
  }

  #send(fromMicros: number): void {
    const { key, value } = this.#load.next(fromMicros);
    const op: Op = { collection: this.#settings.collection, key, intent: { kind: 'put', value } };
    const { windowFromMicros, windowToMicros } = this.#schedule;
    const measured = fromMicros >= windowFromMicros && fromMicros < windowToMicros;
    const isProbe = measured && key.startsWith(PROBE_PREFIX);
    this.#inFlight++;
    // In flight is bounded here, so that the promise of send() is never needed.
    void this.#producer.send(op, (error) => {
      this.#inFlight--;
      if (error !== undefined) {
        this.#failed++;
        this.#firstError ??= error.message;
        return;
      }
      const now = nowMicros();
      this.#acceptedInAll++;
      if (now >= windowFromMicros && now < windowToMicros) this.#accepted++;
      if (measured) {
        recordMicros(this.#ack, now - fromMicros);
        const second = Math.floor((fromMicros - windowFromMicros) / 1_000_000);
        recordMicros((this.#ackBySecond[second] ??= newLatency()), now - fromMicros);
      }
      if (isProbe) this.#probes++;
      this.#refillSoon();
    });
  }

  #refillDue = false;
  /** Once for all answers of a message. */
  #refillSoon(): void {
    if (this.#refillDue) return;
    this.#refillDue = true;
    queueMicrotask(() => {
      this.#refillDue = false;
      this.#fill();
    });
  }
}

/** Reads keys at random in its region, at a rate of its own. */
class Reader {
  readonly #settings: WorkerSettings;
  readonly #schedule: Schedule;
  readonly #client: Causeway;
  readonly #latency = newLatency();
  #failed = 0;

  constructor(settings: WorkerSettings, schedule: Schedule, client: Causeway) {
    this.#settings = settings;
    this.#schedule = schedule;
    this.#client = client;
  }

  async run(): Promise<Pick<SendResult, 'read' | 'failedReads'>> {
    const { keys, seed, readsPerSecond } = this.#settings;
    const { windowFromMicros, windowToMicros } = this.#schedule;
    const random = random32(~seed);
    const underWay = new Set<Promise<void>>();
    if (readsPerSecond > 0) {
      await sleepUntil(windowFromMicros);
      const loop = new OpenLoop(windowFromMicros, readsPerSecond);
      while (nowMicros() < windowToMicros) {
        while (loop.nextMicros <= nowMicros() && underWay.size < OPEN_LOOP_IN_FLIGHT_MAX) {
          const reading = this.#read(keyName(random() % keys), loop.take());
          underWay.add(reading);
          void reading.then(() => underWay.delete(reading));
        }
        await sleepMs(LOOK_MS);
      }
    }
    await Promise.all(underWay);
    return { read: encodeLatency(this.#latency), failedReads: this.#failed };
  }

  async #read(key: string, fromMicros: number): Promise<void> {
    const found = await this.#client
      .register(this.#settings.collection)
      .get(key)
      .then(
        (value) => value !== undefined,
        () => false,
      );
    recordMicros(this.#latency, nowMicros() - fromMicros);
    if (!found) this.#failed++;
  }
}

class Receiver {
  readonly #region: string;
  readonly #lag = newLatency();
  readonly #bySecond: ReturnType<typeof newLatency>[] = [];
  #recent = newLatency();
  #schedule: Schedule | undefined;
  #probes = 0;

  constructor(client: Causeway, settings: WorkerSettings) {
    this.#region = `${settings.region}~`;
    client.subscribe({
      collections: [settings.collection],
      keyPrefix: PROBE_PREFIX,
      from: 'beginning',
      onEvents: ({ events }) => {
        const now = nowMicros();
        for (const { op, version } of events) {
          if (op.kind === 'put' && !version.origin.startsWith(this.#region)) this.#received(op.value, now);
        }
      },
    });
  }

  measure(schedule: Schedule): void {
    this.#schedule = schedule;
  }

  #received(value: Uint8Array, now: number): void {
    const sent = sentAtMicros(value);
    if (sent === undefined || this.#schedule === undefined) return;
    const { startMicros, windowFromMicros, windowToMicros } = this.#schedule;
    if (sent >= startMicros) recordMicros(this.#recent, now - sent);
    if (sent < windowFromMicros || sent >= windowToMicros) return;
    this.#probes++;
    recordMicros(this.#lag, now - sent);
    const second = Math.floor((sent - windowFromMicros) / 1_000_000);
    recordMicros((this.#bySecond[second] ??= newLatency()), now - sent);
  }

  /** Of what came since it was asked last. */
  recentP90Ms(): number | undefined {
    const recent = this.#recent;
    this.#recent = newLatency();
    return recent.totalCount === 0 ? undefined : percentileMs(recent, 90);
  }

  async finish(probes: number, withinMs: number): Promise<ReceiveResult> {
    const untilMs = performance.now() + withinMs;
    while (this.#probes < probes && performance.now() < untilMs) await sleepMs(POLL_MS);
    return {
      probes: this.#probes,
      lag: encodeLatency(this.#lag),
      lagP99MsBySecond: Array.from(this.#bySecond, (second) => (second === undefined ? 0 : percentileMs(second, 99))),
    };
  }
}

async function preload(
  to: Causeway,
  { keys, collection }: WorkerSettings,
  values: Load,
  share: number,
  of: number,
): Promise<void> {
  const producer = to.producer({ deliveryTimeoutMs: DELIVERY_MS_MAX });
  for (let index = share; index < keys; index += of) {
    await producer.send({ collection, key: keyName(index), intent: { kind: 'put', value: values.next(1).value } });
  }
  await producer.close();
}

async function sleepUntil(micros: number): Promise<void> {
  for (let left = micros - nowMicros(); left > 0; left = micros - nowMicros()) {
    await sleepMs(Math.min(left, WAIT_MICROS_MAX) / 1000);
  }
}

function sleepMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function say(message: FromWorker): void {
  process.send?.(message);
}

let settings: WorkerSettings | undefined;
let client: Causeway | undefined;
let receiver: Receiver | undefined;
let load: Load | undefined;
let sender: Sender | undefined;

async function handle(message: ToWorker): Promise<void> {
  switch (message.do) {
    case 'setup':
      settings = message.settings;
      client = connect({
        endpoints: [...settings.addresses],
        namespace: settings.namespace,
        deadlineMs: CONNECT_MS_MAX,
        connectTimeoutMs: CONNECT_MS_MAX,
      });
      await client.topology();
      receiver = new Receiver(client, settings);
      load = makeLoad(settings);
      say({ is: 'ready' });
      return;
    case 'preload':
      await preload(client!, settings!, load!, message.share, message.of);
      say({ is: 'preloaded' });
      return;
    case 'run': {
      receiver?.measure(message.schedule);
      const producer = client!.producer({ deliveryTimeoutMs: DELIVERY_MS_MAX });
      const running = new Sender(settings!, message.schedule, producer, load!);
      sender = running;
      const reports = setInterval(() => {
        say({ is: 'progress', progress: { lagMsP90: receiver?.recentP90Ms(), behindMs: running.behindMs } });
      }, REPORT_MS);
      const reader = new Reader(settings!, message.schedule, client!);
      const [writes, reads] = await Promise.all([running.run(), reader.run()]);
      const result = { ...writes, ...reads };
      clearInterval(reports);
      say({ is: 'sent', result });
      return;
    }
    case 'rate':
      sender?.setRate(message.opsPerSecond);
      return;
    case 'finish':
      say({ is: 'received', result: await receiver!.finish(message.probes, message.withinMs) });
      return;
  }
}

process.on('message', (message: ToWorker) => {
  handle(message).catch((error: unknown) =>
    say({ is: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
// The runner is done, or gone. An ordinary exit, so that a profile is written.
process.on('disconnect', () => process.exit(0));
