// How far a long run has come, in a file: a run that was stopped goes on where it was. Only with the same code: seeds that passed with
// other code prove nothing of this one.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Finding } from './bulk.ts';

export interface Progress {
  /** Of the compiled code. */
  readonly code: string;
  readonly start: number;
  readonly seeds: number;
  readonly without: readonly string[];
  /** Seeds are taken in chunks of so many, counted from `start`. */
  readonly chunkSeeds: number;
  /** Numbers of the chunks that are done. */
  readonly chunks: readonly number[];
  readonly findings: readonly Finding[];
  readonly totals: Readonly<Record<string, number>>;
  readonly settleMsMax: number;
  readonly cpuMs: number;
  /** Over all parts of the run. */
  readonly seconds: number;
}

export class ProgressFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** undefined: there is none, or it cannot be read. */
  load(): Progress | undefined {
    if (!existsSync(this.path)) return undefined;
    try {
      return JSON.parse(readFileSync(this.path, 'utf8')) as Progress;
    } catch {
      return undefined;
    }
  }

  /** Whole or not at all: whoever is killed meanwhile finds the last one. */
  save(progress: Progress): void {
    mkdirSync(dirname(this.path), { recursive: true });
    const next = `${this.path}.next`;
    writeFileSync(next, JSON.stringify(progress));
    renameSync(next, this.path);
  }
}

/** Of these seeds; in a folder that is not versioned. */
export function progressFile(start: number, seeds: number, without: readonly string[]): ProgressFile {
  const name = [`seeds-${start}-${start + seeds - 1}`, ...without.map((guard) => `without-${guard}`)].join('-');
  return new ProgressFile(join('.data', 'sim', `${name}.json`));
}

/** What the compiler says of everything that it compiled; of sources that run as they are nothing is known. */
export function codeId(): string {
  const info = fileURLToPath(new URL('../../.tsbuildinfo', import.meta.url));
  if (!existsSync(info)) return 'not compiled';
  return createHash('sha256').update(readFileSync(info)).digest('hex').slice(0, 16);
}
