// Certificate authorities and certificates for tests, made on the spot by the machine's openssl: nothing of it is committed, and
// nothing can expire under a test that is run next year.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export interface Pair {
  /** Paths. */
  readonly cert: string;
  readonly key: string;
}

export interface IssueOptions {
  /** SAN entries; default `DNS:localhost` and `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  readonly commonName?: string;
  /** From now; below 0: expired. Default 30. */
  readonly days?: number;
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A folder with CAs and certificates, removed when the test ends. */
export class Pki {
  readonly directory: string;
  #made = 0;

  constructor(keep = false) {
    this.directory = mkdtempSync(join(tmpdir(), 'causeway-pki-'));
    if (!keep) onTestFinished(() => this.remove());
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** A self-signed CA. */
  ca(name = 'test-ca'): Pair {
    const pair = this.#paths(name);
    openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'],
      ...['-subj', `/CN=${name}`, '-keyout', pair.key, '-out', pair.cert],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    );
    return pair;
  }

  /** A certificate of a node or client, for both sides of a connection. */
  issue(ca: Pair, options: IssueOptions = {}): Pair {
    const { names = ['DNS:localhost', 'IP:127.0.0.1'], commonName = 'node', days = 30 } = options;
    const pair = this.#paths(commonName);
    const [request, extensions] = [`${pair.cert}.csr`, `${pair.cert}.ext`];
    const subjectAltName = names.length === 0 ? '' : `subjectAltName=${names.join(',')}\n`;
    writeFileSync(extensions, `${subjectAltName}extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n`);
    openssl(
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', `/CN=${commonName}`],
      ...['-keyout', pair.key, '-out', request],
    );
    openssl(
      ...['x509', '-req', '-in', request, '-CA', ca.cert, '-CAkey', ca.key, '-CAcreateserial'],
      ...['-days', String(days), '-extfile', extensions, '-out', pair.cert],
    );
    return pair;
  }

  /** Puts copies under a name of their own, to be exchanged later by install(). */
  install(name: string, from: Pair): Pair {
    const to = { cert: this.path(`${name}.crt`), key: this.path(`${name}.key`) };
    for (const part of ['cert', 'key'] as const) {
      // As tools do it: a new file, then a rename over the old one.
      copyFileSync(from[part], `${to[part]}.new`);
      renameSync(`${to[part]}.new`, to[part]);
    }
    return to;
  }

  #paths(name: string): Pair {
    const base = this.path(`${name}-${++this.#made}`);
    return { cert: `${base}.crt`, key: `${base}.key` };
  }
}
