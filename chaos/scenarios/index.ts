// Every scenario, in the order of `npm run chaos -- --list`. To add one: an entry here; its script plays on chaos/fault.

import { diskFull, diskLost } from '../fault/disks.ts';
import { shiftClock } from '../fault/clocks.ts';
import { breakOnce, degradeAll, halfOpen, isolate, oneWay, part, shatter, slowReader } from '../fault/network.ts';
import { kill, killTogether, pause, restart } from '../fault/processes.ts';
import type { Fault } from '../fault/fault.ts';
import { forAll } from './limits.ts';
import { serverScenarios } from './servers.ts';
import type { Play, Scenario } from './play.ts';

const YEAR_MS = 365 * 86_400_000;
const KIB = 1024;

/** The last part of every run is whole, so that what healed shows. */
const CALM_FROM = 0.8;

export const scenarios: readonly Scenario[] = [
  {
    name: 'region-kill',
    says: 'a region dies (kill -9) and comes back; its clients go elsewhere meanwhile',
    limits: (regions) => ({ unavailableMsMax: { ...forAll(regions, 1000), [regions[0]!]: 5000 } }),
    script: async (play) => {
      await play.between(0.25, 0.6, kill(play.stage, play.regions[0]!));
    },
  },
  {
    name: 'split-brain',
    says: 'one region is cut off from the others, then all from each other; every side goes on writing',
    limits: (regions) => ({ unavailableMsMax: forAll(regions, 2000) }),
    script: async (play) => {
      await play.between(0.15, 0.45, isolate(play.stage, play.regions[1]!, 'blackhole'));
      await play.between(0.55, CALM_FROM, shatter(play.stage, 'reset'));
    },
  },
  {
    name: 'one-way',
    says: 'what one region says does not reach another, which it still hears; then connections are half open',
    script: async (play) => {
      const [a, b, c] = play.regions as [string, string, string];
      await play.between(0.15, 0.4, oneWay(play.stage, a, b));
      await play.between(0.45, 0.6, halfOpen(play.stage, b, c));
      await play.between(0.65, CALM_FROM, oneWay(play.stage, c, a));
    },
  },
  {
    name: 'flapping',
    says: 'connections between two regions break and come back all the time',
    script: async (play) => {
      const [a, b, c] = play.regions as [string, string, string];
      await play.reach(0.15);
      for (let n = 0; play.part < CALM_FROM; n++) {
        const pair: readonly [string, string] = n % 3 === 2 ? [b, c] : [a, b];
        const fault = n % 2 === 0 ? breakOnce(play.stage, ...pair) : part(play.stage, ...pair, 'reset');
        const broken = await play.break(fault);
        await pass(play, 300, 900);
        await broken.heal();
        await pass(play, 300, 900);
      }
    },
  },
  {
    name: 'slow-peer',
    says: 'one region takes what others send it at a trickle: nobody else may lag for it (I8)',
    script: async (play) => {
      await play.between(0.15, CALM_FROM, slowReader(play.stage, play.regions[2]!, 8 * KIB));
    },
  },
  {
    name: 'clock-skew',
    says: 'clocks are off by up to maxSkewMs, both ways, and one steps beyond it: what observed a write beats it all the same',
    limits: (regions) => ({ unavailableMsMax: forAll(regions, 5000) }),
    script: async (play) => {
      const [a, b, c] = play.regions as [string, string, string];
      const clock = (region: string, shiftMs: number): Fault =>
        shiftClock(play.stage, region, shiftMs, { maxSkewMs: play.maxSkewMs });
      await play.reach(0.1);
      const fast = await play.break(clock(a, Math.round(play.maxSkewMs * 0.4)));
      const slow = await play.break(clock(b, -Math.round(play.maxSkewMs * 0.4)));
      await play.reach(0.45);
      await fast.heal();
      await slow.heal();
      await play.between(0.5, 0.65, clock(c, -3 * play.maxSkewMs));
      await play.between(0.7, CALM_FROM, clock(a, 3 * play.maxSkewMs));
    },
  },
  {
    name: 'poison-stamp',
    says: 'a region that is alone stamps a year ahead: its stream is held everywhere else, all others flow',
    limits: (regions) => ({ unavailableMsMax: { ...forAll(regions, 5000), [regions[2]!]: 10_000 } }),
    // Its origin has to be closed, which is an operator's command that does not exist yet.
    agreeing: (regions) => regions.filter((_, i) => i !== 2),
    script: async (play) => {
      const victim = play.regions[2]!;
      await play.reach(0.25);
      const alone = await play.break(isolate(play.stage, victim, 'reset'));
      // A node alone cannot tell that it is its own clock that is wrong; with peers it would stop taking writes.
      await play.reach(0.45);
      const ahead = await play.break(shiftClock(play.stage, victim, YEAR_MS, { maxSkewMs: play.maxSkewMs }));
      await play.reach(0.5);
      await ahead.heal();
      await alone.heal();
    },
  },
  {
    name: 'disk-full',
    says: 'a disk runs full under load: writes are refused and not half taken; with room again the region goes on',
    smallDisks: (regions) => [regions[1]!],
    script: async (play) => {
      await play.between(0.25, 0.55, diskFull(play.stage, play.regions[1]!));
    },
  },
  {
    name: 'pause',
    says: 'a region is frozen for longer and shorter (SIGSTOP), as by a long collection or a stalled machine',
    // A connection that takes and gives nothing is given up after 4.5 s (the keepalive of the client's channels).
    limits: (regions) => ({ unavailableMsMax: { ...forAll(regions, 8000), [regions[2]!]: 2000 } }),
    script: async (play) => {
      await play.between(0.15, 0.4, pause(play.stage, play.regions[0]!));
      await play.between(0.5, 0.55, pause(play.stage, play.regions[1]!));
      await play.between(0.65, 0.75, pause(play.stage, play.regions[0]!));
    },
  },
  {
    name: 'restart-storm',
    says: 'regions are restarted one after the other and killed together, again and again',
    script: async (play) => {
      await play.reach(0.1);
      for (let n = 0; play.part < CALM_FROM - 0.1; n++) {
        const region = play.regions[n % play.regions.length]!;
        const { stage } = play;
        const fault =
          n % 3 === 0
            ? restart(stage, region)
            : n % 3 === 1
              ? kill(stage, region)
              : killTogether(stage, play.regions.slice(0, 2));
        const broken = await play.break(fault);
        await pass(play, 0, 800);
        await broken.heal();
        await pass(play, 500, 2000);
      }
    },
  },
  {
    name: 'wan-degraded',
    says: 'a long and narrow way between the regions: 150 ms each way, jitter, 256 KiB/s',
    script: async (play) => {
      const change = { delayMs: 150, jitterMs: 60, bytesPerSecond: 256 * KIB };
      const says = 'every way is 150 to 210 ms long and takes 256 KiB/s';
      await play.between(0.15, CALM_FROM, degradeAll(play.stage, change, says));
    },
  },
  {
    name: 'disk-lost',
    says: "a region's disk is gone: what others had of it is there again, and only what nobody else had may be lost",
    script: async (play) => {
      await play.between(0.35, 0.5, diskLost(play.stage, play.regions[0]!));
    },
  },
  {
    name: 'everything',
    says: 'all of it, drawn from the seed, two faults at a time',
    smallDisks: (regions) => [regions[1]!],
    smallDisksOptional: true,
    script: async (play) => {
      await play.reach(0.05);
      await Promise.all([processesAndDisks(play), wiresAndClocks(play)]);
    },
  },
  ...serverScenarios,
];

