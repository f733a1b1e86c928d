// What must fit together across options. Works on whatever parts are valid by themselves, so that one run finds all there
// is to mend: a part that is wrong or missing is simply not looked at here.

import { SYSTEM_NAMESPACE } from '../record/ids.ts';
import { mergeTypeOfCode, runTimeIdParts } from '../record/op.ts';
import { formatAddress, isLoopback, isWildcard, parseAddress, type Address } from './address.ts';
import { shown, type Finding, type Path } from './problems.ts';
import type { ParsedConfig } from './schema.ts';
import { closest } from './suggest.ts';

/** The valid parts of a config; everything else is undefined. Lists keep their places. */
export type Parts<T> = T extends readonly (infer E)[]
  ? readonly (Parts<E> | undefined)[]
  : T extends object
    ? { readonly [K in keyof T]?: Parts<T[K]> | undefined }
    : T;

export function crossChecks(parts: Parts<ParsedConfig>): Finding[] {
  return [
    ...checkRegions(parts),
    ...checkPlacements(parts),
    ...checkNamespaces(parts),
    ...checkCollections(parts),
    ...checkListeners(parts),
    ...checkLinks(parts),
    ...checkTimes(parts),
    ...checkLimits(parts),
    ...checkOtlp(parts),
    ...checkEngine(parts),
  ];
}

function checkRegions({ region, regions }: Parts<ParsedConfig>): Finding[] {
  if (regions === undefined) return [];
  const findings = repeated(
    regions,
    'regions',
    'name',
    'each region once',
    'Two regions cannot share a name: rename or remove one.',
  );
  const names = present(regions.map((each) => each?.name));
  // With an entry that has no valid name, the missing one may be that one.
  if (region !== undefined && !names.includes(region) && names.length === regions.length) {
    findings.push({
      at: ['region'],
      expected: `one of the regions listed under regions (${names.join(', ')})`,
      got: shown(region),
      remedy: didYouMean(region, names, `Add it to regions, or set region to the one that this node belongs to.`),
    });
  }
  const seen = new Map<string, string>();
  for (const [i, each] of regions.entries()) {
    if (each?.peers === undefined) continue;
    if (each.peers.length === 0 && regions.length > 1) {
      findings.push({
        at: ['regions', i, 'peers'],
        expected: 'at least one address, since there are other regions',
        got: 'none',
        remedy: `Add where the other regions reach ${each.name ?? 'it'}: the peers listener of its nodes.`,
      });
    }
    for (const [j, address] of each.peers.entries()) {
      if (address === undefined) continue;
      const canonical = canonicalAddress(address);
      const first = seen.get(canonical);
      if (first !== undefined) {
        findings.push({
          at: ['regions', i, 'peers', j],
          expected: 'an address of its own for every node',
          got: `${address}, which is also ${first}`,
          remedy: 'Give each node its own host or port.',
        });
      } else {
        seen.set(canonical, `regions[${i}].peers[${j}]`);
      }
    }
  }
  return findings;
}

function checkPlacements({ region, regions, placements }: Parts<ParsedConfig>): Finding[] {
  if (placements === undefined) return [];
  const findings = [
    ...repeated(
      placements,
      'placements',
      'id',
      'each id once',
      'An id stands for one set of regions and shards, for ever: take a new one.',
    ),
    ...repeated(placements, 'placements', 'name', 'each name once', 'Rename or remove one.'),
  ];
  const known = regions === undefined ? present([region]) : present(regions.map((each) => each?.name));
  const knowsAll = known.length === (regions?.length ?? 1);
  for (const [i, placement] of placements.entries()) {
    const seen = new Set<string>();
    for (const [j, name] of (placement?.regions ?? []).entries()) {
      if (name === undefined) continue;
      const at = ['placements', i, 'regions', j];
      if (seen.has(name)) {
        findings.push({
          at,
          expected: 'each region once',
          got: `${shown(name)} again`,
          remedy: 'Remove one of the two.',
        });
      } else if (knowsAll && !known.includes(name)) {
        findings.push({
          at,
          expected: `one of the regions (${known.join(', ')})`,
          got: shown(name),
          remedy: didYouMean(name, known, 'Add it to regions, or take it out here.'),
        });
      }
      seen.add(name);
    }
  }
  const complete = placements.every((each) => each?.regions?.every((name) => name !== undefined) === true);
  if (
    complete &&
    region !== undefined &&
    known.includes(region) &&
    !placements.some((each) => each?.regions?.includes(region) === true)
  ) {
    findings.push({
      at: ['placements'],
      expected: `at least one placement with the node's own region '${region}'`,
      got: 'none',
      remedy: 'Without one the node would hold nothing: add the region to a placement.',
    });
  }
  return findings;
}

