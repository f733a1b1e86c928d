// A structural copy of what crosses the simulated wire: two nodes that shared an object could influence each other without
// a message, and the simulation would not show what a real wire does.

export interface Copied<T> {
  readonly copy: T;
  /** About what the message takes on the wire. */
  readonly bytes: number;
}

/** The copy and its size in one walk: every message of a run comes by here. */
export function copyMessage<T>(message: T): Copied<T> {
  size = 0;
  const copy = clone(message) as T;
  return { copy, bytes: size };
}

/** Of the copy that is being made. */
let size = 0;

function clone(value: unknown): unknown {
  if (typeof value === 'string') {
    size += value.length + 1;
    return value;
  }
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'function') throw new TypeError('a function cannot cross the wire');
    size += 4;
    return value;
  }
  if (value instanceof Uint8Array) {
    size += value.length + 4;
    return Buffer.from(value);
  }
  size += 2;
  if (Array.isArray(value)) {
    const copy = new Array<unknown>(value.length);
    for (let i = 0; i < copy.length; i++) copy[i] = clone(value[i]);
    return copy;
  }
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    for (const [k, v] of value as Map<unknown, unknown>) copy.set(clone(k), clone(v));
    return copy;
  }
  if (value instanceof Set) {
    const copy = new Set<unknown>();
    for (const item of value as Set<unknown>) copy.add(clone(item));
    return copy;
  }
  const copy: Record<string, unknown> = { ...value };
  for (const key in copy) {
    const part = copy[key];
    // Most fields are plain, and stand in the copy already.
    if (typeof part === 'number') size += 4;
    else copy[key] = clone(part);
  }
  return copy;
}
