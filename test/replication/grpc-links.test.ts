// Whole links on the real wire: what one region logs, the others have, also when there is much of it.

import { afterEach, expect, test } from 'vitest';
import { originId, regionId, shardId } from '../../src/record/ids.ts';
import { GrpcTransport } from '../../src/replication/grpc-transport.ts';
import { realSystem } from '../../src/system/real.ts';
import type { VirtualTime } from './support/virtual.ts';
import { World } from './support/world.ts';

const system = realSystem();
const names = ['ap', 'eu', 'us'].map(regionId);
const shard = shardId(1, 0);
const stops: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(windowBytes: number): Promise<World> {
  const world = new World({ system } as VirtualTime, {
    placement: new Map([
      [shard, names],
      [shardId(1, 1), names],
    ]),
    windowBytes,
  });
  const transports = new Map(names.map((name) => [name, new GrpcTransport({ listen: '127.0.0.1:0', system })]));
  const ports = new Map<string, number>();
  for (const [name, transport] of transports) ports.set(name, (await transport.start()).port);
  for (const [name, transport] of transports) {
    world.region(name).start(transport, (peer) => `127.0.0.1:${ports.get(peer)}`);
    stops.push(() => world.region(name).links?.stop());
  }
  for (const transport of transports.values()) stops.push(() => transport.stop());
  return world;
}

/** Looks after every turn: there is no event for "everybody has everything". */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => void system.timers.after(5, resolve));
}

test('three regions, each writing to two shards', async () => {
  const world = await start(64 * 1024);
  for (let round = 0; round < 50; round++) {
    for (const name of names) {
      world.region(name).host.write(shard, 20, 200);
      world.region(name).host.write(shardId(1, 1), 3, 50);
    }
    if (round % 10 === 0) await new Promise<void>((resolve) => system.timers.soon(resolve));
  }
  await until(() => names.every((name) => world.region(name).host.vector(shard).size === 3) && world.converged());
  world.checkLogs();
  const states = names.flatMap((name) => world.region(name).links?.states().dialled ?? []);
  expect(states.map(({ state }) => state.kind)).toEqual(Array.from({ length: 6 }, () => 'up'));
});

test('catches up on 40 MB through a window of 1 MiB, large batches included', async () => {
  const world = await start(1024 * 1024);
  const { host } = world.region('eu');
  for (let i = 0; i < 40; i++) host.write(shard, 250, 4000);
  host.write(shard, 1, 1);
  const origin = host.liveOrigin(shard) ?? originId(names[1] ?? regionId('eu'), 0);
  await until(() => names.every((name) => world.region(name).host.vector(shard).get(origin) === 10_001));
  world.checkLogs();
});
