// Every bound of the client listener, what happens at it, and the checks of single fields that all services share.

import { CausewayError } from '../errors/errors.ts';
import { KEY_BYTES_MAX, NAME_PATTERN } from '../record/ids.ts';

const MIB = 1024 * 1024;

export interface ApiLimits {
  /** Ops of one write. Beyond: TOO_LARGE, nothing of it is tried. Default 10,000. */
  readonly opsPerRequestMax: number;
  /** Bytes of one unary request. Beyond: TOO_LARGE. Default 16 MiB. */
  readonly requestBytesMax: number;
  /** Bytes of one message of a WriteStream. Beyond: the stream ends with TOO_LARGE. Default 4 MiB. */
  readonly streamMessageBytesMax: number;
  /** Bytes of requests of one WriteStream that are not answered. Beyond: the stream is not read until half of it is. Default 4 MiB. */
  readonly streamPendingBytesMax: number;
  /** Bytes of requests of all calls that are not answered. Beyond: OVERLOADED with pushback. Default 128 MiB. */
  readonly pendingBytesMax: number;
  /** Keys of one read. Beyond: TOO_LARGE. Default 1000. */
  readonly keysPerReadMax: number;
  /** Bytes of the answer to one read. Beyond: TOO_LARGE, asking for fewer keys. Default 32 MiB. */
  readonly responseBytesMax: number;
  /** Entries of one page of a scan. Beyond: a page has so many. Default 1000. */
  readonly scanPageSizeMax: number;
  /** Bytes of values in one page of a scan. Beyond: the page ends. Default 3 MiB, since gRPC clients take 4 MiB unless told otherwise. */
  readonly scanPageBytesMax: number;
  /** Bytes of values in the answer to one write that wants them. Beyond: those of the later ops are left out. Default 3 MiB. */
  readonly writeValueBytesMax: number;
  /** Bytes of events encoded for one subscriber and not taken by its connection. Beyond: its feed waits. Default 1 MiB. */
  readonly subscriberBufferBytesMax: number;
  /** Subscriptions at once. Beyond: OVERLOADED. Default 1000. */
  readonly subscribersMax: number;
  /** Calls at once of one connection. Beyond: HTTP/2 refuses the stream, which is safe to retry. Default 1000. */
  readonly streamsPerConnectionMax: number;
  /** Bytes that one connection may have sent and we have not read. Beyond: HTTP/2 stops the client. Default 1 MiB. */
  readonly uploadWindowBytes: number;
  /** Memory of one HTTP/2 session, MiB. Beyond: new streams of it are refused. Default 128. */
  readonly sessionMemoryMiB: number;
  /** Bytes of the metadata of one call. Beyond: HTTP/2 refuses it. Default 16 KiB. */
  readonly metadataBytesMax: number;
  /** A connection is asked to go after this long, so that clients spread again. Default 1 h. */
  readonly connectionAgeMs: number;
  /** And cut after this much longer; streams move by then. Default 5 min. */
  readonly connectionAgeGraceMs: number;
  /** A connection without calls goes after this long. Default 30 min. */
  readonly connectionIdleMs: number;
  /** A silent connection is pinged this often. Default 30 s. */
  readonly keepaliveMs: number;
  /** And cut when the ping is not answered for this long. Default 20 s. */
  readonly keepaliveTimeoutMs: number;
}

export const DEFAULT_API_LIMITS: ApiLimits = {
  opsPerRequestMax: 10_000,
  requestBytesMax: 16 * MIB,
  streamMessageBytesMax: 4 * MIB,
  streamPendingBytesMax: 4 * MIB,
  pendingBytesMax: 128 * MIB,
  keysPerReadMax: 1000,
  responseBytesMax: 32 * MIB,
  scanPageSizeMax: 1000,
  scanPageBytesMax: 3 * MIB,
  writeValueBytesMax: 3 * MIB,
  subscriberBufferBytesMax: MIB,
  subscribersMax: 1000,
  streamsPerConnectionMax: 1000,
  uploadWindowBytes: MIB,
  sessionMemoryMiB: 128,
  metadataBytesMax: 16 * 1024,
  connectionAgeMs: 3_600_000,
  connectionAgeGraceMs: 300_000,
  connectionIdleMs: 1_800_000,
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 20_000,
};

/** What grpc-js refuses by itself, without decoding: above requestBytesMax, so that what is a little too large still gets our answer. */
export function transportBytesMax(limits: ApiLimits): number {
  return limits.requestBytesMax + MIB;
}

export const DEADLINE_MS_DEFAULT = 5000;
export const DEADLINE_MS_MAX = 60_000;

/** The request's own deadline, or the call's when that is sooner. */
export function effectiveDeadlineMs(asked: number, callDeadlineMs: number): number {
  const own = asked === 0 ? DEADLINE_MS_DEFAULT : Math.min(asked, DEADLINE_MS_MAX);
  return Math.max(0, Math.min(own, callDeadlineMs));
}

/** What broken UTF-8 decodes to. */
const REPLACEMENT = '\uFFFD';

/** `field`: where it stands in the request; errors name it. */
export function checkKey(key: string, field = 'key'): CausewayError | undefined {
  if (key.length === 0) {
    return new CausewayError('INVALID_ARGUMENT', 'a key has 1 to 1024 bytes of UTF-8; this one is empty', {
      details: { field },
    });
  }
  // Three bytes at most for a UTF-16 unit: short keys need no count.
  if (key.length * 3 > KEY_BYTES_MAX) {
    const bytes = Buffer.byteLength(key);
    if (bytes > KEY_BYTES_MAX) {
      return new CausewayError(
        'TOO_LARGE',
        `a key has at most ${KEY_BYTES_MAX} bytes of UTF-8; this one has ${bytes}`,
        {
          details: { field, limit: KEY_BYTES_MAX, bytes },
        },
      );
    }
  }
  if (key.includes(REPLACEMENT)) {
    return new CausewayError(
      'INVALID_ARGUMENT',
      'a key is well-formed UTF-8 without U+FFFD, which broken UTF-8 decodes to',
      { details: { field } },
    );
  }
  return undefined;
}

export function checkName(what: string, name: string): CausewayError | undefined {
  if (NAME_PATTERN.test(name)) return undefined;
  const shown = name.length > 80 ? `${name.slice(0, 80)}…` : name;
  return new CausewayError(
    'INVALID_ARGUMENT',
    name === ''
      ? `the request names no ${what}`
      : `a ${what} has 1 to 64 of a-z, A-Z, 0-9, '_', '.' and '-', not beginning with or ending in '.' or '-'; got '${shown}'`,
    { details: { field: what } },
  );
}

export function tooLarge(what: string, unit: string, limit: number, came: number, hint?: string): CausewayError {
  return new CausewayError('TOO_LARGE', `${what} has at most ${limit} ${unit}; this one has ${came}`, {
    // Lists of a request are named in it as they are counted.
    details: { limit, came, ...(unit === 'keys' || unit === 'collections' ? { field: unit } : {}) },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Of a bounded read: an hour. Beyond, a local read says as much. */
export const MAX_STALE_MS_MAX = 3_600_000;
