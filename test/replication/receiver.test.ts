// The dialling side, driven by hand.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { originId, regionId, shardId, type OriginId, type ShardId } from '../../src/record/ids.ts';
import type { LinkState } from '../../src/replication/host.ts';
import type { Beat, RefuseReason, Welcome } from '../../src/replication/messages.ts';
import {
  ACK_INTERVAL_MS,
  GREETING_MS_MAX,
  Receiver,
  STABLE_MS,
  WANT_INTERVAL_MS,
  type ReceiverAction,
  type Compression,
  type ReceiverEvent,
} from '../../src/replication/receiver.ts';
import { ACKS_ON_DEMAND, BEGINNINGS, ACKS_SOON_MS, COMPRESSED_FRAMES } from '../../src/replication/handshake.ts';

const us = regionId('us');
const shard = shardId(1, 0);
const other = shardId(1, 1);
const ofUs = originId(us, 5);
const ofAp = originId(regionId('ap'), 6);
const WINDOW = 1000;
const HEARTBEAT = 100;

class Driver {
  readonly receiver: Receiver;
  monotonicMs = 1000;
  nowMs = 5_000_000;
  random = 0.5;

  constructor(compression: Compression = 'auto') {
    this.receiver = new Receiver({
      self: { region: regionId('eu'), node: 'eu-1', instance: 'i-eu', clusterId: 'c', settingsHash: 'h' },
      peer: us,
      address: 'us.example:7401',
      windowBytes: WINDOW,
      heartbeatMs: HEARTBEAT,
      compression,
    });
  }

  do(...events: ReceiverEvent[]): ReceiverAction[] {
    const actions: ReceiverAction[] = [];
    for (const event of events) {
      const { nowMs, monotonicMs, random } = this;
      actions.push(...this.receiver.handle(event, { nowMs, monotonicMs, random }));
    }
    return actions;
  }

  pass(ms: number): this {
    this.monotonicMs += ms;
    this.nowMs += ms;
    return this;
  }

  /** Heartbeats for so long, with a beat of the source after each unless it is silent. */
  beats(ms: number, source: 'alive' | 'silent' = 'alive'): ReceiverAction[] {
    const actions: ReceiverAction[] = [];
    for (let passed = 0; passed < ms; passed += HEARTBEAT) {
      actions.push(...this.pass(HEARTBEAT).do({ kind: 'heartbeat' }));
      if (source === 'alive') actions.push(...this.do(message(beat())));
    }
    return actions;
  }

  up(): ReceiverAction[] {
    return this.do({ kind: 'start' }, wants(), message(welcome()));
  }
}

function welcome(change: Partial<Welcome> = {}): Welcome {
  return {
    kind: 'welcome',
    protocolVersion: 1,
    region: us,
    node: 'us-1',
    instance: 'i-us',
    features: [],
    shards: [shard, other].map((each) => ({ shard: each, vector: new Map(), boundOfReceiver: 0 })),
    ...change,
  };
}

function beat(change: Partial<Beat> = {}): Beat {
  return { kind: 'beat', sentAtMs: 1, echo: undefined, shards: [], ...change };
}

function message(of: Welcome | Beat | { kind: 'batches'; batches: Uint8Array[] }): ReceiverEvent {
  return { kind: 'message', message: of };
}

function batches(...sizes: number[]): ReceiverEvent {
  return message({ kind: 'batches', batches: sizes.map((size) => Buffer.alloc(size)) });
}

function refuse(reason: RefuseReason): ReceiverEvent {
  return { kind: 'message', message: { kind: 'refuse', reason, message: `because of ${reason}` } };
}

function wants(change: [ShardId, string[]][] = [[shard, ['eu', 'us']]]): ReceiverEvent {
  return { kind: 'wants', wants: new Map(change.map(([each, names]) => [each, names.map(regionId)])) };
}

function durable(of: ShardId, entries: [OriginId, number][]): ReceiverEvent {
  return { kind: 'durable', shard: of, vector: new Map(entries) };
}

function kinds(actions: readonly ReceiverAction[]): string[] {
  return actions.map((action) => (action.kind === 'send' ? action.message.kind : action.kind));
}

function states(actions: readonly ReceiverAction[]): LinkState[] {
  return actions.flatMap((action) => (action.kind === 'state' ? [action.state] : []));
}

