// Everything that Causeway refuses or fails with.
// Owns: the error codes, what each means to a caller, and how each maps to a gRPC status and to an exit code of the CLI.
// Foreign errors (grpc-js, lmdb, the file system) are converted to these once, in the adapter that meets them.
// Callers branch on `code`, `retriable` and `outcome`, never on the message.

/** Every code, in the order of docs/PROTOCOL.md. On the wire it is the `reason` of google.rpc.ErrorInfo: never rename one. */
export type ErrorCode =
  // The request is at fault: the same request fails again.
  | 'INVALID_ARGUMENT'
  | 'UNKNOWN_COLLECTION'
  | 'KEY_NOT_FOUND'
  | 'WRONG_OPERATION'
  | 'TOO_LARGE'
  | 'PRECONDITION_FAILED'
  | 'IDEMPOTENCY_WINDOW_PASSED'
  | 'CURSOR_INVALID'
  // The node cannot take it now.
  | 'OVERLOADED'
  | 'UNAVAILABLE'
  | 'READ_ONLY'
  | 'CLOCK_UNSYNCED'
  | 'NOT_READY'
  | 'STORE_AWAY'
  | 'DRAINING'
  | 'FENCED'
  // Time ran out, or the answer is not known.
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  | 'INDETERMINATE'
  | 'DURABILITY_NOT_REACHED'
  // Sessions and levels of consistency.
  | 'SESSION_BEHIND'
  | 'SESSION_LOST'
  | 'SESSION_AHEAD'
  | 'CONSISTENCY_NOT_REACHED'
  // Peers, configuration, data.
  | 'HANDSHAKE_REFUSED'
  | 'CONFIG_INVALID'
  | 'CORRUPT'
  | 'FORK'
  | 'INTERNAL';

/**
 * What became of a write when the error was raised.
 * - `not-applied`: it is certain that nothing was written; sending it again cannot apply it twice.
 * - `applied-locally`: this region has it durably and will replicate it; something asked for on top was not reached.
 * - `unknown`: it may or may not have been written. Send it again only with the same idempotency key.
 */
export type Outcome = 'not-applied' | 'applied-locally' | 'unknown';

/** Exit codes of the CLI. */
export const EXIT_CODES = {
  ok: 0,
  internal: 1,
  usage: 2,
  config: 3,
  unavailable: 4,
  notFound: 5,
  precondition: 6,
  findings: 7,
} as const;

/** The gRPC status codes (https://grpc.io/docs/guides/status-codes), here so that this file needs no library. */
export const GRPC_STATUS = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export interface ErrorCodeFacts {
  readonly grpcStatus: number;
  /** Whether the same request may succeed later, here or in another region, with nothing changed about it. */
  readonly retriable: boolean;
  /** What became of a write, unless the place that raises the error knows better. */
  readonly outcome: Outcome;
  readonly exitCode: number;
  /** One sentence for a person. */
  readonly meaning: string;
}

