// Both halves of an error's journey: src/api/status.ts and src/client/status.ts.

import { Metadata, status as Status, type ServiceError } from '@grpc/grpc-js';
import type { IncomingHttpHeaders } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { checkKey, checkName } from '../../src/api/limits.ts';
import { toStatus } from '../../src/api/status.ts';
import { fromServiceError, saidByNode } from '../../src/client/status.ts';
import { decodeRpcStatus, encodeRpcStatus } from '../../src/proto/google-rpc.ts';
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

describe('google.rpc details, for libraries that know nothing of ours', () => {
  const details = (error: CausewayError) => {
    const wire = overTheWire(error);
    return { wire, ...decodeRpcStatus(wire.metadata.get('grpc-status-details-bin')[0] as Buffer) };
  };

  test.each(CODES)('%s: the reason, the domain and what became of a write', (code) => {
    const { wire, ...status } = details(new CausewayError(code, 'what came', { details: { limit: 5, list: ['a'] } }));
    const { grpcStatus, outcome, retriable } = ERROR_CODES[code];
    expect(status).toEqual({
      code: grpcStatus,
      // Libraries compare it with the status text, and refuse details that differ.
      message: wire.details,
      errorInfo: {
        reason: code,
        domain: 'causeway',
        metadata: { outcome, retriable: String(retriable), limit: '5' },
      },
    });
    expect(code).toMatch(/^[A-Z][A-Z0-9_]{1,62}$/);
  });

  test('when to try again, and only for what may be tried again', () => {
    expect(details(new CausewayError('OVERLOADED', 'x', { retryAfterMs: 1250 })).retryDelayMs).toBe(1250);
    expect(details(new CausewayError('OVERLOADED', 'x')).retryDelayMs).toBeUndefined();
    expect(details(new CausewayError('INTERNAL', 'x', { retryAfterMs: 1250 })).retryDelayMs).toBeUndefined();
  });

  test('pushback: when, never, or as the client likes', () => {
    const pushback = (error: CausewayError): unknown[] => overTheWire(error).metadata.get('grpc-retry-pushback-ms');
    expect(pushback(new CausewayError('OVERLOADED', 'x', { retryAfterMs: 49.6 }))).toEqual(['50']);
    expect(pushback(new CausewayError('NOT_READY', 'x'))).toEqual([]);
    expect(pushback(new CausewayError('INTERNAL', 'x'))).toEqual(['-1']);
  });

  test('which field of the request is at fault', () => {
    const raised = checkName('namespace', '-x')!;
    expect(details(raised).fieldViolations).toEqual([{ field: 'namespace', description: raised.message }]);
    expect(details(checkKey('', 'keys')!).fieldViolations).toMatchObject([{ field: 'keys' }]);
    expect(details(new CausewayError('INVALID_ARGUMENT', 'x')).fieldViolations).toBeUndefined();
  });

  test('are read where ours got lost on the way', () => {
    const raised = new CausewayError('OVERLOADED', 'too much', {
      hint: 'wait',
      retryAfterMs: 50,
      details: { limit: 5 },
    });
    const { wire } = details(raised);
    wire.metadata.remove('causeway-error-bin');
    expect(fromServiceError(wire, 'host:1')).toMatchObject({
      code: 'OVERLOADED',
      message: 'OVERLOADED: too much (wait)',
      outcome: 'not-applied',
      retriable: true,
      hint: 'wait',
      retryAfterMs: 50,
      details: { limit: '5' },
    });
    // Nor are those of others taken for ours.
    wire.metadata.set(
      'grpc-status-details-bin',
      encodeRpcStatus({
        code: 14,
        message: 'x',
        errorInfo: { reason: 'OVERLOADED', domain: 'example.net', metadata: {} },
      }),
    );
    wire.code = Status.UNAVAILABLE;
    expect(fromServiceError(wire, 'host:1')).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' });
    wire.metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff]));
    expect(fromServiceError(wire, 'host:1').code).toBe('UNAVAILABLE');
  });

  test('fit into trailers whatever the text', () => {
    for (const letter of ['m', 'ü', '猫', '🚀']) {
      const wire = overTheWire(
        new CausewayError('CONFIG_INVALID', letter.repeat(50_000), {
          hint: letter.repeat(50_000),
          details: { one: letter.repeat(900), field: 'x', two: letter.repeat(300) },
        }),
      );
      const { metadata, details: text } = wire;
      expect(text).not.toContain('\uFFFD');
      const bytes = JSON.stringify(metadata.toHttp2Headers()).length + encodeURIComponent(text).length;
      expect(bytes).toBeLessThan(15 * 1024);
      expect(fromServiceError(wire, 'host:1').code).toBe('CONFIG_INVALID');
    }
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
