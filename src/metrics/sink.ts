// Where metrics are told to: the text that Prometheus scrapes (exposition.ts), or what is pushed. Every name stands in the catalogue, with its labels: a metric
// that is not documented does not compile.

import type { LabelsOf, MetricName } from './catalog.ts';
import type { Histogram } from './histogram.ts';

export interface MetricSink {
  /** A counter or a gauge. Undefined: it is not known now, and has no sample. */
  value(name: MetricName, value: number | undefined): void;
  value<N extends MetricName>(name: N, value: number | undefined, labels: LabelsOf<N>): void;
  /** Read at once: it goes on counting. */
  histogram<N extends MetricName>(name: N, histogram: Histogram, labels: LabelsOf<N>): void;
}
