// Link messages as bytes (proto/causeway/v1/replication.proto) and back.
//
// Batches are frames.ts' business. Everything else goes through protobufjs and is then checked, name by name and number by number: what
// comes from a peer is either a message that messages.ts describes or MalformedBytes.
// I12 Decoding allocates in proportion to what was received: a frame has at most FRAME_BATCHES_MAX batches, everything else is at most
//     CONTROL_BYTES_MAX.

import { messageType } from '../proto/load.ts';
import { originOf } from '../record/batch.ts';
import { MalformedBytes } from '../record/bytes.ts';
import {
  INCARNATION_MAX,
  isRegionName,
  originIncarnation,
  originRegion,
  shardId,
  shardParts,
  type OriginId,
  type RegionId,
  type ShardId,
} from '../record/ids.ts';
import type { ReadonlyVector, VersionVector } from '../record/vector.ts';
import type { MemberReport, ShardBeat, Watermark } from '../shard/beat.ts';
import { encodeBeat } from './beat-wire.ts';
import { decodeFrame, encodeFrame, isFrame } from './frames.ts';
import type { Begin, Down, RefuseReason, Up, WelcomeShard } from './messages.ts';

/** Of a message to the source. */
export const UP_BYTES_MAX = 1024 * 1024;
/** Of a message to the receiver that carries no batches. */
export const CONTROL_BYTES_MAX = 4 * 1024 * 1024;
/** Names of nodes, instances and clusters, hashes. */
const NAME_BYTES_MAX = 256;
const FEATURES_MAX = 64;
const FEATURE_BYTES_MAX = 64;
const REFUSE_MESSAGE_BYTES_MAX = 1024;

const upType = messageType('causeway.v1.LinkUp');
const downType = messageType('causeway.v1.LinkDown');

const REFUSE_REASONS: Record<RefuseReason, true> = {
  'protocol-version': true,
  'cluster-id': true,
  'settings-hash': true,
  'region-name': true,
  'unknown-region': true,
  'not-ready': true,
  'protocol-error': true,
};

// Encoding

export function encodeUp(message: Up): Buffer {
  switch (message.kind) {
    case 'hello': {
      const { kind, ...hello } = message;
      return encode(upType, { [kind]: { ...hello, features: [...hello.features] } });
    }
    case 'want': {
      const { regions, have } = message;
      return encode(upType, { want: { ...wireShard(message.shard), regions: [...regions], have: wireVector(have) } });
    }
    case 'credit':
      return encode(upType, { credit: { bytesTotal: message.bytesTotal } });
    case 'ack':
      return encode(upType, {
        ack: {
          shards: message.shards.map(({ shard, durable }) => ({ ...wireShard(shard), durable: wireVector(durable) })),
        },
      });
    case 'ping':
      return encode(upType, { ping: { sentAtMs: message.sentAtMs } });
    case 'compress':
      return encode(upType, { compress: { frames: message.frames } });
    case 'begin':
      return encode(upType, { begin: { shards: message.shards.map(wireBeginning) } });
  }
}

export function encodeDown(message: Down): Buffer {
  switch (message.kind) {
    case 'batches':
      return encodeFrame(message);
    case 'welcome': {
      const { kind, features, shards, ...rest } = message;
      const wire = shards.map(({ shard, vector, boundOfReceiver }) => ({
        ...wireShard(shard),
        vector: wireVector(vector),
        boundOfReceiver,
      }));
      return encode(downType, { [kind]: { ...rest, features: [...features], shards: wire } });
    }
    case 'refuse':
      return encode(downType, {
        refuse: { reason: message.reason, message: cutText(message.message, REFUSE_MESSAGE_BYTES_MAX) },
      });
    case 'beat':
      return encodeBeat(message);
    case 'begun':
      return encode(downType, {
        begun: {
          shards: message.shards.map(({ boundOfReceiver, ...rest }) => ({ ...wireBeginning(rest), boundOfReceiver })),
        },
      });
  }
}

function encode(type: typeof upType, message: object): Buffer {
  // On Node protobufjs writes Buffers; its types cannot say so.
  return type.encode(message as Parameters<typeof type.encode>[0]).finish() as Buffer;
}

function wireShard(shard: ShardId): { placementId: number; shardIndex: number } {
  const { placementId, index } = shardParts(shard);
  return { placementId, shardIndex: index };
}

