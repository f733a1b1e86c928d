// The wire between regions: one gRPC bidi stream per link, causeway.v1.Replication/Link.
// Owns: the listener for peers, one connection per dial, how much is buffered, and what becomes of bytes that do not decode.
//
// I8, I12 Bounds, and what happens at them: a stream that holds SEND_BUFFER_BYTES unsent says false until half of it has gone; a message
//   above UP_BYTES_MAX or DOWN_BYTES_MAX ends its stream; there are at most CONNECTIONS_MAX connections of STREAMS_MAX streams, each with a header of Node's default (64 KiB,
//   128 fields); a session that holds SESSION_MEMORY_MB turns new streams away. Connections have no age: a link lives as long as
//   it can, and one without streams is closed after IDLE_MS.
// HAZARD: only the client's flow control window is honoured by grpc-js, so data must flow from server to client (DESIGN 9): the
//   receiver dials.
// Reference: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

import {
  ChannelCredentials,
  Client,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ClientDuplexStream,
  type ServerDuplexStream,
  type ServiceDefinition,
  type StatusObject,
  type ConnectionInjector,
} from '@grpc/grpc-js';
import { X509Certificate } from 'node:crypto';
import { createServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { CausewayError } from '../errors/errors.ts';
import { isFor, sansOf } from '../security/certificates.ts';
import { channelTls } from '../security/grpc-credentials.ts';
import { handshakeHint } from '../security/handshake.ts';
import type { ReloadingTls } from '../security/reloading.ts';
import type { System } from '../system/system.ts';
import { DOWN_BYTES_MAX } from './frames.ts';
import { decodeDown, decodeUp, encodeDown, encodeUp, UP_BYTES_MAX } from './grpc-codec.ts';
import type { Down, Up } from './messages.ts';
import type { LinkHandlers, LinkStream, Transport } from './transport.ts';

const SERVICE = 'causeway.v1.Replication';
const LINK_PATH = `/${SERVICE}/Link`;
/** So much under way fills a long fat pipe: 81 MB/s at 100 ms, against 0.35 MB/s with the default. */
const FLOW_CONTROL_WINDOW = 16 * 1024 * 1024;
/** Per stream, bytes given to grpc-js that it has not given to the socket. */
export const SEND_BUFFER_BYTES = 1024 * 1024;
/** Of one connection. Beyond: refused by HTTP/2. */
const STREAMS_MAX = 64;
/** To the listener. Beyond: closed at once; the peer backs off and dials again. */
const CONNECTIONS_MAX = 256;
const SESSION_MEMORY_MB = 128;
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 5000;
const IDLE_MS = 60_000;
/** After stop(): how long peers may take to read their status before their connections are cut. */
const STOP_GRACE_MS = 500;
const REASON_CHARS_MAX = 512;
const STOPPING = 'this node stops';

export interface GrpcTransportOptions {
  /** `host:port` for peers to dial; port 0 takes a free one. Without it this transport only dials. */
  readonly listen?: string | undefined;
  readonly system: System;
  /** Without TLS when absent. */
  readonly tls?: TransportTls | undefined;
}

export interface TransportTls {
  /** Of the listener; undefined: it listens without TLS. */
  readonly server: ServerCredentials | undefined;
  /** When dialling; undefined: without TLS. */
  readonly links: ReloadingTls | undefined;
  /** The name that the certificate at an address must have; undefined: the address's own host. */
  readonly serverNameAt: (address: string) => string | undefined;
  /** Names of which a region that dials must show one in its certificate, if certificates are asked for. */
  readonly namesOf: (region: string) => readonly string[];
}

interface Listener {
  readonly grpc: Server;
  readonly injector: ConnectionInjector;
  readonly tcp: TcpServer;
  readonly sockets: ReadonlySet<Socket>;
}

type Accept = (stream: LinkStream<Down>) => LinkHandlers<Up>;

/** Buffers go in and come out: messages are encoded and decoded here, where a mistake can be answered. */
const identity = (bytes: Buffer): Buffer => bytes;

const SERVICE_DEFINITION: ServiceDefinition = {
  link: {
    path: LINK_PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

export class GrpcTransport implements Transport {
  readonly #options: GrpcTransportOptions;
  readonly #system: System;
  readonly #streams = new Set<Stream<Down, Up> | Stream<Up, Down>>();
  #listener: Listener | undefined;
  #accept: Accept | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: GrpcTransportOptions) {
    this.#options = options;
    this.#system = options.system;
  }

  onAccept(accept: Accept): void {
    this.#accept = accept;
  }

  /** Listens. The port is 0 when there is nothing to listen on. Rejects with CONFIG_INVALID when the address cannot be had. */
  async start(): Promise<{ readonly port: number }> {
    const { listen, tls } = this.#options;
    if (listen === undefined) return { port: 0 };
    const { host, port } = parseListen(listen);
    const grpc = new Server({
      'grpc.max_concurrent_streams': STREAMS_MAX,
      'grpc.max_receive_message_length': UP_BYTES_MAX,
      'grpc.max_send_message_length': DOWN_BYTES_MAX,
      'grpc-node.max_session_memory': SESSION_MEMORY_MB,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.max_connection_idle_ms': IDLE_MS,
      'grpc.enable_channelz': 0,
    });
    grpc.addService(SERVICE_DEFINITION, {
      link: (call: ServerDuplexStream<Buffer, Buffer>) => this.#serve(call),
    });
    const injector = grpc.createConnectionInjector(tls?.server ?? ServerCredentials.createInsecure());
    // Our own listener, because grpc-js has no bound on connections and cannot let go of one whose peer does not read.
    const sockets = new Set<Socket>();
    const tcp = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      // HTTP/2 hears of it too, and ends the streams. Without a listener the process would stop.
      socket.on('error', () => undefined);
      injector.injectConnection(socket);
    });
    tcp.maxConnections = CONNECTIONS_MAX;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => {
        grpc.forceShutdown();
        reject(cannotListen(listen, error));
      };
      tcp.once('error', failed);
      tcp.listen({ host, port }, () => {
        tcp.off('error', failed);
        // A connection that could not be accepted (no file descriptors): the peer dials again.
        tcp.on('error', () => undefined);
        resolve();
      });
    });
    this.#listener = { grpc, injector, tcp, sockets };
    return { port: (tcp.address() as AddressInfo).port };
  }

  /** Ends every stream and lets go of every socket. Idempotent; dials end at once from then on. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    for (const stream of this.#streams) stream.close(STOPPING);
    if (this.#listener === undefined) return;
    const { grpc, injector, tcp, sockets } = this.#listener;
    this.#listener = undefined;
    // Gracefully first, so that peers read why: each connection closes when its streams have ended.
    injector.destroy();
    const grace = this.#system.timers.after(STOP_GRACE_MS, () => {
      for (const socket of sockets) socket.destroy();
    });
    await new Promise<void>((resolve) => tcp.close(() => resolve()));
    grace.cancel();
    grpc.forceShutdown();
  }

  dial(address: string, handlers: LinkHandlers<Down>): LinkStream<Up> {
    const stream = new Stream<Up, Down>(this.#system, encodeUp, decodeDown, handlers, () =>
      this.#streams.delete(stream),
    );
    if (this.#stopping !== undefined) {
      stream.over(STOPPING);
      return stream;
    }
    let client: Client;
    let call: ClientDuplexStream<Buffer, Buffer>;
    try {
      // A channel of its own for every dial: grpc-js' channels have a back-off of their own, and ours is the better informed.
      const { tls } = this.#options;
      const secured = tls?.links === undefined ? undefined : channelTls(tls.links, address, tls.serverNameAt(address));
      client = new Client(address, secured?.credentials ?? ChannelCredentials.createInsecure(), {
        ...secured?.options,
        'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW,
        'grpc.max_receive_message_length': DOWN_BYTES_MAX,
        'grpc.max_send_message_length': UP_BYTES_MAX,
        'grpc-node.max_session_memory': SESSION_MEMORY_MB,
        'grpc.keepalive_time_ms': KEEPALIVE_MS,
        'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
        'grpc.enable_retries': 0,
        'grpc.enable_http_proxy': 0,
        'grpc.enable_channelz': 0,
        'grpc.service_config_disable_resolution': 1,
        'grpc.use_local_subchannel_pool': 1,
      });
      call = client.makeBidiStreamRequest(LINK_PATH, identity, identity, new Metadata());
    } catch (error) {
      stream.over(`cannot dial ${address}: ${messageOf(error)}`);
      return stream;
    }
    this.#streams.add(stream);
    stream.attach({
      write: (bytes, done) => call.write(bytes, done),
      needsDrain: () => call.writableNeedDrain,
      end: () => {
        call.cancel();
        client.close();
      },
    });
    call.on('data', (bytes: Buffer) => stream.received(bytes));
    call.on('drain', () => stream.drained());
    // 'status' says the same and comes always; without a listener an error event would stop the process.
    call.on('error', () => undefined);
    call.on('status', (result: StatusObject) => {
      stream.over(describeStatus(address, result, this.#options.tls?.links !== undefined));
      client.close();
    });
    return stream;
  }

  #serve(call: ServerDuplexStream<Buffer, Buffer>): void {
    const finish = (reason: string, code: status): void => {
      // grpc-js sends what was written before, and then this as the status.
      call.emit('error', { code, details: reason.slice(0, REASON_CHARS_MAX) });
    };
    const accept = this.#accept;
    if (accept === undefined || this.#stopping !== undefined) {
      finish('this node does not serve links now', status.UNAVAILABLE);
      return;
    }
    const stream = new Stream<Down, Up>(this.#system, encodeDown, decodeUp, undefined, () =>
      this.#streams.delete(stream),
    );
    this.#streams.add(stream);
    stream.attach({
      write: (bytes, done) => call.write(bytes, done),
      needsDrain: () => call.writableNeedDrain,
      end: (reason) => finish(reason, status.ABORTED),
    });
    // Before the first read: what the peer says must find somebody who listens.
    stream.handlers = this.#identified(call, stream, accept(stream));
    call.on('data', (bytes: Buffer) => stream.received(bytes));
    call.on('drain', () => stream.drained());
    call.on('end', () => stream.close('the peer has ended the stream'));
    call.on('cancelled', () => stream.over('the connection is gone, or the peer has cancelled'));
    call.on('error', (error: unknown) => stream.over(messageOf(error)));
    call.on('close', () => stream.over('the stream is closed'));
  }

  /** With mutual TLS a region is who its certificate says: one that claims another's name is refused. */
  #identified(
    call: ServerDuplexStream<Buffer, Buffer>,
    stream: Stream<Down, Up>,
    handlers: LinkHandlers<Up>,
  ): LinkHandlers<Up> {
    const { tls } = this.#options;
    const certificate = certificateOf(call);
    if (tls === undefined || certificate === undefined) return handlers;
    return {
      message: (message) => {
        if (message.kind === 'hello') {
          const names = tls.namesOf(message.region);
          // A region that nobody knows is refused by the handshake, in its own words.
          if (names.length > 0 && !isFor(certificate, names)) {
            const has = sansOf(certificate).join(', ') || 'no name';
            stream.send({
              kind: 'refuse',
              reason: 'region-name',
              message: `a node of ${message.region} must show a certificate for ${names.join(' or ')}; this one is for ${has}: give it one, or set serverName of the region everywhere`,
            });
            stream.close('region-name: the certificate is for another region');
            return;
          }
        }
        handlers.message(message);
      },
      drain: () => handlers.drain(),
      closed: (reason) => handlers.closed(reason),
    };
  }
}