function checkNamespaces({ placements, namespaces }: Parts<ParsedConfig>): Finding[] {
  if (namespaces === undefined) return [];
  const findings = repeated(namespaces, 'namespaces', 'name', 'each namespace once', 'Rename or remove one.');
  for (const [i, namespace] of namespaces.entries()) {
    if (namespace?.name !== SYSTEM_NAMESPACE) continue;
    findings.push({
      at: ['namespaces', i, 'name'],
      expected: 'a name of your own',
      got: shown(SYSTEM_NAMESPACE),
      remedy: 'Rename it: Causeway keeps its own keys there.',
    });
  }
  const known = placements === undefined ? ['default'] : present(placements.map((each) => each?.name));
  if (placements !== undefined && known.length < placements.length) return findings;
  for (const [i, namespace] of namespaces.entries()) {
    const name = namespace?.placement;
    if (name === undefined || known.includes(name)) continue;
    findings.push({
      at: ['namespaces', i, 'placement'],
      expected: `one of the placements (${known.join(', ')})`,
      got: shown(name),
      remedy: didYouMean(name, known, 'Add it to placements, or name one that is there.'),
    });
  }
  return findings;
}

function checkCollections({ namespaces, collections }: Parts<ParsedConfig>): Finding[] {
  if (collections === undefined) return [];
  const findings: Finding[] = [];
  const known = present((namespaces ?? []).map((each) => each?.name));
  const knowsAll = namespaces !== undefined && known.length === namespaces.length;
  const seen = new Map<string, number>();
  for (const [i, collection] of collections.entries()) {
    const { namespace, name } = collection ?? {};
    if (namespace === undefined) continue;
    if (knowsAll && !known.includes(namespace)) {
      findings.push({
        at: ['collections', i, 'namespace'],
        expected:
          known.length === 0
            ? 'a namespace that is listed under namespaces'
            : `one of the namespaces (${known.join(', ')})`,
        got: shown(namespace),
        remedy: didYouMean(namespace, known, `Add it: namespaces: [{ name: ${namespace} }].`),
      });
    }
    if (name === undefined) continue;
    const { id = 1, type } = collection ?? {};
    const typeOfId = mergeTypeOfCode(runTimeIdParts(id)?.typeCode ?? -1);
    if (runTimeIdParts(id) !== undefined && type !== undefined && typeOfId !== type) {
      findings.push({
        at: ['collections', i, 'id'],
        expected: typeOfId === undefined ? 'an id below 2147483648' : `type ${typeOfId}, which is in this id`,
        got: `${id} with type ${type}`,
        remedy: 'Take id and type as `causeway collection show` prints them, or an id of your own below 2147483648.',
      });
    }
    const full = `${namespace}/${name}`;
    const first = seen.get(full);
    if (first !== undefined) {
      findings.push({
        at: ['collections', i, 'name'],
        expected: 'each collection once',
        got: `${full} again, first in collections[${first}]`,
        remedy: 'A collection has one type and one id at a time: remove one of the two.',
      });
    } else {
      seen.set(full, i);
    }
  }
  return findings;
}

