// The TLS of one node: what its listeners show and ask for, what it shows and trusts when it dials other regions.
// Owns: from configuration to material that reloads, with every mistake in every file reported at once; and the rule of names:
// a region's certificates are for its `serverName`, or for the hosts of its `peers` when it has none. The rule holds in both
// directions: for the region that is dialled, and for a region that dials and says who it is.
// A listener asks for nothing here: it takes `listener(name)` and gives it to its server, gRPC or HTTPS.

import type { ServerCredentials } from '@grpc/grpc-js';
import { parseAddress } from '../config/address.ts';
import { configInvalid, type Problem } from '../config/problems.ts';
import type { Config } from '../config/schema.ts';
import type { System } from '../system/system.ts';
import type { CertificateFacts, TlsProblem, TlsSources } from './certificates.ts';
import { serverCredentials } from './grpc-credentials.ts';
import { ReloadingTls, type TlsNotice } from './reloading.ts';

export type ListenerName = keyof Config['listeners'];

export interface ListenerTls {
  /** For servers that are no gRPC: secureContextOf(tls.material), and setSecureContext() on tls.onChange(). */
  readonly tls: ReloadingTls;
  readonly clientCertRequired: boolean;
  readonly credentials: ServerCredentials;
}

export interface CertificateStatus extends CertificateFacts {
  /** `listeners.clients`, `links`: where in the configuration its file stands. */
  readonly use: string;
}

export type Say = (level: 'info' | 'warn' | 'error', message: string) => void;

export class NodeTls {
  readonly #config: Config;
  readonly #listeners = new Map<string, ListenerTls>();
  readonly #opened = new Map<string, ReloadingTls>();
  /** How other regions are dialled; undefined: without TLS. */
  readonly links: ReloadingTls | undefined;

  /** Reads every file. Throws CONFIG_INVALID with all that is wrong in any of them. */
  constructor(config: Config, system: System, say: Say) {
    this.#config = config;
    const problems: Problem[] = [];
    const open = (
      path: string,
      sources: TlsSources,
      expect: { names: readonly string[]; signedByCa: boolean },
    ): ReloadingTls | undefined => {
      const opened = ReloadingTls.open(sources, { system, expect, notice: (notice) => tell(path, notice, say) });
      if (opened instanceof ReloadingTls) {
        this.#opened.set(path, opened);
        return opened;
      }
      problems.push(...opened.map((problem) => problemAt(path, problem)));
      return undefined;
    };

    const own = config.links.tls;
    const hasPeers = config.regions.length > 1;
    for (const [name, { tls }] of Object.entries(config.listeners)) {
      if (tls === undefined) continue;
      const toRegions = name === 'peers' && hasPeers;
      const opened = open(`listeners.${name}`, tls, {
        names: toRegions ? this.namesOf(config.region) : [],
        // The one pair of files then serves both directions, and every region is to trust the same CAs.
        signedByCa: toRegions && own === undefined,
      });
      if (opened === undefined) continue;
      const clientCertRequired = tls.clientCert === 'required';
      this.#listeners.set(name, {
        tls: opened,
        clientCertRequired,
        credentials: serverCredentials(opened, clientCertRequired),
      });
    }
    const links =
      own === undefined
        ? this.#opened.get('listeners.peers')
        : open('links', own, {
            names: own.cert === undefined || !hasPeers ? [] : this.namesOf(config.region),
            signedByCa: false,
          });
    if (problems.length > 0)
      throw configInvalid(problems, 'TLS', '`causeway config check --files` looks again without starting anything.');
    this.links = links;
  }

  listener(name: ListenerName): ListenerTls | undefined {
    return this.#listeners.get(name);
  }

  /** The names of which a region's certificates must have one; none for a region that nobody knows. */
  namesOf(region: string): readonly string[] {
    const found = this.#config.regions.find(({ name }) => name === region);
    if (found === undefined) return [];
    if (found.serverName !== undefined) return [found.serverName];
    return [...new Set(found.peers.map((address) => parseAddress(address)?.host ?? address))];
  }

  /** The name that the certificate at a peer's address must have, when it is not the address itself. */
  serverNameAt(address: string): string | undefined {
    return this.#config.regions.find(({ peers }) => peers.includes(address))?.serverName;
  }

  certificates(): CertificateStatus[] {
    return [...this.#opened].flatMap(([use, { certificates }]) =>
      certificates.map((certificate) => ({ use, ...certificate })),
    );
  }

  /** From now on files are looked at again, and warnings go out. */
  start(): void {
    for (const tls of this.#opened.values()) tls.start();
  }

  stop(): void {
    for (const tls of this.#opened.values()) tls.stop();
  }
}

function problemAt(path: string, { part, expected, got, remedy }: TlsProblem): Problem {
  return { path: `${path}.tls.${part}`, where: '', expected, got, remedy };
}

function tell(path: string, notice: TlsNotice, say: Say): void {
  switch (notice.kind) {
    case 'reloaded': {
      const [first] = notice.certificates;
      const until = first === undefined ? '' : `: ${first.subject}, until ${dayOf(first.notAfterMs)}`;
      say('info', `${path}.tls has new files, in use for new connections${until}`);
      return;
    }
    case 'unusable':
      say(
        'warn',
        `${path}.tls has new files that cannot be used; the old ones stay in use: ${notice.problems
          .map(({ part, expected, got }) => `${part}: expected ${expected}; got ${got}`)
          .join('; ')}`,
      );
      return;
    case 'expiring': {
      const { certificate, daysLeft } = notice;
      const what = `${path}.tls.${certificate.part} (${certificate.subject})`;
      if (daysLeft < 0)
        say('error', `${what} expired on ${dayOf(certificate.notAfterMs)}: new connections are refused`);
      else
        say('warn', `${what} expires on ${dayOf(certificate.notAfterMs)}, in ${daysLeft} day(s): put a new one there`);
    }
  }
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
