// What a scenario is, and what its script plays on. Times are parts of the run, so that one script serves ten seconds and ten minutes.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../cluster/stage.ts';
import type { ServersPlan } from '../cluster/servers.ts';
import type { Fault, Witness } from '../fault/fault.ts';
import type { Recorder } from '../history/recorder.ts';
import type { Limits } from '../history/records.ts';
import type { SeededRandom } from '../sim/random.ts';

export interface Scenario {
  readonly name: string;
  /** One sentence for people. */
  readonly says: string;
  /** Beyond what holds for every run. */
  readonly limits?: (regions: readonly string[]) => Partial<Limits>;
  /** Regions that get a disk which can be filled. */
  readonly smallDisks?: (regions: readonly string[]) => readonly string[];
  /** Makes sense without small disks too, where this machine can have none. */
  readonly smallDisksOptional?: true;
  /** Regions are of two nodes, on NATS and Redis servers of their own. */
  readonly servers?: (regions: readonly string[]) => ServersPlan;
  /** Regions that agree in the end, when not all do. */
  readonly agreeing?: (regions: readonly string[]) => readonly string[];
  readonly script: (play: Play) => Promise<void>;
}

export interface Broken {
  /** Resolves when it is whole again. May be called twice. */
  heal(): Promise<void>;
}

export class ScenarioUnavailable extends Error {}

export class Play {
  readonly stage: Stage;
  readonly random: SeededRandom;
  readonly durationMs: number;
  readonly maxSkewMs: number;
  readonly #recorder: Recorder;
  readonly #say: (line: string) => void;
  readonly #startMs = performance.now();
  readonly #open = new Set<Broken>();

  constructor(options: {
    readonly stage: Stage;
    readonly random: SeededRandom;
    readonly durationMs: number;
    readonly maxSkewMs: number;
    readonly recorder: Recorder;
    readonly say: (line: string) => void;
  }) {
    this.stage = options.stage;
    this.random = options.random;
    this.durationMs = options.durationMs;
    this.maxSkewMs = options.maxSkewMs;
    this.#recorder = options.recorder;
    this.#say = options.say;
  }

  get regions(): readonly string[] {
    return this.stage.names;
  }

  /** Waits until this part of the run (0 to 1) is over. */
  async reach(part: number): Promise<void> {
    const leftMs = this.#startMs + part * this.durationMs - performance.now();
    if (leftMs > 0) await sleep(leftMs);
  }

  get part(): number {
    return (performance.now() - this.#startMs) / this.durationMs;
  }

  /** Throws ScenarioUnavailable when this machine cannot do it. */
  async break(fault: Fault): Promise<Broken> {
    const why = fault.available(this.stage);
    if (why !== undefined) throw new ScenarioUnavailable(`${fault.name} cannot be done here: ${why}`);
    const recorder = this.#recorder;
    const startMs = recorder.nowMs();
    this.#say(`${seconds(startMs)} ${fault.says}`);
    const undo = await fault.inject(this.stage, this.#witnessOf(fault));
    let healing: Promise<void> | undefined;
    const broken: Broken = {
      heal: () => {
        healing ??= undo().then(() => {
          this.#open.delete(broken);
          const { name, says, hinders, stops, wipes = [] } = fault;
          const endMs = recorder.nowMs();
          recorder.add({ kind: 'fault', name, says, startMs, endMs, hinders, stops, wipes });
          this.#say(`${seconds(endMs)} healed: ${says}`);
        });
        return healing;
      },
    };
    this.#open.add(broken);
    return broken;
  }

  #witnessOf({ name }: Fault): Witness {
    const recorder = this.#recorder;
    return {
      expected: ({ afterMs, ...effect }) => {
        recorder.add({
          kind: 'effect',
          fault: name,
          atMs: recorder.nowMs(),
          ...effect,
          ...(afterMs === undefined ? {} : { afterMs: Math.round(afterMs) }),
        });
        const when = afterMs === undefined ? 'NOT SEEN' : `after ${Math.round(afterMs)} ms`;
        this.#say(`${seconds(recorder.nowMs())} ${effect.region}: ${effect.says} ${when}`);
      },
      silent: (region) => {
        const fromMs = recorder.nowMs();
        return () => recorder.add({ kind: 'silence', region, fromMs, toMs: recorder.nowMs() });
      },
    };
  }

  /** From one part of the run to another. */
  async between(from: number, to: number, fault: Fault): Promise<void> {
    await this.reach(from);
    const broken = await this.break(fault);
    await this.reach(to);
    await broken.heal();
  }

  /** Whatever is still broken. */
  async healAll(): Promise<void> {
    for (const broken of [...this.#open].reverse()) await broken.heal();
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(6)} s`;
}
