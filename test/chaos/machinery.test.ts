// The simulator's own parts: order of events, lives of processes, the wire, and the traps.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Down, Up } from '../../src/replication/messages.ts';
import type { LinkHandlers, LinkStream } from '../../src/replication/transport.ts';
import { realSystem } from '../../src/system/real.ts';
import { Network } from '../../chaos/sim/network.ts';
import { SeededRandom } from '../../chaos/sim/random.ts';
import { Life, Scheduler } from '../../chaos/sim/scheduler.ts';
import { EPOCH_MS, SimClock, simSystem } from '../../chaos/sim/system.ts';
import { Trace } from '../../chaos/sim/trace.ts';
import { installTraps } from '../../chaos/sim/traps.ts';

describe('random', () => {
  test('one seed gives one sequence, and streams do not disturb each other', () => {
    const draw = (random: SeededRandom): number[] => Array.from({ length: 5 }, () => random.uint32());
    expect(draw(new SeededRandom(7))).toEqual(draw(new SeededRandom(7)));
    expect(draw(new SeededRandom(7))).not.toEqual(draw(new SeededRandom(8)));
    const parent = new SeededRandom(7);
    const fork = draw(parent.fork('a'));
    expect(draw(new SeededRandom(7).fork('a'))).toEqual(fork);
    expect(draw(parent)).toEqual(draw(new SeededRandom(7)));
  });

  test('draws spread evenly', () => {
    const random = new SeededRandom(1);
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 40_000; i++) counts[random.below(4)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(random.uint48()).toBeLessThan(2 ** 48);
  });
});

describe('scheduler', () => {
  test('events run by time, then in the order in which they were asked for', async () => {
    const scheduler = new Scheduler();
    const seen: string[] = [];
    scheduler.after(5, () => seen.push('late'));
    scheduler.after(1, () => {
      seen.push('first');
      scheduler.after(0, () => seen.push('third'));
    });
    scheduler.after(1, () => seen.push('second'));
    scheduler.after(2, () => seen.push('never')).cancel();
    await scheduler.run(10);
    expect(seen).toEqual(['first', 'second', 'third', 'late']);
    expect(scheduler.now).toBe(10);
  });

  test('what a process asked for dies with it, and waits while it is paused', async () => {
    const scheduler = new Scheduler();
    const life = new Life('n');
    const seen: string[] = [];
    scheduler.after(1, () => seen.push('paused'), life);
    scheduler.after(8, () => seen.push('dead'), life);
    scheduler.pause(life);
    await scheduler.run(5);
    expect(seen).toEqual([]);
    scheduler.resume(life);
    await scheduler.run(6);
    expect(seen).toEqual(['paused']);
    life.die();
    await scheduler.run(10);
    expect(seen).toEqual(['paused']);
  });

  test('promises go on between events while the scheduler knows of them', async () => {
    const scheduler = new Scheduler();
    const life = new Life('n');
    const seen: number[] = [];
    let open: (() => void) | undefined;
    const started = (async () => {
      await new Promise<void>((resolve) => {
        open = resolve;
      });
      for (let i = 0; i < 5; i++) await Promise.resolve();
      seen.push(scheduler.now);
    })();
    void scheduler.track(started, life);
    scheduler.after(3, () => open!());
    scheduler.after(4, () => seen.push(-1));
    await scheduler.run(10);
    expect(seen).toEqual([3, -1]);
  });

  test('a clock is off, drifts and steps; the monotonic one does not', async () => {
    const scheduler = new Scheduler();
    const clock = new SimClock(scheduler);
    const system = simSystem(scheduler, clock, new Life('n'), new SeededRandom(1));
    clock.set(100, 0.5);
    await scheduler.run(1000);
    expect(system.clock.nowMs()).toBe(EPOCH_MS + 1000 + 100 + 500);
    clock.step(-700);
    expect(system.clock.nowMs()).toBe(EPOCH_MS + 1000 - 100);
    expect(system.clock.monotonicMs()).toBe(1000);
  });

  test('a period goes on until it is cancelled, from within too', async () => {
    const scheduler = new Scheduler();
    const { timers } = simSystem(scheduler, new SimClock(scheduler), new Life('n'), new SeededRandom(1));
    let ticks = 0;
    const handle = timers.every(10, () => {
      ticks++;
      if (ticks === 3) handle.cancel();
    });
    await scheduler.run(100);
    expect(ticks).toBe(3);
  });
});

