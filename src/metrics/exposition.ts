// The Prometheus text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
// What has no sample has its lines all the same, so that whoever looks for a name finds it.

import { METRICS, type LabelsOf, type MetricName } from './catalog.ts';
import type { Histogram } from './histogram.ts';
import type { MetricSink } from './sink.ts';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export class Exposition implements MetricSink {
  readonly #constant: string;
  readonly #lines = new Map<MetricName, string[]>();

  /** `labels`: of every sample. */
  constructor(labels: Readonly<Record<string, string>>) {
    this.#constant = labelText(labels);
  }

  value(name: MetricName, value: number | undefined): void;
  value<N extends MetricName>(name: N, value: number | undefined, labels: LabelsOf<N>): void;
  value(name: MetricName, value: number | undefined, labels: Readonly<Record<string, string>> = {}): void {
    if (value !== undefined) this.#add(name, `${name}${this.#all(labelText(labels))} ${numberText(value)}`);
  }

  histogram<N extends MetricName>(name: N, histogram: Histogram, labels: LabelsOf<N>): void {
    const own = labelText(labels);
    let below = 0;
    for (let i = 0; i < histogram.counts.length; i++) {
      below += histogram.counts[i]!;
      const bound = numberText(histogram.bounds[i] ?? Infinity);
      const bucket = own === '' ? `le="${bound}"` : `${own},le="${bound}"`;
      this.#add(name, `${name}_bucket${this.#all(bucket)} ${below}`);
    }
    this.#add(name, `${name}_sum${this.#all(own)} ${numberText(histogram.sum)}`);
    this.#add(name, `${name}_count${this.#all(own)} ${below}`);
  }

  text(): string {
    const parts: string[] = [];
    for (const [name, { type, help }] of Object.entries(METRICS)) {
      parts.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`);
      for (const line of this.#lines.get(name as MetricName) ?? []) parts.push(line);
    }
    return `${parts.join('\n')}\n`;
  }

  #add(name: MetricName, line: string): void {
    const lines = this.#lines.get(name);
    if (lines === undefined) this.#lines.set(name, [line]);
    else lines.push(line);
  }

  #all(own: string): string {
    if (own === '') return this.#constant === '' ? '' : `{${this.#constant}}`;
    return this.#constant === '' ? `{${own}}` : `{${this.#constant},${own}}`;
  }
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(',');
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return Number.isNaN(value) ? 'NaN' : String(value);
}
