// The composition root: the only place that constructs engines (engines.ts; those in memory: src/testing). Configuration in, a running node out.
// Life: composeNode() starts everything in order, or stops what it had started and throws; drain() refuses what is new and finishes
// what is under way; stop() ends everything in reverse order.

import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Neighbours, type NeighbourTls, type Place } from './api/http/page/neighbours.ts';
import { HttpServer, type HttpTls } from './api/http/server.ts';
import { tellMetrics } from './api/env.ts';
import { ApiServer } from './api/server.ts';
import { formatAddress, parseAddress } from './config/address.ts';
import { settingsHash } from './config/hash.ts';
import { toNodeSettings } from './config/node-settings.ts';
import { HTTP_OFF, type Config } from './config/schema.ts';
import { makeEngines } from './engines.ts';
import { CausewayError, toCausewayError } from './errors/errors.ts';
import type { MetricSink } from './metrics/sink.ts';
import { RegionNode } from './region/node.ts';
import type { Region } from './region/region.ts';
import { SharedRegion } from './region/shared-region.ts';
import { GrpcTransport } from './replication/grpc-transport.ts';
import { channelTls, secureContextOf } from './security/grpc-credentials.ts';
import { NodeTls, type ListenerTls } from './security/node-tls.ts';
import { GrpcSiblings } from './siblings/grpc-siblings.ts';
import { realSystem } from './system/real.ts';
import type { System } from './system/system.ts';
import { createLogger, type Logger } from './telemetry/log.ts';
import { narrate, sparing } from './telemetry/narrate.ts';
import { NodeEvents } from './telemetry/node-events.ts';
import { NodeHistory } from './telemetry/node-history.ts';
import { exportCommits, exportNode } from './telemetry/node-metrics.ts';
import { openTracing } from './telemetry/open-tracing.ts';
import type { Trace } from './tracing/span.ts';
import { exportDisk, exportProcess, ProcessWatch } from './telemetry/process-metrics.ts';

export type { Region };

export interface RunningNode {
  readonly config: Config;
  readonly region: Region;
  /** As listened on: with the real port where the config says 0. */
  readonly clients: string;
  readonly peers: string;
  /** undefined: not wanted. */
  readonly http: string | undefined;
  readonly log: Logger;
  /** What this node knows of the traces that something was added to last; none while tracing is off. */
  readonly recentTraces: (limit: number) => readonly Trace[];
  /** Resolves, with the reason, when the node cannot go on: its process must end at once, without stop(), so that nothing is
   *  written after what the log could not write. Never rejects. */
  readonly failed: Promise<CausewayError>;
  /** Refuses what is new and resolves when what is under way is finished. */
  drain(): Promise<void>;
  /** Idempotent. */
  stop(): Promise<void>;
}