class Wire {
  readonly scheduler = new Scheduler();
  readonly trace = new Trace(() => this.scheduler.now);
  readonly network: Network;
  readonly eu = new Life('eu');
  readonly us = new Life('us');
  readonly atServer: string[] = [];
  readonly atClient: string[] = [];
  server: LinkStream<Down> | undefined;
  drained = 0;

  constructor(seed = 1, sendBufferBytes = 1_000_000) {
    this.network = new Network(this.scheduler, new SeededRandom(seed), this.trace, {
      sendBufferBytes,
      stallMsMin: 100,
      stallMsMax: 200,
      halfOpenMsMax: 500,
    });
    this.network.transport('us#0', 'us', this.us).onAccept((stream) => {
      this.server = stream;
      return this.handlers<Up>(this.atServer);
    });
  }

  handlers<In extends Up | Down>(into: string[]): LinkHandlers<In> {
    return {
      message: (message) => into.push(message.kind === 'ping' ? String(message.sentAtMs) : message.kind),
      drain: () => {
        this.drained++;
      },
      closed: (reason) => into.push(`closed: ${reason}`),
    };
  }

  dial(): LinkStream<Up> {
    return this.network.transport('eu#0', 'eu', this.eu).dial('us#0', this.handlers<Down>(this.atClient));
  }
}

const ping = (n: number): Up => ({ kind: 'ping', sentAtMs: n });

describe('network', () => {
  test('a stream keeps its order whatever the jitter', async () => {
    const wire = new Wire();
    wire.network.change('eu', 'us', { delayMs: 5, jitterMs: 50 });
    const stream = wire.dial();
    for (let i = 0; i < 20; i++) stream.send(ping(i));
    await wire.scheduler.run(200);
    expect(wire.atServer).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
  });

  test('a dial to nobody is refused, to a blocked site it times out', async () => {
    const wire = new Wire();
    const at: string[] = [];
    wire.network.transport('eu#0', 'eu', wire.eu).dial('za#0', wire.handlers<Down>(at));
    wire.network.change('eu', 'us', { blocked: true });
    wire.dial();
    await wire.scheduler.run(1000);
    expect(at).toEqual(['closed: connection refused']);
    expect(wire.atClient).toEqual(['closed: connect timed out']);
  });

  test('what stalls behind a partition arrives when it heals in time, else the stream breaks', async () => {
    const wire = new Wire();
    const stream = wire.dial();
    stream.send(ping(1));
    await wire.scheduler.run(20);
    wire.network.change('eu', 'us', { blocked: true });
    stream.send(ping(2));
    await wire.scheduler.run(80);
    expect(wire.atServer).toEqual(['1']);
    wire.network.change('eu', 'us', { blocked: false });
    await wire.scheduler.run(120);
    expect(wire.atServer).toEqual(['1', '2']);
    wire.network.change('eu', 'us', { blocked: true });
    stream.send(ping(3));
    await wire.scheduler.run(2000);
    expect(wire.atServer.at(-1)).toMatch(/^closed/);
    expect(wire.atClient.at(-1)).toMatch(/^closed/);
  });

  test('a dead process says nothing more, and the other end learns of it', async () => {
    const wire = new Wire();
    wire.dial();
    await wire.scheduler.run(20);
    wire.us.die();
    wire.network.crashed('us#0');
    await wire.scheduler.run(1000);
    expect(wire.atClient).toEqual(['closed: connection reset']);
    expect(wire.atServer).toEqual([]);
  });

  test('a full buffer says false, and drains', async () => {
    const wire = new Wire(1, 100);
    wire.network.change('eu', 'us', { bytesPerMs: 1 });
    const stream = wire.dial();
    let taken = 0;
    while (stream.send(ping(taken))) taken++;
    expect(taken).toBeGreaterThan(1);
    await wire.scheduler.run(1000);
    expect(wire.drained).toBe(1);
    expect(wire.atServer).toHaveLength(taken + 1);
  });

  test('a broken stream delivers a prefix, and its slow end may go on for a while', async () => {
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 20; seed++) {
      const wire = new Wire(seed);
      const stream = wire.dial();
      await wire.scheduler.run(10);
      for (let i = 0; i < 10; i++) stream.send(ping(i));
      wire.network.breakOne('eu', 'us', 'cut');
      await wire.scheduler.run(1000);
      const got = wire.atServer.filter((text) => !text.startsWith('closed'));
      expect(got).toEqual(Array.from({ length: got.length }, (_, i) => String(i)));
      expect(wire.atServer.filter((text) => text.startsWith('closed'))).toHaveLength(1);
      lengths.add(got.length);
    }
    expect(lengths.size).toBeGreaterThan(2);
  });

  test('what arrives is a copy', async () => {
    const wire = new Wire();
    const bytes = Buffer.from('batch');
    const got: Buffer[] = [];
    wire.network.transport('eu#0', 'eu', wire.eu).dial('us#0', {
      message: (message) => {
        if (message.kind === 'batches') got.push(...message.batches.map((batch) => Buffer.from(batch)));
      },
      drain: () => undefined,
      closed: () => undefined,
    });
    await wire.scheduler.run(20);
    wire.server!.send({ kind: 'batches', batches: [bytes] });
    bytes.fill(0);
    await wire.scheduler.run(40);
    expect(got.map(String)).toEqual(['batch']);
  });
});

