// WriteResponse, written by hand: one per message of hundreds of ops, so what is said per op is said in packed arrays, and
// nothing is said of an op that was written when nobody asked for its version.

import type { CausewayError } from '../errors/errors.ts';
import { messageType } from '../proto/load.ts';
import { WIRE_LEN, WIRE_VARINT, wireTag, type WireWriter } from '../proto/wire.ts';
import { originIncarnation, originRegion, shardParts, type OriginId, type ShardId } from '../record/ids.ts';
import type { SessionToken, WriteResult } from '../region/region.ts';
import type { ServiceEnv } from './env.ts';
import { errorDetail } from './status.ts';
import { TOKEN_FORMAT } from './tokens.ts';
import { viewMessage } from './views.ts';
import type { DecodedWrite } from './write-decode.ts';

const FAILED = wireTag(1, WIRE_LEN);
const FAILED_ERROR = wireTag(2, WIRE_LEN);
const ERRORS = wireTag(3, WIRE_LEN);
const DUPLICATES = wireTag(4, WIRE_LEN);
const SESSION = wireTag(5, WIRE_LEN);
const SHARDS = wireTag(6, WIRE_LEN);
const ORIGINS = wireTag(7, WIRE_LEN);
const OP_SHARD = wireTag(8, WIRE_LEN);
const OP_ORIGIN = wireTag(9, WIRE_LEN);
const OP_SEQ = wireTag(10, WIRE_LEN);
const OP_STAMP = wireTag(11, WIRE_LEN);
const VALUED = wireTag(12, WIRE_LEN);
const VALUES = wireTag(13, WIRE_LEN);
const ELSEWHERE = wireTag(14, WIRE_VARINT);

/** Lengths of the packed arrays and of a session: up to 2 MiB. 10,000 stamps are 80 KiB. */
const WIDTH = 3;

/** `results` are those of `request.ops`; `elsewhere`: some of them are another node's. */
export function encodeWriteResponse(
  into: WireWriter,
  request: DecodedWrite,
  results: readonly WriteResult[],
  elsewhere: boolean,
  { clusterId, signals }: Pick<ServiceEnv, 'clusterId' | 'signals'>,
): void {
  const failed: number[] = [];
  const errors: CausewayError[] = [];
  const duplicates: number[] = [];
  const reached = new Map<ShardId, Map<OriginId, number>>();

  const { positions } = request;
  if (request.invalid.size > 0) {
    for (const [index, error] of request.invalid) {
      failed.push(index);
      errors.push(error);
    }
  }
  for (let i = 0; i < results.length; i++) {
    const result = results[i] as WriteResult;
    if (!result.ok) {
      failed.push(positions === undefined ? i : (positions[i] as number));
      errors.push(result.error);
      continue;
    }
    if (result.duplicate) duplicates.push(positions === undefined ? i : (positions[i] as number));
    const { shard, version } = result;
    let stamps = reached.get(shard);
    if (stamps === undefined) {
      stamps = new Map();
      reached.set(shard, stamps);
    }
    const before = stamps.get(version.origin);
    if (before === undefined || before < version.stamp) stamps.set(version.origin, version.stamp);
  }

  if (failed.length > 0) {
    for (const { code } of errors) signals.refusedOp(code);
    encodeFailures(into, failed, errors);
  }
  if (duplicates.length > 0) encodePacked(into, DUPLICATES, duplicates);
  if (reached.size > 0) encodeSession(into, reached, clusterId);
  if (request.wantVersions) encodeVersions(into, request, results);
  if (request.wantValues) encodeValues(into, request, results);
  into.bool(ELSEWHERE, elsewhere);
}

function encodeValues(into: WireWriter, request: DecodedWrite, results: readonly WriteResult[]): void {
  const type = messageType('causeway.v1.View');
  const valued: number[] = [];
  results.forEach((result, i) => {
    if (!result.ok || result.after === undefined) return;
    valued.push(request.positions?.[i] ?? i);
    into.bytes(VALUES, type.encode(viewMessage(result.after.view) as object as never).finish());
  });
  if (valued.length > 0) encodePacked(into, VALUED, valued);
}