/** Throws CausewayError: CONFIG_INVALID (directory, port), FENCED (another process has the directory), CORRUPT. */
export async function composeNode(config: Config, system: System = realSystem()): Promise<RunningNode> {
  const log = createLogger({ ...config.log, bindings: { region: config.region, node: config.node } });
  let fail!: (error: CausewayError) => void;
  const failed = new Promise<CausewayError>((resolve) => {
    fail = (error) => {
      log.fatal({ err: error }, error.message);
      resolve(error);
    };
  });

  /** What has been started, to be stopped in reverse. */
  const started: { readonly what: string; readonly stop: () => Promise<void> | void }[] = [];
  const stopAll = async (): Promise<void> => {
    for (let last = started.pop(); last !== undefined; last = started.pop()) {
      try {
        await last.stop();
      } catch (error) {
        // The rest must still be stopped: the log's lock, above all.
        log.error({ err: error }, `could not stop ${last.what}`);
      }
    }
  };

  try {
    // First: whoever starts a node for the first time mends all files at once.
    const tls = new NodeTls(config, system, (level, message) => log[level](message));
    makeDataDirectory(config.dataDir);
    const history = new NodeHistory();
    const events = new NodeEvents(() => system.clock.nowMs());
    const say = sparing(log, system);
    const notice: typeof say = (level, message) => {
      say(level, message);
      events.add('notice', level, message);
    };
    const { tracing, close: closeTracing } = await openTracing(config, system, log, (message) =>
      notice('warn', message),
    );
    started.push({ what: 'tracing', stop: closeTracing });
    const processWatch = new ProcessWatch(system);
    started.push({ what: 'the look at the process', stop: () => processWatch.stop() });
    /** Where the other nodes of the region reach this one. */
    let reachedAt = '';
    const engines = makeEngines(config, system, {
      onFatal: fail,
      onLost: (shard, why) => node.storeLost(shard, why),
      release: (shard) => node.release(shard),
      follow: (shard) => node.follow(shard),
      unfollow: (shard) => node.unfollow(shard),
      cannotBegin: (shard) => node.isStoreAway(shard),
      opsOf: (shard) => node.opsLanded(shard),
      address: () => reachedAt,
    });
    const transport = new GrpcTransport({
      listen: config.listeners.peers.address,
      system,
      tls: {
        server: tls.listener('peers')?.credentials,
        links: tls.links,
        serverNameAt: (address) => tls.serverNameAt(address),
        namesOf: (region) => tls.namesOf(region),
      },
    });
    const node = new RegionNode(toNodeSettings(config), {
      log: engines.log,
      store: engines.store,
      transport,
      ownership: engines.ownership,
      system,
      tracing,
      notice,
    });
    const { shared, segments } = engines;
    const siblings = shared && new GrpcSiblings(system, config.clusterId, siblingTls(tls));
    const sharedRegion = siblings && new SharedRegion(node, shared!, siblings, system);
    const region = sharedRegion ?? node;
    const api = new ApiServer({
      region,
      ownRegion: node,
      listen: config.listeners.clients.address,
      system,
      limits: { opsPerRequestMax: config.limits.opsPerRequestMax },
      clusterId: config.clusterId,
      credentials: tls.listener('clients')?.credentials,
      certificates: () => tls.certificates(),
      metrics: (into) => {
        exportNode(into, node.figures(), region.ready());
        if (segments !== undefined) exportCommits(into, segments.figures);
        exportDisk(into, config.dataDir);
        exportProcess(into, processWatch);
      },
      tracing,
    });

    started.push({ what: 'the look-out for new certificates', stop: () => tls.stop() });
    tls.start();
    // Listeners first: a port that is taken is found before anything is written, and `status` answers during a long replay.
    // Until the node has opened its log, clients are told NOT_READY and peers are asked to come again.
    started.push({ what: 'the listener for peers', stop: () => transport.stop() });
    const { port: peersPort } = await transport.start();
    started.push({ what: 'the listener for clients', stop: () => api.stop() });
    const { port: clientsPort } = await api.start();
    const clients = withPort(config.listeners.clients.address, clientsPort);
    reachedAt = config.advertise ?? clients;
    const peers = withPort(config.listeners.peers.address, peersPort);
    const { http: httpListener } = config.listeners;
    let http: string | undefined;
    if (httpListener.address !== HTTP_OFF) {
      const { address, cacheSeconds } = httpListener;
      const places = placesOf(config);
      const neighbours = new Neighbours({
        places,
        system,
        tls: neighbourTls(config, tls),
        onChange: (region, problem) => {
          if (problem === '') events.add('region', 'info', `${region} answers again`);
          else events.add('region', 'error', `${region} does not answer: ${problem}`);
        },
      });
      started.push({ what: 'the questions to other regions', stop: () => neighbours.stop() });
      const server = new HttpServer({
        env: api.env,
        listen: address,
        cacheSeconds,
        tls: httpTls(tls.listener('http')),
        page: {
          places,
          neighbours,
          figures: () => node.figures(),
          history: (sinceMs) => history.told(config.region, system.clock.nowMs(), sinceMs),
          events: () => events.told(),
          recentTraces: tracing && ((limit) => tracing.ring.recent(limit)),
        },
      });
      started.push({ what: 'the listener for HTTP', stop: () => server.stop() });
      http = withPort(address, (await server.start()).port);
    }
    if (config.otlp.metricsMs > 0) {
      // Not loaded by a node that needs none of it.
      const { OtlpMetrics } = await import('./telemetry/otlp-metrics.ts');
      const tell = (into: MetricSink): void => tellMetrics(api.env, into);
      const pushed = new OtlpMetrics(config, system, tell, (message) => notice('warn', message));
      started.push({ what: 'the push of metrics', stop: () => pushed.close() });
    }
    log.info({ clients, peers, http, dataDir: config.dataDir, settingsHash: settingsHash(config) }, 'listening');
    if (siblings !== undefined) started.push({ what: 'the connections to other nodes', stop: () => siblings.close() });
    const unlock = await engines.lock();
    started.push({ what: 'the lock on the data directory', stop: unlock });
    // A start that fails half-way holds the directory's lock all the same.
    started.push({ what: 'the node', stop: () => node.stop() });
    await node.start();
    if (shared !== undefined) {
      // Shards come to a node that can serve them, and leave it first when it ends.
      started.push({ what: 'the ownership of shards', stop: () => shared.stop() });
      await shared.start();
      started.push({ what: 'the look at the other nodes', stop: () => sharedRegion?.stop() });
      sharedRegion?.start();
    }
    started.push({
      what: 'the narrator',
      stop: narrate(node, log, system, (status) => {
        history.look(status);
        events.look(status);
      }),
    });

    let stopping: Promise<void> | undefined;
    return {
      config,
      region,
      clients,
      peers,
      http,
      log,
      recentTraces: api.env.recentTraces,
      failed,
      drain: async () => {
        log.info('draining');
        // Shards first: while they go to other nodes, what clients ask here is passed on to those.
        await shared?.leave();
        // What the API holds counts HTTP's requests and watches too.
        for (const done of await Promise.allSettled([api.drain(), node.drain()])) {
          // E.g. a full disk, on which the store cannot say that it is whole: the next start reads the log instead.
          if (done.status === 'rejected')
            log.error({ err: done.reason as Error }, 'could not drain in full; nothing is lost');
        }
      },
      stop: () =>
        (stopping ??= stopAll().then(() => {
          log.info('stopped');
        })),
    };
  } catch (error) {
    await stopAll();
    throw toCausewayError(error);
  }
}

function makeDataDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    throw new CausewayError('CONFIG_INVALID', `cannot use ${directory} as dataDir: ${whyNotMade(directory, error)}`, {
      hint: 'Create it for the user that runs Causeway, or name another with dataDir.',
      cause: error,
    });
  }
}

function whyNotMade(directory: string, error: unknown): string {
  let { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') {
    // Node's recursive mkdir says so for much else; what is there already knows better.
    try {
      accessSync(nearestThere(directory), constants.W_OK);
    } catch (reason) {
      ({ code } = reason as NodeJS.ErrnoException);
    }
  }
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return 'this user may not create it';
    case 'ENOTDIR':
    case 'EEXIST':
      return 'something on its path is a file';
    case 'EROFS':
      return 'the file system is read-only';
    case 'ENOSPC':
      return 'the disk is full';
    default:
      return (error as Error).message;
  }
}

function nearestThere(directory: string): string {
  return existsSync(directory) || dirname(directory) === directory ? directory : nearestThere(dirname(directory));
}

function placesOf({ regions }: Config): Place[] {
  return regions.map(({ name, http, clients, coordinates }) => ({
    name,
    lat: coordinates?.lat ?? null,
    lon: coordinates?.lon ?? null,
    clients: clients[0] ?? null,
    http,
  }));
}

/** Regions are set up alike: where this one speaks HTTPS the others do, and it shows and trusts there what it does on links. */
function neighbourTls(config: Config, tls: NodeTls): NeighbourTls | undefined {
  const own = tls.listener('http');
  if (own === undefined) return undefined;
  const used = tls.links ?? own.tls;
  return {
    context: () => secureContextOf(used.material),
    serverNameAt: (region) => config.regions.find(({ name }) => name === region)?.serverName,
  };
}

/** Nodes of a region are set up alike: a node shows and trusts towards another one what its own listener does. */
function siblingTls(tls: NodeTls): ConstructorParameters<typeof GrpcSiblings>[2] {
  const own = tls.listener('clients');
  if (own === undefined) return undefined;
  return { channel: (address) => channelTls(own.tls, address, undefined), close: () => undefined };
}

function httpTls(listener: ListenerTls | undefined): HttpTls | undefined {
  if (listener === undefined) return undefined;
  const { tls, clientCertRequired } = listener;
  return {
    context: secureContextOf(tls.material),
    clientCertRequired,
    onChange: (changed) => void tls.onChange((material) => changed(secureContextOf(material))),
  };
}

function withPort(address: string, port: number): string {
  return formatAddress({ host: parseAddress(address)?.host ?? address, port });
}