function wireOrigin(origin: OriginId): { region: RegionId; incarnation: number } {
  return { region: originRegion(origin), incarnation: originIncarnation(origin) };
}

function wireBeginning({ shard, origin }: Begin['shards'][number]): object {
  return { ...wireShard(shard), ...wireOrigin(origin) };
}

function wireVector(vector: ReadonlyVector): object[] {
  const entries: object[] = [];
  for (const [origin, seq] of vector) if (seq > 0) entries.push({ ...wireOrigin(origin), seq });
  return entries;
}

// Decoding

/** Throws MalformedBytes. */
export function decodeUp(bytes: Buffer): Up {
  if (bytes.length > UP_BYTES_MAX) throw new MalformedBytes(`a message of ${bytes.length} bytes to a source`);
  const [kind, body] = one(decode(upType, bytes), ['hello', 'want', 'credit', 'ack', 'ping', 'compress', 'begin']);
  switch (kind) {
    case 'hello':
      return {
        kind: 'hello',
        protocolVersion: integer(body, 'protocolVersion'),
        protocolVersionMin: integer(body, 'protocolVersionMin'),
        clusterId: text(body, 'clusterId'),
        region: region(body, 'region'),
        node: text(body, 'node'),
        settingsHash: text(body, 'settingsHash'),
        features: features(body),
        instance: text(body, 'instance'),
      };
    case 'want':
      return { kind: 'want', shard: shard(body), regions: regions(body), have: vector(body, 'have') };
    case 'credit':
      return { kind: 'credit', bytesTotal: integer(body, 'bytesTotal') };
    case 'ack':
      return {
        kind: 'ack',
        shards: each(body, 'shards').map((entry) => ({ shard: shard(entry), durable: vector(entry, 'durable') })),
      };
    case 'ping':
      return { kind: 'ping', sentAtMs: integer(body, 'sentAtMs') };
    case 'compress':
      return { kind: 'compress', frames: body['frames'] === true };
    case 'begin':
      return { kind: 'begin', shards: each(body, 'shards').map(beginning) };
  }
}

/** Throws MalformedBytes. Batches are views on `bytes`. */
export function decodeDown(bytes: Buffer): Down {
  if (isFrame(bytes)) return decodeFrame(bytes);
  if (bytes.length > CONTROL_BYTES_MAX) throw new MalformedBytes(`a message of ${bytes.length} bytes without batches`);
  const [kind, body] = one(decode(downType, bytes), ['welcome', 'refuse', 'beat', 'batches', 'begun']);
  switch (kind) {
    case 'batches':
      throw new MalformedBytes('batches that do not stand first in their frame');
    case 'welcome':
      return {
        kind: 'welcome',
        protocolVersion: integer(body, 'protocolVersion'),
        region: region(body, 'region'),
        node: text(body, 'node'),
        instance: text(body, 'instance'),
        features: features(body),
        shards: each(body, 'shards').map((entry): WelcomeShard => ({
          shard: shard(entry),
          vector: vector(entry, 'vector'),
          boundOfReceiver: integer(entry, 'boundOfReceiver'),
        })),
      };
    case 'begun':
      return {
        kind: 'begun',
        shards: each(body, 'shards').map((entry) => ({
          ...beginning(entry),
          boundOfReceiver: integer(entry, 'boundOfReceiver'),
        })),
      };
    case 'refuse': {
      const reason = text(body, 'reason');
      return {
        kind: 'refuse',
        reason: isRefuseReason(reason) ? reason : 'protocol-error',
        message: text(body, 'message', REFUSE_MESSAGE_BYTES_MAX),
      };
    }
    case 'beat': {
      const echo = body['echo'];
      return {
        kind: 'beat',
        sentAtMs: integer(body, 'sentAtMs'),
        echo: isFields(echo)
          ? { pingSentAtMs: integer(echo, 'pingSentAtMs'), receivedAtMs: integer(echo, 'receivedAtMs') }
          : undefined,
        shards: each(body, 'shards').map((entry): ShardBeat => ({
          shard: shard(entry),
          watermarks: each(entry, 'watermarks').map(watermark),
          reports: each(entry, 'reports').map(report),
        })),
        ...(body['acksSoon'] === true ? { acksSoon: true } : {}),
      };
    }
  }
}

