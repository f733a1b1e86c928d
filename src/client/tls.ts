// How a client shows who it is and whom it trusts.
// Owns: the options, the check of everything in them before anything is dialled, and what a failed handshake means for a person.

import { CausewayError } from '../errors/errors.ts';
import type { PemSource } from '../security/certificates.ts';
import { channelTls, type ChannelTls } from '../security/grpc-credentials.ts';
import { ReloadingTls } from '../security/reloading.ts';
import type { System } from '../system/system.ts';

export interface TlsOptions {
  /** CAs that sign the nodes' certificates: a path, or PEM itself. Default: what Node trusts. Files are read again when they change. */
  readonly ca?: PemSource;
  /** The client's own certificate, where nodes ask for one; with `key`. */
  readonly cert?: PemSource;
  readonly key?: PemSource;
  /** The name in the nodes' certificates, when it is not the host of the endpoint. */
  readonly serverName?: string;
}

export interface ClientTls {
  channel(address: string): ChannelTls;
  close(): void;
}

/** Throws CausewayError CONFIG_INVALID with all that is wrong. undefined: no TLS. */
export function openTls(options: TlsOptions | undefined, system: System): ClientTls | undefined {
  if (options === undefined) return undefined;
  const { ca, cert, key, serverName } = options;
  const opened = ReloadingTls.open({ ca, cert, key }, { system });
  if (opened instanceof ReloadingTls) {
    opened.start();
    return { channel: (address) => channelTls(opened, address, serverName), close: () => opened.stop() };
  }
  const lines = opened.map(
    ({ part, expected, got, remedy }) => `  ${part}: expected ${expected}; got ${got}. ${remedy}`,
  );
  throw new CausewayError('CONFIG_INVALID', `the client's TLS cannot be used:\n${lines.join('\n')}`, {
    details: { problems: opened },
  });
}

/** What to do about a handshake that failed, by the words of OpenSSL and Node; undefined: it was no handshake. */
export function handshakeHint(reason: string, withTls: boolean): string | undefined {
  for (const [pattern, hint] of HINTS) if (pattern.test(reason)) return hint;
  // A node with TLS hangs up on what is no handshake, and one without on what is: neither has words for it.
  if (
    !/^(?:no connection could be made: )?Failed to connect|ECONNRESET|socket (hang up|disconnected)|Socket closed|before secure TLS|[Cc]onnection dropped/.test(
      reason,
    )
  )
    return undefined;
  return withTls
    ? 'the node broke the TLS handshake off: does it want a certificate (cert and key), signed by the ca of its listener?'
    : 'if the node has TLS, say so: tls with its ca, or --ca FILE';
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /unable to (get (local )?issuer|verify the first) certificate|self[- ]signed certificate|UNABLE_TO_/i,
    'ca does not hold the CA that signed the certificate of the node: name the right one (tls.ca, --ca)',
  ],
  [/certificate has expired|CERT_HAS_EXPIRED/i, 'the certificate of the node has expired: renew it there'],
  [
    /not yet valid|CERT_NOT_YET_VALID/i,
    'the certificate of the node is not valid yet: is the clock of this machine behind?',
  ],
  [
    /does not match certificate|ERR_TLS_CERT_ALTNAME/i,
    'the certificate of the node is for another name: dial it by that name, or give serverName',
  ],
  [
    /alert (certificate required|handshake failure|bad certificate)|CERTIFICATE_REQUIRED/i,
    'the node asks for a certificate: give cert and key (tls.cert and tls.key, --cert and --key)',
  ],
  [
    /alert (unknown ca|certificate unknown|unsupported certificate)/i,
    'the node does not accept this certificate: it must be signed by the ca of its listener, for client authentication',
  ],
  [/alert certificate expired/i, 'the certificate of this client has expired: renew it'],
  [
    /wrong version number|WRONG_VERSION/i,
    'the node has no TLS on this port: leave tls away, or dial the port that has it',
  ],
];
