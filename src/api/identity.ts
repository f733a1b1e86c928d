// Who calls, and whether they may: asked before every handler. Today everybody who gets a connection may do everything; tokens
// and scopes per namespace replace ALLOW_ALL without a change in any handler.

import type { CausewayError } from '../errors/errors.ts';

export type Identity =
  | {
      readonly kind: 'anonymous';
      /** Address of the other side, for logs. */
      readonly peer: string;
    }
  | {
      /** Mutual TLS: a CA of the listener has signed what stands here. */
      readonly kind: 'certificate';
      readonly peer: string;
      /** The subject's CN; empty without one. */
      readonly commonName: string;
      /** SAN entries as they are written: `DNS:shop.example.net`, `URI:spiffe://…`. */
      readonly names: readonly string[];
    };

/** `topology`: learn what is served. `operate`: the Admin service. */
export type Action = 'write' | 'read' | 'subscribe' | 'topology' | 'operate';

/** What of a call an identity is made from; grpc-js' server calls have it. */
export interface IncomingCall {
  getPeer(): string;
  getAuthContext(): {
    /** Only when the listener's CA has signed it. */
    readonly sslPeerCertificate?: {
      readonly subject?: { readonly CN?: string | string[] };
      readonly subjectaltname?: string;
    };
  };
}

export interface Access {
  identify(call: IncomingCall): Identity;
  /** undefined: allowed. `namespace` is undefined where a request names none. */
  check(identity: Identity, action: Action, namespace: string | undefined): CausewayError | undefined;
}

export const ALLOW_ALL: Access = {
  identify: (call) => {
    const peer = call.getPeer();
    const certificate = call.getAuthContext().sslPeerCertificate;
    if (certificate === undefined) return { kind: 'anonymous', peer };
    const { subject, subjectaltname } = certificate;
    const names = subjectaltname === undefined || subjectaltname === '' ? [] : subjectaltname.split(', ');
    return { kind: 'certificate', peer, commonName: [subject?.CN ?? ''].flat().join(', '), names };
  },
  check: () => undefined,
};
