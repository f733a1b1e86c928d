// Control ops: the life of origins, as ops in a live origin's stream, so that they are logged, ordered and relayed like
// any other. They stand in a batch with collection index 0 and an empty key; this is their payload.
//
//   u8 kind, then: text region, u48 incarnation of the origin spoken of, then by kind:
//   1 freeze   (nothing)                      members report their vector entry of it and take only what others hold
//   2 close    varint end seq, u64 end stamp  nothing follows the end; the watermark is infinite once it is reached
//   3 skip     varint from seq, varint to seq, 8 bytes checksum  a quarantined stretch that every region passes over
//   4 fold     (nothing)                      every member has reached the end: the entry leaves deps and reports

import { ByteReader, ByteWriter, MalformedBytes } from './bytes.ts';
import { originId, originIncarnation, originRegion, regionId, type OriginId } from './ids.ts';

export type ControlOp =
  | { readonly kind: 'freeze'; readonly origin: OriginId }
  | { readonly kind: 'close'; readonly origin: OriginId; readonly endSeq: number; readonly endStamp: number }
  | {
      readonly kind: 'skip';
      readonly origin: OriginId;
      readonly fromSeq: number;
      readonly toSeq: number;
      readonly checksum: Uint8Array;
    }
  | { readonly kind: 'fold'; readonly origin: OriginId };

const CODES = { freeze: 1, close: 2, skip: 3, fold: 4 } as const satisfies Record<ControlOp['kind'], number>;

export function encodeControl(op: ControlOp): Buffer {
  const writer = new ByteWriter(64);
  writer.u8(CODES[op.kind]).text(originRegion(op.origin)).u48(originIncarnation(op.origin));
  if (op.kind === 'close') writer.varint(op.endSeq).u64(op.endStamp);
  if (op.kind === 'skip') writer.varint(op.fromSeq).varint(op.toSeq).raw(op.checksum);
  return writer.finish();
}

export function decodeControl(payload: Uint8Array): ControlOp {
  const reader = new ByteReader(payload);
  const code = reader.u8();
  let region;
  try {
    region = regionId(reader.text());
  } catch (cause) {
    throw new MalformedBytes('a control op about a badly named region', { cause });
  }
  const origin = originId(region, reader.u48());
  let op: ControlOp;
  switch (code) {
    case CODES.freeze:
      op = { kind: 'freeze', origin };
      break;
    case CODES.close:
      op = { kind: 'close', origin, endSeq: reader.varint(), endStamp: reader.u64() };
      break;
    case CODES.skip:
      op = { kind: 'skip', origin, fromSeq: reader.varint(), toSeq: reader.varint(), checksum: reader.raw(8) };
      break;
    case CODES.fold:
      op = { kind: 'fold', origin };
      break;
    default:
      throw new MalformedBytes(`control op ${code} is not known here`);
  }
  reader.end('a control op');
  if (op.kind === 'skip' && (op.fromSeq < 1 || op.toSeq < op.fromSeq)) {
    throw new MalformedBytes(`a skip from seq ${op.fromSeq} to ${op.toSeq}`);
  }
  return op;
}