/** The certificate of whoever dialled, if the listener asked for one. */
function certificateOf(call: ServerDuplexStream<Buffer, Buffer>): X509Certificate | undefined {
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  return raw === undefined ? undefined : new X509Certificate(raw);
}

interface Wire {
  /** As Writable.write. */
  write(bytes: Buffer, done: () => void): boolean;
  needsDrain(): boolean;
  end(reason: string): void;
}

/** What both directions have in common. */
class Stream<Out, In> implements LinkStream<Out> {
  handlers: LinkHandlers<In> | undefined;
  wireBytesSent = 0;
  readonly #system: System;
  readonly #encode: (message: Out) => Buffer;
  readonly #decode: (bytes: Buffer) => In;
  readonly #forget: () => void;
  #wire: Wire | undefined;
  #isOver = false;
  #unsent = 0;
  #full = false;

  constructor(
    system: System,
    encode: (message: Out) => Buffer,
    decode: (bytes: Buffer) => In,
    handlers: LinkHandlers<In> | undefined,
    forget: () => void,
  ) {
    this.#system = system;
    this.#encode = encode;
    this.#decode = decode;
    this.handlers = handlers;
    this.#forget = forget;
  }

  attach(wire: Wire): void {
    this.#wire = wire;
  }

  send(message: Out): boolean {
    if (this.#isOver || this.#wire === undefined) return true;
    const bytes = this.#encode(message);
    this.#unsent += bytes.length;
    this.wireBytesSent += bytes.length;
    const room = this.#wire.write(bytes, () => {
      this.#unsent -= bytes.length;
      this.drained();
    });
    this.#full = this.#full || !room || this.#unsent > SEND_BUFFER_BYTES;
    return !this.#full;
  }

  /** Some of what was written is gone. */
  drained(): void {
    if (!this.#full || this.#isOver || this.#unsent > SEND_BUFFER_BYTES / 2) return;
    if (this.#wire?.needsDrain() === true) return;
    this.#full = false;
    this.handlers?.drain();
  }

  received(bytes: Buffer): void {
    if (this.#isOver) return;
    let message: In;
    try {
      message = this.#decode(bytes);
    } catch (error) {
      this.close(`protocol-error: ${messageOf(error)}`);
      return;
    }
    this.handlers?.message(message);
  }

  close(reason: string): void {
    if (this.#isOver) return;
    this.over(reason);
    this.#wire?.end(reason);
  }

  /** The stream has ended, whoever ended it. The handlers hear of it in a turn of its own: close() may be called from within them. */
  over(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#forget();
    this.#system.timers.soon(() => this.handlers?.closed(reason));
  }
}

function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (typeof error === 'object' && error !== null && 'details' in error) return String(error.details);
  return String(error);
}

function describeStatus(address: string, { code, details }: StatusObject, withTls: boolean): string {
  if (code === status.OK) return `${address} has ended the stream`;
  if (code === status.UNIMPLEMENTED) {
    return `${address} speaks gRPC but not ${SERVICE}; dial the address where that region listens for peers, not for clients`;
  }
  const hint = code === status.UNAVAILABLE ? handshakeHint(details, withTls) : undefined;
  return `${status[code]}: ${details}${hint === undefined ? '' : ` (${hint})`}`.slice(0, REASON_CHARS_MAX);
}

/** `host:port`, IPv6 in brackets; an empty host is every interface. */
function parseListen(listen: string): { host: string | undefined; port: number } {
  const match = /^(?:\[(?<v6>[0-9a-fA-F:.%]+)\]|(?<host>[^:[\]]*)):(?<port>\d{1,5})$/.exec(listen);
  const port = Number(match?.groups?.['port']);
  if (match === null || port > 65_535) {
    throw new CausewayError('CONFIG_INVALID', `cannot listen for peers on '${listen}': expected host:port`, {
      hint: 'Such as 0.0.0.0:7401 or [::1]:7401, in listeners.peers.address.',
      details: { listen },
    });
  }
  const host = match.groups?.['v6'] ?? match.groups?.['host'];
  return { host: host === '' ? undefined : host, port };
}

const LISTEN_FAILURES: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  EADDRINUSE: ['another process listens there', 'Stop the other process, or choose another port'],
  EACCES: ['this user may not listen on that port', 'Choose a port above 1023'],
  EADDRNOTAVAIL: [
    'no interface of this machine has that address',
    'Use an address of this machine, or 0.0.0.0 for all',
  ],
  ENOTFOUND: ['that name has no address', 'Use an address of this machine, or 0.0.0.0 for all'],
};

function cannotListen(listen: string, cause: Error): CausewayError {
  const code = 'code' in cause ? String(cause.code) : '';
  const [reason, hint] = LISTEN_FAILURES[code] ?? [cause.message, 'Check the address'];
  return new CausewayError('CONFIG_INVALID', `cannot listen for peers on ${listen}: ${reason}`, {
    hint: `${hint}, with listeners.peers.address.`,
    details: { listen },
    cause,
  });
}
