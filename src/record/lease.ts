// The lease record of a shard's log: the owner's promise to the log, before it is anybody else's.
// I5  an owner stamps, and promises watermarks, only up to a bound that stands in the log; whoever comes next starts above it.
//
//   u8 version (1), u48 incarnation, u64 bound (a stamp), text region, varint extensions (as in batches)

import { ByteReader, ByteWriter, MalformedBytes } from './bytes.ts';
import { originId, originIncarnation, originRegion, regionId, type OriginId } from './ids.ts';
import { skipExtensions } from './op.ts';

export interface Lease {
  readonly origin: OriginId;
  /** The highest stamp that this owner may give or promise. */
  readonly bound: number;
}

export function encodeLease(lease: Lease): Buffer {
  return new ByteWriter(40)
    .u8(1)
    .u48(originIncarnation(lease.origin))
    .u64(lease.bound)
    .text(originRegion(lease.origin))
    .varint(0)
    .finish();
}

export function decodeLease(bytes: Uint8Array): Lease {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== 1) throw new MalformedBytes(`lease record version ${version} is not known here`);
  const incarnation = reader.u48();
  const bound = reader.u64();
  const region = reader.text();
  skipExtensions(reader, 'lease');
  reader.end('a lease record');
  try {
    return { origin: originId(regionId(region), incarnation), bound };
  } catch (cause) {
    throw new MalformedBytes('a lease of a badly named region', { cause });
  }
}
