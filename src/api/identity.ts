// Who calls, and whether they may: asked before every handler. Today everybody is anonymous and may do everything; mutual
// TLS, tokens and scopes per namespace replace ALLOW_ALL without a change in any handler.

import type { CausewayError } from '../errors/errors.ts';

export interface Identity {
  readonly kind: 'anonymous';
  /** Address of the other side, for logs. */
  readonly peer: string;
}

/** `topology`: learn what is served. `operate`: the Admin service. */
export type Action = 'write' | 'read' | 'subscribe' | 'topology' | 'operate';

/** What of a call an identity is made from; grpc-js' server calls have it. */
export interface IncomingCall {
  getPeer(): string;
}

export interface Access {
  identify(call: IncomingCall): Identity;
  /** undefined: allowed. `namespace` is undefined where a request names none. */
  check(identity: Identity, action: Action, namespace: string | undefined): CausewayError | undefined;
}

export const ALLOW_ALL: Access = {
  identify: (call) => ({ kind: 'anonymous', peer: call.getPeer() }),
  check: () => undefined,
};
