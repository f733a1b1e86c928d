// One request and its answer.
// Owns: reading a body within its bound, answering exactly once, and counting what both hold in memory in the node's Load, until the
// connection has taken the answer (I12).

import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { CausewayError, toCausewayError } from '../../errors/errors.ts';
import { HTTP_METHOD, HTTP_ROUTE } from '../../tracing/attributes.ts';
import type { IncomingOp, IngestSpans } from '../../tracing/ingest.ts';
import type { ServiceEnv } from '../env.ts';
import type { IncomingCall } from '../identity.ts';
import { tooLarge } from '../limits.ts';
import { methodLabel } from '../signals.ts';
import { errorJson, HTTP_STATUS, HttpError, retryAfter, unsupportedMedia } from './errors.ts';
import type { HttpLimits } from './limits.ts';
import type { PageSources } from './page/sources.ts';

export interface HttpEnv extends ServiceEnv {
  readonly http: HttpLimits;
  /** For how long caches may answer a read by themselves when the reader does not say, seconds. */
  readonly cacheSeconds: number;
  /** undefined: the page has nothing to show here. */
  readonly page: PageSources | undefined;
}

/** What a path names; '' where it does not go so far. */
export interface Target {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
  /** Of the page. */
  readonly file?: string;
}

export type Headers = Readonly<Record<string, string>>;

/** What a request costs beside its bytes; also what makes a drain wait for those without any. */
const OVERHEAD_BYTES = 256;
/** After an early refusal: how much more of the body is taken, and for how long, so that the sender gets to read why. */
const DISCARDED_BYTES_MAX = 16 * 1024 * 1024;
const DISCARD_MS_MAX = 2000;

export class Exchange implements IncomingCall {
  readonly env: HttpEnv;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client waits for `100 Continue` before it sends the body. */
  #expectsContinue: boolean;
  #heldBytes = 0;
  #answered = false;
  /** Pattern of the route that was found; its path has keys in it. */
  route = 'none';
  #streams = false;
  /** By the monotonic clock. */
  readonly #beganMs: number;

