// Every option of a node, with its default, its range and what it costs: the one place where they are declared.
// Owns: the shape of the YAML file. From it come the names of the environment variables (options.ts), the messages about
// wrong values (problems.ts), `causeway config schema`, and the table in docs/OPERATIONS.md, which a test keeps in step.
//
// What must fit together across options is in checks.ts.

import { z } from 'zod';
import { NAME_PATTERN, REGION_PATTERN } from '../record/ids.ts';
import { MERGE_TYPE_CODES, type MergeTypeName } from '../record/op.ts';
import { DEFAULT_LIMITS } from '../region/options.ts';
import { ADDRESS_EXPECTED, parseAddress } from './address.ts';

export interface OptionFacts {
  /** What it is, one sentence. */
  readonly is: string;
  /** What a value must look like: completes "expected …". */
  readonly expected: string;
  /** What more of it costs, or what setting it gives up. */
  readonly cost?: string;
  /** The default in words, where the schema's own is not the whole story. */
  readonly defaultText?: string;
}

export const optionFacts = z.registry<OptionFacts>();

const KIB = 1024;
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const DAY_MS = 24 * 3600 * 1000;

/** A whole number; the sentence about its range is made here, so that it cannot differ from the range. */
function whole(min: number, max: number, fallback: number, facts: Omit<OptionFacts, 'expected'>) {
  return z
    .int()
    .min(min)
    .max(max)
    .default(fallback)
    .register(optionFacts, { ...facts, expected: `a whole number from ${grouped(min)} to ${grouped(max)}` });
}

function yesNo(fallback: boolean, facts: Omit<OptionFacts, 'expected'>) {
  return z
    .boolean()
    .default(fallback)
    .register(optionFacts, { ...facts, expected: 'true or false' });
}

function named(pattern: RegExp, expected: string, is: string) {
  return z.string().regex(pattern).register(optionFacts, { is, expected });
}

function oneOf<const T extends readonly [string, ...string[]]>(values: T, facts: Omit<OptionFacts, 'expected'>) {
  return z.enum(values).register(optionFacts, { ...facts, expected: `one of ${values.join(', ')}` });
}

function address(portMin: number, is: string) {
  return z
    .string()
    .refine((text) => (parseAddress(text)?.port ?? -1) >= portMin)
    .register(optionFacts, { is, expected: ADDRESS_EXPECTED });
}

export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

const REGION_EXPECTED = "1 to 32 of a-z, 0-9 and '-', not at an end";
const SERVER_NAME_PATTERN = /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?$/;
const SERVER_NAME_EXPECTED = "a DNS name, for example 'eu-west.example.net'";
const NAME_EXPECTED = "1 to 64 of a-z, A-Z, 0-9, '_', '.' and '-', the last two not at an end";

export const MERGE_TYPES = Object.keys(MERGE_TYPE_CODES) as [MergeTypeName, ...MergeTypeName[]];

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

function pemFile(is: string) {
  return z
    .string()
    .min(1)
    .register(optionFacts, {
      is: `${is} Relative in a file: to the file.`,
      expected: 'a path of a file in PEM form',
      defaultText: 'none',
    });
}

/** The address of a listener that is not wanted. */
export const HTTP_OFF = 'off';

function listenerTls() {
  return z
    .strictObject({
      cert: pemFile("The listener's certificate, and behind it those that signed it. Required with tls."),
      key: pemFile("The certificate's private key, without a passphrase. Required with tls."),
      ca: pemFile('The CAs that sign the certificates of those who connect.').optional(),
      clientCert: oneOf(['required', 'none'], {
        is: 'Whether those who connect must show a certificate that `ca` has signed (mutual TLS).',
        cost: 'none: anyone who can reach the port can read and write everything, over encrypted connections.',
      }).default('required'),
    })
    .optional()
    .register(optionFacts, {
      is: 'TLS; the files are read again when they change.',
      expected: 'a mapping with cert, key, ca and clientCert',
    });
}

