// A scenario: one known way to go wrong, played on purpose. It uses the same cluster, oracle and checks as the seeds; only the faults and
// the clients follow a script.

import { DEFAULT_LIMITS } from '../../../src/region/options.ts';
import type { Plan } from '../plan.ts';
import type { Simulation } from '../simulate.ts';

export interface Scenario {
  readonly name: string;
  /** One sentence for people. */
  readonly says: string;
  readonly plan: (drawn: Plan) => Plan;
  readonly script: (sim: Simulation) => Promise<void>;
}

/** Three regions of one node, one shard, a quiet network: what happens is what the script makes happen. */
export function quiet(change: Partial<Plan> = {}): (drawn: Plan) => Plan {
  return (drawn) => ({
    ...drawn,
    regions: 3,
    nodesPerRegion: 1,
    shards: 1,
    narrowPlacement: false,
    keysPerCollection: 2,
    elements: 3,
    settleMsMax: 30_000,
    healsByRelay: false,
    heartbeatMs: 100,
    leaseMs: 1000,
    maxSkewMs: 2000,
    delayMs: 10,
    jitterMs: 0,
    diskMs: 1,
    storeMs: 0.1,
    lateStore: false,
    sendBufferBytes: 1_000_000,
    clientsPerRegion: 0,
    consumersPerRegion: 0,
    valueBytes: 12,
    expiry: false,
    limits: DEFAULT_LIMITS,
    faults: {},
    ...change,
  });
}