describe('traps', () => {
  test("the machine's time, randomness, timers and files throw inside, and work again afterwards", () => {
    const system = realSystem();
    const traps = installTraps();
    const errors: string[] = [];
    const touch = (fn: () => unknown): void => {
      try {
        fn();
        errors.push('nothing');
      } catch (error) {
        errors.push((error as Error).name);
      }
    };
    try {
      touch(() => Date.now());
      touch(() => new Date());
      touch(() => Math.random());
      touch(() => setTimeout(() => undefined, 1));
      touch(() => setImmediate(() => undefined));
      touch(() => performance.now());
      touch(() => process.hrtime());
      touch(() => randomBytes(4));
      touch(() => readFileSync('package.json'));
      touch(() => system.clock.nowMs());
      touch(() => system.clock.monotonicMs());
      touch(() => system.timers.after(1, () => undefined));
      touch(() => system.random.uint32());
    } finally {
      traps.restore();
    }
    expect(errors).toEqual(errors.map(() => 'TrapSprung'));
    expect(traps.sprung).toHaveLength(errors.length);
    expect(new Date(0).getTime()).toBe(0);
    expect(Date.now()).toBeGreaterThan(0);
    expect(randomBytes(4)).toHaveLength(4);
    expect(String(readFileSync('package.json', 'utf8'))).toContain('causeway');
  });
});

describe('trace', () => {
  test('equal events hash equally, and any difference shows', () => {
    const hash = (values: readonly (string | number)[]): string => {
      const trace = new Trace(() => 1.5);
      trace.add(...values);
      return trace.hash();
    };
    expect(hash(['a', 1])).toBe(hash(['a', 1]));
    expect(hash(['a', 1])).not.toBe(hash(['a', 2]));
    expect(hash(['a', 2 ** 40])).not.toBe(hash(['a', 2 ** 41]));
    expect(hash(['ab', 'c'])).not.toBe(hash(['a', 'bc']));
  });
});
