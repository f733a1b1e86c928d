// How a client shows who it is and whom it trusts.
// Owns: the options, and the check of everything in them before anything is dialled.

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
