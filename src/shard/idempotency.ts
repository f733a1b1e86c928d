// The idempotency table of one shard: which (producer, seq) and which callers' keys were applied, and with what result.
// Owns: telling a retry from a new op. Filled from every batch that is taken, own or remote, in log order; it never decides
// a merge.
//
// Bound: `entriesMax` entries, the oldest go first. What is forgotten leaves a horizon: an op that was first tried at or before
// it is refused (IDEMPOTENCY_WINDOW_PASSED) rather than applied a second time, because nobody can tell any more.

import { msOfStamp } from '../clock/hlc.ts';
import type { Version } from '../record/ids.ts';
import type { Idempotency } from '../record/op.ts';

export type Recognised =
  | { readonly kind: 'new' }
  | { readonly kind: 'duplicate'; readonly first: Version }
  | { readonly kind: 'forgotten'; readonly horizonMs: number };

const NEW: Recognised = { kind: 'new' };

interface Producer {
  readonly seqs: Map<number, Version>;
  /** The highest seq of this producer that was forgotten. */
  forgottenSeq: number;
}

interface Entry {
  readonly idempotency: Idempotency;
  readonly stamp: number;
  /** Where in the shard's log the op stands. */
  readonly offset: number;
}

export class IdempotencyTable {
  readonly #entriesMax: number;
  readonly #producers = new Map<number, Producer>();
  readonly #keys = new Map<string, Version>();
  /** Oldest first; `#head` is the oldest that is still remembered. */
  #order: Entry[] = [];
  #head = 0;
  /** The highest stamp of anything forgotten, 0 = nothing was. */
  #horizonStamp: number;

  constructor(entriesMax: number, horizonStamp = 0) {
    this.#entriesMax = entriesMax;
    this.#horizonStamp = horizonStamp;
  }

  get size(): number {
    return this.#order.length - this.#head;
  }

  get horizonStamp(): number {
    return this.#horizonStamp;
  }

  /** The log offset from which a restart must read to know all this again; undefined when the table is empty. */
  get firstOffset(): number | undefined {
    return this.#order[this.#head]?.offset;
  }

  look(idempotency: Idempotency, issuedAtMs: number | undefined): Recognised {
    if (idempotency.kind === 'producer') {
      const producer = this.#producers.get(idempotency.producer);
      const first = producer?.seqs.get(idempotency.seq);
      if (first !== undefined) return { kind: 'duplicate', first };
      if (producer !== undefined && idempotency.seq <= producer.forgottenSeq) return this.#forgotten();
    } else {
      const first = this.#keys.get(idempotency.key);
      if (first !== undefined) return { kind: 'duplicate', first };
    }
    if (this.#horizonStamp > 0 && issuedAtMs !== undefined && issuedAtMs <= msOfStamp(this.#horizonStamp)) {
      return this.#forgotten();
    }
    return NEW;
  }

  #forgotten(): Recognised {
    return { kind: 'forgotten', horizonMs: msOfStamp(this.#horizonStamp) };
  }

  record(idempotency: Idempotency, version: Version, offset: number): void {
    if (idempotency.kind === 'producer') {
      let producer = this.#producers.get(idempotency.producer);
      if (producer === undefined) {
        producer = { seqs: new Map(), forgottenSeq: 0 };
        this.#producers.set(idempotency.producer, producer);
      }
      // The same op, accepted in two regions that could not see each other: the first to arrive here is the one answered.
      if (producer.seqs.has(idempotency.seq)) return;
      producer.seqs.set(idempotency.seq, version);
    } else {
      if (this.#keys.has(idempotency.key)) return;
      this.#keys.set(idempotency.key, version);
    }
    this.#order.push({ idempotency, stamp: version.stamp, offset });
    if (this.size > this.#entriesMax) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const { idempotency, stamp } = this.#order[this.#head]!;
    this.#head++;
    if (stamp > this.#horizonStamp) this.#horizonStamp = stamp;
    if (idempotency.kind === 'producer') {
      const producer = this.#producers.get(idempotency.producer)!;
      producer.seqs.delete(idempotency.seq);
      producer.forgottenSeq = Math.max(producer.forgottenSeq, idempotency.seq);
      // A producer without entries costs nothing any more; the horizon answers for it.
      if (producer.seqs.size === 0) this.#producers.delete(idempotency.producer);
    } else {
      this.#keys.delete(idempotency.key);
    }
    if (this.#head > 4096 && this.#head * 2 > this.#order.length) {
      this.#order = this.#order.slice(this.#head);
      this.#head = 0;
    }
  }
}
