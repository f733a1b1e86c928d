// TLS material as the credentials of grpc-js, on both sides, following it as it is reloaded.
// HAZARD: ServerCredentials is extended and the channel side is grpc-js' experimental certificate provider, because 1.14 has no
//   settled way to exchange certificates under a listener. Its createCertificateProviderServerCredentials swaps its two
//   providers and drops connections until they have spoken; hence not that one. test/security/ holds both sides against the
//   installed version.

import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate, type SecureContextOptions } from 'node:tls';
import { ServerCredentials, experimental, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import type { TlsMaterial } from './certificates.ts';
import type { ReloadingTls } from './reloading.ts';

/** Whoever has connected and does not shake hands is cut off after this. */
const HANDSHAKE_MS_MAX = 10_000;
/** TLS names no address (RFC 6066), and grpc-js would: the certificate is checked against the address all the same. */
const SNI_FOR_ADDRESSES = 'causeway';

/** What tls.createServer, https.createServer and their setSecureContext() take. */
export function secureContextOf({ cert, key, ca }: TlsMaterial): SecureContextOptions {
  return { cert, key, ca, minVersion: 'TLSv1.2' };
}

class ReloadingServerCredentials extends ServerCredentials {
  constructor(tls: ReloadingTls, clientCertRequired: boolean) {
    super(
      {
        requestCert: clientCertRequired,
        rejectUnauthorized: clientCertRequired,
        handshakeTimeout: HANDSHAKE_MS_MAX,
      },
      secureContextOf(tls.material),
    );
    tls.onChange((material) => this.updateSecureContextOptions(secureContextOf(material)));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** `clientCertRequired`: only whoever shows a certificate that `ca` has signed gets a connection. */
export function serverCredentials(tls: ReloadingTls, clientCertRequired: boolean): ServerCredentials {
  return new ReloadingServerCredentials(tls, clientCertRequired);
}

export interface ChannelTls {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

/** To dial `address`: the other side's certificate must be for its host, or for `serverName` when it is given. */
export function channelTls(tls: ReloadingTls, address: string, serverName: string | undefined): ChannelTls {
  const name = serverName ?? hostOf(address);
  const provider = new MaterialProvider(tls);
  const credentials = experimental.createCertificateProviderChannelCredentials(
    provider,
    tls.material.cert === undefined ? null : provider,
    { checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkServerIdentity(name, certificate) },
  );
  return { credentials, options: { 'grpc.ssl_target_name_override': isIP(name) === 0 ? name : SNI_FOR_ADDRESSES } };
}

/** The form in which grpc-js asks. It asks when a connection is made and lets go when its channel closes. */
class MaterialProvider implements experimental.CertificateProvider {
  readonly #tls: ReloadingTls;
  readonly #ends = new Map<unknown, () => void>();

  constructor(tls: ReloadingTls) {
    this.#tls = tls;
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    // Without a CA of its own Node trusts what it always does; grpc-js passes undefined on.
    this.#follow(listener, ({ ca }) => listener({ caCertificate: ca as Buffer }));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#leave(listener);
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#follow(listener, ({ cert, key }) => {
      listener(cert === undefined || key === undefined ? null : { certificate: cert, privateKey: key });
    });
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#leave(listener);
  }

  #follow(listener: unknown, tell: (material: TlsMaterial) => void): void {
    tell(this.#tls.material);
    this.#ends.set(listener, this.#tls.onChange(tell));
  }

  #leave(listener: unknown): void {
    this.#ends.get(listener)?.();
    this.#ends.delete(listener);
  }
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');
}
