// CausewayError → HTTP status and a body in the shape of Connect's JSON errors (https://connectrpc.com/docs/protocol):
// {"code", "message", "details": [{"type", "value", "debug"}]}. The detail is the same causeway.v1.ErrorDetail that gRPC carries in its trailers;
// `debug` is that in JSON, for who has no protobuf at hand. Callers branch on `details[0].debug.code`, never on the message.

import { CausewayError, GRPC_STATUS, type ErrorCode } from '../../errors/errors.ts';
import { messageType } from '../../proto/load.ts';
import { errorDetail } from '../status.ts';

/** Connect's table from gRPC's status, except where HTTP has a status that says more: 405, 409, 410, 412, 413. */
export const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  UNKNOWN_COLLECTION: 404,
  KEY_NOT_FOUND: 404,
  WRONG_OPERATION: 400,
  TOO_LARGE: 413,
  PRECONDITION_FAILED: 412,
  IDEMPOTENCY_WINDOW_PASSED: 409,
  CURSOR_INVALID: 410,
  OVERLOADED: 429,
  UNAVAILABLE: 503,
  READ_ONLY: 503,
  CLOCK_UNSYNCED: 503,
  NOT_READY: 503,
  STORE_AWAY: 503,
  DRAINING: 503,
  FENCED: 503,
  DEADLINE_EXCEEDED: 504,
  CANCELLED: 499,
  // Not 500: nothing here is broken, the answer is late.
  INDETERMINATE: 504,
  DURABILITY_NOT_REACHED: 504,
  SESSION_BEHIND: 503,
  SESSION_LOST: 409,
  SESSION_AHEAD: 409,
  CONSISTENCY_NOT_REACHED: 503,
  HANDSHAKE_REFUSED: 400,
  CONFIG_INVALID: 400,
  CORRUPT: 500,
  FORK: 500,
  INTERNAL: 500,
};

const CONNECT_CODES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(GRPC_STATUS).map(([name, status]) => [
    status,
    status === GRPC_STATUS.CANCELLED ? 'canceled' : name.toLowerCase(),
  ]),
);

/** An error of HTTP itself, where the code's own status says too little: 405, 406, 408, 415, 421, 431, and a route that does not exist. */
export class HttpError extends Error {
  readonly status: number;
  readonly error: CausewayError;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, error: CausewayError, headers: Readonly<Record<string, string>> = {}) {
    super(error.message, { cause: error });
    this.status = status;
    this.error = error;
    this.headers = headers;
  }
}

/** 405, with what the resource does take. */
export function methodNotAllowed(message: string, allow: readonly string[], code: ErrorCode): HttpError {
  const allowed = allow.join(', ');
  return new HttpError(405, new CausewayError(code, message, { hint: `this one takes ${allowed}` }), {
    Allow: allowed,
  });
}

export function unsupportedMedia(message: string, hint: string): HttpError {
  return new HttpError(415, new CausewayError('INVALID_ARGUMENT', message, { hint }));
}

/** Compact, on one line: an event of a watch carries it too. */
export function errorJson(error: CausewayError): string {
  const detail = errorDetail(error);
  const bytes = messageType('causeway.v1.ErrorDetail')
    .encode(detail as never)
    .finish();
  const { code, outcome, retriable, retryAfterMs } = error;
  return JSON.stringify({
    code: CONNECT_CODES[error.grpcStatus] ?? 'unknown',
    message: detail.hint === '' ? detail.message : `${detail.message} (${detail.hint})`,
    details: [
      {
        type: 'causeway.v1.ErrorDetail',
        // Connect's is without padding.
        value: Buffer.from(bytes).toString('base64').replace(/=+$/, ''),
        debug: {
          code,
          message: detail.message,
          ...(detail.hint === '' ? {} : { hint: detail.hint }),
          outcome,
          retriable,
          ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
          ...(detail.detailsJson === undefined ? {} : { details: JSON.parse(detail.detailsJson) as unknown }),
        },
      },
    ],
  });
}

/** Whole seconds, at least one: what HTTP can say. The exact delay stands in the body. */
export function retryAfter(error: CausewayError): Readonly<Record<string, string>> {
  if (!error.retriable) return {};
  return { 'Retry-After': String(Math.max(1, Math.ceil((error.retryAfterMs ?? 0) / 1000))) };
}
