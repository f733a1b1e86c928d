// Regions in this process, composed as `causeway serve` composes them: real log, store, links and listeners, on loopback.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../demo/ports.ts';
import { composeNode, type RunningNode } from '../../src/compose.ts';
import { configFrom } from '../../src/config/load.ts';

export interface LiveRegion {
  readonly name: string;
  readonly node: RunningNode;
  /** Everything that `/metrics` says. */
  scrape(): Promise<string>;
}

export interface LiveRegions {
  readonly regions: readonly LiveRegion[];
  stop(): Promise<void>;
}

/** Ready, and linked to each other. `more` goes into every configuration. */
export async function startRegions(
  names: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
): Promise<LiveRegions> {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-live-'));
  const ports = await freePorts(names.length * 2);
  const addresses = names.map((name, i) => ({
    name,
    clients: `127.0.0.1:${ports[2 * i]}`,
    peers: `127.0.0.1:${ports[2 * i + 1]}`,
  }));
  const nodes = await Promise.all(
    addresses.map(({ name, clients, peers }) =>
      composeNode(
        configFrom({
          clusterId: 'live',
          region: name,
          dataDir: join(directory, name),
          listeners: { clients: { address: clients }, peers: { address: peers }, http: { address: '127.0.0.1:0' } },
          regions: addresses.map((each) => ({ name: each.name, peers: [each.peers], clients: [each.clients] })),
          namespaces: [{ name: 'demo' }],
          collections: [{ namespace: 'demo', name: 'profiles', type: 'register-lww' }],
          log: { level: 'silent' },
          ...more,
        }),
      ),
    ),
  );
  const isUp = (): boolean =>
    nodes.every(
      ({ region }) =>
        region.ready() && region.status().peers.every(({ link, lagMs }) => link.kind === 'up' && lagMs !== undefined),
    );
  const endMs = performance.now() + 20_000;
  while (!isUp()) {
    if (performance.now() > endMs) throw new Error('the regions were not ready and linked within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    regions: nodes.map((node, i) => ({
      name: names[i]!,
      node,
      scrape: async () => (await fetch(`http://${node.http}/metrics`)).text(),
    })),
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
