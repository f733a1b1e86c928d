// The serving side, driven by hand: a log whose reads are answered when the test says so.

import { describe, expect, test } from 'vitest';
import type { LogEntryKind, ReadResult, StoredEntry } from '../../src/log/log.ts';
import { readBatchHeader } from '../../src/record/batch.ts';
import { originId, regionId, shardId, type OriginId, type RegionId, type ShardId } from '../../src/record/ids.ts';
import { ACKS_ON_DEMAND, ACKS_SOON_MS, COMPRESSED_FRAMES, helloOf } from '../../src/replication/handshake.ts';
import type { Down, RefuseReason, Up } from '../../src/replication/messages.ts';
import { FRAME_BYTES, READ_BYTES, READS_MAX, Source, type SourceHost } from '../../src/replication/source.ts';
import { makeBatch } from './support/world.ts';

const eu = regionId('eu');
const us = regionId('us');
const ap = regionId('ap');
const shard = shardId(1, 0);
const second = shardId(1, 1);
const foreign = shardId(2, 0);
const ofEu = originId(eu, 1);
const ofAp = originId(ap, 2);
const ofUs = originId(us, 3);
const MB = 1024 * 1024;

interface PendingRead {
  readonly shard: ShardId;
  readonly from: number;
  readonly bytesMax: number;
  readonly answer: () => void;
}

class Rig {
  readonly entries = new Map<ShardId, StoredEntry[]>();
  readonly vectors = new Map<ShardId, Map<OriginId, number>>();
  readonly starts = new Map<ShardId, number>();
  readonly reads: PendingRead[] = [];
  /** Answer reads at once. */
  prompt = true;
  corrupt: string | undefined;
  readonly sent: Down[] = [];
  room = Number.POSITIVE_INFINITY;
  closed: string | undefined;
  owned: ShardId[] = [shard, second, foreign];
  readonly placement = new Map<ShardId, RegionId[]>([
    [shard, [ap, eu, us]],
    [second, [ap, eu, us]],
    [foreign, [ap, eu]],
  ]);
  readonly acks: [RegionId, ShardId, [OriginId, number][]][] = [];
  readonly begun: [ShardId, OriginId][] = [];
  nowMs = 1_000_000;
  monotonicMs = 0;
  #soon: (() => void)[] = [];
  readonly source: Source;

  constructor() {
    const host: SourceHost = {
      region: eu,
      node: 'eu-1',
      instance: 'i-eu',
      clusterId: 'c',
      settingsHash: 'h',
      shards: () => this.owned,
      members: (of) => this.placement.get(of) ?? [],
      isRegion: (name) => ['ap', 'eu', 'us'].includes(name),
      vector: (of) => this.vectors.get(of) ?? new Map(),
      boundOf: () => 77,
      begin: (of, origin) => {
        this.begun.push([of, origin]);
        return 88;
      },
      onAck: (from, of, durable) => void this.acks.push([from, of, [...durable]]),
      log: {
        tail: (of) => (this.starts.get(of) ?? 1) + this.at(of).length - 1,
        start: (of) => this.starts.get(of) ?? 1,
        find: (of, origin, seq) => {
          for (const { kind, bytes, offset } of this.at(of)) {
            if (kind !== 'batch') continue;
            const header = readBatchHeader(bytes);
            if (header.origin === origin && header.lastSeq >= seq) return offset;
          }
          return undefined;
        },
        read: (of, from, bytesMax, done) => {
          const answer = (): void => done(this.#read(of, from, bytesMax));
          if (this.prompt) answer();
          else this.reads.push({ shard: of, from, bytesMax, answer });
        },
      },
    };
    this.source = new Source(
      host,
      {
        send: (message) => {
          if (this.closed !== undefined) throw new Error('sent after the end');
          this.sent.push(message);
          return this.sent.length < this.room;
        },
        close: (reason) => {
          this.closed = reason;
          this.source.closed();
        },
        soon: (fn) => void this.#soon.push(fn),
      },
      { heartbeatMs: 100 },
      0,
    );
  }

  at(of: ShardId): StoredEntry[] {
    let entries = this.entries.get(of);
    if (entries === undefined) {
      entries = [];
      this.entries.set(of, entries);
    }
    return entries;
  }

  #read(of: ShardId, from: number, bytesMax: number): ReadResult {
    if (this.corrupt !== undefined) return { kind: 'corrupt', message: this.corrupt };
    const start = this.starts.get(of) ?? 1;
    if (from < start) return { kind: 'trimmed', start };
    const entries: StoredEntry[] = [];
    let bytes = 0;
    for (const entry of this.at(of).slice(from - start)) {
      bytes += entry.bytes.length;
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(entry);
    }
    return { kind: 'entries', entries };
  }

