// causeway import: lines of JSON become writes, many in flight.

import { createReadStream, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Causeway, Producer } from '../client/index.ts';
import { CausewayError, EXIT_CODES, toCausewayError } from '../errors/errors.ts';
import { examples, usage, type AddCommand, type Context } from './context.ts';
import { BadLine, opsOfLine, type LineContext } from './ndjson.ts';
import { collectionType, withClient } from './nodes.ts';
import { Progress } from './progress.ts';
import { addSessionFlags, type SessionFlags } from './session.ts';
import { count, durability, keyRange, wholeNumber, type DurabilityWord, type KeyRange } from './words.ts';

interface Flags extends SessionFlags {
  readonly durability: DurabilityWord;
  readonly ifAbsent?: true;
  readonly dryRun?: true;
  readonly skip: number;
  readonly streams: number;
}

export const addImport: AddCommand = (program, act) => {
  addSessionFlags(
    program
      .command('import')
      .description('write the keys that lines of JSON (NDJSON) hold, as export prints them')
      .argument('<namespace[/collection]>', 'where to; the collection is for lines that name none', keyRange)
      .argument('[file]', "the lines; '-' is standard input", '-'),
  )
    .option('--dry-run', 'read and check every line, write nothing')
    .option('--if-absent', 'only keys that have no value in this region; the others are counted as skipped')
    .option('--skip <lines>', 'leave out so many lines at the beginning', wholeNumber(0), 0)
    .option('--durability <level>', 'local, applied or regions:N', durability, 'local')
    .option('--streams <n>', 'connections to write over; more for a region far away', wholeNumber(1, 16), 1)
    .addHelpText(
      'after',
      `${examples(
        ['causeway import demo demo.ndjson', 'what export wrote'],
        ['causeway import demo demo.ndjson --dry-run', 'is every line right?'],
        ['zcat profiles.ndjson.gz | causeway import demo/profiles', 'from standard input, into one collection'],
        [`echo '{"key":"anna","value":{"city":"Oslo"}}' | causeway import demo/profiles`, 'a line made by hand'],
      )}
Registers and fields are replaced, elements added, counters moved by the number: importing a counter twice counts twice.
After a failure it says which lines are written for certain, and the --skip that goes on behind them.
`,
    )
    .action(act(importKeys));
};

/** What has become of the lines so far. */
class Tally {
  readonly #pending = new Map<number, number>();
  line: number;
  written = 0;
  skipped = 0;
  failure: { readonly line: number; readonly error: CausewayError } | undefined;

  constructor(skip: number) {
    this.line = skip;
  }

  sent(line: number, ops: number): void {
    this.#pending.set(line, ops);
  }

