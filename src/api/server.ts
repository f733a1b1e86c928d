// The listener for clients: Data, Admin, health and reflection on one port, hardened by hand, because grpc-js has no bounds by default
// (I12; DESIGN 14).
// Life: start() binds; drain() refuses what is new, ends streams when what they hold is answered, and waits for it; stop()
// closes connections. The region belongs to whoever made it.

import {
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  type ServerOptions,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import type { Region } from '../region/region.ts';
import type { System } from '../system/system.ts';
import { adminService } from './admin-service.ts';
import { Catalog } from './catalog.ts';
import { dataService } from './data-service.ts';
import { Load, type ServiceEnv } from './env.ts';
import { Health } from './health.ts';
import { ALLOW_ALL, type Access } from './identity.ts';
import { reflectionServices } from './reflection.ts';
import { DEFAULT_API_LIMITS, transportBytesMax, type ApiLimits } from './limits.ts';
import { listenError } from './listen-error.ts';
import { Signals } from './signals.ts';
import { widenWindows } from './wide-windows.ts';

export interface ApiServerOptions {
  readonly region: Region;
  /** The node by itself, for what another node of the region has passed on. Default: `region`. */
  readonly ownRegion?: Region;
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  readonly system: System;
  readonly limits?: Partial<ApiLimits>;
  /** Stands in session tokens and cursors, so that another cluster's are refused. */
  readonly clusterId?: string;
  readonly access?: Access;
  /** Without TLS when absent. */
  readonly credentials?: ServerCredentials | undefined;
  /** For `status`. */
  readonly certificates?: ServiceEnv['certificates'];
  /** For `/metrics`, beside what the services count themselves. */
  readonly metrics?: ServiceEnv['metrics'];
  readonly tracing?: ServiceEnv['tracing'];
}

const SERVICES = ['causeway.v1.Data', 'causeway.v1.Admin'];
const DRAIN_POLL_MS = 5;
/** After drain(): how long connections may take to say goodbye before they are cut. */
const STOP_GRACE_MS = 500;

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #env: ServiceEnv;
  readonly #server: Server;
  readonly #health: Health;
  #started = false;

  constructor(options: ApiServerOptions) {
    const limits = { ...DEFAULT_API_LIMITS, ...options.limits };
    this.#options = options;
    this.#env = {
      region: options.region,
      ownRegion: options.ownRegion ?? options.region,
      system: options.system,
      limits,
      access: options.access ?? ALLOW_ALL,
      catalog: new Catalog(options.region, options.system),
      clusterId: options.clusterId ?? '',
      load: new Load(limits),
      certificates: options.certificates ?? (() => []),
      signals: new Signals(),
      metrics: options.metrics ?? (() => undefined),
      tracing: options.tracing,
      recentTraces: (limit) => options.tracing?.ring.recent(limit) ?? [],
    };
    // What grpc-js has to say comes back as an error as well, and is said there better; GRPC_VERBOSITY turns it on again.
    if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);
    this.#server = new Server(serverOptions(limits));
    widenWindows(this.#server, limits.uploadWindowBytes);
    for (const service of [dataService(this.#env), adminService(this.#env)]) {
      this.#server.addService(service.definition as unknown as ServiceDefinition, service.implementation);
    }
    for (const { definition, implementation } of reflectionServices(this.#env, SERVICES)) {
      this.#server.addService(definition, implementation);
    }
    this.#health = new Health(SERVICES);
    this.#health.addTo(this.#server);
  }

  /** What the services share; the HTTP listener is one more of them. */
  get env(): ServiceEnv {
    return this.#env;
  }

  /** Throws CausewayError CONFIG_INVALID when the address cannot be listened on. */
  start(): Promise<{ readonly port: number }> {
    const { listen, region, credentials = ServerCredentials.createInsecure() } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(listen, credentials, (error, port) => {
        if (error !== null) {
          reject(listenError(listen, error));
          return;
        }
        this.#started = true;
        region.onReady(() => this.#updateHealth());
        this.#updateHealth();
        resolve({ port });
      });
    });
  }

  /** Resolves when nothing that was taken is unanswered; at the latest after `timeoutMs`. */
  drain(timeoutMs = 10_000): Promise<void> {
    const { clock, timers } = this.#env.system;
    const { load } = this.#env;
    load.drain();
    this.#updateHealth();
    const endMs = clock.monotonicMs() + timeoutMs;
    return new Promise((resolve) => {
      const look = (): void => {
        if ((load.pendingBytes === 0 && load.streams === 0) || clock.monotonicMs() >= endMs) resolve();
        else timers.after(DRAIN_POLL_MS, look);
      };
      look();
    });
  }

  stop(): Promise<void> {
    const { timers } = this.#env.system;
    this.#env.load.drain();
    this.#updateHealth();
    if (!this.#started) return Promise.resolve();
    this.#started = false;
    return new Promise((resolve) => {
      const done = (): void => {
        cut.cancel();
        this.#server.forceShutdown();
        resolve();
      };
      // Waits for calls that are open, of health watchers too: not for ever. And grpc-js itself waits for ever for a connection
      // that never got as far as HTTP/2, such as a TLS client's at a listener without TLS.
      const cut = timers.after(STOP_GRACE_MS, done);
      this.#server.tryShutdown(done);
    });
  }

  /** At once and without a word, as when the process dies. */
  kill(): void {
    this.#started = false;
    this.#server.forceShutdown();
  }

  #updateHealth(): void {
    this.#health.set(this.#started && !this.#env.load.draining && this.#options.region.ready());
  }
}

function serverOptions(limits: ApiLimits): ServerOptions {
  // channelz stays on: without it grpc-js 1.14 forgets which sessions forceShutdown() has to cut.
  return {
    'grpc.max_receive_message_length': transportBytesMax(limits),
    'grpc.max_send_message_length': limits.responseBytesMax * 2,
    'grpc.max_concurrent_streams': limits.streamsPerConnectionMax,
    'grpc.max_metadata_size': limits.metadataBytesMax,
    'grpc.max_connection_age_ms': limits.connectionAgeMs,
    'grpc.max_connection_age_grace_ms': limits.connectionAgeGraceMs,
    'grpc.max_connection_idle_ms': limits.connectionIdleMs,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
    'grpc-node.max_session_memory': limits.sessionMemoryMiB,
  };
}
