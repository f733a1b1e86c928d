import { expect, test } from 'vitest';
import { readDataset } from '../../demo/dataset.ts';
import { flightEvents, type DemoOp } from '../../demo/events.ts';
import { IN_FLIGHT_MAX, Replay, type RegionWriter, type WriteAck } from '../../demo/replay.ts';

const { flights, airports } = readDataset(300);
const events = flightEvents(flights, airports);
const ops = events.flatMap((event) => event.ops);

/** Acknowledges after a millisecond, except while it is dead: then on its return. */
class FakeRegion implements RegionWriter {
  readonly region: string;
  readonly written: DemoOp[] = [];
  #dead = false;
  #waiting: (() => void)[] = [];
  inFlightMax = 0;
  #inFlight = 0;

  constructor(region: string) {
    this.region = region;
  }

  async write(op: DemoOp): Promise<WriteAck> {
    this.inFlightMax = Math.max(this.inFlightMax, ++this.#inFlight);
    await new Promise<void>((resolve) => {
      if (this.#dead) this.#waiting.push(resolve);
      else setTimeout(resolve, 1);
    });
    this.#inFlight--;
    this.written.push(op);
    return { stamp: this.written.length, origin: `${this.region}~000000000001` };
  }

  die(): void {
    this.#dead = true;
  }

  comeBack(): void {
    this.#dead = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function regions(): [FakeRegion, FakeRegion, FakeRegion] {
  return [new FakeRegion('us-west'), new FakeRegion('us-central'), new FakeRegion('us-east')];
}

test('every op is written once, in its own region while that answers', async () => {
  const writers = regions();
  const acked: DemoOp[] = [];
  const replay = new Replay({ events, writers, seconds: 0.3, onAck: (op) => acked.push(op) });
  await replay.run();
  expect(acked).toHaveLength(ops.length);
  expect(replay.opsAcknowledged).toBe(ops.length);
  expect(replay.rerouted).toBe(0);
  for (const writer of writers) {
    const own = events.filter((event) => event.region === writer.region).flatMap((event) => event.ops);
    expect(writer.written).toEqual(own);
    expect(replay.acknowledgedBy(writer.region)).toBe(own.length);
  }
});

test('new events of a dead region go to another; what it was sent stays its own until it is back', async () => {
  const writers = regions();
  const [, dead] = writers;
  const replay = new Replay({ events, writers, seconds: 1, suspectMs: 50 });
  setTimeout(() => dead.die(), 200);
  setTimeout(() => dead.comeBack(), 1300);
  await replay.run();
  expect(replay.rerouted).toBeGreaterThan(0);
  const written = writers.flatMap((writer) => writer.written);
  expect(written).toHaveLength(ops.length);
  expect(new Set(written).size).toBe(ops.length);
});

test('what is under way is bounded while a region is away', async () => {
  const many = Array.from({ length: 30 }, () => events).flat();
  const writers = regions();
  for (const writer of writers) writer.die();
  const replay = new Replay({ events: many, writers, seconds: 0.2, suspectMs: 60_000 });
  setTimeout(() => writers.forEach((writer) => writer.comeBack()), 400);
  await replay.run();
  for (const writer of writers) expect(writer.inFlightMax).toBeLessThanOrEqual(IN_FLIGHT_MAX);
  expect(replay.opsAcknowledged).toBe(30 * ops.length);
});

test('nothing is sent while it is told to hold', async () => {
  const writers = regions();
  let hold = true;
  const replay = new Replay({ events, writers, seconds: 0.1, hold: () => hold });
  setTimeout(() => {
    expect(replay.opsSent).toBe(0);
    hold = false;
  }, 200);
  await replay.run();
  expect(replay.opsAcknowledged).toBe(ops.length);
});

test('an op that can never be written ends the replay with its name', async () => {
  const writers = regions().map((writer) => ({
    region: writer.region,
    write: (): Promise<WriteAck> => Promise.reject(new Error('no')),
  }));
  await expect(new Replay({ events, writers, seconds: 1 }).run()).rejects.toThrow(/can never write flights\//);
});
