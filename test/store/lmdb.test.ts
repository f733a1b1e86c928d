// I11 for LMDB: which rows are trusted after what, and that broken files are noticed before LMDB meets them.

import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { isCausewayError } from '../../src/errors/errors.ts';
import type { Proof } from '../../src/store/lmdb-proof.ts';
import { LmdbStore, type LmdbStoreOptions } from '../../src/store/lmdb.ts';
import { PackedRows } from '../../src/store/packed-rows.ts';
import type { StepOutcome, StoreStep } from '../../src/store/store.ts';
import {
  getFrom,
  LARGE_ROWS,
  largeStep,
  runStoreContract,
  scanFrom,
  SHARD_A,
  SHARD_B,
  SHARDS,
  stepOf,
  writeTo,
  WRITTEN,
} from '../contract/store.ts';

const CHILD = join(dirname(fileURLToPath(import.meta.url)), 'lmdb-crash-main.ts');
const BOOT = 'boot-1';
const OTHER_BOOT = 'boot-2';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function temporary(): string {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'causeway-store-'));
  cleanups.push(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function openIn(directory: string, options: Partial<LmdbStoreOptions> = {}): Promise<LmdbStore> {
  const store = new LmdbStore({ directory, logIdentity: 'log/1', bootId: BOOT, ...options });
  await store.open(SHARDS);
  cleanups.push(() => store.close());
  return store;
}

interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly said: string;
}

/** Runs the child; how it ended. */
function child(directory: string, ...doings: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const process_ = spawn(process.execPath, ['--import', 'tsx', CHILD, directory, BOOT, ...doings], { stdio: 'pipe' });
    let said = '';
    process_.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    process_.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    process_.on('error', reject);
    process_.on('exit', (code, signal) => resolve({ code, signal, said }));
  });
}

async function killedAfter(directory: string, ...doings: string[]): Promise<void> {
  const { signal, said } = await child(directory, ...doings, 'die');
  if (signal !== 'SIGKILL') throw new Error(`the child ended with ${signal}: ${said}`);
}

async function expectRows(store: LmdbStore, cursor: number): Promise<void> {
  expect(store.findings).toEqual([]);
  expect(store.cursor(SHARD_A)).toBe(cursor);
  const rows = await scanFrom(store, SHARD_A, 'a', 'z', 1000);
  expect(rows).toHaveLength(300);
  for (const { value } of rows) expect(Buffer.from(value).toString().trimEnd()).toBe(`value ${cursor}`);
}

async function expectEmpty(store: LmdbStore, why: RegExp): Promise<void> {
  expect(store.findings).toEqual([expect.stringMatching(why)]);
  expect(store.cursor(SHARD_A)).toBe(0);
  expect(await scanFrom(store, SHARD_A, 'a', 'z', 1000)).toEqual([]);
  expect(await writeTo(store, stepOf(SHARD_A, 0, 1, { again: 'works' }))).toEqual([WRITTEN]);
}

for (const [name, threadRowsMin] of [
  ['lmdb', undefined],
  ['lmdb, each write in its thread', 0],
] as const) {
  runStoreContract(name, () => {
    const directory = temporary();
    const options = threadRowsMin === undefined ? {} : { threadRowsMin };
    const make = (): LmdbStore => new LmdbStore({ directory, logIdentity: 'log/1', ...options });
    return Promise.resolve({ make, cleanup: () => Promise.resolve() });
  });
}

describe('I11: rows are trusted', () => {
  test('after kill -9, while the machine runs on', async () => {
    const directory = temporary();
    await killedAfter(directory, 'write', 'write');
    await expectRows(await openIn(directory), 2);
  }, 60_000);

  test('after a clean shutdown, on a machine that was started anew', async () => {
    const directory = temporary();
    expect((await child(directory, 'write', 'write', 'write')).code).toBe(0);
    await expectRows(await openIn(directory, { bootId: OTHER_BOOT }), 3);
  }, 60_000);

  test('after a checkpoint with nothing written since, on a machine that was started anew', async () => {
    const directory = temporary();
    await killedAfter(directory, 'write', 'checkpoint');
    await expectRows(await openIn(directory, { bootId: OTHER_BOOT }), 1);
  }, 60_000);
});