export const ERROR_CODES: Readonly<Record<ErrorCode, ErrorCodeFacts>> = {
  INVALID_ARGUMENT: {
    grpcStatus: GRPC_STATUS.INVALID_ARGUMENT,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.usage,
    meaning: 'The request itself is malformed.',
  },
  UNKNOWN_COLLECTION: {
    grpcStatus: GRPC_STATUS.NOT_FOUND,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.usage,
    meaning: 'There is no collection of this name, as far as the region knows.',
  },
  KEY_NOT_FOUND: {
    grpcStatus: GRPC_STATUS.NOT_FOUND,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.notFound,
    meaning: 'The key has no value in this region.',
  },
  WRONG_OPERATION: {
    grpcStatus: GRPC_STATUS.INVALID_ARGUMENT,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.usage,
    meaning: "The collection's merge type does not take this operation.",
  },
  TOO_LARGE: {
    grpcStatus: GRPC_STATUS.INVALID_ARGUMENT,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.usage,
    meaning: 'A key, value, batch or request is above its limit.',
  },
  PRECONDITION_FAILED: {
    // FAILED_PRECONDITION and not ABORTED: ABORTED invites libraries to retry, and the same condition would fail again.
    grpcStatus: GRPC_STATUS.FAILED_PRECONDITION,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.precondition,
    meaning: 'A condition on the write (compare-and-set, create-if-absent) does not hold in this region.',
  },
  IDEMPOTENCY_WINDOW_PASSED: {
    // What became of the first attempt is no longer on record, hence unknown.
    grpcStatus: GRPC_STATUS.FAILED_PRECONDITION,
    retriable: false,
    outcome: 'unknown',
    exitCode: EXIT_CODES.precondition,
    meaning: 'The idempotency key is too old to tell whether it was applied.',
  },
  CURSOR_INVALID: {
    grpcStatus: GRPC_STATUS.OUT_OF_RANGE,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.precondition,
    meaning: 'The cursor is malformed, foreign, or points at history that is gone.',
  },
  OVERLOADED: {
    grpcStatus: GRPC_STATUS.RESOURCE_EXHAUSTED,
    retriable: true,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'The node sheds load; try again after the delay it names.',
  },
  UNAVAILABLE: {
    // A connection that breaks after the request was sent says nothing about the write; the caller that knows
    // that the request never left says so.
    grpcStatus: GRPC_STATUS.UNAVAILABLE,
    retriable: true,
    outcome: 'unknown',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'The node cannot be reached, or the connection broke.',
  },
  READ_ONLY: {
    grpcStatus: GRPC_STATUS.UNAVAILABLE,
    retriable: true,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'The node takes no writes: its disk is full or its log has failed. Reads go on.',
  },
  CLOCK_UNSYNCED: {
    grpcStatus: GRPC_STATUS.UNAVAILABLE,
    retriable: true,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.unavailable,
    meaning: "The node's clock is too far from its peers' to stamp writes.",
  },
  NOT_READY: {
    grpcStatus: GRPC_STATUS.UNAVAILABLE,
    retriable: true,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'The node is still starting or recovering.',
  },
  STORE_AWAY: {
    grpcStatus: GRPC_STATUS.UNAVAILABLE,
    retriable: true,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'The store does not answer, and what was asked for is not in memory. Other keys go on.',
  },
  DRAINING: {
    grpcStatus: GRPC_STATUS.UNAVAILABLE,
    retriable: true,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'The node is shutting down and takes nothing new.',
  },
  FENCED: {
    // A deposed owner cannot know whether its last appends were kept.
    grpcStatus: GRPC_STATUS.UNAVAILABLE,
    retriable: true,
    outcome: 'unknown',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'Another node of the region has taken over the shard.',
  },
  DEADLINE_EXCEEDED: {
    grpcStatus: GRPC_STATUS.DEADLINE_EXCEEDED,
    retriable: true,
    outcome: 'unknown',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'The deadline passed before the answer.',
  },
  CANCELLED: {
    grpcStatus: GRPC_STATUS.CANCELLED,
    retriable: false,
    outcome: 'unknown',
    exitCode: EXIT_CODES.internal,
    meaning: 'The caller gave up.',
  },
  INDETERMINATE: {
    // Retriable with the same idempotency key, which finds the first attempt if it was applied.
    grpcStatus: GRPC_STATUS.UNKNOWN,
    retriable: true,
    outcome: 'unknown',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'The write may or may not have been applied.',
  },
  DURABILITY_NOT_REACHED: {
    // Retrying would write again what is already durable here and on its way.
    grpcStatus: GRPC_STATUS.DEADLINE_EXCEEDED,
    retriable: false,
    outcome: 'applied-locally',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'The write is durable, but in fewer regions than asked for by the deadline.',
  },
  SESSION_BEHIND: {
    grpcStatus: GRPC_STATUS.UNAVAILABLE,
    retriable: true,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'By the deadline this region had not applied what the session has already seen.',
  },
  SESSION_LOST: {
    grpcStatus: GRPC_STATUS.FAILED_PRECONDITION,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.precondition,
    meaning: 'The session has seen writes that no region has any more; start a new session.',
  },
  SESSION_AHEAD: {
    // Another region's clock says the same, and only time or a new session helps: trying elsewhere is no use.
    grpcStatus: GRPC_STATUS.FAILED_PRECONDITION,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.precondition,
    meaning: 'The session has seen a write that is stamped too far in the future; start a new session.',
  },
  CONSISTENCY_NOT_REACHED: {
    grpcStatus: GRPC_STATUS.UNAVAILABLE,
    retriable: true,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.unavailable,
    meaning: 'By the deadline this region could not answer as fresh, or as of one cut, as the read asked for.',
  },
  HANDSHAKE_REFUSED: {
    grpcStatus: GRPC_STATUS.FAILED_PRECONDITION,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.config,
    meaning: 'Two nodes do not agree on what they must agree on before they replicate; details.reason names it.',
  },
  CONFIG_INVALID: {
    grpcStatus: GRPC_STATUS.FAILED_PRECONDITION,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.config,
    meaning: 'The configuration has mistakes, all of which the message lists.',
  },
  CORRUPT: {
    grpcStatus: GRPC_STATUS.DATA_LOSS,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.internal,
    meaning: 'Bytes on disk or from a peer fail their checksum or cannot be decoded.',
  },
  FORK: {
    grpcStatus: GRPC_STATUS.DATA_LOSS,
    retriable: false,
    outcome: 'not-applied',
    exitCode: EXIT_CODES.internal,
    meaning: 'One origin has two different histories; its shard is quarantined.',
  },
  INTERNAL: {
    grpcStatus: GRPC_STATUS.INTERNAL,
    retriable: false,
    outcome: 'unknown',
    exitCode: EXIT_CODES.internal,
    meaning: 'A mistake in Causeway.',
  },
};

