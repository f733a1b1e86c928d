// TLS material that follows its files: read at the start, looked at again every few seconds, replaced when what is new is whole.
// Owns: when files are read again, who hears of it, and the warnings before something expires. Connections that stand keep what
// they were made with; new ones get the newest.
// Files are compared by content and not watched: Kubernetes, certbot and vault each exchange them in a way of their own (renames,
// symlinks, mounts), and a watch misses some of them. A half-written pair fails its checks and is left until the other half is there.

import type { System, TimerHandle } from '../system/system.ts';
import {
  isPem,
  isUnchanged,
  readTls,
  type CertificateFacts,
  type TlsExpectations,
  type TlsMaterial,
  type TlsProblem,
  type TlsReading,
  type TlsSources,
} from './certificates.ts';

const DAY_MS = 86_400_000;
/** From so many days before its end on, a certificate is warned about, once a day. */
export const EXPIRY_WARNING_DAYS = 14;
const LOOK_EVERY_MS = 5000;

export type TlsNotice =
  | { readonly kind: 'reloaded'; readonly certificates: readonly CertificateFacts[] }
  /** New files are not usable; the old ones stay in use. */
  | { readonly kind: 'unusable'; readonly problems: readonly TlsProblem[] }
  /** `daysLeft` is negative when it has expired. */
  | { readonly kind: 'expiring'; readonly certificate: CertificateFacts; readonly daysLeft: number };

export interface ReloadingTlsOptions {
  readonly system: System;
  readonly expect?: Omit<TlsExpectations, 'nowMs'>;
  readonly notice?: (notice: TlsNotice) => void;
  readonly lookEveryMs?: number;
}

export class ReloadingTls {
  readonly #sources: TlsSources;
  readonly #options: ReloadingTlsOptions;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  readonly #warnedMs = new Map<string, number>();
  #reading: TlsReading;
  /** What was found unusable last, so that it is said once. */
  #unusable = '';
  #looking: TimerHandle | undefined;

  /** `reading` must be without problems: whoever opens reports all of them first. */
  private constructor(sources: TlsSources, reading: TlsReading, options: ReloadingTlsOptions) {
    this.#sources = sources;
    this.#options = options;
    this.#reading = reading;
  }

  /** Problems instead of an instance when the files are not usable. Reads no more until start(). */
  static open(sources: TlsSources, options: ReloadingTlsOptions): ReloadingTls | readonly TlsProblem[] {
    const reading = readTls(sources, { ...options.expect, nowMs: options.system.clock.nowMs() });
    return reading.problems.length > 0 ? reading.problems : new ReloadingTls(sources, reading, options);
  }

  get material(): TlsMaterial {
    return this.#reading.material;
  }

  get certificates(): readonly CertificateFacts[] {
    return this.#reading.certificates;
  }

  /** Called with each new material. Returns what ends it. */
  onChange(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks at the files from now on. Idempotent; nothing to do when none is a file. */
  start(): void {
    this.#warn();
    const inFiles = Object.values(this.#sources).some((source) => source !== undefined && !isPem(source));
    if (this.#looking !== undefined || !inFiles) return;
    this.#looking = this.#options.system.timers.every(this.#options.lookEveryMs ?? LOOK_EVERY_MS, () => this.look());
  }

  stop(): void {
    this.#looking?.cancel();
    this.#looking = undefined;
  }

  /** Reads the files now. */
  look(): void {
    if (isUnchanged(this.#sources, this.#reading.material)) this.#unusable = '';
    else this.#exchange();
    this.#warn();
  }

  #exchange(): void {
    const { expect, notice, system } = this.#options;
    const reading = readTls(this.#sources, { ...expect, nowMs: system.clock.nowMs() });
    if (reading.problems.length > 0) {
      const text = JSON.stringify(reading.problems);
      if (text !== this.#unusable) notice?.({ kind: 'unusable', problems: reading.problems });
      this.#unusable = text;
      return;
    }
    this.#unusable = '';
    this.#reading = reading;
    notice?.({ kind: 'reloaded', certificates: reading.certificates });
    for (const listener of [...this.#listeners]) listener(reading.material);
  }

  #warn(): void {
    const { system, notice } = this.#options;
    const nowMs = system.clock.nowMs();
    for (const certificate of this.#reading.certificates) {
      const leftMs = certificate.notAfterMs - nowMs;
      if (leftMs > EXPIRY_WARNING_DAYS * DAY_MS) continue;
      const key = `${certificate.part} ${certificate.subject} ${certificate.notAfterMs}`;
      if (nowMs - (this.#warnedMs.get(key) ?? -Infinity) < DAY_MS) continue;
      this.#warnedMs.set(key, nowMs);
      notice?.({ kind: 'expiring', certificate, daysLeft: Math.floor(leftMs / DAY_MS) });
    }
  }
}
