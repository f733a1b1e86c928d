// Writes of one sender to another node: their order, and what is told of them when the stream ends before they are answered.

import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { CausewayError } from '../../src/errors/errors.ts';
import { messageType } from '../../src/proto/load.ts';
import { WIRE_LEN, wireTag } from '../../src/proto/wire.ts';
import { OrderedWrites, type WriteStreamCall } from '../../src/siblings/ordered-writes.ts';
import type { System } from '../../src/system/system.ts';

const NAMESPACE = wireTag(1, WIRE_LEN);

class FakeCall extends EventEmitter {
  readonly sent: { readonly requestId: number; readonly epoch: number; readonly namespace: string }[] = [];
  ended = false;
  cancelled = false;

  write(bytes: Buffer): void {
    const { write, requestId, epoch } = messageType('causeway.v1.WriteStreamRequest').decode(bytes) as unknown as {
      write: { namespace: string };
      requestId: number;
      epoch: number;
    };
    this.sent.push({ requestId, epoch, namespace: write.namespace });
  }

  answer(...results: object[]): void {
    this.emit(
      'data',
      Buffer.from(
        messageType('causeway.v1.WriteStreamResponse')
          .encode({ results } as never)
          .finish(),
      ),
    );
  }

  end(): void {
    this.ended = true;
  }

  cancel(): void {
    this.cancelled = true;
  }
}

class Bench {
  readonly calls: FakeCall[] = [];
  readonly told: string[] = [];
  refusal: CausewayError | undefined;
  closed = 0;
  #nowMs = 0;
  readonly #looks = new Set<() => void>();
  readonly writes = new OrderedWrites({
    address: 'eu-2:7400',
    system: {
      clock: { monotonicMs: () => this.#nowMs, nowMs: () => this.#nowMs },
      timers: {
        every: (_ms: number, fn: () => void) => {
          this.#looks.add(fn);
          return { cancel: () => void this.#looks.delete(fn) };
        },
      },
    } as unknown as System,
    open: () => {
      if (this.refusal !== undefined) return Promise.reject(this.refusal);
      const call = new FakeCall();
      this.calls.push(call);
      return Promise.resolve(call as unknown as WriteStreamCall);
    },
    closed: () => void this.closed++,
  });

  send(name: string, epoch = 0): void {
    this.writes.send({
      epoch,
      deadlineMs: 1000,
      encode: (into) => into.text(NAMESPACE, name),
      done: (answer) => void this.told.push(`${name} ${answer instanceof CausewayError ? answer.code : 'ok'}`),
    });
  }

  /** Promises are kept. */
  async settled(): Promise<FakeCall> {
    await new Promise((resolve) => void setImmediate(resolve));
    return this.calls.at(-1)!;
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    for (const look of [...this.#looks]) look();
  }
}

describe('writes to another node', () => {
  test('go out in the order of the calls, also those that waited for the connection, with their epochs', async () => {
    const bench = new Bench();
    bench.send('a');
    bench.send('b');
    const call = await bench.settled();
    bench.send('c', 1);
    expect(bench.calls).toHaveLength(1);
    expect(call.sent.map(({ namespace, epoch }) => `${namespace} ${epoch}`)).toEqual(['a 0', 'b 0', 'c 1']);
    const [a, b, c] = call.sent.map(({ requestId }) => requestId);
    call.answer({ requestId: b, write: {} }, { requestId: a, error: { code: 'NOT_READY' } });
    call.answer({ requestId: c, write: {} }, { requestId: c, write: {} });
    expect(bench.told).toEqual(['b ok', 'a NOT_READY', 'c ok']);
  });

  test('are not applied when there is no connection, and the next ones try again', async () => {
    const bench = new Bench();
    bench.refusal = new CausewayError('UNAVAILABLE', 'nobody is there', { outcome: 'not-applied' });
    bench.send('a');
    bench.send('b');
    await bench.settled();
    expect(bench.told).toEqual(['a UNAVAILABLE', 'b UNAVAILABLE']);
    bench.refusal = undefined;
    bench.send('c');
    expect((await bench.settled()).sent).toHaveLength(1);
  });

  test('have an unknown outcome when the stream ends, and what comes then goes over another', async () => {
    const bench = new Bench();
    for (const name of ['a', 'b']) bench.send(name);
    const call = await bench.settled();
    call.answer({ requestId: call.sent[0]!.requestId, write: {} });
    call.emit('end');
    expect(bench.told).toEqual(['a ok', 'b UNAVAILABLE']);
    bench.send('c');
    const next = await bench.settled();
    expect(next).not.toBe(call);
    // Last words of the one before.
    call.answer({ requestId: next.sent[0]!.requestId, write: {} });
    expect(bench.told).toHaveLength(2);
    expect(bench.closed).toBe(1);
  });

  test('of a node that does not answer are given up some time after their deadline', async () => {
    const bench = new Bench();
    bench.send('a');
    const call = await bench.settled();
    bench.pass(2500);
    expect(bench.told).toEqual([]);
    bench.pass(1000);
    expect(bench.told).toEqual(['a UNAVAILABLE']);
    expect(call.cancelled).toBe(true);
  });

  test('that do not come any more give their stream back', async () => {
    const bench = new Bench();
    bench.send('a');
    const call = await bench.settled();
    call.answer({ requestId: call.sent[0]!.requestId, write: {} });
    bench.pass(9000);
    expect(call.ended).toBe(false);
    bench.pass(1000);
    expect([call.ended, bench.closed]).toEqual([true, 1]);
    bench.send('b');
    expect((await bench.settled()).sent).toHaveLength(1);
    expect(bench.calls).toHaveLength(2);
  });
});
