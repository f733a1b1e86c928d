// What prepare refuses, in one wording for all merge types: what was expected, what came, what to do.

import { CausewayError } from '../errors/errors.ts';
import type { MergeTypeName } from '../record/op.ts';
import { EXPIRY_MS_MAX } from './codec.ts';
import { LIMITS, type Intent } from './types.ts';

export function wrongOperation(type: MergeTypeName, takes: readonly Intent['kind'][], intent: Intent): CausewayError {
  const list = `${takes.slice(0, -1).join(', ')} and ${takes.at(-1)}`;
  return new CausewayError('WRONG_OPERATION', `a ${type} collection takes ${list}; got ${intent.kind}`, {
    hint: `Send one of these operations, or write to a collection whose merge type takes ${intent.kind}.`,
    details: { mergeType: type, operation: intent.kind, takes },
  });
}

export function tooLarge<N extends number | bigint>(
  what: string,
  came: N,
  limit: N,
  unit: string,
  hint: string,
): CausewayError {
  return new CausewayError('TOO_LARGE', `${what} is at most ${limit} ${unit}; got ${came}`, {
    hint,
    // As text, because JSON knows no bigint.
    details: { limit: String(limit), got: String(came), unit },
  });
}

export function invalid(message: string, hint: string): CausewayError {
  return new CausewayError('INVALID_ARGUMENT', message, { hint });
}

export function checkValue(value: Uint8Array): void {
  if (value.length > LIMITS.valueBytesMax) {
    throw tooLarge(
      'a value',
      value.length,
      LIMITS.valueBytesMax,
      'bytes',
      'Split it over several keys, or keep it elsewhere and store a reference.',
    );
  }
}

export function checkExpiry(expiresAtMs: number | undefined): void {
  if (expiresAtMs === undefined) return;
  if (!Number.isSafeInteger(expiresAtMs) || expiresAtMs < 1 || expiresAtMs > EXPIRY_MS_MAX) {
    throw invalid(
      `an expiry is a whole number of Unix milliseconds from 1 to ${EXPIRY_MS_MAX}; got ${expiresAtMs}`,
      'Give the moment itself and not a duration; leave it out for a value that never expires.',
    );
  }
}

export function checkOpBytes(bytes: number): void {
  if (bytes > LIMITS.opBytesMax) {
    throw tooLarge('one operation', bytes, LIMITS.opBytesMax, 'bytes', 'Split it into several operations.');
  }
}

/** `bytesAfter` is what the key would hold; only an op that adds to it is refused, so that a key that is over can shrink. */
export function checkStateBytes(bytesAfter: number): void {
  if (bytesAfter > LIMITS.stateBytesMax) {
    throw tooLarge('one key', bytesAfter, LIMITS.stateBytesMax, 'bytes', 'Spread the data over several keys.');
  }
}
