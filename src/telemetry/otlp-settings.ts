// Where OTLP goes, with what headers, as whom, and how long a node waits for it when it ends.

import { readFileSync } from 'node:fs';
import type { HrTime } from '@opentelemetry/api';
import { resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import type { Config } from '../config/schema.ts';
import { version } from '../config/version.ts';
import { CausewayError } from '../errors/errors.ts';
import type { Timers } from '../system/system.ts';
import { NODE, REGION } from '../tracing/attributes.ts';

/** One 'name: value' a line; empty lines and those that begin with # are passed over. Throws CausewayError CONFIG_INVALID. */
export function readHeaders(path: string | undefined): Record<string, string> {
  if (path === undefined) return {};
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new CausewayError('CONFIG_INVALID', `cannot read otlp.headersFile: ${(error as Error).message}`, {
      hint: "a file with one 'name: value' a line, which the node's user may read",
      cause: error,
    });
  }
  const headers: Record<string, string> = {};
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*?)\s*$/.exec(line);
    // Not the line itself: a credential may stand in it.
    if (match === null)
      throw new CausewayError('CONFIG_INVALID', `line ${i + 1} of otlp.headersFile ${path} is no 'name: value'`);
    headers[match[1]!.toLowerCase()] = match[2]!;
  }
  return headers;
}

export function otlpUrl(endpoint: string, path: 'v1/traces' | 'v1/metrics'): string {
  return `${endpoint.replace(/\/+$/, '')}/${path}`;
}

export function resourceOf({ clusterId, region, node }: Pick<Config, 'clusterId' | 'region' | 'node'>): Resource {
  return resourceFromAttributes({
    'service.name': 'causeway',
    'service.namespace': clusterId,
    'service.instance.id': `${region}/${node}`,
    'service.version': version(),
    [REGION]: region,
    [NODE]: node,
  });
}

/** Resolves when it is over, however it ended, or when the time is. */
export async function withinMs(work: Promise<unknown>, ms: number, timers: Timers): Promise<void> {
  let enough: (() => void) | undefined;
  const tooLate = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const timer = timers.after(ms, () => enough?.());
  await Promise.race([work.catch(() => undefined), tooLate]);
  timer.cancel();
}

/** Seconds and nanoseconds. A double has about a quarter of a microsecond of Unix milliseconds. */
export function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
