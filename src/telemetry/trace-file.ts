// Spans in a file, one JSON document a line, for who has no collector: `jq` and a pager are enough.
// I12 WAITING_BYTES_MAX of lines that the disk has not taken; beyond, spans are dropped, and counted in the log when there is room again.

import { createWriteStream, type WriteStream } from 'node:fs';
import { CausewayError } from '../errors/errors.ts';
import type { Span, SpanSink } from '../tracing/span.ts';
import type { Logger } from './log.ts';

const WAITING_BYTES_MAX = 4 * 1024 * 1024;

export class TraceFile {
  readonly #path: string;
  readonly #log: Logger;
  readonly #stream: WriteStream;
  #dropped = 0;
  #failed = false;

  private constructor(path: string, log: Logger, stream: WriteStream) {
    this.#path = path;
    this.#log = log;
    this.#stream = stream;
    stream.on('error', (error) => {
      // A full disk must not end a node for its traces.
      this.#failed = true;
      log.warn({ err: error }, `no more spans are written to ${path}`);
    });
    stream.on('drain', () => {
      if (this.#dropped > 0) log.warn({ spans: this.#dropped }, `spans were dropped: ${path} took them too slowly`);
      this.#dropped = 0;
    });
  }

  /** Throws CausewayError CONFIG_INVALID when it cannot be written. */
  static async open(path: string, log: Logger): Promise<TraceFile> {
    const stream = createWriteStream(path, { flags: 'a' });
    await new Promise<void>((resolve, reject) => {
      stream.once('open', () => resolve());
      stream.once('error', (error) =>
        reject(
          new CausewayError('CONFIG_INVALID', `cannot write traces to ${path}: ${error.message}`, {
            hint: 'name another file with tracing.file or --trace-file',
            cause: error,
          }),
        ),
      );
    });
    stream.removeAllListeners('error');
    return new TraceFile(path, log, stream);
  }

  readonly sink: SpanSink = (span) => {
    if (this.#failed) return;
    if (this.#stream.writableLength > WAITING_BYTES_MAX) {
      this.#dropped++;
      return;
    }
    this.#stream.write(lineOf(span));
  };

  close(): Promise<void> {
    if (this.#failed) return Promise.resolve();
    if (this.#dropped > 0) this.#log.warn({ spans: this.#dropped }, `spans were dropped: ${this.#path} is too slow`);
    return new Promise((resolve) => {
      this.#stream.once('error', () => resolve());
      this.#stream.end(resolve);
    });
  }
}

function lineOf(span: Span): string {
  return `${JSON.stringify(span)}\n`;
}
