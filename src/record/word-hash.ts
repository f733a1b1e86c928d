// xxHash32 (Collet) of bytes that lie in words, for two seeds in one pass: the same numbers as bytesLane() in hash.ts, without a way
// through WebAssembly's memory, which costs more than hashing a value of a few hundred bytes.

const P1 = 0x9e3779b1 | 0;
const P2 = 0x85ebca77 | 0;
const P3 = 0xc2b2ae3d | 0;
const P4 = 0x27d4eb2f | 0;
const P5 = 0x165667b1 | 0;

/** A pair of lanes, signed. One object is used again and again: an answer of two numbers would be an object each time. */
export class WordHash {
  low = 0;
  high = 0;

  /** Of `length` bytes from words[at] on, little-endian; what stands behind them in the last word is ignored. */
  hash(words: Int32Array, at: number, length: number, seedLow: number, seedHigh: number): void {
    let low: number;
    let high: number;
    let i = at;
    if (length >= 16) {
      let a1 = (seedLow + P1 + P2) | 0;
      let a2 = (seedLow + P2) | 0;
      let a3 = seedLow | 0;
      let a4 = (seedLow - P1) | 0;
      let b1 = (seedHigh + P1 + P2) | 0;
      let b2 = (seedHigh + P2) | 0;
      let b3 = seedHigh | 0;
      let b4 = (seedHigh - P1) | 0;
      for (const last = at + ((length >>> 4) << 2); i < last; i += 4) {
        const w1 = Math.imul(words[i]!, P2);
        const w2 = Math.imul(words[i + 1]!, P2);
        const w3 = Math.imul(words[i + 2]!, P2);
        const w4 = Math.imul(words[i + 3]!, P2);
        a1 = round(a1, w1);
        b1 = round(b1, w1);
        a2 = round(a2, w2);
        b2 = round(b2, w2);
        a3 = round(a3, w3);
        b3 = round(b3, w3);
        a4 = round(a4, w4);
        b4 = round(b4, w4);
      }
      low = (rotate(a1, 1) + rotate(a2, 7) + rotate(a3, 12) + rotate(a4, 18)) | 0;
      high = (rotate(b1, 1) + rotate(b2, 7) + rotate(b3, 12) + rotate(b4, 18)) | 0;
    } else {
      low = (seedLow + P5) | 0;
      high = (seedHigh + P5) | 0;
    }
    low = (low + length) | 0;
    high = (high + length) | 0;
    let left = length & 15;
    for (; left >= 4; left -= 4) {
      const word = Math.imul(words[i++]!, P3);
      low = Math.imul(rotate((low + word) | 0, 17), P4);
      high = Math.imul(rotate((high + word) | 0, 17), P4);
    }
    if (left > 0) {
      let word = words[i]!;
      for (; left > 0; left--) {
        const byte = Math.imul(word & 0xff, P5);
        word >>>= 8;
        low = Math.imul(rotate((low + byte) | 0, 11), P1);
        high = Math.imul(rotate((high + byte) | 0, 11), P1);
      }
    }
    this.low = avalanche(low);
    this.high = avalanche(high);
  }
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function round(lane: number, word: number): number {
  return Math.imul(rotate((lane + word) | 0, 13), P1);
}

function avalanche(hash: number): number {
  let h = hash;
  h ^= h >>> 15;
  h = Math.imul(h, P2);
  h ^= h >>> 13;
  h = Math.imul(h, P3);
  return h ^ (h >>> 16);
}
