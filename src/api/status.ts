// CausewayError → gRPC status. The way back is in src/client/status.ts; test/api/status.test.ts holds the two together.
// The whole error travels as an ErrorDetail in the trailing metadata, so that a client branches on the code and not on text.

import { Metadata, type StatusObject } from '@grpc/grpc-js';
import type { CausewayError, Outcome } from '../errors/errors.ts';
import type { ErrorDetail } from '../proto/generated/causeway/v1/ErrorDetail.ts';
import { messageType } from '../proto/load.ts';

export const ERROR_METADATA_KEY = 'causeway-error-bin';

/** Trailers have a bound of their own (16 KiB by default on both sides); an error must never be what exceeds it. */
const TEXT_CHARACTERS_MAX = 2000;
const DETAILS_BYTES_MAX = 4096;

/** Numbers of causeway.v1.Outcome. */
export const OUTCOME_NUMBERS: Readonly<Record<Outcome, number>> = {
  'not-applied': 1,
  'applied-locally': 2,
  unknown: 3,
};

/** As the plain object that Type.encode takes: enums as numbers. */
export type ErrorDetailMessage = Omit<ErrorDetail, 'outcome'> & { outcome: number };

export function errorDetail(error: CausewayError): ErrorDetailMessage {
  const detail: ErrorDetailMessage = {
    code: error.code,
    message: short(error.message),
    hint: short(error.hint ?? ''),
    outcome: OUTCOME_NUMBERS[error.outcome],
    retriable: error.retriable,
  };
  if (error.retryAfterMs !== undefined) detail.retryAfterMs = Math.max(0, Math.round(error.retryAfterMs));
  const json = detailsJson(error.details);
  if (json !== undefined) detail.detailsJson = json;
  return detail;
}

/** What a handler's callback or stream takes as its error. */
export function toStatus(error: CausewayError): Pick<StatusObject, 'code' | 'details'> & { metadata: Metadata } {
  const metadata = new Metadata();
  const type = messageType('causeway.v1.ErrorDetail');
  metadata.set(ERROR_METADATA_KEY, type.encode(errorDetail(error) as object as never).finish() as Buffer);
  // Clients of other libraries honour this one by themselves; -1 tells them not to retry.
  metadata.set('grpc-retry-pushback-ms', error.retriable ? String(Math.round(error.retryAfterMs ?? 0)) : '-1');
  const hint = error.hint === undefined ? '' : ` (${error.hint})`;
  return { code: error.grpcStatus, details: short(`${error.code}: ${error.message}${hint}`), metadata };
}

function short(text: string): string {
  return text.length <= TEXT_CHARACTERS_MAX ? text : `${text.slice(0, TEXT_CHARACTERS_MAX - 1)}…`;
}

/** undefined when there are none, or when they would not travel: details are a help, not a reason to fail. */
function detailsJson(details: Readonly<Record<string, unknown>> | undefined): string | undefined {
  if (details === undefined) return undefined;
  try {
    const json = JSON.stringify(details, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    return Buffer.byteLength(json) <= DETAILS_BYTES_MAX ? json : undefined;
  } catch {
    return undefined;
  }
}
