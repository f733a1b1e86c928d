// The runner's end of the worker processes.
// Owns: starting and ending them; each answers one thing at a time.

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type {
  FromWorker,
  Progress,
  ReceiveResult,
  Schedule,
  SendResult,
  ToWorker,
  WorkerSettings,
} from './worker-messages.ts';

const WORKER = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url));

export class Worker {
  readonly region: string;
  onProgress: ((progress: Progress) => void) | undefined;
  readonly #child: ChildProcess;
  readonly #settings: WorkerSettings;
  #waiting: { resolve: (message: FromWorker) => void; reject: (error: Error) => void } | undefined;

  constructor(settings: WorkerSettings, execArgv: readonly string[]) {
    this.region = settings.region;
    this.#settings = settings;
    this.#child = fork(WORKER, [], { execArgv: [...execArgv], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    // The channel closes with the runner, and the worker ends when it does: nothing is left behind.
    this.#child.on('message', (message: FromWorker) => {
      if (message.is === 'progress') {
        this.onProgress?.(message.progress);
        return;
      }
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (message.is === 'failed') waiting?.reject(new Error(`the worker of ${this.region}: ${message.message}`));
      else waiting?.resolve(message);
    });
    this.#child.on('exit', (code, signal) => {
      this.#waiting?.reject(new Error(`the worker of ${this.region} ended (${signal ?? `exit code ${code}`})`));
      this.#waiting = undefined;
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async setup(): Promise<void> {
    await this.#ask({ do: 'setup', settings: this.#settings }, 'ready');
  }

  async preload(share: number, of: number): Promise<void> {
    await this.#ask({ do: 'preload', share, of }, 'preloaded');
  }

  async run(schedule: Schedule): Promise<SendResult> {
    return (await this.#ask({ do: 'run', schedule }, 'sent')).result;
  }

  steer(opsPerSecond: number): void {
    if (this.#child.connected) this.#child.send({ do: 'rate', opsPerSecond } satisfies ToWorker);
  }

  async finish(probes: number, withinMs: number): Promise<ReceiveResult> {
    return (await this.#ask({ do: 'finish', probes, withinMs }, 'received')).result;
  }

  /** Lets it write its profile, if any. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_MS_MAX);
    if (this.#child.connected) this.#child.disconnect();
    await gone;
    clearTimeout(timer);
  }

  async #ask<I extends FromWorker['is']>(message: ToWorker, answer: I): Promise<Extract<FromWorker, { is: I }>> {
    const got = await new Promise<FromWorker>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#child.send(message);
    });
    if (got.is !== answer) throw new Error(`the worker of ${this.region} answered ${got.is} where ${answer} was due`);
    return got as Extract<FromWorker, { is: I }>;
  }
}

const END_MS_MAX = 10_000;
