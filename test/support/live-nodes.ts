// Regions in this process, composed as `causeway serve` composes them: real log, store, links and listeners, on loopback.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../demo/ports.ts';
import { composeNode, type RunningNode } from '../../src/compose.ts';
import { configFrom } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import type { System } from '../../src/system/system.ts';

export interface LiveRegion {
  readonly name: string;
  /** Of its present life. */
  readonly node: RunningNode;
  /** In good order, and again with what is on its disk. Resolves when it is ready; links take a little longer. */
  restart(): Promise<void>;
  /** Everything that `/metrics` says. */
  scrape(): Promise<string>;
}

export interface LiveRegions {
  readonly regions: readonly LiveRegion[];
  stop(): Promise<void>;
}

export interface LiveOptions {
  /** Goes into every configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Where one region dials another, instead of straight. */
  readonly wire?: (from: string, to: string, direct: string) => Promise<string>;
  /** Of a region; default: the machine's own. */
  readonly system?: (region: string) => System;
}

const READY_MS_MAX = 20_000;

async function until(holds: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + READY_MS_MAX;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`not within ${READY_MS_MAX / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Ready, and linked to each other. */
export async function startRegions(names: readonly string[], options: LiveOptions = {}): Promise<LiveRegions> {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-live-'));
  const ports = await freePorts(names.length * 2);
  const addresses = names.map((name, i) => ({
    name,
    clients: `127.0.0.1:${ports[2 * i]}`,
    peers: `127.0.0.1:${ports[2 * i + 1]}`,
  }));
  const dialled = async (from: string, to: string, direct: string): Promise<string> =>
    from === to || options.wire === undefined ? direct : options.wire(from, to, direct);
  const configs = await Promise.all(
    addresses.map(async ({ name, clients, peers }) => {
      const regions = await Promise.all(
        addresses.map(async (each) => ({
          name: each.name,
          peers: [await dialled(name, each.name, each.peers)],
          clients: [each.clients],
        })),
      );
      return configFrom({
        clusterId: 'live',
        region: name,
        dataDir: join(directory, name),
        listeners: { clients: { address: clients }, peers: { address: peers }, http: { address: '127.0.0.1:0' } },
        regions,
        namespaces: [{ name: 'demo' }],
        collections: [{ namespace: 'demo', name: 'profiles', type: 'register-lww' }],
        log: { level: 'silent' },
        ...options.config,
      });
    }),
  );
  const composed = (config: Config): Promise<RunningNode> => composeNode(config, options.system?.(config.region));
  const nodes = await Promise.all(configs.map(composed));
  const isUp = (): boolean =>
    nodes.every(
      ({ region }) =>
        region.ready() && region.status().peers.every(({ link, lagMs }) => link.kind === 'up' && lagMs !== undefined),
    );
  await until(isUp, 'the regions were ready and linked');
  return {
    regions: nodes.map((_, i) => ({
      name: names[i]!,
      get node() {
        return nodes[i]!;
      },
      restart: async () => {
        await nodes[i]!.stop();
        nodes[i] = await composed(configs[i]!);
        await until(() => nodes[i]!.region.ready(), `${names[i]} was ready again`);
      },
      scrape: async () => (await fetch(`http://${nodes[i]!.http}/metrics`)).text(),
    })),
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