function insecure() {
  return yesNo(false, {
    is: 'Listen beyond loopback without TLS: connections are neither encrypted nor authenticated.',
    cost: 'Anyone who can reach the port can read and write everything. Only inside a network that you trust, or behind a tunnel.',
  });
}

function listener(fallback: string, who: string) {
  return z
    .strictObject({
      address: address(0, `Where ${who} reach this node. Port 0 takes any free one.`).default(fallback),
      tls: listenerTls(),
      insecure: insecure(),
    })
    .prefault({})
    .register(optionFacts, { is: `The listener for ${who}.`, expected: 'a mapping with address, tls and insecure' });
}

const httpListener = z
  .strictObject({
    address: z
      .string()
      .refine((text) => text === HTTP_OFF || parseAddress(text) !== undefined)
      .default(HTTP_OFF)
      .register(optionFacts, {
        is: 'Where HTTP clients, browsers and probes reach this node. Port 0 takes any free one.',
        expected: `${HTTP_OFF}, or ${ADDRESS_EXPECTED}`,
      }),
    tls: listenerTls(),
    insecure: insecure(),
    cacheSeconds: whole(0, 86_400, 0, {
      is: 'For how long caches between the node and a reader may answer a local read by themselves, where the reader does not say (maxAge). 0: they ask each time whether it is still so.',
      cost: 'Adds up to as much to the staleness of every read, the own writes of who reads included, unless it sends its session.',
    }),
  })
  .prefault({})
  .register(optionFacts, {
    is: 'The listener for HTTP, with the probes.',
    expected: 'a mapping with address, tls, insecure and cacheSeconds',
  });

const links = z
  .strictObject({
    tls: z
      .strictObject({
        ca: pemFile("The CAs that sign the other regions' certificates.").optional().register(optionFacts, {
          is: "The CAs that sign the other regions' certificates.",
          expected: 'a path of a file in PEM form',
          defaultText: 'what Node trusts',
        }),
        cert: pemFile('The certificate to show, and behind it those that signed it.').optional(),
        key: pemFile("The certificate's private key, without a passphrase.").optional(),
      })
      .optional()
      .register(optionFacts, {
        is: 'TLS towards other regions, when it needs other files than listeners.peers.tls.',
        expected: 'a mapping with ca, cert and key',
      }),
  })
  .prefault({})
  .register(optionFacts, { is: 'How this node dials other regions.', expected: 'a mapping with tls' });

const region = z
  .strictObject({
    name: named(REGION_PATTERN, REGION_EXPECTED, "The region's name, e.g. eu-west."),
    peers: z
      .array(address(1, 'Where other regions dial this one to replicate from it.'))
      .default([])
      .register(optionFacts, {
        is: 'Where other regions dial this one: the replication listeners of its nodes.',
        expected: `a list of ${ADDRESS_EXPECTED}`,
      }),
    clients: z
      .array(address(1, 'Where clients reach the region.'))
      .default([])
      .register(optionFacts, {
        is: 'Where clients reach the region; for status and fail-over, not used to replicate.',
        expected: `a list of ${ADDRESS_EXPECTED}`,
      }),
    http: z
      .array(address(1, "Where the region's HTTP listener is."))
      .default([])
      .register(optionFacts, {
        is: "Where the HTTP listeners of the region's nodes are: this node's page asks there for the region's own figures. With listeners.http.tls here, over TLS as links are dialled.",
        expected: `a list of ${ADDRESS_EXPECTED}`,
      }),
    serverName: named(SERVER_NAME_PATTERN, SERVER_NAME_EXPECTED, '').optional().register(optionFacts, {
      is: "The name in the certificates of the region's nodes: checked when it is dialled, and when it dials.",
      expected: SERVER_NAME_EXPECTED,
      defaultText: 'the hosts of its peers',
    }),
    coordinates: z
      .strictObject({
        lat: z.number().min(-90).max(90).register(optionFacts, {
          is: 'Degrees north.',
          expected: 'a number from -90 to 90 (degrees north)',
        }),
        lon: z.number().min(-180).max(180).register(optionFacts, {
          is: 'Degrees east.',
          expected: 'a number from -180 to 180 (degrees east)',
        }),
      })
      .optional()
      .register(optionFacts, { is: 'Where it is on a map.', expected: 'a mapping with lat and lon' }),
  })
  .register(optionFacts, { is: 'A region.', expected: 'a mapping with name, peers and clients' });

