// What became of a key's writes: the histories and conflict journals of several regions, put together. Pure: answers in, a story out.
//
// A write is accepted in its own region at the moment in its stamp. In the log of every other region it stands at a place, and landed there at a
// moment that the region tells exactly or between two bounds. A write that lost stands in the conflict journal of the region that took it.
//
// The page tells the same story by this same file (ui/panels/keys.tsx), of answers in another form: hence the types, which say no more than the story needs.

import { byVersion, msOfStamp, regionOf, type VersionParts } from './origin-words.ts';

/** A key's value, as far as it says whose writes are in it. */
export interface Visible {
  readonly type: string;
  readonly version?: VersionParts;
  readonly siblings?: readonly { readonly version: VersionParts }[];
  readonly fields?: readonly { readonly field: string; readonly version: VersionParts }[];
}

/** A write in one region's log. */
interface Change<Op> {
  readonly version: VersionParts;
  readonly op: Op;
  /** Its trace context, in whatever form. */
  readonly trace: Uint8Array | string | undefined;
  readonly offset: number;
  readonly landedAfterMs: number | undefined;
  readonly landedBeforeMs: number;
  readonly acknowledgedBy: readonly string[];
}

interface Verdict {
  readonly loser: VersionParts;
  readonly winner: VersionParts;
  readonly field: string | undefined;
  readonly winnerDeletes: boolean;
}

/** What one region that was asked says of the key. */
export interface Testimony<Op, Value> {
  readonly region: string;
  readonly history: {
    readonly shard: string;
    readonly type: string;
    /** undefined: absent. */
    readonly value: Value | undefined;
    readonly logStart: number;
  };
  /** Newest first. */
  readonly changes: readonly Change<Op>[];
  /** All that its log has. False: older writes may be missing in `changes`. */
  readonly whole: boolean;
  /** Losers of this region, of this key. */
  readonly conflicts: readonly Verdict[];
  /** Its journal has dropped verdicts up to this moment, Unix ms; 0: it is complete. */
  readonly journalFromMs: number;
}

export interface Landing {
  readonly region: string;
  /** `own`: accepted there. `landed`: applied. `missing`: not in its log. `unknown`: it did not look back so far. */
  readonly kind: 'own' | 'landed' | 'missing' | 'unknown';
  readonly offset?: number;
  /** After the write was accepted; both are the same when it is known exactly. The clocks' offset is in them. */
  readonly afterMs?: number;
  readonly beforeMs?: number;
}

export type Fate =
  /** What readers see: all of it, or for a map the fields. */
  | { readonly kind: 'visible'; readonly fields?: readonly string[] }
  /** Displaced by a write that had not seen it. */
  | { readonly kind: 'lost'; readonly to: VersionParts; readonly field?: string; readonly deleted: boolean }
  /** A later write of a register stands in its place. `noConflict`: its region was asked, and keeps no verdict that it was lost unseen. */
  | { readonly kind: 'replaced'; readonly by: VersionParts; readonly noConflict: boolean };

export interface WriteStory<Op> {
  readonly region: string;
  readonly version: VersionParts;
  readonly acceptedAtMs: number;
  readonly op: Op;
  readonly trace: Uint8Array | string | undefined;
  readonly landings: readonly Landing[];
  /** By what its region has heard: who holds it durably. */
  readonly heldBy: readonly string[];
  readonly fates: readonly Fate[];
}

export interface KeyStory<Op, Value> {
  readonly shard: string;
  readonly type: string;
  /** Oldest first. */
  readonly writes: readonly WriteStory<Op>[];
  readonly values: readonly { readonly region: string; readonly value: Value | undefined }[];
  /** Some region may have older writes than are told. */
  readonly older: boolean;
}

