// The checkers of saved histories, on histories that are good, and bad on purpose: a checker that has never failed proves nothing.

import { describe, expect, test } from 'vitest';
import { STAMPS_PER_MS } from '../../../src/clock/hlc.ts';
import type { VersionRecord } from '../../../chaos/history/records.ts';
import { Bench, count, EU, register, setOf, SHARD, US } from './bench.ts';

const YEAR_MS = 365 * 86_400_000;

/** The version that the history told of an op. */
function versionOf(b: Bench, op: number): VersionRecord {
  const record = b.records.find((each) => each.kind === 'write' && each.op === op);
  if (record?.kind !== 'write' || record.version === undefined) throw new Error(`op ${op} was not acknowledged`);
  return record.version;
}

test('a good history has no findings', () => {
  const b = new Bench();
  const first = b.put('k', 'one');
  const second = b.put('k', 'two', { region: US });
  b.write('counters', 'c', { kind: 'increment', by: 3 });
  const maybe = b.write('counters', 'c', { kind: 'increment', by: 4 }, { outcome: 'maybe', in: [] });
  b.write('sets', 's', { kind: 'set-add', elements: ['e1'] });
  b.write('sets', 's', { kind: 'set-add', elements: ['e2'] });
  b.write('sets', 's', { kind: 'set-remove', elements: ['e1'] });
  b.write('maps', 'm', { kind: 'map-update', put: { f: 'v' }, remove: [] });
  b.put('refused', 'no', { outcome: 'failed' });
  b.final('registers/k', register('two', versionOf(b, second)));
  b.final('counters/c', count(3));
  b.final('sets/s', setOf('e2'));
  b.final('maps/m', { type: 'map-lww', fields: [{ field: 'f', value: 'v', version: versionOf(b, 8) }] });
  for (const region of [EU, US]) b.arrival(region, b.nowMs, first, second);
  // us had eu's write when it wrote, so nothing was lost unseen.
  expect(b.findings()).toBe('');
  expect(maybe).toBe(4);
  expect(b.verdict('acknowledged').facts).toMatchObject({
    acknowledged: 7,
    'may have happened': 1,
    refused: 1,
    lost: 0,
  });
});

describe('run', () => {
  test('a history without its end, and a client that broke down', () => {
    const b = new Bench();
    b.isWhole = false;
    b.put('k', 'v', { in: [] });
    expect(b.findings('run')).toMatch(/broken off/);
    // What was not read at the end is not lost.
    expect(b.findings('acknowledged')).toBe('');
    const c = new Bench();
    c.records.push({ kind: 'trouble', atMs: 5, what: 'a client ended: why not' });
    expect(c.findings('run')).toMatch(/why not/);
  });
});

