// What waits for its keys, by hand: when it is full, and who is told that it is not any more.

import { expect, test } from 'vitest';
import { KeyQueue, type Over } from '../../src/region/key-queue.ts';
import type { StateCache } from '../../src/region/state-cache.ts';

function bench(bytesMax: number): { queue: KeyQueue; told: string[]; load: () => void } {
  const loads: (() => void)[] = [];
  const told: string[] = [];
  const cache = { keep: () => () => undefined, load: (_keys: unknown, done: () => void) => void loads.push(done) };
  const queue = new KeyQueue(cache as unknown as StateCache, bytesMax, () => void told.push(`room at ${queue.bytes}`));
  return { queue, told, load: () => loads.shift()!() };
}

const item = (name: string, told: string[], deadlineAtMs?: number): Parameters<KeyQueue['push']>[1] => ({
  bytes: 10,
  run: () => void told.push(name),
  over: (why: Over) => void told.push(`${name} ${why}`),
  ...(deadlineAtMs === undefined ? {} : { deadlineAtMs }),
});

test('I12: full from its bound on; who waits outside is told once there is room, whatever became of what was inside', () => {
  const { queue, told, load } = bench(20);
  for (const name of ['a', 'b', 'c']) queue.push([], item(name, told));
  expect(queue.isFull).toBe(true);
  load();
  expect([queue.isFull, told]).toEqual([true, ['a']]);
  load();
  expect([queue.isFull, told]).toEqual([false, ['a', 'b', 'room at 10']]);
  load();
  expect(told).toEqual(['a', 'b', 'room at 10', 'c']);
});

test('there is room too when those leave whose time is up', () => {
  const { queue, told } = bench(20);
  queue.push([], item('a', told, 100));
  queue.push([], item('b', told, 200));
  queue.expire(99);
  expect(told).toEqual([]);
  queue.expire(100);
  expect(told).toEqual(['a expired', 'room at 10']);
  queue.push([], item('c', told));
  queue.refuse();
  expect(told).toEqual(['a expired', 'room at 10', 'b away', 'room at 10']);
});
