import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { configFrom, loadConfig, originText, readConfigFile, type FlagValue } from '../../src/config/load.ts';
import type { Problem } from '../../src/config/problems.ts';
import { isCausewayError, type CausewayError } from '../../src/errors/errors.ts';
import { runTimeId } from '../../src/record/op.ts';

const MINIMAL = 'clusterId: c\nregion: us-east\ndataDir: data\n';

interface Given {
  readonly yaml?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly FlagValue[];
}

function load({ yaml, env = {}, flags = [] }: Given) {
  const file = yaml === undefined ? undefined : { name: 'node.yaml', text: yaml, directory: '/etc/causeway' };
  return loadConfig({ file, env, flags, directory: '/work-dir' });
}

function failure(given: Given): CausewayError {
  try {
    load(given);
  } catch (error) {
    if (isCausewayError(error, 'CONFIG_INVALID')) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

/** The problems as lines, without the head line. */
function lines(given: Given): string[] {
  return failure(given)
    .message.split('\n')
    .slice(1)
    .map((line) => line.trim());
}

const flag = (path: string, text: string): FlagValue => ({ path, flag: `--${path}`, text });

describe('what is left out', () => {
  test('has defaults, also those made from other options', () => {
    const { config } = load({ yaml: MINIMAL });
    expect(config).toMatchObject({
      node: 'us-east-1',
      dataDir: '/etc/causeway/data',
      listeners: {
        clients: { address: '127.0.0.1:7400', insecure: false },
        peers: { address: '127.0.0.1:7401' },
        http: { address: 'off', insecure: false, cacheSeconds: 0 },
      },
      regions: [{ name: 'us-east', peers: ['127.0.0.1:7401'], clients: ['127.0.0.1:7400'] }],
      placements: [{ id: 1, name: 'default', shards: 8, regions: ['us-east'] }],
      namespaces: [],
      collections: [],
      maxSkewMs: 2000,
      leaseMs: 1000,
      heartbeatMs: 100,
      storeFlushMs: 30_000,
      allowFreshStart: false,
      limits: { opsPerRequestMax: 10_000 },
      log: { level: 'info', format: 'auto' },
    });
  });

  test('may have its name written down with nothing behind it', () => {
    expect(load({ yaml: `${MINIMAL}collections:\nlimits:\n` }).config.collections).toEqual([]);
  });

  test('cannot be put in later: the result is frozen', () => {
    const { config } = load({ yaml: MINIMAL });
    expect(() => Object.assign(config.limits, { batchOpsMax: 1 })).toThrow(TypeError);
  });

  test('is named when nothing was given at all', () => {
    expect(lines({}).map((line) => line.split(':')[0])).toEqual(['clusterId', 'region', 'dataDir']);
    expect(failure({}).message).toMatch(/^the configuration has 3 problems:\n/);
  });
});

describe('precedence', () => {
  const yaml = `${MINIMAL}maxSkewMs: 3000\nlog: { level: warn }\n`;

  test('is flags over environment over file over defaults, and each value remembers where it came from', () => {
    const { config, originOf } = load({
      yaml,
      env: { CAUSEWAY_MAX_SKEW_MS: '4000', CAUSEWAY_LEASE_MS: '1500', CAUSEWAY_LOG_LEVEL: 'error' },
      flags: [flag('maxSkewMs', '5000')],
    });
    expect([config.maxSkewMs, config.leaseMs, config.log.level, config.heartbeatMs]).toEqual([
      5000,
      1500,
      'error',
      100,
    ]);
    expect(
      ['maxSkewMs', 'leaseMs', 'log.level', 'heartbeatMs', 'region'].map((path) => originText(originOf(path))),
    ).toEqual(['--maxSkewMs', 'CAUSEWAY_LEASE_MS', 'CAUSEWAY_LOG_LEVEL', 'default', 'node.yaml:2']);
  });

  test('covers lists, written as YAML in a variable', () => {
    const { config } = load({
      yaml,
      env: {
        CAUSEWAY_NAMESPACES: '[{name: demo}]',
        CAUSEWAY_COLLECTIONS: '[{namespace: demo, name: carts, type: set-aw}]',
      },
    });
    expect(config.collections).toEqual([{ namespace: 'demo', name: 'carts', type: 'set-aw', id: 1 }]);
  });

  test('keeps a text a text, whatever it looks like', () => {
    expect(load({ yaml, env: { CAUSEWAY_CLUSTER_ID: '42' } }).config.clusterId).toBe('42');
  });

  test('resolves a relative data directory against its origin', () => {
    expect(load({ yaml }).config.dataDir).toBe('/etc/causeway/data');
    expect(load({ yaml, flags: [flag('dataDir', 'here')] }).config.dataDir).toBe('/work-dir/here');
    expect(load({ yaml, env: { CAUSEWAY_DATA_DIR: '/var/lib/x' } }).config.dataDir).toBe('/var/lib/x');
  });
});

describe('engine: distributed', () => {
  const SERVERS = "nats: { servers: ['n:4222'] }\nredis: { servers: ['r:6379'] }\n";
  const DISTRIBUTED = `${MINIMAL}engine: distributed\nnode: us-east-1\n`;

  test('needs a name of the node, NATS and Redis: all that is missing is told at once', () => {
    expect(lines({ yaml: `${MINIMAL}engine: distributed\n` }).map((line) => line.replace(/; got.*/, ''))).toEqual(
      [
        'nats.servers: expected at least one NATS server, with engine: distributed',
        'redis.servers: expected at least one Redis server, with engine: distributed',
        "node: expected a name of its own for each node of the region: 1 to 64 of A-Z, a-z, 0-9, '_' and '-', with engine: distributed",
      ].map((line) => expect.stringContaining(line) as string),
    );
    const { config } = load({ yaml: `${DISTRIBUTED}${SERVERS}` });
    expect(config).toMatchObject({
      engine: 'distributed',
      nats: { servers: ['n:4222'], replicas: 3, requireDurable: true, ownerLeaseMs: 2000 },
      redis: { servers: ['r:6379'], mode: 'single' },
    });
  });

  test.each<[what: string, yaml: string, line: RegExp]>([
    [
      'two ways to say who it is',
      "nats: { servers: ['n:1'], nkeyFile: a, credsFile: b }\nredis: { servers: ['r:1'] }\n",
      /nats\.credsFile: expected one way/,
    ],
    [
      'a user without a password',
      "nats: { servers: ['n:1'], user: a }\nredis: { servers: ['r:1'] }\n",
      /nats\.user: expected passwordFile beside it/,
    ],
    [
      'a certificate without its key',
      "nats: { servers: ['n:1'], tls: { cert: a } }\nredis: { servers: ['r:1'] }\n",
      /nats\.tls: expected cert and key, or neither; got no key/,
    ],
    [
      'two single Redis servers',
      "nats: { servers: ['n:1'] }\nredis: { servers: ['r:1', 'r:2'] }\n",
      /redis\.servers: expected one server, with mode: single; got 2/,
    ],
    [
      'Sentinels without the name of the master',
      "nats: { servers: ['n:1'] }\nredis: { servers: ['r:1'], mode: sentinel }\n",
      /redis\.master: expected the name of the master/,
    ],
    [
      'an ACL user without a password',
      "nats: { servers: ['n:1'] }\nredis: { servers: ['r:1'], username: a }\n",
      /redis\.username: expected passwordFile/,
    ],
    [
      'no address for the other nodes',
      `${SERVERS}listeners: { clients: { address: '0.0.0.0:7400', insecure: true } }\n`,
      /advertise: expected where the other nodes/,
    ],
  ])('%s is found', (_what, yaml, line) => {
    expect(lines({ yaml: `${DISTRIBUTED}${yaml}` })).toEqual([expect.stringMatching(line)]);
  });

  test('files are found beside the configuration', () => {
    const { config } = load({
      yaml: `${DISTRIBUTED}nats: { servers: ['n:1'], user: a, passwordFile: nats.password, tls: { ca: ca.pem } }\nredis: { servers: ['r:1'], passwordFile: redis.password }\n`,
    });
    expect([config.nats.passwordFile, config.nats.tls?.ca, config.redis.passwordFile]).toEqual([
      '/etc/causeway/nats.password',
      '/etc/causeway/ca.pem',
      '/etc/causeway/redis.password',
    ]);
  });
});

describe('one wrong thing', () => {
  // Each row: what is added to a minimal config, and the one line that must come of it.
  const rows: readonly (readonly [what: string, Given, line: string | RegExp])[] = [
    [
      'an unknown option',
      { yaml: `${MINIMAL}maxSkewMS: 1\n` },
      "node.yaml:4: maxSkewMS: expected an option that exists; got the unknown option 'maxSkewMS' (1). Did you mean 'maxSkewMs'?",
    ],
    [
      'an option in the wrong place',
      { yaml: `${MINIMAL}shards: 16\n` },
      "node.yaml:4: shards: expected an option that exists; got the unknown option 'shards' (16). It belongs in placements[].",
    ],
    [
      'an unknown variable',
      { yaml: MINIMAL, env: { CAUSEWAY_DATADIR: 'x' } },
      'environment: expected variables that begin with CAUSEWAY_ to be options; got CAUSEWAY_DATADIR. Did you mean CAUSEWAY_DATA_DIR?',
    ],
    [
      'an unknown --set',
      { yaml: MINIMAL, flags: [{ path: 'limits.batchOps', flag: '--set limits.batchOps', text: '1' }] },
      "--set limits.batchOps: expected the path of an option; got 'limits.batchOps'. Did you mean 'limits.batchOpsMax'?",
    ],
    [
      'a number out of its range',
      { yaml: `${MINIMAL}limits:\n  opsPerRequestMax: 0\n` },
      'node.yaml:5: limits.opsPerRequestMax: expected a whole number from 1 to 100,000; got 0.',
    ],
    [
      'a number in quotes',
      { yaml: `${MINIMAL}maxSkewMs: "2000"\n` },
      "node.yaml:4: maxSkewMs: expected a whole number from 50 to 600,000; got '2000'. Write the number without quotes.",
    ],
    [
      'a text where a number belongs, from a variable',
      { yaml: MINIMAL, env: { CAUSEWAY_LEASE_MS: 'soon' } },
      "CAUSEWAY_LEASE_MS: leaseMs: expected a whole number from 20 to 300,000; got 'soon'.",
    ],
    [
      'a number where a text belongs',
      { yaml: 'clusterId: 42\nregion: us-east\ndataDir: data\n' },
      /^node\.yaml:1: clusterId: .*got 42\. Put it in quotes: "42"\.$/,
    ],
    [
      'yes for true',
      { yaml: `${MINIMAL}allowFreshStart: yes\n` },
      /^node\.yaml:4: allowFreshStart: expected true or false; got 'yes'\. YAML 1\.2/,
    ],
    [
      'an unknown merge type',
      { yaml: `${MINIMAL}namespaces: [{name: n}]\ncollections:\n- namespace: n\n  name: a\n  type: counter\n` },
      "node.yaml:8: collections[0].type: expected one of register-lww, register-mv, counter-pn, set-aw, map-lww; got 'counter'. Did you mean 'counter-pn'?",
    ],
    [
      'the own region missing from regions',
      { yaml: `${MINIMAL}regions:\n- name: eu\n` },
      "node.yaml:2: region: expected one of the regions listed under regions (eu); got 'us-east'. Add it to regions, or set region to the one that this node belongs to.",
    ],
    [
      'two regions of one name',
      { yaml: `${MINIMAL}regions:\n- {name: us-east, peers: ['a:1']}\n- {name: us-east, peers: ['b:1']}\n` },
      "node.yaml:6: regions[1].name: expected each region once; got 'us-east' again, first in regions[0]. Two regions cannot share a name: rename or remove one.",
    ],
    [
      'a region that nobody could dial',
      { yaml: `${MINIMAL}regions:\n- {name: us-east, peers: ['a:1']}\n- name: eu\n` },
      'node.yaml:6: regions[1].peers: expected at least one address, since there are other regions; got none. Add where the other regions reach eu: the peers listener of its nodes.',
    ],
    [
      'two regions at one address',
      { yaml: `${MINIMAL}regions:\n- {name: us-east, peers: ['localhost:1']}\n- {name: eu, peers: ['127.0.0.1:1']}\n` },
      'node.yaml:6: regions[1].peers[0]: expected an address of its own for every node; got 127.0.0.1:1, which is also regions[0].peers[0]. Give each node its own host or port.',
    ],
    [
      'servers without the engine that needs them',
      { yaml: `${MINIMAL}nats: { servers: ['a:4222'] }\n` },
      'node.yaml:4: nats.servers: expected engine: distributed beside it; got engine: embedded. Set engine to distributed, or remove nats.',
    ],
    [
      'an address without a port',
      { yaml: `${MINIMAL}regions:\n- {name: us-east, peers: [a]}\n` },
      /^node\.yaml:5: regions\[0\]\.peers\[0\]: expected host:port, .*got 'a'\.$/,
    ],
    [
      'an unknown region in a placement',
      { yaml: `${MINIMAL}placements:\n- {id: 1, name: p, regions: [us-east, us-esat]}\n` },
      "node.yaml:5: placements[0].regions[1]: expected one of the regions (us-east); got 'us-esat'. Did you mean 'us-east'?",
    ],
    [
      'a placement id used twice',
      {
        yaml: `${MINIMAL}placements:\n- {id: 1, name: p, regions: [us-east]}\n- {id: 1, name: q, regions: [us-east]}\n`,
      },
      'node.yaml:6: placements[1].id: expected each id once; got 1 again, first in placements[0]. An id stands for one set of regions and shards, for ever: take a new one.',
    ],
    [
      'no placement for the own region',
      {
        yaml: `${MINIMAL}regions: [{name: us-east, peers: ['a:1']}, {name: eu, peers: ['b:1']}]\nplacements:\n- {id: 1, name: p, regions: [eu]}\n`,
      },
      "node.yaml:6: placements: expected at least one placement with the node's own region 'us-east'; got none. Without one the node would hold nothing: add the region to a placement.",
    ],
    [
      'an unknown placement of a namespace',
      { yaml: `${MINIMAL}namespaces:\n- {name: demo, placement: eu-only}\n` },
      "node.yaml:5: namespaces[0].placement: expected one of the placements (default); got 'eu-only'. Add it to placements, or name one that is there.",
    ],
    [
      'a collection of an unknown namespace',
      { yaml: `${MINIMAL}collections:\n- {namespace: demo, name: a, type: set-aw}\n` },
      "node.yaml:5: collections[0].namespace: expected a namespace that is listed under namespaces; got 'demo'. Add it: namespaces: [{ name: demo }].",
    ],
    [
      'a collection twice',
      {
        yaml: `${MINIMAL}namespaces: [{name: n}]\ncollections:\n- {namespace: n, name: a, type: set-aw}\n- {namespace: n, name: a, type: set-aw, id: 2}\n`,
      },
      'node.yaml:7: collections[1].name: expected each collection once; got n/a again, first in collections[0]. A collection has one type and one id at a time: remove one of the two.',
    ],
    [
      'a listener that others can reach',
      { yaml: `${MINIMAL}listeners:\n  clients:\n    address: 0.0.0.0:7400\n` },
      "node.yaml:6: listeners.clients.address: expected TLS on a listener beyond loopback (127.0.0.1, [::1] or localhost); got '0.0.0.0:7400' without it. Give listeners.clients.tls a cert, a key and a ca. If everyone who can reach it may read and write everything, say so with listeners.clients.insecure: true.",
    ],
    [
      'two listeners on one port',
      { yaml: MINIMAL, env: { CAUSEWAY_LISTENERS_PEERS_ADDRESS: 'localhost:7400' } },
      'CAUSEWAY_LISTENERS_PEERS_ADDRESS: listeners.peers.address: expected another port than listeners.clients.address; got localhost:7400. Clients and peers have listeners of their own: give one of them another port.',
    ],
    [
      'HTTP on the port of another listener',
      { yaml: `${MINIMAL}listeners: { http: { address: '127.0.0.1:7401' } }\n` },
      'node.yaml:4: listeners.http.address: expected another port than listeners.peers.address; got 127.0.0.1:7401. HTTP has a listener of its own: give it another port, or set it to off.',
    ],
    [
      'an address of HTTP that is neither one nor off',
      { yaml: MINIMAL, env: { CAUSEWAY_LISTENERS_HTTP_ADDRESS: 'on' } },
      /^CAUSEWAY_LISTENERS_HTTP_ADDRESS: listeners\.http\.address: expected off, or host:port/,
    ],
    [
      'HTTP that others can reach',
      { yaml: `${MINIMAL}listeners: { http: { address: '[::]:7402' } }\n` },
      /listeners\.http\.address: expected TLS on a listener beyond loopback .* listeners\.http\.insecure: true/,
    ],
    [
      'a port that other regions could not know',
      {
        yaml: `${MINIMAL}listeners: { peers: { address: '127.0.0.1:0' } }\nregions: [{name: us-east, peers: ['a:1']}, {name: eu, peers: ['b:1']}]\n`,
      },
      /^node\.yaml:4: listeners\.peers\.address: expected a fixed port, since other regions dial it; got 127\.0\.0\.1:0\./,
    ],
    [
      'a lease as long as the skew',
      { yaml: `${MINIMAL}leaseMs: 2000\n` },
      'node.yaml:4: leaseMs: expected less than maxSkewMs (2000); got 2000. A restart starts a lease ahead of its clock; its peers would hold its writes as coming from the future.',
    ],
    [
      'a batch larger than what it must fit in',
      { yaml: `${MINIMAL}limits: { batchBytesMax: 16777216, linkWindowBytes: 16777216 }\n` },
      'node.yaml:4: limits.parkedBytesMax: expected at least limits.batchBytesMax (16777216); got 8388608. Otherwise one batch of the allowed size could never pass.',
    ],
    [
      'an option twice',
      { yaml: `${MINIMAL}region: eu\n` },
      'node.yaml:4:1: expected each option once; got the same key a second time. Remove one of the two.',
    ],
    [
      'tabs',
      { yaml: `${MINIMAL}log:\n\tlevel: info\n` },
      /^node\.yaml:5:1: expected YAML; got tabs are not allowed as indentation\. Indent with spaces\.$/,
    ],
    [
      'a list instead of options',
      { yaml: '- 1\n' },
      "node.yaml:1: expected a mapping of options; got a list of 1. Write one 'option: value' per line.",
    ],
    [
      'a mapping where one value belongs',
      { yaml: `${MINIMAL}log:\n- info\n` },
      'node.yaml:5: log: expected a mapping with level and format; got a list of 1.',
    ],
  ];

  test.each(rows)('%s', (_what, given, line) => {
    expect(lines(given)).toEqual([typeof line === 'string' ? line : expect.stringMatching(line)]);
  });

  test('every one of them exits with the code for configuration, and programs get it in pieces', () => {
    const error = failure({ yaml: `${MINIMAL}leaseMs: 2000\n` });
    expect(error.exitCode).toBe(3);
    expect(error.outcome).toBe('not-applied');
    const { problems } = error.details as { readonly problems: readonly Problem[] };
    expect(problems[0]).toMatchObject({ path: 'leaseMs', where: 'node.yaml:4', got: '2000' });
  });
});

test('all problems are reported at once, those of the file from its top down, each with its source', () => {
  const found = lines({
    yaml: `clusterId: c
regoin: us-east
maxSkewMs: 5
regions:
  - { name: us-east, peers: ['127.0.0.1:7401'] }
  - { name: us-west }
  - { name: us-west, peers: ['127.0.0.1:7403'] }
namespaces:
  - { name: demo, placement: defalt }
collections:
  - { namespace: demo, name: likes, type: register-lwv }
  - { namespace: dmo, name: likes, type: counter-pn }
  - { namespace: demo, name: likes, type: counter-pn, ttl: 5 }
`,
    env: { CAUSEWAY_HEARTBEAT_MS: 'fast' },
    flags: [flag('log.level', 'loud')],
  });
  expect(found.map((line) => /^(\S+ ?\S*): expected/.exec(line)?.[1])).toEqual([
    'node.yaml:2: regoin',
    'node.yaml:3: maxSkewMs',
    'node.yaml:6: regions[1].peers',
    'node.yaml:7: regions[2].name',
    'node.yaml:9: namespaces[0].placement',
    'node.yaml:11: collections[0].type',
    'node.yaml:12: collections[1].namespace',
    'node.yaml:13: collections[2].ttl',
    'node.yaml:13: collections[2].name',
    'node.yaml: region',
    'node.yaml: dataDir',
    'CAUSEWAY_HEARTBEAT_MS: heartbeatMs',
    '--log.level: log.level',
  ]);
});

test('text that is not YAML is said to be so at its line and column, every mistake of it', () => {
  expect(lines({ yaml: 'a: [1\nb: 2\n\tc: 3\n' })).toEqual([
    expect.stringMatching(/^node\.yaml:2:1: expected YAML; got flow sequence/),
    expect.stringMatching(/^node\.yaml:3:1: expected YAML; got tabs/),
  ]);
});

test('aliases that multiply are refused', () => {
  const bomb = [
    'a: &a [x, x, x, x, x, x, x, x]',
    ...'bcdefgh'.split('').map((name, i) => `${name}: &${name} [${`*${'abcdefgh'[i]}, `.repeat(8)}]`),
  ];
  expect(lines({ yaml: bomb.join('\n') })).toEqual([
    expect.stringMatching(/^node\.yaml: expected YAML of a sensible size; got excessive alias count/),
  ]);
});

test('hostile names do not reach the terminal or the prototype', () => {
  expect(failure({ yaml: `${MINIMAL}"\\u001b[2Jx": 1\n` }).message).not.toContain('\u001b');
  expect(lines({ yaml: `${MINIMAL}__proto__: { polluted: 1 }\n` })).toEqual([
    expect.stringContaining("unknown option '__proto__'"),
  ]);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

test("names and ids that are Causeway's own: its namespace, and ids of run time with another merge type", () => {
  const named = `${MINIMAL}namespaces: [{ name: _system }]\n`;
  expect(lines({ yaml: named })).toEqual([expect.stringContaining('Causeway keeps its own keys there')]);
  const collection = (id: number, type: string): string =>
    `${MINIMAL}namespaces: [{ name: shop }]\ncollections: [{ namespace: shop, name: carts, type: ${type}, id: ${id} }]\n`;
  const id = runTimeId(2, 'set-aw');
  expect(load({ yaml: collection(id, 'set-aw') }).config.collections[0]?.id).toBe(id);
  expect(lines({ yaml: collection(id, 'map-lww') })).toEqual([
    expect.stringContaining('expected type set-aw, which is in this id'),
  ]);
});

test("Kubernetes' variables for a Service named causeway are not taken for mistakes", () => {
  const env = {
    CAUSEWAY_SERVICE_HOST: '10.0.0.1',
    CAUSEWAY_SERVICE_PORT: '7400',
    CAUSEWAY_SERVICE_PORT_CLIENTS: '7400',
    CAUSEWAY_PORT: 'tcp://10.0.0.1:7400',
    CAUSEWAY_PORT_7400_TCP: 'tcp://10.0.0.1:7400',
    CAUSEWAY_PORT_7400_TCP_ADDR: '10.0.0.1',
    CAUSEWAY_EU_WEST_SERVICE_HOST: '10.0.0.2',
  };
  expect(load({ yaml: MINIMAL, env }).config.region).toBe('us-east');
});

test('a file that cannot be read is named, with what to do', () => {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-config-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const missing = join(directory, 'none.yaml');
  expect(() => readConfigFile(missing)).toThrow(`cannot read the config file ${missing}: there is no such file`);
  expect(() => readConfigFile(directory)).toThrow(`cannot read the config file ${directory}: it is a directory`);
});

test('a program may make a configuration as an object', () => {
  expect(configFrom({ clusterId: 'c', region: 'r', dataDir: 'd' }, '/somewhere').dataDir).toBe('/somewhere/d');
  expect(() => configFrom({ clusterId: '', region: 'r', dataDir: 'd' })).toThrow('the configuration has one problem');
});
