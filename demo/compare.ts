// Compares what each region answers with the truth, key by key.
// Owns: what counts as a mismatch. Reads through a port, so that it can be shown wrong answers in a test.

import { COLLECTION_NAMES, type Collection } from './events.ts';
import type { Truth } from './truth.ts';

/** What a region answered for one key, in plain values; undefined: no such key. */
export type Answer =
  | { readonly fields: Readonly<Record<string, string>> }
  | { readonly count: bigint }
  | { readonly elements: readonly string[] }
  | { readonly value: string }
  | undefined;

export interface AnswerSource {
  readonly region: string;
  /** One answer per key, in order. */
  read(collection: Collection, keys: readonly string[]): Promise<readonly Answer[]>;
  /** How many live keys the region holds in all, and so whether it has keys that nobody wrote. */
  keys(): Promise<number>;
}

export interface Mismatch {
  readonly region: string;
  readonly collection: Collection | '(all)';
  readonly key: string;
  readonly expected: string;
  readonly got: string;
}

export interface Comparison {
  readonly compared: number;
  readonly mismatches: number;
  /** The first few, to be shown to a person. */
  readonly examples: readonly Mismatch[];
}

const EXAMPLES_MAX = 10;
const KEYS_PER_READ = 500;

export async function compareRegions(
  truth: Truth,
  sources: readonly AnswerSource[],
  progress: (compared: number) => void = () => {},
): Promise<Comparison> {
  let compared = 0;
  let mismatches = 0;
  const examples: Mismatch[] = [];
  const found = (mismatch: Mismatch): void => {
    mismatches++;
    if (examples.length < EXAMPLES_MAX) examples.push(mismatch);
  };

  const compareOne = async (source: AnswerSource): Promise<void> => {
    let expectedKeys = 0;
    for (const collection of COLLECTION_NAMES) {
      const keys = [...truth[collection].keys()];
      for (let from = 0; from < keys.length; from += KEYS_PER_READ) {
        const some = keys.slice(from, from + KEYS_PER_READ);
        const answers = await source.read(collection, some);
        for (const [index, key] of some.entries()) {
          const expected = expectedText(truth, collection, key);
          const got = answerText(collection, answers[index]);
          compared++;
          if (expected !== got) found({ region: source.region, collection, key, expected, got });
          // A counter that nobody ever moved is not there at all, and reads as zero.
          if (answers[index] !== undefined) expectedKeys++;
        }
        progress(compared);
      }
    }
    const keys = await source.keys();
    compared++;
    if (keys !== expectedKeys) {
      found({
        region: source.region,
        collection: '(all)',
        key: '(number of keys)',
        expected: `${expectedKeys}`,
        got: `${keys}`,
      });
    }
  };
  await Promise.all(sources.map(compareOne));
  return { compared, mismatches, examples };
}

const ABSENT = '(absent)';

function expectedText(truth: Truth, collection: Collection, key: string): string {
  switch (collection) {
    case 'flights':
      return fieldsText(truth.flights.get(key)!);
    case 'routes':
      return elementsText([...truth.routes.get(key)!]);
    case 'last-seen':
      return truth['last-seen'].get(key)!;
    case 'departures':
    case 'arrivals':
    case 'delay-minutes':
      return `${truth[collection].get(key)!}`;
  }
}

function answerText(collection: Collection, answer: Answer): string {
  if (answer === undefined) {
    return collection === 'departures' || collection === 'arrivals' || collection === 'delay-minutes' ? '0' : ABSENT;
  }
  if ('fields' in answer) return fieldsText(answer.fields);
  if ('elements' in answer) return elementsText(answer.elements);
  if ('count' in answer) return `${answer.count}`;
  return answer.value;
}

function fieldsText(fields: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function elementsText(elements: readonly string[]): string {
  // Not made unique: an element that came twice is a mismatch.
  return JSON.stringify([...elements].sort());
}
