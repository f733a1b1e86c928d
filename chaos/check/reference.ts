// The reference specifications: what a key reads as, straight from the history of what clients asked for, and who lost a
// conflict. Nothing of src/merge is used: states, payloads and prepared contexts are exactly what is to be judged here.
//
// An op is its client's intent, its version, and what it had seen (DESIGN 6). A view is a function of the set of ops, whatever
// the order in which they arrived.

import { compareVersions, type Dot, type Version } from '../../src/record/ids.ts';
import type { MergeTypeName } from '../../src/record/op.ts';
import type { Intent, View } from '../../src/merge/types.ts';

export interface SpecOp {
  readonly version: Version;
  readonly intent: Intent;
  /** Had its author seen this op when it was prepared? */
  readonly seen: (dot: Dot) => boolean;
}

const isLive = (expiresAtMs: number | undefined, nowMs: number): boolean =>
  expiresAtMs === undefined || expiresAtMs > nowMs;
const newest = <T extends { readonly version: Version }>(items: readonly T[]): T | undefined => {
  let best: T | undefined;
  for (const item of items) if (best === undefined || compareVersions(item.version, best.version) > 0) best = item;
  return best;
};
const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
/** Of what clients asked for, which is compared again and again. */
const elementNames = new WeakMap<Uint8Array, string>();
const elementName = (bytes: Uint8Array): string => {
  let name = elementNames.get(bytes);
  if (name === undefined) elementNames.set(bytes, (name = hex(bytes)));
  return name;
};
const sameDot = (a: Dot, b: Dot): boolean => a.seq === b.seq && a.origin === b.origin;

/** What a reader sees at `nowMs` when exactly `ops` are in the region. */
export const REFERENCE: { readonly [T in MergeTypeName]: (ops: readonly SpecOp[], nowMs: number) => View | undefined } =
  {
    'register-lww': (ops, nowMs) => {
      const last = newest(ops);
      if (last?.intent.kind !== 'put' || !isLive(last.intent.expiresAtMs, nowMs)) return undefined;
      const { value, expiresAtMs } = last.intent;
      return { type: 'register-lww', value, version: last.version, expiresAtMs };
    },

    'register-mv': (ops, nowMs) => {
      const replaced = (put: SpecOp): boolean =>
        ops.some(({ version, intent, seen }) => {
          if (sameDot(version, put.version) || !seen(put.version)) return false;
          const observed = intent.kind === 'put' || intent.kind === 'delete' ? intent.observed : undefined;
          return observed === undefined || observed.some((dot) => sameDot(dot, put.version));
        });
      const siblings: { value: Uint8Array; version: Version }[] = [];
      for (const op of ops) {
        if (op.intent.kind !== 'put' || replaced(op) || !isLive(op.intent.expiresAtMs, nowMs)) continue;
        siblings.push({ value: op.intent.value, version: op.version });
      }
      if (siblings.length === 0) return undefined;
      return { type: 'register-mv', siblings: siblings.sort((a, b) => compareVersions(a.version, b.version)) };
    },

    'counter-pn': (ops) => {
      const resets = ops.filter(({ intent }) => intent.kind === 'delete');
      let value = 0n;
      let counted = 0;
      for (const { version, intent } of ops) {
        if (intent.kind !== 'increment' || resets.some((reset) => reset.seen(version))) continue;
        value += intent.by;
        counted++;
      }
      return counted === 0 ? undefined : { type: 'counter-pn', value };
    },

    'set-aw': (ops, nowMs) => {
      const live = new Map<string, Uint8Array>();
      const covers = (op: SpecOp, element: string): boolean => {
        if (op.intent.kind === 'delete') return true;
        if (op.intent.kind !== 'set-remove' && op.intent.kind !== 'set-add') return false;
        return op.intent.elements.some((other) => elementName(other) === element);
      };
      for (const add of ops) {
        if (add.intent.kind !== 'set-add' || !isLive(add.intent.expiresAtMs, nowMs)) continue;
        for (const bytes of add.intent.elements) {
          const element = elementName(bytes);
          // A later add of the element stands for the ones that it has seen, so that its expiry counts and not theirs.
          const gone = ops.some(
            (op) => !sameDot(op.version, add.version) && op.seen(add.version) && covers(op, element),
          );
          if (!gone) live.set(element, bytes);
        }
      }
      if (live.size === 0) return undefined;
      return { type: 'set-aw', elements: [...live].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes) };
    },

    'map-lww': (ops, nowMs) => {
      const floor = newest(ops.filter(({ intent }) => intent.kind === 'delete'))?.version;
      const writes = new Map<
        string,
        { version: Version; value: Uint8Array | undefined; expiresAtMs: number | undefined }
      >();
      const write = (field: string, version: Version, value: Uint8Array | undefined, expiresAtMs?: number): void => {
        const before = writes.get(field);
        if (before === undefined || compareVersions(version, before.version) > 0)
          writes.set(field, { version, value, expiresAtMs });
      };
      for (const { version, intent } of ops) {
        if (intent.kind !== 'map-update' || (floor !== undefined && compareVersions(version, floor) <= 0)) continue;
        for (const put of intent.put) write(put.field, version, put.value, put.expiresAtMs);
        for (const field of intent.remove) write(field, version, undefined);
      }
      const fields: { field: string; value: Uint8Array; version: Version }[] = [];
      for (const [field, { version, value, expiresAtMs }] of writes) {
        if (value !== undefined && isLive(expiresAtMs, nowMs)) fields.push({ field, value, version });
      }
      if (fields.length === 0) return undefined;
      return { type: 'map-lww', fields: fields.sort((a, b) => (a.field < b.field ? -1 : 1)) };
    },
  };

