// A structural copy of what crosses the simulated wire: two nodes that shared an object could influence each other without
// a message, and the simulation would not show what a real wire does.

export function cloneMessage<T>(value: T): T {
  return clone(value) as T;
}

function clone(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'function') throw new TypeError('a function cannot cross the wire');
    return value;
  }
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(clone);
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    for (const [k, v] of value) copy.set(k, clone(v));
    return copy;
  }
  if (value instanceof Set) return new Set([...value].map(clone));
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = clone((value as Record<string, unknown>)[key]);
  return copy;
}

/** About what a message takes on the wire. */
export function sizeOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.length + 4;
  if (typeof value === 'string') return value.length + 1;
  if (typeof value !== 'object' || value === null) return 4;
  let bytes = 2;
  if (value instanceof Map) {
    for (const [k, v] of value) bytes += sizeOf(k) + sizeOf(v);
    return bytes;
  }
  if (Array.isArray(value)) {
    for (const item of value) bytes += sizeOf(item);
    return bytes;
  }
  for (const key of Object.keys(value)) bytes += sizeOf((value as Record<string, unknown>)[key]);
  return bytes;
}
