// What a region's nodes have said in their logs, as JSON lines: by it the run learns when they noticed something.

import { existsSync, readFileSync } from 'node:fs';

export interface Said {
  readonly atMs: number;
  readonly message: string;
}

/** Lines from `sinceMs` (Unix) on whose message matches, oldest first. */
export function said(logFiles: readonly string[], sinceMs: number, pattern: RegExp): Said[] {
  const found: Said[] = [];
  for (const file of logFiles) {
    if (!existsSync(file)) continue;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const read = readLine(line);
      if (read !== undefined && read.atMs >= sinceMs && pattern.test(read.message)) found.push(read);
    }
  }
  return found.sort((a, b) => a.atMs - b.atMs);
}

/** undefined: no line of a node's log, or not a whole one yet. */
function readLine(line: string): Said | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const { time, msg } = JSON.parse(line) as { readonly time?: number; readonly msg?: string };
    return time === undefined || msg === undefined ? undefined : { atMs: time, message: msg };
  } catch {
    return undefined;
  }
}
