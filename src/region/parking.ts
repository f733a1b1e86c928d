// Batches that came before what they depend on. Bounded in bytes and number; what does not fit is dropped and asked for again, so
// that waiting costs neither memory nor the link's credit (I8, I12).

import type { BatchHeader } from '../record/batch.ts';
import type { OriginId } from '../record/ids.ts';

export const PARKED_BATCHES_MAX = 4096;

export interface Parked {
  readonly header: BatchHeader;
  readonly bytes: Uint8Array;
}

export class Parking {
  readonly #bytesMax: number;
  /** Per origin, by first seq. */
  readonly #queues = new Map<OriginId, Parked[]>();
  #bytes = 0;
  #count = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  /** `known`: one of that origin and seq is here already. */
  park(parked: Parked): 'parked' | 'known' | 'full' {
    let queue = this.#queues.get(parked.header.origin);
    let at = queue?.length ?? 0;
    while (at > 0 && queue![at - 1]!.header.firstSeq > parked.header.firstSeq) at--;
    if (at > 0 && queue![at - 1]!.header.firstSeq === parked.header.firstSeq) return 'known';
    if (this.#bytes + parked.bytes.length > this.#bytesMax || this.#count >= PARKED_BATCHES_MAX) return 'full';
    if (queue === undefined) {
      queue = [];
      this.#queues.set(parked.header.origin, queue);
    }
    queue.splice(at, 0, parked);
    this.#bytes += parked.bytes.length;
    this.#count++;
    return 'parked';
  }

  /** Whether the batch right before this one in its origin's stream is parked too. */
  hasBefore({ origin, firstSeq }: BatchHeader): boolean {
    const queue = this.#queues.get(origin) ?? [];
    // From the end: what comes is nearly always the newest.
    for (let i = queue.length - 1; i >= 0; i--) {
      const { header } = queue[i]!;
      if (header.firstSeq < firstSeq) return header.lastSeq + 1 === firstSeq;
    }
    return false;
  }

  /** The first of each origin: only these can have become ready. */
  heads(): Parked[] {
    const heads: Parked[] = [];
    for (const queue of this.#queues.values()) heads.push(queue[0]!);
    return heads;
  }

  remove(parked: Parked): void {
    const queue = this.#queues.get(parked.header.origin);
    const at = queue?.indexOf(parked) ?? -1;
    if (queue === undefined || at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) this.#queues.delete(parked.header.origin);
    this.#bytes -= parked.bytes.length;
    this.#count--;
  }
}
