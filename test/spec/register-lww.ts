// The newest op is the state; it shows if it is a put that has not expired.

import { isLiveAt, newest, type Spec } from './history.ts';

export const registerLwwSpec: Spec = (history, nowMs) => {
  const op = newest(history);
  if (op?.intent.kind !== 'put' || !isLiveAt(nowMs, op.intent.expiresAtMs)) return undefined;
  const { value, expiresAtMs } = op.intent;
  return { type: 'register-lww', value, version: op.version, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) };
};
