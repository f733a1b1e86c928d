// All metrics to a collector, as OTLP over HTTP: what /metrics says, under the same names, pushed instead of scraped.
// I12 one push at a time: while a collector does not answer, the next ones are left out, and nothing is kept for later (counters go on counting).

import { ValueType, type Attributes, type HrTime } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import {
  AggregationTemporality,
  DataPointType,
  type DataPoint,
  type HistogramMetricData,
  type MetricData,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { Config } from '../config/schema.ts';
import { METRICS, type LabelsOf, type MetricName } from '../metrics/catalog.ts';
import type { Histogram } from '../metrics/histogram.ts';
import type { MetricSink } from '../metrics/sink.ts';
import type { System, TimerHandle } from '../system/system.ts';
import { hrTime, otlpUrl, readHeaders, resourceOf, withinMs } from './otlp-settings.ts';

const SEND_MS_MAX = 10_000;
const CLOSE_MS_MAX = 2000;
const SCOPE = { name: 'causeway' };

type HistogramValue = HistogramMetricData['dataPoints'][number]['value'];

/** One push. */
class Collection implements MetricSink {
  readonly #values = new Map<MetricName, DataPoint<number>[]>();
  readonly #histograms = new Map<MetricName, DataPoint<HistogramValue>[]>();
  readonly #startTime: HrTime;
  readonly #endTime: HrTime;
  readonly #constant: Attributes;

  constructor(startTime: HrTime, endTime: HrTime, constant: Attributes) {
    this.#startTime = startTime;
    this.#endTime = endTime;
    this.#constant = constant;
  }

  value(name: MetricName, value: number | undefined, labels: Readonly<Record<string, string>> = {}): void {
    if (value !== undefined) addTo(this.#values, name, this.#point(value, labels));
  }

  histogram<N extends MetricName>(name: N, histogram: Histogram, labels: LabelsOf<N>): void {
    const value: HistogramValue = {
      buckets: { boundaries: [...histogram.bounds], counts: [...histogram.counts] },
      sum: histogram.sum,
      count: histogram.count,
    };
    addTo(this.#histograms, name, this.#point(value, labels));
  }

  #point<Value>(value: Value, labels: Readonly<Record<string, string>>): DataPoint<Value> {
    const attributes = { ...this.#constant, ...labels };
    return { startTime: this.#startTime, endTime: this.#endTime, attributes, value };
  }

  metrics(): MetricData[] {
    return Object.entries(METRICS).flatMap(([name, { type, help }]): MetricData[] => {
      const descriptor = { name, description: help, unit: unitOf(name), valueType: ValueType.DOUBLE };
      const aggregationTemporality = AggregationTemporality.CUMULATIVE;
      const family = name as MetricName;
      const common = { descriptor, aggregationTemporality };
      const dataPoints = this.#values.get(family) ?? [];
      switch (type) {
        case 'histogram': {
          const histograms = this.#histograms.get(family) ?? [];
          return [{ ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints: histograms }];
        }
        case 'counter':
          return [{ ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }];
        case 'gauge':
          return [{ ...common, dataPointType: DataPointType.GAUGE, dataPoints }];
      }
    });
  }
}

function addTo<Value>(families: Map<MetricName, Value[]>, name: MetricName, point: Value): void {
  const points = families.get(name);
  if (points === undefined) families.set(name, [point]);
  else points.push(point);
}

/** In UCUM, as OTLP wants it; the names have it in words. */
function unitOf(name: string): string {
  const stem = name.replace(/_total$/, '').replace(/_max$/, '');
  if (stem.endsWith('_seconds')) return 's';
  return stem.endsWith('_bytes') ? 'By' : '';
}

export class OtlpMetrics {
  readonly #config: Pick<Config, 'clusterId' | 'region' | 'node' | 'otlp'>;
  readonly #system: System;
  readonly #tell: (into: MetricSink) => void;
  readonly #complain: (message: string) => void;
  readonly #url: string;
  readonly #exporter: OTLPMetricExporter;
  readonly #resource: ResourceMetrics['resource'];
  readonly #startTime: HrTime;
  readonly #timer: TimerHandle;
  #pushing = false;

  /** Pushes until close(). Throws CausewayError CONFIG_INVALID. */
  constructor(
    config: Pick<Config, 'clusterId' | 'region' | 'node' | 'otlp'>,
    system: System,
    tell: (into: MetricSink) => void,
    complain: (message: string) => void,
  ) {
    const { endpoint, headersFile, metricsMs } = config.otlp;
    this.#config = config;
    this.#system = system;
    this.#tell = tell;
    this.#complain = complain;
    this.#url = otlpUrl(endpoint!, 'v1/metrics');
    this.#resource = resourceOf(config);
    this.#startTime = hrTime(system.clock.nowMs());
    this.#exporter = new OTLPMetricExporter({
      url: this.#url,
      headers: readHeaders(headersFile),
      timeoutMillis: SEND_MS_MAX,
    });
    this.#timer = system.timers.every(metricsMs, () => this.#push());
  }

  #push(): void {
    if (this.#pushing) return;
    this.#pushing = true;
    const { clusterId: cluster, region, node } = this.#config;
    const endTime = hrTime(this.#system.clock.nowMs());
    const into = new Collection(this.#startTime, endTime, { cluster, region, node });
    this.#tell(into);
    const scopeMetrics = [{ scope: SCOPE, metrics: into.metrics() }];
    this.#exporter.export({ resource: this.#resource, scopeMetrics }, ({ error }) => {
      this.#pushing = false;
      if (error !== undefined) this.#complain(`the collector at ${this.#url} took no metrics: ${error.message}`);
    });
  }

  close(): Promise<void> {
    this.#timer.cancel();
    return withinMs(this.#exporter.shutdown(), CLOSE_MS_MAX, this.#system.timers);
  }
}
