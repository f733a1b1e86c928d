// Link messages as bytes: what goes in comes out, and what is not a message is refused, whatever it is.

import { randomBytes } from 'node:crypto';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { messageType } from '../../src/proto/load.ts';
import { MalformedBytes } from '../../src/record/bytes.ts';
import { INCARNATION_MAX, originId, regionId, shardId, type OriginId } from '../../src/record/ids.ts';
import { COMPRESS_BYTES_MIN, DOWN_BYTES_MAX } from '../../src/replication/frames.ts';
import { CONTROL_BYTES_MAX, decodeDown, decodeUp, encodeDown, encodeUp } from '../../src/replication/grpc-codec.ts';
import type { Down, RefuseReason, Up } from '../../src/replication/messages.ts';
import type { MemberReport, ShardBeat, Watermark } from '../../src/shard/beat.ts';

const region = fc.constantFrom('eu', 'us-east-1', 'a', '0-9').map(regionId);
const number = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.maxSafeNat());
const seq = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constant(Number.MAX_SAFE_INTEGER));
const incarnation = fc.oneof(fc.constantFrom(0, 1, INCARNATION_MAX), fc.integer({ min: 0, max: INCARNATION_MAX }));
const origin = fc.tuple(region, incarnation).map(([name, id]) => originId(name, id));
const vector = fc.array(fc.tuple(origin, seq), { maxLength: 5 }).map((entries) => new Map<OriginId, number>(entries));
const shard = fc
  .tuple(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 0, max: 0xffff }))
  .map(([placement, index]) => shardId(placement, index));
const name = fc.string({ maxLength: 60, unit: 'grapheme' });
const features = fc.array(fc.string({ maxLength: 10 }), { maxLength: 3 });
const watermark: fc.Arbitrary<Watermark> = fc.record({ origin, seq: number, stamp: number });
const report: fc.Arbitrary<MemberReport> = fc
  .record({
    live: fc.tuple(region, incarnation),
    seq: number,
    stamp: number,
    counted: fc.array(fc.record({ origin, stamp: number }), { maxLength: 3 }),
    frozen: fc.array(watermark, { maxLength: 2 }),
    reached: fc.array(origin, { maxLength: 2 }),
  })
  .map(({ live: [member, id], ...rest }) => ({ member, origin: originId(member, id), ...rest }));
const shardBeat: fc.Arbitrary<ShardBeat> = fc.record({
  shard,
  watermarks: fc.array(watermark, { maxLength: 3 }),
  reports: fc.array(report, { maxLength: 3 }),
});

