// What the benchmark's producers write, and when.
// Owns: keys, values and the schedule. Pure, with its randomness from a seed, so that two runs offer the same work.

/** One key of this many is a probe: its value carries the time of its sending, and subscribers ask for probes alone. Probes are
 *  spread over the key space like all others and take the same path; only the cost of delivering the rest is left out. */
export const PROBE_EVERY = 16;
export const PROBE_PREFIX = 'probe-';

/** xorshift32: a few nanoseconds a number, good enough for uniform keys. */
export function random32(seed: number): () => number {
  let state = seed | 0 || 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

export interface Load {
  /** The next op. A probe's value carries `atMicros`; the others' values come from a pool, because to make one costs a
   *  producer more than to send it. */
  next(atMicros: number): { readonly key: string; readonly value: Uint8Array };
}

/** So many that hardly two ops of one batch share a value, which would flatter compression. */
const POOL_VALUES = 16_384;
const POOL_BYTES_MAX = 32 * 1024 * 1024;

export function makeLoad(options: { readonly keys: number; readonly valueBytes: number; readonly seed: number }): Load {
  const { keys, valueBytes } = options;
  const random = random32(options.seed);
  const names = Array.from({ length: keys }, (_, i) => keyName(i));
  const bytes = (atMicros: number): Uint8Array => Buffer.from(jsonLike(atMicros, valueBytes, random));
  const poolSize = Math.max(1, Math.min(POOL_VALUES, Math.floor(POOL_BYTES_MAX / valueBytes)));
  const pool = Array.from({ length: poolSize }, () => bytes(random() * 1000));
  return {
    next: (atMicros) => {
      const index = random() % keys;
      const value = index % PROBE_EVERY === 0 ? bytes(atMicros) : pool[random() % poolSize]!;
      return { key: names[index]!, value };
    },
  };
}

export function keyName(index: number): string {
  const digits = String(index).padStart(8, '0');
  return index % PROBE_EVERY === 0 ? `${PROBE_PREFIX}${digits}` : `user-${digits}`;
}

const ACTIONS = ['view', 'add-to-cart', 'purchase', 'search', 'like', 'share', 'sign-in', 'sign-out'];
const PAGES = ['/', '/products', '/products/4711', '/cart', '/checkout', '/account', '/search', '/help'];

/** An event as services send them: field names and a few words repeat, ids and numbers do not, so it compresses like JSON of
 *  that kind. As many bytes as asked for, and never less than its fields need. The time comes first, where sentAtMicros()
 *  finds it without parsing the rest. */
export function jsonLike(atMicros: number, bytes: number, random: () => number): string {
  const a = random();
  const b = random();
  let text =
    `{"at":${atMicros},"user":"u-${a.toString(36)}","action":"${ACTIONS[b & 7]}","page":"${PAGES[(b >>> 3) & 7]}",` +
    `"session":"${b.toString(16)}${a.toString(16)}","amount":${(a % 100_000) / 100},"ok":true`;
  while (text.length + TAG_MAX + 1 <= bytes) {
    const c = random();
    text += `,"tag":"${c.toString(36)}-${ACTIONS[c & 7]}"`;
  }
  const left = bytes - text.length - 1;
  if (left >= NOTE_EMPTY.length) {
    let note = '';
    while (note.length < left - NOTE_EMPTY.length) note += random().toString(36);
    text += `,"n":"${note.slice(0, left - NOTE_EMPTY.length)}"`;
  }
  // Too small for all fields: cut off, no longer JSON, of the right size.
  return text.length < bytes
    ? `${text}${' '.repeat(bytes - text.length - 1)}}`
    : `${text.slice(0, Math.max(bytes - 1, AT_END))}}`;
}

const TAG_MAX = `,"tag":"${'7'.repeat(7)}-add-to-cart"`.length;
const NOTE_EMPTY = ',"n":""';

/** Bytes that the time needs at most, so that no cut ever falls into it. */
const AT_END = '{"at":9007199254740991'.length;

const ZERO = 48;

/** The time that jsonLike() put in; undefined for anything else. */
export function sentAtMicros(value: Uint8Array): number | undefined {
  let at = 6; // after {"at":
  let micros = 0;
  for (; at < value.length; at++) {
    const digit = value[at]! - ZERO;
    if (digit < 0 || digit > 9) break;
    micros = micros * 10 + digit;
  }
  return at === 6 || value[0] !== 0x7b ? undefined : micros;
}

/**
 * When the ops of an open loop should start, whatever became of the ones before them: latency counts from there, so that a stall
 * shows in every op that it delayed and not only in the one that it hit (coordinated omission).
 */
export class OpenLoop {
  #nextMicros: number;
  #everyMicros: number;

  constructor(startMicros: number, opsPerSecond: number) {
    this.#nextMicros = startMicros;
    this.#everyMicros = 1_000_000 / opsPerSecond;
  }

  /** From the next op on. */
  setRate(opsPerSecond: number): void {
    this.#everyMicros = 1_000_000 / opsPerSecond;
  }

  get nextMicros(): number {
    return this.#nextMicros;
  }

  /** The intended start of the next op, and on to the one after it. */
  take(): number {
    const at = this.#nextMicros;
    this.#nextMicros += this.#everyMicros;
    return at;
  }
}