describe('I11: a large step is there whole or not at all', () => {
  /** Ends the child at several moments of a large step that follows a whole one; how often that step was there afterwards. */
  async function endedIn(how: 'die-in-large' | 'exit-in-large', ended: (of: Ended) => void): Promise<void> {
    const directory = temporary();
    expect((await child(directory, 'large')).code).toBe(0);
    for (const afterMs of [0, 30, 50, 70, 90, 150]) {
      ended(await child(directory, `${how}:${afterMs}`));
      const store = await openIn(directory);
      expect(store.findings).toEqual([]);
      const rows = await scanFrom(store, SHARD_A, 'k', 'l', 1e6);
      expect(rows).toHaveLength(LARGE_ROWS);
      const values = new Set(rows.map(({ value }) => String(value)));
      expect(values).toEqual(new Set([`value ${store.cursor(SHARD_A)}`]));
      await store.close();
    }
  }

  test('after kill -9 in the middle of it', async () => {
    await endedIn('die-in-large', ({ signal, said }) => expect([signal, said]).toEqual(['SIGKILL', said]));
  }, 120_000);

  test('after process.exit in the middle of it, which does not crash', async () => {
    await endedIn('exit-in-large', ({ code, signal, said }) => expect([code, signal, said]).toEqual([0, null, said]));
  }, 120_000);

  test('when the process has nothing else to do, and ends by itself', async () => {
    const directory = temporary();
    expect(await child(directory, 'large', 'leave')).toMatchObject({ code: 0, signal: null });
    expect((await openIn(directory)).cursor(SHARD_A)).toBe(2);
  }, 60_000);

  test('when its thread dies; the next write starts another', async () => {
    const directory = temporary();
    const store = await openIn(directory);
    const other = await openIn(directory, { threadRowsMin: Infinity });
    const posted = vi.spyOn(Worker.prototype, 'postMessage');
    cleanups.push(() => posted.mockRestore());
    const dying = (before: () => Promise<unknown>, ...steps: StoreStep[]): Promise<readonly StepOutcome[]> => {
      posted.mockImplementationOnce(function (this: Worker) {
        // What it cannot read ends it.
        void before().then(() => this.postMessage({ kind: 'write' }));
      });
      return writeTo(store, ...steps);
    };
    const died: unknown = {
      kind: 'failed',
      message: expect.stringMatching(/^LMDB: the thread that writes ended with code 1: TypeError/),
    };
    const refused = stepOf(SHARD_B, 9, 10, {});
    const nothing = (): Promise<void> => Promise.resolve();
    expect(await dying(nothing, largeStep(SHARD_A, 0, 1), refused)).toEqual([died, { kind: 'moved', cursor: 0 }]);
    expect(await writeTo(store, largeStep(SHARD_A, 0, 1))).toEqual([WRITTEN]);
    // It dies after it has written and before it has said so.
    const large = largeStep(SHARD_A, 1, 2);
    expect(await dying(() => writeTo(other, large), large, refused)).toEqual([WRITTEN, { kind: 'moved', cursor: 0 }]);
    expect(await getFrom(store, SHARD_A, 'k0')).toEqual(['value 2']);
    // Somebody else wrote.
    expect(await dying(() => writeTo(other, stepOf(SHARD_A, 2, 5, {})), largeStep(SHARD_A, 2, 3))).toEqual([died]);
    expect(await writeTo(store, largeStep(SHARD_A, 2, 3))).toEqual([{ kind: 'moved', cursor: 5 }]);
  });
});