/** A view as text: equal texts are equal views. */
export function viewText(view: View | undefined): string {
  if (view === undefined) return 'absent';
  const at = ({ origin, seq, stamp }: Version): string => `${origin}:${seq}@${stamp}`;
  switch (view.type) {
    case 'register-lww':
      return `lww ${hex(view.value)} ${at(view.version)}${view.expiresAtMs === undefined ? '' : ` until ${view.expiresAtMs}`}`;
    case 'register-mv':
      return `mv ${view.siblings.map(({ value, version }) => `${hex(value)} ${at(version)}`).join(' | ')}`;
    case 'counter-pn':
      return `counter ${view.value}`;
    case 'set-aw':
      return `set ${view.elements.map(hex).join(' ')}`;
    case 'map-lww':
      return `map ${view.fields.map(({ field, value, version }) => `${field}=${hex(value)} ${at(version)}`).join(' | ')}`;
  }
}

export interface SpecVerdict {
  readonly field: string | undefined;
  readonly loser: Version;
  readonly winner: Version;
  /** The loser shows nothing, now or some day: once every region has it, it is collected, and its region does not know of it any more. */
  readonly loserIsCollected: boolean;
}

/**
 * The verdicts of one key in the region `isLocal` speaks for: `ops` in the order of that region's log. A loser is judged where it
 * was the current value when it was sequenced, and is a conflict iff what displaced it there had not seen it (DESIGN 6).
 */
export function expectedConflicts(
  type: MergeTypeName,
  ops: readonly SpecOp[],
  isLocal: (version: Version) => boolean,
): SpecVerdict[] {
  const verdicts: SpecVerdict[] = [];
  const judge = (lost: SpecOp, winner: SpecOp, field?: string): void => {
    const { version: loser, intent } = lost;
    if (!isLocal(loser) || winner.seen(loser)) return;
    verdicts.push({ field, loser, winner: winner.version, loserIsCollected: isCollected(intent, field) });
  };
  if (type === 'register-lww') {
    let current: SpecOp | undefined;
    for (const op of ops) {
      if (current !== undefined && compareVersions(op.version, current.version) <= 0) continue;
      if (current !== undefined) judge(current, op);
      current = op;
    }
  } else if (type === 'map-lww') {
    let floor: SpecOp | undefined;
    const fields = new Map<string, { by: SpecOp; isPut: boolean }>();
    for (const op of ops) {
      if (floor !== undefined && compareVersions(op.version, floor.version) <= 0) continue;
      if (op.intent.kind === 'delete') {
        for (const [field, { by, isPut }] of fields) {
          if (compareVersions(by.version, op.version) > 0) continue;
          // What was removed before is not lost to the delete.
          if (isPut) judge(by, op, field);
          fields.delete(field);
        }
        floor = op;
      } else if (op.intent.kind === 'map-update') {
        const writes = [
          ...op.intent.put.map(({ field }) => [field, true] as const),
          ...op.intent.remove.map((field) => [field, false] as const),
        ];
        for (const [field, isPut] of writes) {
          const before = fields.get(field)?.by;
          if (before !== undefined && compareVersions(op.version, before.version) <= 0) continue;
          const loser = before ?? floor;
          if (loser !== undefined) judge(loser, op, field);
          fields.set(field, { by: op, isPut });
        }
      }
    }
  }
  return verdicts;
}

function isCollected(intent: Intent, field: string | undefined): boolean {
  if (intent.kind === 'map-update') {
    const put = intent.put.find((each) => each.field === field);
    return put === undefined || put.expiresAtMs !== undefined;
  }
  return intent.kind === 'delete' || (intent.kind === 'put' && intent.expiresAtMs !== undefined);
}
