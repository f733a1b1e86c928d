import { describe, expect, test } from 'vitest';
import { Agreement, compare, type DigestOfShard, type Sample } from '../../src/cli/agreement.ts';

function shard(name: string, digest: string, vector: Record<string, number>): DigestOfShard {
  return { shard: name, digest, keys: 1, vector: new Map(Object.entries(vector)) };
}

function sample(region: string, ...digests: DigestOfShard[]): Sample {
  return { region, digests };
}

function verdicts(...samples: Sample[]): Record<string, string> {
  return Object.fromEntries(compare(samples).map((each) => [each.shard, each.verdict]));
}

describe('one look', () => {
  test('I3: equal vectors and digests match; an origin without ops does not count', () => {
    expect(verdicts(sample('a', shard('1/0', 'x', { o: 3 })), sample('b', shard('1/0', 'x', { o: 3, p: 0 })))).toEqual({
      '1/0': 'match',
    });
  });

  test('different vectors say nothing about digests', () => {
    const [verdict] = compare([
      sample('a', shard('1/0', 'x', { o: 3 })),
      sample('b', shard('1/0', 'y', { o: 5, p: 1 })),
    ]);
    expect(verdict).toMatchObject({
      verdict: 'in-flight',
      missing: new Map([
        ['a', 3],
        ['b', 0],
      ]),
    });
  });

  test('I3: equal vectors with different digests have diverged, also when a third region is behind', () => {
    const [verdict] = compare([
      sample('a', shard('1/0', 'x', { o: 3 })),
      sample('b', shard('1/0', 'y', { o: 3 })),
      sample('c', shard('1/0', 'z', { o: 1 })),
    ]);
    expect(verdict).toMatchObject({
      verdict: 'diverged',
      digests: new Map([
        ['x', ['a']],
        ['y', ['b']],
      ]),
    });
  });

  test('I10: a shard that one region holds alone is not compared; shards are in the order of their numbers', () => {
    expect(
      Object.keys(
        verdicts(
          sample('a', shard('1/10', 'x', {}), shard('1/9', 'x', {}), shard('2/0', 'x', {})),
          sample('b', shard('1/9', 'x', {}), shard('1/10', 'x', {})),
        ),
      ),
    ).toEqual(['1/9', '1/10']);
  });
});

describe('several looks', () => {
  const equal = compare([sample('a', shard('1/0', 'x', { o: 1 })), sample('b', shard('1/0', 'x', { o: 1 }))]);
  const behind = compare([sample('a', shard('1/0', 'x', { o: 1 })), sample('b', shard('1/0', 'y', { o: 2 }))]);
  const different = compare([sample('a', shard('1/0', 'x', { o: 1 })), sample('b', shard('1/0', 'y', { o: 1 }))]);

  function after(...looks: (typeof equal)[]): [verdict: string, settled: boolean] {
    const agreement = new Agreement();
    for (const look of looks) agreement.add(look);
    return [agreement.verdict(), agreement.settled];
  }

  test('nothing seen is nothing known', () => expect(after()).toEqual(['in-flight', false]));
  test('one equal moment is a proof, whatever flows afterwards', () => {
    expect(after(behind, equal, behind)).toEqual(['match', true]);
  });
  test('what is only ever in flight is never settled', () =>
    expect(after(behind, behind)).toEqual(['in-flight', false]));
  test('a difference must be seen twice', () => {
    expect(after(different)).toEqual(['diverged', false]);
    expect(after(different, different)).toEqual(['diverged', true]);
  });
  test('a difference that goes away is not settled by one equal look', () => {
    expect(after(different, equal)).toEqual(['match', false]);
    expect(after(different, equal, behind, equal)).toEqual(['match', true]);
  });
});
