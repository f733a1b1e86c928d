// What Prometheus scrapes: the node's figures and the signals of its calls, as they are at this moment.

import { CONTENT_TYPE, Exposition } from '../../metrics/exposition.ts';
import { authorize, tellMetrics } from '../env.ts';
import type { Exchange } from './exchange.ts';

export function serveMetrics(exchange: Exchange): void {
  const { env } = exchange;
  const { region, clusterId: cluster } = env;
  authorize(env, exchange, 'operate', undefined);
  const into = new Exposition({ cluster, region: region.id, node: region.status().node });
  tellMetrics(env, into);
  exchange.answer(200, Buffer.from(into.text()), { 'Content-Type': CONTENT_TYPE });
}
