// Versions and the regions in them, for whoever tells people about writes: the command line, and the page, which runs in browsers. Imports nothing.

export interface VersionParts {
  readonly origin: string;
  readonly seq: number;
  readonly stamp: number;
}

/** `us-east` of `us-east~0f3a5b7c9d1e`. */
export function regionOf(origin: string): string {
  return origin.slice(0, origin.lastIndexOf('~'));
}

/** Docs/PROTOCOL.md: milliseconds since 2020, times 4096. */
const EPOCH_MS = Date.UTC(2020, 0, 1);

export function msOfStamp(stamp: number): number {
  return EPOCH_MS + Math.floor(stamp / 4096);
}

/** The order in which versions win (DESIGN 5). */
export function byVersion(a: VersionParts, b: VersionParts): number {
  return a.stamp - b.stamp || (a.origin < b.origin ? -1 : a.origin > b.origin ? 1 : a.seq - b.seq);
}
