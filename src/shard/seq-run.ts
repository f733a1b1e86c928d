// Numbers by rising number, the lowest leaving first: a producer's seqs and where the idempotency table keeps them.
// A Map would do, and costs ten times as much memory and garbage; seqs nearly always come in order, and what does not is kept in one.

const PLACES_FIRST = 4;

export class SeqRun {
  #seqs = new Float64Array(PLACES_FIRST);
  #places = new Uint32Array(PLACES_FIRST);
  /** The ring's first entry, and how many there are. */
  #head = 0;
  #count = 0;
  /** Those that came after a higher one. */
  #late: Map<number, number> | undefined;

  get size(): number {
    return this.#count + (this.#late?.size ?? 0);
  }

  /** The place of `seq`, -1 when it is not here. */
  find(seq: number): number {
    const mask = this.#seqs.length - 1;
    if (this.#count > 0 && seq <= this.#seqs[(this.#head + this.#count - 1) & mask]!) {
      const at = this.#lowerBound(seq);
      const slot = (this.#head + at) & mask;
      if (at < this.#count && this.#seqs[slot] === seq) return this.#places[slot]!;
    }
    return this.#late?.get(seq) ?? -1;
  }

  /** `seq` is not here yet. */
  add(seq: number, place: number): void {
    const { length } = this.#seqs;
    if (this.#count > 0 && seq < this.#seqs[(this.#head + this.#count - 1) & (length - 1)]!) {
      this.#late ??= new Map();
      this.#late.set(seq, place);
      return;
    }
    if (this.#count === length) this.#grow();
    const slot = (this.#head + this.#count++) & (this.#seqs.length - 1);
    this.#seqs[slot] = seq;
    this.#places[slot] = place;
  }

  delete(seq: number): void {
    if (this.#count > 0 && this.#seqs[this.#head] === seq) {
      this.#head = (this.#head + 1) & (this.#seqs.length - 1);
      this.#count--;
      return;
    }
    if (this.#late?.delete(seq) === true) return;
    this.#remove(seq);
  }

  /** From the middle: entries leave in the order in which they came, so this is the rare one that had others before it. */
  #remove(seq: number): void {
    const mask = this.#seqs.length - 1;
    const at = this.#lowerBound(seq);
    if (at === this.#count || this.#seqs[(this.#head + at) & mask] !== seq) return;
    for (let i = at; i + 1 < this.#count; i++) {
      this.#seqs[(this.#head + i) & mask] = this.#seqs[(this.#head + i + 1) & mask]!;
      this.#places[(this.#head + i) & mask] = this.#places[(this.#head + i + 1) & mask]!;
    }
    this.#count--;
  }

  #lowerBound(seq: number): number {
    const mask = this.#seqs.length - 1;
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#seqs[(this.#head + middle) & mask]! < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #grow(): void {
    const { length } = this.#seqs;
    const seqs = new Float64Array(length * 2);
    const places = new Uint32Array(length * 2);
    for (let i = 0; i < this.#count; i++) {
      const slot = (this.#head + i) & (length - 1);
      seqs[i] = this.#seqs[slot]!;
      places[i] = this.#places[slot]!;
    }
    this.#seqs = seqs;
    this.#places = places;
    this.#head = 0;
  }
}
