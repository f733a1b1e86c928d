// The embedded store: LMDB without sync, one environment for all shards of a node, a database in it for each shard.
// Owns: fenced steps in one transaction, and the proof of rows after a crash (lmdb-proof.ts, I11). Nothing is recovered here: what is not
// proven is dropped, and the shard is rebuilt from the log.
//
// A transaction costs 2 to 10 µs a row, and lmdb-js' asynchronous ones up to twice as much. So large ones run in a thread of the store's own
// (lmdb-thread.ts, decision 17), and the memory of their rows goes there. Small ones run here at once.
// - One transaction at a time, here or there: what is called meanwhile waits in line. Reads never wait.
// - Until `done` is called reads see the rows as they were before, also when LMDB has the new ones already: there is no in between.
// Bound: whoever writes has one write under way (region/store-writer.ts), and a shard one reset; the line is as long as its callers make it.
//
// Growth: LMDB's map grows by itself as long as the disk has space; without space a step fails and the rows stay as they were. The file does
// not shrink; pages of dropped rows are used again.
// HAZARD: one process per directory, and no network file system. The lock of the data directory (log/data-lock.ts) sees to the first.
// HAZARD: lmdb-js keeps a snapshot until the next turn of the event loop. What another thread has written is not in it: `done` comes after
//         resetReadTxn(), or a row that has left memory since would be read as it was before.
// HAZARD: rows that rot on the disk under a trusted environment can crash the process inside LMDB. After three such starts it is dropped.

import fs from 'node:fs';
import { join } from 'node:path';
import type { Transaction } from 'lmdb';
import { CausewayError, invariant } from '../errors/errors.ts';
import type { ShardId } from '../record/ids.ts';
import {
  cursorBytes,
  cursorOf,
  isLmdbError,
  openRows,
  writeSteps,
  type Environment,
  type Rows,
} from './lmdb-environment.mjs';
import { judge, readProof, STORE_FORMAT, writeProof, type Proof } from './lmdb-proof.ts';
import type { PackedStep } from './packed-row-reader.mjs';
import { WriterThread, type WriterAnswer } from './lmdb-thread.ts';
import { checkRowKeyBytes } from './packed-rows.ts';
import type { StepOutcome, Store, StoreRow, StoreStep } from './store.ts';

export interface LmdbStoreOptions {
  /** Of this store alone; made if it is not there. */
  readonly directory: string;
  /** Which log, and which history of it, the rows are made from. A function is called at open(), when the log is open already. */
  readonly logIdentity: string | (() => string);
  /** Changes with each start of the machine. Default: what Linux says; empty means that rows are proven by a clean shutdown only. */
  readonly bootId?: string;
  /** A write of so many rows runs in the thread. Default 64; 0: each does; Infinity: none does, and no thread is started. */
  readonly threadRowsMin?: number;
}

const FILE = 'rows.mdb';
const THREAD_ROWS_MIN = 64;
/** So many bytes of values count as one row more. */
const THREAD_ROW_BYTES = 4096;

export class LmdbStore implements Store {
  readonly engine = 'lmdb';
  readonly answersAtOnce = true;
  readonly #options: LmdbStoreOptions;
  readonly #path: string;
  readonly #proofPath: string;
  #opened: Environment | undefined;
  #thread: WriterThread | undefined;
  /** A write is under way in the thread. */
  #busy = false;
  readonly #waiting: (() => void)[] = [];
  /** What reads see while it is. */
  #snapshot: Transaction | undefined;
  #syncing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #proof: Proof;
  /** Counts transactions, to see whether one came between a sync and its proof. */
  #transactions = 0;
  #findings: string[] = [];

  constructor(options: LmdbStoreOptions) {
    this.#options = options;
    this.#path = join(options.directory, FILE);
    this.#proofPath = join(options.directory, 'proof.json');
    this.#proof = { format: STORE_FORMAT, logIdentity: '', state: 'opening', bootId: '', unclean: 0 };
  }

  /** Why open() dropped rows, for people. Empty when it did not. */
  get findings(): readonly string[] {
    return this.#findings;
  }