const up: fc.Arbitrary<Up> = fc.oneof(
  fc.record({
    kind: fc.constant('hello' as const),
    protocolVersion: fc.nat(1000),
    protocolVersionMin: fc.nat(1000),
    clusterId: name,
    region,
    node: name,
    settingsHash: name,
    features,
    instance: name,
  }),
  fc.record({ kind: fc.constant('want' as const), shard, regions: fc.array(region, { maxLength: 4 }), have: vector }),
  fc.record({ kind: fc.constant('credit' as const), bytesTotal: number }),
  fc.record({
    kind: fc.constant('ack' as const),
    shards: fc.array(fc.record({ shard, durable: vector }), { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('ping' as const), sentAtMs: number }),
  fc.record({ kind: fc.constant('compress' as const), frames: fc.boolean() }),
  fc.record({
    kind: fc.constant('begin' as const),
    shards: fc.array(fc.record({ shard, origin }), { maxLength: 3 }),
  }),
);

const reasons: RefuseReason[] = [
  'protocol-version',
  'cluster-id',
  'settings-hash',
  'region-name',
  'unknown-region',
  'not-ready',
  'protocol-error',
];
const down: fc.Arbitrary<Down> = fc.oneof(
  fc.record({
    kind: fc.constant('welcome' as const),
    protocolVersion: fc.nat(1000),
    region,
    node: name,
    instance: name,
    features,
    shards: fc.array(fc.record({ shard, vector, boundOfReceiver: number }), { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('begun' as const),
    shards: fc.array(fc.record({ shard, origin, boundOfReceiver: number }), { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('refuse' as const), reason: fc.constantFrom(...reasons), message: name }),
  fc.record({
    kind: fc.constant('batches' as const),
    batches: fc.array(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      { maxLength: 20 },
    ),
  }),
  fc.record(
    {
      kind: fc.constant('beat' as const),
      sentAtMs: number,
      echo: fc.option(fc.record({ pingSentAtMs: number, receivedAtMs: number }), { nil: undefined }),
      shards: fc.array(shardBeat, { maxLength: 3 }),
      acksSoon: fc.constant(true as const),
    },
    { requiredKeys: ['kind', 'sentAtMs', 'echo', 'shards'] },
  ),
);

function downBytesOf(batches: Buffer): Buffer {
  const length = batches.length < 128 ? [batches.length] : [(batches.length & 127) | 128, batches.length >> 7];
  return Buffer.concat([Buffer.from([0x1a, ...length]), batches]);
}

test('every message comes back as it was', () => {
  fc.assert(
    fc.property(up, (message) => {
      expect(decodeUp(encodeUp(message))).toEqual(message);
    }),
  );
  fc.assert(
    fc.property(down, (message) => {
      expect(decodeDown(encodeDown(message))).toEqual(message);
    }),
  );
});

test('batches, written and walked by hand, are what protobuf says they are', () => {
  const type = messageType('causeway.v1.LinkDown');
  for (const sizes of [[], [0], [1, 127, 128, 129], [16_383, 16_384], [300_000, 5], [2_097_151, 2_097_152]]) {
    const batches = sizes.map((size) => Buffer.alloc(size, 9));
    const bytes = encodeDown({ kind: 'batches', batches });
    expect(bytes.equals(Buffer.from(type.encode({ batches: { batches } } as never).finish()))).toBe(true);
    const decoded = decodeDown(bytes);
    const same = decoded.kind === 'batches' && decoded.batches.every((batch, i) => batches[i]?.equals(batch));
    expect(same && decoded.batches.length === batches.length).toBe(true);
  }
});

test('batches are views: no byte of them is copied', () => {
  const bytes = encodeDown({ kind: 'batches', batches: [Buffer.alloc(1000)] });
  const message = decodeDown(bytes);
  expect(message.kind === 'batches' && message.batches[0]?.buffer === bytes.buffer).toBe(true);
});

describe('a compressed frame', () => {
  const json = (i: number): Buffer =>
    Buffer.from(JSON.stringify({ user: `u-${i}`, action: 'view', page: '/products' }));
  const many = Array.from({ length: 100 }, (_, i) => json(i));

  test('comes back as it was, is smaller, and says what it was on the wire', () => {
    const bytes = encodeDown({ kind: 'batches', batches: many, compress: true });
    expect(bytes.length).toBeLessThan(Buffer.concat(many).length / 4);
    expect(decodeDown(bytes)).toEqual({ kind: 'batches', batches: many, wireBytes: bytes.length });
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 2000 }), { maxLength: 20 }), (arrays) => {
        const batches = arrays.map((array) => Buffer.from(array));
        const decoded = decodeDown(encodeDown({ kind: 'batches', batches, compress: true }));
        expect(decoded.kind === 'batches' && decoded.batches).toEqual(batches);
      }),
    );
  });

  test('is what protobuf says it is', () => {
    const fields = messageType('causeway.v1.LinkDown').decode(
      encodeDown({ kind: 'batches', batches: many, compress: true }),
    ) as unknown as { batches: { compression: number; unpackedBytes: number; packed: Buffer; batches: Buffer[] } };
    const { compression, unpackedBytes, packed, batches } = fields.batches;
    expect({ compression, batches }).toEqual({ compression: 1, batches: [] });
    const raw = brotliDecompressSync(packed);
    expect(raw.length).toBe(unpackedBytes);
    const inner = messageType('causeway.v1.Batches').decode(raw) as unknown as { batches: Buffer[] };
    expect(inner.batches).toEqual(many);
  });

  test('is not made of what is small, or does not become smaller', () => {
    const plain = (batches: Buffer[]): boolean =>
      encodeDown({ kind: 'batches', batches, compress: true }).equals(encodeDown({ kind: 'batches', batches }));
    expect(plain([Buffer.alloc(COMPRESS_BYTES_MIN - 10)])).toBe(true);
    expect(plain([randomBytes(4000)])).toBe(true);
    expect(plain([Buffer.alloc(COMPRESS_BYTES_MIN)])).toBe(false);
  });

  test('is made once for all peers that are sent the same batches', () => {
    const first = encodeDown({ kind: 'batches', batches: many, compress: true });
    expect(encodeDown({ kind: 'batches', batches: [...many], compress: true })).toBe(first);
    expect(encodeDown({ kind: 'batches', batches: many.slice(1), compress: true })).not.toBe(first);
    const plain = encodeDown({ kind: 'batches', batches: many });
    expect(plain.length).toBeGreaterThan(first.length);
    expect(encodeDown({ kind: 'batches', batches: many })).toBe(plain);
  });
});

describe('refused as MalformedBytes:', () => {
  const upType = messageType('causeway.v1.LinkUp');
  const downType = messageType('causeway.v1.LinkDown');
  const upBytes = (message: object): Buffer => Buffer.from(upType.encode(message as never).finish());
  const downBytes = (message: object): Buffer => Buffer.from(downType.encode(message as never).finish());
  const entry = { region: 'eu', incarnation: 1, seq: 1 };
  const packed = brotliCompressSync(Buffer.alloc(1000, Buffer.from([0x0a, 0])));
  const packedFrame = (change: object, after = Buffer.alloc(0)): Buffer => {
    const type = messageType('causeway.v1.Batches');
    const body = type.encode({ compression: 1, unpackedBytes: 1000, packed, ...change } as never).finish();
    return downBytesOf(Buffer.concat([body, after]));
  };

  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['a kind that is not known', Buffer.from([(9 << 3) | 2, 0])],
    ['two kinds at once', upBytes({ ping: { sentAtMs: 1 }, credit: { bytesTotal: 1 } })],
    ['a region that is none', upBytes({ hello: { region: 'EU West' } })],
    ['a name that is too long', upBytes({ hello: { region: 'eu', node: 'n'.repeat(257) } })],
    ['a shard without placement', upBytes({ ack: { shards: [{ shardIndex: 1 }] } })],
    ['a shard beyond', upBytes({ ack: { shards: [{ placementId: 1, shardIndex: 65_536 }] } })],
    [
      'a vector that names an origin twice',
      upBytes({ ack: { shards: [{ placementId: 1, durable: [entry, entry] }] } }),
    ],
    ['a vector with seq 0', upBytes({ ack: { shards: [{ placementId: 1, durable: [{ ...entry, seq: 0 }] }] } })],
    [
      'an incarnation beyond 48 bits',
      upBytes({ ack: { shards: [{ placementId: 1, durable: [{ ...entry, incarnation: 2 ** 48 }] }] } }),
    ],
    ['an integer beyond 2^53 - 1', Buffer.from([0x1a, 10, 0x08, ...Array.from({ length: 8 }, () => 0xff), 0x7f])],
    ['an end in the middle', upBytes({ hello: { region: 'eu' } }).subarray(0, 4)],
    ['too much', upBytes({ ping: { sentAtMs: 1 }, hello: { node: 'n'.repeat(1024 * 1024) } })],
  ])('%s (to a source)', (_, bytes) => {
    expect(() => decodeUp(bytes)).toThrow(MalformedBytes);
  });

  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['a message to a source', encodeUp({ kind: 'ping', sentAtMs: 1 })],
    [
      'a frame with something after the batches',
      Buffer.concat([encodeDown({ kind: 'batches', batches: [] }), Buffer.from([1])]),
    ],
    ['a frame with a field that was not negotiated', Buffer.from([0x1a, 2, 0x10, 1])],
    ['a compression that is not known', packedFrame({ compression: 2 })],
    ['a compressed frame that says less than it is', packedFrame({ unpackedBytes: 999 })],
    ['a compressed frame that says more than it is', packedFrame({ unpackedBytes: 1001 })],
    ['a compressed frame that says it is huge', packedFrame({ unpackedBytes: DOWN_BYTES_MAX + 1 })],
    ['a compressed frame without its length', packedFrame({ unpackedBytes: undefined })],
    ['a compressed frame that is cut off', packedFrame({ packed: packed.subarray(0, -2) })],
    ['a compressed frame that is none', packedFrame({ packed: Buffer.from('not brotli') })],
    ['a compressed frame with something after it', packedFrame({}, Buffer.from([0x0a, 0]))],
    ['a batch that ends behind its frame', Buffer.from([0x1a, 3, 0x0a, 5, 1])],
    ['a length that never ends', Buffer.from([0x1a, ...Array.from({ length: 9 }, () => 0xff)])],
    ['a beat with a report of nobody', downBytes({ beat: { shards: [{ placementId: 1, reports: [{}] }] } })],
    [
      'batches behind another message',
      Buffer.concat([downBytes({ beat: { sentAtMs: 1 } }), encodeDown({ kind: 'batches', batches: [] })]),
    ],
    ['a control message that is too large', downBytes({ refuse: { message: 'x'.repeat(CONTROL_BYTES_MAX) } })],
  ])('%s (to a receiver)', (_, bytes) => {
    expect(() => decodeDown(bytes)).toThrow(MalformedBytes);
  });

  const orMalformed = (decode: () => unknown): void => {
    try {
      decode();
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedBytes);
    }
  };

  test('any bytes, and any message with some of its bytes changed: a message or MalformedBytes, nothing else', () => {
    const runs = { numRuns: 1000 };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => orMalformed(() => decodeUp(Buffer.from(bytes)))),
      runs,
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => orMalformed(() => decodeDown(Buffer.from(bytes)))),
      runs,
    );
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    const damaged = (bytes: Buffer, at: [number, number][]): Buffer => {
      const copy = Buffer.from(bytes);
      for (const [index, value] of at) if (copy.length > 0) copy[index % copy.length] = value;
      return copy;
    };
    fc.assert(
      fc.property(up, changes, (m, at) => orMalformed(() => decodeUp(damaged(encodeUp(m), at)))),
      runs,
    );
    fc.assert(
      fc.property(down, changes, (m, at) => orMalformed(() => decodeDown(damaged(encodeDown(m), at)))),
      runs,
    );
  });
});