describe('acknowledged', () => {
  test('I1: an acknowledged op that a region lacks, or all', () => {
    const b = new Bench();
    b.put('k', 'v', { in: [EU] });
    expect(b.findings('acknowledged')).toMatch(/op 1 .* was acknowledged, and is not in us/);
    const c = new Bench();
    c.put('k', 'v', { in: [] });
    expect(c.findings('acknowledged')).toMatch(/is not in eu, us/);
    expect(c.verdict('acknowledged').facts['lost']).toBe(1);
  });

  test('I2: an op with two dots, and a dot that is twice in a log', () => {
    const b = new Bench();
    const op = b.put('k', 'v');
    const second = b.version(US);
    for (const region of [EU, US]) b.log(region, second, op);
    expect(b.findings('acknowledged')).toMatch(/took effect 2 times: as eu~1:1 .* and as us~1:1/);
    const c = new Bench();
    c.log(EU, versionOf(c, c.put('k', 'v')), 1);
    expect(c.findings('acknowledged')).toMatch(/eu has eu~1:1 in 1\/0 twice/);
  });

  test('I2: refused as not applied, and there', () => {
    const b = new Bench();
    b.put('k', 'v', { outcome: 'failed', in: [EU, US] });
    expect(b.findings('acknowledged')).toMatch(/was refused as not applied, and is eu~1:1/);
  });

  test('I2: acknowledged as another dot than it has', () => {
    const b = new Bench();
    const op = b.put('k', 'v', { in: [] });
    const other = b.version(EU);
    for (const region of [EU, US]) b.log(region, other, op);
    expect(b.findings('acknowledged')).toMatch(/was acknowledged as eu~1:1 .*, and is eu~1:2/);
  });

  test('what may have happened is everywhere or nowhere', () => {
    const b = new Bench();
    b.put('k', 'v', { outcome: 'maybe', in: [] });
    b.put('l', 'v', { outcome: 'maybe' });
    expect(b.findings('acknowledged')).toBe('');
    b.put('m', 'v', { outcome: 'maybe', in: [EU] });
    expect(b.findings('acknowledged')).toMatch(/op 3 .* is in eu, and is not in us/);
  });

  test('an op that nobody wrote', () => {
    const b = new Bench();
    b.log(EU, b.version(EU), 0);
    expect(b.findings('acknowledged')).toMatch(/which no client wrote/);
  });

  test('what only a lost disk had is excused, what another region was asked to have is not', () => {
    const b = new Bench();
    b.fault({ wipes: [EU] });
    b.put('k', 'v', { in: [] });
    expect(b.findings('acknowledged')).toBe('');
    // What somebody has must come back to all.
    b.put('l', 'v', { in: [US] });
    expect(b.findings('acknowledged')).toMatch(/op 2 .* is not in eu/);
    const c = new Bench();
    c.fault({ wipes: [EU] });
    c.put('k', 'v', { in: [], otherRegions: 1 });
    expect(c.findings('acknowledged')).toMatch(/is not in eu, us/);
    // Another region has shown it, so it was not the only disk.
    const e = new Bench();
    e.fault({ wipes: [EU] });
    const op = e.put('k', 'v', { in: [] });
    e.arrival(EU, 15, op);
    expect(e.findings('acknowledged')).toBe('');
    e.arrival(US, 25, op);
    expect(e.findings('acknowledged')).toMatch(/is not in eu, us/);
    const d = new Bench();
    d.fault({ wipes: [US] });
    d.put('k', 'v', { in: [] });
    expect(d.findings('acknowledged')).toMatch(/is not in eu, us/);
  });

  test('time to be in all regions', () => {
    const b = new Bench();
    const op = b.put('k', 'v');
    b.arrival(EU, 20, op);
    b.arrival(US, 250, op);
    b.arrival(US, 900, op);
    expect(b.verdict('acknowledged').facts['ms to be in all regions, longest']).toBe(250);
  });
});

describe('counters', () => {
  const counter = (value: number): Bench => {
    const b = new Bench();
    b.write('counters', 'c', { kind: 'increment', by: 10 });
    b.write('counters', 'c', { kind: 'increment', by: -2 }, { region: US });
    b.write('counters', 'c', { kind: 'increment', by: 5 }, { outcome: 'maybe' });
    b.write('counters', 'c', { kind: 'increment', by: -1 }, { outcome: 'maybe' });
    b.write('counters', 'c', { kind: 'increment', by: 100 }, { outcome: 'failed' });
    b.final('counters/c', count(value), [US]);
    b.final('counters/c', count(8), [EU]);
    return b;
  };

  test.each([7, 8, 12, 13])('%i lies within what is definite and what may have happened', (value) => {
    expect(counter(value).findings('counters')).toBe('');
  });

  test.each([6, 14, 18, 108])('I2: %i does not', (value) => {
    expect(counter(value).findings('counters')).toMatch(
      new RegExp(`us: counter c is ${value}; its acknowledged increments make 7 to 13`),
    );
  });

  test('an acknowledged counter that is absent', () => {
    const b = new Bench();
    b.write('counters', 'c', { kind: 'increment', by: 1 });
    b.final('counters/c', count(1), [EU]);
    expect(b.findings('counters')).toMatch(/us: counter c is 0/);
  });
});

describe('registers', () => {
  const twoWrites = (): { b: Bench; old: VersionRecord; young: VersionRecord } => {
    const b = new Bench();
    const old = versionOf(b, b.put('k', 'old'));
    const young = versionOf(b, b.put('k', 'young', { region: US }));
    return { b, old, young };
  };

  test('I3: an older write stands, in one region', () => {
    const { b, old, young } = twoWrites();
    b.final('registers/k', register('young', young), [EU]);
    b.final('registers/k', register('old', old), [US]);
    expect(b.findings('registers')).toMatch(/^us: register k is 'old' of \d+; op 2 was acknowledged with/);
  });

  test('a later write that may have happened can stand', () => {
    const { b, young } = twoWrites();
    const later = b.version(US);
    b.put('k', 'perhaps', { outcome: 'maybe', version: later, region: US });
    b.final('registers/k', register('perhaps', later));
    expect(b.findings('registers')).toBe('');
    b.final('registers/k', register('young', young));
    expect(b.findings('registers')).toBe('');
  });

  test('a value that nobody wrote, that was refused, or that has another version', () => {
    const { b, young } = twoWrites();
    b.final('registers/k', register('strange', young));
    expect(b.findings('registers')).toMatch(/'strange', which nobody wrote/);
    b.put('k', 'no', { outcome: 'failed' });
    b.final('registers/k', register('no', young));
    expect(b.findings('registers')).toMatch(/refused as not applied/);
    b.final('registers/k', register('young', { ...young, seq: 9 }));
    expect(b.findings('registers')).toMatch(/acknowledged as us~1:1/);
  });

  test('I1: an acknowledged register is gone, unless it may have been deleted', () => {
    const { b, young } = twoWrites();
    b.final('registers/k', register('young', young), [EU]);
    expect(b.findings('registers')).toMatch(/us: register k is absent; op 2 was acknowledged/);
    b.write('registers', 'k', { kind: 'delete' }, { outcome: 'maybe' });
    expect(b.findings('registers')).toBe('');
  });

  test('I9: a deleted register is back', () => {
    const { b, young } = twoWrites();
    b.write('registers', 'k', { kind: 'delete' });
    b.final('registers/k', register('young', young), [US]);
    expect(b.findings('registers')).toMatch(/us: register k is 'young'/);
  });
});