/** A decoded protobuf message before it was looked at: absent fields have their defaults. */
type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function decode(type: typeof upType, bytes: Buffer): Fields {
  try {
    return type.decode(bytes) as unknown as Fields;
  } catch (cause) {
    throw new MalformedBytes(`not a ${type.name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

/** The one message of a oneof that is set. */
function one<K extends string>(fields: Fields, kinds: readonly K[]): [kind: K, body: Fields] {
  let found: [K, Fields] | undefined;
  for (const kind of kinds) {
    const body = Object.hasOwn(fields, kind) ? fields[kind] : undefined;
    if (!isFields(body)) continue;
    if (found !== undefined) throw new MalformedBytes(`a message that is both ${found[0]} and ${kind}`);
    found = [kind, body];
  }
  if (found === undefined) throw new MalformedBytes('a message of a kind that is not known here');
  return found;
}

function integer(fields: Fields, name: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw new MalformedBytes(`${name} is ${String(value)}; expected an integer from 0 to ${max}`);
  }
  return value;
}

function text(fields: Fields, name: string, bytesMax = NAME_BYTES_MAX): string {
  const value = fields[name];
  if (typeof value !== 'string' || Buffer.byteLength(value) > bytesMax) {
    throw new MalformedBytes(`${name} is longer than ${bytesMax} bytes`);
  }
  return value;
}

function each(fields: Fields, name: string): Fields[] {
  const value = fields[name];
  return Array.isArray(value) ? (value as Fields[]) : [];
}

function features(fields: Fields): string[] {
  const names = fields['features'];
  if (!Array.isArray(names)) return [];
  // Too many or too long: not a reason to fall out; none of ours is cut off by it.
  return (names as string[]).slice(0, FEATURES_MAX).filter((name) => Buffer.byteLength(name) <= FEATURE_BYTES_MAX);
}

function regionOf(value: unknown): RegionId {
  if (typeof value !== 'string' || !isRegionName(value)) throw new MalformedBytes('a badly named region');
  return value;
}

function region(fields: Fields, name: string): RegionId {
  return regionOf(fields[name]);
}

function regions(fields: Fields): RegionId[] {
  const names = fields['regions'];
  return Array.isArray(names) ? names.map(regionOf) : [];
}

function shard(fields: Fields): ShardId {
  const placementId = integer(fields, 'placementId', 0xffff);
  if (placementId === 0) throw new MalformedBytes('a shard without a placement');
  return shardId(placementId, integer(fields, 'shardIndex', 0xffff));
}

function origin(fields: Fields): OriginId {
  return originOf(region(fields, 'region'), integer(fields, 'incarnation', INCARNATION_MAX));
}

function vector(fields: Fields, name: string): VersionVector {
  const entries: VersionVector = new Map();
  for (const entry of each(fields, name)) {
    const seq = integer(entry, 'seq');
    const id = origin(entry);
    if (seq === 0 || entries.has(id)) throw new MalformedBytes(`${name} names ${id} twice, or at seq 0`);
    entries.set(id, seq);
  }
  return entries;
}

function watermark(fields: Fields): Watermark {
  return { origin: origin(fields), seq: integer(fields, 'seq'), stamp: integer(fields, 'stamp') };
}

function report(fields: Fields): MemberReport {
  const member = region(fields, 'member');
  return {
    member,
    origin: originOf(member, integer(fields, 'incarnation', INCARNATION_MAX)),
    seq: integer(fields, 'seq'),
    stamp: integer(fields, 'stamp'),
    counted: each(fields, 'counted').map((entry) => ({ origin: origin(entry), stamp: integer(entry, 'stamp') })),
    frozen: each(fields, 'frozen').map(watermark),
    reached: each(fields, 'reached').map(origin),
  };
}

function beginning(fields: Fields): Begin['shards'][number] {
  return { shard: shard(fields), origin: origin(fields) };
}

function isRefuseReason(reason: string): reason is RefuseReason {
  return Object.hasOwn(REFUSE_REASONS, reason);
}

/** At most so many bytes of UTF-8, without half a character at the end. */
function cutText(value: string, bytesMax: number): string {
  if (Buffer.byteLength(value) <= bytesMax) return value;
  return Buffer.from(value)
    .subarray(0, bytesMax)
    .toString('utf8')
    .replace(/\uFFFD+$/u, '');
}