  async open(shards: readonly ShardId[]): Promise<void> {
    invariant(this.#opened === undefined, 'an LMDB store is opened once, until it is closed');
    const { directory, logIdentity } = this.#options;
    try {
      fs.mkdirSync(directory, { recursive: true });
      const identity = typeof logIdentity === 'string' ? logIdentity : logIdentity();
      const bootId = this.#options.bootId ?? readBootId();
      const verdict = judge(this.#path, readProof(this.#proofPath), identity, bootId);
      this.#findings = [];
      if (verdict.kind === 'reset') this.#drop(verdict.reason, verdict.suspect);
      const unclean = verdict.kind === 'trust' ? verdict.unclean : 0;
      this.#prove({ format: STORE_FORMAT, logIdentity: identity, state: 'opening', bootId, unclean });
      this.#opened = await this.#openOrDrop(shards, identity);
      this.#thread = new WriterThread(this.#path, shards);
      this.#closing = undefined;
      this.#prove({ ...this.#proof, state: 'open' });
    } catch (error) {
      throw openError(error, directory);
    }
  }

  async #openOrDrop(shards: readonly ShardId[], identity: string): Promise<Environment> {
    try {
      const opened = this.#openNow(shards);
      const found = label(opened);
      if (found === undefined || found === identity) {
        opened.env.transactionSync(() => void opened.cursors.put(LABEL, Buffer.from(identity)));
        return opened;
      }
      // The proof says otherwise: the files were put here by hand.
      await opened.env.close();
      this.#drop(`expected rows made from log ${identity}, found rows made from ${found}`, false);
    } catch (error) {
      if (!isLmdbError(error)) throw error;
      this.#drop(`LMDB cannot open it: ${error.message}`, true);
    }
    const opened = this.#openNow(shards);
    opened.env.transactionSync(() => void opened.cursors.put(LABEL, Buffer.from(identity)));
    return opened;
  }

  #openNow(shards: readonly ShardId[]): Environment {
    const opened = openRows(this.#path, shards);
    // Readers that a killed process left behind would keep old pages from being used again.
    opened.env.readerCheck();
    return opened;
  }

  /** Empties the store. What may be broken is kept aside, one of it. */
  #drop(reason: string, suspect: boolean): void {
    const kept = suspect ? `; kept as ${FILE}.damaged` : '';
    this.#findings.push(`the store was emptied and is rebuilt from the log: ${reason}${kept}`);
    if (suspect && fs.existsSync(this.#path)) fs.renameSync(this.#path, `${this.#path}.damaged`);
    fs.rmSync(this.#path, { force: true });
    fs.rmSync(`${this.#path}-lock`, { force: true });
  }

  cursor(shard: ShardId): number {
    const { cursors } = this.#use();
    return cursorOf(this.#reading(() => cursors.get(Buffer.from(shard), this.#at())));
  }

  getMany(
    shard: ShardId,
    rowKeys: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void {
    const rows = this.#rows(shard);
    // get gives a copy of bytes: getBinaryFast's would be overwritten by the next read.
    const at = this.#at();
    done(this.#reading(() => rowKeys.map((rowKey) => rows.get(keyOf(rowKey), at))));
  }

  peek(shard: ShardId, rowKey: string, done: (value: Uint8Array | undefined) => void): void {
    this.getMany(shard, [rowKey], ([value]) => done(value));
  }

  scan(shard: ShardId, from: string, to: string, limit: number, done: (rows: readonly StoreRow[]) => void): void {
    const rows = this.#rows(shard);
    if (limit <= 0 || to === '') return done([]);
    // LMDB has no empty key: from the beginning is said by leaving it out.
    const start = from === '' ? {} : { start: Buffer.from(from) };
    done(
      this.#reading(() => {
        const range = rows.getRange({ ...start, ...this.#at(), end: Buffer.from(to), limit });
        return [...range.map(({ key, value }) => ({ rowKey: key.toString('utf8'), value }))];
      }),
    );
  }

  write(steps: readonly StoreStep[], done: (outcomes: readonly StepOutcome[]) => void): void {
    this.#useForWriting();
    let weight = 0;
    for (const { shard, rows } of steps) {
      this.#rows(shard);
      weight += rows.length + rows.valueBytes / THREAD_ROW_BYTES;
    }
    const inThread = weight >= (this.#options.threadRowsMin ?? THREAD_ROWS_MIN);
    this.#inTurn(() => {
      if (inThread) this.#writeThere(steps, done);
      else done(this.#writeHere(steps));
    });
  }

  #writeHere(steps: readonly StoreStep[]): readonly StepOutcome[] {
    const failed = this.#begin(steps);
    if (failed !== undefined) return failed;
    return writeSteps(this.#use(), { steps: steps.map(packedStep), chunks: chunksOf(steps) });
  }

  #writeThere(steps: readonly StoreStep[], done: (outcomes: readonly StepOutcome[]) => void): void {
    const opened = this.#use();
    const failed = this.#begin(steps);
    if (failed !== undefined) {
      done(failed);
      return;
    }
    this.#busy = true;
    this.#snapshot = this.#reading(() => opened.env.useReadTransaction());
    const cursors = new Map(steps.map(({ shard }) => [shard, this.cursor(shard)]));
    this.#thread!.write(steps.map(packedStep), chunksOf(steps), (answer) => {
      this.#snapshot?.done();
      this.#snapshot = undefined;
      opened.env.resetReadTxn();
      const outcomes = answer.kind === 'answered' ? answer.outcomes : this.#outcomesOf(steps, cursors, answer);
      this.#free(() => done(outcomes));
    });
  }

  /** Before a transaction; what to answer when there can be none. */
  #begin(steps: readonly StoreStep[]): readonly StepOutcome[] | undefined {
    try {
      this.#toBeProven();
      return undefined;
    } catch (error) {
      return steps.map(() => ({ kind: 'failed', message: `${this.#proofPath}: ${String(error)}` }));
    }
  }

  /** The thread died without an answer. All of its transaction is there or nothing, and the cursors say which. */
  #outcomesOf(
    steps: readonly StoreStep[],
    before: ReadonlyMap<ShardId, number>,
    { message }: WriterAnswer & { kind: 'died' },
  ): StepOutcome[] {
    const cursors = new Map(before);
    const outcomes = steps.map(({ shard, fromCursor, toCursor }): StepOutcome => {
      const cursor = cursors.get(shard)!;
      if (cursor !== fromCursor) return { kind: 'moved', cursor };
      cursors.set(shard, toCursor);
      return { kind: 'written' };
    });
    const isWritten = [...cursors].some(([shard, to]) => to !== before.get(shard) && to === this.cursor(shard));
    // Steps that move no cursor may be there and are called failed: to write them again changes nothing.
    if (isWritten) return outcomes;
    return outcomes.map((outcome) =>
      outcome.kind === 'written' ? { kind: 'failed', message: `LMDB: ${message}` } : outcome,
    );
  }

  /** The directory's lock: nobody else writes here. */
  refresh(_shard: ShardId, done: () => void): void {
    done();
  }

  reset(shard: ShardId, done: () => void): void {
    this.#useForWriting();
    const rows = this.#rows(shard);
    this.#inTurn(() => {
      const opened = this.#use();
      this.#toBeProven();
      opened.env.transactionSync(() => {
        rows.clearSync();
        void opened.cursors.put(Buffer.from(shard), cursorBytes(0));
      });
      done();
    });
  }

  async checkpoint(): Promise<void> {
    this.#useForWriting();
    // Whoever asks has lived with these rows for a while: they are not what its end is put down to, if it comes before the disk is done.
    if (this.#proof.unclean > 0) this.#prove({ ...this.#proof, unclean: 0 });
    let before = 0;
    await new Promise<void>((resolve, reject) => {
      this.#inTurn(() => {
        before = this.#transactions;
        this.#syncing = syncEnvironment(this.#use());
        this.#syncing.then(resolve, reject);
      });
    });
    if (this.#opened === undefined) return;
    // Rows that were written while it synced may be on the disk in part, in pages that older rows were on.
    const state = before === this.#transactions ? 'clean' : this.#proof.state;
    if (state !== this.#proof.state) this.#prove({ ...this.#proof, state });
  }

  bytes(): number {
    return this.#opened === undefined ? 0 : fs.statSync(this.#path).size;
  }

  close(): Promise<void> {
    if (this.#opened === undefined) return Promise.resolve();
    this.#closing ??= new Promise<void>((resolve) => this.#inTurn(resolve)).then(() => this.#close());
    return this.#closing;
  }

  async #close(): Promise<void> {
    const opened = this.#use();
    this.#opened = undefined;
    await this.#thread?.close();
    await this.#syncing?.catch(() => undefined);
    await syncEnvironment(opened);
    await opened.env.close();
    this.#prove({ ...this.#proof, state: 'clean', unclean: 0 });
  }

  /** Calls `action` when no write is under way in the thread and nobody waits before it. */
  #inTurn(action: () => void): void {
    if (this.#busy || this.#waiting.length > 0) this.#waiting.push(action);
    else action();
  }

  #free(done: () => void): void {
    this.#busy = false;
    done();
    while (!this.#busy && this.#waiting.length > 0) this.#waiting.shift()!();
  }

  /** Before each transaction. From then until the next checkpoint the disk may hold anything: that must be on the disk first. */
  #toBeProven(): void {
    if (this.#proof.state === 'clean') this.#prove({ ...this.#proof, state: 'open' });
    this.#transactions++;
  }

  #at(): { readonly transaction: Transaction } | undefined {
    return this.#snapshot === undefined ? undefined : { transaction: this.#snapshot };
  }

  /** A read that LMDB cannot answer has met broken pages: the next start shall not trust them, and this process ends. */
  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!isLmdbError(error)) throw error;
      this.#prove({ ...this.#proof, state: 'opening' });
      throw new CausewayError('CORRUPT', `the store in ${this.#options.directory} cannot be read: ${error.message}`, {
        cause: error,
        hint: 'Start the node again: the store is then rebuilt from the log.',
      });
    }
  }

  #prove(proof: Proof): void {
    writeProof(this.#proofPath, proof);
    this.#proof = proof;
  }

  #rows(shard: ShardId): Rows {
    const rows = this.#use().shards.get(shard);
    invariant(rows !== undefined, `shard ${shard} is one of those that the store was opened with`);
    return rows;
  }

  #use(): Environment {
    invariant(this.#opened !== undefined, 'an LMDB store is used while it is open');
    return this.#opened;
  }

  #useForWriting(): void {
    invariant(this.#opened !== undefined && this.#closing === undefined, 'an LMDB store is used while it is open');
  }
}

