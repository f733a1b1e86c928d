// What an operator, or somebody else with the rights, can do to a region's streams behind its back.

import { connect } from 'nats';
import type { Nats } from '../../demo/processes.ts';

const ASK_MS_MAX = 5000;

interface Listed {
  readonly streams?: readonly {
    readonly config: { readonly name: string };
    readonly state: { readonly messages: number };
  }[];
}

async function ask<T>(nats: Nats, subject: string, request: object = {}): Promise<T> {
  const connection = await connect({ servers: nats.url, timeout: ASK_MS_MAX });
  try {
    const answer = await connection.request(`$JS.API.${subject}`, JSON.stringify(request), { timeout: ASK_MS_MAX });
    const value = answer.json<T & { readonly error?: { readonly description: string } }>();
    if (value.error !== undefined) throw new Error(`${subject}: ${value.error.description}`);
    return value;
  } finally {
    await connection.close();
  }
}

/** The shard's log that has most in it. */
export async function busiestStream(nats: Nats): Promise<string> {
  const { streams = [] } = await ask<Listed>(nats, 'STREAM.LIST');
  const logs = streams.filter(({ config }) => config.name.startsWith('causeway-'));
  const [busiest] = logs.toSorted((a, b) => b.state.messages - a.state.messages);
  if (busiest === undefined) throw new Error(`${nats.url} has no stream of Causeway's`);
  return busiest.config.name;
}

export async function deleteStream(nats: Nats, stream: string): Promise<void> {
  await ask(nats, `STREAM.DELETE.${stream}`);
}

/** All its messages but the last ones. */
export async function purgeStream(nats: Nats, stream: string, keep: number): Promise<void> {
  await ask(nats, `STREAM.PURGE.${stream}`, { keep });
}
