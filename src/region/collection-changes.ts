// The shell around run-time definitions of collections: reads them from the shards that hold them, and writes them like any other op.
// What they mean, and what may be written, is in src/collections.
//
// A shard's definitions are read when it has been recovered, and again whenever an op of `_system` has landed in it; a change that is
// asked for is decided on what has landed, and waits while another one of the same name is on its way to the log.
//
// Bound: DEFINITIONS_MAX that are not dropped; beyond it create is refused. What other regions have created is taken all the same.

import { msOfStamp } from '../clock/hlc.ts';
import {
  alter,
  create,
  drop,
  type AlterSpec,
  type Change,
  type CreateSpec,
  type DropSpec,
} from '../collections/changes.ts';
import {
  definitionKey,
  definitionOfStatus,
  definitionsOf,
  definitionStateKey,
  type Definition,
} from '../collections/definition.ts';
import { CollectionRegistry, type CollectionStatus } from '../collections/registry.ts';
import { CausewayError } from '../errors/errors.ts';
import { mergeOf } from '../merge/merge.ts';
import type { RegionId, ShardId, Version } from '../record/ids.ts';
import { DEFINITIONS, type CollectionRef } from '../record/op.ts';
import type { EngineOp } from '../shard/engine.ts';
import { stableFront } from './read-levels.ts';
import type { Alarm, ChangeOptions, CollectionChanged, CollectionInfo, WriteResult } from './region.ts';
import { scanPage } from './scan.ts';
import type { ShardRunner } from './shard-runner.ts';
import { DEADLINE_MS_MAX, type WaitingCall } from './waiting-calls.ts';

const DEFINITIONS_MAX = 10_000;
const PAGE_ROWS = 1000;
const PAGE_BYTES = 8 * 1024 * 1024;

/** What of the node it needs. */
export interface CollectionHost {
  readonly region: RegionId;
  /** Who sequences the definitions of this name, open for writes; or why nobody does. */
  ownerOf(namespace: string, name: string): ShardRunner | CausewayError;
  /** Who holds them, whether it takes writes or not. */
  holderOf(namespace: string, name: string): ShardRunner | undefined;
  /** Where they are; undefined: there is no such namespace. */
  shardOf(namespace: string, name: string): ShardId | undefined;
  write(runner: ShardRunner, op: EngineOp, deadlineMs: number, done: (result: WriteResult) => void): void;
  wait(read: WaitingCall): CausewayError | undefined;
  /** In a turn of its own. */
  soon(fn: () => void): void;
  nowMs(): number;
  monotonicMs(): number;
  notice(level: 'info' | 'warn', message: string): void;
  /** Everything of a shard has been read for the first time. */
  known(): void;
}

interface Asked {
  readonly spec: { readonly namespace: string; readonly name: string };
  readonly decide: (definitions: readonly Definition[]) => Change | CausewayError;
  /** Not before every region has heard of what is to be changed. */
  readonly whenSettled: boolean;
  /** Answer when every region has heard of the change; by the deadline all the same. */
  readonly untilSettled: boolean;
  readonly deadlineAtMs: number;
  readonly done: CollectionChanged;
}

interface Told {
  readonly revision: string;
  readonly definitions: readonly CollectionInfo[];
}

export class CollectionChanges {
  readonly registry: CollectionRegistry;
  readonly #host: CollectionHost;
  /** Shards that are being read, and who is to be read afterwards. */
  readonly #reading = new Map<ShardId, ShardRunner | undefined>();
  /** What waits until a shard has been read. */
  readonly #afterRead = new Map<ShardId, (() => void)[]>();
  readonly #known = new Set<ShardId>();
  /** Of shards that another node owns: definitions that it has called settled. */
  readonly #settledElsewhere = new Map<ShardId, ReadonlySet<string>>();
  #told: (Told & { readonly versions: string; readonly unsettled: number }) | undefined;
  #clashesTold: ReadonlySet<string> = new Set();

  constructor(config: readonly CollectionRef[], host: CollectionHost) {
    this.registry = new CollectionRegistry(config);
    this.#host = host;
  }

  /** All definitions of the shard have been read at least once. */
  knows(shard: ShardId): boolean {
    return this.#known.has(shard);
  }

