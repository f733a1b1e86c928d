// The embedded store: LMDB without sync, one environment for all shards of a node, a database in it for each shard.
// Owns: fenced steps in one transaction, and the proof of rows after a crash (lmdb-proof.ts, I11). Nothing is recovered here: what is not
// proven is dropped, and the shard is rebuilt from the log.
//
// Transactions are synchronous: measured, they are up to twice as fast as lmdb-js' asynchronous ones, and a read that follows sees them. They
// hold the event loop for about 5 to 10 µs a row, so whoever writes keeps its steps to some hundred rows.
// Growth: LMDB's map grows by itself as long as the disk has space; without space a step fails and the rows stay as they were. The file does
// not shrink; pages of dropped rows are used again.
// HAZARD: one process per directory, and no network file system. The lock of the data directory (log/data-lock.ts) sees to the first.
// HAZARD: rows that rot on the disk under a trusted environment can crash the process inside LMDB. After three such starts it is dropped.

import fs from 'node:fs';
import { join } from 'node:path';
import { open as openEnvironment, type Database, type RootDatabase } from 'lmdb';
import { CausewayError, invariant } from '../errors/errors.ts';
import type { ShardId } from '../record/ids.ts';
import { judge, readProof, STORE_FORMAT, writeProof, type Proof } from './lmdb-proof.ts';
import { ROW_KEY_BYTES_MAX, type StepOutcome, type Store, type StoreRow, type StoreStep } from './store.ts';

export interface LmdbStoreOptions {
  /** Of this store alone; made if it is not there. */
  readonly directory: string;
  /** Which log, and which history of it, the rows are made from. A function is called at open(), when the log is open already. */
  readonly logIdentity: string | (() => string);
  /** Changes with each start of the machine. Default: what Linux says; empty means that rows are proven by a clean shutdown only. */
  readonly bootId?: string;
}

type Rows = Database<Buffer, Buffer>;

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const;
const FILE = 'rows.mdb';
const OWN_DATABASES = 2;

interface Opened {
  readonly env: RootDatabase<Buffer, Buffer>;
  readonly cursors: Rows;
  readonly shards: ReadonlyMap<ShardId, Rows>;
}

