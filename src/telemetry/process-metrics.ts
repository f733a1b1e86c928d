// What a node's process takes of its machine, and how late its event loop is.

import { statfsSync } from 'node:fs';
import type { MetricSink } from '../metrics/sink.ts';
import { DELAY_SECONDS, Histogram } from '../metrics/histogram.ts';
import type { System } from '../system/system.ts';

/** Between two looks. Fifty a second cost a tenth of a thousandth of a core. */
const LOOK_MS = 20;

/** Looks from the start on. How late the event loop is is told as a histogram over all time, so that several can scrape it. */
export class ProcessWatch {
  readonly delaySeconds = new Histogram(DELAY_SECONDS);
  /** Once: a clock that is set must not look like a new process. */
  readonly startedAtS: number;
  readonly #stop: () => void;

  constructor({ clock, timers }: System) {
    this.startedAtS = Math.round(clock.nowMs() / 1000 - process.uptime());
    let dueMs = clock.monotonicMs() + LOOK_MS;
    const timer = timers.every(LOOK_MS, () => {
      const nowMs = clock.monotonicMs();
      this.delaySeconds.add(Math.max(0, nowMs - dueMs) / 1000);
      dueMs = nowMs + LOOK_MS;
    });
    this.#stop = () => timer.cancel();
  }

  stop(): void {
    this.#stop();
  }
}

export function exportProcess(into: MetricSink, watch: ProcessWatch): void {
  const { user, system: kernel } = process.cpuUsage();
  const { rss, heapUsed, external } = process.memoryUsage();
  into.histogram('causeway_event_loop_delay_seconds', watch.delaySeconds, {});
  into.value('process_cpu_seconds_total', (user + kernel) / 1e6);
  into.value('process_resident_memory_bytes', rss);
  into.value('process_heap_bytes', heapUsed);
  into.value('process_external_memory_bytes', external);
  into.value('process_start_time_seconds', watch.startedAtS);
}

/** Of the file system of a directory; no sample when it cannot be asked. */
export function exportDisk(into: MetricSink, directory: string): void {
  try {
    const { bavail, blocks, bsize } = statfsSync(directory);
    into.value('causeway_disk_size_bytes', blocks * bsize);
    into.value('causeway_disk_free_bytes', bavail * bsize);
  } catch {
    // The directory is being removed, or its file system is gone: the log will say so.
  }
}
