// Both halves of an error's journey: src/api/status.ts and src/client/status.ts.

import { Metadata, status as Status, type ServiceError } from '@grpc/grpc-js';
import type { IncomingHttpHeaders } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { toStatus } from '../../src/api/status.ts';
import { fromServiceError, saidByNode } from '../../src/client/status.ts';
import { CausewayError, ERROR_CODES, type ErrorCode } from '../../src/errors/errors.ts';

const CODES = Object.keys(ERROR_CODES) as ErrorCode[];

function overTheWire(error: CausewayError): ServiceError {
  const { code, details, metadata } = toStatus(error);
  // As headers do it: through their text form.
  const received = Metadata.fromHttp2Headers(metadata.toHttp2Headers() as IncomingHttpHeaders);
  return Object.assign(new Error(details), { code, details, metadata: received });
}

describe('an error arrives as it was raised', () => {
  test.each(CODES)('%s', (code) => {
    const raised = new CausewayError(code, 'what was expected and what came', {
      hint: 'what to do',
      details: { limit: 5, big: 7n, list: ['a'] },
      retryAfterMs: 120,
    });
    const wire = overTheWire(raised);
    expect(wire.code).toBe(ERROR_CODES[code].grpcStatus);
    expect(saidByNode(wire)).toBe(true);
    const arrived = fromServiceError(wire, 'host:1');
    expect(arrived).toMatchObject({
      code,
      message: raised.message,
      retriable: raised.retriable,
      outcome: raised.outcome,
      hint: 'what to do',
      retryAfterMs: 120,
      details: { limit: 5, big: '7', list: ['a'] },
    });
  });

  test.each(['not-applied', 'applied-locally', 'unknown'] as const)('with outcome %s', (outcome) => {
    const raised = new CausewayError('UNAVAILABLE', 'x', { outcome, retriable: false });
    expect(fromServiceError(overTheWire(raised), 'host:1')).toMatchObject({ outcome, retriable: false });
  });

  test('without what it does not have', () => {
    const arrived = fromServiceError(overTheWire(new CausewayError('KEY_NOT_FOUND', 'x')), 'host:1');
    expect(Object.keys(arrived).toSorted()).toEqual(['code', 'name', 'outcome', 'retriable']);
  });

  test('cut down to what trailers hold', () => {
    const raised = new CausewayError('CONFIG_INVALID', 'm'.repeat(100_000), { details: { much: 'd'.repeat(100_000) } });
    const wire = overTheWire(raised);
    const bytes = JSON.stringify(wire.metadata.toHttp2Headers()).length + wire.details.length;
    expect(bytes).toBeLessThan(12 * 1024);
    expect(fromServiceError(wire, 'host:1').details).toBeUndefined();
  });
});

test('a code of a newer node keeps its text, its outcome and whether it may be retried', () => {
  const wire = overTheWire(new CausewayError('OVERLOADED', 'x'));
  const newer = overTheWire(new CausewayError('OVERLOADED', 'x'));
  const packed = wire.metadata.get('causeway-error-bin')[0] as Buffer;
  newer.metadata.set(
    'causeway-error-bin',
    Buffer.from(packed.toString('latin1').replace('OVERLOADED', 'TOO_CLOUDY'), 'latin1'),
  );
  expect(fromServiceError(newer, 'host:1')).toMatchObject({
    code: 'OVERLOADED',
    message: 'TOO_CLOUDY: x',
    retriable: true,
    outcome: 'not-applied',
  });
});

describe('what no node said', () => {
  const bare = (code: number, details: string): ServiceError =>
    Object.assign(new Error(details), { code, details, metadata: new Metadata() });

  test.each([
    [Status.UNAVAILABLE, 'No connection established. Last error: connect ECONNREFUSED', 'UNAVAILABLE', 'not-applied'],
    [Status.UNAVAILABLE, 'Connection dropped', 'UNAVAILABLE', 'unknown'],
    [Status.INTERNAL, 'Received RST_STREAM with code 2 (Internal server error)', 'UNAVAILABLE', 'unknown'],
    [Status.DEADLINE_EXCEEDED, 'Deadline exceeded', 'DEADLINE_EXCEEDED', 'unknown'],
    [Status.CANCELLED, 'Cancelled on client', 'CANCELLED', 'unknown'],
    [Status.CANCELLED, 'Call cancelled', 'UNAVAILABLE', 'unknown'],
    [Status.RESOURCE_EXHAUSTED, 'Received message larger than max (20 vs 17)', 'TOO_LARGE', 'not-applied'],
    [Status.RESOURCE_EXHAUSTED, 'Bandwidth exhausted', 'OVERLOADED', 'not-applied'],
    [Status.UNIMPLEMENTED, 'The server does not implement the method', 'INVALID_ARGUMENT', 'not-applied'],
    [Status.INTERNAL, 'something else', 'INTERNAL', 'unknown'],
  ] as const)('%d %s is %s, %s', (code, details, expected, outcome) => {
    expect(fromServiceError(bare(code, details), 'host:1')).toMatchObject({ code: expected, outcome });
  });

  test('broken details fall back to the status', () => {
    const error = bare(Status.UNAVAILABLE, 'x');
    error.metadata.set('causeway-error-bin', Buffer.from([0xff, 0xff]));
    expect(fromServiceError(error, 'host:1').code).toBe('UNAVAILABLE');
  });
});