const placement = z
  .strictObject({
    id: z.int().min(1).max(65_535).register(optionFacts, {
      is: 'Stands in every record, and is never used again for other regions or shards.',
      expected: 'a whole number from 1 to 65,535',
    }),
    name: named(NAME_PATTERN, NAME_EXPECTED, 'Its name.'),
    shards: whole(1, 1024, 8, {
      is: 'Slices of the key space. Chosen once: changing it is a move to a new placement.',
      cost: 'Each shard beats to each peer at every heartbeat and commits batches of its own; more shards spread one region over more nodes.',
    }),
    regions: z
      .array(named(REGION_PATTERN, REGION_EXPECTED, 'A member.'))
      .min(1)
      .register(optionFacts, {
        is: 'Its members: no byte of the placement reaches any other region.',
        expected: 'a list of at least one name of a region',
      }),
  })
  .register(optionFacts, { is: 'A placement.', expected: 'a mapping with id, name, shards and regions' });

const namespace = z
  .strictObject({
    name: named(NAME_PATTERN, NAME_EXPECTED, "The namespace's name."),
    placement: named(NAME_PATTERN, NAME_EXPECTED, 'The placement that holds it.').default('default'),
  })
  .register(optionFacts, { is: 'A namespace.', expected: 'a mapping with name and placement' });

const collection = z
  .strictObject({
    namespace: named(NAME_PATTERN, NAME_EXPECTED, 'The namespace it belongs to.'),
    name: named(NAME_PATTERN, NAME_EXPECTED, "The collection's name."),
    type: oneOf(MERGE_TYPES, { is: 'Its merge type (docs/MERGE_TYPES.md); fixed for ever for this id.' }),
    id: whole(1, 2 ** 32 - 1, 1, {
      is: 'Tells a collection from an earlier one of the same name. Raise it to start empty with another type. From 2147483648 on: the id of a collection that was created at run time, to go on with its data.',
    }),
  })
  .register(optionFacts, { is: 'A collection.', expected: 'a mapping with namespace, name and type' });

