import { describe, expect, test } from 'vitest';
import {
  CausewayError,
  ERROR_CODES,
  EXIT_CODES,
  GRPC_STATUS,
  invariant,
  isCausewayError,
  isErrorCode,
  toCausewayError,
  type ErrorCode,
} from '../../src/errors/errors.ts';

describe('the table of codes', () => {
  const rows = Object.entries(ERROR_CODES);

  test('has exactly the codes that docs and clients know: adding one is deliberate, removing one breaks clients', () => {
    expect(rows.map(([code]) => code).toSorted()).toEqual([
      'CANCELLED',
      'CLOCK_UNSYNCED',
      'CONFIG_INVALID',
      'CONSISTENCY_NOT_REACHED',
      'CORRUPT',
      'CURSOR_INVALID',
      'DEADLINE_EXCEEDED',
      'DRAINING',
      'DURABILITY_NOT_REACHED',
      'FENCED',
      'FORK',
      'HANDSHAKE_REFUSED',
      'IDEMPOTENCY_WINDOW_PASSED',
      'INDETERMINATE',
      'INTERNAL',
      'INVALID_ARGUMENT',
      'KEY_NOT_FOUND',
      'NOT_READY',
      'OVERLOADED',
      'PRECONDITION_FAILED',
      'READ_ONLY',
      'SESSION_AHEAD',
      'SESSION_BEHIND',
      'SESSION_LOST',
      'STORE_AWAY',
      'TOO_LARGE',
      'UNAVAILABLE',
      'UNKNOWN_COLLECTION',
      'WRONG_OPERATION',
    ]);
  });

  test.each(rows)('%s has a gRPC status of an error, an exit code of a failure, and a meaning', (_, facts) => {
    const statuses: readonly number[] = Object.values(GRPC_STATUS);
    const exits: readonly number[] = Object.values(EXIT_CODES);
    expect(statuses).toContain(facts.grpcStatus);
    expect(facts.grpcStatus).not.toBe(GRPC_STATUS.OK);
    expect(exits).toContain(facts.exitCode);
    expect(facts.exitCode).not.toBe(EXIT_CODES.ok);
    expect(facts.meaning).toMatch(/^[A-Z].*\.$/);
  });

  test('its gRPC statuses are those of the gRPC library', async () => {
    const { status } = await import('@grpc/grpc-js');
    for (const [name, value] of Object.entries(GRPC_STATUS)) expect(status).toHaveProperty(name, value);
  });

  test.each(rows)('%s promises no safe retry where a retry may apply the write twice', (_, facts) => {
    // A retriable error with the write already applied here would make every retry a second write.
    if (facts.retriable) expect(facts.outcome).not.toBe('applied-locally');
  });

  test('exit codes are the documented ones', () => {
    expect(EXIT_CODES).toEqual({
      ok: 0,
      internal: 1,
      usage: 2,
      config: 3,
      unavailable: 4,
      notFound: 5,
      precondition: 6,
      findings: 7,
    });
    const exitOf = (code: ErrorCode): number => new CausewayError(code, 'x').exitCode;
    expect(exitOf('INVALID_ARGUMENT')).toBe(2);
    expect(exitOf('CONFIG_INVALID')).toBe(3);
    expect(exitOf('UNAVAILABLE')).toBe(4);
    expect(exitOf('KEY_NOT_FOUND')).toBe(5);
    expect(exitOf('PRECONDITION_FAILED')).toBe(6);
  });
});

describe('CausewayError', () => {
  test('takes retriable and outcome from the table', () => {
    const error = new CausewayError('DURABILITY_NOT_REACHED', 'durable in 1 of 2 regions');
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'CausewayError',
      code: 'DURABILITY_NOT_REACHED',
      message: 'durable in 1 of 2 regions',
      retriable: false,
      outcome: 'applied-locally',
      grpcStatus: GRPC_STATUS.DEADLINE_EXCEEDED,
    });
    expect(error.stack).toContain('errors.test.ts');
  });

  test('lets the place that raises it know better', () => {
    const error = new CausewayError('UNAVAILABLE', 'refused', { outcome: 'not-applied', retriable: false });
    expect(error).toMatchObject({ outcome: 'not-applied', retriable: false });
  });

  test('carries details, hint, delay and cause, and has no such field when not given', () => {
    const cause = new Error('ECONNREFUSED');
    const error = new CausewayError('OVERLOADED', 'queue is full', {
      cause,
      details: { queuedOps: 10_000 },
      hint: 'send less',
      retryAfterMs: 50,
    });
    expect(error).toMatchObject({ cause, details: { queuedOps: 10_000 }, hint: 'send less', retryAfterMs: 50 });
    expect(Object.keys(new CausewayError('INTERNAL', 'x')).toSorted()).toEqual([
      'code',
      'name',
      'outcome',
      'retriable',
    ]);
  });
});

test('isErrorCode knows the codes and nothing that an object merely inherits', () => {
  expect(isErrorCode('FORK')).toBe(true);
  expect(isErrorCode('toString')).toBe(false);
  expect(isErrorCode('A_CODE_OF_A_LATER_VERSION')).toBe(false);
  expect(isErrorCode(7)).toBe(false);
});

test('isCausewayError tells by code', () => {
  const error: unknown = new CausewayError('FENCED', 'epoch 4 is over');
  expect(isCausewayError(error)).toBe(true);
  expect(isCausewayError(error, 'FENCED')).toBe(true);
  expect(isCausewayError(error, 'FORK')).toBe(false);
  expect(isCausewayError(new Error('x'))).toBe(false);
});

test('toCausewayError keeps its own and wraps anything else, whatever was thrown', () => {
  const own = new CausewayError('FORK', 'two histories');
  expect(toCausewayError(own)).toBe(own);
  const foreign = new RangeError('offset');
  expect(toCausewayError(foreign)).toMatchObject({ code: 'INTERNAL', message: 'offset', cause: foreign });
  expect(toCausewayError('a string')).toMatchObject({ code: 'INTERNAL', message: 'a string', cause: 'a string' });
});

test('invariant throws only when broken', () => {
  expect(() => invariant(1, 'fine')).not.toThrow();
  expect(() => invariant(0, 'seq grows')).toThrow('broken invariant: seq grows');
});