describe('deleted', () => {
  const added = (): Bench => {
    const b = new Bench();
    b.write('sets', 's', { kind: 'set-add', elements: ['stays'] });
    b.write('sets', 's', { kind: 'set-add', elements: ['goes'] });
    b.write('sets', 's', { kind: 'set-remove', elements: ['goes'] });
    b.final('sets/s', setOf('stays'));
    return b;
  };

  test('I9: a removed element is back', () => {
    const b = added();
    expect(b.findings('deleted')).toBe('');
    b.final('sets/s', setOf('stays', 'goes'), [US]);
    expect(b.findings('deleted')).toMatch(/us: set s has goes, whose removal was acknowledged/);
    expect(b.verdict('deleted').facts['resurrected']).toBe(1);
  });

  test('I1: an element that was never removed is gone', () => {
    const b = added();
    b.final('sets/s', undefined, [US]);
    expect(b.findings('deleted')).toMatch(/us: set s lost stays/);
  });

  test('an element that nobody added, or whose add was refused', () => {
    const b = added();
    b.write('sets', 's', { kind: 'set-add', elements: ['no'] }, { outcome: 'failed' });
    b.final('sets/s', setOf('stays', 'no', 'ghost'), [EU]);
    expect(b.findings('deleted')).toMatch(/has no, which was not added/);
    expect(b.findings('deleted')).toMatch(/has ghost, which nobody added/);
  });

  test('a removal in another region may not have seen the add', () => {
    const b = new Bench();
    b.write('sets', 's', { kind: 'set-add', elements: ['e'] });
    b.write('sets', 's', { kind: 'set-remove', elements: ['e'] }, { region: US });
    b.final('sets/s', setOf('e'));
    expect(b.findings('deleted')).toBe('');
    b.final('sets/s', undefined);
    expect(b.findings('deleted')).toBe('');
  });
});

describe('values', () => {
  test('I3: a set whose removal had not seen the add, and one whose had', () => {
    const unseen = new Bench();
    const add = unseen.write('sets', 's', { kind: 'set-add', elements: ['e'] }, { in: [EU] });
    unseen.write('sets', 's', { kind: 'set-remove', elements: ['e'] }, { region: US });
    unseen.log(US, versionOf(unseen, add), add);
    // In us the removal came first: the add wins everywhere.
    unseen.final('sets/s', setOf('e'));
    expect(unseen.findings('values')).toBe('');
    unseen.final('sets/s', undefined, [EU]);
    expect(unseen.findings('values')).toMatch(/eu: sets\/s reads as absent; .* make .*"e"/);

    const seen = new Bench();
    seen.write('sets', 's', { kind: 'set-add', elements: ['e'] });
    seen.write('sets', 's', { kind: 'set-remove', elements: ['e'] }, { region: US });
    expect(seen.findings('values')).toBe('');
    seen.final('sets/s', setOf('e'), [EU]);
    expect(seen.findings('values')).toMatch(/eu: sets\/s reads as .*"e".* make absent/);
  });

  test('I3: a map that takes a field from one write and loses that of another', () => {
    const b = new Bench();
    const a = versionOf(b, b.write('maps', 'm', { kind: 'map-update', put: { a: '1' }, remove: [] }));
    const c = versionOf(b, b.write('maps', 'm', { kind: 'map-update', put: { c: '2' }, remove: [] }, { region: US }));
    const fields = [
      { field: 'a', value: '1', version: a },
      { field: 'c', value: '2', version: c },
    ];
    b.final('maps/m', { type: 'map-lww', fields });
    expect(b.findings('values')).toBe('');
    b.final('maps/m', { type: 'map-lww', fields: fields.slice(1) }, [US]);
    expect(b.findings('values')).toMatch(/us: maps\/m/);
  });

  test('siblings that one region has replaced and the other shows', () => {
    const b = new Bench();
    const one = versionOf(b, b.write('siblings', 'k', { kind: 'put', value: 'one' }));
    const two = versionOf(b, b.write('siblings', 'k', { kind: 'put', value: 'two' }, { region: US }));
    b.final('siblings/k', { type: 'register-mv', siblings: [{ value: 'two', version: two }] });
    expect(b.findings('values')).toBe('');
    const both = [
      { value: 'one', version: one },
      { value: 'two', version: two },
    ];
    b.final('siblings/k', { type: 'register-mv', siblings: both }, [EU]);
    expect(b.findings('values')).toMatch(/eu: siblings\/k/);
  });

  test('a key that reads as something without any op', () => {
    const b = new Bench();
    b.final('counters/c', count(1), [EU]);
    expect(b.findings('values')).toMatch(/eu: counters\/c reads as .* no op of it is in the log/);
  });
});