const limits = z
  .strictObject({
    opsPerRequestMax: whole(1, 100_000, DEFAULT_LIMITS.opsPerRequestMax, {
      is: 'Ops of one write request. Beyond: TOO_LARGE.',
      cost: 'A larger request holds its shards longer while it is prepared.',
    }),
    inFlightBytesMax: whole(8 * MIB, 8 * GIB, DEFAULT_LIMITS.inFlightBytesMax, {
      is: 'Bytes of ops sequenced and not yet durable, all shards. Beyond: OVERLOADED with retry pushback.',
      cost: 'Memory, about twice the value; a larger one turns overload into latency.',
    }),
    batchOpsMax: whole(1, 65_535, DEFAULT_LIMITS.batchOpsMax, {
      is: 'Ops of one batch. What arrives beyond waits for the next.',
      cost: 'Large batches lengthen the time that a peer takes to apply one.',
    }),
    batchBytesMax: whole(2 * MIB, 16 * MIB, DEFAULT_LIMITS.batchBytesMax, {
      is: 'Bytes of one batch. What arrives beyond waits for the next.',
      cost: 'A batch is one message: it holds up the link that it crosses.',
    }),
    parkedBytesMax: whole(2 * MIB, GIB, DEFAULT_LIMITS.parkedBytesMax, {
      is: 'Per shard, bytes of remote batches that wait for what they depend on. Beyond: dropped and asked for again.',
      cost: 'Memory per shard, only while regions catch up; too little costs the WAN a second transfer.',
    }),
    stateCacheBytesMax: whole(MIB, 64 * GIB, DEFAULT_LIMITS.stateCacheBytesMax, {
      is: 'Key states kept in memory, all shards, by the bytes of their encoding. Beyond: least recently used first.',
      cost: 'Memory, two to four times the value; too little reads the store once per written key.',
    }),
    idempotencyEntriesMax: whole(16, 16_777_216, DEFAULT_LIMITS.idempotencyEntriesMax, {
      is: 'Ops remembered per shard, so that their retries are recognised. Beyond: oldest first; a retry of an older one is refused.',
      cost: 'Memory, about 150 bytes an op; at a restart that much of the log is read again.',
    }),
    rereadEntriesMax: whole(256, 100_000_000, DEFAULT_LIMITS.rereadEntriesMax, {
      is: 'With engine distributed: entries of the logs of all shards that are read again at a start, or behind the claim of what a dead node had, for the ops that retries are recognised by. Beyond: what is older is forgotten, and a retry of it is refused.',
      cost: 'Time without writes when a node has died: about a second for each 15,000 entries of its shards.',
    }),
    storeBacklogMax: whole(1000, 100_000_000, DEFAULT_LIMITS.storeBacklogMax, {
      is: 'Changed keys that the store does not have yet, all shards. Beyond: writes are refused as OVERLOADED. Batches of peers wait before that: half of what is left goes to them.',
      cost: 'Memory: those keys cannot leave it.',
    }),
    conflictsMax: whole(0, 10_000_000, DEFAULT_LIMITS.conflictsMax, {
      is: 'Conflicts kept in the journal. Beyond: oldest first, and readers are told that some went. 0 keeps none.',
      cost: 'About 100 bytes of memory each, and their bytes in the store.',
    }),
    conflictsBytesMax: whole(MIB, 64 * GIB, DEFAULT_LIMITS.conflictsBytesMax, {
      is: 'Bytes of the conflicts in the journal, lost values included. Beyond: oldest first, as above.',
      cost: 'Room in the store; at a start so much is read.',
    }),
    conflictsKeepMs: whole(1000, 366 * DAY_MS, DEFAULT_LIMITS.conflictsKeepMs, {
      is: 'How long a conflict stays in the journal, in milliseconds, by a clock that most peers confirm.',
      cost: 'A longer time keeps more of them, up to the two bounds above.',
    }),
    linkWindowBytes: whole(2 * MIB, 256 * MIB, DEFAULT_LIMITS.linkWindowBytes, {
      is: 'Per link, bytes of batches under way. Beyond: the sender waits, the log keeps the rest.',
      cost: 'Memory per peer; too little caps the rate over a long way: window ÷ round-trip time.',
    }),
  })
  .prefault({})
  .register(optionFacts, { is: 'The bounds of everything that could grow.', expected: 'a mapping of limits' });

const storage = z
  .strictObject({
    segmentBytes: whole(MIB, GIB, 64 * MIB, {
      is: 'A file of the log that has reached it is followed by a new one.',
      cost: 'Smaller ones cost more files and a few milliseconds each; larger ones are given back to the disk later.',
    }),
    tailCacheBytes: whole(MIB, 8 * GIB, 32 * MIB, {
      is: 'Memory for the newest entries of the log, from which peers and subscribers are served.',
      cost: 'Memory; with less, whoever lags further behind reads files.',
    }),
  })
  .prefault({})
  .register(optionFacts, { is: 'How the log is kept on disk.', expected: 'a mapping of storage options' });

const log = z
  .strictObject({
    level: oneOf(LOG_LEVELS, {
      is: 'The least that is written to stderr.',
      cost: 'debug and trace write a line per batch.',
    }).default('info'),
    format: oneOf(['auto', 'json', 'pretty'], {
      is: 'How lines look. auto: pretty on a terminal, JSON otherwise.',
    }).default('auto'),
  })
  .prefault({})
  .register(optionFacts, { is: 'What the process says about itself.', expected: 'a mapping with level and format' });

function optionalFile(is: string, expected: string) {
  return z
    .string()
    .min(1)
    .optional()
    .register(optionFacts, {
      is: `${is} Relative in a file: to the file; elsewhere: to where the process starts.`,
      expected,
      defaultText: 'none',
    });
}

