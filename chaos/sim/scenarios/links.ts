// What happens between regions: who is asked for whose ops while some of them do not reach each other.

import { boot, crash, cut, inStep, put, read, ready, restart, status, textOf, write } from './steps.ts';
import { quiet, type Scenario } from './scenario.ts';

/** Between two of them lies less than a heartbeat, so that redials, heartbeats and deaths meet in every order. */
const DEATHS = 24;

export const linkScenarios: readonly Scenario[] = [
  {
    name: 'relay-of-the-dead',
    says: 'a region dies when only one other has its last write, at many different moments: the third gets it from that other, every time',
    plan: quiet({ heartbeatMs: 250, jitterMs: 5 }),
    script: async (sim) => {
      await boot(sim);
      for (let death = 0; death < DEATHS; death++) {
        await write(sim, 'ap', 'register-lww', 'k0', put(`before ${death}`));
        await inStep(sim);
        cut(sim, 'eu', 'sa');
        const last = `last words ${death}`;
        await write(sim, 'sa', 'register-lww', 'k0', put(last), {
          durability: { kind: 'regions', n: 1 },
          deadlineMs: 15_000,
        });
        crash(sim, 'sa');
        cut(sim, 'eu', 'sa', false);
        await sim.until(
          `eu has "${last}", which ap has`,
          15_000,
          () => textOf(read(sim, 'eu', 'register-lww', 'k0')) === last,
        );
        restart(sim, 'sa');
        await ready(sim, 'sa');
        await sim.until('sa is linked to both again', 15_000, () =>
          ['ap', 'eu'].every((region) => status(sim, region).peers.every(({ link }) => link.kind === 'up')),
        );
        // The others are asked no more for what sa says itself.
        await sim.run(300 + 37 * death);
      }
      await sim.settle();
    },
  },
];
