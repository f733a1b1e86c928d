// deploy/compose.regions.yaml: a compose file by the specification's own schema, whose nodes have a valid configuration, and whose servers are set as
// docs/OPERATIONS.md asks for. The suite in containers runs the same files of settings.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv, type AnySchemaObject } from 'ajv';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig, readConfigFile } from '../../src/config/load.ts';
import { settingsHash } from '../../src/config/hash.ts';
import type { Config } from '../../src/config/schema.ts';
import { packageRoot } from '../../src/config/version.ts';
import { natsFound, redisFound } from '../support/servers.ts';
import { cli } from '../support/cli.ts';

const deploy = join(packageRoot(), 'deploy');
const read = (path: string): string => readFileSync(join(deploy, path), 'utf8');

interface Service {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly networks: readonly string[] | Readonly<Record<string, { readonly aliases: readonly string[] }>>;
  readonly ports?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly stop_grace_period?: string;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** `NAME=value` lines, as --env-file takes them. */
function envFile(name: string): Record<string, string> {
  const lines = read(`regions/${name}.env`)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** The file as compose reads it: merged, then variables put in. Throws on a variable that must be given and is not. */
function composed(file: string, env: Readonly<Record<string, string>>): Compose {
  const put = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(put);
    if (value !== null && typeof value === 'object')
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, put(each)]));
    return typeof value === 'string' ? withVariables(value, env) : value;
  };
  return put(parse(read(file), { merge: true })) as Compose;
}

function withVariables(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{(\w+)(?:(:-|:\?)([^}]*))?\}/g, (_, name: string, kind = '', rest = '') => {
    const value = env[name] ?? '';
    if (value !== '') return value;
    if (kind === ':?') throw new Error(`${name}: ${rest}`);
    return rest;
  });
}

function networksOf({ networks }: Service): string[] {
  return Array.isArray(networks) ? [...(networks as string[])] : Object.keys(networks);
}

const REGIONS = ['eu-west', 'us-east', 'us-west'];
const VARIANTS = ['full', 'small'] as const;

describe('the schema', () => {
  const schema = createRequire(import.meta.url)('docker-compose/schema/compose-spec.json') as AnySchemaObject;
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const { $schema: _, ...rules } = schema;
  const validate = ajv.compile(rules);
  const problems = (document: unknown): string[] => {
    if (validate(document) === true) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  };

  test.each(VARIANTS)('compose.regions.yaml with %s.env is what the specification allows', (variant) => {
    expect(problems(composed('compose.regions.yaml', envFile(variant)))).toEqual([]);
  });

  test('so is compose.yaml', () => {
    expect(problems(parse(read('compose.yaml'), { merge: true }))).toEqual([]);
  });

  test('it finds what is wrong', () => {
    const right = { image: 'x', healthcheck: { interval: '5s' }, read_only: true };
    const wrong = { image: 'x', helthcheck: {}, healthcheck: { intervall: '5s' }, read_only: [] };
    expect(problems({ services: { right } })).toEqual([]);
    expect(problems({ services: { wrong } }).map((problem) => problem.split(' ')[0])).toEqual(
      expect.arrayContaining(['/services/wrong', '/services/wrong/healthcheck', '/services/wrong/read_only']),
    );
  });
});

test('without one of the two files of variables it says which to take', () => {
  expect(() => composed('compose.regions.yaml', {})).toThrow(/full\.env, or small\.env/);
});