/** One after the other: a process must not be killed twice. */
async function processesAndDisks(play: Play): Promise<void> {
  const { stage, random } = play;
  let lost = false;
  while (play.part < CALM_FROM - 0.05) {
    const region = random.pick(play.regions);
    const faults = [kill(stage, region), pause(stage, region), restart(stage, region)];
    if (stage.disk(region) !== undefined) faults.push(diskFull(stage, region));
    // Two lost disks could be a loss that nothing promises to survive.
    if (!lost && play.part > 0.4) faults.push(diskLost(stage, region));
    const fault = random.pick(faults);
    lost ||= fault.wipes !== undefined;
    const broken = await play.break(fault);
    await pass(play, 300, 4000);
    await broken.heal();
    await pass(play, 1000, 4000);
  }
}

async function wiresAndClocks(play: Play): Promise<void> {
  const { stage, random, maxSkewMs } = play;
  while (play.part < CALM_FROM - 0.05) {
    const [a, b] = random.shuffled(play.regions) as [string, string];
    const fault = random.pick([
      isolate(stage, a, 'blackhole'),
      isolate(stage, a, 'reset'),
      shatter(stage, 'reset'),
      part(stage, a, b, 'blackhole'),
      oneWay(stage, a, b),
      halfOpen(stage, a, b),
      breakOnce(stage, a, b),
      slowReader(stage, a, 16 * KIB),
      degradeAll(stage, { delayMs: 100, jitterMs: 50 }, 'every way is 100 to 150 ms long'),
      shiftClock(stage, a, Math.round(random.between(-0.45, 0.45) * maxSkewMs), { maxSkewMs }),
    ]);
    const broken = await play.break(fault);
    await pass(play, 500, 5000);
    await broken.heal();
    await pass(play, 300, 3000);
  }
}

/** A time between the two, of a run of a minute; of a shorter or longer one in proportion, within reason. */
async function pass(play: Play, fromMs: number, toMs: number): Promise<void> {
  const scale = Math.min(1, play.durationMs / 60_000);
  await play.reach(play.part + (play.random.between(fromMs, toMs) * scale) / play.durationMs);
}