function credits(actions: readonly ReceiverAction[]): number[] {
  return actions.flatMap((action) =>
    action.kind === 'send' && action.message.kind === 'credit' ? [action.message.bytesTotal] : [],
  );
}

describe('the handshake', () => {
  test('hello alone goes first; credit and wants wait for the welcome', () => {
    const d = new Driver();
    expect(kinds(d.do({ kind: 'start' }, wants(), { kind: 'heartbeat' }))).toEqual(['state', 'dial', 'hello']);
    expect(kinds(d.do(message(welcome())))).toEqual(['state', 'welcome', 'credit', 'want']);
    expect(d.receiver.up).toBe(true);
  });

  test('where to begin is asked of a source that can answer and serves the shard, and the answer is handed on', () => {
    const origin = originId(regionId('eu'), 5);
    const begin: ReceiverEvent = { kind: 'begin', shards: [{ shard, origin }] };
    const of = (...shards: ShardId[]): ReceiverEvent =>
      message(
        welcome({
          features: [BEGINNINGS],
          shards: shards.map((each) => ({ shard: each, vector: new Map(), boundOfReceiver: 0 })),
        }),
      );
    const asked = (...events: ReceiverEvent[]): ReceiverAction[] =>
      new Driver().do({ kind: 'start' }, ...events).filter(({ kind }) => kind === 'send' || kind === 'begun');
    const sent = asked(of(shard), begin).at(-1);
    expect(sent).toEqual({ kind: 'send', message: { kind: 'begin', shards: begin.shards } });
    for (const not of [asked(begin, of(shard)), asked(of(other), begin), asked(message(welcome()), begin)]) {
      expect(kinds(not)).not.toContain('begin');
    }
    const begun = { kind: 'begun' as const, shards: [{ shard, origin, boundOfReceiver: 9 }] };
    expect(asked(of(shard), { kind: 'message', message: begun }).at(-1)).toEqual(begun);
  });

  test('only what the source serves is wanted, and what it serves later is wanted then', () => {
    const d = new Driver();
    const all = wants([
      [shard, ['us']],
      [other, ['us']],
    ]);
    const serves = (...shards: ShardId[]): ReceiverEvent =>
      message(welcome({ shards: shards.map((each) => ({ shard: each, vector: new Map(), boundOfReceiver: 0 })) }));
    const wanted = (actions: ReceiverAction[]): ShardId[] =>
      actions.flatMap((action) => (action.kind === 'want' ? [action.shard] : []));
    expect(wanted(d.do({ kind: 'start' }, all, serves(shard)))).toEqual([shard]);
    expect(wanted(d.do(serves(shard, other)))).toEqual([other]);
    expect(wanted(d.do(serves(other)))).toEqual([]);
    // It has let go of the shard and has it back: its cursor is gone.
    expect(wanted(d.do(serves(shard, other)))).toEqual([shard]);
  });

  test('another region, another instance within one stream: the link ends and says why', () => {
    const wrong = new Driver();
    const actions = wrong.do({ kind: 'start' }, message(welcome({ region: regionId('ap') })));
    expect(kinds(actions)).toEqual(['state', 'dial', 'hello', 'close', 'state']);
    expect(states(actions)[1]).toMatchObject({ kind: 'refused', reason: 'region-name', retryInMs: 5000 });
    const d = new Driver();
    d.up();
    expect(states(d.do(message(welcome({ instance: 'i-us-2' }))))).toMatchObject([{ kind: 'down' }]);
  });

  test('batches or a beat before the welcome end the link', () => {
    for (const early of [batches(10), message(beat())]) {
      const d = new Driver();
      const actions = d.do({ kind: 'start' }, early);
      expect(kinds(actions)).toEqual(['state', 'dial', 'hello', 'close', 'state']);
    }
  });

  test.each<[RefuseReason, number, number]>([
    ['settings-hash', 3750, 6250],
    ['region-name', 3750, 6250],
    ['protocol-error', 3750, 6250],
    // A peer that is starting is tried again soon.
    ['not-ready', 50, 100],
  ])('refused for %s: reported, and tried again in its own time', (reason, from, to) => {
    const retries = [0, 0.999].map((random) => {
      const d = new Driver();
      d.random = random;
      const actions = d.do({ kind: 'start' }, refuse(reason));
      const state = states(actions).at(-1);
      expect(state).toMatchObject({ kind: 'refused', reason, message: `because of ${reason}` });
      return state?.kind === 'refused' ? state.retryInMs : 0;
    });
    expect(retries[0]).toBeGreaterThanOrEqual(from);
    expect(retries[1]).toBeLessThanOrEqual(to);
  });

  test('a refusal is final for its stream: nothing that follows counts', () => {
    const d = new Driver();
    d.do({ kind: 'start' }, refuse('settings-hash'));
    expect(d.do(message(welcome()), batches(10), { kind: 'closed', reason: 'late' })).toEqual([]);
  });

  test('no welcome in time', () => {
    const d = new Driver();
    d.do({ kind: 'start' });
    expect(states(d.beats(GREETING_MS_MAX, 'silent'))).toEqual([]);
    expect(states(d.beats(200, 'silent'))).toMatchObject([
      { kind: 'down', reason: expect.stringMatching(/no welcome/) as string },
    ]);
  });
});

