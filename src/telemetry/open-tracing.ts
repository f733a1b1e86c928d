// From the configuration to what a node records traces with, and where they go.

import type { Config } from '../config/schema.ts';
import type { System } from '../system/system.ts';
import type { SpanSink } from '../tracing/span.ts';
import { Tracing } from '../tracing/tracing.ts';
import type { Logger } from './log.ts';
import { TraceFile } from './trace-file.ts';

export interface OpenTracing {
  /** undefined: it is off. */
  readonly tracing: Tracing | undefined;
  readonly close: () => Promise<void>;
}

/** Throws CausewayError CONFIG_INVALID: a file that cannot be written or read. */
export async function openTracing(
  config: Config,
  system: System,
  log: Logger,
  complain: (message: string) => void,
): Promise<OpenTracing> {
  const { enabled, file, ratio, writesPerSecondMax, ringSpans } = config.tracing;
  if (!enabled && file === undefined) return { tracing: undefined, close: () => Promise.resolve() };
  const sinks: SpanSink[] = [];
  const closes: (() => Promise<void>)[] = [];
  if (config.otlp.endpoint !== undefined) {
    // Not loaded by a node that needs none of it.
    const { OtlpTraces } = await import('./otlp-traces.ts');
    const traces = new OtlpTraces(config, complain);
    sinks.push(traces.sink);
    closes.push(() => traces.close(system.timers));
  }
  if (file !== undefined) {
    const traceFile = await TraceFile.open(file, log);
    sinks.push(traceFile.sink);
    closes.push(() => traceFile.close());
  }
  const { region } = config;
  return {
    tracing: new Tracing({ region, system, ratio, perSecondMax: writesPerSecondMax, ringSpans, sinks }),
    close: async () => {
      for (const close of closes) await close();
    },
  };
}