describe('sessions', () => {
  const SESSION = { session: 's' } as const;

  test('read your writes', () => {
    const b = new Bench();
    const old = versionOf(b, b.put('k', 'old', { region: US }));
    b.put('k', 'mine', SESSION);
    b.read('s', 'registers', 'k', register('old', old), US);
    expect(b.findings('sessions')).toMatch(
      /s in us .* read us~1:1 of k, which is older than eu~1:1, which it had written/,
    );
    const c = new Bench();
    c.put('k', 'mine', SESSION);
    c.read('s', 'registers', 'k', undefined, US);
    expect(c.findings('sessions')).toMatch(/as absent; it had written eu~1:1/);
  });

  test('read your writes, of a set', () => {
    const b = new Bench();
    b.write('sets', 'set', { kind: 'set-add', elements: ['e1'] }, SESSION);
    b.read('s', 'sets', 'set', undefined, US);
    expect(b.findings('sessions')).toMatch(/without e1, which it had written/);
  });

  test('monotonic reads', () => {
    const b = new Bench();
    const old = versionOf(b, b.put('k', 'old'));
    const young = versionOf(b, b.put('k', 'young'));
    b.read('s', 'registers', 'k', register('young', young));
    b.read('s', 'registers', 'k', register('old', old), US);
    expect(b.findings('sessions')).toMatch(/older than eu~1:2, which it had read/);
    // Another session may.
    const c = new Bench();
    const first = versionOf(c, c.put('k', 'old'));
    const second = versionOf(c, c.put('k', 'young'));
    c.read('s', 'registers', 'k', register('young', second));
    c.read('t', 'registers', 'k', register('old', first), US);
    expect(c.findings('sessions')).toBe('');
  });

  test('monotonic reads, of a set', () => {
    const b = new Bench();
    b.read('s', 'sets', 'set', setOf('e1', 'e2'));
    b.read('s', 'sets', 'set', setOf('e2'), US);
    expect(b.findings('sessions')).toMatch(/without e1, which it had read/);
  });

  test('monotonic writes: a later write of a region whose clock is slow', () => {
    const b = new Bench();
    b.nowMs = 5000;
    b.put('k', 'one', SESSION);
    b.put('k', 'two', { ...SESSION, region: US, version: b.version(US, 1000) });
    expect(b.findings('sessions')).toMatch(
      /wrote us~1:1@\d+ of k, which does not beat eu~1:1@\d+, which it had written/,
    );
  });

  test('writes follow reads: a write that observed another beats it, whatever the clocks say', () => {
    const b = new Bench();
    b.nowMs = 5000;
    const seen = versionOf(b, b.put('k', 'one'));
    b.read('s', 'registers', 'k', register('one', seen));
    b.put('k', 'two', { ...SESSION, region: US, version: b.version(US, 1000) });
    expect(b.findings('sessions')).toMatch(/does not beat eu~1:1@\d+, which it had read/);
  });

  test('writes follow reads, of another key of the shard', () => {
    const b = new Bench();
    b.nowMs = 5000;
    const seen = versionOf(b, b.put('k', 'one'));
    b.read('s', 'registers', 'k', register('one', seen));
    b.put('other', 'two', { ...SESSION, region: US, version: b.version(US, 1000) });
    expect(b.findings('sessions')).toMatch(/in 1\/0, where it had seen/);
  });

  test('a refused read says nothing', () => {
    const b = new Bench();
    b.put('k', 'mine', SESSION);
    b.records.push({
      kind: 'read',
      client: 's',
      region: US,
      startMs: 20,
      endMs: 30,
      outcome: 'failed',
      code: 'SESSION_BEHIND',
      collection: 'registers',
      key: 'k',
      session: 's',
    });
    expect(b.findings('sessions')).toBe('');
  });
});

