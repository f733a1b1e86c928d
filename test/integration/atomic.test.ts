// Several keys at once, and scans, through real processes: what one region writes as a whole, others see as a whole.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { CausewayError } from '../../src/client/index.ts';
import { Regions, SLOW_MS } from './regions.ts';

let regions: Regions;

beforeAll(async () => {
  regions = await Regions.start({ accounts: 'register-lww', moves: 'counter-pn' });
}, SLOW_MS);

afterAll(() => regions.stop(), SLOW_MS);

test(
  'I3, I4: a pair that is written together is read together, in every region, at every moment',
  async () => {
    const west = regions.client('us-west');
    const east = regions.client('us-east');
    const ROUNDS = 200;
    let done = false;
    const torn: unknown[] = [];
    let reads = 0;
    const accounts = west.register<number>('accounts');
    const reader = (async () => {
      while (!done) {
        const [from, to] = await east.register<number>('accounts').getMany(['{pair}/from', '{pair}/to']);
        if ((from?.value ?? 0) + (to?.value ?? 0) !== 0) torn.push([from, to]);
        reads++;
      }
    })();
    for (let i = 1; i <= ROUNDS; i++) {
      await west.writeAtomic([
        accounts.op.set('{pair}/from', -i),
        west.counter('moves').op.increment('of/{pair}'),
        accounts.op.set('{pair}/to', i),
      ]);
    }
    await regions.converged();
    done = true;
    await reader;
    expect(torn).toEqual([]);
    expect(reads).toBeGreaterThan(0);
    expect(await east.counter('moves').get('of/{pair}')).toBe(BigInt(ROUNDS));
    // One that is refused leaves nothing, anywhere.
    const ops = [accounts.op.set('{pair}/from', 1), accounts.op.createIfAbsent('{pair}/to', 1)];
    await expect(west.writeAtomic(ops)).rejects.toThrow(CausewayError);
    await expect(west.writeAtomic([accounts.op.set('a', 1), accounts.op.set('b', 1)])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect((await accounts.get('{pair}/from'))?.value).toBe(-ROUNDS);
  },
  SLOW_MS,
);

test(
  'a scan sees all keys once, in order, in another region and while others are written',
  async () => {
    const west = regions.client('us-west');
    const east = regions.client('us-east', { consistency: 'causal' });
    const keys = Array.from({ length: 3000 }, (_, i) => `scan/${String(i).padStart(4, '0')}`);
    const producer = west.producer();
    for (const key of keys) await producer.send(west.register('accounts').op.set(key, key));
    await producer.flush();
    east.join(west.session());
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i++) await producer.send(west.register('accounts').op.set(`other/${i % 500}`, i));
      await producer.close();
    })();
    const found: string[] = [];
    for await (const { key, value } of east.register<string>('accounts').scan({ prefix: 'scan/', pageSize: 137 })) {
      expect(value).toBe(key);
      found.push(key);
    }
    writing = false;
    await writer;
    expect(found).toEqual(keys);
  },
  SLOW_MS,
);
