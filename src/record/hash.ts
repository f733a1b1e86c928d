// Hashes of the record format: xxHash (Collet), from xxhash-wasm. Not for secrets.

import xxhash from 'xxhash-wasm';
import { shardId, type ShardId } from './ids.ts';

const xx = await xxhash();
const HIGH_SEED = 0x9e3779b1;

/** 64-bit xxHash of bytes as 8 little-endian bytes. */
export function checksum64(bytes: Uint8Array): Buffer {
  const sum = Buffer.allocUnsafe(8);
  sum.writeBigUInt64LE(xx.h64Raw(bytes));
  return sum;
}

/** 64-bit xxHash of a text's UTF-8 bytes, 16 hex digits. */
export function textHash(text: string): string {
  return xx.h64ToString(text);
}

/**
 * The part of a key that chooses its shard. As in Redis Cluster, a non-empty `{tag}` (first `{`, next `}`) stands for
 * the whole key, so that keys that belong together can share a shard; such keys share it across collections too.
 */
export function partitionText(namespace: string, collection: string, key: string): string {
  const open = key.indexOf('{');
  if (open >= 0) {
    const close = key.indexOf('}', open + 1);
    if (close > open + 1) return `${namespace}\u0000\u0000${key.slice(open + 1, close)}`;
  }
  return `${namespace}\u0000${collection}\u0000${key}`;
}

/** xxh64(namespace NUL collection NUL key) mod shards, seed 0, over UTF-8. Fixed for ever: see docs/PROTOCOL.md. */
export function shardOf(
  namespace: string,
  collection: string,
  key: string,
  placementId: number,
  shards: number,
): ShardId {
  return shardId(placementId, placeOf(namespace, collection, key, shards));
}

/** The index of the shard of `shardOf`. */
export function placeOf(namespace: string, collection: string, key: string, shards: number): number {
  const hash = xx.h64(partitionText(namespace, collection, key));
  return Number(hash % BigInt(shards));
}

/** Two independent 32-bit hashes of a text: seeds for `seededLanes`. */
export function textLanes(text: string): readonly [low: number, high: number] {
  return [xx.h32(text), xx.h32(text, HIGH_SEED)];
}

/** One 32-bit lane of the hash of bytes that belong to what `seed` is a lane of; signed. */
export function bytesLane(bytes: Uint8Array, seed: number): number {
  return xx.h32Raw(bytes, seed) | 0;
}