describe('causal', () => {
  /** Session, then `x=1` to write or `x:1` to read (`x:` absent). `x=1?` was not answered. */
  const history = (...calls: readonly (readonly [session: string, call: string])[]): string => {
    const b = new Bench();
    for (const [session, call] of calls) {
      const [, name, kind, value, unknown] = /^(\w)([=:])(\w*)(\?)?$/.exec(call)!;
      const key = `{t}${name}`;
      if (kind === '=') b.put(key, value!, { session, outcome: unknown === undefined ? 'ok' : 'maybe' });
      else b.read(session, 'registers', key, value === '' ? undefined : register(value!, b.version('reader')));
    }
    return b.findings('causal');
  };

  test('what is allowed', () => {
    expect(history(['a', 'x=1'], ['b', 'x:1'], ['b', 'y=2'], ['c', 'y:2'], ['c', 'x:1'])).toBe('');
    // Concurrent writes, seen in one order by all who see both.
    expect(history(['a', 'x=1'], ['b', 'x=2'], ['c', 'x:1'], ['c', 'x:2'], ['d', 'x:2'])).toBe('');
    // What was not answered, and nobody saw.
    expect(history(['a', 'x=1?'], ['a', 'x:'])).toBe('');
  });

  test('ThinAirRead', () => {
    expect(history(['a', 'x=1'], ['b', 'x:9'])).toMatch(/ThinAirRead/);
  });

  test('CyclicCO: two sessions read what the other writes later', () => {
    expect(history(['a', 'x:2'], ['a', 'y=1'], ['b', 'y:1'], ['b', 'x=2'])).toMatch(/CyclicCO/);
  });

  test('WriteCOInitRead: the answer arrives before the question', () => {
    expect(history(['a', 'x=1'], ['b', 'x:1'], ['b', 'y=2'], ['c', 'y:2'], ['c', 'x:'])).toMatch(/WriteCOInitRead/);
  });

  test('WriteCORead: an old value, after its replacement was known', () => {
    expect(history(['a', 'x=1'], ['b', 'x:1'], ['b', 'x=2'], ['b', 'y=3'], ['c', 'y:3'], ['c', 'x:1'])).toMatch(
      /WriteCORead/,
    );
  });

  test('CyclicCF: two readers who both know both writes disagree which of them wins', () => {
    expect(
      history(
        ['a', 'x=1'],
        ['a', 'y=3'],
        ['b', 'x=2'],
        ['b', 'z=4'],
        ['c', 'y:3'],
        ['c', 'z:4'],
        ['c', 'x:1'],
        ['d', 'y:3'],
        ['d', 'z:4'],
        ['d', 'x:2'],
      ),
    ).toMatch(/CyclicCF/);
  });

  test('what was not answered counts when somebody has seen it', () => {
    expect(history(['a', 'y=1'], ['a', 'x=2?'], ['b', 'x:2'], ['b', 'y:'])).toMatch(/WriteCOInitRead/);
  });
});

describe('idempotency', () => {
  const KEYED = { idempotencyKey: 'anna/1' } as const;

  test('I2: the first result for every try', () => {
    const b = new Bench();
    const op = b.write('counters', 'c', { kind: 'increment', by: 1 }, KEYED);
    const version = versionOf(b, op);
    b.again(op, 'counters', 'c', { kind: 'increment', by: 1 }, { ...KEYED, version, duplicate: true, in: [] });
    expect(b.findings('idempotency')).toBe('');
    expect(b.verdict('idempotency').facts['answered again']).toBe(1);
    b.again(op, 'counters', 'c', { kind: 'increment', by: 1 }, { ...KEYED, version, in: [] });
    expect(b.findings('idempotency')).toMatch(/not called a duplicate/);
  });

  test('I2: a retry that took effect once more', () => {
    const b = new Bench();
    const op = b.write('counters', 'c', { kind: 'increment', by: 1 }, { ...KEYED, outcome: 'maybe' });
    b.again(op, 'counters', 'c', { kind: 'increment', by: 1 }, KEYED);
    expect(b.findings('idempotency')).toMatch(/took effect as eu~1:1 in 1\/0 and as eu~1:2/);
    b.again(op, 'counters', 'c', { kind: 'increment', by: 1 }, KEYED);
    expect(b.findings('idempotency')).toMatch(/answered as eu~1:2 and as eu~1:3/);
  });
});

