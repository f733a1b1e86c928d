// The HTTP listener: node:http, hardened by hand (limits.ts). It shares limits, permissions and the count of what is held with the gRPC listener.
// Life: start() binds; while the node drains, what is new is refused with 503 and watches end; stop() closes what is left.
//
// HAZARD: on loopback nobody is asked who they are, and a web page that the machine's user has open can reach loopback. So there a request must
// name this machine in Host (a page that re-binds its own name does not), changes must be requests that a browser asks about
// first (PUT, DELETE, JSON), and no answer permits another origin.

import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { isLoopback, parseAddress } from '../../config/address.ts';
import { CausewayError } from '../../errors/errors.ts';
import type { ServiceEnv } from '../env.ts';
import { listenError } from '../listen-error.ts';
import { errorJson, HttpError } from './errors.ts';
import { Exchange, type HttpEnv } from './exchange.ts';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from './limits.ts';
import type { PageSources } from './page/sources.ts';
import { dispatch } from './routes.ts';

export interface HttpServerOptions {
  /** What the services of the node share; ApiServer has it. */
  readonly env: ServiceEnv;
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  readonly limits?: Partial<HttpLimits>;
  readonly cacheSeconds?: number;
  /** Without TLS when absent. */
  readonly tls?: HttpTls | undefined;
  /** What the page shows; without it the page says that it has nothing. */
  readonly page?: PageSources | undefined;
}

export interface HttpTls {
  readonly context: SecureContextOptions;
  /** Only whoever shows a certificate that the context's `ca` has signed gets a connection. */
  readonly clientCertRequired: boolean;
  /** New certificates: for new connections. */
  onChange(listener: (context: SecureContextOptions) => void): void;
}

/** How often Node looks for requests that are late. */
const LATE_CHECK_MS = 2000;
const STOP_GRACE_MS = 500;

export class HttpServer {
  readonly #listen: string;
  readonly #env: HttpEnv;
  readonly #server: Server | SecureServer;
  readonly #loopback: boolean;
  /** What is being answered on a connection. */
  readonly #exchanges = new WeakMap<Socket, Exchange>();

  constructor({ env, listen, limits, cacheSeconds = 0, tls, page }: HttpServerOptions) {
    const http = { ...DEFAULT_HTTP_LIMITS, ...limits };
    this.#listen = listen;
    this.#env = { ...env, http, cacheSeconds, page };
    this.#loopback = isLoopback(parseAddress(listen)?.host ?? '');
    const options = {
      maxHeaderSize: http.headerBytesMax,
      headersTimeout: http.headersTimeoutMs,
      requestTimeout: http.requestTimeoutMs,
      keepAliveTimeout: http.keepAliveMs,
      connectionsCheckingInterval: LATE_CHECK_MS,
      // Dead peers of idle connections are found by the kernel.
      keepAlive: true,
      noDelay: true,
    };
    this.#server = tls === undefined ? createServer(options) : secureServer(options, tls);
    this.#server.maxConnections = http.connectionsMax;
    this.#server.timeout = http.idleMs;
    this.#server.on('request', (request, response) => this.#serve(request, response, false));
    this.#server.on('checkContinue', (request, response) => this.#serve(request, response, true));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#broken(error, socket as Socket));
  }

  /** Throws CausewayError CONFIG_INVALID when the address cannot be listened on. */
  start(): Promise<{ readonly port: number }> {
    const { host, port } = parseAddress(this.#listen) ?? { host: this.#listen, port: 0 };
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => reject(listenError(this.#listen, error));
      this.#server.once('error', failed);
      this.#server.listen({ host, port, exclusive: true }, () => {
        this.#server.off('error', failed);
        resolve({ port: (this.#server.address() as AddressInfo).port });
      });
    });
  }

  /** Watches are ended by the node's drain; what is left after it is cut. */
  stop(): Promise<void> {
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => {
      const cut = this.#env.system.timers.after(STOP_GRACE_MS, () => this.#server.closeAllConnections());
      this.#server.close(() => {
        cut.cancel();
        resolve();
      });
      this.#server.closeIdleConnections();
    });
  }

  #serve(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const exchange = new Exchange(this.#env, request, response, expectsContinue);
    this.#exchanges.set(request.socket, exchange);
    exchange.attempt(() => {
      this.#checkHost(exchange);
      dispatch(exchange);
    });
  }

  #checkHost(exchange: Exchange): void {
    const host = exchange.header('Host');
    if (!this.#loopback || host === undefined) return;
    const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
    if (isLoopback(name)) return;
    throw new HttpError(
      421,
      new CausewayError(
        'INVALID_ARGUMENT',
        `this listener is ${this.#listen} and takes requests to this machine only; Host is ${host.slice(0, 100)}`,
        {
          hint: 'let a proxy send Host: localhost, or listen on another address',
        },
      ),
    );
  }

  /** What is no HTTP, or came too late or too large: there may be no request to answer. */
  #broken(error: NodeJS.ErrnoException, socket: Socket): void {
    // Without a handshake there is nothing to say it through.
    if (error.code === 'ECONNRESET' || /^ERR_(SSL|TLS)/.test(error.code ?? '') || !socket.writable) {
      socket.destroy();
      return;
    }
    const refusal = refusalOf(error, this.#env.http);
    const exchange = this.#exchanges.get(socket);
    if (exchange !== undefined && !exchange.response.writableEnded) {
      // Half an answer is on its way, and anything behind it would be taken for a part of it; or the request is whole and being served, and what came
      // behind it says nothing about what becomes of it.
      if (exchange.answered || exchange.request.complete) socket.destroy();
      else exchange.fail(refusal);
      return;
    }
    const body = `${errorJson(refusal.error)}\n`;
    const head = [
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Cache-Control: no-store',
      'Connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
  }
}

function secureServer(options: ServerOptions & { readonly headersTimeout: number }, tls: HttpTls): SecureServer {
  const server = createSecureServer({
    ...options,
    ...tls.context,
    requestCert: tls.clientCertRequired,
    rejectUnauthorized: tls.clientCertRequired,
    handshakeTimeout: options.headersTimeout,
  });
  tls.onChange((context) => server.setSecureContext(context));
  return server;
}

function refusalOf(error: NodeJS.ErrnoException, limits: HttpLimits): HttpError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new HttpError(
        431,
        new CausewayError(
          'TOO_LARGE',
          `a request's line and headers have at most ${limits.headerBytesMax} bytes together`,
        ),
      );
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new HttpError(
        408,
        new CausewayError(
          'DEADLINE_EXCEEDED',
          `the request did not come in time: its headers within ${limits.headersTimeoutMs} ms, all of it within ${limits.requestTimeoutMs} ms`,
          { outcome: 'not-applied' },
        ),
        { Connection: 'close' },
      );
    default:
      return new HttpError(400, new CausewayError('INVALID_ARGUMENT', `this is no HTTP request: ${error.message}`));
  }
}
