// Runs the compiled command as people do: a process of its own, with what it printed and how it ended.

import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../src/config/version.ts';

const MAIN = join(packageRoot(), 'dist/src/cli/main.js');
/** Above what any test may take: this only keeps a command that hangs from outliving the tests. */
const RUN_MS_MAX = 180_000;

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A command that runs ours, given behind it, e.g. `unshare -rm`. */
  readonly under?: readonly string[];
}

/** A command that is still running; its output so far can be waited for. */
export class RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  #stdout = '';
  #stderr = '';
  readonly #waiting = new Set<() => void>();

  constructor(args: readonly string[], { input, env = {}, cwd, under = [] }: RunOptions = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('CAUSEWAY_'));
    const [program = '', ...rest] = [...under, process.execPath, MAIN, ...args];
    this.child = spawn(program, rest, {
      cwd,
      env: { ...Object.fromEntries(inherited), NO_COLOR: '1', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const end = setTimeout(() => this.child.kill('SIGKILL'), RUN_MS_MAX);
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#wake();
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#wake();
    });
    // A command that reads nothing may end before it has taken its input.
    this.child.stdin!.on('error', () => {});
    this.child.stdin!.end(input);
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => {
        clearTimeout(end);
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr });
        this.#wake();
      });
    });
  }

  /** Until the condition holds for what has been printed; fails when the command ends before. */
  async until(condition: (output: { readonly stdout: string; readonly stderr: string }) => boolean): Promise<void> {
    while (!condition({ stdout: this.#stdout, stderr: this.#stderr })) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        const { code, stdout, stderr } = await this.ended;
        throw new Error(`the command ended (${code}) before it printed what was waited for:\n${stdout}\n${stderr}`);
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}

export function cli(args: readonly string[], options?: RunOptions): Promise<Ran> {
  return new RunningCli(args, options).ended;
}
