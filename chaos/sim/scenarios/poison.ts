// Clocks a year ahead: nobody believes what they stamp, and the region is whole again when its disk is given up.

import { msOfStamp, stampOfMs } from '../../../src/clock/hlc.ts';
import type { ShardBeat } from '../../../src/shard/beat.ts';
import {
  boot,
  crash,
  DELETE,
  expect,
  inStep,
  isolate,
  put,
  read,
  ready,
  restart,
  status,
  textOf,
  write,
} from './steps.ts';
import type { Simulation } from '../simulate.ts';
import { quiet, type Scenario } from './scenario.ts';

const YEAR_MS = 365 * 86_400_000;

export const poisonScenarios: readonly Scenario[] = [
  {
    name: 'poison-stamp',
    says: "an op is stamped a year ahead: its origin's stream is held with an alarm within 5 s, all others flow",
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      isolate(sim, 'ap');
      await sim.run(2500);
      cluster.region('ap').clock.step(YEAR_MS);
      await sim.run(200);
      const poison = await write(sim, 'ap', 'register-lww', 'k0', put('from the future'));
      cluster.region('ap').clock.set(0, 0);
      isolate(sim, 'ap', false);
      await sim.until('alarms in eu and sa', 5000, () =>
        ['eu', 'sa'].every((region) => status(sim, region).alarms.some(({ code }) => code === 'clock-hold')),
      );
      const version = await write(sim, 'eu', 'register-lww', 'k1', put('from today'));
      expect(version.stamp < poison.stamp, () => "eu's clock was pushed ahead");
      await inStepOf(sim, 'eu', 'sa');
      expect(textOf(read(sim, 'sa', 'register-lww', 'k1')) === 'from today', () => 'an honest stream does not flow');
      expect(read(sim, 'sa', 'register-lww', 'k0') === undefined, () => 'the poisoned op was taken');
    },
  },
  {
    name: 'poisoned-region-begins-anew',
    says: 'what a region said while its clock was a year ahead holds nobody up once its disk was given up: no alarm, no tombstone is left',
    plan: quiet({ settleMsMax: 10_000 }),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      await write(sim, 'eu', 'register-lww', 'k1', put('to be deleted'));
      await inStep(sim);
      // The others hear what it promises and reports, and then, when it is back, what it wrote.
      cluster.region('ap').clock.step(YEAR_MS);
      await sim.run(500);
      isolate(sim, 'ap');
      await sim.run(15_000);
      await write(sim, 'ap', 'register-lww', 'k0', put('from the future'));
      const poisoned: Uint8Array[] = [];
      let repeated = false;
      cluster.network.taps.push({
        sent: (from, to, message) => {
          if (message.kind !== 'batches' || to.site !== 'eu') return;
          const batches = message.batches as Uint8Array[];
          if (cluster.region('ap').generation === 0) {
            if (from.site === 'ap') poisoned.push(...batches.map((bytes) => Buffer.from(bytes)));
          } else if (!repeated && status(sim, 'eu').alarms.length === 0) {
            // What a stream of yesterday still brings.
            batches.push(...poisoned);
            repeated = true;
          }
        },
      });
      isolate(sim, 'ap', false);
      await sim.until('alarms in eu and sa', 5000, () =>
        ['eu', 'sa'].every((region) => status(sim, region).alarms.some(({ code }) => code === 'clock-hold')),
      );
      cluster.wipe(crash(sim, 'ap'), false);
      cluster.region('ap').clock.set(0, 0);
      restart(sim, 'ap');
      await write(sim, 'eu', 'register-lww', 'k1', DELETE);
      await sim.until('no alarm in eu', 5000, () => status(sim, 'eu').alarms.length === 0);
      await ready(sim, 'ap');
      await write(sim, 'ap', 'register-lww', 'k0', put('from today'));
      await sim.settle();
      expect(repeated && poisoned.length > 0, () => 'the poisoned batch did not come again');
      expect(
        ['eu', 'sa'].every((region) => status(sim, region).alarms.every(({ code }) => code !== 'clock-hold')),
        () => 'an alarm for what nobody will ever take',
      );
    },
  },
  {
    name: 'bound-from-a-wrong-clock',
    says: 'a member whose clock is a year ahead tells a new owner to begin above that: the others know better, and it begins today',
    plan: quiet({ nodesPerRegion: 2 }),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      await inStep(sim);
      // Alone, so that it cannot see that it is the one.
      isolate(sim, 'ap');
      await sim.run(5000);
      cluster.region('ap').clock.step(YEAR_MS);
      await sim.run(3000);
      // Its next owner reads in the log what the region has promised.
      cluster.moveOwner(cluster.region('ap'), 1, 0);
      await sim.run(3000);
      const told = new Set<string>();
      cluster.network.taps.push({
        delivered: (from, to, message) => {
          if (message.kind !== 'welcome' || from.site !== 'ap' || to.site !== 'eu') return;
          if (
            !message.shards.some(
              ({ boundOfReceiver }) => boundOfReceiver > stampOfMs(cluster.region('eu').clock.nowMs() + YEAR_MS / 2),
            )
          )
            return;
          told.add(to.address);
        },
      });
      isolate(sim, 'ap', false);
      await sim.until('eu was told', 15_000, () => told.size === 2);
      // The link has measured ap's clock, and sa's for longer.
      await sim.run(500);
      cluster.moveOwner(cluster.region('eu'), 1, 0);
      await ready(sim, 'eu');
      const { stamp } = await write(sim, 'eu', 'register-lww', 'k0', put('from today'));
      expect(
        msOfStamp(stamp) < cluster.region('eu').clock.nowMs() + YEAR_MS / 2,
        () => 'eu writes in the year that ap believes it is',
      );
      cluster.wipe(crash(sim, 'ap'), false);
      cluster.region('ap').clock.set(0, 0);
      restart(sim, 'ap');
      await sim.settle();
    },
  },
  {
    name: 'one-peer-and-its-clock-is-wrong',
    says: 'of two regions one starts again while the clock of the other is a year ahead: nobody can tell whose is wrong, so it waits until they agree, and begins today',
    plan: quiet({ regions: 2 }),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      await write(sim, 'ap', 'register-lww', 'k0', put('before'));
      await inStep(sim);
      isolate(sim, 'ap');
      crash(sim, 'eu');
      await sim.run(3000);
      cluster.region('ap').clock.step(YEAR_MS);
      await sim.run(1000);
      // Its log says what it has promised.
      crash(sim, 'ap');
      restart(sim, 'ap');
      await sim.run(3000);
      isolate(sim, 'ap', false);
      restart(sim, 'eu');
      await sim.until('eu is in doubt', 5000, () => isInDoubt(sim, 'eu'));
      await sim.run(10_000);
      expect(isInDoubt(sim, 'eu'), () => `eu is ${status(sim, 'eu').state}: ${status(sim, 'eu').stateReason}`);
      // Its disk stays: what it says of eu is still of that year, but its clock is no longer.
      cluster.region('ap').clock.set(0, 0);
      await ready(sim, 'eu');
      const { stamp } = await write(sim, 'eu', 'register-lww', 'k0', put('from today'));
      expect(
        msOfStamp(stamp) < cluster.region('eu').clock.nowMs() + YEAR_MS / 2,
        () => 'eu writes in the year that ap believed it was',
      );
      cluster.wipe(crash(sim, 'ap'), false);
      restart(sim, 'ap');
      await sim.settle();
    },
  },
  {
    name: 'old-copy-and-its-own-clock-is-wrong',
    says: 'of two regions one starts with an old copy of its disk and a clock that is far behind: its whole log begins nothing below what it has promised',
    plan: quiet({ regions: 2 }),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      const region = cluster.region('ap');
      await write(sim, 'ap', 'register-lww', 'k0', put('in the copy'));
      await inStep(sim);
      cluster.takeBackup(region);
      await sim.run(5000);
      const { stamp: lost } = await write(sim, 'ap', 'register-lww', 'k0', put('not in the copy'));
      await inStep(sim);
      crash(sim, 'ap', 'none', true);
      cluster.restoreBackup(region);
      region.clock.step(-3_600_000);
      restart(sim, 'ap');
      await sim.until('ap is in doubt', 5000, () => isInDoubt(sim, 'ap'));
      await sim.run(3000);
      expect(isInDoubt(sim, 'ap'), () => `ap is ${status(sim, 'ap').state}: ${status(sim, 'ap').stateReason}`);
      expect(textOf(read(sim, 'eu', 'register-lww', 'k0')) === 'not in the copy', () => 'eu does not answer');
      region.clock.set(0, 0);
      await ready(sim, 'ap');
      const { stamp } = await write(sim, 'ap', 'register-lww', 'k0', put('after the copy'));
      expect(stamp > lost, () => 'ap writes below what it had written');
      await sim.settle();
    },
  },
  {
    name: 'last-words-of-a-lost-disk',
    says: 'what a region promised while its clock ran ahead, and what arrives only after it has begun anew on an empty disk, counts nowhere',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      // The others have heard of what it writes with.
      await sim.run(300);
      // Ahead by less than is believed.
      cluster.region('ap').clock.step(1500);
      const said: ShardBeat[] = [];
      let begun = false;
      let repeated = 0;
      cluster.network.taps.push({
        sent: (from, to, message) => {
          if (message.kind === 'begun' && to.site === 'ap' && from.site === 'eu') begun = true;
          if (message.kind !== 'beat' || from.site !== 'ap') return;
          const shards = message.shards as ShardBeat[];
          if (cluster.region('ap').generation === 0) {
            // None of it arrives before the disk is lost.
            said.splice(0, said.length, ...shards.splice(0));
          } else if (begun && to.site === 'eu') {
            shards.push(...said);
            repeated++;
          }
        },
      });
      await sim.run(1000);
      cluster.wipe(crash(sim, 'ap'), false);
      cluster.region('ap').clock.set(0, 0);
      // They arrive before what it says now, and go on.
      cluster.region('ap').diskMs = 300;
      restart(sim, 'ap');
      await ready(sim, 'ap');
      await sim.until('last words', 10_000, () => repeated > 2);
      isolate(sim, 'ap');
      await write(sim, 'ap', 'register-lww', 'k0', put('not there yet'));
      await sim.run(600);
      const lagMs = status(sim, 'eu').peers.find(({ region }) => region === 'ap')!.lagMs;
      expect(said.length > 0, () => 'nothing was said');
      expect(lagMs === undefined || lagMs >= 600, () => `eu lacks an op of 600 ms and shows a lag of ${lagMs} ms`);
      isolate(sim, 'ap', false);
      await sim.settle();
    },
  },
];

/** The region waits, because nobody can tell whose clock is wrong. */
function isInDoubt(sim: Simulation, region: string): boolean {
  const { state, stateReason } = status(sim, region);
  return state === 'asking-members' && stateReason.includes('no third clock tells');
}

/** What one region has written is in the other. */
async function inStepOf(sim: Simulation, from: string, to: string): Promise<void> {
  const { cluster } = sim;
  await sim.until(`${to} has what ${from} wrote`, 5000, () => {
    cluster.catchUp();
    return cluster.region(from).shards.every((shard) => {
      const there = cluster.history.log(cluster.region(to).id, shard).vector;
      return [...cluster.history.log(cluster.region(from).id, shard).vector].every(
        ([origin, seq]) => !origin.startsWith(`${from}~`) || (there.get(origin) ?? 0) >= seq,
      );
    });
  });
}