describe('the back-off', () => {
  /** Ends the dial that is under way, and gives the wait. */
  const fail = (d: Driver): number => {
    const [state] = states(d.do({ kind: 'closed', reason: 'refused' }));
    if (state?.kind !== 'down') throw new Error('not down');
    expect(d.receiver.wakeAtMs()).toBe(d.monotonicMs + state.retryInMs);
    expect(d.pass(state.retryInMs - 1).do({ kind: 'wake' })).toEqual([]);
    expect(kinds(d.pass(1).do({ kind: 'wake' }))).toEqual(['state', 'dial', 'hello']);
    return state.retryInMs;
  };

  test('doubles from 50 ms to 5 s, with full jitter', () => {
    const longest = new Driver();
    longest.random = 0.9999999;
    longest.do({ kind: 'start' });
    expect(Array.from({ length: 9 }, () => fail(longest))).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    const shortest = new Driver();
    shortest.random = 0;
    shortest.do({ kind: 'start' });
    expect(Array.from({ length: 9 }, () => fail(shortest))).toEqual(Array.from({ length: 9 }, () => 50));
  });

  test('starts over after a link that was stable, not after one that was merely welcome', () => {
    const d = new Driver();
    d.random = 0.9999999;
    d.do({ kind: 'start' });
    for (let i = 0; i < 5; i++) fail(d);
    d.do(message(welcome()));
    expect(fail(d)).toBe(3200);
    d.do(message(welcome()));
    d.beats(STABLE_MS);
    expect(fail(d)).toBe(100);
  });
});

describe('credit', () => {
  test('is the window at first, and topped up when half of it is used', () => {
    const d = new Driver();
    expect(credits(d.up())).toEqual([WINDOW]);
    expect(credits(d.do(batches(300), { kind: 'answered', bytes: 300 }))).toEqual([]);
    expect(credits(d.do(batches(199), { kind: 'answered', bytes: 199 }))).toEqual([]);
    expect(credits(d.do(batches(1), { kind: 'answered', bytes: 1 }))).toEqual([WINDOW + 500]);
  });

  test('comes back with the answer, not with the arrival', () => {
    const d = new Driver();
    d.up();
    const actions = d.do(batches(400, 400));
    expect(kinds(actions)).toEqual(['deliver']);
    expect(credits(d.do({ kind: 'answered', bytes: 800 }))).toEqual([WINDOW + 800]);
  });

  test('is topped up in full with a ping, so that a batch of more than half a window fits', () => {
    const d = new Driver();
    d.up();
    d.do(batches(10), { kind: 'answered', bytes: 10 });
    expect(credits(d.beats(HEARTBEAT))).toEqual([WINDOW + 10]);
    expect(credits(d.beats(HEARTBEAT))).toEqual([]);
  });

  test('exceeded: the source is cut off', () => {
    const d = new Driver();
    d.up();
    const actions = d.do(batches(600), batches(401));
    expect(kinds(actions)).toEqual(['deliver', 'close', 'state']);
    expect(states(actions)).toMatchObject([{ kind: 'down', reason: 'us.example:7401 sent 1 bytes beyond its credit' }]);
  });

  test('a batch larger than the window passes alone, when nothing else is under way', () => {
    const d = new Driver();
    d.up();
    expect(kinds(d.do(batches(WINDOW * 5)))).toEqual(['deliver']);
    expect(kinds(d.do(batches(1)))).toEqual(['close', 'state']);
    const late = new Driver();
    late.up();
    late.do(batches(1));
    expect(kinds(late.do(batches(WINDOW)))).toEqual(['close', 'state']);
    const two = new Driver();
    two.up();
    expect(kinds(two.do(batches(WINDOW, 1)))).toEqual(['close', 'state']);
  });
});

