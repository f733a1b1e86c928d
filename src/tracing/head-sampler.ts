// Which writes without a trace of their own get one: each with the same chance, whatever came before.
// The number of writes that are passed over is drawn (it is geometric), not each write's lot: a write that is not chosen costs a subtraction.

export class HeadSampler {
  readonly #ratio: number;
  readonly #random: () => number;
  #left: number;

  /** `random`: uniform in [0, 1). */
  constructor(ratio: number, random: () => number) {
    this.#ratio = ratio;
    this.#random = random;
    this.#left = this.#draw();
  }

  /** Asked once per write. */
  takes(): boolean {
    if (this.#left-- > 0) return false;
    this.#left = this.#draw();
    return true;
  }

  #draw(): number {
    if (this.#ratio <= 0) return Infinity;
    if (this.#ratio >= 1) return 0;
    return Math.floor(Math.log(1 - this.#random()) / Math.log(1 - this.#ratio));
  }
}
