// The hash by which a key's bytes are found in memory: FNV-1a in 32 bits (Fowler, Noll, Vo). It never leaves the process.
// HAZARD: who chooses keys can choose ones that collide, as with any hash without a secret: a shard is then slow, and nothing worse.

export const KEY_HASH_FIRST = 0x811c9dc5 | 0;

export function keyHashNext(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

export function keyHash(bytes: Uint8Array, at: number, length: number): number {
  let hash = KEY_HASH_FIRST;
  for (let i = at; i < at + length; i++) hash = keyHashNext(hash, bytes[i]!);
  return hash;
}

/** Of a text whose characters are all below 128; of any other some number. */
export function asciiHash(text: string): number {
  let hash = KEY_HASH_FIRST;
  for (let i = 0; i < text.length; i++) hash = keyHashNext(hash, text.charCodeAt(i));
  return hash;
}