  constructor(env: HttpEnv, request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) {
    this.env = env;
    this.request = request;
    this.response = response;
    this.#expectsContinue = expectsContinue;
    this.#hold(OVERHEAD_BYTES);
    const { clock } = env.system;
    this.#beganMs = clock.monotonicMs();
    env.signals.httpBegan();
    response.once('close', () => {
      // Who went away before an answer is counted as 499, as gateways do.
      const status = response.headersSent ? response.statusCode : 499;
      const tookMs = this.#streams ? undefined : clock.monotonicMs() - this.#beganMs;
      env.signals.httpEnded(this.route, methodLabel(request.method), status, tookMs);
      this.#answered = true;
      env.load.release(this.#heldBytes);
      this.#heldBytes = 0;
    });
    // A client that goes away in mid-body; `close` follows.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
  }

  /** Answered, or nobody is there to be answered. */
  get answered(): boolean {
    return this.#answered;
  }

  getPeer(): string {
    const { remoteAddress = 'unknown', remotePort = 0 } = this.request.socket;
    return `${remoteAddress}:${remotePort}`;
  }

  /** As grpc-js: only a certificate that the listener's CA has signed says who somebody is. */
  getAuthContext(): ReturnType<IncomingCall['getAuthContext']> {
    const { socket } = this.request;
    return socket instanceof TLSSocket && socket.authorized ? { sslPeerCertificate: socket.getPeerCertificate() } : {};
  }

  /** One header, joined as HTTP joins it; undefined when it is absent. */
  header(name: string): string | undefined {
    const value = this.request.headers[name.toLowerCase()];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /** The media type without its parameters, in lower case; '' when absent. */
  get contentType(): string {
    return (this.header('content-type')?.split(';')[0] ?? '').trim().toLowerCase();
  }

  /**
   * The whole body. What is wrong with it, and what `done` throws, is answered here. Throws CausewayError TOO_LARGE (declared above
   * the bound), OVERLOADED; HttpError 415 for an encoded body.
   */
  readBody(bytesMax: number, what: string, hint: string, done: (body: Buffer) => void): void {
    const { request } = this;
    const encoding = this.header('content-encoding') ?? 'identity';
    if (encoding !== 'identity') {
      throw unsupportedMedia(
        `a body is sent as it is; this one is encoded as '${encoding}'`,
        'send it without Content-Encoding',
      );
    }
    const declared = Number(this.header('content-length') ?? 0);
    if (declared > bytesMax) throw tooLarge(what, 'bytes', bytesMax, declared, hint);
    if (this.#expectsContinue) this.response.writeContinue();
    this.#expectsContinue = false;
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      if (this.#answered) return;
      bytes += chunk.length;
      const refusal =
        bytes > bytesMax ? tooLarge(what, 'bytes', bytesMax, bytes, hint) : this.env.load.refusal(chunk.length);
      if (refusal === undefined) {
        this.#hold(chunk.length);
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      this.fail(refusal);
    });
    request.once('end', () => {
      if (!this.#answered) this.attempt(() => done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    });
  }

  /** Of the writes that this request asks for; undefined: none is recorded. */
  traces(ops: readonly IncomingOp[]): IngestSpans | undefined {
    const { route } = this;
    const method = methodLabel(this.request.method);
    const attributes = { [HTTP_METHOD]: method, [HTTP_ROUTE]: route };
    return this.env.tracing?.ingest(ops, `${method} ${route}`, attributes, this.#beganMs);
  }

  /** What `work` throws is the answer. For callbacks, which nobody else catches for. */
  attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }

  json(status: number, text: string, headers: Headers = {}): void {
    this.answer(status, Buffer.from(`${text}\n`), { 'Content-Type': 'application/json', ...headers });
  }

  fail(thrown: unknown, headers: Headers = {}): void {
    const own = thrown instanceof HttpError;
    const error = own ? thrown.error : toCausewayError(thrown);
    this.json(own ? thrown.status : HTTP_STATUS[error.code], errorJson(error), {
      ...headers,
      ...retryAfter(error),
      ...(own ? thrown.headers : {}),
    });
  }

  /** `body` undefined: none, as for 204 and 304. */
  answer(status: number, body: Uint8Array | undefined, headers: Headers): void {
    if (this.#answered) return;
    this.#answered = true;
    const { response } = this;
    const unread = this.#bodyUnread();
    response.writeHead(status, {
      ...this.commonHeaders(unread),
      'Cache-Control': 'no-store',
      ...headers,
      ...(body === undefined ? {} : { 'Content-Length': String(body.length) }),
    });
    if (body === undefined || this.request.method === 'HEAD') this.#end(unread, undefined);
    else {
      this.#hold(body.length);
      this.#end(unread, body);
    }
  }

  /** Takes the answer over for a stream: nothing else may be answered any more. */
  openStream(headers: Headers): void {
    this.#answered = true;
    this.#streams = true;
    this.response.writeHead(200, { ...this.commonHeaders(this.#bodyUnread()), ...headers });
    this.response.flushHeaders();
  }

  private commonHeaders(unread: boolean): Headers {
    return {
      'Causeway-Region': this.env.region.id,
      'X-Content-Type-Options': 'nosniff',
      ...(unread || this.env.load.draining ? { Connection: 'close' } : {}),
    };
  }

  #bodyUnread(): boolean {
    const { complete, headers } = this.request;
    if (complete) return false;
    return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  }

  /** A connection that is closed upon unread bytes is reset, and the sender may never see the answer: so they are taken, within bounds. */
  #end(unread: boolean, body: Uint8Array | undefined): void {
    const { request, response } = this;
    // Nothing more comes from who waits for us, or has closed its side.
    if (!unread || this.#expectsContinue || request.socket.readableEnded) {
      response.end(body);
      return;
    }
    if (body !== undefined) response.write(body);
    let left = DISCARDED_BYTES_MAX;
    const timer = this.env.system.timers.after(DISCARD_MS_MAX, () => response.end());
    const end = (): void => {
      timer.cancel();
      response.end();
    };
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) end();
    });
    request.once('close', end);
    request.once('end', end);
    request.resume();
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.env.load.hold(bytes);
  }
}

/** A body that must be JSON text. Throws CausewayError INVALID_ARGUMENT. */
export function jsonText(body: Uint8Array): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    JSON.parse(text);
    return text;
  } catch (error) {
    throw new CausewayError('INVALID_ARGUMENT', `the body is not JSON: ${(error as Error).message}`, {
      hint: 'send other bytes as application/octet-stream',
      cause: error,
    });
  }
}