  /** Brings the registry to what has landed in the shard; with a store that answers at once, before it returns. */
  read(runner: ShardRunner): void {
    const { shard } = runner;
    if (this.#reading.has(shard)) {
      this.#reading.set(shard, runner);
      return;
    }
    this.#reading.set(shard, undefined);
    const rows = new Map<string, readonly Definition[]>();
    const page = (from: string): void => {
      const range = { collection: DEFINITIONS, from, to: undefined, limit: PAGE_ROWS, bytesMax: PAGE_BYTES };
      scanPage([runner.cache], { ...range, nowMs: this.#host.nowMs() }, ({ entries, next }) => {
        for (const { key, view } of entries) rows.set(key, definitionsOf(key, view));
        if (next !== undefined && !runner.stopped) page(`${next}\u0000`);
        else this.#read(runner, rows);
      });
    };
    page('');
  }

  #read(runner: ShardRunner, rows: ReadonlyMap<string, readonly Definition[]>): void {
    const { shard } = runner;
    const again = this.#reading.get(shard);
    this.#reading.delete(shard);
    if (!runner.stopped) {
      this.registry.replace(shard, rows);
      this.#tellClashes();
      const first = !this.#known.has(shard);
      this.#known.add(shard);
      if (first) this.#host.known();
    }
    if (again !== undefined) {
      this.read(again);
      return;
    }
    const waiting = this.#afterRead.get(shard) ?? [];
    this.#afterRead.delete(shard);
    for (const fn of waiting) fn();
  }

  /** What the node that owns the shard has told of its definitions. */
  learn(shard: ShardId, told: readonly CollectionInfo[]): void {
    const rows = new Map<string, Definition[]>();
    for (const info of told) {
      const key = definitionKey(info.ref.namespace, info.ref.name);
      const definition = definitionOfStatus(info);
      if (definition === undefined) continue;
      const row = rows.get(key);
      if (row === undefined) rows.set(key, [definition]);
      else row.push(definition);
    }
    this.registry.replace(shard, rows);
    this.#settledElsewhere.set(shard, new Set(told.filter(({ settled }) => settled).map(nameOf)));
    this.#tellClashes();
    const first = !this.#known.has(shard);
    this.#known.add(shard);
    if (first) this.#host.known();
  }

  /** Definitions of run time in these shards; `versions` names them as they are, but for whether they are settled. */
  told(versions: string, shards: ReadonlySet<ShardId>): Told {
    // Asked for several times a second, and it hardly ever changes.
    if (this.#told?.versions === versions && this.#told.unsettled === 0) return this.#told;
    const definitions = this.list().filter(
      ({ ref, created }) => created !== undefined && shards.has(this.#host.shardOf(ref.namespace, ref.name)!),
    );
    const unsettled = definitions.filter(({ settled }) => !settled).length;
    this.#told = { versions, unsettled, revision: `${versions} ${unsettled}`, definitions };
    return this.#told;
  }

  #whenRead(shard: ShardId, fn: () => void): void {
    if (!this.#reading.has(shard)) {
      fn();
      return;
    }
    const waiting = this.#afterRead.get(shard);
    if (waiting === undefined) this.#afterRead.set(shard, [fn]);
    else waiting.push(fn);
  }

  #tellClashes(): void {
    const clashes = new Set(this.registry.clashes().map(({ message }) => message));
    for (const message of clashes) if (!this.#clashesTold.has(message)) this.#host.notice('warn', message);
    this.#clashesTold = clashes;
  }

  alarms(): Alarm[] {
    return this.registry.clashes().map(({ stamp, message }) => ({
      sinceMs: msOfStamp(stamp),
      code: 'collection-clash',
      message,
    }));
  }

  list(): CollectionInfo[] {
    return this.registry.list().map((status) => ({ ...status, settled: this.#settled(status) }));
  }

  /** Those of which every region has heard. */
  settledDrops(): { readonly collection: CollectionRef; readonly dropped: Version }[] {
    return this.registry.dropped().flatMap((status) => {
      const { ref, type, dropped } = status;
      if (type === undefined || dropped === undefined || !this.#settled(status)) return [];
      return [{ collection: { ...ref, type }, dropped }];
    });
  }

  /** Every region has heard of it, and nothing can come that was before it. */
  #settled(status: CollectionStatus): boolean {
    const { ref, created, dropped } = status;
    const stamp = Math.max(created?.stamp ?? 0, dropped?.stamp ?? 0);
    if (stamp === 0 || this.#passed(ref.namespace, ref.name, stamp)) return true;
    return this.#host.holderOf(ref.namespace, ref.name) === undefined && this.#settledThere(status);
  }

  #passed(namespace: string, name: string, stamp: number): boolean {
    const runner = this.#host.holderOf(namespace, name);
    return runner !== undefined && runner.stableFloor(this.#host.nowMs()) >= stamp;
  }

  #settledThere(info: CollectionStatus): boolean {
    const shard = this.#host.shardOf(info.ref.namespace, info.ref.name);
    return shard !== undefined && this.#settledElsewhere.get(shard)?.has(nameOf(info)) === true;
  }

  create(spec: CreateSpec, how: ChangeOptions, done: CollectionChanged): void {
    const { namespace, name } = spec;
    const configured = this.registry.configured(namespace, name);
    if (configured !== undefined) {
      done(inConfiguration(configured, 'created'));
      return;
    }
    const decide = (definitions: readonly Definition[]): Change | CausewayError => {
      const change = create(definitions, spec, this.#host.region);
      if (change instanceof CausewayError || change.kind === 'nothing') return change;
      return this.registry.liveCount < DEFINITIONS_MAX ? change : tooMany();
    };
    this.#ask({ spec, decide, whenSettled: false, untilSettled: how.wait, deadlineAtMs: this.#by(how), done });
  }

  alter(spec: AlterSpec, how: ChangeOptions, done: CollectionChanged): void {
    const { namespace, name } = spec;
    const configured = this.registry.configured(namespace, name);
    const decide = (definitions: readonly Definition[]): Change | CausewayError => {
      const change = alter(definitions, spec);
      if (configured === undefined) return change;
      const same = !(change instanceof CausewayError) && change.ids[0] === configured.id;
      return same ? change : inConfiguration(configured, 'altered');
    };
    this.#ask({ spec, decide, whenSettled: false, untilSettled: how.wait, deadlineAtMs: this.#by(how), done });
  }

  drop(spec: DropSpec, how: ChangeOptions & { readonly force: boolean }, done: CollectionChanged): void {
    const { namespace, name, id } = spec;
    const configured = this.registry.configured(namespace, name);
    const decide = (definitions: readonly Definition[]): Change | CausewayError => {
      // What the configuration hides may go; what it serves may not.
      const others = definitions.filter((one) => one.id !== configured?.id);
      if (configured !== undefined && (id === configured.id || others.every(({ dropped }) => dropped !== undefined)))
        return inConfiguration(configured, 'dropped');
      return drop(others, spec);
    };
    this.#ask({ spec, decide, whenSettled: !how.force, untilSettled: how.wait, deadlineAtMs: this.#by(how), done });
  }

  #by({ deadlineMs }: ChangeOptions): number {
    return this.#host.monotonicMs() + Math.min(deadlineMs, DEADLINE_MS_MAX);
  }

  /** Decides and writes once nothing stands in the way. */
  #ask(asked: Asked): void {
    const { spec, done } = asked;
    const { region } = this.#host;
    let obstacle: CausewayError | undefined;
    const error = this.#host.wait({
      deadlineAtMs: asked.deadlineAtMs,
      attempt: () => {
        const looked = this.#look(asked);
        obstacle = looked.kind === 'wait' ? looked.why : undefined;
        if (looked.kind === 'wait') return false;
        // Not in the turn in which something landed: what is written there would open a batch between two steps (I4).
        this.#host.soon(() => this.#act(asked));
        return true;
      },
      expired: () => {
        done(
          obstacle ??
            new CausewayError(
              'DEADLINE_EXCEEDED',
              `${region} could not change ${spec.namespace}/${spec.name} in time`,
              {
                outcome: 'not-applied',
              },
            ),
        );
      },
    });
    if (error !== undefined) done(error);
  }

  #look({
    spec,
    decide,
    whenSettled,
  }: Asked):
    | { readonly kind: 'wait'; readonly why: CausewayError }
    | { readonly kind: 'done'; readonly error: CausewayError }
    | { readonly kind: 'go'; readonly runner: ShardRunner; readonly change: Change } {
    const { namespace, name } = spec;
    const runner = this.#host.ownerOf(namespace, name);
    if (runner instanceof CausewayError) return { kind: 'done', error: runner };
    const of = { key: definitionStateKey(namespace, name), type: DEFINITIONS.type };
    let loaded = false;
    runner.cache.load([of], () => (loaded = !runner.stopped));
    // Once it is here it stays (state-cache.ts).
    if (!loaded) return { kind: 'wait', why: beingChanged(namespace, name) };
    const slot = runner.cache.slotAt(of.key, of.type);
    // What becomes of it is not known yet, and an answer that rests on it could be wrong.
    if (slot.newest !== undefined) return { kind: 'wait', why: beingChanged(namespace, name) };
    const view = mergeOf(DEFINITIONS.type).view(slot.state, this.#host.nowMs());
    const definitions = definitionsOf(definitionKey(namespace, name), view);
    const change = decide(definitions);
    if (change instanceof CausewayError) return { kind: 'done', error: change };
    if (whenSettled) {
      const concerned = definitions.filter(({ id }) => change.ids.includes(id));
      const newest = Math.max(...concerned.map(({ created }) => created.stamp));
      const front = stableFront(runner, this.#host.region, this.#host.nowMs());
      if (front.stamp < newest) return { kind: 'wait', why: notSettled(namespace, name, front.region) };
    }
    return { kind: 'go', runner, change };
  }

  #act(asked: Asked): void {
    const { namespace, name } = asked.spec;
    const runner = this.#host.ownerOf(namespace, name);
    if (runner instanceof CausewayError) {
      asked.done(runner);
      return;
    }
    const key = { key: definitionStateKey(namespace, name), type: DEFINITIONS.type };
    // What is decided is sequenced in the same turn: nobody else's change comes in between.
    runner.decideOn([key], asked.deadlineAtMs, () => this.#actNow(asked), asked.done);
  }

  #actNow(asked: Asked): void {
    const looked = this.#look(asked);
    if (looked.kind === 'wait') {
      this.#ask(asked);
      return;
    }
    if (looked.kind === 'done') {
      asked.done(looked.error);
      return;
    }
    const { runner, change } = looked;
    const { namespace, name } = asked.spec;
    if (change.kind === 'nothing') {
      this.#answer(asked, change.ids, undefined);
      return;
    }
    const op = { collection: DEFINITIONS, key: definitionKey(namespace, name), intent: change.intent };
    this.#host.write(runner, op, Math.max(0, asked.deadlineAtMs - this.#host.monotonicMs()), (result) => {
      if (!result.ok) {
        asked.done(result.error);
        return;
      }
      const { stamp } = result.version;
      this.#whenRead(runner.shard, () => this.#answer(asked, change.ids, stamp));
    });
  }

  /** `stamp`: of what was written. */
  #answer(asked: Asked, ids: readonly number[], stamp: number | undefined): void {
    const { spec, done } = asked;
    const concerned = (): CollectionInfo[] =>
      this.list().filter(
        ({ ref }) => ref.namespace === spec.namespace && ref.name === spec.name && ids.includes(ref.id),
      );
    const passed = (): boolean => stamp === undefined || this.#passed(spec.namespace, spec.name, stamp);
    const answer = (): void => {
      const heard = passed();
      const collections = concerned().map((one) => ({ ...one, settled: one.settled && heard }));
      done({ collections, changed: stamp !== undefined });
    };
    if (!asked.untilSettled) {
      answer();
      return;
    }
    const error = this.#host.wait({
      deadlineAtMs: asked.deadlineAtMs,
      attempt: () => {
        const settled = passed() && concerned().every((one) => one.settled);
        if (settled) answer();
        return settled;
      },
      expired: answer,
    });
    // It is written; only the waiting could not be had.
    if (error !== undefined) answer();
  }
}

