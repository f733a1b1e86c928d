// Connections of commands to nodes: made for one command, closed at its end, whatever happens.

import { adminClient, connect, type AdminClient, type Causeway, type TlsOptions } from '../client/index.ts';
import type { MergeType } from '../client/types.ts';
import { closest } from '../config/suggest.ts';
import { CausewayError } from '../errors/errors.ts';
import type { Context } from './context.ts';

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

/** Of the first endpoint that answers. */
export async function withClient<T>(
  context: Context,
  namespace: string,
  options: { readonly session?: string | undefined },
  work: (client: Causeway) => Promise<T>,
): Promise<T> {
  const { session } = options;
  const client = connect({
    endpoints: context.endpoints,
    namespace,
    deadlineMs: context.timeoutMs,
    ...tlsOf(context),
    ...(session === undefined ? {} : { session }),
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
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
      hint:
        guess === undefined ? 'Collections stand in the configuration of every region.' : `Did you mean '${guess}'?`,
    },
  );
}
