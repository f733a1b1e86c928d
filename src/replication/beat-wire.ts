// Beats as bytes (causeway.v1.LinkDown with Beat in it), written by hand: one goes to every peer in every heartbeat, most of what is in it is
// the same for all of them, and an idle node did little else than to encode it. Reading one is grpc-codec.ts' business.

import { ByteWriter, varintLength } from '../record/bytes.ts';
import { originIncarnation, originRegion, shardParts, type OriginId } from '../record/ids.ts';
import type { MemberReport, ShardBeat, Watermark } from '../shard/beat.ts';
import type { Beat } from './messages.ts';

const VARINT = 0;
const LEN = 2;
const tag = (field: number, wireType: number): number => field * 8 + wireType;

const BEAT = tag(4, LEN);
const BEAT_SENT_AT_MS = tag(1, VARINT);
const BEAT_ECHO = tag(2, LEN);
const BEAT_SHARD = tag(3, LEN);
const BEAT_ACKS_SOON = tag(4, VARINT);
const ECHO_PING_SENT_AT_MS = tag(1, VARINT);
const ECHO_RECEIVED_AT_MS = tag(2, VARINT);
const SHARD_PLACEMENT = tag(1, VARINT);
const SHARD_INDEX = tag(2, VARINT);
const SHARD_WATERMARK = tag(3, LEN);
const SHARD_REPORT = tag(4, LEN);
const REPORT_MEMBER = tag(1, LEN);
const REPORT_COUNTED = tag(5, LEN);
const REPORT_FROZEN = tag(6, LEN);
const REPORT_REACHED = tag(7, LEN);
// Watermark, MemberReport, StampEntry and OriginName begin alike.
const REGION = tag(1, LEN);
const INCARNATION = tag(2, VARINT);
const SEQ = tag(3, VARINT);
const STAMP = tag(4, VARINT);
const ENTRY_STAMP = tag(3, VARINT);

export function encodeBeat({ sentAtMs, echo, shards, acksSoon }: Beat): Buffer {
  const body = new ByteWriter(1024);
  field(body, BEAT_SENT_AT_MS, sentAtMs);
  if (echo !== undefined) {
    const { pingSentAtMs, receivedAtMs } = echo;
    body.u8(BEAT_ECHO).varint(fieldLength(pingSentAtMs) + fieldLength(receivedAtMs));
    field(body, ECHO_PING_SENT_AT_MS, pingSentAtMs);
    field(body, ECHO_RECEIVED_AT_MS, receivedAtMs);
  }
  for (const shard of shards) body.u8(BEAT_SHARD).blob(shardBytes(shard));
  if (acksSoon === true) field(body, BEAT_ACKS_SOON, 1);
  return new ByteWriter(body.length + 8).u8(BEAT).blob(body.view()).finish();
}

/** For as long as the beat is at hand: the next peer is sent the same object. */
const encoded = new WeakMap<ShardBeat, Buffer>();

function shardBytes(beat: ShardBeat): Buffer {
  const known = encoded.get(beat);
  if (known !== undefined) return known;
  const writer = new ByteWriter(512);
  const { placementId, index } = shardParts(beat.shard);
  field(writer, SHARD_PLACEMENT, placementId);
  field(writer, SHARD_INDEX, index);
  for (const watermark of beat.watermarks) writeWatermark(writer, SHARD_WATERMARK, watermark);
  for (const report of beat.reports) writeReport(writer, report);
  const bytes = writer.finish();
  encoded.set(beat, bytes);
  return bytes;
}

function writeWatermark(writer: ByteWriter, as: number, { origin, seq, stamp }: Watermark): void {
  const name = nameOf(origin);
  writer.u8(as).varint(name.length + fieldLength(seq) + fieldLength(stamp));
  writer.raw(name);
  field(writer, SEQ, seq);
  field(writer, STAMP, stamp);
}

const report = new ByteWriter(512);

function writeReport(writer: ByteWriter, of: MemberReport): void {
  const { member, origin, seq, stamp, counted, frozen, reached } = of;
  report.reset();
  // The member is the origin's region; it stands where the other messages have that.
  report.u8(REPORT_MEMBER).text(member);
  field(report, INCARNATION, originIncarnation(origin));
  field(report, SEQ, seq);
  field(report, STAMP, stamp);
  for (const entry of counted) {
    const name = nameOf(entry.origin);
    report.u8(REPORT_COUNTED).varint(name.length + fieldLength(entry.stamp));
    report.raw(name);
    field(report, ENTRY_STAMP, entry.stamp);
  }
  for (const watermark of frozen) writeWatermark(report, REPORT_FROZEN, watermark);
  for (const each of reached) report.u8(REPORT_REACHED).blob(nameOf(each));
  writer.u8(SHARD_REPORT).blob(report.view());
}

/** 0 is what a reader takes for absent. */
function field(writer: ByteWriter, as: number, value: number): void {
  if (value !== 0) writer.u8(as).varint(value);
}

function fieldLength(value: number): number {
  return value === 0 ? 0 : 1 + varintLength(value);
}

/** At the bound it starts anew; there are few origins. */
const NAMES_MAX = 4096;
const names = new Map<OriginId, Buffer>();

/** An origin's region and incarnation, as the two fields with which every message begins that names one. */
function nameOf(origin: OriginId): Buffer {
  let name = names.get(origin);
  if (name === undefined) {
    const writer = new ByteWriter(48).u8(REGION).text(originRegion(origin));
    field(writer, INCARNATION, originIncarnation(origin));
    name = writer.finish();
    if (names.size >= NAMES_MAX) names.clear();
    names.set(origin, name);
  }
  return name;
}
