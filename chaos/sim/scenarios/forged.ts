// Batches that no honest region sends, whole and with a right checksum: each is refused for what is wrong with it, and only its origin's
// stream stops.

import {
  BATCH_FORMAT_VERSION,
  decodeBatch,
  encodeBatch,
  OrderedDeps,
  readBatchHeader,
  type BatchToEncode,
} from '../../../src/record/batch.ts';
import { originId, regionId } from '../../../src/record/ids.ts';
import type { Simulation } from '../simulate.ts';
import { boot, cut, expect, inStep, owner, put, read, status, textOf, write } from './steps.ts';
import { quiet, type Scenario } from './scenario.ts';

export const forgedScenarios: readonly Scenario[] = [
  {
    name: 'forged-history',
    says: 'a batch arrives that continues another history of its origin than the one that is here: its stream stops with an alarm',
    plan: quiet(),
    script: async (sim) => {
      const forged = await forgeNext(sim, (batch) => ({ ...batch, previousChecksum: Buffer.alloc(8, 0x66) }));
      await sim.until('an alarm in sa', 5000, () => status(sim, 'sa').alarms.some(({ code }) => code === 'fork'));
      // What follows is not looked at any more.
      await write(sim, 'ap', 'register-lww', 'k0', put('three'));
      await stillFlows(sim, forged);
    },
  },
  {
    name: 'forged-stamp',
    says: 'a batch arrives with a stamp below the one before it: its stream stops with an alarm',
    plan: quiet(),
    script: async (sim) => {
      const forged = await forgeNext(sim, (batch) => ({ ...batch, firstStamp: 1 }));
      await sim.until('an alarm in sa', 5000, () => status(sim, 'sa').alarms.some(({ code }) => code === 'quarantine'));
      await stillFlows(sim, forged);
    },
  },
  {
    name: 'forged-origin',
    says: 'a batch arrives of a region that does not hold the shard: it is dropped, and what it stood for is asked for again',
    plan: quiet(),
    script: async (sim) => {
      const forged = await forgeNext(sim, (batch) => ({ ...batch, origin: originId(regionId('zz'), 7) }));
      await sim.until('sa has what was replaced', 5000, () => textOf(read(sim, 'sa', 'register-lww', 'k0')) === 'two');
      expect(forged(), () => 'nothing was forged');
      await sim.settle();
    },
  },
  {
    name: 'format-of-tomorrow',
    says: 'a batch arrives in a format that only a later version reads: it is not taken, and an alarm says who must be upgraded',
    plan: quiet(),
    script: async (sim) => {
      const forged = await forgeNext(
        sim,
        (batch) => batch,
        (bytes) => {
          // Not covered by the checksum: whoever reads the format at all must be able to say that it is another.
          bytes.writeUInt16LE(BATCH_FORMAT_VERSION + 1, 0);
        },
      );
      await sim.until('an alarm in sa', 5000, () => status(sim, 'sa').alarms.length > 0);
      expect(forged(), () => 'nothing was forged');
      // It was the last of its kind: the region speaks the present format again.
      await sim.settle();
    },
  },
];

/** ap writes twice, and the second batch reaches sa as `forge` makes it: eu and sa do not hear each other, so that sa has no other copy. */
async function forgeNext(
  sim: Simulation,
  forge: (batch: BatchToEncode) => BatchToEncode,
  mar: (bytes: Buffer) => void = () => undefined,
): Promise<() => boolean> {
  await boot(sim);
  await write(sim, 'ap', 'register-lww', 'k0', put('one'));
  await inStep(sim);
  let forged = false;
  sim.cluster.network.taps.push({
    sent: (from, to, message) => {
      if (message.kind !== 'batches' || from.site !== 'ap' || to.site !== 'sa') return;
      const batches = message.batches as Uint8Array[];
      batches.forEach((bytes, i) => {
        const header = readBatchHeader(bytes);
        if (!header.origin.startsWith('ap~') || forged) return;
        forged = true;
        const batch = decodeBatch(bytes, header, OrderedDeps.empty);
        const next = encodeBatch(forge({ ...batch, ops: batch.located.all(), depsBefore: undefined }));
        mar(next);
        batches[i] = next;
      });
    },
  });
  cut(sim, 'eu', 'sa');
  await write(sim, 'ap', 'register-lww', 'k0', put('two'));
  return () => forged;
}

async function stillFlows(sim: Simulation, forged: () => boolean): Promise<void> {
  await write(sim, 'sa', 'register-lww', 'k1', put('flows'));
  await sim.run(200);
  expect(textOf(read(sim, 'sa', 'register-lww', 'k0')) === 'one', () => 'the forged batch was taken');
  expect(forged() && owner(sim, 'ap').up, () => 'nothing was forged');
}
