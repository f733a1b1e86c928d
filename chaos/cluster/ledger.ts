// What the writers of a run were told, and what therefore must be found in every region at the end.
// Owns: the check. Pure: it is shown answers, and says what is wrong with them (test/chaos-cluster/ledger.test.ts shows it
// histories that are wrong on purpose).
//
// Every op has its own set element or register key, so that a lost one cannot hide behind a later one. Counters are shared by
// all regions, and check what elements cannot: that nothing took effect twice.
//
// An op ends as one of:
//   acknowledged   it must be there, once
//   unknown        the connection or the time ran out: it may be there, once or not at all
//   refused        it must not be there

export type Outcome = 'acknowledged' | 'unknown' | 'refused';

export type LedgerOp =
  | { readonly kind: 'add'; readonly set: string; readonly element: string }
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'increment'; readonly counter: string; /** above 0 */ readonly by: number };

export interface Finding {
  readonly region: string;
  readonly what: string;
}

/** What one region answers. Absent keys read as empty, undefined and 0. */
export interface RegionAnswers {
  readonly region: string;
  set(key: string): Promise<ReadonlySet<string>>;
  registers(keys: readonly string[]): Promise<readonly (string | undefined)[]>;
  counter(key: string): Promise<bigint>;
}

const FINDINGS_MAX = 100;
const KEYS_PER_READ = 500;

export class Ledger {
  readonly #sets = new Map<string, Map<string, Outcome>>();
  readonly #puts = new Map<string, { readonly value: string; outcome: Outcome }>();
  readonly #counters = new Map<string, { definite: bigint; unknown: bigint }>();
  readonly #counts: Record<Outcome, number> = { acknowledged: 0, unknown: 0, refused: 0 };

  get counts(): Readonly<Record<Outcome, number>> {
    return this.#counts;
  }

  record(op: LedgerOp, outcome: Outcome): void {
    this.#counts[outcome]++;
    switch (op.kind) {
      case 'add': {
        const elements = this.#sets.get(op.set) ?? new Map<string, Outcome>();
        elements.set(op.element, outcome);
        this.#sets.set(op.set, elements);
        break;
      }
      case 'put':
        this.#puts.set(op.key, { value: op.value, outcome });
        break;
      case 'increment': {
        const total = this.#counters.get(op.counter) ?? { definite: 0n, unknown: 0n };
        if (outcome === 'acknowledged') total.definite += BigInt(op.by);
        if (outcome === 'unknown') total.unknown += BigInt(op.by);
        this.#counters.set(op.counter, total);
        break;
      }
    }
  }

  /** All that is wrong in this region; the first FINDINGS_MAX of it. */
  async check(answers: RegionAnswers): Promise<Finding[]> {
    const findings: Finding[] = [];
    const found = (what: string): void => {
      if (findings.length < FINDINGS_MAX) findings.push({ region: answers.region, what });
    };
    for (const [key, expected] of this.#sets) {
      const elements = await answers.set(key);
      for (const [element, outcome] of expected) {
        if (outcome === 'acknowledged' && !elements.has(element)) found(`set ${key} lost the acknowledged ${element}`);
        if (outcome === 'refused' && elements.has(element)) found(`set ${key} has ${element}, which was refused`);
      }
      for (const element of elements) {
        if (!expected.has(element)) found(`set ${key} has ${element}, which nobody wrote`);
      }
    }
    const keys = [...this.#puts.keys()];
    for (let from = 0; from < keys.length; from += KEYS_PER_READ) {
      const some = keys.slice(from, from + KEYS_PER_READ);
      const values = await answers.registers(some);
      for (const [index, key] of some.entries()) {
        const { value, outcome } = this.#puts.get(key)!;
        const got = values[index];
        if (got === undefined) {
          if (outcome === 'acknowledged') found(`register ${key} lost the acknowledged ${value}`);
        } else if (outcome === 'refused') {
          found(`register ${key} has ${got}, and was refused`);
        } else if (got !== value) {
          found(`register ${key} has ${got}, and only ${value} was ever written`);
        }
      }
    }
    for (const [key, { definite, unknown }] of this.#counters) {
      const value = await answers.counter(key);
      if (value < definite || value > definite + unknown) {
        const range = unknown === 0n ? `${definite}` : `${definite} to ${definite + unknown}`;
        found(`counter ${key} is ${value}, expected ${range}`);
      }
    }
    return findings;
  }
}