function checkListeners({ listeners, regions }: Parts<ParsedConfig>): Finding[] {
  const findings: Finding[] = [];
  const addresses = new Map<string, Address>();
  for (const name of ['clients', 'peers', 'http'] as const) {
    const listener = listeners?.[name];
    const address = listener?.address === undefined ? undefined : parseAddress(listener.address);
    if (address === undefined) continue;
    addresses.set(name, address);
    if (!isLoopback(address.host) && listener?.insecure === false && listener.tls === undefined) {
      findings.push({
        at: ['listeners', name, 'address'],
        expected: 'TLS on a listener beyond loopback (127.0.0.1, [::1] or localhost)',
        got: `${shown(listener.address)} without it`,
        remedy: `Give listeners.${name}.tls a cert, a key and a ca. If everyone who can reach it may read and write everything, say so with listeners.${name}.insecure: true.`,
      });
    }
    findings.push(...checkListenerTls(name, listener));
  }
  const { clients, peers, http } = Object.fromEntries(addresses);
  if (clients !== undefined && peers !== undefined && collide(clients, peers)) {
    findings.push({
      at: ['listeners', 'peers', 'address'],
      expected: 'another port than listeners.clients.address',
      got: formatAddress(peers),
      remedy: 'Clients and peers have listeners of their own: give one of them another port.',
    });
  }
  for (const [name, other] of Object.entries({ clients, peers })) {
    if (http === undefined || other === undefined || !collide(http, other)) continue;
    findings.push({
      at: ['listeners', 'http', 'address'],
      expected: `another port than listeners.${name}.address`,
      got: formatAddress(http),
      remedy: 'HTTP has a listener of its own: give it another port, or set it to off.',
    });
  }
  if (peers?.port === 0 && regions !== undefined && regions.length > 1) {
    findings.push({
      at: ['listeners', 'peers', 'address'],
      expected: 'a fixed port, since other regions dial it',
      got: formatAddress(peers),
      remedy: 'Use the port that stands in the peers of this region under regions.',
    });
  }
  return findings;
}

function checkListenerTls(
  name: 'clients' | 'peers' | 'http',
  listener: NonNullable<Parts<ParsedConfig>['listeners']>['clients' | 'http'],
): Finding[] {
  const { tls, insecure } = listener ?? {};
  if (tls === undefined) return [];
  const findings: Finding[] = [];
  if (insecure === true) {
    findings.push({
      at: ['listeners', name, 'insecure'],
      expected: 'no insecure: true beside tls',
      got: 'both',
      remedy: 'With tls nobody gets in without it: remove insecure.',
    });
  }
  if (tls.clientCert === 'required' && tls.ca === undefined) {
    findings.push({
      at: ['listeners', name, 'tls'],
      expected: 'ca, since those who connect must show a certificate (clientCert: required)',
      got: 'none',
      remedy: `Add the CA that signs their certificates, or say clientCert: none.`,
    });
  }
  return findings;
}

function checkLinks({ links, listeners, regions }: Parts<ParsedConfig>): Finding[] {
  const tls = links?.tls;
  const findings: Finding[] = [];
  if (tls !== undefined && (tls.cert === undefined) !== (tls.key === undefined)) {
    const lacks = tls.cert === undefined ? 'cert' : 'key';
    findings.push({
      at: ['links', 'tls'],
      expected: 'cert and key, or neither',
      got: `no ${lacks}`,
      remedy: `Add ${lacks}, or remove the other.`,
    });
  }
  // A region whose links are encrypted one way only is a mistake in waiting.
  if (
    tls !== undefined &&
    listeners?.peers !== undefined &&
    listeners.peers.tls === undefined &&
    (regions?.length ?? 1) > 1
  ) {
    findings.push({
      at: ['links', 'tls'],
      expected: 'listeners.peers.tls as well',
      got: 'TLS only where this node dials',
      remedy: 'Other regions dial this one in the same way: give listeners.peers its own tls.',
    });
  }
  return findings;
}

function checkTimes({ leaseMs, maxSkewMs }: Parts<ParsedConfig>): Finding[] {
  if (leaseMs === undefined || maxSkewMs === undefined || leaseMs < maxSkewMs) return [];
  return [
    {
      at: ['leaseMs'],
      expected: `less than maxSkewMs (${maxSkewMs})`,
      got: String(leaseMs),
      remedy: 'A restart starts a lease ahead of its clock; its peers would hold its writes as coming from the future.',
    },
  ];
}