  settled(line: number, error: CausewayError | undefined, skippable: boolean): void {
    if (error !== undefined && !(skippable && error.code === 'PRECONDITION_FAILED')) {
      // It stays pending: the lines before it are the ones that are certain.
      this.failure ??= { line, error };
      return;
    }
    const left = (this.#pending.get(line) ?? 1) - 1;
    if (left > 0) {
      this.#pending.set(line, left);
      return;
    }
    this.#pending.delete(line);
    if (error === undefined) this.written++;
    else this.skipped++;
  }

  /** How many lines at the beginning are done, without a hole. */
  get whole(): number {
    // A line that could not be read was never sent.
    let end = this.failure === undefined ? this.line : this.failure.line - 1;
    for (const line of this.#pending.keys()) end = Math.min(end, line - 1);
    return end;
  }
}

function importKeys(context: Context, to: KeyRange, file: string, flags: Flags): Promise<number> {
  const { terminal, system } = context;
  if (to.prefix !== '') throw usage('expected namespace or namespace/collection; a line has its whole key');
  const input = inputOf(file);
  const progress = new Progress(system, process.stderr, 'lines');
  const tally = new Tally(flags.skip);
  return withClient(context, to.namespace, flags, async (client) => {
    const where = await lineContext(client, to);
    const producer = client.producer({ durability: flags.durability, streams: flags.streams });
    try {
      await readLines(input, flags.skip, tally, (text, line) =>
        writeLine(text, line, { where, producer, flags, tally, progress, input }),
      );
      if (flags.dryRun !== true) await producer.close();
    } catch (error) {
      // What is under way has its result first: then it is known what is written.
      await producer.close().catch(() => undefined);
      tally.failure ??= { line: tally.line, error: lineError(error) };
    } finally {
      progress.clear();
    }
    const { failure, written, skipped } = tally;
    const said = { lines: tally.line - flags.skip, written, skipped, dryRun: flags.dryRun === true };
    if (failure !== undefined) {
      const { error, line } = failure;
      const hint =
        flags.dryRun === true
          ? error.hint
          : `${count(tally.whole)} lines are done for certain: go on with --skip ${tally.whole}${error.hint === undefined ? '' : `. ${error.hint}`}`;
      throw new CausewayError(error.code, `line ${line}: ${error.message}`, {
        outcome: error.outcome,
        retriable: error.retriable,
        details: { ...error.details, ...said, line, skip: tally.whole },
        cause: error,
        ...(hint === undefined ? {} : { hint }),
      });
    }
    if (terminal.json) terminal.document({ ...said, region: client.endpoint()?.region, session: client.session() });
    else if (flags.dryRun === true)
      terminal.line(`${terminal.good('ok')} ${count(said.lines)} lines could be imported`);
    else {
      terminal.line(
        `${terminal.good('ok')} ${count(written)} written${skipped === 0 ? '' : `, ${count(skipped)} were there already`}`,
      );
      terminal.note(terminal.dim(progress.summary(said.lines)));
    }
    return EXIT_CODES.ok;
  });
}

interface Writing {
  readonly where: LineContext;
  readonly producer: Producer;
  readonly flags: Flags;
  readonly tally: Tally;
  readonly progress: Progress;
  readonly input: Input;
}

async function writeLine(
  text: string,
  line: number,
  { where, producer, flags, tally, progress, input }: Writing,
): Promise<void> {
  const ops = opsOfLine(text, where);
  if (flags.ifAbsent === true && ops.length > 1) {
    throw new BadLine('it takes several writes, for which --if-absent cannot hold');
  }
  progress.update(line, input.share());
  if (flags.dryRun === true) return;
  tally.sent(line, ops.length);
  for (const op of ops) {
    const conditional = flags.ifAbsent === true ? ({ ...op, condition: { kind: 'absent' } } as const) : op;
    await producer.send(conditional, (error) => tally.settled(line, error, flags.ifAbsent === true));
  }
}

/** Line by line, until the end or the first failure. Empty lines are passed over. */
async function readLines(
  input: Input,
  skip: number,
  tally: Tally,
  take: (text: string, line: number) => Promise<void>,
): Promise<void> {
  const lines = createInterface({ input: input.stream, crlfDelay: Infinity });
  let failed: Error | undefined;
  // The end of a stream that fails would look like the end of the lines.
  input.stream.on('error', (error) => {
    failed = error;
    lines.close();
  });
  let line = 0;
  for await (const text of lines) {
    line++;
    if (line <= skip) continue;
    tally.line = line;
    if (text.trim() !== '') await take(text, line);
    if (tally.failure !== undefined) break;
  }
  input.stream.destroy();
  if (failed !== undefined) throw failed;
}

interface Input {
  readonly stream: Readable;
  /** How much of it has been read, from 0 to 1; undefined: nobody knows how much there is. */
  share(): number | undefined;
}

function inputOf(file: string): Input {
  if (file === '-') return { stream: process.stdin, share: () => undefined };
  let size: number;
  try {
    size = statSync(file).size;
  } catch (error) {
    throw new CausewayError('INVALID_ARGUMENT', `cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
  const stream = createReadStream(file);
  return { stream, share: () => (size === 0 ? 1 : stream.bytesRead / size) };
}

async function lineContext(client: Causeway, { collection }: KeyRange): Promise<LineContext> {
  if (collection !== undefined) await collectionType(client, collection);
  const { namespaces } = await client.topology();
  const collections = namespaces.find(({ name }) => name === client.namespace)?.collections ?? [];
  const types = new Map(collections.map(({ name, type }) => [name, type]));
  return { collection, typeOf: (name) => types.get(name) };
}

function lineError(error: unknown): CausewayError {
  if (!(error instanceof BadLine)) return toCausewayError(error);
  return new CausewayError('INVALID_ARGUMENT', error.message, {
    cause: error,
    hint: 'causeway import --help shows lines; --dry-run checks them all without writing.',
  });
}
