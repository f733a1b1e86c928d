// A connection to NATS: how it is made, who it says it is, and what its errors mean.
// Owns: options → nats.js. It reconnects for ever once it was made; what was in flight when it broke has an unknown outcome (DESIGN 14), and whoever
// asked finds out for himself.

import { readFileSync } from 'node:fs';
import {
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
  type ConnectionOptions,
  type Msg,
  type NatsConnection,
} from 'nats';
import { CausewayError } from '../errors/errors.ts';

export type { Msg, NatsConnection };

export type NatsAuth =
  | { readonly kind: 'user'; readonly user: string; readonly password: string }
  /** A file with the seed of an nkey (`SU…`). */
  | { readonly kind: 'nkey'; readonly seedFile: string }
  /** A file with a JWT and the seed that signs for it, as `nsc` writes it. */
  | { readonly kind: 'creds'; readonly credsFile: string };

export interface NatsOptions {
  /** `nats://host:port`, all of one cluster. */
  readonly servers: readonly string[];
  /** Shown by the servers' monitoring. */
  readonly name: string;
  readonly auth?: NatsAuth;
  /** PEM files. With any of them the connection is TLS; cert and key where the servers verify clients. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

const CONNECT_MS_MAX = 5000;
const RECONNECT_WAIT_MS = 250;
/** A server that stands still is given up after about two of them. */
const PING_MS = 2000;

/** Throws CausewayError: CONFIG_INVALID (files, credentials, TLS), UNAVAILABLE (nobody answers). */
export async function connectNats(options: NatsOptions): Promise<NatsConnection> {
  const { servers, name, auth, tls } = options;
  const settings: ConnectionOptions = {
    servers: [...servers],
    name,
    timeout: CONNECT_MS_MAX,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    pingInterval: PING_MS,
    maxPingOut: 2,
    // Rights that were taken away may be given back: the node says that it cannot reach its log until then.
    ignoreAuthErrorAbort: true,
  };
  switch (auth?.kind) {
    case undefined:
      break;
    case 'user':
      settings.user = auth.user;
      settings.pass = auth.password;
      break;
    case 'nkey':
      settings.authenticator = nkeyAuthenticator(Buffer.from(read(auth.seedFile, 'the seed of an nkey').trim()));
      break;
    case 'creds':
      settings.authenticator = credsAuthenticator(Buffer.from(read(auth.credsFile, 'NATS credentials')));
      break;
  }
  if (tls !== undefined) {
    settings.tls = {
      ...(tls.ca === undefined ? {} : { ca: read(tls.ca, 'the CA of the NATS servers') }),
      ...(tls.cert === undefined ? {} : { cert: read(tls.cert, 'the certificate for NATS') }),
      ...(tls.key === undefined ? {} : { key: read(tls.key, 'the key for NATS') }),
    };
  }
  try {
    return await connect(settings);
  } catch (cause) {
    throw connectError(cause as Error & { code?: string }, options);
  }
}

function read(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new CausewayError('CONFIG_INVALID', `expected ${what} in ${path}: ${(cause as Error).message}`, { cause });
  }
}

const REFUSED: ReadonlySet<string | undefined> = new Set([
  'AUTHORIZATION_VIOLATION',
  'BAD_AUTHENTICATION',
  'BAD_CREDS',
  'AUTHENTICATION_EXPIRED',
  'ACCOUNT_EXPIRED',
  'TLS',
  'SERVER_OPT_NA',
]);

function connectError(cause: Error & { code?: string }, { servers, tls }: NatsOptions): CausewayError {
  const at = servers.join(', ');
  // Node's own errors of a TLS handshake come through as they are.
  if (REFUSED.has(cause.code) || /CERT|SSL|TLS|ALTNAME|SIGNATURE/.test(cause.code ?? '')) {
    return new CausewayError('CONFIG_INVALID', `NATS at ${at} refuses this node: ${cause.code} ${cause.message}`, {
      hint: 'Compare the credentials and TLS files of this node with what the NATS servers expect.',
      cause,
    });
  }
  return new CausewayError('UNAVAILABLE', `NATS at ${at} cannot be reached: ${cause.message}`, {
    hint:
      tls?.cert === undefined
        ? 'Start the NATS servers, or name others.'
        : 'Start the NATS servers, or name others. Servers that do not accept the certificate of this node hang up without a word.',
    cause,
  });
}
