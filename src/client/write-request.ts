// WriteRequest around its ops, and WriteResponse taken apart.

import { CausewayError } from '../errors/errors.ts';
import { messageType } from '../proto/load.ts';
import { WIRE_LEN, WIRE_VARINT, wireTag, type WireWriter } from '../proto/wire.ts';
import type { WriteResponse__Output } from '../proto/generated/causeway/v1/WriteResponse.ts';
import { fromErrorDetail, type DecodedErrorDetail } from './status.ts';
import type { Durability, WriteAck } from './types.ts';
import { viewOf, type DecodedView } from './views.ts';

const NAMESPACE = wireTag(1, WIRE_LEN);
const COLLECTIONS = wireTag(2, WIRE_LEN);
const DURABILITY = wireTag(4, WIRE_VARINT);
const DURABLE_REGIONS = wireTag(5, WIRE_VARINT);
const DEADLINE = wireTag(6, WIRE_VARINT);
const SESSION = wireTag(7, WIRE_LEN);
const PRODUCER = wireTag(8, WIRE_VARINT);
const ISSUED_AT = wireTag(9, WIRE_VARINT);
const WANT_VERSIONS = wireTag(10, WIRE_VARINT);
const WANT_VALUES = wireTag(11, WIRE_VARINT);
const SEEN_STAMP = wireTag(12, WIRE_VARINT);

/** A node takes no longer one. */
const DEADLINE_MS_MAX = 60_000;

export interface WriteAfter {
  /** Encoded. */
  readonly session: Uint8Array | undefined;
  /** 0: none. */
  readonly seenStamp: number;
}

export const AFTER_NOTHING: WriteAfter = { session: undefined, seenStamp: 0 };

export interface WriteHeader {
  readonly namespace: string;
  readonly collections: readonly string[];
  readonly durability: Durability;
  readonly deadlineMs: number;
  /** What the ops come after. */
  readonly after: WriteAfter;
  readonly producer: number;
  readonly issuedAtMs: number;
  readonly wantVersions: boolean;
  readonly wantValues?: boolean;
}

/** Everything of a WriteRequest but its ops, which may stand before it. */
export function encodeWriteHeader(into: WireWriter, header: WriteHeader): void {
  into.text(NAMESPACE, header.namespace);
  for (const collection of header.collections) into.text(COLLECTIONS, collection);
  const { durability } = header;
  if (durability === 'applied') into.uint(DURABILITY, 3);
  else if (durability !== 'local') {
    into.uint(DURABILITY, 2);
    into.uint(DURABLE_REGIONS, durability.regions);
  }
  into.uint(DEADLINE, Math.min(DEADLINE_MS_MAX, Math.max(1, Math.round(header.deadlineMs))));
  if (header.after.session !== undefined) into.bytes(SESSION, header.after.session);
  into.uint(SEEN_STAMP, header.after.seenStamp);
  into.uint(PRODUCER, header.producer);
  into.uint(ISSUED_AT, header.issuedAtMs);
  into.bool(WANT_VERSIONS, header.wantVersions);
  into.bool(WANT_VALUES, header.wantValues ?? false);
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function checkDurability(durability: Durability): Durability {
  if (durability === 'local' || durability === 'applied') return durability;
  const { regions } = durability;
  if (Number.isInteger(regions) && regions >= 1 && regions <= 1000) return durability;
  throw new CausewayError(
    'INVALID_ARGUMENT',
    `durability is 'local', 'applied' or { regions: 1 … }; got ${JSON.stringify(durability)}`,
  );
}

export function decodeWriteResponse(bytes: Uint8Array): WriteResponse__Output {
  return messageType('causeway.v1.WriteResponse').decode(bytes) as unknown as WriteResponse__Output;
}

/** The errors of the ops that failed, by their index. */
export function failuresOf(response: WriteResponse__Output): Map<number, CausewayError> {
  const failures = new Map<number, CausewayError>();
  if (response.failed.length === 0) return failures;
  const errors = response.errors.map((detail) => fromErrorDetail(detail as unknown as DecodedErrorDetail));
  for (let i = 0; i < response.failed.length; i++) {
    const index = response.failed[i] as number;
    const error = errors[response.failedError[i] ?? -1];
    failures.set(index, error ?? new CausewayError('INTERNAL', 'the node says that the op failed, and not why'));
  }
  return failures;
}

/** Of an op that was written; the versions were asked for. */
export function ackOf(response: WriteResponse__Output, index: number): WriteAck {
  const at = response.valued.length === 0 ? -1 : response.valued.indexOf(index);
  const view = at < 0 ? undefined : response.values[at];
  return {
    shard: response.shards[response.opShard[index] ?? 0] ?? '',
    version: {
      origin: response.origins[response.opOrigin[index] ?? 0] ?? '',
      seq: response.opSeq[index] ?? 0,
      stamp: response.opStamp[index] ?? 0,
    },
    duplicate: response.duplicates.includes(index),
    ...(view === undefined ? {} : { after: { view: viewOf(view as unknown as DecodedView) } }),
  };
}