describe.each(VARIANTS)('with %s.env', (variant) => {
  const env = envFile(variant);
  const { services: all, networks, volumes } = composed('compose.regions.yaml', env);
  const services = Object.entries(all).filter(
    ([, { profiles }]) => profiles === undefined || profiles.includes(env['COMPOSE_PROFILES']!),
  );
  const ofKind = (kind: RegExp): [string, Service][] => services.filter(([name]) => kind.test(name));
  const nodes = ofKind(/-[12]$/).filter(([name]) => !name.includes('nats'));

  test('each region has its NATS, its Redis and two nodes', () => {
    const nats = variant === 'full' ? ['nats-1', 'nats-2', 'nats-3'] : ['nats'];
    for (const region of REGIONS) {
      const own = services.map(([name]) => name).filter((name) => name.startsWith(`${region}-`));
      expect(own.toSorted()).toEqual([...nats, 'redis', '1', '2'].map((each) => `${region}-${each}`).toSorted());
    }
    expect(services).toHaveLength(REGIONS.length * (nats.length + 3));
  });

  test('what belongs to a region stays on its network; nodes alone are on the one between', () => {
    for (const [name, service] of services) {
      const region = REGIONS.find((each) => name.startsWith(`${each}-`))!;
      const isNode = nodes.some(([node]) => node === name);
      expect(networksOf(service), name).toEqual(isNode ? [region, 'between'] : [region]);
    }
    expect(networks['between']).toEqual({ internal: true });
    expect(Object.keys(networks).toSorted()).toEqual([...REGIONS, 'between'].toSorted());
  });

  test('all of them: a root that is read-only, no rights, exact versions, time to end, a volume of its own', () => {
    const used: string[] = [];
    for (const [name, service] of services) {
      expect(service.read_only, name).toBe(true);
      expect(service.cap_drop, name).toEqual(['ALL']);
      expect(service.security_opt, name).toEqual(['no-new-privileges:true']);
      expect(Number.parseInt(service.stop_grace_period ?? '0', 10), name).toBeGreaterThanOrEqual(20);
      if (service.image !== 'causeway') expect(service.image, name).toMatch(/^[\w./-]+:\d+\.\d+\.\d+-\w+$/);
      // A node's is in its image.
      expect(service.healthcheck !== undefined || service.image === 'causeway', name).toBe(true);
      for (const volume of service.volumes) {
        const [from = '', , mode] = volume.split(':');
        if (from.startsWith('.')) expect([existsSync(join(deploy, from)), mode], volume).toEqual([true, 'ro']);
        else used.push(from);
      }
    }
    expect(new Set(used).size).toBe(used.length);
    expect(used.filter((name) => !Object.hasOwn(volumes, name))).toEqual([]);
  });

  test('nodes are reached from this machine alone, each at ports of its own, and have longer to end than a drain takes', () => {
    const ports = services.flatMap(([, { ports: published = [] }]) => published);
    expect(ports).toHaveLength(2 * nodes.length);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:740[02]$/);
    expect(new Set(ports.map((port) => port.split(':')[1])).size).toBe(ports.length);
    for (const [name, { stop_grace_period: grace }] of nodes)
      expect(Number.parseInt(grace!, 10), name).toBeGreaterThan(15);
  });

  describe('the nodes', () => {
    const environment = ([, service]: [string, Service]): Record<string, string> => ({
      ...service.environment,
      // Of the image.
      CAUSEWAY_DATA_DIR: '/data',
    });
    const configs = new Map<string, Config>();

    beforeAll(() => {
      for (const node of nodes) {
        const file = readConfigFile(join(deploy, 'regions/node.yaml'));
        configs.set(node[0], loadConfig({ file, env: environment(node), flags: [], directory: '/' }).config);
      }
    });

    test('have a configuration that `causeway config check` takes', async () => {
      const results = await Promise.all(
        nodes
          .filter(([name]) => name.endsWith('-1'))
          .map((node) =>
            cli(['config', 'check', join(deploy, 'regions/node.yaml'), '--json'], { env: environment(node) }),
          ),
      );
      for (const { code, stdout, stderr } of results) {
        expect(code, stderr).toBe(0);
        expect(JSON.parse(stdout)).toMatchObject({ ok: true });
      }
    });

    test('are of one cluster, each under its service name, where the others look for it', () => {
      expect(new Set([...configs.values()].map((config) => settingsHash(config))).size).toBe(1);
      for (const [name, config] of configs) {
        expect(config).toMatchObject({ node: name, advertise: `${name}:7400`, engine: 'distributed' });
        const own = config.regions.find((region) => region.name === config.region)!;
        expect(own.peers).toContain(`${name}:7401`);
        expect(own.clients).toContain(`${name}:7400`);
        expect(own.http).toContain(`${name}:7402`);
      }
      const listed = [...configs.values()][0]!.regions.flatMap(({ clients }) => clients);
      expect(listed.toSorted()).toEqual([...configs.keys()].map((name) => `${name}:7400`).toSorted());
    });

    test('find their servers on their network', () => {
      for (const [name, { nats, redis, region }] of configs) {
        const aliases = services.flatMap(([, { networks: on }]) =>
          Array.isArray(on)
            ? []
            : ((on as Record<string, { aliases: readonly string[] }>)[region]?.aliases ?? []).map((alias) => alias),
        );
        expect(
          nats.servers.map((server) => server.replace(':4222', '')),
          name,
        ).toEqual(aliases.filter((alias) => alias.startsWith('nats')));
        expect(nats.monitors).toEqual(nats.servers.map((server) => `http://${server.replace(':4222', ':8222')}`));
        expect(redis.servers).toEqual(['redis:6379']);
        expect(aliases).toContain('redis');
        expect(nats.replicas).toBe(variant === 'full' ? 3 : 1);
        expect(nats.requireDurable).toBe(true);
      }
    });
  });

  test('NATS is set as docs/OPERATIONS.md asks for, and takes its file', () => {
    const [[, service]] = ofKind(/-nats(?:-1)?$/) as [[string, Service]];
    const path = service.volumes.find((volume) => volume.includes('/etc/nats/'))!.split(':')[0]!;
    expect(service.command).toEqual(['--config', service.volumes.find((each) => each.startsWith('./'))!.split(':')[1]]);
    const text = read(path);
    const setting = (name: string): string | undefined => new RegExp(`^\\s*${name}: (.+)$`, 'm').exec(text)?.[1];
    expect(setting('max_payload')).toBe('20MB');
    expect(setting('sync_interval')).toBe('always');
    expect(setting('http_port')).toBe('8222');
    const { placements, nats } = loadConfig({
      file: readConfigFile(join(deploy, 'regions/node.yaml')),
      env: { ...nodes[0]![1].environment, CAUSEWAY_DATA_DIR: '/data' },
      flags: [],
      directory: '/',
    }).config;
    const reserved = placements.reduce((sum, { shards }) => sum + shards, 0) * nats.streamBytesMax;
    expect(Number.parseInt(setting('max_file')!, 10) * 1e9).toBeGreaterThan(reserved);
    if (typeof natsFound === 'string') return;
    const checked = spawnSync(natsFound.path, ['-t', '-c', join(deploy, path)], {
      encoding: 'utf8',
      env: { ...process.env, ...service.environment },
    });
    expect(checked.status, checked.stderr).toBe(0);
  });
});

