// What a request may say beside its path and body: query parameters and headers, each with its check. A parameter that the route does not know is
// refused: a misspelt `consistency` must not quietly become a weaker read.

import { CausewayError } from '../../errors/errors.ts';
import type { Consistency, Durability, FeedStart, SessionToken } from '../../region/region.ts';
import { IDEMPOTENCY_KEY_BYTES_MAX, type Idempotency } from '../../record/op.ts';
import { nearest } from '../catalog.ts';
import { DEADLINE_MS_MAX, effectiveDeadlineMs, MAX_STALE_MS_MAX } from '../limits.ts';
import { cursorFromText, sessionFromText } from '../tokens.ts';
import type { Exchange } from './exchange.ts';

/** Decoded; each name with its values in their order. */
export type Query = ReadonlyMap<string, readonly string[]>;

/** Those that also have a header, for who cannot change the URL. */
const HEADER_OF: Readonly<Record<string, string>> = {
  consistency: 'Causeway-Consistency',
  maxStaleMs: 'Causeway-Max-Stale-Ms',
  deadlineMs: 'Causeway-Deadline-Ms',
  allowStale: 'Causeway-Allow-Stale',
  durability: 'Causeway-Durability',
};

export const SESSION_HEADER = 'Causeway-Session';
const ISSUED_HEADER = 'Causeway-Issued-At-Ms';
const QUERY_PARAMETERS_MAX = 2000;
const CACHE_SECONDS_MAX = 86_400;
const TTL_MS_MAX = 100 * 366 * 86_400_000;

/** Throws CausewayError INVALID_ARGUMENT, TOO_LARGE. */
export function parseQuery(text: string): Query {
  const query = new Map<string, string[]>();
  if (text === '') return query;
  const parts = text.split('&', QUERY_PARAMETERS_MAX + 1);
  if (parts.length > QUERY_PARAMETERS_MAX) {
    throw new CausewayError('TOO_LARGE', `a query has at most ${QUERY_PARAMETERS_MAX} parameters; this one has more`);
  }
  for (const part of parts) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = percentDecoded(equals === -1 ? part : part.slice(0, equals), true);
    const value = equals === -1 ? '' : percentDecoded(part.slice(equals + 1), true);
    const values = query.get(name);
    if (values === undefined) query.set(name, [value]);
    else values.push(value);
  }
  return query;
}

/** Throws CausewayError INVALID_ARGUMENT. `plus`: in a query, + is a space. */
export function percentDecoded(text: string, plus = false): string {
  try {
    return decodeURIComponent(plus ? text.replaceAll('+', ' ') : text);
  } catch (error) {
    throw new CausewayError('INVALID_ARGUMENT', `'${text.slice(0, 100)}' is not percent-encoded UTF-8`, {
      hint: 'a % is written as %25, and every byte of UTF-8 as % and two hex digits',
      cause: error,
    });
  }
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function checkKnown(query: Query, known: readonly string[]): void {
  for (const name of query.keys()) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    throw new CausewayError('INVALID_ARGUMENT', `there is no query parameter '${name.slice(0, 80)}' here`, {
      hint:
        near.length > 0
          ? `did you mean ${near.map((one) => `'${one}'`).join(' or ')}?`
          : known.length === 0
            ? 'this one takes none'
            : `there are: ${known.join(', ')}`,
    });
  }
}

/** The typed view of one request's parameters. Each method throws CausewayError INVALID_ARGUMENT for what it cannot read. */
export class Parameters {
  readonly query: Query;
  readonly #exchange: Exchange;

  constructor(exchange: Exchange, query: Query) {
    this.#exchange = exchange;
    this.query = query;
  }

  has(name: string): boolean {
    return this.query.has(name);
  }

  /** From the query or its header; both at once only when they agree. */
  one(name: string): string | undefined {
    const values = this.query.get(name) ?? [];
    if (values.length > 1) throw invalid(`${name} stands ${values.length} times in the query; expected once`);
    const header = HEADER_OF[name];
    const fromHeader = header === undefined ? undefined : this.#exchange.header(header);
    if (fromHeader !== undefined && values[0] !== undefined && fromHeader !== values[0]) {
      throw invalid(`${name} is '${values[0]}' in the query and '${fromHeader}' in the header ${header}`);
    }
    return values[0] ?? fromHeader;
  }

  all(name: string): readonly string[] {
    return this.query.get(name) ?? [];
  }

