// What concurrency must mean, one case each: the examples that people try first.

import { DEFAULT_LIMITS } from '../../../src/region/options.ts';
import { journalOf } from '../../check/conflicts.ts';
import {
  add,
  attempt,
  begin,
  boot,
  counterOf,
  crash,
  cut,
  DELETE,
  elementsOf,
  expect,
  increment,
  inStep,
  isolate,
  put,
  read,
  ready,
  remove,
  restart,
  textOf,
  write,
} from './steps.ts';
import { quiet, type Scenario } from './scenario.ts';

export const conflictScenarios: readonly Scenario[] = [
  {
    name: 'counter-through-partition',
    says: 'two producers increment one counter in different regions through a partition: the sum is exact',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      isolate(sim, 'sa');
      let expected = 0;
      for (let i = 1; i <= 20; i++) {
        await write(sim, 'ap', 'counter-pn', 'k0', increment(i));
        await write(sim, 'sa', 'counter-pn', 'k0', increment(-2 * i));
        expected -= i;
      }
      isolate(sim, 'sa', false);
      await inStep(sim);
      for (const region of ['ap', 'eu', 'sa']) {
        const value = counterOf(read(sim, region, 'counter-pn', 'k0'));
        expect(value === BigInt(expected), () => `${region} counts ${value}, not ${expected}`);
      }
      await sim.settle();
    },
  },
  {
    name: 'concurrent-add-remove',
    says: 'an element that is removed in one region and added again in another at the same time stays',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      await write(sim, 'ap', 'set-aw', 'k0', add('x', 'y'));
      await inStep(sim);
      cut(sim, 'ap', 'eu');
      cut(sim, 'ap', 'sa');
      await write(sim, 'ap', 'set-aw', 'k0', remove('x', 'y'));
      await write(sim, 'eu', 'set-aw', 'k0', add('x'));
      isolate(sim, 'ap', false);
      await inStep(sim);
      for (const region of ['ap', 'eu', 'sa']) {
        const elements = elementsOf(read(sim, region, 'set-aw', 'k0')).join();
        expect(
          elements === 'x',
          () => `${region} has '${elements}'; the add of x was concurrent with its removal, that of y was not`,
        );
      }
      await sim.settle();
    },
  },
  {
    name: 'two-writes-one-conflict',
    says: 'two concurrent writes of one register give exactly one verdict, about the loser',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      isolate(sim, 'ap');
      const lost = await write(sim, 'ap', 'register-lww', 'k0', put('first'));
      await sim.run(50);
      const won = await write(sim, 'eu', 'register-lww', 'k0', put('second'));
      expect(won.stamp > lost.stamp, () => 'the later write has the lower stamp');
      isolate(sim, 'ap', false);
      await inStep(sim);
      // A write that has seen its predecessor is no conflict.
      await write(sim, 'sa', 'register-lww', 'k0', put('third'));
      await inStep(sim);
      expect(textOf(read(sim, 'ap', 'register-lww', 'k0')) === 'third', () => 'the last write does not stand');
      sim.conflicts.collectAll();
      expect(sim.conflicts.count === 1, () => `${sim.conflicts.count} verdicts for one conflict`);
      const [verdict] = journalOf(sim.cluster.region('ap').nodes[0]!)!;
      expect(
        verdict?.loser.seq === lost.seq && verdict.winner.origin === won.origin,
        () => 'the verdict is about other writes',
      );
      await sim.settle();
    },
  },
  {
    name: 'restored-region-overwrites-what-it-forgot',
    says: 'a region that was restored from a backup overwrites a value and a deletion that it once had: the value is a conflict, the deletion was collected',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      const region = cluster.region('eu');
      await write(sim, 'sa', 'register-lww', 'k0', put('first'));
      await inStep(sim);
      cluster.takeBackup(region);
      await write(sim, 'ap', 'register-lww', 'k0', DELETE);
      const lost = await write(sim, 'ap', 'register-lww', 'k1', put('first'));
      await inStep(sim);
      // Everybody says so, and the deletion is collected.
      await sim.run(5000);
      crash(sim, 'eu', 'none', true);
      cluster.restoreBackup(region);
      isolate(sim, 'eu');
      restart(sim, 'eu');
      await ready(sim, 'eu');
      await write(sim, 'eu', 'register-lww', 'k0', put('second'));
      await write(sim, 'eu', 'register-lww', 'k1', put('second'));
      isolate(sim, 'eu', false);
      await inStep(sim);
      for (const key of ['k0', 'k1']) {
        for (const at of ['ap', 'eu', 'sa']) {
          expect(textOf(read(sim, at, 'register-lww', key)) === 'second', () => `${at} does not have the last ${key}`);
        }
      }
      const journal = journalOf(sim.cluster.region('ap').nodes[0]!)!;
      expect(
        journal.length === 1 && journal[0]!.loser.seq === lost.seq,
        () => `ap's journal has ${journal.map(({ key }) => key).join() || 'nothing'}, not k1 alone`,
      );
      await sim.settle();
    },
  },
  {
    name: 'conflict-cursor-ahead-of-a-new-owner',
    says: 'a stream of conflicts moves to a new owner that has read the log before its last entry: nothing is lost, nothing told twice',
    plan: quiet({ nodesPerRegion: 2 }),
    script: async (sim) => {
      await boot(sim);
      const region = sim.cluster.region('ap');
      sim.conflicts.collectAll();
      isolate(sim, 'ap');
      await write(sim, 'ap', 'register-lww', 'k0', put('first'));
      await sim.run(50);
      await write(sim, 'eu', 'register-lww', 'k0', put('second'));
      // The winner is on its way into the log while the new owner reads it, whose lease is longer on its way there and is refused.
      region.diskMs = 60;
      let came = false;
      sim.cluster.network.taps.push({
        delivered: (_from, to, { kind }) => {
          if (to.site === 'ap' && kind === 'batches') came = true;
        },
      });
      isolate(sim, 'ap', false);
      await sim.until('ap is sent the winner', 5000, () => came);
      region.diskMs = 400;
      sim.cluster.moveOwner(region, 1, 4000);
      const former = region.nodes[0]!;
      await sim.until('the verdict', 100, () => journalOf(former)?.length === 1);
      // The stream moves, with the cursor that the former owner gave it.
      sim.conflicts.collectAll();
      region.diskMs = 1;
      await ready(sim, 'ap');
      await inStep(sim);
      await sim.settle();
    },
  },
  {
    name: 'remove-before-add',
    says: 'a remove that was prepared on an add reaches a region before the add does: it waits',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      // eu hears of ap's add; sa hears of eu at once and of ap much later.
      sim.cluster.network.change('ap', 'sa', { blocked: true });
      sim.cluster.network.change('sa', 'ap', { blocked: true });
      for (const key of ['k0', 'k1']) {
        await write(sim, 'ap', 'set-aw', key, add('x'));
        await inStep(sim, 'ap', 'eu');
        await write(sim, 'eu', 'set-aw', key, key === 'k0' ? remove('x') : DELETE);
        await sim.run(200);
      }
      isolate(sim, 'sa', false);
      await inStep(sim);
      for (const key of ['k0', 'k1']) {
        for (const region of ['ap', 'eu', 'sa']) {
          expect(read(sim, region, 'set-aw', key) === undefined, () => `${region} has what was removed from ${key}`);
        }
      }
      await sim.settle();
    },
  },
  {
    name: 'reset-meets-unaware-increment',
    says: 'a reset of a counter meets an increment that had not seen it: what it had not seen still counts',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      await write(sim, 'ap', 'counter-pn', 'k0', increment(10));
      await inStep(sim);
      isolate(sim, 'ap');
      // The same slot goes on, unaware; the reset has seen 10 of it.
      await write(sim, 'ap', 'counter-pn', 'k0', increment(5));
      await write(sim, 'eu', 'counter-pn', 'k0', DELETE);
      await sim.run(3000);
      await write(sim, 'ap', 'counter-pn', 'k0', increment(1));
      isolate(sim, 'ap', false);
      await inStep(sim);
      // Long enough for the reset slots to be collected; then a late increment must not bring them back.
      await sim.run(5000);
      await write(sim, 'ap', 'counter-pn', 'k0', increment(100));
      await inStep(sim);
      for (const region of ['ap', 'eu', 'sa']) {
        const value = counterOf(read(sim, region, 'counter-pn', 'k0'));
        expect(value === 106n, () => `${region} counts ${value}, not 106`);
      }
      await sim.settle();
    },
  },
  {
    name: 'retry-after-lost-answer',
    says: 'a client that heard nothing sends again with the same key, to the restarted process: one effect',
    plan: quiet({ diskMs: 20 }),
    script: async (sim) => {
      await boot(sim);
      const options = { idempotency: { kind: 'key', key: 'order-1' } } as const;
      const call = begin(sim, 'ap', 'counter-pn', 'k0', increment(7), options);
      await sim.run(2);
      for (const node of sim.cluster.region('ap').nodes)
        sim.cluster.crash(node, { keep: 'all', torn: false, machine: false });
      call.op.open = 0;
      call.op.unknown = true;
      for (const node of sim.cluster.region('ap').nodes) sim.cluster.start(node);
      await sim.until(
        'ap takes writes',
        10_000,
        () =>
          sim.cluster.region('ap').nodes[0]!.up && sim.cluster.region('ap').nodes[0]!.node!.status().state === 'ready',
      );
      attempt(sim, 'ap', call.op, options, (result) => {
        call.result = result;
      });
      await sim.until('the second answer', 5000, () => call.result !== undefined);
      expect(call.result!.ok, () => 'the retry was refused');
      await inStep(sim);
      const value = counterOf(read(sim, 'eu', 'counter-pn', 'k0'));
      expect(value === 7n, () => `the counter stands at ${value}, not 7`);
      await sim.settle();
    },
  },
  {
    name: 'retry-of-what-is-not-read-again',
    says: 'a start reads only the last entry again of what was remembered: a retry of an op from before that is refused, not applied a second time',
    plan: quiet({ diskMs: 20, limits: { ...DEFAULT_LIMITS, rereadEntriesMax: 1 } }),
    script: async (sim) => {
      await boot(sim);
      const { clock } = sim.cluster.region('ap');
      const options = { idempotency: { kind: 'key', key: 'order-1' }, issuedAtMs: clock.nowMs() } as const;
      const call = begin(sim, 'ap', 'counter-pn', 'k0', increment(7), options);
      await sim.run(2);
      crash(sim, 'ap', 'all');
      call.op.open = 0;
      call.op.unknown = true;
      restart(sim, 'ap');
      await ready(sim, 'ap');
      for (let i = 0; i < 3; i++) await write(sim, 'ap', 'counter-pn', 'k1', increment(1));
      // The store has all of it.
      await sim.run(3000);
      crash(sim, 'ap', 'all');
      restart(sim, 'ap');
      await ready(sim, 'ap');
      attempt(sim, 'ap', call.op, options, (result) => {
        call.result = result;
      });
      await sim.until('the second answer', 5000, () => call.result !== undefined);
      const { result } = call;
      expect(
        result!.ok === false && result!.error.code === 'IDEMPOTENCY_WINDOW_PASSED',
        () => 'the retry was not refused as too late',
      );
      await inStep(sim);
      const value = counterOf(read(sim, 'eu', 'counter-pn', 'k0'));
      expect(value === 7n, () => `the counter stands at ${value}, not 7`);
      await sim.settle();
    },
  },
];
