// Requests to NATS without a server: which answer is whose, and what becomes of one that does not come.

import { headers, type MsgHdrs } from 'nats';
import { expect, test, vi } from 'vitest';
import type { Msg, NatsConnection } from '../../src/nats/connection.ts';
import { apiAnswer, Requests, type RawAnswer } from '../../src/nats/requests.ts';
import type { Timers } from '../../src/system/system.ts';

type Callback = (error: Error | null, message: Msg) => void;

/** What was published, and a way to answer it; time passes when it is told to. */
function wire() {
  const published: { readonly subject: string; readonly reply: string }[] = [];
  const due: { readonly ms: number; readonly fn: () => void; over: boolean }[] = [];
  let heard: Callback | undefined;
  let broken: Error | undefined;
  const connection = {
    subscribe: (_: string, { callback }: { callback: Callback }) => (heard = callback),
    publish: (subject: string, _: unknown, { reply }: { reply: string }) => {
      if (broken !== undefined) throw broken;
      published.push({ subject, reply });
    },
  } as unknown as NatsConnection;
  const after = (ms: number, fn: () => void) => {
    const timer = { ms, fn, over: false };
    due.push(timer);
    return { cancel: () => void (timer.over = true) };
  };
  const timers: Timers = { after, every: after, soon: (fn) => void after(0, fn) };
  return {
    requests: new Requests(connection, timers),
    published,
    breaks: (error: Error) => (broken = error),
    answer: (at: number, data: string, about?: MsgHdrs) =>
      heard!(null, {
        subject: published[at]!.reply,
        data: Buffer.from(data),
        headers: about,
        string: () => data,
        json: () => JSON.parse(data) as unknown,
      } as unknown as Msg),
    pass: (ms: number) => {
      for (const timer of due.filter((each) => !each.over && each.ms <= ms)) {
        timer.over = true;
        timer.fn();
      }
    },
    waiting: () => due.filter(({ over }) => !over).length,
  };
}

const OPTIONS = { timeoutMs: 100 };

test('each answer goes to who asked, in whatever order they come, and once', () => {
  const { requests, answer, waiting } = wire();
  const told: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    requests.send(name, '', OPTIONS, (raw) =>
      told.push(`${name} ${raw.kind === 'ok' ? raw.value.string() : raw.kind}`),
    );
  }
  answer(1, 'second');
  answer(1, 'second, again');
  answer(0, 'first');
  expect(told).toEqual(['b second', 'a first']);
  expect(waiting()).toBe(1);
});

test('nobody listens: it was not stored', () => {
  const { requests, answer } = wire();
  const told = vi.fn<(raw: RawAnswer) => void>();
  requests.send('subject', '', OPTIONS, told);
  answer(0, '', headers(503, 'No Responders'));
  expect(told).toHaveBeenCalledWith({ kind: 'no-responders' });
});

test('no answer in time is unknown, and one that comes later is nobody’s', () => {
  const { requests, answer, pass } = wire();
  const told = vi.fn<(raw: RawAnswer) => void>();
  requests.send('subject', '', OPTIONS, told);
  pass(99);
  expect(told).not.toHaveBeenCalled();
  pass(100);
  expect(told).toHaveBeenCalledWith({ kind: 'unknown', message: 'no answer in time' });
  answer(0, 'late');
  expect(told).toHaveBeenCalledTimes(1);
});

test('what waits when the connection breaks is unknown at once, and so is what is asked until it is back', () => {
  const { requests, published, pass } = wire();
  const told: string[] = [];
  const ask = () =>
    requests.send('subject', '', OPTIONS, (raw) => told.push(raw.kind === 'unknown' ? raw.message : ''));
  ask();
  requests.abandon('it broke');
  ask();
  pass(0);
  expect(told).toEqual(['it broke', 'it broke']);
  expect(published).toHaveLength(1);
  requests.resume();
  ask();
  expect(published).toHaveLength(2);
});

test('a connection that takes nothing is unknown too', () => {
  const { requests, breaks, pass } = wire();
  const told = vi.fn<(raw: RawAnswer) => void>();
  breaks(new Error('CONNECTION_CLOSED'));
  requests.send('subject', '', OPTIONS, told);
  pass(0);
  expect(told).toHaveBeenCalledWith({ kind: 'unknown', message: 'CONNECTION_CLOSED' });
});

test('an answer of JetStream’s API: what it says, its error, or nothing that can be understood', () => {
  const { requests, answer } = wire();
  const told: unknown[] = [];
  for (const name of ['a', 'b', 'c']) requests.send(name, '', OPTIONS, (raw) => told.push(apiAnswer(name, raw)));
  answer(0, '{"seq":7}');
  answer(1, '{"error":{"code":503,"err_code":10008,"description":"not now"}}');
  answer(2, 'what');
  expect(told).toEqual([
    { kind: 'ok', value: { seq: 7 } },
    { kind: 'error', code: 10_008, status: 503, message: 'not now' },
    { kind: 'unknown', message: 'c was answered with what is not JSON' },
  ]);
});