describe('acks', () => {
  const acks = (actions: readonly ReceiverAction[]): [ShardId, [string, number][]][] =>
    actions.flatMap((action) =>
      action.kind === 'send' && action.message.kind === 'ack'
        ? action.message.shards.map(({ shard: of, durable: vector }): [ShardId, [string, number][]] => [
            of,
            [...vector],
          ])
        : [],
    );

  test('go at once when the link was quiet, and name only what moved', () => {
    const d = new Driver();
    d.up();
    expect(acks(d.do(durable(shard, [[ofUs, 3]])))).toEqual([[shard, [[ofUs, 3]]]]);
    d.pass(ACK_INTERVAL_MS);
    const next = durable(shard, [
      [ofUs, 4],
      [ofAp, 0],
    ]);
    expect(acks(d.do(next))).toEqual([[shard, [[ofUs, 4]]]]);
    expect(acks(d.pass(ACK_INTERVAL_MS).do(next))).toEqual([]);
  });

  test('of a busy link: at most one in the interval, for all its shards, the last ones not lost', () => {
    const d = new Driver();
    d.up();
    d.do(durable(shard, [[ofUs, 1]]));
    for (let seq = 2; seq < 9; seq++) expect(acks(d.do(durable(shard, [[ofUs, seq]])))).toEqual([]);
    expect(acks(d.do(durable(other, [[ofUs, 1]])))).toEqual([]);
    expect(d.receiver.wakeAtMs()).toBe(d.monotonicMs + ACK_INTERVAL_MS);
    expect(acks(d.pass(ACK_INTERVAL_MS).do({ kind: 'wake' }))).toEqual([
      [shard, [[ofUs, 8]]],
      [other, [[ofUs, 1]]],
    ]);
    expect(d.receiver.wakeAtMs()).toBeUndefined();
  });

  test("what is not of the source's region waits for the heartbeat", () => {
    const d = new Driver();
    d.up();
    expect(acks(d.do(durable(shard, [[ofAp, 7]])))).toEqual([]);
    expect(acks(d.beats(HEARTBEAT))).toEqual([[shard, [[ofAp, 7]]]]);
  });

  test('of a source that asks when it wants them: with the heartbeat, and soon for a while after it has asked', () => {
    const d = new Driver();
    d.do({ kind: 'start' }, wants(), message(welcome({ features: [ACKS_ON_DEMAND] })));
    expect(acks(d.do(durable(shard, [[ofUs, 1]])))).toEqual([]);
    expect(d.receiver.wakeAtMs()).toBeUndefined();
    expect(acks(d.beats(HEARTBEAT))).toEqual([[shard, [[ofUs, 1]]]]);
    expect(acks(d.do(durable(shard, [[ofUs, 2]])))).toEqual([]);
    // What is pending goes too: the write that somebody waits for may be among it.
    expect(acks(d.pass(ACK_INTERVAL_MS).do(message(beat({ acksSoon: true }))))).toEqual([[shard, [[ofUs, 2]]]]);
    expect(acks(d.pass(ACK_INTERVAL_MS).do(durable(shard, [[ofUs, 3]])))).toEqual([[shard, [[ofUs, 3]]]]);
    d.beats(ACKS_SOON_MS);
    expect(acks(d.do(durable(shard, [[ofUs, 4]])))).toEqual([]);
  });

  test('start anew on a new stream', () => {
    const d = new Driver();
    d.up();
    d.do(durable(shard, [[ofUs, 3]]), { kind: 'closed', reason: 'gone' });
    d.pass(5000).do({ kind: 'wake' }, message(welcome()));
    expect(acks(d.do(durable(shard, [[ofUs, 3]])))).toEqual([[shard, [[ofUs, 3]]]]);
  });
});

