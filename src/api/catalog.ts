// Names that requests use, and what to say when they are wrong.

import { CausewayError } from '../errors/errors.ts';
import { SYSTEM_NAMESPACE } from '../record/ids.ts';
import type { Region } from '../region/region.ts';
import type { System } from '../system/system.ts';

/** Lists of names are rebuilt at most this often: a sender that keeps asking for a wrong name must stay cheap. */
const NAMES_MS = 1000;
const SUGGESTIONS_MAX = 3;
const LISTED_MAX = 12;

export class Catalog {
  readonly #region: Region;
  readonly #system: System;
  #names: ReadonlyMap<string, readonly string[]> = new Map();
  #namesAtMs = -Infinity;

  constructor(region: Region, system: System) {
    this.#region = region;
    this.#system = system;
  }

  /** Collections by namespace. */
  names(): ReadonlyMap<string, readonly string[]> {
    const nowMs = this.#system.clock.monotonicMs();
    if (nowMs - this.#namesAtMs < NAMES_MS) return this.#names;
    const names = new Map<string, string[]>();
    for (const { namespace, name } of this.#region.status().collections) {
      const list = names.get(namespace);
      if (list === undefined) names.set(namespace, [name]);
      else list.push(name);
    }
    this.#names = names;
    this.#namesAtMs = nowMs;
    return names;
  }

  checkNamespace(namespace: string): CausewayError | undefined {
    if (namespace === SYSTEM_NAMESPACE || this.#region.placementOf(namespace) !== undefined) return undefined;
    return unknown('namespace', namespace, [...this.names().keys()], 'namespaces stand in the configuration');
  }

  /** The namespace is known. */
  checkCollection(namespace: string, name: string): CausewayError | undefined {
    if (this.#region.collection(namespace, name) !== undefined) return undefined;
    // Definitions may be in what it has not read yet.
    if (!this.#region.ready()) {
      return new CausewayError(
        'NOT_READY',
        `the node is not ready, and knows no collection '${name.slice(0, 80)}' yet`,
        {
          hint: 'try again shortly, or another node',
        },
      );
    }
    const known = this.names().get(namespace) ?? [];
    return unknown('collection', name, known, 'causeway collection create makes one');
  }
}

function unknown(what: string, name: string, known: readonly string[], where: string): CausewayError {
  const near = nearest(name, known);
  const list = known.length === 0 ? 'there are none' : `there are: ${listed(known)}`;
  const hint = near.length > 0 ? `did you mean ${near.map((one) => `'${one}'`).join(' or ')}?` : `${list}; ${where}`;
  return new CausewayError('UNKNOWN_COLLECTION', `there is no ${what} '${name.slice(0, 80)}'`, {
    hint,
    details: { [what]: name.slice(0, 80), near },
  });
}

function listed(names: readonly string[]): string {
  const shown = names.toSorted().slice(0, LISTED_MAX).join(', ');
  return names.length > LISTED_MAX ? `${shown} and ${names.length - LISTED_MAX} more` : shown;
}

/** Names within a third of the name's length in edits, nearest first. */
export function nearest(name: string, known: readonly string[]): string[] {
  const short = name.slice(0, 64);
  const bound = Math.max(1, Math.floor(short.length / 3));
  return known
    .map((candidate) => ({ candidate, edits: edits(short.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ edits: distance }) => distance <= bound)
    .toSorted((a, b) => a.edits - b.edits || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, SUGGESTIONS_MAX)
    .map(({ candidate }) => candidate);
}

/** Levenshtein distance. */
function edits(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(swap, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
