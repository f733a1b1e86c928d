// The live view of the demo: a table that redraws itself on a terminal, plain lines anywhere else.
// Owns: how it looks. It is given a snapshot and knows nothing of where the numbers come from.

import type { LagSummary } from './lag.ts';

export interface RegionView {
  readonly name: string;
  readonly state: 'starting' | 'up' | 'killed' | 'catching up';
  readonly opsPerSecond: number;
  readonly keys: number | undefined;
  readonly conflicts: number | undefined;
  /** By peer: writes of this region until a subscriber there had them. */
  readonly lagTo: ReadonlyMap<string, LagSummary | undefined>;
}

export interface Snapshot {
  readonly elapsedMs: number;
  /** What is going on, for a person. */
  readonly phase: string;
  readonly eventsSent: number;
  readonly eventsTotal: number;
  readonly opsAcknowledged: number;
  /** Where the replay stands in the time of the dataset, `2001-01-31T23:59`. */
  readonly simulated: string;
  readonly regions: readonly RegionView[];
  /** Whether the regions that are up gave equal digests just now; undefined: not asked yet. */
  readonly digestsEqual: boolean | undefined;
}

export interface ViewStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): boolean;
}

const PLAIN_EVERY_MS = 2000;
const BAR_CELLS = 32;

export class View {
  readonly #stream: ViewStream;
  readonly #live: boolean;
  #linesDrawn = 0;
  #plainAtMs = Number.NEGATIVE_INFINITY;

  constructor(stream: ViewStream, env: Readonly<Record<string, string | undefined>> = process.env) {
    this.#stream = stream;
    this.#live = stream.isTTY === true && env['TERM'] !== 'dumb';
  }

  /** A line that stays: it scrolls by above the table. */
  say(line: string): void {
    this.#erase();
    this.#stream.write(`${line}\n`);
  }

  draw(snapshot: Snapshot): void {
    if (!this.#live) {
      if (snapshot.elapsedMs - this.#plainAtMs < PLAIN_EVERY_MS) return;
      this.#plainAtMs = snapshot.elapsedMs;
      this.#stream.write(`${plainLine(snapshot)}\n`);
      return;
    }
    const width = Math.max(20, (this.#stream.columns ?? 100) - 1);
    // A line that wraps would break the count of lines to go back over.
    const lines = table(snapshot).map((line) => line.slice(0, width));
    this.#erase();
    this.#stream.write(`${lines.join('\n')}\n`);
    this.#linesDrawn = lines.length;
  }

  /** Takes the table away, for what is printed next. */
  clear(): void {
    this.#erase();
  }

  #erase(): void {
    if (this.#linesDrawn > 0) this.#stream.write(`\u001b[${this.#linesDrawn}F\u001b[J`);
    this.#linesDrawn = 0;
  }
}

export function table(snapshot: Snapshot): string[] {
  const names = snapshot.regions.map(({ name }) => name);
  const header = [
    'region'.padEnd(12),
    'state'.padEnd(12),
    'ops/s'.padStart(8),
    'keys'.padStart(8),
    'conflicts'.padStart(10),
    ...names.map((name) => `lag to ${name}`.padStart(20)),
  ].join('');
  const rows = snapshot.regions.map((region) =>
    [
      region.name.padEnd(12),
      region.state.padEnd(12),
      grouped(region.opsPerSecond).padStart(8),
      (region.keys === undefined ? '-' : grouped(region.keys)).padStart(8),
      (region.conflicts === undefined ? '-' : grouped(region.conflicts)).padStart(10),
      ...names.map((peer) => (peer === region.name ? '' : lagText(region.lagTo.get(peer))).padStart(20)),
    ].join(''),
  );
  const done = snapshot.eventsTotal === 0 ? 1 : snapshot.eventsSent / snapshot.eventsTotal;
  const filled = Math.min(BAR_CELLS, Math.floor(done * BAR_CELLS));
  return [
    `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)} ${Math.floor(done * 100)} %  ${snapshot.simulated.replace('T', ' ')}  ` +
      `${grouped(snapshot.opsAcknowledged)} ops acknowledged  ${(snapshot.elapsedMs / 1000).toFixed(0)} s`,
    snapshot.phase,
    '',
    header,
    ...rows,
    '',
    `digests: ${digestText(snapshot.digestsEqual)}   (lag: write until a subscriber in the peer has it, p50 / p99 ms)`,
  ];
}

export function plainLine(snapshot: Snapshot): string {
  const done = snapshot.eventsTotal === 0 ? 100 : Math.floor((100 * snapshot.eventsSent) / snapshot.eventsTotal);
  const regions = snapshot.regions.map((region) => {
    const lags = [...region.lagTo]
      .filter(([peer]) => peer !== region.name)
      .map(([peer, lag]) => `${peer} ${lagText(lag)}`);
    return `${region.name}: ${region.state}, ${region.opsPerSecond} ops/s, ${region.keys ?? '-'} keys, lag to ${lags.join(', ')}`;
  });
  return (
    `${(snapshot.elapsedMs / 1000).toFixed(1).padStart(6)} s  ${done} %  ${snapshot.phase}; digests ${digestText(snapshot.digestsEqual)}; ` +
    regions.join('; ')
  );
}

function lagText(lag: LagSummary | undefined): string {
  return lag === undefined ? '-' : `${lagMs(lag.p50Ms)} / ${lagMs(lag.p99Ms)}`;
}

function lagMs(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms.toFixed(1);
}

function digestText(equal: boolean | undefined): string {
  // While ops are on their way the regions differ, which is no fault; at the end they may not.
  return equal === undefined ? '-' : equal ? 'equal' : 'not equal yet';
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
