// I2: however often an op is sent with its key, it has one effect, and every answer names it.

import { dotText, regionOf } from '../../history/names.ts';
import type { Check } from './check.ts';

export const idempotency: Check = {
  name: 'idempotency',
  promise: 'an op that is sent again with its key has one effect, and is answered with the first result',
  judge: (recording, found) => {
    const dots = new Map<number, Set<string>>();
    for (const shards of recording.logs.values()) {
      for (const [shard, entries] of shards) {
        for (const [origin, seq, , op] of entries) {
          const some = dots.get(op) ?? new Set<string>();
          dots.set(op, some.add(`${dotText({ origin, seq })} in ${shard}`));
        }
      }
    }
    let [looked, repeats] = [0, 0];
    for (const { op, tries, first } of recording.ops.values()) {
      if (first.idempotencyKey === undefined) continue;
      looked++;
      const answers = tries.filter(({ outcome, version }) => outcome === 'ok' && version !== undefined);
      const [answer, ...later] = answers;
      for (const again of later) {
        repeats++;
        const { origin, seq } = again.version!;
        // What a lost disk had taken is written anew.
        if (recording.lostItsDisk(regionOf(answer!.version!.origin)) && origin !== answer!.version!.origin) continue;
        if (dotText(answer!.version!) !== `${origin}:${seq}`) {
          found(
            `op ${op} (key ${first.idempotencyKey}) was answered as ${dotText(answer!.version!)} and as ${origin}:${seq}`,
          );
        } else if (again.duplicate !== true) {
          found(
            `op ${op} (key ${first.idempotencyKey}) was sent again at ${again.startMs} ms and not called a duplicate`,
          );
        }
      }
      const places = dots.get(op);
      if (places !== undefined && places.size > 1) {
        found(`op ${op} (key ${first.idempotencyKey}) took effect as ${[...places].join(' and as ')}`);
      }
    }
    return { looked, facts: { 'answered again': repeats } };
  },
};