test('every test that docs/OPERATIONS.md names behind a failure is there', () => {
  const text = readFileSync(join(packageRoot(), 'docs/OPERATIONS.md'), 'utf8');
  const table = text.slice(text.indexOf('**What each failure looks like.**'), text.indexOf("## Node's own flags"));
  const named = [...table.matchAll(/`([a-z-]+\/[a-z-]+\.(?:test|suite)\.ts)`/g)].map(([, path]) => path!);
  expect(named.length).toBeGreaterThan(10);
  for (const path of named) expect(existsSync(join(packageRoot(), 'test', path)), path).toBe(true);
});

test('Redis is set as docs/OPERATIONS.md asks for', () => {
  const lines = read('regions/redis.conf').split('\n');
  expect(lines).toContain('maxmemory-policy noeviction');
  expect(lines.find((line) => line.startsWith('appendonly'))).toBe('appendonly yes');
});

test.skipIf(typeof redisFound === 'string')('Redis takes its file', () => {
  if (typeof redisFound === 'string') return;
  // It has no way to check a file alone: it reads until the first line that it does not take, which is one of ours, behind all others.
  const nowhere = "dir '/causeway/is/not/here'";
  const lines = read('regions/redis.conf').replace('dir /data\n', '');
  const { stdout, stderr } = spawnSync(redisFound.path, ['-'], {
    input: `${lines}${nowhere}\n`,
    encoding: 'utf8',
    env: { ...process.env, ...redisFound.env },
    timeout: 10_000,
  });
  expect(`${stdout}${stderr}`).toContain(`>>> '${nowhere}'`);
});