describe('wants', () => {
  const asked = (actions: readonly ReceiverAction[]): string[] =>
    actions.flatMap((action) => (action.kind === 'want' ? [`${action.shard} ${action.regions.join()}`] : []));

  test('are repeated when they change, and withdrawn when the shard is ours no more', () => {
    const d = new Driver();
    d.up();
    d.pass(WANT_INTERVAL_MS);
    expect(asked(d.do(wants()))).toEqual([]);
    expect(asked(d.do(wants([[shard, ['ap', 'us']]])))).toEqual([`${shard} ap,us`]);
    d.pass(WANT_INTERVAL_MS);
    expect(asked(d.do(wants([])))).toEqual([`${shard} `]);
    expect(asked(d.do({ kind: 'want-again', shard }))).toEqual([]);
  });

  test('again: at most one in 100 ms, the last call not lost', () => {
    const d = new Driver();
    d.up();
    d.pass(30);
    for (let i = 0; i < 5; i++) expect(asked(d.do({ kind: 'want-again', shard }))).toEqual([]);
    expect(d.receiver.wakeAtMs()).toBe(d.monotonicMs - 30 + WANT_INTERVAL_MS);
    expect(asked(d.pass(70).do({ kind: 'wake' }))).toEqual([`${shard} eu,us`]);
    expect(d.receiver.wakeAtMs()).toBeUndefined();
  });

  test('again: over a long way not before the last one can have shown its effect', () => {
    const d = new Driver();
    d.up();
    d.pass(HEARTBEAT).do({ kind: 'heartbeat' });
    const pingSentAtMs = d.nowMs;
    d.pass(300);
    d.do(message(beat({ sentAtMs: pingSentAtMs + 150, echo: { pingSentAtMs, receivedAtMs: pingSentAtMs + 150 } })));
    expect(d.receiver.rttMs).toBe(300);
    expect(asked(d.do({ kind: 'want-again', shard }))).toEqual([]);
    expect(asked(d.pass(49).do({ kind: 'wake' }))).toEqual([]);
    expect(asked(d.pass(1).do({ kind: 'wake' }))).toEqual([`${shard} eu,us`]);
  });
});

describe('a full stream', () => {
  test('takes nothing; after the drain at most one of each', () => {
    const d = new Driver();
    d.up();
    d.do({ kind: 'blocked' });
    const during = [
      ...d.do(durable(shard, [[ofUs, 1]]), durable(shard, [[ofUs, 2]]), durable(other, [[ofUs, 1]])),
      ...d.do(batches(600), { kind: 'answered', bytes: 600 }),
      ...d.do({ kind: 'want-again', shard }, { kind: 'want-again', shard }),
      ...d.beats(1000),
    ];
    expect(kinds(during)).toEqual(['deliver']);
    expect(d.receiver.wakeAtMs()).toBeUndefined();
    expect(kinds(d.do({ kind: 'drain' }))).toEqual(['credit', 'want', 'ack']);
  });
});

describe('silence', () => {
  test('longer than 2 s ends the link', () => {
    const d = new Driver();
    d.up();
    expect(states(d.beats(2000, 'silent'))).toEqual([]);
    expect(states(d.beats(100, 'silent'))).toMatchObject([{ kind: 'down' }]);
  });

  test('over a wire that has been measured, and of which no shard is asked, a ping is sent in a quarter of the time that is silence', () => {
    const d = new Driver();
    d.up();
    const pings = (ms: number): number => {
      let sent = 0;
      for (let passed = 0; passed < ms; passed += HEARTBEAT) {
        const actions = d.pass(HEARTBEAT).do({ kind: 'heartbeat' });
        const pinged = kinds(actions).includes('ping');
        const echo = pinged ? { pingSentAtMs: d.nowMs, receivedAtMs: d.nowMs } : undefined;
        d.do(message(beat({ sentAtMs: d.nowMs, echo })));
        if (pinged) sent++;
      }
      return sent;
    };
    expect(pings(2000)).toBe(2000 / HEARTBEAT);
    d.do(wants([]));
    expect(pings(4000)).toBe(8);
    d.do(wants());
    expect(pings(2000)).toBe(2000 / HEARTBEAT);
  });

  test('a heartbeat of ours that comes late proves nothing about the peer', () => {
    const d = new Driver();
    d.up();
    d.pass(60_000);
    expect(states(d.do({ kind: 'heartbeat' }))).toEqual([]);
    expect(states(d.beats(2000, 'silent'))).toEqual([]);
    expect(states(d.beats(100, 'silent'))).toMatchObject([{ kind: 'down' }]);
  });

  test('each death of silence doubles the patience, up to 32 s; a stable link resets it', () => {
    const d = new Driver();
    d.up();
    const patience = (): number => {
      let ms = 0;
      while (states(d.beats(HEARTBEAT, 'silent')).length === 0) ms += HEARTBEAT;
      d.pass(10_000).do({ kind: 'wake' }, message(welcome()));
      return ms;
    };
    expect(Array.from({ length: 6 }, patience)).toEqual([2000, 4000, 8000, 16_000, 32_000, 32_000]);
    d.beats(STABLE_MS);
    expect(patience()).toBe(32_000);
    expect(patience()).toBe(4000);
  });
});