export class LmdbStore implements Store {
  readonly engine = 'lmdb';
  readonly #options: LmdbStoreOptions;
  readonly #path: string;
  readonly #proofPath: string;
  #opened: Opened | undefined;
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
      this.#prove({ ...this.#proof, state: 'open' });
    } catch (error) {
      throw openError(error, directory);
    }
  }

  async #openOrDrop(shards: readonly ShardId[], identity: string): Promise<Opened> {
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

  #openNow(shards: readonly ShardId[]): Opened {
    const env = openEnvironment<Buffer, Buffer>({
      ...BINARY,
      path: this.#path,
      noSubdir: true,
      noSync: true,
      maxDbs: shards.length + OWN_DATABASES,
    });
    // Readers that a killed process left behind would keep old pages from being used again.
    env.readerCheck();
    const open = (name: string): Rows => env.openDB<Buffer, Buffer>({ ...BINARY, name });
    return { env, cursors: open('cursors'), shards: new Map(shards.map((shard) => [shard, open(`shard ${shard}`)])) };
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
    return this.#cursorOf(this.#use(), shard);
  }

  getMany(
    shard: ShardId,
    rowKeys: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void {
    const rows = this.#rows(shard);
    // getBinary gives a copy: getBinaryFast's bytes would be overwritten by the next read.
    done(this.#reading(() => rowKeys.map((rowKey) => rows.getBinary(keyOf(rowKey)))));
  }

  scan(shard: ShardId, from: string, to: string, limit: number, done: (rows: readonly StoreRow[]) => void): void {
    const rows = this.#rows(shard);
    if (limit <= 0 || to === '') return done([]);
    // LMDB has no empty key: from the beginning is said by leaving it out.
    const start = from === '' ? {} : { start: Buffer.from(from) };
    done(
      this.#reading(() => {
        const range = rows.getRange({ ...start, end: Buffer.from(to), limit });
        return [...range.map(({ key, value }) => ({ rowKey: key.toString('utf8'), value }))];
      }),
    );
  }

  write(steps: readonly StoreStep[], done: (outcomes: readonly StepOutcome[]) => void): void {
    done(this.#write(this.#use(), steps));
  }

  #write(opened: Opened, steps: readonly StoreStep[]): StepOutcome[] {
    const keys = steps.map(({ rows }) => rows.map(([rowKey]) => keyOf(rowKey)));
    const outcomes: StepOutcome[] = [];
    try {
      this.#transaction(opened, () => {
        // Cursors as of this transaction: it is what the fence stands on, whoever wrote last.
        const cursors = new Map<ShardId, number>();
        for (const [i, { shard, fromCursor, toCursor, rows }] of steps.entries()) {
          const cursor = cursors.get(shard) ?? this.#cursorOf(opened, shard);
          if (cursor !== fromCursor) {
            outcomes.push({ kind: 'moved', cursor });
            continue;
          }
          const into = this.#rows(shard);
          for (const [j, [, value]] of rows.entries()) {
            const key = keys[i]![j]!;
            if (value === null) void into.remove(key);
            else void into.put(key, bufferOf(value));
          }
          cursors.set(shard, toCursor);
          outcomes.push({ kind: 'written' });
        }
        for (const [shard, cursor] of cursors) void opened.cursors.put(Buffer.from(shard), cursorBytes(cursor));
      });
      return outcomes;
    } catch (error) {
      if (!isLmdbError(error)) throw error;
      // Aborted as a whole: a step that was refused stays refused, the others were not written.
      const failed: StepOutcome = { kind: 'failed', message: `LMDB: ${error.message}` };
      return steps.map((_, i) => (outcomes[i]?.kind === 'moved' ? outcomes[i] : failed));
    }
  }

  reset(shard: ShardId, done: () => void): void {
    const opened = this.#use();
    const rows = this.#rows(shard);
    this.#transaction(opened, () => {
      rows.clearSync();
      void opened.cursors.put(Buffer.from(shard), cursorBytes(0));
    });
    done();
  }

  async checkpoint(): Promise<void> {
    const before = this.#transactions;
    await syncEnvironment(this.#use().env);
    if (this.#opened === undefined) return;
    // Rows that were written while it synced may be on the disk in part, in pages that older rows were on.
    const state = before === this.#transactions ? 'clean' : this.#proof.state;
    if (state !== this.#proof.state || this.#proof.unclean > 0) this.#prove({ ...this.#proof, state, unclean: 0 });
  }

  bytes(): number {
    return this.#opened === undefined ? 0 : fs.statSync(this.#path).size;
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) return;
    this.#opened = undefined;
    await syncEnvironment(opened.env);
    await opened.env.close();
    this.#prove({ ...this.#proof, state: 'clean', unclean: 0 });
  }

  #transaction(opened: Opened, action: () => void): void {
    // From here until the next checkpoint the disk may hold anything: that must be on the disk first.
    if (this.#proof.state === 'clean') this.#prove({ ...this.#proof, state: 'open' });
    this.#transactions++;
    opened.env.transactionSync(action);
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

  #cursorOf(opened: Opened, shard: ShardId): number {
    const bytes = this.#reading(() => opened.cursors.getBinary(Buffer.from(shard)));
    return bytes === undefined ? 0 : bytes.readDoubleLE(0);
  }

  #rows(shard: ShardId): Rows {
    const rows = this.#use().shards.get(shard);
    invariant(rows !== undefined, `shard ${shard} is one of those that the store was opened with`);
    return rows;
  }

  #use(): Opened {
    invariant(this.#opened !== undefined, 'an LMDB store is used while it is open');
    return this.#opened;
  }
}

/** Among the cursors, whose keys begin with a digit: which log the rows are made from. */
const LABEL = Buffer.from('log');

function label(opened: Opened): string | undefined {
  return opened.cursors.getBinary(LABEL)?.toString('utf8');
}

function keyOf(rowKey: string): Buffer {
  const key = Buffer.from(rowKey);
  invariant(
    key.length > 0 && key.length <= ROW_KEY_BYTES_MAX,
    `a row key has 1 to ${ROW_KEY_BYTES_MAX} bytes; got ${key.length}`,
  );
  return key;
}

function cursorBytes(cursor: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(cursor);
  return bytes;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Not in lmdb-js' types. It syncs in a thread of its own, also with noSync. */
function syncEnvironment(env: RootDatabase<Buffer, Buffer>): Promise<void> {
  const syncing = env as unknown as { sync(done: (error?: Error | null) => void): void };
  return new Promise((resolve, reject) => {
    syncing.sync((error) => (error === undefined || error === null ? resolve() : reject(error)));
  });
}

/** lmdb-js throws plain errors: those of LMDB have a number as their code, or its name in their text. */
function isLmdbError(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof CausewayError) return false;
  return typeof (error as { code?: unknown }).code === 'number' || /\bMDB_|database/i.test(error.message);
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
