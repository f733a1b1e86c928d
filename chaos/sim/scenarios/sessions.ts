// Sessions that move between regions: what they have written and read is in what they read next, or they are told that it cannot be.

import type { CausewayError } from '../../../src/errors/errors.ts';
import type { OriginId, ShardId, Version } from '../../../src/record/ids.ts';
import type { ReadResult, SessionToken } from '../../../src/region/region.ts';
import type { Simulation } from '../simulate.ts';
import { quiet, type Scenario } from './scenario.ts';
import { boot, expect, inStep, isolate, owner, put, textOf, write } from './steps.ts';

const KEY = 'k0';

/** A session with its token, wherever it is. */
class Roaming {
  readonly #sim: Simulation;
  readonly #shard: ShardId;
  readonly #seen = new Map<OriginId, number>();

  constructor(sim: Simulation) {
    this.#sim = sim;
    this.#shard = sim.cluster.shardOf('shop', 'register-lww', KEY);
  }

  wrote({ origin, stamp }: Version): void {
    this.#seen.set(origin, Math.max(stamp, this.#seen.get(origin) ?? 0));
  }

  /** The value, or the code of the refusal. */
  async read(region: string, deadlineMs: number): Promise<string> {
    const asked = new Map(this.#seen);
    let answer: ReadResult | CausewayError | undefined;
    const session: SessionToken = new Map([[this.#shard, asked]]);
    owner(this.#sim, region).node!.read(
      {
        namespace: 'shop',
        collection: 'register-lww',
        keys: [KEY],
        consistency: { kind: 'causal', session, allowStale: false },
        deadlineMs,
      },
      (result) => {
        answer = result;
        if (result instanceof Error) return;
        const token = result.session.get(this.#shard) ?? new Map<OriginId, number>();
        this.#sim.cluster.catchUp(this.#sim.cluster.region(region));
        this.#sim.views.causal(this.#sim.cluster.region(region).id, this.#shard, asked, token);
        for (const [origin, stamp] of token) this.#seen.set(origin, Math.max(stamp, this.#seen.get(origin) ?? 0));
      },
    );
    await this.#sim.until(`${region} answers or refuses`, deadlineMs + 1000, () => answer !== undefined);
    return answer instanceof Error ? answer.code : (textOf(answer!.views[0]) ?? 'absent');
  }
}

export const sessionScenarios: readonly Scenario[] = [
  {
    name: 'session-roams-through-partition',
    says: 'a session moves through cut-off regions: each reads what it wrote and nothing older than it read, or refuses',
    plan: quiet(),
    script: async (sim) => {
      await boot(sim);
      const session = new Roaming(sim);
      await write(sim, 'ap', 'register-lww', KEY, put('first'));
      await inStep(sim);
      isolate(sim, 'ap');
      await sim.run(500);
      session.wrote(await write(sim, 'ap', 'register-lww', KEY, put('mine')));
      const early = await session.read('eu', 500);
      expect(early === 'SESSION_BEHIND', () => `eu, which cannot have it, answered '${early}'`);
      const home = await session.read('ap', 500);
      expect(home === 'mine', () => `ap answered '${home}'`);
      isolate(sim, 'ap', false);
      const healed = await session.read('eu', 10_000);
      expect(healed === 'mine', () => `eu answered '${healed}' after the cut`);
      // Monotonic reads: what eu has shown must be in sa too, whoever wrote it.
      isolate(sim, 'sa');
      await sim.run(500);
      await write(sim, 'eu', 'register-lww', KEY, put('theirs'));
      const seen = await session.read('eu', 500);
      expect(seen === 'theirs', () => `eu answered '${seen}'`);
      const behind = await session.read('sa', 500);
      expect(behind === 'SESSION_BEHIND', () => `sa, which cannot have it, answered '${behind}'`);
      isolate(sim, 'sa', false);
      const last = await session.read('sa', 10_000);
      expect(last === 'theirs', () => `sa answered '${last}' after the cut`);
      await sim.settle();
    },
  },
];
