// What two regions make of writes that could not see each other: real processes, with the wires between them cut.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Causeway, NodeConflict } from '../../src/client/index.ts';
import { Regions, REGIONS, SLOW_MS, type RegionName } from './regions.ts';

let regions: Regions;
const clients = new Map<RegionName, Causeway>();
const at = (region: RegionName): Causeway => clients.get(region)!;

beforeAll(async () => {
  regions = await Regions.start({ counters: 'counter-pn', carts: 'set-aw', profiles: 'register-lww' });
  for (const region of REGIONS) clients.set(region, regions.client(region));
}, SLOW_MS);

afterAll(() => regions.stop(), SLOW_MS);

/** us-west on one side, us-central and us-east on the other. */
async function apart(work: () => Promise<unknown>): Promise<void> {
  await regions.converged();
  regions.wires.isolate('us-west', 'blackhole');
  await work();
  regions.wires.heal();
  await regions.converged();
}

async function everywhere<T>(read: (client: Causeway) => Promise<T>): Promise<T[]> {
  return Promise.all(REGIONS.map((region) => read(at(region))));
}

test(
  'I2, I3: two producers that increment one counter in different regions through a partition end exact',
  async () => {
    const expected = new Map<string, bigint>();
    const produce = async (region: RegionName, count: number): Promise<void> => {
      const producer = at(region).producer();
      for (let i = 0; i < count; i++) {
        const by = BigInt((i % 7) - 2); // some are decrements
        expected.set('hits', (expected.get('hits') ?? 0n) + by);
        await producer.send(at(region).counter('counters').op.increment('hits', by));
      }
      await producer.close();
    };
    await Promise.all([produce('us-west', 500), produce('us-east', 500)]);
    await apart(() => Promise.all([produce('us-west', 1500), produce('us-east', 1500)]));
    await Promise.all([produce('us-west', 500), produce('us-east', 500)]);
    await regions.converged();
    const values = await everywhere((client) => client.counter('counters').get('hits'));
    expect(values).toEqual(REGIONS.map(() => expected.get('hits')));
  },
  SLOW_MS,
);

test(
  'an element that is added in one region while another removes it ends present',
  async () => {
    await at('us-west').set('carts').add('anna', ['book', 'lamp']);
    await apart(async () => {
      await at('us-west').set('carts').remove('anna', ['book', 'lamp']);
      await at('us-east').set('carts').add('anna', 'book');
      // Each side sees its own until they meet.
      expect(await at('us-west').set('carts').members('anna')).toEqual([]);
      expect(await at('us-central').set('carts').members('anna')).toContain('lamp');
    });
    const members = await everywhere((client) => client.set('carts').members('anna'));
    expect(members).toEqual(REGIONS.map(() => ['book']));
  },
  SLOW_MS,
);

test(
  'two concurrent writes of one register yield exactly one conflict verdict; writes that have seen each other none',
  async () => {
    const admins = regions.admins();
    const verdicts = async (): Promise<number> => {
      const statuses = await Promise.all(admins.map((admin) => admin.status()));
      return statuses.reduce((sum, { counters }) => sum + counters.conflicts, 0);
    };
    const before = await verdicts();

    // One after the other has arrived: no conflict, whoever writes.
    await at('us-west').register<string>('profiles').set('bob', 'first');
    await regions.converged();
    await at('us-east').register<string>('profiles').set('bob', 'second');
    await regions.converged();
    expect(await verdicts()).toBe(before);

    await apart(async () => {
      await at('us-west').register<string>('profiles').set('bob', 'from the west');
      await at('us-east').register<string>('profiles').set('bob', 'from the east');
    });
    expect(await verdicts()).toBe(before + 1);

    const answers = await everywhere((client) => client.register<string>('profiles').get('bob'));
    const winner = answers[0]!;
    expect(new Set(answers.map((answer) => answer?.value)).size).toBe(1);

    const journals = await Promise.all(admins.map((admin) => admin.conflicts()));
    const distinct = new Map<string, NodeConflict>();
    for (const conflict of journals.flat()) {
      if (conflict.key === 'bob') distinct.set(`${conflict.loser.origin}/${conflict.loser.seq}`, conflict);
    }
    expect(distinct.size).toBe(1);
    const [conflict] = distinct.values();
    expect(conflict?.winner).toMatchObject(winner.version);
    const lost = JSON.parse(Buffer.from(conflict!.loserValue!).toString()) as string;
    expect(new Set([lost, winner.value])).toEqual(new Set(['from the west', 'from the east']));
  },
  SLOW_MS,
);
