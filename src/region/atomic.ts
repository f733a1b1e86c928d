// What must hold of a write that is sequenced as a whole or not at all, before a shard sees it.
//
// Its ops share a partition key, not only by luck a shard: another placement may have other shards. It fits into one batch, which is
// one entry of every log and one frame of every link, so no region ever holds a part of it.

import { CausewayError } from '../errors/errors.ts';
import type { Intent } from '../merge/types.ts';
import { partitionText } from '../record/hash.ts';
import type { NodeLimits } from './options.ts';
import type { WriteOp } from './region.ts';

/** Why it cannot be written, or undefined. */
export function refusalOfAtomic(
  ops: readonly WriteOp[],
  limits: Pick<NodeLimits, 'batchOpsMax' | 'batchBytesMax'>,
): CausewayError | undefined {
  const [first] = ops;
  if (first === undefined) return undefined;
  if (ops.length > limits.batchOpsMax) {
    return new CausewayError('TOO_LARGE', `an atomic write holds at most ${limits.batchOpsMax} ops; got ${ops.length}`);
  }
  const bytes = ops.reduce((sum, op) => sum + intentBytes(op.intent), 0);
  if (bytes > limits.batchBytesMax) {
    return new CausewayError(
      'TOO_LARGE',
      `an atomic write holds at most ${limits.batchBytesMax} bytes of values; got ${bytes}`,
    );
  }
  const partition = partitionText(first.namespace, first.collection, first.key);
  const other = ops.find((op) => partitionText(op.namespace, op.collection, op.key) !== partition);
  if (other === undefined) return undefined;
  return new CausewayError(
    'INVALID_ARGUMENT',
    `the keys of an atomic write share a partition key; '${first.key}' and '${other.key}' do not`,
    { hint: 'give them the same tag in braces, as in cart/{anna} and orders/{anna}/1' },
  );
}

/** What all other ops of an atomic write are told when one of them is refused. */
export function withTheOthers(cause: CausewayError, failedOp: number): CausewayError {
  const { code, retriable, outcome, retryAfterMs, hint } = cause;
  return new CausewayError(
    code,
    `nothing of the atomic write was written, because of its op ${failedOp}: ${cause.message}`,
    {
      retriable,
      outcome,
      details: { failedOp },
      ...(hint === undefined ? {} : { hint }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  );
}

function intentBytes(intent: Intent): number {
  switch (intent.kind) {
    case 'put':
      return intent.value.length;
    case 'set-add':
    case 'set-remove':
      return intent.elements.reduce((sum, element) => sum + element.length, 0);
    case 'map-update':
      return (
        intent.put.reduce((sum, { field, value }) => sum + field.length + value.length, 0) +
        intent.remove.reduce((sum, field) => sum + field.length, 0)
      );
    default:
      return 16;
  }
}