const tracing = z
  .strictObject({
    enabled: yesNo(false, {
      is: 'Record traces (docs/TRACING.md). A trace file switches it on as well.',
      cost: 'Less than 0.1 µs of CPU an op, and about 0.1 ms in all regions together for each write that is recorded.',
    }),
    ratio: z.number().min(0).max(1).default(0.01).register(optionFacts, {
      is: 'Of the writes that come without a trace of their own, so many are recorded, by chance. Those that come in a sampled trace always are.',
      expected: 'a number from 0 to 1',
      cost: '25 bytes in every region’s log, and the above, for each.',
    }),
    writesPerSecondMax: whole(1, 1_000_000, 500, {
      is: 'Recorded writes a second, those of clients’ own traces included. Beyond: not recorded, in any region.',
      cost: 'Keeps a client that samples everything from costing more than its writes do.',
    }),
    ringSpans: whole(0, 1_000_000, 5000, {
      is: 'The last spans of this node that are kept in memory, to be looked at without a collector.',
      cost: 'About 1 KiB of memory each.',
    }),
    file: optionalFile('Spans are appended to it, one JSON document a line.', 'a path of a file'),
    canaryMs: whole(0, 3_600_000, 1000, {
      is: 'While tracing is on, between two canaries to each peer: writes of Causeway’s own that are always recorded and come back. 0: none.',
      cost: 'Two small ops per canary in every region’s log.',
    }),
  })
  .prefault({})
  .register(optionFacts, {
    is: 'Traces of writes.',
    expected: 'a mapping with enabled, ratio, writesPerSecondMax, ringSpans, file and canaryMs',
  });

const otlp = z
  .strictObject({
    endpoint: z
      .string()
      .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol))
      .optional()
      .register(optionFacts, {
        is: 'A collector that takes OTLP over HTTP (protobuf), without the path: traces go to /v1/traces, metrics to /v1/metrics.',
        expected: "an http or https URL, for example 'http://127.0.0.1:4318'",
        defaultText: 'none',
        cost: 'Names of namespaces and collections leave the region with it, never keys or values.',
      }),
    headersFile: optionalFile(
      "Headers of each request, one 'name: value' a line: credentials, which so stand in no configuration.",
      'a path of a file',
    ),
    metricsMs: whole(0, 3_600_000, 0, {
      is: 'Between two pushes of all metrics. 0: none are pushed; /metrics is not affected.',
      cost: 'A push costs what a scrape does.',
    }),
  })
  .prefault({})
  .register(optionFacts, {
    is: 'Where traces and metrics are pushed to.',
    expected: 'a mapping with endpoint, headersFile and metricsMs',
  });

export const ENGINES = ['embedded', 'distributed'] as const;

function serverTls(who: string) {
  return z
    .strictObject({
      ca: pemFile(`The CAs that sign the certificates of ${who}.`).optional(),
      cert: pemFile(`The certificate to show to ${who}.`).optional(),
      key: pemFile("The certificate's private key, without a passphrase.").optional(),
    })
    .optional()
    .register(optionFacts, { is: `TLS towards ${who}.`, expected: 'a mapping with ca, cert and key' });
}