describe('feeds', () => {
  const logged = (): { b: Bench; events: (readonly [string, string, number, number])[] } => {
    const b = new Bench();
    const events = ['a', 'b', 'c'].map((value) => {
      const op = b.put(value, value);
      const { origin, seq } = versionOf(b, op);
      return [SHARD, origin, seq, op] as const;
    });
    return { b, events };
  };

  test('everything once, over a move', () => {
    const { b, events } = logged();
    b.move('c', EU);
    b.feed('c', EU, events[0]!);
    b.move('c', US);
    b.feed('c', US, events[1]!, events[2]!);
    b.feedEnd('c', US);
    expect(b.findings('feeds')).toBe('');
    expect(b.verdict('feeds')).toMatchObject({ looked: 3, facts: { moves: 1 } });
  });

  test('a gap', () => {
    const { b, events } = logged();
    b.move('c', EU);
    b.feed('c', EU, events[0]!, events[2]!);
    b.feedEnd('c', EU);
    expect(b.findings('feeds')).toMatch(/c ended in eu without 1\/0 eu~1:2/);
  });

  test('something twice, after a move', () => {
    const { b, events } = logged();
    b.move('c', EU);
    b.feed('c', EU, events[0]!, events[1]!);
    b.move('c', US);
    b.feed('c', US, events[1]!, events[2]!);
    expect(b.findings('feeds')).toMatch(/c got 1\/0 eu~1:2 \(op 2\) twice, in us/);
  });

  test('another order than the log, and than the origin', () => {
    const { b, events } = logged();
    b.move('c', EU);
    b.feed('c', EU, events[1]!, events[0]!);
    expect(b.findings('feeds')).toMatch(/after seq 2 of that origin/);
    const c = new Bench();
    const one = versionOf(c, c.put('k', '1'));
    const two = versionOf(c, c.put('k', '2', { region: US }));
    c.move('c', EU);
    c.feed('c', EU, [SHARD, two.origin, two.seq, 2], [SHARD, one.origin, one.seq, 1]);
    expect(c.findings('feeds')).toMatch(/out of the order of its log/);
  });

  test('an event that is in no log, and a consumer that was given up', () => {
    const { b } = logged();
    b.move('c', EU);
    b.feed('c', EU, [SHARD, 'eu~1', 9, 9]);
    expect(b.findings('feeds')).toMatch(/which is not in its log/);
    const c = new Bench();
    c.feedEnd('c', EU, 'CURSOR_INVALID');
    expect(c.findings('feeds')).toMatch(/given up in eu: CURSOR_INVALID/);
  });
});

describe('conflicts', () => {
  /** us overwrites what it had not seen. */
  const lost = (): { b: Bench; loser: VersionRecord; winner: VersionRecord } => {
    const b = new Bench();
    const first = b.put('k', 'loser', { in: [EU] });
    const second = b.put('k', 'winner', { region: US });
    b.log(US, versionOf(b, first), first);
    return { b, loser: versionOf(b, first), winner: versionOf(b, second) };
  };
  const entry = (loser: VersionRecord, winner: VersionRecord) =>
    ({ shard: SHARD, collection: 'registers', key: 'k', loser, winner }) as const;

  test('a verdict that is missing, and one that is there', () => {
    const { b, loser, winner } = lost();
    expect(b.findings('conflicts')).toMatch(
      /eu: registers\/k eu~1:1 .* lost to us~1:1, which had not seen it, and the journal does not/,
    );
    b.conflicts.get(EU)!.push(entry(loser, winner));
    expect(b.findings('conflicts')).toBe('');
    expect(b.verdict('conflicts')).toMatchObject({ looked: 1, facts: { missed: 0, invented: 0 } });
  });

  test('a deletion may be missing when who overwrote it has lost its disk, and a value may not', () => {
    const b = new Bench();
    const gone = b.write('registers', 'k', { kind: 'delete' }, { in: [EU] });
    b.put('k', 'winner', { region: US });
    b.log(US, versionOf(b, gone), gone);
    expect(b.findings('conflicts')).toMatch(/the journal does not/);
    b.fault({ wipes: [US] });
    expect(b.findings('conflicts')).toBe('');
    const { b: ofValue } = lost();
    ofValue.fault({ wipes: [US] });
    expect(ofValue.findings('conflicts')).toMatch(/the journal does not/);
  });

  test('twice, with another winner, and in a region that lost nothing', () => {
    const { b, loser, winner } = lost();
    b.conflicts.get(EU)!.push(entry(loser, winner), entry(loser, winner));
    expect(b.findings('conflicts')).toMatch(/twice/);
    const c = lost();
    c.b.conflicts.get(EU)!.push(entry(c.loser, { ...c.winner, seq: 7 }));
    expect(c.b.findings('conflicts')).toMatch(/the journal says us~1:7/);
    const d = lost();
    d.b.conflicts.get(EU)!.push(entry(d.loser, d.winner));
    d.b.conflicts.get(US)!.push(entry(d.winner, d.loser));
    expect(d.b.findings('conflicts')).toMatch(/us: the journal says .* which is no conflict/);
  });

  test('what had been seen is no conflict', () => {
    const b = new Bench();
    const loser = versionOf(b, b.put('k', 'one'));
    const winner = versionOf(b, b.put('k', 'two', { region: US }));
    expect(b.findings('conflicts')).toBe('');
    b.conflicts.get(EU)!.push(entry(loser, winner));
    expect(b.findings('conflicts')).toMatch(/which is no conflict/);
  });
});

