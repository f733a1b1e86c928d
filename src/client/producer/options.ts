// What a producer can be told, and the bounds of it.

import { CausewayError } from '../../errors/errors.ts';
import type { System } from '../../system/system.ts';
import type { CallDefaults } from '../calls.ts';
import type { Endpoints } from '../endpoints.ts';
import type { Session } from '../session.ts';
import type { ShardMap } from '../shard-map.ts';
import type { Durability } from '../types.ts';
import { checkDurability } from '../write-request.ts';

export interface ProducerOptions {
  /** Bytes of ops that are sent or wait. Default 16 MiB. */
  readonly maxInFlightBytes?: number;
  /** Ops that are sent or wait. Default 8192; more outruns what a region remembers for retries. */
  readonly maxInFlightOps?: number;
  /** A batch is closed at so many ops. Default 500, at most 10,000. */
  readonly maxBatchOps?: number;
  /** A batch is closed at so many bytes. Default 256 KiB, at most 2 MiB. */
  readonly maxBatchBytes?: number;
  /** Messages of a stream that are not answered; what is sent meanwhile waits and travels together. Default 4. */
  readonly maxInFlightMessages?: number;
  /**
   * Streams, each over a connection of its own; a key's ops all travel over one of them, so their order stays. Default 1, at most 16. In a region of several
   * nodes so many to each of them that owns something.
   * One stream carries at most maxInFlightMessages batches per round trip, and one connection what the node lets it have under way
   * (1 MiB): for a region in another city raise these, or have several.
   */
  readonly streams?: number;
  /** How long a batch may wait for more ops. Default 0: only until the event loop turns. */
  readonly lingerMs?: number;
  /** From send() to the result, retries included. Default 30,000. */
  readonly deliveryTimeoutMs?: number;
  /** Default: that of connect(). */
  readonly durability?: Durability;
  /** Called for every op that failed for good and has no callback of its own. Without it flush() and close() throw the first. */
  readonly onError?: (error: CausewayError) => void;
}

export type ProducerSettings = Required<Omit<ProducerOptions, 'onError'>>;

/** Of a client, what its producers use. */
export interface ClientParts {
  readonly endpoints: Endpoints;
  readonly system: System;
  readonly session: Session;
  readonly shardMap: ShardMap;
  readonly defaults: CallDefaults;
}

const MIB = 1024 * 1024;

/** Throws CausewayError INVALID_ARGUMENT. */
export function producerSettings(options: ProducerOptions, defaults: CallDefaults): ProducerSettings {
  return {
    maxInFlightBytes: inRange('maxInFlightBytes', options.maxInFlightBytes ?? 16 * MIB, 1024, 1024 * MIB),
    maxInFlightOps: inRange('maxInFlightOps', options.maxInFlightOps ?? 8192, 1, 65_536),
    maxBatchOps: inRange('maxBatchOps', options.maxBatchOps ?? 500, 1, 10_000),
    maxBatchBytes: inRange('maxBatchBytes', options.maxBatchBytes ?? 256 * 1024, 1, 2 * MIB),
    maxInFlightMessages: inRange('maxInFlightMessages', options.maxInFlightMessages ?? 4, 1, 1024),
    streams: whole('streams', inRange('streams', options.streams ?? 1, 1, 16)),
    lingerMs: inRange('lingerMs', options.lingerMs ?? 0, 0, 60_000),
    deliveryTimeoutMs: inRange('deliveryTimeoutMs', options.deliveryTimeoutMs ?? 30_000, 1, 86_400_000),
    durability: checkDurability(options.durability ?? defaults.durability),
  };
}

function inRange(name: string, value: number, min: number, max: number): number {
  if (value >= min && value <= max) return value;
  throw new CausewayError('INVALID_ARGUMENT', `${name} is from ${min} to ${max}; got ${value}`);
}

function whole(name: string, value: number): number {
  if (Number.isInteger(value)) return value;
  throw new CausewayError('INVALID_ARGUMENT', `${name} is a whole number; got ${value}`);
}
