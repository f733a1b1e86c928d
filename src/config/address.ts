// `host:port`, as people write it in configs and on command lines.

export interface Address {
  /** A name, an IPv4 address, or an IPv6 address without its brackets. */
  readonly host: string;
  /** 0 on a listener: any free port. */
  readonly port: number;
}

export const ADDRESS_EXPECTED = "host:port, for example 'eu-1.example.net:7401', '127.0.0.1:7401' or '[::1]:7401'";

const NAME_OR_IPV4 = /^[a-zA-Z0-9_](?:[a-zA-Z0-9._-]{0,251}[a-zA-Z0-9_])?$/;

export function parseAddress(text: string): Address | undefined {
  const colon = text.lastIndexOf(':');
  if (colon <= 0) return undefined;
  const host = text.slice(0, colon);
  const portText = text.slice(colon + 1);
  if (!/^\d{1,5}$/.test(portText)) return undefined;
  const port = Number(portText);
  if (port > 65_535) return undefined;
  if (host.startsWith('[') || host.endsWith(']')) {
    const inner = host.slice(1, -1);
    // Loose on purpose: the resolver knows what an IPv6 address is; this only keeps typing mistakes out.
    return host.startsWith('[') && host.endsWith(']') && /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%\w+)?$/.test(inner)
      ? { host: inner, port }
      : undefined;
  }
  return NAME_OR_IPV4.test(host) ? { host, port } : undefined;
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine can reach a listener on `host`. A name other than localhost may resolve to anything. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** Whether a listener on `host` takes the port on every interface. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || host === '0';
}