const nats = z
  .strictObject({
    servers: z
      .array(address(1, 'A NATS server of this region.'))
      .default([])
      .register(optionFacts, {
        is: 'The NATS servers of this region, all of one cluster. Required with engine: distributed.',
        expected: `a list of ${ADDRESS_EXPECTED}`,
      }),
    monitors: z
      .array(
        z
          .string()
          .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol))
          .register(optionFacts, { is: 'A monitoring address.', expected: 'an http or https URL' }),
      )
      .default([])
      .register(optionFacts, {
        is: 'Where each server tells of itself (http_port): the only way to learn whether an acknowledgement follows fsync.',
        expected: "a list of http or https URLs, for example 'http://10.0.0.1:8222'",
      }),
    user: z.string().min(1).optional().register(optionFacts, {
      is: 'User name, with passwordFile.',
      expected: 'a name',
      defaultText: 'none',
    }),
    passwordFile: optionalFile('Holds the password of user.', 'a path of a file'),
    nkeyFile: optionalFile('Holds the seed of an nkey (SU…), instead of user.', 'a path of a file'),
    credsFile: optionalFile('Credentials as nsc writes them, instead of user or nkeyFile.', 'a path of a file'),
    tls: serverTls('the NATS servers'),
    domain: named(NAME_PATTERN, NAME_EXPECTED, '').optional().register(optionFacts, {
      is: "JetStream's domain, where the servers have one.",
      expected: NAME_EXPECTED,
      defaultText: 'none',
    }),
    replicas: whole(1, 5, 3, {
      is: 'Of each stream and of the bucket of owners.',
      cost: 'An acknowledgement waits for more than half of them; with 1 the log is as good as one server.',
    }),
    streamBytesMax: whole(16 * MIB, 1024 * GIB, 10 * GIB, {
      is: 'The log of one shard at its largest; JetStream reserves it. At the bound the region is read-only.',
      cost: 'Disk of the NATS servers: shards × replicas × this.',
    }),
    requireDurable: yesNo(true, {
      is: 'Do not start when an acknowledged write would not survive a loss of power: neither three replicas, nor `sync_interval: always` that a monitor confirms.',
      cost: 'false: the node starts all the same, and status says what its acknowledgements are worth.',
    }),
    ownerLeaseMs: whole(500, 60_000, 2000, {
      is: 'How long a node of the region may be silent until the others take its shards. Equal on all of them.',
      cost: 'Shorter finds the dead sooner, and takes the slow for dead more often.',
    }),
  })
  .prefault({})
  .register(optionFacts, {
    is: 'The log and the ownership of engine distributed: NATS with JetStream.',
    expected: 'a mapping with servers and more',
  });

const redis = z
  .strictObject({
    servers: z
      .array(address(1, 'A Redis server, Sentinel or node of a Cluster of this region.'))
      .default([])
      .register(optionFacts, {
        is: 'The Redis of this region: the one server, its Sentinels, or some nodes of its Cluster. Required with engine: distributed.',
        expected: `a list of ${ADDRESS_EXPECTED}`,
      }),
    mode: oneOf(['single', 'sentinel', 'cluster'], { is: 'What `servers` are.' }).default('single'),
    master: named(NAME_PATTERN, NAME_EXPECTED, '').optional().register(optionFacts, {
      is: 'With mode sentinel: the name of the master.',
      expected: NAME_EXPECTED,
      defaultText: 'none',
    }),
    username: z.string().min(1).optional().register(optionFacts, {
      is: 'User of the ACL, with passwordFile.',
      expected: 'a name',
      defaultText: "Redis' default user",
    }),
    passwordFile: optionalFile('Holds the password.', 'a path of a file'),
    tls: serverTls('Redis'),
  })
  .prefault({})
  .register(optionFacts, {
    is: 'The store of engine distributed: Redis.',
    expected: 'a mapping with servers and more',
  });