describe('a newer peer', () => {
  test('may add fields to what we know, and they are passed over', () => {
    const ping = Buffer.from(
      messageType('causeway.v1.Ping')
        .encode({ sentAtMs: 5 } as never)
        .finish(),
    );
    const inner = Buffer.concat([ping, Buffer.from([(15 << 3) | 2, 3, 1, 2, 3])]);
    expect(decodeUp(Buffer.concat([Buffer.from([(5 << 3) | 2, inner.length]), inner]))).toEqual({
      kind: 'ping',
      sentAtMs: 5,
    });
  });

  test('may have reasons that we do not know', () => {
    const bytes = encodeDown({ kind: 'refuse', reason: 'too-old' as RefuseReason, message: 'm' });
    expect(decodeDown(bytes)).toEqual({ kind: 'refuse', reason: 'protocol-error', message: 'm' });
  });

  test('may name a hundred features; a long text for people is cut between characters', () => {
    const message = decodeDown(encodeDown({ kind: 'refuse', reason: 'not-ready', message: 'ü'.repeat(2000) }));
    expect(message).toEqual({ kind: 'refuse', reason: 'not-ready', message: 'ü'.repeat(512) });
    const hello = decodeUp(
      encodeUp({
        kind: 'hello',
        protocolVersion: 9,
        protocolVersionMin: 1,
        clusterId: 'c',
        region: regionId('eu'),
        node: 'n',
        settingsHash: 'h',
        features: ['x'.repeat(65), ...Array.from({ length: 99 }, (_, i) => `f${i}`)],
        instance: 'i',
      }),
    );
    expect(hello.kind === 'hello' && hello.features.length).toBe(63);
  });
});
