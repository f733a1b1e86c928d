// Reads of the levels `bounded` and `stable`, against everything that was ever logged anywhere.
// bounded: every op with a stamp at or below what the answer names is in the log that answered, and that is no older than was asked for.
// stable: the view is that of exactly the ops at or below the cut, of all regions; and no op that is logged later lies below it.

import { msOfStamp, stampOfMs } from '../../src/clock/hlc.ts';
import type { View } from '../../src/merge/types.ts';
import type { RegionId, ShardId, Version } from '../../src/record/ids.ts';
import type { MergeTypeName } from '../../src/record/op.ts';
import type { History, LoggedOp } from './history.ts';
import { REFERENCE, viewText } from './reference.ts';
import type { ViewCheck } from './views.ts';
import { holds } from './violation.ts';

interface Cut {
  readonly where: string;
  readonly shard: ShardId;
  readonly name: string;
  readonly asOf: number;
  /** Dots of the key's ops that were in it. */
  readonly dots: ReadonlySet<string>;
}

export class LevelCheck {
  readonly #history: History;
  readonly #views: Pick<ViewCheck, 'specOp'>;
  readonly #cuts: Cut[] = [];
  bounded = 0;
  stable = 0;

  constructor(history: History, views: Pick<ViewCheck, 'specOp'>) {
    this.#history = history;
    this.#views = views;
  }

  /** Ops of a shard at or below a stamp that some disk has: one that was lost with its only disk is no op any more. */
  #opsUpTo(shard: ShardId, stamp: number): LoggedOp[] {
    const ops: LoggedOp[] = [];
    for (const [id, origin] of this.#history.originsOf(shard)) {
      let kept = 0;
      for (const shards of this.#history.logs.values()) kept = Math.max(kept, shards.get(shard)?.vector.get(id) ?? 0);
      for (const op of origin.ops) {
        if (op.version.stamp > stamp || op.version.seq > kept) break;
        ops.push(op);
      }
    }
    return ops;
  }

  /** `nowMs`: by the region's clock, when it answered. */
  readBounded(region: RegionId, shard: ShardId, asOf: number | undefined, maxStaleMs: number, nowMs: number): void {
    this.bounded++;
    const log = this.#history.log(region, shard);
    holds(
      asOf !== undefined && asOf >= stampOfMs(nowMs - maxStaleMs),
      'bounded',
      () => `${region} ${shard}: at most ${maxStaleMs} ms were asked for; the answer is as of ${ageText(asOf, nowMs)}`,
    );
    const missing = this.#opsUpTo(shard, asOf).find(({ version }) => !log.has(version.origin, version.seq));
    holds(
      missing === undefined,
      'bounded',
      () =>
        `${region} ${shard}: an answer as of ${asOf} without ${dotText(missing!.version)}@${missing!.version.stamp}`,
    );
  }

  readStable(
    region: RegionId,
    shard: ShardId,
    type: MergeTypeName,
    name: string,
    view: View | undefined,
    asOf: number | undefined,
  ): void {
    this.stable++;
    const where = `${region} ${name} (${shard})`;
    holds(asOf !== undefined && asOf > 0, 'stable', () => `${where}: a stable read that names no cut`);
    const ops = this.#opsUpTo(shard, asOf).filter((op) => op.name === name);
    const expected = viewText(
      REFERENCE[type](
        ops.map((op) => this.#views.specOp(op)),
        msOfStamp(asOf),
      ),
    );
    const got = viewText(view);
    holds(
      expected === got,
      'stable',
      () => `${where} as of ${asOf} reads as ${got}; all regions' ops make it ${expected}`,
    );
    this.#cuts.push({ where, shard, name, asOf, dots: new Set(ops.map(({ version }) => dotText(version))) });
  }

  /** Nothing has come below a cut that was shown. */
  final(): void {
    for (const { where, shard, name, asOf, dots } of this.#cuts) {
      const late = this.#opsUpTo(shard, asOf).find((op) => op.name === name && !dots.has(dotText(op.version)));
      holds(
        late === undefined,
        'stable',
        () => `${where} was read as of ${asOf}; ${dotText(late!.version)}@${late!.version.stamp} came later`,
      );
    }
  }
}

function dotText({ origin, seq }: Version): string {
  return `${origin}:${seq}`;
}

function ageText(asOf: number | undefined, nowMs: number): string {
  return asOf === undefined ? 'nothing' : `${Math.round(nowMs - msOfStamp(asOf))} ms ago`;
}
