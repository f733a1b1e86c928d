// What clients write: which keys, how often, and with values that no other write of the run has.
// Keys are few, so that regions meet on them, and grow in number as the run goes on, so that none becomes large.

import type { SeededRandom } from '../sim/random.ts';
import type { Write } from './desk.ts';

const SHARED_REGISTERS = 24;
const SHARED_SIBLINGS = 3;
const COUNTERS = 8;
const MAPS = 12;
const FIELDS = 6;
/** Sets, maps and siblings are followed by others after so many of a client's writes, which keeps views and their check small. */
const WRITES_PER_ERA = 80;
const INCREMENT_MAX = 9;

export class Choices {
  readonly #random: SeededRandom;
  readonly #client: string;
  #writes = 0;
  /** Elements that this client has added and not yet removed. */
  #added: { readonly key: string; readonly element: string }[] = [];

  constructor(client: string, random: SeededRandom) {
    this.#client = client;
    this.#random = random;
  }

  /** A value that nobody else writes. */
  value(): string {
    return `${this.#client}-${this.#writes}`;
  }

  next(): Write {
    const random = this.#random;
    this.#writes++;
    const era = Math.floor(this.#writes / WRITES_PER_ERA);
    const value = this.value();
    const dice = random.float();
    if (dice < 0.2) {
      // Its own key, written once: a lost write cannot hide behind a later one.
      return { collection: 'registers', key: `own-${value}`, intent: { kind: 'put', value } };
    }
    if (dice < 0.4) {
      const key = `shared-${random.below(SHARED_REGISTERS)}`;
      return random.chance(0.1)
        ? { collection: 'registers', key, intent: { kind: 'delete' } }
        : { collection: 'registers', key, intent: { kind: 'put', value } };
    }
    if (dice < 0.47) {
      const key = `shared-${era}-${random.below(SHARED_SIBLINGS)}`;
      return random.chance(0.1)
        ? { collection: 'siblings', key, intent: { kind: 'delete' } }
        : { collection: 'siblings', key, intent: { kind: 'put', value } };
    }
    if (dice < 0.65) return this.increment();
    if (dice < 0.85) return this.#set(`set-${era}`, value);
    const key = `map-${era}-${random.below(MAPS)}`;
    const field = `f${random.below(FIELDS)}`;
    if (random.chance(0.05)) return { collection: 'maps', key, intent: { kind: 'delete' } };
    return random.chance(0.15)
      ? { collection: 'maps', key, intent: { kind: 'map-update', put: {}, remove: [field] } }
      : { collection: 'maps', key, intent: { kind: 'map-update', put: { [field]: value }, remove: [] } };
  }

  increment(): Write {
    const by = 1 + this.#random.below(INCREMENT_MAX);
    return {
      collection: 'counters',
      key: `counter-${this.#random.below(COUNTERS)}`,
      intent: { kind: 'increment', by: this.#random.chance(0.3) ? -by : by },
    };
  }

  #set(key: string, element: string): Write {
    if (this.#added.length > 4 && this.#random.chance(0.3)) {
      const [old] = this.#added.splice(this.#random.below(this.#added.length), 1);
      return { collection: 'sets', key: old!.key, intent: { kind: 'set-remove', elements: [old!.element] } };
    }
    this.#added.push({ key, element });
    if (this.#added.length > WRITES_PER_ERA) this.#added.shift();
    return { collection: 'sets', key, intent: { kind: 'set-add', elements: [element] } };
  }
}
