// A copy of the sources in which one line is changed, and the suites that run in it.

import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Patch, SuiteTest } from './mutants.ts';
import type { Notice } from './notice.ts';

const COPIED = [
  'src',
  'test',
  'chaos',
  'demo',
  'proto',
  'scripts',
  'package.json',
  'tsconfig.json',
  'vitest.config.ts',
];
const OUTPUT_LINES = 20;

export class MutantError extends Error {}

/** The source without the guard. Throws MutantError when its line is not there, or not once: the guard has moved, and the list must follow. */
export function patched(root: string, { name, file, line, without }: Patch): string {
  const source = readFileSync(join(root, file), 'utf8');
  const times = source.split(line).length - 1;
  if (times !== 1)
    throw new MutantError(
      `mutant ${name}: expected its line once in ${file}, found it ${times} times: ${line}\n(chaos/mutants/mutants.ts has the lines; the guard has moved)`,
    );
  return source.replace(line, () => without);
}

export class SourceCopy {
  readonly #root: string;
  readonly #directory: string;

  /** `root`: a checkout with its node_modules. */
  constructor(root: string) {
    this.#root = root;
    this.#directory = mkdtempSync(join(tmpdir(), 'causeway-mutants-'));
    for (const name of COPIED) {
      if (existsSync(join(root, name))) cpSync(join(root, name), join(this.#directory, name), { recursive: true });
    }
    symlinkSync(resolve(root, 'node_modules'), join(this.#directory, 'node_modules'));
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }

  /** What notices that the line is changed; undefined: nothing does. */
  async without(patch: Patch, seedsMax: number): Promise<Notice | undefined> {
    const { noticedBy } = patch;
    if (noticedBy !== 'sim') {
      // What fails all the same would notice every mutant.
      const failed = await this.#failure(noticedBy);
      if (failed !== undefined)
        throw new MutantError(`with every guard in place it fails too: ${failed.by}: ${failed.message}`);
    }
    const file = join(this.#directory, patch.file);
    const whole = readFileSync(file, 'utf8');
    writeFileSync(file, patched(this.#root, patch));
    try {
      return await (noticedBy === 'sim' ? this.#simulate(seedsMax) : this.#failure(noticedBy));
    } finally {
      writeFileSync(file, whole);
    }
  }

  /** How the test fails; undefined: it passes. */
  async #failure({ file, name }: SuiteTest): Promise<Notice | undefined> {
    const report = join(this.#directory, 'report.json');
    rmSync(report, { force: true });
    const pattern = name.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');
    const args = ['node_modules/vitest/vitest.mjs', 'run', file, '-t', pattern];
    const output = await this.#node([...args, '--reporter=json', `--outputFile=${report}`]);
    const { testResults } = existsSync(report)
      ? (JSON.parse(readFileSync(report, 'utf8')) as TestReport)
      : { testResults: [] };
    const ran = testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ status }) => status === 'passed' || status === 'failed');
    // A file that cannot be loaded, or a test that is called otherwise now, says nothing about a guard.
    if (ran.length === 0)
      throw new MutantError(`no test '${name}' ran in ${file}: ${testResults[0]?.message ?? output}`);
    const failed = ran.find(({ status }) => status === 'failed');
    if (failed === undefined) return undefined;
    return {
      check: 'test',
      by: `${file}: ${name}`,
      seeds: 0,
      message: failed.failureMessages[0]?.split('\n')[0] ?? '',
    };
  }

  async #simulate(seedsMax: number): Promise<Notice | undefined> {
    const args = [
      '--import',
      'tsx',
      'chaos/sim/main.ts',
      '--seeds',
      `${seedsMax}`,
      '--findings',
      '1',
      '--jobs',
      '1',
      '--json',
    ];
    const output = await this.#node(args);
    let report;
    try {
      report = JSON.parse(output) as { findings: readonly SimulatorFinding[] };
    } catch {
      throw new MutantError(`the simulator did not run: ${output.split('\n').slice(-OUTPUT_LINES).join('\n')}`);
    }
    const [first] = report.findings;
    if (first === undefined) return undefined;
    const { seed, scenario, invariant, message } = first;
    return scenario === undefined
      ? { check: invariant, by: `seed ${seed}`, seeds: seed, message }
      : { check: invariant, by: `scenario ${scenario}`, seeds: 0, message };
  }

  /** What it says on stdout; on stderr, if it says nothing there. */
  #node(args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, args, { cwd: this.#directory, stdio: ['ignore', 'pipe', 'pipe'] });
      let [out, err] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
      child.on('error', reject);
      child.on('close', () => resolve(out === '' ? err : out));
    });
  }
}

interface TestReport {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

interface SimulatorFinding {
  readonly seed: number;
  readonly scenario?: string;
  readonly invariant: string;
  readonly message: string;
}
