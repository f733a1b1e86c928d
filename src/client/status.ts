// gRPC status → CausewayError; the other half of src/api/status.ts. This is the one place that looks at texts of grpc-js.

import { status as Status, type ServiceError } from '@grpc/grpc-js';
import { CausewayError, isErrorCode, type ErrorCode, type Outcome } from '../errors/errors.ts';
import type { ErrorDetail__Output } from '../proto/generated/causeway/v1/ErrorDetail.ts';
import { decodeRpcStatus, STATUS_DETAILS_KEY } from '../proto/google-rpc.ts';
import { messageType } from '../proto/load.ts';

const ERROR_METADATA_KEY = 'causeway-error-bin';
const ERROR_DOMAIN = 'causeway';

const OUTCOMES: readonly Outcome[] = ['unknown', 'not-applied', 'applied-locally', 'unknown'];

/** As Type.decode gives it: the outcome as a number, what is absent as null or the default. */
export type DecodedErrorDetail = Omit<ErrorDetail__Output, 'outcome' | 'retryAfterMs'> & {
  outcome: number;
  retryAfterMs?: number | null;
};

/** `fallback`: for a code that this version does not know. */
export function fromErrorDetail(
  detail: DecodedErrorDetail,
  fallback: ErrorCode = 'INTERNAL',
  cause?: unknown,
): CausewayError {
  const { code } = detail;
  const details = parseDetails(detail.detailsJson);
  return new CausewayError(
    isErrorCode(code) ? code : fallback,
    isErrorCode(code) ? detail.message : `${code}: ${detail.message}`,
    {
      retriable: detail.retriable,
      outcome: OUTCOMES[detail.outcome] ?? 'unknown',
      ...(detail.hint === '' ? {} : { hint: detail.hint }),
      ...(detail.retryAfterMs === null || detail.retryAfterMs === undefined
        ? {}
        : { retryAfterMs: detail.retryAfterMs }),
      ...(details === undefined ? {} : { details }),
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function parseDetails(text: string): Record<string, unknown> | undefined {
  if (text === '') return undefined;
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** undefined: there are no details, or somebody else's. */
function fromRpcStatus(error: ServiceError): CausewayError | undefined {
  const packed = error.metadata?.get(STATUS_DETAILS_KEY)[0];
  if (!Buffer.isBuffer(packed)) return undefined;
  try {
    const { message, errorInfo, retryDelayMs } = decodeRpcStatus(packed);
    if (errorInfo === undefined || errorInfo.domain !== ERROR_DOMAIN) return undefined;
    const { outcome = '', retriable, hint, ...details } = errorInfo.metadata;
    const known = isErrorCode(errorInfo.reason);
    return new CausewayError(known ? (errorInfo.reason as ErrorCode) : codeOf(error.code), message, {
      cause: error,
      outcome: isOutcome(outcome) ? outcome : 'unknown',
      ...(retriable === undefined ? {} : { retriable: retriable === 'true' }),
      ...(hint === undefined ? {} : { hint }),
      ...(retryDelayMs === undefined ? {} : { retryAfterMs: retryDelayMs }),
      ...(Object.keys(details).length === 0 ? {} : { details }),
    });
  } catch {
    return undefined;
  }
}

function isOutcome(text: string): text is Outcome {
  return (OUTCOMES as readonly string[]).includes(text);
}

/** Whether the node itself said it, as opposed to the connection. */
export function saidByNode(error: ServiceError): boolean {
  return (error.metadata?.get(ERROR_METADATA_KEY).length ?? 0) > 0;
}

export function fromServiceError(error: ServiceError, address: string): CausewayError {
  const packed = error.metadata?.get(ERROR_METADATA_KEY)[0];
  if (Buffer.isBuffer(packed)) {
    try {
      const detail = messageType('causeway.v1.ErrorDetail').decode(packed) as unknown as DecodedErrorDetail;
      return fromErrorDetail(detail, codeOf(error.code), error);
    } catch {
      // Not ours after all: the rest has to do.
    }
  }
  // What a proxy or gateway has left of it, if it knows google.rpc only.
  const fromDetails = fromRpcStatus(error);
  if (fromDetails !== undefined) return fromDetails;
  const at = `${address}: ${error.details}`;
  switch (error.code) {
    case Status.UNAVAILABLE:
      return new CausewayError('UNAVAILABLE', at, {
        cause: error,
        ...(neverSent(error.details) ? { outcome: 'not-applied' as const } : {}),
      });
    case Status.CANCELLED:
      // Cancelled by the other side, which goes away; ours says so.
      return error.details === 'Cancelled on client'
        ? new CausewayError('CANCELLED', at, { cause: error })
        : new CausewayError('UNAVAILABLE', at, { cause: error });
    case Status.INTERNAL:
    case Status.UNKNOWN:
      // What a process that dies leaves behind, in grpc-js' words; a fault of the connection, not of the node.
      return brokeOff(error.details)
        ? new CausewayError('UNAVAILABLE', at, { cause: error })
        : new CausewayError('INTERNAL', at, { cause: error });
    case Status.RESOURCE_EXHAUSTED:
      return /larger than/.test(error.details)
        ? new CausewayError('TOO_LARGE', at, { cause: error, hint: 'send smaller values, or fewer at once' })
        : new CausewayError('OVERLOADED', at, { cause: error });
    case Status.UNIMPLEMENTED:
      return new CausewayError('INVALID_ARGUMENT', at, {
        cause: error,
        hint: 'is this the port for clients, and is the node of this version?',
      });
    default:
      return new CausewayError(codeOf(error.code), at, { cause: error });
  }
}

function neverSent(details: string): boolean {
  return /^(No connection established|Name resolution failed|Failed to connect|Channel closed before call started)/.test(
    details,
  );
}

function brokeOff(details: string): boolean {
  return /RST_STREAM|ECONNRESET|EPIPE|Connection dropped|Call ended without|Stream closed/.test(details);
}

function codeOf(status: number): ErrorCode {
  switch (status) {
    case Status.CANCELLED:
      return 'CANCELLED';
    case Status.DEADLINE_EXCEEDED:
      return 'DEADLINE_EXCEEDED';
    case Status.INVALID_ARGUMENT:
    case Status.OUT_OF_RANGE:
    case Status.UNAUTHENTICATED:
    case Status.PERMISSION_DENIED:
      return 'INVALID_ARGUMENT';
    case Status.NOT_FOUND:
      return 'KEY_NOT_FOUND';
    case Status.FAILED_PRECONDITION:
    case Status.ABORTED:
    case Status.ALREADY_EXISTS:
      return 'PRECONDITION_FAILED';
    case Status.UNAVAILABLE:
      return 'UNAVAILABLE';
    case Status.RESOURCE_EXHAUSTED:
      return 'OVERLOADED';
    case Status.DATA_LOSS:
      return 'CORRUPT';
    default:
      return 'INTERNAL';
  }
}