export interface CausewayErrorOptions {
  /** Where the place that raises it knows better than the table. */
  readonly retriable?: boolean;
  readonly outcome?: Outcome;
  /** Facts for programs, such as a limit and what came. Sent to callers: nothing secret, no values of users. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** What a person can do about it. */
  readonly hint?: string;
  /** With a retriable error: not before this many milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** A message says what was expected and what came; `hint` says what to do. */
export class CausewayError extends Error {
  override readonly name = 'CausewayError';
  readonly code: ErrorCode;
  readonly retriable: boolean;
  readonly outcome: Outcome;
  // Declared only: a field that is not given must not exist, or every logged error carries empty ones.
  declare readonly details?: Readonly<Record<string, unknown>>;
  declare readonly hint?: string;
  declare readonly retryAfterMs?: number;

  constructor(code: ErrorCode, message: string, options: CausewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const facts = ERROR_CODES[code];
    this.code = code;
    this.retriable = options.retriable ?? facts.retriable;
    this.outcome = options.outcome ?? facts.outcome;
    if (options.details !== undefined) this.details = options.details;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
  }

  get grpcStatus(): number {
    return ERROR_CODES[this.code].grpcStatus;
  }

  get exitCode(): number {
    return ERROR_CODES[this.code].exitCode;
  }
}

/** Whether a string from the wire is a code that this version knows. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}

export function isCausewayError(value: unknown, code?: ErrorCode): value is CausewayError {
  return value instanceof CausewayError && (code === undefined || value.code === code);
}

/**
 * Anything thrown, as a CausewayError: itself when it is one, else INTERNAL with the original as its cause. For the
 * outermost shell only; an adapter that knows what its library throws converts to a better code.
 */
export function toCausewayError(thrown: unknown): CausewayError {
  if (thrown instanceof CausewayError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new CausewayError('INTERNAL', message, { cause: thrown });
}

/** An invariant that must hold whatever callers and peers do. On in production: going on would spread the damage. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new CausewayError('INTERNAL', `broken invariant: ${message}`);
}