function checkOtlp({ otlp }: Parts<ParsedConfig>): Finding[] {
  if (otlp === undefined || otlp.endpoint !== undefined) return [];
  const without = otlp.headersFile !== undefined ? 'headersFile' : (otlp.metricsMs ?? 0) > 0 ? 'metricsMs' : undefined;
  if (without === undefined) return [];
  return [
    {
      at: ['otlp', without],
      expected: 'an endpoint beside it',
      got: 'none',
      remedy: 'Set otlp.endpoint to the collector, for example http://127.0.0.1:4318.',
    },
  ];
}

/** As a part of a subject and of a key of NATS. */
const NODE_ID = /^[A-Za-z0-9_-]{1,64}$/;

function checkEngine(parts: Parts<ParsedConfig>): Finding[] {
  const { engine, nats, redis } = parts;
  if (engine === undefined) return [];
  const findings: Finding[] = [];
  if (engine === 'embedded') {
    for (const [name, servers] of [
      ['nats', nats?.servers],
      ['redis', redis?.servers],
    ] as const) {
      if (servers === undefined || servers.length === 0) continue;
      findings.push({
        at: [name, 'servers'],
        expected: 'engine: distributed beside it',
        got: 'engine: embedded',
        remedy: `Set engine to distributed, or remove ${name}.`,
      });
    }
    return findings;
  }
  for (const [name, what, servers] of [
    ['nats', 'NATS server', nats?.servers],
    ['redis', 'Redis server', redis?.servers],
  ] as const) {
    if (servers?.length !== 0) continue;
    findings.push({
      at: [name, 'servers'],
      expected: `at least one ${what}, with engine: distributed`,
      got: 'none',
      remedy: `Name those of this region: ${name}: { servers: [host:port] }.`,
    });
  }
  return [...findings, ...checkNode(parts), ...checkNats(nats), ...checkRedis(redis)];
}

function checkNode({ node, listeners, advertise, region }: Parts<ParsedConfig>): Finding[] {
  const findings: Finding[] = [];
  if (node === undefined || !NODE_ID.test(node)) {
    findings.push({
      at: ['node'],
      expected:
        "a name of its own for each node of the region: 1 to 64 of A-Z, a-z, 0-9, '_' and '-', with engine: distributed",
      got: node === undefined ? 'none' : shown(node),
      remedy: `Name it, for example ${region ?? 'region'}-1, and the next one ${region ?? 'region'}-2.`,
    });
  }
  const clients = listeners?.clients?.address === undefined ? undefined : parseAddress(listeners.clients.address);
  if (clients !== undefined && advertise === undefined && isWildcard(clients.host)) {
    findings.push({
      at: ['advertise'],
      expected: 'where the other nodes of the region reach this one, since listeners.clients.address is every address',
      got: 'none',
      remedy: 'Set advertise to the host name and port of this node.',
    });
  }
  return findings;
}

function checkNats(nats: Parts<ParsedConfig>['nats']): Finding[] {
  if (nats === undefined) return [];
  const findings = checkPair('nats', nats.tls);
  if ((nats.user === undefined) !== (nats.passwordFile === undefined)) {
    const [has, lacks] = nats.user === undefined ? ['passwordFile', 'user'] : ['user', 'passwordFile'];
    findings.push({
      at: ['nats', has],
      expected: `${lacks} beside it`,
      got: 'none',
      remedy: `Add nats.${lacks}, or remove ${has}.`,
    });
  }
  const ways = (['user', 'nkeyFile', 'credsFile'] as const).filter((way) => nats[way] !== undefined);
  if (ways.length > 1) {
    findings.push({
      at: ['nats', ways[1]!],
      expected: 'one way to say who this node is',
      got: ways.join(' and '),
      remedy: `Keep one of ${ways.join(', ')}.`,
    });
  }
  return findings;
}

