// What happens to logs, owners and origins: lost tails, old copies, stale appends, deposed owners.

import { readBatchHeader } from '../../../src/record/batch.ts';
import { originRegion } from '../../../src/record/ids.ts';
import { DEFAULT_LIMITS } from '../../../src/region/options.ts';
import {
  add,
  attempt,
  begin,
  boot,
  counterOf,
  crash,
  cut,
  DELETE,
  expect,
  increment,
  inStep,
  insist,
  isolate,
  owner,
  put,
  read,
  readStable,
  ready,
  restart,
  status,
  textOf,
  write,
  type WriteOptions,
} from './steps.ts';
import { quiet, type Scenario } from './scenario.ts';

export const logScenarios: readonly Scenario[] = [
  {
    name: 'deposed-owner-heartbeat',
    says: 'an owner that was replaced goes on talking: none of its promises may hold for its successor, none of its writes may land',
    plan: quiet({ nodesPerRegion: 2 }),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      const region = cluster.region('ap');
      await write(sim, 'ap', 'register-lww', 'k0', put('by the first owner'));
      // The old owner hears of it seconds later; its clock is ahead, that of the region's log is not.
      cluster.moveOwner(region, 1, 4000);
      await ready(sim, 'ap');
      const before = region.nodes[0]!;
      for (let i = 0; i < 10; i++) {
        await insist(sim, 'ap', 'register-lww', 'k0', put(`by the second owner ${i}`));
        // A client that has not heard of the move.
        if (i % 2 === 0) begin(sim, 'ap', 'register-lww', 'k1', put(`by the first owner, deposed ${i}`), {}, before);
        await sim.run(200);
      }
      await inStep(sim);
      expect(textOf(read(sim, 'eu', 'register-lww', 'k0')) === 'by the second owner 9', () => 'the successor lost');
      await sim.settle();
    },
  },
  {
    name: 'lost-tail-known-to-peer',
    says: 'the end of a log is lost, a peer has it: those ops come back under their own dots, and the origin ends at the maximum',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      await write(sim, 'ap', 'counter-pn', 'k0', increment(1));
      await inStep(sim);
      // Only eu hears of the tail.
      cut(sim, 'ap', 'sa');
      cut(sim, 'eu', 'sa');
      for (let i = 0; i < 5; i++)
        await write(sim, 'ap', 'counter-pn', 'k0', increment(10), { durability: { kind: 'regions', n: 1 } });
      await inStep(sim, 'ap', 'eu');
      const region = crash(sim, 'ap', 'none', true);
      sim.cluster.damage(region, region.shards[0]!, 4);
      restart(sim, 'ap');
      await ready(sim, 'ap');
      await write(sim, 'ap', 'counter-pn', 'k0', increment(100));
      cut(sim, 'ap', 'sa', false);
      cut(sim, 'eu', 'sa', false);
      await inStep(sim);
      await sim.settle();
    },
  },
  {
    name: 'origin-closes-at-the-maximum',
    says: 'a region gets an old copy of its log back while the only peer that has the rest is away: the origin is not closed below it',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      await write(sim, 'ap', 'counter-pn', 'k0', increment(1));
      await inStep(sim);
      cluster.takeBackup(cluster.region('ap'));
      cut(sim, 'ap', 'sa');
      cut(sim, 'eu', 'sa');
      for (let i = 0; i < 5; i++)
        await write(sim, 'ap', 'counter-pn', 'k0', increment(10), { durability: { kind: 'regions', n: 1 } });
      await inStep(sim, 'ap', 'eu');
      const region = crash(sim, 'ap', 'none', true);
      cluster.restoreBackup(region);
      cut(sim, 'ap', 'eu');
      cut(sim, 'ap', 'sa', false);
      restart(sim, 'ap');
      await sim.run(4000);
      // From eu to ap it is slow, so that what eu reports is here before what it has.
      cluster.network.change('eu', 'ap', { blocked: false, bytesPerMs: 0.4, delayMs: 200 });
      cluster.network.change('ap', 'eu', { blocked: false });
      cut(sim, 'eu', 'sa', false);
      await sim.run(6000);
      await sim.settle();
    },
  },
  {
    name: 'new-incarnation-below-collected-tombstone',
    says: 'a region loses its disk and its clock falls back an hour: its new incarnation starts above what was collected meanwhile',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      await write(sim, 'eu', 'register-lww', 'k0', put('old'));
      await inStep(sim);
      await write(sim, 'eu', 'register-lww', 'k0', DELETE);
      await inStep(sim);
      await sim.until(
        'the tombstone is collected in eu',
        15_000,
        () => tombstones(sim, 'eu') === 0 && tombstones(sim, 'sa') === 0,
      );
      const region = crash(sim, 'ap', 'none', true);
      region.clock.step(-3_600_000);
      cluster.wipe(region, true);
      restart(sim, 'ap');
      await sim.run(3000);
      const call = begin(sim, 'ap', 'register-lww', 'k0', put('new'));
      await sim.until('an answer', 5000, () => call.result !== undefined);
      await sim.run(2000);
      await sim.settle();
    },
  },
  {
    name: 'lost-disk-below-a-cut-that-was-shown',
    says: 'a region loses its disk while those who heard its promises start again and have forgotten them: nothing comes below a cut that they have shown',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      await write(sim, 'eu', 'register-lww', 'k0', put('old'));
      await inStep(sim);
      // Promises alone move the cut on.
      await sim.run(2000);
      const shown = await readStable(sim, 'sa', 'register-lww', 'k0');
      for (const region of ['ap', 'eu', 'sa']) crash(sim, region, 'none', true);
      cluster.region('eu').clock.step(-900);
      cluster.wipe(cluster.region('eu'), true);
      // Those who are asked say what they know before anything new stands in their logs.
      for (const region of ['ap', 'sa']) {
        cluster.region(region).diskMs = 1000;
        restart(sim, region);
      }
      restart(sim, 'eu');
      await ready(sim, 'eu');
      const written = await write(sim, 'eu', 'register-lww', 'k0', put('new'));
      expect(written.stamp > shown, () => `a cut as of ${shown} was shown, and ${written.stamp} is written now`);
      await sim.settle();
    },
  },
  {
    name: 'unheard-of-region-writes-below-a-tombstone',
    says: 'a tombstone is past every watermark that its region knows of, and a member that it has not heard of yet writes below it',
    plan: quiet(),
    script: async (sim) => {
      const { cluster } = sim;
      const { network } = cluster;
      isolate(sim, 'sa');
      for (const region of ['ap', 'eu']) restart(sim, region);
      await ready(sim, 'ap', 'eu');
      await write(sim, 'ap', 'register-lww', 'k0', put('old'));
      await inStep(sim, 'ap', 'eu');
      // ap still promises to eu, and hears nothing of it.
      network.change('eu', 'ap', { blocked: true });
      await write(sim, 'eu', 'register-lww', 'k0', DELETE);
      await sim.run(2500);
      cluster.region('sa').clock.set(-12_000, 0);
      cut(sim, 'ap', 'sa', false);
      restart(sim, 'sa');
      await ready(sim, 'sa');
      await write(sim, 'sa', 'register-lww', 'k0', put('below the tombstone'));
      await sim.settle();
    },
  },
  {
    name: 'parked-batches-eat-credit',
    says: 'batches that wait for what they depend on fill their buffer: they are dropped and asked for again, and what they wait for gets through',
    plan: quiet({ limits: { ...DEFAULT_LIMITS, parkedBytesMax: 700, linkWindowBytes: 1500 } }),
    script: async (sim) => {
      await boot(sim);
      const { network } = sim.cluster;
      // sa gets ap's ops late; eu's, which depend on them, at once and many.
      network.change('ap', 'sa', { delayMs: 1500 });
      for (let i = 0; i < 40; i++) {
        await write(sim, 'ap', 'set-aw', 'k0', add(`a${i % 3}`));
        await inStep(sim, 'ap', 'eu');
        await write(sim, 'eu', 'set-aw', 'k0', add(`b${i % 3}`));
      }
      await sim.run(1000);
      network.change('ap', 'sa', { delayMs: 10 });
      await inStep(sim);
      await sim.settle();
    },
  },
  {
    name: 'stale-publish-lands-late',
    says: 'an append that was held up reaches the log after its owner has died and another has begun: it is refused, or it was the last of its line',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      const region = cluster.region('ap');
      await write(sim, 'ap', 'register-lww', 'k0', put('kept'));
      region.appendFault = () => 'late';
      const calls = [1, 2, 3].map((i) => begin(sim, 'ap', 'register-lww', 'k0', put(`held up ${i}`)));
      await sim.run(8);
      calls.push(begin(sim, 'ap', 'register-lww', 'k1', put('held up too')));
      await sim.run(8);
      region.appendFault = undefined;
      crash(sim, 'ap');
      for (const { op } of calls) {
        op.open = 0;
        op.unknown = true;
      }
      restart(sim, 'ap');
      await ready(sim, 'ap');
      await write(sim, 'ap', 'register-lww', 'k1', put('by the successor'));
      region.disk.landLate();
      cluster.touched(region);
      await write(sim, 'ap', 'register-lww', 'k1', put('and another'));
      await inStep(sim);
      await sim.settle();
    },
  },
  {
    name: 'backup-restored',
    says: "a region's disk is put back as it was some time ago: new incarnation, no dot twice, what its peers have comes back",
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      const region = cluster.region('ap');
      await write(sim, 'ap', 'counter-pn', 'k0', increment(1));
      await inStep(sim);
      cluster.takeBackup(region);
      for (let i = 0; i < 10; i++) await write(sim, 'ap', 'counter-pn', 'k0', increment(1));
      await inStep(sim);
      const origin = [...cluster.history.originsOf(region.shards[0]!).keys()].find((id) => id.startsWith('ap~'));
      crash(sim, 'ap', 'none', true);
      cluster.restoreBackup(region);
      restart(sim, 'ap');
      await ready(sim, 'ap');
      await write(sim, 'ap', 'counter-pn', 'k0', increment(100));
      await inStep(sim);
      const value = read(sim, 'ap', 'counter-pn', 'k0');
      expect(
        value?.type === 'counter-pn' && value.value === 111n,
        () => `the counter stands at ${value?.type === 'counter-pn' ? value.value : 'nothing'}, not 111`,
      );
      expect(status(sim, 'ap').shards[0]!.ownOrigin !== origin, () => 'the incarnation goes on after a restore');
      await sim.settle();
    },
  },
  {
    name: 'cursor-beyond-a-lost-op',
    says: 'a consumer has seen an op that only a lost disk had, and moves to another region: it is told, and not left waiting',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      await write(sim, 'ap', 'register-lww', 'k0', put('everywhere'));
      await inStep(sim);
      // Long enough for the streams to break: nothing of the op may be on its way.
      isolate(sim, 'ap');
      await sim.run(5000);
      const lost = await write(sim, 'ap', 'register-lww', 'k0', put('only here'));
      const region = crash(sim, 'ap', 'none', true);
      cluster.wipe(region, true);
      isolate(sim, 'ap', false);
      restart(sim, 'ap');
      await ready(sim, 'ap');
      let told = '';
      owner(sim, 'eu').node!.subscribe(
        {
          namespace: 'shop',
          collections: [],
          keyPrefix: '',
          start: { kind: 'cursor', cursor: new Map([[region.shards[0]!, new Map([[lost.origin, lost.seq]])]]) },
          form: 'value',
        },
        {
          events: () => true,
          failed: (error) => {
            told = error.code;
          },
        },
      );
      await write(sim, 'eu', 'register-lww', 'k1', put('wakes the feed'));
      await sim.until('the consumer is told', 20_000, () => told !== '');
      expect(told === 'CURSOR_INVALID', () => `the consumer was told ${told}`);
      await sim.settle();
    },
  },
  {
    name: 'lost-disk-while-another-catches-up',
    says: 'a region that begins anew is told of an op whose only copy is then lost: it does not wait for it for ever',
    plan: quiet({ settleMsMax: 15_000 }),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      await write(sim, 'ap', 'register-lww', 'k0', put('everywhere'));
      await inStep(sim);
      cluster.wipe(crash(sim, 'eu'), false);
      cut(sim, 'ap', 'sa');
      // Until the streams have broken: what waits in one would still arrive.
      await sim.run(5000);
      await write(sim, 'ap', 'register-lww', 'k0', put('only in ap'));
      let told = false;
      cluster.network.taps.push({
        delivered: (from, to, message) => {
          if (message.kind !== 'welcome' || from.site !== 'ap' || to.site !== 'eu') return;
          told = true;
          cut(sim, 'ap', 'eu');
        },
      });
      restart(sim, 'eu');
      await sim.until('eu was told of the op', 5000, () => told);
      await sim.run(5000);
      expect(!owner(sim, 'eu').node!.ready(), () => 'eu does not wait for what ap has');
      cluster.wipe(crash(sim, 'ap'), false);
      restart(sim, 'ap');
      await sim.settle();
    },
  },
  {
    name: 'question-that-goes-by',
    says: 'members whose shards are changing their owners let a region go by that asks where it may begin: it asks again',
    plan: quiet(),
    script: async (sim) => {
      let unheard = 0;
      sim.cluster.network.taps.push({
        sent: (_from, _to, message) => {
          if (message.kind !== 'begin' || sim.cluster.scheduler.now > 400) return;
          unheard += (message.shards as unknown[]).splice(0).length;
        },
      });
      await boot(sim);
      expect(unheard > 0, () => 'nobody asked');
    },
  },
  {
    name: 'lost-tail-that-was-parked',
    says: 'the tail of a lost disk waits in a peer for what it depends on, and that comes when its origin has been closed below it: it is not taken',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      const eu = cluster.region('eu');
      await write(sim, 'sa', 'register-lww', 'k0', put('everywhere'));
      await inStep(sim);
      // What sa writes on an op that eu lacks waits in eu; ap gets nothing of it.
      let lose = true;
      cluster.network.taps.push({
        sent: (_from, to, message) => {
          if (!lose || message.kind !== 'batches' || to.site !== 'eu') return;
          // Whoever brings it: right after the start sa is a relay, too.
          const batches = message.batches as Uint8Array[];
          batches.push(...batches.splice(0).filter((bytes) => originRegion(readBatchHeader(bytes).origin) !== 'ap'));
        },
      });
      const elsewhere: WriteOptions = { durability: { kind: 'regions', n: 1 } };
      await write(sim, 'ap', 'register-lww', 'k0', put('eu lacks it'), elsewhere);
      cut(sim, 'ap', 'sa');
      const lost = await write(sim, 'sa', 'register-lww', 'k0', put('waits in eu'));
      // So does the first batch of sa's next incarnation, which says that sa holds it.
      crash(sim, 'sa');
      restart(sim, 'sa');
      await sim.until('both wait in eu', 15_000, () => status(sim, 'eu').shards[0]!.parkedBatches === 2);
      cluster.wipe(crash(sim, 'sa'), false);
      // Until the streams have broken: what waits in one would still arrive.
      await sim.run(5000);
      cut(sim, 'ap', 'sa', false);
      restart(sim, 'sa');
      await ready(sim, 'sa');
      const { closed } = cluster.history.log(cluster.region('sa').id, eu.shards[0]!);
      await sim.until('sa closes its earlier origin', 5000, () => {
        cluster.catchUp();
        return closed.has(lost.origin);
      });
      expect(closed.get(lost.origin) === lost.seq - 1, () => `closed at ${closed.get(lost.origin)}`);
      lose = false;
      await inStep(sim);
      await sim.settle();
    },
  },
  {
    name: 'store-of-another-history',
    says: "a region's log is put back as it was and grows again; then its store is as it was before: by its cursor it is a little behind, and it has seen other ops",
    plan: quiet({ lateStore: true, storeMs: 1 }),
    script: async (sim) => {
      await boot(sim);
      const { cluster } = sim;
      const region = cluster.region('ap');
      const shard = region.shards[0]!;
      const { storeDisk } = region.nodes[0]!;
      const stored = (what: string): Promise<void> =>
        sim.until(what, 60_000, () => storeDisk.shard(shard).cursor === region.disk.shard(shard).tail);
      await write(sim, 'ap', 'counter-pn', 'k0', increment(1));
      await inStep(sim);
      cluster.takeBackup(region);
      isolate(sim, 'ap');
      for (let i = 0; i < 3; i++) await write(sim, 'ap', 'counter-pn', 'k0', increment(10));
      for (let i = 0; i < 12; i++) await write(sim, 'eu', 'counter-pn', 'k0', increment(100));
      await stored('the store has what is lost soon');
      const image = storeDisk.image();
      crash(sim, 'ap', 'none', true);
      cluster.restoreBackup(region);
      storeDisk.flush();
      restart(sim, 'ap');
      isolate(sim, 'ap', false);
      await sim.until(
        'the log is as long as it was, and longer',
        20_000,
        () => region.disk.shard(shard).tail > (image.get(shard)?.cursor ?? 0),
      );
      crash(sim, 'ap');
      storeDisk.goBack(image);
      restart(sim, 'ap');
      await inStep(sim);
      await sim.settle();
    },
  },
  {
    name: 'store-stands-still',
    says: 'a store on a server answers nothing for seconds: it is said, what needs it is refused as not written and goes elsewhere, keys in memory and the other regions go on, and nothing of it is lost or there twice',
    plan: quiet({ lateStore: true, storeMs: 1 }),
    script: async (sim) => {
      await boot(sim);
      const region = sim.cluster.region('eu');
      const isAway = (): boolean => status(sim, 'eu').alarms.some(({ code }) => code === 'store-away');
      await write(sim, 'eu', 'counter-pn', 'k0', increment(1));
      await inStep(sim);
      region.storeStandsUntilMs = sim.cluster.scheduler.now + 8000;
      // It is sent before anybody knows, and the same op again afterwards.
      const options: WriteOptions = { idempotency: { kind: 'key', key: 'once' }, deadlineMs: 20_000 };
      const early = begin(sim, 'eu', 'counter-pn', 'k1', increment(1), options);
      await sim.until('the store is away', 2000, isAway);
      expect(early.result?.ok === false && early.result.error.code === 'STORE_AWAY', () =>
        JSON.stringify(early.result),
      );
      for (let i = 0; i < 5; i++) {
        const cold = begin(sim, 'eu', 'register-lww', 'k1', put(`cold ${i}`));
        expect(cold.result?.ok === false && cold.result.error.code === 'STORE_AWAY', () => JSON.stringify(cold.result));
        await write(sim, 'eu', 'counter-pn', 'k0', increment(1));
        // Of a peer, and of keys that eu has to ask for.
        await write(sim, 'ap', 'set-aw', 'k0', add(`e${i % 3}`));
        await write(sim, 'ap', 'counter-pn', 'k0', increment(1));
      }
      await sim.until('the store answers again', 10_000, () => !isAway());
      attempt(sim, 'eu', early.op, options, () => undefined);
      await inStep(sim);
      expect(counterOf(read(sim, 'eu', 'counter-pn', 'k0')) === 11n, () => 'not every increment is there once');
      await sim.settle();
    },
  },
  {
    name: 'region-returns-after-long',
    says: 'a region is away for minutes while the others write and delete: it catches up, and nothing that was deleted comes back',
    plan: quiet({ heartbeatMs: 500 }),
    script: async (sim) => {
      await boot(sim);
      for (const key of ['k0', 'k1']) await write(sim, 'sa', 'register-lww', key, put('before'));
      await write(sim, 'sa', 'set-aw', 'k0', add('x'));
      await inStep(sim);
      isolate(sim, 'sa');
      await write(sim, 'sa', 'register-lww', 'k1', put('written alone'));
      await write(sim, 'ap', 'register-lww', 'k0', DELETE);
      await write(sim, 'ap', 'register-lww', 'k1', DELETE);
      await write(sim, 'eu', 'set-aw', 'k0', DELETE);
      for (let i = 0; i < 20; i++) {
        await write(sim, i % 2 === 0 ? 'ap' : 'eu', 'counter-pn', 'k0', increment(1));
        await sim.run(6000);
      }
      expect(status(sim, 'ap').shards[0]!.tombstones > 0, () => 'a tombstone was collected while a member was away');
      isolate(sim, 'sa', false);
      await inStep(sim);
      expect(read(sim, 'sa', 'register-lww', 'k0') === undefined, () => 'k0 is back');
      await sim.settle();
    },
  },
];

function tombstones(sim: Parameters<typeof status>[0], region: string): number {
  return status(sim, region).shards.reduce((sum, shard) => sum + shard.tombstones, 0);
}
