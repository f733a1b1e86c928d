// What a process says about itself: structured lines on stderr, for people on a terminal and for programs otherwise.
// stdout belongs to the results of commands and never gets a line from here.

import { pino, type Logger } from 'pino';

export type { Logger };

export interface LogOptions {
  readonly level: string;
  /** auto: pretty on a terminal, JSON otherwise. */
  readonly format: 'auto' | 'json' | 'pretty';
  /** Stand on every line. */
  readonly bindings: Readonly<Record<string, string>>;
}

export function createLogger({ level, format, bindings }: LogOptions): Logger {
  const pretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY);
  // Synchronous in both forms: the last line before a crash is the one that is needed.
  const destination = pretty
    ? { write: (line: string): void => void process.stderr.write(prettyLine(line)) }
    : pino.destination({ fd: 2, sync: true });
  return pino({ level, base: bindings, formatters: { level: (label) => ({ level: label }) } }, destination);
}

const COLOURS: Readonly<Record<string, string>> = { warn: '\u001b[33m', error: '\u001b[31m', fatal: '\u001b[31;1m' };
const DIM = '\u001b[2m';
const PLAIN = '\u001b[0m';

function prettyLine(line: string): string {
  const {
    level,
    time,
    msg,
    region,
    node: _node,
    err,
    ...rest
  } = JSON.parse(line) as {
    readonly level: string;
    readonly time: number;
    readonly msg?: string;
    readonly region?: string;
    readonly node?: string;
    readonly err?: { readonly stack?: string; readonly message?: string };
  } & Readonly<Record<string, unknown>>;
  const colour = process.stderr.isTTY && (process.env['NO_COLOR'] ?? '') === '';
  const clock = new Date(time).toISOString().slice(11, 23);
  const facts = Object.entries(rest)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
  const paint = (text: string, code: string): string => (colour && text !== '' ? `${code}${text}${PLAIN}` : text);
  const head = [paint(clock, DIM), paint(level.toUpperCase().padEnd(5), COLOURS[level] ?? ''), region]
    .filter((part) => part !== undefined)
    .join(' ');
  const stack = err === undefined ? '' : `\n${err.stack ?? err.message ?? ''}`;
  return `${head} ${[msg, paint(facts, DIM)].filter(Boolean).join('  ')}${stack}\n`;
}
