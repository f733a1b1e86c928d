// CausewayError → gRPC status. The way back is in src/client/status.ts; test/api/status.test.ts holds the two together.
// The whole error travels as an ErrorDetail in the trailing metadata, so that a client branches on the code and not on text; and
// once more as google.rpc.Status, which every gRPC library knows how to read.

import { Metadata, type StatusObject } from '@grpc/grpc-js';
import type { CausewayError, ErrorCode, Outcome } from '../errors/errors.ts';
import type { ErrorDetail } from '../proto/generated/causeway/v1/ErrorDetail.ts';
import { encodeRpcStatus, STATUS_DETAILS_KEY, type RpcStatus } from '../proto/google-rpc.ts';
import { messageType } from '../proto/load.ts';

export const ERROR_METADATA_KEY = 'causeway-error-bin';

/**
 * Trailers have a bound of their own (16 KiB by default on both sides); an error must never be what exceeds it. In bytes of UTF-8:
 * binary trailers grow by a third, and the status text, which stands there twice, up to threefold.
 */
const MESSAGE_BYTES_MAX = 2000;
const HINT_BYTES_MAX = 1000;
const DETAILS_BYTES_MAX = 4096;
const STATUS_TEXT_BYTES_MAX = 600;
const METADATA_BYTES_MAX = 1024;

/** google.rpc.ErrorInfo.domain: whose `reason` it is. */
export const ERROR_DOMAIN = 'causeway';

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
    message: short(error.message, MESSAGE_BYTES_MAX),
    hint: short(error.hint ?? '', HINT_BYTES_MAX),
    outcome: OUTCOME_NUMBERS[error.outcome],
    retriable: error.retriable,
  };
  if (error.retryAfterMs !== undefined) detail.retryAfterMs = Math.max(0, Math.round(error.retryAfterMs));
  const json = detailsJson(error.details);
  if (json !== undefined) detail.detailsJson = json;
  return detail;
}

/** `reason` is for whoever counts answers; gRPC passes it over. */
export type AnsweredError = Pick<StatusObject, 'code' | 'details'> & {
  readonly metadata: Metadata;
  readonly reason: ErrorCode;
};

/** What a handler's callback or stream takes as its error. */
export function toStatus(error: CausewayError): AnsweredError {
  const metadata = new Metadata();
  const type = messageType('causeway.v1.ErrorDetail');
  metadata.set(ERROR_METADATA_KEY, type.encode(errorDetail(error) as object as never).finish() as Buffer);
  // Clients with a retry policy honour this one by themselves: -1 tells them not to, nothing leaves it to their own back-off.
  if (!error.retriable) metadata.set('grpc-retry-pushback-ms', '-1');
  else if (error.retryAfterMs !== undefined) {
    metadata.set('grpc-retry-pushback-ms', String(Math.max(0, Math.round(error.retryAfterMs))));
  }
  const hint = error.hint === undefined ? '' : ` (${error.hint})`;
  const details = short(`${error.code}: ${error.message}${hint}`, STATUS_TEXT_BYTES_MAX);
  metadata.set(STATUS_DETAILS_KEY, encodeRpcStatus(rpcStatus(error, details)));
  return { code: error.grpcStatus, details, metadata, reason: error.code };
}

function rpcStatus(error: CausewayError, message: string): RpcStatus {
  const field = error.details?.['field'];
  return {
    code: error.grpcStatus,
    message,
    errorInfo: { reason: error.code, domain: ERROR_DOMAIN, metadata: infoMetadata(error) },
    ...(error.retriable && error.retryAfterMs !== undefined
      ? { retryDelayMs: Math.max(0, Math.round(error.retryAfterMs)) }
      : {}),
    ...(typeof field === 'string'
      ? { fieldViolations: [{ field, description: short(error.message, STATUS_TEXT_BYTES_MAX) }] }
      : {}),
  };
}

/** What has a plain value, as far as it fits; what a program branches on first. */
function infoMetadata({ outcome, retriable, hint, details }: CausewayError): Record<string, string> {
  const metadata: Record<string, string> = { outcome, retriable: String(retriable) };
  let bytes = 0;
  for (const [name, value] of Object.entries({ ...details, ...(hint === undefined ? {} : { hint }) })) {
    if (
      typeof value !== 'string' &&
      typeof value !== 'number' &&
      typeof value !== 'bigint' &&
      typeof value !== 'boolean'
    ) {
      continue;
    }
    bytes += Buffer.byteLength(name) + Buffer.byteLength(String(value));
    if (bytes > METADATA_BYTES_MAX) break;
    metadata[name] ??= String(value);
  }
  return metadata;
}

/** At most so many bytes of UTF-8, whole characters. */
function short(text: string, bytesMax: number): string {
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytesMax - 3));
  return `${text.slice(0, read)}…`;
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
