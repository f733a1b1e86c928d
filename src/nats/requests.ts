// Requests to NATS: a message out, and the one that comes back for it.
// Owns: which answer belongs to which request, and how long one is waited for.
//
// nats.js has requests of its own. They make an error with its stack twice for each, also for one that is answered, and a promise at each of four steps;
// a node asks some hundred times a second, and that was a tenth of what it did.
//
// HAZARD: when the connection breaks, requests are over when their time is, and not before. Whoever follows its status calls abandon() and resume().
//
// Bound: as many as are asked at once.

import { createInbox, type MsgHdrs } from 'nats';
import type { TimerHandle, Timers } from '../system/system.ts';
import type { Msg, NatsConnection } from './connection.ts';

/** The message of the answer as it is. */
export type RawAnswer =
  | { readonly kind: 'ok'; readonly value: Msg }
  /** Nobody listens: what was sent was not stored, now or later. */
  | { readonly kind: 'no-responders' }
  /** No answer in time, the connection broke, or is closed. */
  | { readonly kind: 'unknown'; readonly message: string };

/** What a request to JetStream's API was answered. */
export type ApiAnswer<T> =
  | Exclude<RawAnswer, { kind: 'ok' }>
  | { readonly kind: 'ok'; readonly value: T }
  | {
      readonly kind: 'error';
      /** JetStream's number for it, e.g. 10059: no such stream. */
      readonly code: number;
      /** As of HTTP: 503 may pass. */
      readonly status: number;
      readonly message: string;
    };

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly headers?: MsgHdrs;
}

interface Waiting {
  readonly patience: TimerHandle;
  readonly done: (answer: RawAnswer) => void;
}

const NO_RESPONDERS = 503;

/** What JetStream answers a request to make a stream, by its number, that passes: a cluster that has just started, or has lost a server, does not know servers
 *  enough for the replicas (10005), and one that is busy may fail to make the files (10049). */
export const PASSING_API_ERRORS: ReadonlySet<number> = new Set([10_005, 10_049]);

export class Requests {
  readonly #connection: NatsConnection;
  readonly #timers: Timers;
  readonly #inbox = `${createInbox()}.`;
  readonly #waiting = new Map<string, Waiting>();
  #asked = 0;
  #listening = false;
  #abandoned: string | undefined;

  constructor(connection: NatsConnection, timers: Timers) {
    this.#connection = connection;
    this.#timers = timers;
  }

  /** Calls `done` once, never before it returns. */
  send(
    subject: string,
    payload: Uint8Array | string,
    { timeoutMs, headers }: RequestOptions,
    done: (answer: RawAnswer) => void,
  ): void {
    const token = (this.#asked++).toString(36);
    const over = (message: string) => () => this.#answer(token, { kind: 'unknown', message });
    this.#waiting.set(token, { done, patience: this.#timers.after(timeoutMs, over('no answer in time')) });
    if (this.#abandoned !== undefined) {
      this.#timers.soon(over(this.#abandoned));
      return;
    }
    try {
      this.#listen();
      this.#connection.publish(subject, payload, {
        reply: this.#inbox + token,
        ...(headers === undefined ? {} : { headers }),
      });
    } catch (error) {
      this.#timers.soon(over((error as Error).message));
    }
  }

  /** Never rejects. */
  askRaw(subject: string, payload: Uint8Array | string, options: RequestOptions): Promise<RawAnswer> {
    return new Promise((resolve) => this.send(subject, payload, options, resolve));
  }

  /** Never rejects. */
  ask<T>(subject: string, payload: Uint8Array | string, options: RequestOptions): Promise<ApiAnswer<T>> {
    return new Promise((resolve) => {
      this.send(subject, payload, options, (raw) => resolve(apiAnswer<T>(subject, raw)));
    });
  }

  /** What waits is answered now, and what is asked until resume() soon: nobody knows. */
  abandon(message: string): void {
    this.#abandoned = message;
    for (const token of [...this.#waiting.keys()]) this.#answer(token, { kind: 'unknown', message });
  }

  resume(): void {
    this.#abandoned = undefined;
  }

  #listen(): void {
    if (this.#listening) return;
    this.#connection.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        // The subscription itself is over; what waits runs out of time.
        if (error !== null) return;
        try {
          const token = message.subject.slice(this.#inbox.length);
          const nobody = message.data.length === 0 && message.headers?.code === NO_RESPONDERS;
          this.#answer(token, nobody ? { kind: 'no-responders' } : { kind: 'ok', value: message });
        } catch (failure) {
          // nats.js would take it for a fault of the connection, and dial again.
          queueMicrotask(() => {
            throw failure;
          });
        }
      },
    });
    this.#listening = true;
  }

  /** An answer that comes too late finds nobody. */
  #answer(token: string, answer: RawAnswer): void {
    const waiting = this.#waiting.get(token);
    if (waiting === undefined) return;
    this.#waiting.delete(token);
    waiting.patience.cancel();
    waiting.done(answer);
  }
}

export function apiAnswer<T>(subject: string, raw: RawAnswer): ApiAnswer<T> {
  if (raw.kind !== 'ok') return raw;
  let value: T & { error?: { code?: number; err_code?: number; description?: string } };
  try {
    value = raw.value.json();
  } catch {
    return { kind: 'unknown', message: `${subject} was answered with what is not JSON` };
  }
  const { error } = value;
  if (error === undefined) return { kind: 'ok', value };
  const { err_code: code = 0, code: status = 0, description: message = '' } = error;
  return { kind: 'error', code, status, message };
}
