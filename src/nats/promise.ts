// What the NATS servers really promise: their version, and whether an acknowledgement follows fsync (I1: shown, not assumed).
// A client's connection does not say how JetStream syncs; the monitoring endpoint (/varz) of each server does.

import { CausewayError } from '../errors/errors.ts';
import type { Timers } from '../system/system.ts';
import type { NatsConnection } from './connection.ts';

const ASK_MS_MAX = 3000;

export interface ServerSync {
  readonly version: string;
  /** fsync before each acknowledgement. */
  readonly always: boolean;
  /** Seconds between fsyncs otherwise. */
  readonly intervalSeconds: number;
}

interface Varz {
  readonly server_name: string;
  readonly version: string;
  readonly jetstream?: { readonly config?: { readonly sync_always?: boolean; readonly sync_interval?: number } };
}

/** By server name; of those that answer. */
export async function syncsOf(monitors: readonly string[], timers: Timers): Promise<Map<string, ServerSync>> {
  const found = new Map<string, ServerSync>();
  await Promise.all(
    monitors.map(async (url) => {
      const patience = new AbortController();
      const timer = timers.after(ASK_MS_MAX, () => patience.abort());
      try {
        const response = await fetch(new URL('/varz', url), { signal: patience.signal });
        const { server_name: name, version, jetstream } = (await response.json()) as Varz;
        const { sync_always: always = false, sync_interval: nanoseconds = 0 } = jetstream?.config ?? {};
        found.set(name, { version, always, intervalSeconds: nanoseconds / 1e9 });
      } catch {
        // Not known, then; what follows from that is said by whoever asked.
      } finally {
        timer.cancel();
      }
    }),
  );
  return found;
}

/** Throws CausewayError CONFIG_INVALID: a server that is too old for what the log needs. */
export function serverVersion(connection: NatsConnection): string {
  const version = connection.info?.version ?? '0.0.0';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 2 || (major === 2 && minor < 10)) {
    throw new CausewayError('CONFIG_INVALID', `expected NATS 2.10 or newer, found ${version}`, {
      hint: 'Older servers cannot sync before they acknowledge.',
    });
  }
  return version;
}

/** Below: servers in which acknowledged messages were lost by known bugs. */
export function wantsUpgrade(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  if (major !== 2) return major < 2;
  if (minor === 12) return patch < 12;
  if (minor === 14) return patch < 3;
  return minor < 12 || minor === 13;
}
