// Connections of commands to nodes: made for one command, closed at its end, whatever happens.

import { adminClient, connect, type AdminClient, type Causeway, type TlsOptions } from '../client/index.ts';
import type { MergeType } from '../client/types.ts';
import { closest } from '../config/suggest.ts';
import { CausewayError, isCausewayError } from '../errors/errors.ts';
import type { Context } from './context.ts';
import type { Terminal } from './terminal.ts';
import { keepSession, sessionOf, type SessionFlags } from './session.ts';

/** Of one node. */
export async function withAdmin<T>(
  context: Context,
  endpoint: string,
  work: (admin: AdminClient) => Promise<T>,
): Promise<T> {
  const admin = adminClient(endpoint, { deadlineMs: context.timeoutMs, ...tlsOf(context) });
  try {
    return await work(admin);
  } finally {
    admin.close();
  }
}

/** Of every endpoint, for as long as the work takes. */
export async function withAdmins<T>(
  context: Context,
  work: (admins: readonly { readonly endpoint: string; readonly admin: AdminClient }[]) => Promise<T>,
): Promise<T> {
  const admins = context.endpoints.map((endpoint) => ({
    endpoint,
    admin: adminClient(endpoint, { deadlineMs: context.timeoutMs, ...tlsOf(context) }),
  }));
  try {
    return await work(admins);
  } finally {
    for (const { admin } of admins) admin.close();
  }
}

/** Of the first endpoint that answers. */
export async function withClient<T>(
  context: Context,
  namespace: string,
  flags: SessionFlags,
  work: (client: Causeway) => Promise<T>,
): Promise<T> {
  const session = sessionOf(flags);
  const client = connect({
    endpoints: context.endpoints,
    namespace,
    deadlineMs: context.timeoutMs,
    ...tlsOf(context),
    ...(session === undefined ? {} : { session }),
  });
  try {
    const result = await work(client);
    keepSession(flags, client.session());
    return result;
  } finally {
    client.close();
  }
}

export type Answer<T> =
  { readonly endpoint: string; readonly value: T } | { readonly endpoint: string; readonly error: CausewayError };

/** What every endpoint says. With one asked, its failure is thrown. */
export function askEach<T>(context: Context, ask: (admin: AdminClient) => Promise<T>): Promise<Answer<T>[]> {
  return Promise.all(
    context.endpoints.map(async (endpoint) => {
      try {
        return { endpoint, value: await withAdmin(context, endpoint, ask) };
      } catch (error) {
        if (!isCausewayError(error) || context.endpoints.length === 1) throw error;
        return { endpoint, error };
      }
    }),
  );
}

function tlsOf({ tls }: Context): { readonly tls?: TlsOptions } {
  return tls === undefined ? {} : { tls };
}

/** The merge type of a collection, as the node knows it. Throws UNKNOWN_COLLECTION, as the node does for the namespace. */
export async function collectionType(client: Causeway, collection: string): Promise<MergeType> {
  const { namespaces } = await client.topology();
  const collections = namespaces.find(({ name }) => name === client.namespace)?.collections ?? [];
  const found = collections.find(({ name }) => name === collection);
  if (found !== undefined) return found.type;
  const names = collections.map(({ name }) => name);
  const guess = closest(collection, names);
  throw new CausewayError(
    'UNKNOWN_COLLECTION',
    `namespace '${client.namespace}' has no collection '${collection}'; it has ${names.join(', ') || 'none'}`,
    {
      hint: guess === undefined ? 'causeway collection create makes one, in every region.' : `Did you mean '${guess}'?`,
    },
  );
}

export function keysMissing(names: readonly string[], client: Causeway): CausewayError {
  const have = names.length === 1 ? 'has' : 'have';
  return new CausewayError(
    'KEY_NOT_FOUND',
    `${names.join(', ')} ${have} no value in ${client.endpoint()?.region ?? 'this region'}`,
    {
      hint: 'If it was written elsewhere a moment ago it may still be on its way: see `causeway status` for the lag, or read with --session.',
    },
  );
}

export function noteStale(terminal: Terminal): void {
  terminal.note(terminal.warn('stale: this region has not reached what the session has seen'));
}