/** `limit`: of writes; the newest are kept. */
export function storyOf<Op, Value extends Visible>(
  testimonies: readonly Testimony<Op, Value>[],
  limit: number,
): KeyStory<Op, Value> {
  const [first] = testimonies;
  if (first === undefined) return { shard: '', type: '', writes: [], values: [], older: false };
  const found = new Map<string, Change<Op>>();
  for (const { changes } of testimonies) for (const change of changes) found.set(dotOf(change.version), change);
  const all = [...found.values()].toSorted((a, b) => byVersion(a.version, b.version));
  const kept = all.slice(-limit);
  return {
    shard: first.history.shard,
    type: first.history.type,
    writes: kept.map((write) => {
      const own = testimonies.find(({ region }) => region === regionOf(write.version.origin));
      const testimony = own?.changes.find((change) => dotOf(change.version) === dotOf(write.version));
      return {
        region: regionOf(write.version.origin),
        version: write.version,
        acceptedAtMs: msOfStamp(write.version.stamp),
        op: write.op,
        trace: write.trace,
        landings: testimonies.map((each) => landingOf(write.version, each)),
        heldBy: testimony?.acknowledgedBy ?? [],
        fates: fatesOf(write.version, all, own, testimonies),
      };
    }),
    values: testimonies.map(({ region, history }) => ({ region, value: history.value })),
    older: all.length > limit || testimonies.some(({ whole, history }) => !whole || history.logStart > 1),
  };
}

function landingOf(version: VersionParts, { region, changes, whole, history }: Testimony<unknown, unknown>): Landing {
  const change = changes.find((each) => dotOf(each.version) === dotOf(version));
  if (change === undefined) return { region, kind: whole && history.logStart <= 1 ? 'missing' : 'unknown' };
  const { offset, landedAfterMs, landedBeforeMs } = change;
  if (regionOf(version.origin) === region) return { region, kind: 'own', offset };
  const acceptedMs = msOfStamp(version.stamp);
  return {
    region,
    kind: 'landed',
    offset,
    beforeMs: landedBeforeMs - acceptedMs,
    // Not before it was accepted, as far as the clocks agree.
    ...(landedAfterMs === undefined
      ? {}
      : { afterMs: Math.min(landedBeforeMs, Math.max(landedAfterMs, acceptedMs)) - acceptedMs }),
  };
}

function fatesOf(
  version: VersionParts,
  all: readonly { readonly version: VersionParts }[],
  own: Testimony<unknown, Visible> | undefined,
  testimonies: readonly Testimony<unknown, Visible>[],
): Fate[] {
  const lost: Fate[] = testimonies
    .flatMap(({ conflicts }) => conflicts)
    .filter(({ loser }) => dotOf(loser) === dotOf(version))
    .map(({ winner, field, winnerDeletes }) => ({
      kind: 'lost',
      to: winner,
      deleted: winnerDeletes,
      ...(field === undefined ? {} : { field }),
    }));
  const visible = visibleOf(version, testimonies);
  if (visible !== undefined) return [visible, ...lost];
  if (lost.length > 0) return lost;
  const next = all.find((other) => byVersion(other.version, version) > 0);
  if (testimonies[0]?.history.type !== 'register-lww' || next === undefined) return [];
  // A loser that its displacer had not seen stands in the journal of its region, until that is full or the entry too old.
  const noConflict = own !== undefined && msOfStamp(version.stamp) > own.journalFromMs;
  return [{ kind: 'replaced', by: next.version, noConflict }];
}

/** In a region that was asked; undefined: in none, or the type's values do not say whose they are. */
function visibleOf(version: VersionParts, testimonies: readonly Testimony<unknown, Visible>[]): Fate | undefined {
  const dot = dotOf(version);
  for (const { history } of testimonies) {
    const { value } = history;
    if (value?.version !== undefined && dotOf(value.version) === dot) return { kind: 'visible' };
    if (value?.siblings?.some(({ version: sibling }) => dotOf(sibling) === dot) === true) return { kind: 'visible' };
    const fields = value?.fields?.filter((field) => dotOf(field.version) === dot).map(({ field }) => field) ?? [];
    if (fields.length > 0) return { kind: 'visible', fields };
  }
  return undefined;
}

function dotOf({ origin, seq }: { readonly origin: string; readonly seq: number }): string {
  return `${origin}:${seq}`;
}