  whole(name: string, min: number, max: number): number | undefined {
    const text = this.one(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    if (value < min || value > max)
      throw invalid(`${name} is a whole number from ${min} to ${max}; got '${text.slice(0, 80)}'`);
    return value;
  }

  /** `?name`, `?name=true`, `?name=false`. */
  flag(name: string): boolean {
    const text = this.one(name);
    if (text === undefined || text === 'false') return false;
    if (text === '' || text === 'true') return true;
    throw invalid(`${name} is true or false; got '${text.slice(0, 80)}'`);
  }

  deadlineMs(): number {
    return effectiveDeadlineMs(this.whole('deadlineMs', 1, DEADLINE_MS_MAX) ?? 0, Infinity);
  }

  session(): SessionToken | undefined {
    const text = this.#exchange.header(SESSION_HEADER);
    return text === undefined ? undefined : sessionFromText(text, this.#exchange.env.clusterId);
  }

  /** Who sends a session wants to read what it has seen; who wants less says so. */
  consistency(session: SessionToken | undefined): Consistency {
    const kind = this.one('consistency') ?? (session === undefined ? 'local' : 'causal');
    const allowStale = this.flag('allowStale');
    const maxStaleMs = this.whole('maxStaleMs', 1, MAX_STALE_MS_MAX);
    if (maxStaleMs !== undefined && kind !== 'bounded') {
      throw invalid(`maxStaleMs is for consistency=bounded; this read is ${kind.slice(0, 80)}`);
    }
    if (kind === 'local' || kind === 'stable') return { kind };
    if (kind === 'bounded') {
      if (maxStaleMs === undefined) {
        throw invalid(`a bounded read needs maxStaleMs, a whole number from 1 to ${MAX_STALE_MS_MAX}`);
      }
      return { kind, maxStaleMs };
    }
    if (kind !== 'causal') {
      throw invalid(`consistency is local, causal, bounded or stable; got '${kind.slice(0, 80)}'`);
    }
    if (session === undefined) {
      throw new CausewayError('INVALID_ARGUMENT', 'a causal read needs a session', {
        hint: `send the header ${SESSION_HEADER} of an earlier answer`,
      });
    }
    return { kind: 'causal', session, allowStale };
  }

  durability(): Durability {
    const text = this.one('durability') ?? 'local';
    if (text === 'local' || text === 'applied') return { kind: text };
    const [, n] = /^regions:([1-9]\d{0,2})$/.exec(text) ?? [];
    if (n === undefined) throw invalid(`durability is local, applied, or regions:N; got '${text.slice(0, 80)}'`);
    return { kind: 'regions', n: Number(n) };
  }

  /** Unix ms, by this node's clock. */
  expiresAtMs(): number | undefined {
    const ttlMs = this.whole('ttlMs', 1, TTL_MS_MAX);
    return ttlMs === undefined ? undefined : this.#exchange.env.system.clock.nowMs() + ttlMs;
  }

  cacheSeconds(): number {
    return this.whole('maxAge', 0, CACHE_SECONDS_MAX) ?? this.#exchange.env.cacheSeconds;
  }

  /**
   * The key as it is, or as a quoted string (draft-ietf-httpapi-idempotency-key-header), with the time of the first try: what the node no longer
   * remembers is judged by that, so it is the caller's to keep.
   */
  idempotency(): { readonly idempotency?: Idempotency; readonly issuedAtMs?: number } {
    const text = this.#exchange.header('Idempotency-Key');
    const issued = this.#exchange.header(ISSUED_HEADER);
    if (issued !== undefined && !/^[1-9]\d{0,14}$/.test(issued)) {
      throw invalid(`${ISSUED_HEADER} is in Unix ms; got '${issued.slice(0, 80)}'`);
    }
    const issuedAtMs = issued === undefined ? {} : { issuedAtMs: Number(issued) };
    if (text === undefined) return issuedAtMs;
    const key = text.replace(/^"(.*)"$/, '$1');
    if (key === '' || key.length > IDEMPOTENCY_KEY_BYTES_MAX || !/^[\x20-\x7e]+$/.test(key)) {
      throw invalid(
        `Idempotency-Key has 1 to ${IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters; got ${key.length}`,
      );
    }
    if (issued === undefined) {
      throw new CausewayError(
        'INVALID_ARGUMENT',
        `Idempotency-Key needs ${ISSUED_HEADER}: when it was first tried, in Unix ms`,
        {
          hint: 'take the time once and send the same in retries: what is no longer remembered is judged by it',
        },
      );
    }
    return { idempotency: { kind: 'key', key }, ...issuedAtMs };
  }

  /** W3C trace context as the record has it; one that is malformed counts as absent, as its standard asks. */
  trace(): Uint8Array | undefined {
    const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(
      this.#exchange.header('traceparent') ?? '',
    );
    return match === null ? undefined : Buffer.from(`${match[1]}${match[2]}${match[3]}`, 'hex');
  }

  /**
   * Where a watch begins. Last-Event-ID first: a browser that reconnects sends it to the URL that it began with. Throws also
   * CURSOR_INVALID.
   */
  feedStart(namespace: string): FeedStart {
    const cursor = this.#exchange.header('Last-Event-ID') ?? this.one('cursor');
    if (cursor !== undefined && cursor !== '') {
      return { kind: 'cursor', cursor: cursorFromText(cursor, namespace, this.#exchange.env.clusterId) };
    }
    const unixMs = this.fromMs();
    if (unixMs !== undefined) return { kind: 'time', unixMs };
    return { kind: this.one('from') === 'beginning' ? 'beginning' : 'now' };
  }

  /** `from` when it is a time. */
  fromMs(): number | undefined {
    const text = this.one('from');
    if (text === undefined || text === 'now' || text === 'beginning') return undefined;
    const unixMs = /^\d{1,15}$/.test(text) ? Number(text) : /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN;
    if (Number.isSafeInteger(unixMs)) return unixMs;
    throw invalid(
      `from is now, beginning, Unix ms, or a date such as 2026-01-31T12:00:00Z; got '${text.slice(0, 80)}'`,
    );
  }

  /** `value`: also the key's merged value. */
  feedForm(): 'op' | 'value' {
    const text = this.one('form') ?? 'value';
    if (text === 'op' || text === 'value') return text;
    throw invalid(`form is value or op; got '${text.slice(0, 80)}'`);
  }
}

function invalid(message: string): CausewayError {
  return new CausewayError('INVALID_ARGUMENT', message);
}