describe('the clock', () => {
  const sample = (d: Driver, skewMs: number, thereMs: number, backMs: number, stepMs = 0): ReceiverAction[] => {
    d.pass(HEARTBEAT).do({ kind: 'heartbeat' });
    const pingSentAtMs = d.nowMs;
    const receivedAtMs = d.nowMs + skewMs + thereMs;
    const sentAtMs = receivedAtMs + 40;
    d.pass(thereMs + 40 + backMs);
    d.nowMs += stepMs;
    return d.do(message(beat({ sentAtMs, echo: { pingSentAtMs, receivedAtMs } })));
  };

  test.each([
    [0, 75, 75, { offsetMs: 0, rttMs: 150 }],
    [500, 75, 75, { offsetMs: 500, rttMs: 150 }],
    [-2000, 10, 10, { offsetMs: -2000, rttMs: 20 }],
    // What one way is longer than the other cannot be told from an offset; it is never more than half the round trip.
    [0, 100, 20, { offsetMs: 40, rttMs: 120 }],
  ])('skew %i ms, %i ms there and %i ms back', (skew, there, back, expected) => {
    const d = new Driver();
    d.up();
    expect(sample(d, skew, there, back)).toEqual([{ kind: 'clock', sample: expected }]);
  });

  test('was set during the round trip: no sample', () => {
    const d = new Driver();
    d.up();
    expect(sample(d, 0, 10, 10, 400)).toEqual([]);
    expect(sample(d, 0, 10, 10, -400)).toEqual([]);
    expect(kinds(sample(d, 0, 10, 10))).toEqual(['clock']);
  });

  test('an echo of no ping of ours, or an impossible one: no sample', () => {
    const d = new Driver();
    d.up();
    d.beats(HEARTBEAT);
    const pingSentAtMs = d.nowMs;
    const echoes = [
      { sentAtMs: d.nowMs, echo: { pingSentAtMs: 123, receivedAtMs: d.nowMs } },
      { sentAtMs: d.nowMs, echo: { pingSentAtMs, receivedAtMs: d.nowMs + 50 } },
      { sentAtMs: d.nowMs + 9000, echo: { pingSentAtMs, receivedAtMs: d.nowMs } },
    ];
    for (const echo of echoes) expect(d.do(message(beat(echo)))).toEqual([]);
  });
});

