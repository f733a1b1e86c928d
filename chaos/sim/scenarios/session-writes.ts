// Sessions that write before they read: what one writes stands on what it has seen, in whichever region, or is refused.

import { stampOfMs } from '../../../src/clock/hlc.ts';
import type { Version } from '../../../src/record/ids.ts';
import type { SessionToken } from '../../../src/region/region.ts';
import type { Simulation } from '../simulate.ts';
import { quiet, type Scenario } from './scenario.ts';
import { begin, boot, expect, inStep, isolate, put, read, textOf, write } from './steps.ts';

const QUESTION = 'k0';
const ANSWER = 'k1';
const YEAR_MS = 365 * 24 * 3_600_000;
const SKEW_MS = 2000;

/** What a session has seen that has written or read exactly this. */
function seen(sim: Simulation, { origin, stamp }: Version): SessionToken {
  return new Map([[sim.cluster.shardOf('shop', 'register-lww', QUESTION), new Map([[origin, stamp]])]]);
}

type Call = ReturnType<typeof begin>;

function isAnswered({ result }: Call): boolean {
  return result !== undefined;
}

function isOk({ result }: Call): boolean {
  return result?.ok === true;
}

export const sessionWriteScenarios: readonly Scenario[] = [
  {
    name: 'session-writes-before-it-reads',
    says: 'a session moves and writes where its last write is not yet: the write waits for that, or is refused; nobody sees an answer without its question',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      await write(sim, 'ap', 'register-lww', QUESTION, put('nothing yet'));
      await inStep(sim);
      isolate(sim, 'ap');
      await sim.run(500);
      const session = seen(sim, await write(sim, 'ap', 'register-lww', QUESTION, put('the question')));
      const early = begin(sim, 'eu', 'register-lww', ANSWER, put('too early'), { session, deadlineMs: 500 });
      await sim.until('eu answers or refuses', 1500, () => early.result !== undefined);
      const { result } = early;
      expect(result?.ok === false && result.error.code === 'SESSION_BEHIND', () =>
        result?.ok === true ? 'eu took a write on what it lacks' : `eu refused with ${result?.error.code}`,
      );
      // Whoever has no session, or one that is here, waits for nobody.
      const plain = await write(sim, 'eu', 'register-lww', ANSWER, put('no session'), { deadlineMs: 100 });
      await write(sim, 'eu', 'register-lww', ANSWER, put('its own'), { session: seen(sim, plain), deadlineMs: 100 });
      // One that waits goes on as soon as what it waits for is here.
      const waiting = begin(sim, 'eu', 'register-lww', ANSWER, put('the answer'), { session, deadlineMs: 20_000 });
      await sim.run(1000);
      expect(!isAnswered(waiting), () => 'eu did not wait');
      isolate(sim, 'ap', false);
      await sim.until('eu takes the write', 15_000, () => isAnswered(waiting));
      expect(isOk(waiting), () => 'eu refused what it had waited for');
      await sim.until(
        'sa shows the answer',
        15_000,
        () => textOf(read(sim, 'sa', 'register-lww', ANSWER)) === 'the answer',
      );
      const question = textOf(read(sim, 'sa', 'register-lww', QUESTION));
      expect(question === 'the question', () => `sa shows the answer, and '${question}' as the question`);
      await sim.settle();
    },
  },
  {
    name: 'session-from-the-future',
    says: 'a session has seen a stamp a year ahead: it is told so at once; whoever has no session is not held up',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const known = await write(sim, 'ap', 'register-lww', QUESTION, put('the question'));
      await inStep(sim);
      const { clock } = sim.cluster.region('ap');
      const stamped = (aheadMs: number): number => stampOfMs(clock.nowMs() + aheadMs);
      const poisoned = seen(sim, { ...known, stamp: stamped(YEAR_MS) });
      const { result } = begin(sim, 'eu', 'register-lww', ANSWER, put('poisoned'), { session: poisoned });
      expect(result?.ok === false && result.error.code === 'SESSION_AHEAD', () => `eu said ${JSON.stringify(result)}`);
      await write(sim, 'eu', 'register-lww', ANSWER, put('no session'), {
        seenStamp: stamped(YEAR_MS),
        deadlineMs: 100,
      });
      await write(sim, 'eu', 'register-lww', ANSWER, put('of a fast clock'), { seenStamp: stamped(SKEW_MS / 2) });
      // By now ap promises what the session names, and only the time is to come.
      const little = seen(sim, { ...known, stamp: stamped(-100) });
      await write(sim, 'ap', 'register-lww', QUESTION, put('again'), { seenStamp: stamped(SKEW_MS / 2) });
      await write(sim, 'eu', 'register-lww', ANSWER, put('the answer'), { session: little, deadlineMs: 2000 });
      await sim.settle();
    },
  },
];