describe('a large step', () => {
  test('does not hold the event loop', async () => {
    const store = await openIn(temporary());
    let turns = 0;
    let done = false;
    const turn = (): void => {
      turns++;
      if (!done) setImmediate(turn);
    };
    setImmediate(turn);
    let timeouts = 0;
    const timer = setInterval(() => timeouts++, 1);
    expect(await writeTo(store, largeStep(SHARD_A, 0, 1))).toEqual([WRITTEN]);
    done = true;
    clearInterval(timer);
    // One for each thousand rows that are packed, and more while the thread writes them.
    expect(turns).toBeGreaterThan(LARGE_ROWS / 1000);
    expect(timeouts).toBeGreaterThan(0);
  });

  test('runs in a thread that is gone after closing; small ones need none', async () => {
    const resources = (): string[] => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort');
    const before = resources();
    const started = vi.spyOn(Worker.prototype, 'postMessage');
    cleanups.push(() => started.mockRestore());
    const store = await openIn(temporary());
    await writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }));
    expect(started.mock.calls.length).toBe(0);
    await writeTo(store, largeStep(SHARD_A, 1, 2));
    await writeTo(store, largeStep(SHARD_A, 2, 3));
    expect(new Set(started.mock.contexts).size).toBe(1);
    await store.close();
    expect((started.mock.contexts[0] as Worker).threadId).toBe(-1);
    expect(resources()).toEqual(before);
  });

  test('I11: a checkpoint that it comes into proves nothing that follows', async () => {
    const directory = temporary();
    const proof = (): unknown => (JSON.parse(fs.readFileSync(join(directory, 'proof.json'), 'utf8')) as Proof).state;
    const store = await openIn(directory);
    await writeTo(store, largeStep(SHARD_A, 0, 1));
    const first = writeTo(store, largeStep(SHARD_A, 1, 2));
    await store.checkpoint();
    await first;
    expect(proof()).toBe('clean');
    const second = writeTo(store, largeStep(SHARD_A, 2, 3));
    // Before any of it can be in the file.
    expect(proof()).toBe('open');
    await second;
    expect(proof()).toBe('open');
    const checkpoint = store.checkpoint();
    const third = writeTo(store, largeStep(SHARD_A, 3, 4));
    await checkpoint;
    expect(proof()).toBe('open');
    await third;
    await store.checkpoint();
    expect(proof()).toBe('clean');
  });
});

test('a start that asked for a checkpoint did not die of the rows, whether or not the disk was done in time', async () => {
  const directory = temporary();
  const unclean = (): unknown => (JSON.parse(fs.readFileSync(join(directory, 'proof.json'), 'utf8')) as Proof).unclean;
  const first = await openIn(directory);
  await writeTo(first, stepOf(SHARD_A, 0, 1, { a: '1' }));
  await first.close();
  changeProof(directory, { state: 'open', bootId: BOOT, unclean: 1 });
  const store = await openIn(directory);
  expect(unclean()).toBe(2);
  const writing = writeTo(store, largeStep(SHARD_A, 1, 2));
  const checkpoint = store.checkpoint();
  // As it stands when the process is killed now.
  expect(unclean()).toBe(0);
  await writing;
  await checkpoint;
});

