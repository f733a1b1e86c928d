// What a checker throws: an invariant that does not hold, and the facts that show it.

export class Violation extends Error {
  override readonly name = 'Violation';
  /** `I1` … `I14` of docs/INVARIANTS.md, or the name of another promise. */
  readonly invariant: string;

  constructor(invariant: string, message: string) {
    super(message);
    this.invariant = invariant;
  }
}

export function holds(condition: unknown, invariant: string, message: () => string): asserts condition {
  if (!condition) throw new Violation(invariant, message());
}
