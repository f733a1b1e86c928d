// Waiting for something that goes on by itself, no longer than the caller wants.

import { CausewayError } from '../errors/errors.ts';
import type { System } from '../system/system.ts';
import type { CallOptions } from './types.ts';

/** What the promise gives; or CANCELLED when the signal aborts, DEADLINE_EXCEEDED after deadlineMs. What is waited for goes on. */
export function orGiveUp<T>(promise: Promise<T>, options: CallOptions, system: System, what: string): Promise<T> {
  const { signal, deadlineMs } = options;
  if (signal === undefined && deadlineMs === undefined) return promise;
  return new Promise((resolve, reject) => {
    const end = (): void => {
      timer?.cancel();
      signal?.removeEventListener('abort', abort);
    };
    const abort = (): void => {
      end();
      reject(new CausewayError('CANCELLED', `${what} is not waited for any more`));
    };
    const timer =
      deadlineMs === undefined
        ? undefined
        : system.timers.after(deadlineMs, () => {
            end();
            reject(new CausewayError('DEADLINE_EXCEEDED', `${what} took longer than ${deadlineMs} ms`));
          });
    promise.finally(end).then(resolve, reject);
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}