export const configSchema = z
  .strictObject({
    clusterId: named(
      NAME_PATTERN,
      NAME_EXPECTED,
      'Name of the whole cluster. Nodes of different clusters refuse each other; the data directory remembers it.',
    ),
    region: named(REGION_PATTERN, REGION_EXPECTED, 'Which of the regions this node is.'),
    node: named(NAME_PATTERN, NAME_EXPECTED, "This node's name, for people.").optional().register(optionFacts, {
      is: "This node's name, for people.",
      expected: NAME_EXPECTED,
      defaultText: '<region>-1',
    }),
    engine: oneOf(ENGINES, {
      is: 'What the region stands on. embedded: one node, log and store in dataDir. distributed: several nodes, log on NATS JetStream, store on Redis.',
      cost: 'distributed: two kinds of servers to run, and each write crosses the network twice before it is acknowledged.',
    }).default('embedded'),
    advertise: address(1, '').optional().register(optionFacts, {
      is: 'Where the other nodes of the region, and clients that can, reach the listener for clients of this one (engine distributed).',
      expected: ADDRESS_EXPECTED,
      defaultText: 'listeners.clients.address',
    }),
    dataDir: z.string().min(1).register(optionFacts, {
      is: 'Where the log and the store live. Relative in a file: to the file; elsewhere: to where the process starts. Never shared by two nodes, never on a network file system.',
      expected: 'a path',
      cost: 'Disk: all history until snapshots exist.',
    }),
    listeners: z
      .strictObject({
        clients: listener('127.0.0.1:7400', 'clients'),
        peers: listener('127.0.0.1:7401', 'peer regions'),
        http: httpListener,
      })
      .prefault({})
      .register(optionFacts, { is: 'What the node listens on.', expected: 'a mapping with clients, peers and http' }),
    links,
    regions: z.array(region).min(1).optional().register(optionFacts, {
      is: 'All regions of the cluster, this one included; the same list everywhere.',
      expected: 'a list of at least one region',
      defaultText: 'this region alone',
    }),
    placements: z.array(placement).min(1).optional().register(optionFacts, {
      is: 'Which regions hold what. Equal everywhere.',
      expected: 'a list of at least one placement',
      defaultText: 'one, `default`, id 1, 8 shards, all regions',
    }),
    namespaces: z.array(namespace).default([]).register(optionFacts, {
      is: 'Namespaces and where they are placed. Equal everywhere.',
      expected: 'a list of namespaces',
    }),
    collections: z.array(collection).default([]).register(optionFacts, {
      is: 'Collections and their merge types. Equal everywhere.',
      expected: 'a list of collections',
    }),
    maxSkewMs: whole(50, 600_000, 2000, {
      is: 'A write stamped further ahead than this holds its origin’s stream, with an alarm. Equal everywhere.',
      cost: 'More of it lets a fast clock win over later writes for longer; less stops streams on clocks that NTP keeps poorly.',
    }),
    leaseMs: whole(20, 300_000, 1000, {
      is: 'How far ahead stamps are leased through the log; below maxSkewMs.',
      cost: 'A restart starts up to this far ahead of its clock; a shorter lease appends to the log more often.',
    }),
    heartbeatMs: whole(5, 60_000, 100, {
      is: 'Between heartbeats to each peer.',
      cost: 'Lag of an idle shard and collection of deletes are a heartbeat late; each costs a small frame per peer.',
    }),
    linkCompression: oneOf(['auto', 'always', 'never'], {
      is: 'Whether peers are asked to compress what they send here; auto: those at a round trip of 5 ms and more.',
      cost: 'About a third of the bytes, for one to three microseconds of CPU an op at each end.',
    }).default('auto'),
    storeFlushMs: whole(100, 600_000, 30_000, {
      is: 'What has changed is in the store within about this time; the log has it at once. With engine distributed at most 500: another node may go on from there.',
      cost: 'A crash reads again from the log what the store lacks; less writes a key that changes often more often.',
    }),
    allowFreshStart: yesNo(false, {
      is: 'Take writes with a new or damaged log although no member could be asked.',
      cost: 'Stamps may come out below what peers have seen of this region: only when the peers are known to be gone.',
    }),
    limits,
    storage,
    nats,
    redis,
    log,
    tracing,
    otlp,
  })
  .register(optionFacts, { is: 'A node.', expected: 'a mapping of options' });

/** As the schema gives it back: defaults filled within entries, not yet those that depend on other options. */
export type ParsedConfig = z.output<typeof configSchema>;
export type RegionConfig = z.output<typeof region>;
export type PlacementConfig = z.output<typeof placement>;

/** Complete, checked, frozen. */
export type Config = Readonly<
  Omit<ParsedConfig, 'node' | 'regions' | 'placements'> & {
    readonly node: string;
    readonly regions: readonly RegionConfig[];
    readonly placements: readonly PlacementConfig[];
  }
>;

/** Bytes with a unit, for people. */
export function bytesText(bytes: number): string {
  if (bytes >= GIB && bytes % GIB === 0) return `${bytes / GIB} GiB`;
  if (bytes >= MIB && bytes % MIB === 0) return `${bytes / MIB} MiB`;
  if (bytes >= KIB && bytes % KIB === 0) return `${bytes / KIB} KiB`;
  return grouped(bytes);
}