/** One definition, as it is: what was dropped later is settled anew. */
function nameOf({ ref, dropped }: CollectionStatus): string {
  return `${ref.namespace}/${ref.name} ${ref.id} ${dropped?.stamp ?? 0}`;
}

function inConfiguration({ namespace, name, id }: CollectionRef, what: string): CausewayError {
  return new CausewayError(
    'PRECONDITION_FAILED',
    `${namespace}/${name} (id ${id}) stands in the configuration, and cannot be ${what} at run time`,
    { hint: 'change the configuration of every region, or take another name' },
  );
}

function tooMany(): CausewayError {
  return new CausewayError('TOO_LARGE', `there are ${DEFINITIONS_MAX} collections of run time already`, {
    details: { limit: DEFINITIONS_MAX },
    hint: 'drop some, or put more keys into one',
  });
}

function beingChanged(namespace: string, name: string): CausewayError {
  return new CausewayError(
    'DEADLINE_EXCEEDED',
    `another change of ${namespace}/${name} has not become durable in time`,
    {
      outcome: 'not-applied',
      hint: 'look at what it is now, and try again',
    },
  );
}

function notSettled(namespace: string, name: string, region: RegionId): CausewayError {
  return new CausewayError(
    'CONSISTENCY_NOT_REACHED',
    `${region} has not said that it has heard of ${namespace}/${name}: it may be creating it at this moment, and would lose what it takes`,
    { hint: 'try again when it is back, or drop it by force', details: { region } },
  );
}