describe('held', () => {
  const poisoned = (where: readonly string[], alarms: readonly string[]): Bench => {
    const b = new Bench();
    const version = b.version(EU, YEAR_MS);
    b.put('k', 'v', { version, in: where });
    b.final('registers/k', register('v', version), where);
    b.records.push({ kind: 'sample', region: US, atMs: 20, state: 'ready', lagMs: {}, alarms });
    return b;
  };

  test('I5: an op that is stamped a year ahead stays where it is, and is no loss elsewhere', () => {
    expect(poisoned([EU], ['clock-hold']).findings()).toBe('');
    expect(poisoned([EU, US], ['clock-hold']).findings('held')).toMatch(/us took eu~1:1 .*, which is stamped far/);
  });

  test('I5: nor is one whose writer was told of too few regions, and of no version', () => {
    const b = poisoned([EU], ['clock-hold']);
    const add = { kind: 'set-add', elements: ['e'] } as const;
    const asked = { untold: true, code: 'DURABILITY_NOT_REACHED', otherRegions: 1 };
    b.write('sets', 's', add, { ...asked, version: b.version(EU, YEAR_MS), in: [EU] });
    b.final('sets/s', setOf('e'), [EU]);
    expect(b.findings()).toBe('');
    b.write('sets', 't', add, { ...asked, version: b.version(US) });
    b.final('sets/t', setOf('e'), [EU]);
    expect(b.findings('deleted')).toMatch(/us: set t lost e, which was acknowledged/);
  });

  test('I5: nobody was told, or another clock was pushed', () => {
    expect(poisoned([EU], []).findings('held')).toMatch(/us raised no alarm/);
    const b = poisoned([EU], ['clock-hold']);
    b.put('k', 'w', { region: US, version: b.version(US, YEAR_MS), in: [US] });
    expect(b.findings('held')).toMatch(/eu and us stamp far in the future/);
  });
});

describe('convergence', () => {
  test('I3: late, never, and not at the end', () => {
    const b = new Bench();
    b.put('k', 'v');
    b.convergedAfterMs = 30_001;
    expect(b.findings('convergence')).toMatch(/30001 ms after healing/);
    b.convergedAfterMs = undefined;
    expect(b.findings('convergence')).toMatch(/did not become equal/);
    b.convergedAfterMs = 5;
    b.digests.set(US, 'other');
    expect(b.findings('convergence')).toMatch(/different digests of 1\/0, with equal vectors/);
    b.put('l', 'v', { in: [EU] });
    expect(b.findings('convergence')).toMatch(/they differ in eu~1/);
  });
});

describe('availability', () => {
  test('the longest time without a successful write, at its ends too', () => {
    const b = new Bench();
    b.limits = { ...b.limits, unavailableMsMax: { [EU]: 1000 } };
    const everyday = { failsOver: true } as const;
    b.nowMs = 900;
    b.put('k', '1', everyday);
    b.nowMs = 1800;
    // By a region that took over, or by no client that may go elsewhere, or not at all.
    b.put('k', '2', { ...everyday, region: US, home: EU });
    expect(b.findings('availability')).toBe('');
    b.nowMs = 2500;
    b.put('k', '3', { ...everyday, outcome: 'maybe' });
    b.put('k', '4');
    b.nowMs = 3000;
    b.put('k', '5', everyday);
    expect(b.findings('availability')).toMatch(/clients of eu wrote nothing for 1200 ms from 1810 ms on; at most 1000/);
    b.limits = { ...b.limits, unavailableMsMax: { [EU]: 1500 } };
    b.nowMs = 9000;
    expect(b.findings('availability')).toMatch(/for 5990 ms/);
  });
});