function encodeFailures(into: WireWriter, failed: number[], errors: readonly CausewayError[]): void {
  // Indexes of invalid ops come before those that the region refused.
  const order = failed.map((_, i) => i).sort((a, b) => (failed[a] as number) - (failed[b] as number));
  const distinct: CausewayError[] = [];
  const numbers = new Map<string, number>();
  const errorOf = order.map((i) => {
    const error = errors[i] as CausewayError;
    const name = `${error.code}\n${error.outcome}\n${error.retryAfterMs ?? ''}\n${error.message}`;
    let number = numbers.get(name);
    if (number === undefined) {
      number = distinct.length;
      numbers.set(name, number);
      distinct.push(error);
    }
    return number;
  });
  encodePacked(
    into,
    FAILED,
    order.map((i) => failed[i] as number),
  );
  encodePacked(into, FAILED_ERROR, errorOf);
  for (const error of distinct) encodeError(into, ERRORS, error);
}

export function encodeError(into: WireWriter, tag: number, error: CausewayError): void {
  const type = messageType('causeway.v1.ErrorDetail');
  into.bytes(tag, type.encode(errorDetail(error) as object as never).finish());
}

function encodePacked(into: WireWriter, tag: number, values: readonly number[]): void {
  const begun = into.begin(tag, WIDTH);
  for (const value of values) into.varint(value);
  into.end(begun, WIDTH);
}

/** SessionToken of record.proto. */
function encodeSession(into: WireWriter, reached: SessionToken, clusterId: string): void {
  const session = into.begin(SESSION, WIDTH);
  into.uint(wireTag(1, WIRE_VARINT), TOKEN_FORMAT);
  if (clusterId !== '') into.text(wireTag(2, WIRE_LEN), clusterId);
  for (const [shard, stamps] of reached) {
    const { placementId, index } = shardParts(shard);
    const shardStamps = into.begin(wireTag(3, WIRE_LEN), WIDTH);
    into.uint(wireTag(1, WIRE_VARINT), placementId);
    into.uint(wireTag(2, WIRE_VARINT), index);
    for (const [origin, stamp] of stamps) {
      const entry = into.begin(wireTag(3, WIRE_LEN), 1);
      into.text(wireTag(1, WIRE_LEN), originRegion(origin));
      into.uint(wireTag(2, WIRE_VARINT), originIncarnation(origin));
      into.uint(wireTag(3, WIRE_VARINT), stamp);
      into.end(entry, 1);
    }
    into.end(shardStamps, WIDTH);
  }
  into.end(session, WIDTH);
}

function encodeVersions(into: WireWriter, request: DecodedWrite, results: readonly WriteResult[]): void {
  const shards = new Map<ShardId, number>();
  const origins = new Map<OriginId, number>();
  const opShard = new Array<number>(request.count).fill(0);
  const opOrigin = new Array<number>(request.count).fill(0);
  const opSeq = new Array<number>(request.count).fill(0);
  const opStamp = new Array<number>(request.count).fill(0);
  for (let i = 0; i < results.length; i++) {
    const result = results[i] as WriteResult;
    if (!result.ok) continue;
    const at = request.positions === undefined ? i : (request.positions[i] as number);
    opShard[at] = numberOf(shards, result.shard);
    opOrigin[at] = numberOf(origins, result.version.origin);
    opSeq[at] = result.version.seq;
    opStamp[at] = result.version.stamp;
  }
  for (const shard of shards.keys()) into.text(SHARDS, shard);
  for (const origin of origins.keys()) into.text(ORIGINS, origin);
  encodePacked(into, OP_SHARD, opShard);
  encodePacked(into, OP_ORIGIN, opOrigin);
  encodePacked(into, OP_SEQ, opSeq);
  encodePacked(into, OP_STAMP, opStamp);
}

/** Index of a name in a dictionary that grows. */
export function numberOf<K>(dictionary: Map<K, number>, name: K): number {
  let number = dictionary.get(name);
  if (number === undefined) {
    number = dictionary.size;
    dictionary.set(name, number);
  }
  return number;
}
