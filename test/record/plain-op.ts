// An op written the plain way, field after field: what src/record/ops-writer.ts must write too.

import { ByteWriter } from '../../src/record/bytes.ts';
import { FLAG_KEY, FLAG_PRODUCER, FLAG_SCHEMA, FLAG_TRACE, type Op } from '../../src/record/op.ts';

const scratch = new ByteWriter(1024);

export function writeOp(into: ByteWriter, op: Op, collectionIndex: number): void {
  scratch.reset();
  let flags = 0;
  if (op.idempotency !== undefined) flags |= op.idempotency.kind === 'producer' ? FLAG_PRODUCER : FLAG_KEY;
  if (op.trace !== undefined) flags |= FLAG_TRACE;
  if (op.schemaId !== undefined) flags |= FLAG_SCHEMA;
  scratch.u8(flags).varint(collectionIndex).text(op.key).blob(op.payload);
  if (op.idempotency?.kind === 'producer') scratch.u48(op.idempotency.producer).varint(op.idempotency.seq);
  if (op.idempotency?.kind === 'key') scratch.text(op.idempotency.key);
  if (op.trace !== undefined) scratch.raw(op.trace);
  if (op.schemaId !== undefined) scratch.varint(op.schemaId);
  into.blob(scratch.view());
}
