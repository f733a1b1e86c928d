// What a command prints: values on stdout for people or programs, everything about the run on stderr.
// Owns: colour (only on a terminal, and never against NO_COLOR or --no-color), tables, JSON, and the quiet end when the
// reader has gone (`causeway watch … | head`).

import { styleText } from 'node:util';

type Paint = (text: string) => string;

export interface Terminal {
  /** --json: one document, or one per line for streams. */
  readonly json: boolean;
  /** Whether a person looks at stdout. */
  readonly person: boolean;
  readonly columns: number;
  readonly bold: Paint;
  readonly dim: Paint;
  readonly good: Paint;
  readonly warn: Paint;
  readonly bad: Paint;
  /** A line on stdout. */
  line(text?: string): void;
  /** As it is, on stdout. False: the reader is slow, wait for drained(). */
  raw(bytes: string | Uint8Array): boolean;
  drained(): Promise<void>;
  /** A line on stderr: not part of the result. */
  note(text: string): void;
  /** A document on stdout: on one line for programs, indented for people. */
  document(value: unknown): void;
}

const COLUMNS_DEFAULT = 80;

export interface TerminalOptions {
  readonly json: boolean;
  /** False: --no-color. */
  readonly color: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function terminal({ json, color, env }: TerminalOptions): Terminal {
  const { stdout, stderr } = process;
  const wanted = color && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  const forced = color && !['', '0', undefined].includes(env['FORCE_COLOR']);
  const painted = !json && ((wanted && stdout.isTTY) || forced);
  const paint = (style: Parameters<typeof styleText>[0]): Paint =>
    painted ? (text) => styleText(style, text, { validateStream: false }) : (text) => text;
  return {
    json,
    person: !json && stdout.isTTY,
    columns: stdout.isTTY ? stdout.columns : COLUMNS_DEFAULT,
    bold: paint('bold'),
    dim: paint('dim'),
    good: paint('green'),
    warn: paint('yellow'),
    bad: paint('red'),
    line: (text = '') => void stdout.write(`${text}\n`),
    raw: (bytes) => stdout.write(bytes),
    drained: () =>
      stdout.writableNeedDrain ? new Promise((resolve) => stdout.once('drain', resolve)) : Promise.resolve(),
    note: (text) => void stderr.write(`${text}\n`),
    document: (value) => void stdout.write(`${JSON.stringify(value, jsonValue, stdout.isTTY ? 2 : undefined)}\n`),
  };
}

/** When the reader of our output goes away, that is not an error: end without a word, as `cat` does. */
export function endQuietlyWithReader(): void {
  const ended = (error: NodeJS.ErrnoException): void => {
    if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED') process.exit();
    throw error;
  };
  process.stdout.on('error', ended);
  process.stderr.on('error', ended);
}

function jsonValue(_key: string, value: unknown): unknown {
  // A counter may be larger than what a JSON number holds exactly in most readers.
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value instanceof Map) return Object.fromEntries(value);
  return value;
}

/** One line as JSON, for streams. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value, jsonValue)}\n`;
}

/** Columns padded to their widest cell; colour does not count. The last column is not padded. */
export function table(rows: readonly (readonly string[])[], gap = 2): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, width(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(widths[i]! - width(cell) + gap)))
      .join('')
      .trimEnd(),
  );
}

function width(text: string): number {
  return Array.from(text.replaceAll(ESCAPES, '')).length;
}

/** What styleText puts round a text. */
const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`, 'g');