describe('I11: rows are dropped', () => {
  test('after kill -9, on a machine that was started anew', async () => {
    const directory = temporary();
    await killedAfter(directory, 'write', 'write');
    await expectEmpty(await openIn(directory, { bootId: OTHER_BOOT }), /the machine was started anew/);
  }, 60_000);

  test('on a machine that was started anew, when something was written after the checkpoint', async () => {
    const directory = temporary();
    await killedAfter(directory, 'write', 'checkpoint', 'write');
    await expectEmpty(await openIn(directory, { bootId: OTHER_BOOT }), /the machine was started anew/);
  }, 60_000);

  test('after kill -9 where the system does not tell its boots apart', async () => {
    const directory = temporary();
    await killedAfter(directory, 'write');
    await expectEmpty(await openIn(directory, { bootId: '' }), /the machine was started anew/);
  }, 60_000);

  test('when they were made from another log, or from another history of it', async () => {
    const directory = temporary();
    const first = await openIn(directory);
    await writeTo(first, stepOf(SHARD_A, 0, 1, { a: '1' }));
    await first.close();
    const other = await openIn(directory, { logIdentity: () => 'log/2' });
    await expectEmpty(other, /expected rows made from log log\/2, found rows made from log\/1/);
  });

  test('when the file was exchanged for that of another log, with the proof left as it was', async () => {
    const [directory, elsewhere] = [temporary(), temporary()];
    for (const [at, logIdentity] of [
      [directory, 'log/1'],
      [elsewhere, 'log/9'],
    ] as const) {
      const store = await openIn(at, { logIdentity });
      await writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }));
      await store.close();
    }
    fs.copyFileSync(join(elsewhere, 'rows.mdb'), join(directory, 'rows.mdb'));
    await expectEmpty(await openIn(directory), /expected rows made from log log\/1, found rows made from log\/9/);
  });

  const tampered: Record<string, [(directory: string) => void, RegExp]> = {
    'when the proof is gone': [(directory) => fs.rmSync(join(directory, 'proof.json')), /no proof/],
    'when the proof cannot be read': [
      (directory) => fs.writeFileSync(join(directory, 'proof.json'), '{"format":'),
      /cannot be read/,
    ],
    'when the rows are gone': [(directory) => fs.rmSync(join(directory, 'rows.mdb')), /rows\.mdb is gone/],
    'when their format is of another version': [
      (directory) => changeProof(directory, { format: 2 }),
      /expected format 1, found 2/,
    ],
    'when the last start did not get through opening them': [
      (directory) => changeProof(directory, { state: 'opening' }),
      /did not survive/,
    ],
    'when three starts in a row ended badly': [
      (directory) => changeProof(directory, { state: 'open', bootId: BOOT, unclean: 3 }),
      /4 starts in a row found no clean shutdown/,
    ],
    'when a page was overwritten with garbage': [
      (directory) => rewrite(directory, (bytes) => bytes.fill(0x5a)),
      /size of a page/,
    ],
    'when they were overwritten with zeros': [
      (directory) => rewrite(directory, (bytes) => bytes.fill(0)),
      /size of a page/,
    ],
    'when the first meta page is gone': [
      (directory) => rewrite(directory, (bytes) => bytes.fill(0, 0, 4096)),
      /size of a page/,
    ],
    'when the second meta page is gone': [
      (directory) => rewrite(directory, (bytes) => bytes.fill(0, 4096, 8192)),
      /meta page/,
    ],
    'when half of the file is gone': [
      (directory) => rewrite(directory, (bytes) => bytes.subarray(0, bytes.length >> 1)),
      /at least \d+ bytes/,
    ],
    'when all but a page is gone': [
      (directory) => rewrite(directory, (bytes) => bytes.subarray(0, 4096)),
      /two meta pages/,
    ],
    'when all but a few bytes is gone': [
      (directory) => rewrite(directory, (bytes) => bytes.subarray(0, 100)),
      /size of a page|two meta/,
    ],
  };
  for (const [what, [tamper, why]] of Object.entries(tampered)) {
    test(what, async () => {
      const directory = temporary();
      const store = await openIn(directory);
      for (let i = 0; i < 20; i++) {
        const rows = Object.fromEntries(Array.from({ length: 50 }, (_, k) => [`k${k}`, 'x'.repeat(300)]));
        await writeTo(store, stepOf(SHARD_A, i, i + 1, rows), stepOf(SHARD_B, i, i + 1, rows));
      }
      await store.close();
      tamper(directory);
      await expectEmpty(await openIn(directory), why);
    });
  }

  test('when LMDB cannot read them: this process ends, and the next starts anew', async () => {
    const directory = temporary();
    expect((await child(directory, 'write')).code).toBe(0);
    // The meta pages are whole; everything that they lead to is not.
    rewrite(directory, (bytes) => bytes.fill(0x41, 8192));
    let ended = await child(directory, 'scan');
    for (let starts = 1; ended.code !== 0; starts++) {
      expect(starts).toBeLessThan(6);
      ended = await child(directory, 'scan', 'write');
    }
    const store = await openIn(directory);
    const cursor = store.cursor(SHARD_A);
    expect(await writeTo(store, stepOf(SHARD_A, cursor, cursor + 1, { works: 'again' }))).toEqual([WRITTEN]);
    expect(fs.existsSync(join(directory, 'rows.mdb.damaged'))).toBe(true);
  }, 120_000);
});

