// Every field on its own: the newest of its puts, its removes and the deletes of the whole key.

import { isLiveAt, newest, type Spec, type SpecOp } from './history.ts';

export const mapLwwSpec: Spec = (history, nowMs) => {
  const names = new Set(
    history.flatMap(({ intent }) => (intent.kind === 'map-update' ? intent.put.map((put) => put.field) : [])),
  );
  const fields = [...names].sort().flatMap((field) => {
    const op = newestOfField(history, field);
    const put = op?.intent.kind === 'map-update' ? op.intent.put.find((each) => each.field === field) : undefined;
    if (op === undefined || put === undefined || !isLiveAt(nowMs, put.expiresAtMs)) return [];
    return [{ field, value: put.value, version: op.version }];
  });
  return fields.length === 0 ? undefined : { type: 'map-lww', fields };
};

/** The op that decides over a field. */
export function newestOfField(history: readonly SpecOp[], field: string): SpecOp | undefined {
  return newest(history.filter((op) => writesField(op, field)));
}

export function writesField({ intent }: SpecOp, field: string): boolean {
  if (intent.kind === 'delete') return true;
  return (
    intent.kind === 'map-update' && (intent.remove.includes(field) || intent.put.some((put) => put.field === field))
  );
}