describe('compression', () => {
  const agreed = welcome({ features: [COMPRESSED_FRAMES] });
  const asks = (actions: readonly ReceiverAction[]): boolean[] =>
    actions.flatMap((action) =>
      action.kind === 'send' && action.message.kind === 'compress' ? [action.message.frames] : [],
    );
  const start = (d: Driver, of = agreed): boolean[] => asks(d.do({ kind: 'start' }, wants(), message(of)));
  /** One heartbeat whose ping comes back after so long. */
  const roundTrip = (d: Driver, ms: number): boolean[] => {
    d.pass(HEARTBEAT).do({ kind: 'heartbeat' });
    const pingSentAtMs = d.nowMs;
    d.pass(ms);
    return asks(d.do(message(beat({ sentAtMs: d.nowMs, echo: { pingSentAtMs, receivedAtMs: d.nowMs } }))));
  };

  test('is asked for over a wire that is long, once', () => {
    const d = new Driver();
    expect(start(d)).toEqual([]);
    expect([40, 80, 5, 40, 40].map((ms) => roundTrip(d, ms))).toEqual([[], [], [true], [], []]);
  });

  test('is not asked for over a short wire, however late a busy peer answers', () => {
    const d = new Driver();
    start(d);
    expect([1, 300, 300, 300, 300].flatMap((ms) => roundTrip(d, ms))).toEqual([]);
  });

  test('ends when the wire turns out to be short', () => {
    const d = new Driver();
    start(d);
    expect([40, 40, 40, 2].flatMap((ms) => roundTrip(d, ms))).toEqual([true, false]);
  });

  test('is not asked for when a short wire comes back full of batches, until it has been long for long', () => {
    const d = new Driver();
    start(d);
    roundTrip(d, 1);
    for (let streams = 0; streams < 3; streams++) {
      d.do({ kind: 'closed', reason: 'test' });
      d.pass(60_000);
      d.do({ kind: 'wake' }, message(agreed));
      expect([300, 300, 300, 300].flatMap((ms) => roundTrip(d, ms))).toEqual([]);
    }
    const asked = Array.from({ length: 100 }, () => roundTrip(d, 40));
    expect(asked.flat()).toEqual([true]);
    expect(asked.findIndex((each) => each.length > 0)).toBe(95);
  });

  test('is always asked for, or never, as the configuration says', () => {
    const always = new Driver('always');
    expect(start(always)).toEqual([true]);
    expect([1, 1, 1, 1].flatMap((ms) => roundTrip(always, ms))).toEqual([]);
    const never = new Driver('never');
    expect(start(never)).toEqual([]);
    expect([90, 90, 90, 90].flatMap((ms) => roundTrip(never, ms))).toEqual([]);
  });

  test('is not asked for of a source that does not know it, and asked for anew on every stream', () => {
    const d = new Driver('always');
    expect(start(d, welcome())).toEqual([]);
    d.do({ kind: 'closed', reason: 'test' });
    d.pass(60_000);
    expect(asks(d.do({ kind: 'wake' }, message(agreed)))).toEqual([true]);
  });

  test('what came is counted as it was on the wire, credit as it is unpacked', () => {
    const d = new Driver('always');
    start(d);
    d.do({ kind: 'message', message: { kind: 'batches', batches: [Buffer.alloc(600)], wireBytes: 90 } });
    expect(d.receiver.bytesReceived).toBe(90);
    expect(kinds(d.do({ kind: 'answered', bytes: 600 }))).toEqual(['credit']);
  });
});

describe('whatever happens', () => {
  const event: fc.Arbitrary<ReceiverEvent> = fc.oneof(
    fc.constantFrom<ReceiverEvent>(
      { kind: 'start' },
      { kind: 'stop' },
      { kind: 'closed', reason: 'x' },
      { kind: 'blocked' },
      { kind: 'drain' },
      { kind: 'heartbeat' },
      { kind: 'wake' },
      { kind: 'want-again', shard },
      wants(),
      wants([]),
      message(welcome()),
      message(welcome({ shards: [] })),
      refuse('settings-hash'),
      refuse('not-ready'),
      durable(shard, [[ofUs, 5]]),
      durable(other, [[ofAp, 9]]),
    ),
    fc.array(fc.integer({ min: 0, max: 600 }), { maxLength: 3 }).map((sizes) => batches(...sizes)),
    fc.integer({ min: 0, max: 900 }).map((bytes): ReceiverEvent => ({ kind: 'answered', bytes })),
  );

  test('I12: it dials once at a time, says hello first, and never grants more than the window', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.integer({ min: 0, max: 300 })), { maxLength: 200 }), (steps) => {
        const d = new Driver();
        let open = false;
        let granted = 0;
        let answered = 0;
        let received = 0;
        let first = true;
        for (const [step, ms] of steps) {
          d.pass(ms);
          if (step.kind === 'closed') open = false;
          if (open && step.kind === 'message' && step.message.kind === 'batches') {
            received += step.message.batches.reduce((sum, batch) => sum + batch.length, 0);
          }
          if (step.kind === 'answered') answered = Math.min(answered + step.bytes, received);
          for (const action of d.do(step)) {
            if (action.kind === 'dial') {
              expect(open).toBe(false);
              open = true;
              first = true;
              granted = answered = received = 0;
            } else if (action.kind === 'close') {
              expect(open).toBe(true);
              open = false;
            } else if (action.kind === 'send') {
              expect(open).toBe(true);
              expect(action.message.kind === 'hello').toBe(first);
              first = false;
              if (action.message.kind === 'credit') {
                expect(action.message.bytesTotal).toBeGreaterThan(granted);
                granted = action.message.bytesTotal;
                expect(granted).toBeLessThanOrEqual(answered + WINDOW);
              }
            } else if (action.kind === 'want') expect(open).toBe(true);
            else if (action.kind === 'deliver' && action.batches.length > 1) {
              expect(received).toBeLessThanOrEqual(granted);
            }
          }
          const wake = d.receiver.wakeAtMs();
          if (wake !== undefined) expect(Number.isFinite(wake)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});