describe.each([
  ['', undefined],
  [', in the thread', 0],
] as const)('I12: without space%s', (_, threadRowsMin) => {
  const options = threadRowsMin === undefined ? {} : { threadRowsMin };

  test('a step fails, the rows stay as they were, and the next one works when there is space', async ({ skip }) => {
    const mountPoint = temporary();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mountPoint], { encoding: 'utf8' });
    if (mounted.status !== 0) skip(`no tmpfs can be mounted here: ${mounted.stderr ?? mounted.error?.message}`);
    cleanups.push(() => void spawnSync('umount', [mountPoint]));
    const store = await openIn(join(mountPoint, 'store'), options);
    await writeTo(store, stepOf(SHARD_B, 0, 1, { kept: 'b' }));
    const rows = (i: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: 20 }, (_, k) => [`k${i}-${k}`, 'x'.repeat(1000)]));
    let cursor = 0;
    for (;;) {
      const [failed, moved] = await writeTo(
        store,
        stepOf(SHARD_A, cursor, cursor + 1, rows(cursor)),
        stepOf(SHARD_B, 7, 8, {}),
      );
      expect(moved).toEqual({ kind: 'moved', cursor: 1 });
      if (failed!.kind === 'written') cursor++;
      else {
        expect(failed).toMatchObject({ kind: 'failed', message: expect.stringMatching(/LMDB/) });
        break;
      }
    }
    expect(cursor).toBeGreaterThan(3);
    expect(store.cursor(SHARD_A)).toBe(cursor);
    expect(await getFrom(store, SHARD_A, `k${cursor - 1}-19`, `k${cursor}-0`)).toEqual(['x'.repeat(1000), undefined]);
    expect(await getFrom(store, SHARD_B, 'kept')).toEqual(['b']);
    expect(spawnSync('mount', ['-o', 'remount,size=8m', mountPoint]).status).toBe(0);
    expect(await writeTo(store, stepOf(SHARD_A, cursor, cursor + 1, rows(cursor)))).toEqual([WRITTEN]);
    await store.close();
    expect((await openIn(join(mountPoint, 'store'))).cursor(SHARD_A)).toBe(cursor + 1);
  });

  test('the map grows with the rows', async () => {
    const store = await openIn(temporary(), options);
    const rows = Array.from({ length: 64 }, (_, i) => [`k${i}`, Buffer.alloc(1 << 20, i)] as const);
    await new Promise<void>((resolve) =>
      store.write([{ shard: SHARD_A, fromCursor: 0, toCursor: 1, rows: PackedRows.of(rows) }], () => resolve()),
    );
    expect(store.bytes()).toBeGreaterThan(64 << 20);
    const [row] = await scanFrom(store, SHARD_A, 'k63', 'k64', 1);
    expect(Buffer.alloc(1 << 20, 63).equals(Buffer.from(row!.value))).toBe(true);
  });
});

test('a deposed owner with the same files in hand is refused by the cursor', async () => {
  const directory = temporary();
  const one = await openIn(directory);
  const two = await openIn(directory);
  expect(await writeTo(one, stepOf(SHARD_A, 0, 1, { a: 'one' }))).toEqual([WRITTEN]);
  expect(await writeTo(two, stepOf(SHARD_A, 0, 1, { a: 'two' }))).toEqual([{ kind: 'moved', cursor: 1 }]);
  expect(await writeTo(two, stepOf(SHARD_A, 1, 2, { b: 'two' }))).toEqual([WRITTEN]);
  expect(await getFrom(one, SHARD_A, 'a', 'b')).toEqual(['one', 'two']);
});

test('a directory that cannot be used', async () => {
  const file = join(temporary(), 'file');
  fs.writeFileSync(file, '');
  await expect(openIn(join(file, 'store'))).rejects.toSatisfy((error) => isCausewayError(error, 'CONFIG_INVALID'));
});

function rewrite(directory: string, change: (bytes: Buffer) => Buffer): void {
  const path = join(directory, 'rows.mdb');
  fs.writeFileSync(path, change(fs.readFileSync(path)));
}

function changeProof(directory: string, change: object): void {
  const path = join(directory, 'proof.json');
  const proof = JSON.parse(fs.readFileSync(path, 'utf8')) as object;
  fs.writeFileSync(path, JSON.stringify({ ...proof, ...change }));
}
