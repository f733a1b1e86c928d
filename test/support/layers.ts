// Which folder of src/ may import which. This is the table to edit when an arrow is missing; say why in the commit, and
// keep docs/ARCHITECTURE.md in step. Anything not in it fails test/layering.test.ts.

import type { LayerRules } from './imports.ts';

export const RULES: LayerRules = {
  layers: {
    // Leaves.
    errors: [],
    system: [],
    proto: [],
    metrics: [],
    nats: ['errors', 'system'],

    // Pure: data in, decisions out.
    record: ['errors'],
    clock: ['record', 'errors'],
    merge: ['record', 'clock', 'errors'],
    shard: ['record', 'merge', 'clock', 'errors'],
    collections: ['record', 'merge', 'errors'],

    // Spans as plain data, made where things happen and handed to whoever wants them; telemetry knows the wire.
    tracing: ['record', 'clock', 'errors', 'system'],

    // Engines behind ports.
    // nats: connections to NATS, which the log and the ownership of a region of several nodes share.
    log: ['record', 'errors', 'system', 'metrics', 'nats'],
    store: ['record', 'errors', 'system'],
    ownership: ['record', 'errors', 'system', 'nats'],

    // A node. It sees engines through their ports only; compose.ts hands them in.
    replication: ['shard', 'record', 'clock', 'errors', 'system', 'tracing', 'log/log.ts'],
    feed: ['record', 'merge', 'clock', 'shard', 'errors', 'system', 'log/log.ts'],
    conflicts: ['record', 'merge', 'shard', 'errors', 'store/store.ts'],
    region: [
      'record',
      'clock',
      'merge',
      'shard',
      'replication',
      'feed',
      'conflicts',
      'collections',
      'errors',
      'metrics',
      'system',
      'tracing',
      'log/log.ts',
      'store/packed-rows.ts',
      'store/store.ts',
      'ownership/ownership.ts',
    ],

    // What people and programs touch.
    // A node's options and their defaults belong to the node; config fills them, and the node never sees config.
    config: ['errors', 'record', 'merge', 'region/options.ts'],
    security: ['errors', 'config', 'system'],
    // What it keeps for the page, it keeps in the page's words.
    telemetry: [
      'errors',
      'config',
      'system',
      'metrics',
      'tracing',
      'region/region.ts',
      'region/figures.ts',
      'api/http/page/messages.ts',
    ],
    api: [
      'region',
      'feed',
      'conflicts/entry.ts',
      'proto',
      'errors',
      'record',
      'merge',
      'clock',
      'system',
      'config',
      'metrics',
      'tracing',
    ],
    // Certificates for both ends of a connection; of the configuration only the node's half knows.
    client: [
      'proto',
      // Which shard a key is of is the record format's.
      'record/hash.ts',
      'errors',
      'system',
      'security/reloading.ts',
      'security/certificates.ts',
      'security/handshake.ts',
      'security/grpc-credentials.ts',
    ],
    cli: ['client', 'compose.ts', 'config', 'errors', 'proto', 'security/node-tls.ts', 'system'],
    // The other nodes of the region: clients of each other, in the words of a region.
    siblings: [
      'region',
      'client',
      'api/env.ts',
      'api/tokens.ts',
      'api/page-tokens.ts',
      'api/conflict-calls.ts',
      'api/history-calls.ts',
      'proto',
      'errors',
      'record',
      'merge',
      'system',
    ],
    'compose.ts': ['*'],
    // What compose.ts constructs, by the configuration.
    'engines.ts': ['config', 'errors', 'log', 'nats', 'ownership', 'record', 'store', 'system'],
    // The other root that constructs engines: those in memory, for the tests of programs that use Causeway.
    testing: [
      'api',
      'client',
      'config',
      'errors',
      'log/memory.ts',
      'ownership/single.ts',
      'region',
      'replication/memory-transport.ts',
      'store/memory.ts',
      'system',
    ],
  },

  alsoAllowed: {
    // The link is a pure state machine; only its transport knows the wire.
    'src/replication/grpc-*.ts': ['proto', 'security'],
  },

  vendors: {
    '@opentelemetry/api': ['src/telemetry/otlp-*.ts'],
    '@opentelemetry/exporter-metrics-otlp-proto': ['src/telemetry/otlp-metrics.ts'],
    '@opentelemetry/exporter-trace-otlp-proto': ['src/telemetry/otlp-traces.ts'],
    '@opentelemetry/resources': ['src/telemetry/otlp-*.ts'],
    '@opentelemetry/sdk-metrics': ['src/telemetry/otlp-metrics.ts'],
    '@opentelemetry/sdk-trace': ['src/telemetry/otlp-traces.ts'],
    nats: ['src/nats/**', 'src/log/jetstream.ts', 'src/ownership/nats-kv.ts'],
    ioredis: ['src/store/redis.ts'],
    lmdb: ['src/store/lmdb.ts', 'src/store/lmdb-environment.mjs'],
    '@grpc/grpc-js': [
      'src/api/**',
      'src/siblings/**',
      'src/client/**',
      'src/replication/grpc-*.ts',
      'src/security/**',
      'src/compose.ts',
    ],
    'grpc-health-check': ['src/api/**'],
  },

  pure: {
    errors: [],
    record: ['xxhash-wasm', 'node:buffer', 'node:crypto', 'node:zlib'],
    clock: [],
    merge: ['node:buffer'],
    shard: ['node:buffer'],
    collections: ['node:buffer'],
  },

  realWorld: ['src/system/**'],
};