function checkRedis(redis: Parts<ParsedConfig>['redis']): Finding[] {
  if (redis === undefined) return [];
  const findings = checkPair('redis', redis.tls);
  const { mode, master, servers, username, passwordFile } = redis;
  if (mode === 'single' && (servers?.length ?? 0) > 1) {
    findings.push({
      at: ['redis', 'servers'],
      expected: 'one server, with mode: single',
      got: `${servers!.length}`,
      remedy: 'Say redis.mode: sentinel or cluster, or name one.',
    });
  }
  if (mode !== undefined && (mode === 'sentinel') !== (master !== undefined)) {
    findings.push({
      at: ['redis', 'master'],
      expected:
        mode === 'sentinel' ? 'the name of the master, with mode: sentinel' : 'no master without mode: sentinel',
      got: master === undefined ? 'none' : shown(master),
      remedy: mode === 'sentinel' ? 'Set redis.master as the Sentinels call it.' : 'Remove it, or say mode: sentinel.',
    });
  }
  if (username !== undefined && passwordFile === undefined) {
    findings.push({
      at: ['redis', 'username'],
      expected: 'passwordFile beside it',
      got: 'none',
      remedy: 'Add redis.passwordFile, or remove username.',
    });
  }
  return findings;
}

function checkPair(
  section: 'nats' | 'redis',
  tls: { readonly cert?: string | undefined; readonly key?: string | undefined } | undefined,
): Finding[] {
  if (tls === undefined || (tls.cert === undefined) === (tls.key === undefined)) return [];
  const lacks = tls.cert === undefined ? 'cert' : 'key';
  return [
    {
      at: [section, 'tls'],
      expected: 'cert and key, or neither',
      got: `no ${lacks}`,
      remedy: `Add ${lacks}, or remove the other.`,
    },
  ];
}

function checkLimits({ limits }: Parts<ParsedConfig>): Finding[] {
  const batch = limits?.batchBytesMax;
  if (limits === undefined || batch === undefined) return [];
  return (['inFlightBytesMax', 'parkedBytesMax', 'linkWindowBytes'] as const).flatMap((name) => {
    const value = limits[name];
    if (value === undefined || value >= batch) return [];
    return [
      {
        at: ['limits', name],
        expected: `at least limits.batchBytesMax (${batch})`,
        got: String(value),
        remedy: 'Otherwise one batch of the allowed size could never pass.',
      },
    ];
  });
}

/** Entries whose `key` another entry before them has. */
function repeated<K extends string>(
  entries: readonly ({ readonly [P in K]?: string | number | undefined } | undefined)[],
  list: string,
  key: K,
  expected: string,
  remedy: string,
): Finding[] {
  const seen = new Map<string | number, number>();
  const findings: Finding[] = [];
  for (const [i, entry] of entries.entries()) {
    const value = entry?.[key];
    if (value === undefined) continue;
    const first = seen.get(value);
    if (first === undefined) {
      seen.set(value, i);
      continue;
    }
    const at: Path = [list, i, key];
    findings.push({ at, expected, got: `${shown(value)} again, first in ${list}[${first}]`, remedy });
  }
  return findings;
}

function collide(a: Address, b: Address): boolean {
  if (a.port === 0 || a.port !== b.port) return false;
  return canonicalHost(a.host) === canonicalHost(b.host) || isWildcard(a.host) || isWildcard(b.host);
}

function canonicalAddress(text: string): string {
  const address = parseAddress(text);
  return address === undefined ? text : formatAddress({ host: canonicalHost(address.host), port: address.port });
}

function canonicalHost(host: string): string {
  return host === 'localhost' || host === '::1' ? '127.0.0.1' : host.toLowerCase();
}

function didYouMean(word: string, known: readonly string[], otherwise: string): string {
  const guess = closest(word, known);
  return guess === undefined ? otherwise : `Did you mean '${guess}'?`;
}

function present<T>(values: readonly (T | undefined)[]): T[] {
  return values.filter((value) => value !== undefined);
}