  append(of: ShardId, kind: LogEntryKind, bytes: Uint8Array): void {
    this.at(of).push({ kind, bytes, offset: (this.starts.get(of) ?? 1) + this.at(of).length });
  }

  /** A batch in the log, durable, without telling the source. */
  batch(origin: OriginId, count = 1, valueBytes = 10, of = shard): void {
    const vector = this.vectors.get(of) ?? new Map<OriginId, number>();
    this.vectors.set(of, vector);
    const firstSeq = (vector.get(origin) ?? 0) + 1;
    vector.set(origin, firstSeq + count - 1);
    this.append(of, 'batch', makeBatch(of, origin, firstSeq, count, valueBytes));
  }

  say(...messages: Up[]): this {
    for (const message of messages) this.source.message(message, this.nowMs, this.monotonicMs);
    return this;
  }

  turn(): this {
    for (const fn of this.#soon.splice(0)) fn();
    return this;
  }

  /** Answers the oldest read. */
  answer(): this {
    this.reads.shift()?.answer();
    return this;
  }

  /** Hello, and so much credit. */
  open(bytesTotal = 10 * MB): this {
    this.say(hello, { kind: 'credit', bytesTotal });
    this.sent.length = 0;
    return this;
  }

  want(regions: RegionId[], have: [OriginId, number][] = [], of = shard): this {
    return this.say({ kind: 'want', shard: of, regions, have: new Map(have) });
  }

  /** What was sent, as `origin first..last`, a list per frame. */
  get frames(): string[][] {
    return this.sent.flatMap((message) =>
      message.kind === 'batches'
        ? [
            message.batches.map((bytes) => {
              const { origin, firstSeq, lastSeq } = readBatchHeader(bytes);
              return `${origin.split('~')[0]} ${firstSeq}..${lastSeq}`;
            }),
          ]
        : [],
    );
  }

  get batches(): string[] {
    return this.frames.flat();
  }

  get refused(): RefuseReason | undefined {
    const last = this.sent.at(-1);
    return last?.kind === 'refuse' ? last.reason : undefined;
  }
}

/** Of a peer that has no optional abilities. */
const hello = {
  ...helloOf({ region: us, node: 'us-1', instance: 'i-us', clusterId: 'c', settingsHash: 'h' }),
  features: [],
};

describe('the handshake', () => {
  test('welcome names our shards that the peer holds too, with what is durable and the bound of its stamps', () => {
    const rig = new Rig();
    rig.batch(ofEu, 3);
    rig.say(hello);
    expect(rig.sent).toEqual([
      {
        kind: 'welcome',
        protocolVersion: 1,
        region: eu,
        node: 'eu-1',
        instance: 'i-eu',
        features: [],
        shards: [
          { shard, vector: new Map([[ofEu, 3]]), boundOfReceiver: 77 },
          { shard: second, vector: new Map(), boundOfReceiver: 77 },
        ],
      },
    ]);
  });

  test('where the peer may begin is answered for shards that are served, and promised by the host', () => {
    const rig = new Rig();
    rig.say(hello);
    rig.sent.length = 0;
    const next = originId(us, 9);
    rig.say({
      kind: 'begin',
      shards: [shard, foreign].map((each) => ({ shard: each, origin: next })),
    });
    expect(rig.sent).toEqual([{ kind: 'begun', shards: [{ shard, origin: next, boundOfReceiver: 88 }] }]);
    expect(rig.begun).toEqual([[shard, next]]);
  });

  test('I7: nobody begins an origin of another region', () => {
    const rig = new Rig();
    rig.say(hello, { kind: 'begin', shards: [{ shard, origin: originId(ap, 9) }] });
    expect(rig.refused).toBe('protocol-error');
    expect(rig.begun).toEqual([]);
  });

  test('a refusal is said, then the stream ends', () => {
    const rig = new Rig().say({ ...hello, settingsHash: 'other' });
    expect(rig.refused).toBe('settings-hash');
    expect(rig.closed).toMatch(/settings/);
    rig.say(hello);
    expect(rig.sent).toHaveLength(1);
  });

  test('a stream that never says hello is ended', () => {
    const rig = new Rig();
    for (rig.monotonicMs = 0; rig.monotonicMs <= 2200; rig.monotonicMs += 100) {
      rig.source.heartbeat([], rig.nowMs, rig.monotonicMs);
    }
    expect(rig.closed).toMatch(/a peer that has not said hello/);
  });

  test('shards that came and went: welcome again, cursors gone', () => {
    const rig = new Rig().open();
    rig.want([eu]);
    rig.source.onOwnership();
    expect(rig.sent).toEqual([]);
    rig.owned = [second];
    rig.source.onOwnership();
    rig.batch(ofEu);
    rig.source.onDurable(shard);
    rig.turn();
    expect(rig.sent.map(({ kind }) => kind)).toEqual(['welcome']);
    expect(rig.sent).toMatchObject([{ shards: [{ shard: second }] }]);
    // A want that was on its way when the shard went: no mistake of the peer, and nothing to serve.
    rig.want([eu]).turn();
    expect(rig.closed).toBeUndefined();
    expect(rig.batches).toEqual([]);
    expect(rig.sent).toHaveLength(1);
  });

  test('a want in the moment in which a shard begins anew: the peer is told that it has gone, and that it is back', () => {
    const rig = new Rig().open();
    rig.want([eu]);
    // Nobody says so: it is the owner's all the while.
    rig.owned = [second];
    rig.want([eu, ap]).turn();
    expect(rig.sent).toMatchObject([{ kind: 'welcome', shards: [{ shard: second }] }]);
    rig.owned = [shard, second];
    rig.source.onOwnership();
    expect(rig.sent.slice(1)).toMatchObject([{ kind: 'welcome', shards: [{ shard }, { shard: second }] }]);
  });
});

describe('what a peer may not say', () => {
  test.each<[string, Up]>([
    ['a second hello', hello],
    ['a want of a shard that it does not hold (I10)', { kind: 'want', shard: foreign, regions: [eu], have: new Map() }],
    ['a want of a shard that is none', { kind: 'want', shard: shardId(9, 9), regions: [eu], have: new Map() }],
    [
      'an ack of a shard that it does not hold',
      { kind: 'ack', shards: [{ shard: foreign, durable: new Map([[ofEu, 1]]) }] },
    ],
    ['compressed frames that were not agreed on', { kind: 'compress', frames: true }],
    ['a credit that falls', { kind: 'credit', bytesTotal: 5 }],
    ['a credit that is no number', { kind: 'credit', bytesTotal: Number.NaN }],
    [
      'a want of very many regions',
      { kind: 'want', shard, regions: Array.from({ length: 257 }, (_, i) => regionId(`r${i}`)), have: new Map() },
    ],
  ])('%s', (_, message) => {
    const rig = new Rig().open();
    rig.say(message);
    expect(rig.refused).toBe('protocol-error');
    expect(rig.closed).toBeDefined();
    expect(rig.acks).toEqual([]);
  });
});

describe('serving', () => {
  test('acks are asked for while somebody waits for them, now and then, and only of a peer that waits to be asked', () => {
    for (const features of [[ACKS_ON_DEMAND], []]) {
      const rig = new Rig();
      rig.say({ ...hello, features });
      rig.sent.splice(0);
      const asked = (atMs: number): number => {
        rig.source.wantAcks(1, atMs);
        return rig.sent.splice(0).filter((sent) => sent.kind === 'beat' && sent.acksSoon === true).length;
      };
      const times = [0, 1, ACKS_SOON_MS / 2 - 1, ACKS_SOON_MS / 2, ACKS_SOON_MS / 2 + 1].map(asked);
      expect(times).toEqual(features.length > 0 ? [1, 0, 0, 1, 0] : [0, 0, 0, 0, 0]);
    }
  });

  test('frames are to be compressed from when the peer asks for it until it asks for the opposite', () => {
    const rig = new Rig();
    rig.say({ ...hello, features: [COMPRESSED_FRAMES] }, { kind: 'credit', bytesTotal: 10 * MB });
    const compressed = (): boolean[] =>
      rig.sent.splice(0).flatMap((sent) => (sent.kind === 'batches' ? [sent.compress === true] : []));
    const send = (): boolean[] => {
      rig.batch(ofEu);
      rig.source.onDurable(shard);
      rig.turn();
      return compressed();
    };
    rig.want([eu]).turn();
    expect(send()).toEqual([false]);
    rig.say({ kind: 'compress', frames: true });
    expect([send(), send()]).toEqual([[true], [true]]);
    rig.say({ kind: 'compress', frames: false });
    expect(send()).toEqual([false]);
  });

  test('the regions that are wanted, after what the peer has, in log order, without leases and barriers', () => {
    const rig = new Rig().open();
    rig.batch(ofEu, 2);
    rig.append(shard, 'lease', Buffer.from('lease'));
    rig.batch(ofAp, 1);
    rig.batch(ofEu, 3);
    rig.append(shard, 'barrier', Buffer.from('barrier'));
    rig.batch(ofUs, 1);
    rig.batch(ofAp, 2);
    rig.want([eu, ap], [[ofEu, 2]]).turn();
    expect(rig.frames).toEqual([['ap 1..1', 'eu 3..5', 'ap 2..3']]);
  });

  test('the live tail; batches that become durable in one turn leave in one frame', () => {
    const rig = new Rig().open();
    rig.want([eu]).want([eu], [], second).turn();
    rig.batch(ofEu);
    rig.source.onDurable(shard);
    rig.batch(ofEu, 1, 10, second);
    rig.source.onDurable(second);
    rig.batch(ofEu);
    rig.source.onDurable(shard);
    expect(rig.frames).toEqual([]);
    rig.turn();
    expect(rig.frames).toEqual([['eu 1..1', 'eu 1..1', 'eu 2..2']]);
  });

  test('an origin that nobody had heard of when it was wanted', () => {
    const rig = new Rig().open();
    rig.batch(ofEu);
    rig.want([eu, ap], [[ofEu, 1]]).turn();
    rig.batch(originId(ap, 99), 4);
    rig.source.onDurable(shard);
    rig.turn();
    expect(rig.batches).toEqual(['ap 1..4']);
  });

  test("never the receiver's live origin, though its older ones are wanted", () => {
    const rig = new Rig().open();
    const old = originId(us, 4);
    rig.batch(old, 2);
    rig.want([eu, us], [[ofUs, Number.MAX_SAFE_INTEGER]]).turn();
    rig.batch(ofUs, 5);
    rig.source.onDurable(shard);
    rig.turn();
    expect(rig.batches).toEqual(['us 1..2']);
  });

  test('a want with no regions ends it', () => {
    const rig = new Rig().open();
    rig.want([eu]).want([]);
    rig.batch(ofEu);
    rig.source.onDurable(shard);
    rig.turn();
    expect(rig.batches).toEqual([]);
  });

  test('a new want drops what is still being read for the old one', () => {
    const rig = new Rig().open();
    rig.prompt = false;
    rig.batch(ofEu, 2);
    rig.batch(ofEu, 2);
    rig.want([eu]).want([eu, ap], [[ofEu, 2]]);
    expect(rig.reads).toHaveLength(2);
    rig.answer().answer().turn();
    expect(rig.batches).toEqual(['eu 3..4']);
  });

  test('a want that is repeated before anything was sent goes on from where the reading is', () => {
    const rig = new Rig().open();
    rig.prompt = false;
    rig.batch(ofEu, 2);
    rig.batch(ofEu, 2);
    rig.want([eu]).want([eu], [[ofEu, 2]]);
    expect(rig.reads).toHaveLength(1);
    rig.answer().turn();
    expect(rig.batches).toEqual(['eu 3..4']);
    // What was sent and has not arrived is read again.
    rig
      .want([eu], [[ofEu, 2]])
      .answer()
      .turn();
    expect(rig.batches.filter((batch) => batch === 'eu 3..4')).toHaveLength(2);
  });

  test('a read that is answered after the end changes nothing', () => {
    const rig = new Rig().open();
    rig.prompt = false;
    rig.batch(ofEu);
    rig.want([eu]);
    rig.source.closed();
    rig.answer().turn();
    expect(rig.sent).toEqual([]);
  });

  test('a corrupt log: this shard is served no more and says so, the others go on', () => {
    const rig = new Rig().open();
    rig.batch(ofEu);
    rig.corrupt = 'offset 1 fails its checksum';
    rig.want([eu]).turn();
    rig.corrupt = undefined;
    rig.source.onDurable(shard);
    rig.batch(ofEu, 1, 10, second);
    rig.want([eu], [], second).turn();
    expect(rig.batches).toEqual(['eu 1..1']);
    expect(rig.source.state().shards).toMatchObject([
      { shard, failed: 'offset 1 fails its checksum' },
      { shard: second },
    ]);
  });

  test('a trimmed log: an origin whose next batch is gone is not served, and named; the others are', () => {
    const rig = new Rig().open();
    rig.starts.set(shard, 50);
    rig.vectors.set(shard, new Map([[ofEu, 9]]));
    rig.batch(ofEu, 1);
    rig.batch(ofAp, 1);
    rig.want([eu, ap], [[ofEu, 3]]).turn();
    expect(rig.batches).toEqual(['ap 1..1']);
    expect(rig.source.state().shards).toMatchObject([{ trimmed: [ofEu] }]);
  });

  test('a stretch that every region skips is a gap in the log, and what follows it is served', () => {
    const rig = new Rig().open();
    rig.batch(ofEu, 2);
    rig.vectors.get(shard)!.set(ofEu, 5);
    rig.batch(ofEu, 1);
    rig.want([eu]).turn();
    expect(rig.batches).toEqual(['eu 1..2', 'eu 6..6']);
  });
});

describe('bounds', () => {
  test('a frame holds at most 256 KiB or 1000 batches', () => {
    const rig = new Rig().open();
    for (let i = 0; i < 1200; i++) rig.batch(ofEu, 1, 0);
    for (let i = 0; i < 40; i++) rig.batch(ofEu, 1, 20_000);
    rig.want([eu]).turn();
    expect(rig.batches).toHaveLength(1240);
    for (const message of rig.sent) {
      if (message.kind !== 'batches') continue;
      expect(message.batches.length).toBeLessThanOrEqual(1000);
      expect(message.batches.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(FRAME_BYTES);
    }
  });

  test('nothing is sent, or even read, without credit; more credit, more batches, none twice', () => {
    const rig = new Rig();
    rig.say(hello);
    rig.sent.length = 0;
    rig.prompt = false;
    for (let i = 0; i < 10; i++) rig.batch(ofEu, 1, 1000);
    rig.want([eu]);
    expect(rig.reads).toEqual([]);
    rig.prompt = true;
    rig.say({ kind: 'credit', bytesTotal: 2500 }).turn();
    expect(rig.batches).toEqual(['eu 1..1', 'eu 2..2']);
    rig.say({ kind: 'credit', bytesTotal: 5000 }).turn();
    expect(rig.batches).toHaveLength(4);
    rig.say({ kind: 'credit', bytesTotal: 100_000 }).turn();
    expect(rig.batches).toEqual(Array.from({ length: 10 }, (_, i) => `eu ${i + 1}..${i + 1}`));
  });

  test('a batch that no window holds goes alone, when the window is whole', () => {
    const rig = new Rig().open(1000);
    rig.batch(ofEu, 1, 100);
    rig.batch(ofEu, 1, 5000);
    rig.batch(ofEu, 1, 100);
    rig.want([eu]).turn();
    expect(rig.batches).toEqual(['eu 1..1']);
    const { bytesSent } = rig.source.state();
    rig.say({ kind: 'credit', bytesTotal: bytesSent + 999 }).turn();
    expect(rig.batches).toHaveLength(1);
    rig.say({ kind: 'credit', bytesTotal: bytesSent + 1000 }).turn();
    expect(rig.frames).toEqual([['eu 1..1'], ['eu 2..2']]);
    rig.say({ kind: 'credit', bytesTotal: rig.source.state().bytesSent + 1000 }).turn();
    expect(rig.frames.at(-1)).toEqual(['eu 3..3']);
  });

  test('a large batch that waits for credit is not starved by small ones of other shards', () => {
    const rig = new Rig().open(1000);
    rig.batch(ofEu, 1, 700);
    for (let i = 0; i < 20; i++) rig.batch(ofEu, 1, 1, second);
    rig.want([eu], [], second).turn();
    const before = rig.batches.length;
    rig.want([eu]).turn();
    // Credit for one small batch more each time: they wait behind the large one.
    let granted = 1000;
    while (
      !rig.sent.some((message) => message.kind === 'batches' && message.batches.some(({ length }) => length > 700))
    ) {
      granted += 150;
      rig.say({ kind: 'credit', bytesTotal: granted }).turn();
      expect(granted).toBeLessThan(4000);
    }
    expect(before).toBeGreaterThan(0);
    rig.say({ kind: 'credit', bytesTotal: 50_000 }).turn();
    expect(rig.batches).toHaveLength(21);
  });

  test('I8: at most four reads at once, one per shard, within the credit; a full stream reads nothing', () => {
    const rig = new Rig().open(READ_BYTES * 2 + 10);
    rig.prompt = false;
    const many = Array.from({ length: 9 }, (_, i) => shardId(1, i));
    rig.owned = many;
    rig.owned = many;
    for (const each of many) {
      rig.placement.set(each, [eu, us]);
      for (let i = 0; i < 30; i++) rig.batch(ofEu, 1, 20_000, each);
      rig.want([eu], [], each);
    }
    expect(rig.reads.map(({ bytesMax }) => bytesMax)).toEqual([READ_BYTES, READ_BYTES, 10]);
    rig.say({ kind: 'credit', bytesTotal: 100 * MB });
    expect(rig.reads).toHaveLength(READS_MAX);
    expect(new Set(rig.reads.map((read) => read.shard)).size).toBe(READS_MAX);
    // Shards take turns: by the time the first is read again, all have been read.
    const order: ShardId[] = [];
    for (let i = 0; i < 18; i++) {
      order.push(rig.reads[0]!.shard);
      rig.answer();
    }
    expect(new Set(order.slice(0, 9)).size).toBe(9);
    rig.room = 0;
    rig.answer();
    while (rig.reads.length > 0) rig.answer();
    const { length } = rig.sent;
    rig.turn();
    expect(rig.sent.length).toBeLessThanOrEqual(length + 1);
    rig.room = Number.POSITIVE_INFINITY;
    rig.prompt = true;
    rig.source.drain();
    rig.turn();
    expect(rig.batches).toHaveLength(9 * 30);
    expect(new Set(rig.batches).size).toBe(30);
  });
});

describe('beats', () => {
  const beatOf = (of: ShardId): { shard: ShardId; watermarks: []; reports: [] } => ({
    shard: of,
    watermarks: [],
    reports: [],
  });

  test('I10: only of shards that the peer holds, and in between of those that it has asked for; with an echo of the latest ping, once', () => {
    const rig = new Rig().open();
    rig.want([eu]);
    rig.say({ kind: 'ping', sentAtMs: 1 });
    rig.nowMs += 7;
    rig.say({ kind: 'ping', sentAtMs: 2 });
    rig.nowMs += 5;
    const beats = [beatOf(shard), beatOf(second), beatOf(foreign)];
    rig.source.heartbeat(beats, rig.nowMs, 0);
    rig.source.heartbeat(beats, rig.nowMs, 100);
    rig.source.heartbeat([], rig.nowMs, 0);
    expect(rig.sent).toEqual([
      {
        kind: 'beat',
        sentAtMs: rig.nowMs,
        echo: { pingSentAtMs: 2, receivedAtMs: rig.nowMs - 5 },
        shards: [beatOf(shard), beatOf(second)],
      },
      { kind: 'beat', sentAtMs: rig.nowMs, echo: undefined, shards: [beatOf(shard)] },
      { kind: 'beat', sentAtMs: rig.nowMs, echo: undefined, shards: [] },
    ]);
  });

  test('a beat does not pass the batches that are ready', () => {
    const rig = new Rig().open();
    rig.batch(ofEu);
    rig.want([eu]);
    rig.source.heartbeat([beatOf(shard)], rig.nowMs, 0);
    expect(rig.sent.map(({ kind }) => kind)).toEqual(['batches', 'beat']);
  });

  test('many shards make several beats; a full stream gets none', () => {
    const rig = new Rig().open();
    const many = Array.from({ length: 150 }, (_, i) => shardId(1, i));
    rig.owned = many;
    for (const each of many) {
      rig.placement.set(each, [eu, us]);
      rig.say({ kind: 'want', shard: each, regions: [eu], have: new Map() });
    }
    rig.source.heartbeat(many.map(beatOf), rig.nowMs, 0);
    expect(rig.sent.map((message) => (message.kind === 'beat' ? message.shards.length : 0))).toEqual([64, 64, 22]);
    rig.room = 0;
    rig.source.heartbeat([], rig.nowMs, 0);
    const { length } = rig.sent;
    for (let i = 0; i < 5; i++) rig.source.heartbeat([], rig.nowMs, 0);
    expect(rig.sent).toHaveLength(length);
  });

  test('a peer that has asked for no shard, or for none any more, gets an echo at once and else one beat in a quarter of the time that is silence', () => {
    const rig = new Rig().open();
    const sentOver = (fromMs: number): number => {
      rig.sent.length = 0;
      for (let ms = 0; ms < 2000; ms += 100) {
        rig.monotonicMs = fromMs + ms;
        rig.source.heartbeat([beatOf(shard)], rig.nowMs, rig.monotonicMs);
        if (ms === 1100) rig.say({ kind: 'ping', sentAtMs: 1 });
      }
      expect(rig.sent.filter((sent) => sent.kind === 'beat' && sent.echo !== undefined)).toHaveLength(1);
      return rig.sent.length;
    };
    expect(sentOver(0)).toBe(5);
    rig.want([eu]);
    expect(sentOver(2000)).toBe(20);
    rig.want([]);
    expect(sentOver(4000)).toBe(5);
  });

  test('a peer that is silent for long is let go', () => {
    const rig = new Rig().open();
    for (let ms = 0; ms <= 2000; ms += 100) rig.source.heartbeat([], rig.nowMs, ms);
    expect(rig.closed).toBeUndefined();
    rig.source.heartbeat([], rig.nowMs, 2100);
    expect(rig.closed).toMatch(/us \(node us-1\)/);
  });
});

test('acks reach the host with the region of the handshake', () => {
  const rig = new Rig().open();
  rig.say({ kind: 'ack', shards: [{ shard, durable: new Map([[ofEu, 4]]) }] });
  expect(rig.acks).toEqual([[us, shard, [[ofEu, 4]]]]);
});
