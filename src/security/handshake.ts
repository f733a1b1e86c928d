// What a handshake that failed means for a person. OpenSSL, Node and grpc-js have words for it, and no codes that reach us: this is
// the one place that looks at them. Nothing is decided by them.

/** What to do about a handshake that failed, by the words of OpenSSL and Node; undefined: it was no handshake. */
export function handshakeHint(reason: string, withTls: boolean): string | undefined {
  for (const [pattern, hint] of HINTS) if (pattern.test(reason)) return hint;
  // A node with TLS hangs up on what is no handshake, and one without on what is: neither has words for it.
  if (
    !/(?:^|: )Failed to connect|ECONNRESET|socket (hang up|disconnected)|Socket closed|before secure TLS|[Cc]onnection dropped/.test(
      reason,
    )
  )
    return undefined;
  return withTls
    ? 'the node broke the TLS handshake off: does it want a certificate (cert and key), signed by the ca of its listener?'
    : 'if the other side has TLS, say so: tls with the ca of its certificate (--ca FILE)';
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /unable to (get (local )?issuer|verify the first) certificate|self[- ]signed certificate|UNABLE_TO_/i,
    'ca does not hold the CA that signed the certificate of the node: name the right one',
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
    'the node asks for a certificate: give cert and key',
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