/** Among the cursors, whose keys begin with a digit: which log the rows are made from. */
const LABEL = Buffer.from('log');

function label(opened: Environment): string | undefined {
  return opened.cursors.getBinary(LABEL)?.toString('utf8');
}

function keyOf(rowKey: string): Buffer {
  const key = Buffer.from(rowKey);
  checkRowKeyBytes(key.length);
  return key;
}

function chunksOf(steps: readonly StoreStep[]): Buffer<ArrayBuffer>[] {
  return steps.flatMap(({ rows }) => rows.chunks());
}

function packedStep({ shard, fromCursor, toCursor, rows }: StoreStep): PackedStep {
  return { shard, fromCursor, toCursor, rows: rows.length };
}

/** Not in lmdb-js' types. It syncs in a thread of its own, also with noSync. */
function syncEnvironment({ env }: Environment): Promise<void> {
  const syncing = env as unknown as { sync(done: (error?: Error | null) => void): void };
  return new Promise((resolve, reject) => {
    syncing.sync((error) => (error === undefined || error === null ? resolve() : reject(error)));
  });
}

function readBootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

function openError(error: unknown, directory: string): unknown {
  if (error instanceof CausewayError) return error;
  const { code } = error as NodeJS.ErrnoException;
  const found = `${code ?? String(error)}`;
  return new CausewayError('CONFIG_INVALID', `expected to keep the store in ${directory}, found ${found}`, {
    cause: error,
    details: { directory },
    hint: 'Name a directory on a local file system with space, that this process may write to.',
  });
}
