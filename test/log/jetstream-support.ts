// A JetStream log on a real server, with a name of its own.

import { connect } from 'nats';
import type { CausewayError } from '../../src/errors/errors.ts';
import { JetStreamLog, type JetStreamLogOptions } from '../../src/log/jetstream.ts';
import { regionId } from '../../src/record/ids.ts';
import { realSystem } from '../../src/system/real.ts';

let clusters = 0;

export interface JetStreamBench {
  readonly clusterId: string;
  readonly fatal: CausewayError[];
  readonly make: (options?: Partial<JetStreamLogOptions>) => JetStreamLog;
  /** JetStream's API, as an operator who does what he should not. */
  readonly api: <T = unknown>(verb: string, payload?: unknown) => Promise<T>;
  /** Of shard 1/0. */
  readonly stream: string;
  readonly cleanup: () => Promise<void>;
}

export function jetStreamBench(server: { readonly url: string; readonly monitor: string }): JetStreamBench {
  const clusterId = `test-${process.pid}-${clusters++}`;
  const fatal: CausewayError[] = [];
  const logs: JetStreamLog[] = [];
  const api = async <T>(verb: string, payload: unknown = {}): Promise<T> => {
    const connection = await connect({ servers: server.url });
    try {
      const answer = await connection.request(`$JS.API.${verb}`, JSON.stringify(payload), { timeout: 10_000 });
      return answer.json<T>();
    } finally {
      await connection.close();
    }
  };
  return {
    clusterId,
    fatal,
    stream: `causeway-${clusterId}-eu-west-1-0`,
    api,
    make: (options = {}) => {
      const log = new JetStreamLog({
        nats: { servers: [server.url], name: 'test' },
        clusterId,
        region: regionId('eu-west'),
        replicas: 1,
        streamBytesMax: 64 * 1024 * 1024,
        monitors: [server.monitor],
        requireDurable: true,
        system: realSystem(),
        onFatal: (error) => fatal.push(error),
        ...options,
      });
      logs.push(log);
      return log;
    },
    cleanup: async () => {
      for (const log of logs) await log.close();
      const { streams } = await api<{ streams: string[] | null }>('STREAM.NAMES', {
        subject: `causeway.${clusterId}.>`,
      });
      for (const name of streams ?? []) await api(`STREAM.DELETE.${name}`);
    },
  };
}