describe('shards', () => {
  test('the longest time in which a region acknowledged nothing in a shard, though others did', () => {
    const b = new Bench();
    b.limits = { ...b.limits, shardUnavailableMsMax: { [EU]: 1000 } };
    b.put('k', '1');
    b.nowMs = 900;
    b.put('k', '2');
    expect(b.findings('shards')).toBe('');
    b.nowMs = 1500;
    b.put('k', '3', { region: US });
    b.nowMs = 2000;
    b.put('k', '4');
    expect(b.findings('shards')).toMatch(/eu acknowledged nothing in 1\/0 for 1100 ms from 910 ms on; at most 1000/);
    expect(b.verdict('shards').facts).toEqual({ 'eu: longest ms without a write in a shard': 1100 });
  });

  test('a shard that the region never took a write in', () => {
    const b = new Bench();
    b.limits = { ...b.limits, shardUnavailableMsMax: { [EU]: 1000 } };
    for (let i = 0; i < 200; i++) b.put('k', `${i}`, { region: US });
    expect(b.findings('shards')).toMatch(/eu acknowledged nothing in 1\/0 for 2000 ms/);
  });
});

describe('effects', () => {
  const seen = (afterMs: number | undefined): Bench => {
    const b = new Bench();
    const effect = {
      kind: 'effect',
      fault: 'redis-flush',
      region: EU,
      atMs: 50,
      says: 'is told',
      withinMs: 1000,
    } as const;
    b.records.push({ ...effect, ...(afterMs === undefined ? {} : { afterMs }) });
    return b;
  };

  test('what came in time, too late, and never', () => {
    expect(seen(1000).findings('effects')).toBe('');
    expect(seen(1000).verdict('effects')).toMatchObject({ looked: 1, facts: { 'eu: is told, ms': 1000 } });
    expect(seen(1001).findings('effects')).toMatch(/eu: is told after 1001 ms; 1000 ms are promised/);
    expect(seen(undefined).findings('effects')).toMatch(/is told: not seen/);
  });
});

describe('silence', () => {
  const told = (lagMs: Readonly<Record<string, number>>, atMs: number, region = US): Bench => {
    const b = new Bench();
    b.records.push({ kind: 'silence', region: EU, fromMs: 1000, toMs: 9000 });
    b.records.push({ kind: 'sample', region, atMs, state: 'ready', alarms: [], lagMs });
    return b;
  };

  test('I14: a lag that does not grow while its region can log nothing', () => {
    expect(told({ [EU]: 0 }, 6000).findings('silence')).toMatch(/us told a lag of 0 ms to eu at 6000 ms/);
    expect(told({ [EU]: 1900 }, 6000).findings('silence')).toMatch(/1900 ms/);
    expect(told({ [EU]: 2100 }, 6000).findings('silence')).toBe('');
  });

  test('what is not judged: the first moments, afterwards, what is not known, and the region itself', () => {
    for (const b of [told({ [EU]: 0 }, 3900), told({ [EU]: 0 }, 9100), told({}, 6000), told({ [EU]: 0 }, 6000, EU)])
      expect(b.verdict('silence')).toMatchObject({ looked: 0, findings: [] });
  });
});

describe('lag', () => {
  const late = (lagMs: number): Bench => {
    const b = new Bench();
    const op = b.put('k', 'v');
    b.arrival(EU, 12, op);
    b.arrival(US, 10 + lagMs, op);
    return b;
  };

  test('too much of it, where no fault stands between', () => {
    expect(late(4000).findings('lag')).toBe('');
    expect(late(6000).findings('lag')).toMatch(/99th percentile of lag is 6000 ms/);
    const other = late(6000);
    other.fault({ hinders: [`${US} ${EU}`], startMs: 0, endMs: 5000 });
    expect(other.findings('lag')).toMatch(/6000 ms/);
    const earlier = late(6000);
    earlier.nowMs = 10_000;
    earlier.fault({ hinders: [`${EU} ${US}`], startMs: -10, endMs: -1 });
    expect(earlier.findings('lag')).toMatch(/6000 ms/);
  });

  test('a fault on the way is counted apart', () => {
    const b = late(6000);
    b.fault({ hinders: [`${EU} ${US}`], startMs: 5, endMs: 5000 });
    expect(b.findings('lag')).toBe('');
    expect(b.verdict('lag')).toMatchObject({ looked: 0, facts: { 'ops that a fault hindered': 1 } });
  });
});

test('stamps of the bench are of their time', () => {
  const b = new Bench();
  expect(b.version(EU, 1000).stamp - b.version(EU, 0).stamp).toBe(1000 * STAMPS_PER_MS);
});
