// A collector for tests: takes OTLP over HTTP on loopback, and reads it by OTLP's own protocol files (opentelemetry-proto 1.x, only what is looked at here).

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import protobuf from 'protobufjs';

const PROTO = `
syntax = "proto3";
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
message KeyValue { string key = 1; AnyValue value = 2; }
message Resource { repeated KeyValue attributes = 1; }
message Traces { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message ScopeSpans { repeated Span spans = 2; }
message Link { bytes trace_id = 1; bytes span_id = 2; }
message Status { string message = 2; int32 code = 3; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9;
  repeated Link links = 13; uint32 dropped_links_count = 14; Status status = 15;
}
message Metrics { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
message ScopeMetrics { repeated Metric metrics = 2; }
message Metric { string name = 1; string description = 2; string unit = 3; Points gauge = 5; Sum sum = 7; Histograms histogram = 9; }
message Points { repeated NumberPoint data_points = 1; }
message Sum { repeated NumberPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
message NumberPoint { repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; double as_double = 4; sfixed64 as_int = 6; }
message Histograms { repeated HistogramPoint data_points = 1; int32 aggregation_temporality = 2; }
message HistogramPoint {
  repeated KeyValue attributes = 9; fixed64 count = 4; double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
}
`;

const root = protobuf.parse(PROTO).root;
const TRACES = root.lookupType('Traces');
const METRICS = root.lookupType('Metrics');

export type Values = Readonly<Record<string, string | number | boolean>>;

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** '' at the root. */
  readonly parentSpanId: string;
  readonly name: string;
  /** OTLP's number: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Values;
  readonly resource: Values;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2: it failed. */
  readonly status: number;
}

export interface ReceivedPoint {
  readonly labels: Values;
  readonly value: number | undefined;
  /** Of a histogram: per bucket. */
  readonly counts: readonly number[];
  readonly bounds: readonly number[];
  readonly sum: number | undefined;
}

export interface ReceivedMetric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly points: readonly ReceivedPoint[];
}

interface Decoded {
  readonly [field: string]: Decoded & Decoded[] & string & number;
}

export class OtlpReceiver {
  readonly #server: Server;
  readonly spans: ReceivedSpan[] = [];
  /** Of the last push of each resource, by service.instance.id. */
  readonly metrics = new Map<string, readonly ReceivedMetric[]>();
  /** Of the last request. */
  headers: NodeJS.Dict<string | string[]> = {};
  requests = 0;
  /** What requests are answered with. */
  status = 200;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        this.requests++;
        this.headers = request.headers;
        if (this.status === 200) this.#take(request.url ?? '', Buffer.concat(chunks));
        response.writeHead(this.status, { 'Content-Type': 'application/x-protobuf' }).end();
      });
    });
  }

  static async listen(): Promise<OtlpReceiver> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new OtlpReceiver(server);
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Of one trace, by their start. */
  trace(traceId: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId).toSorted((a, b) => a.startMs - b.startMs);
  }

  #take(url: string, body: Buffer): void {
    if (url === '/v1/traces') this.#takeTraces(TRACES.decode(body) as unknown as Decoded);
    else if (url === '/v1/metrics') this.#takeMetrics(METRICS.decode(body) as unknown as Decoded);
    else throw new Error(`OTLP at ${url}`);
  }

  #takeTraces(request: Decoded): void {
    for (const { resource, scopeSpans } of request['resourceSpans']! as Decoded[]) {
      const of = valuesOf(resource!['attributes']!);
      for (const { spans } of scopeSpans! as Decoded[]) {
        for (const span of spans! as Decoded[]) {
          this.spans.push({
            traceId: hex(span['traceId']),
            spanId: hex(span['spanId']),
            parentSpanId: hex(span['parentSpanId']),
            name: span['name']!,
            kind: span['kind']!,
            startMs: Number(span['startTimeUnixNano']) / 1e6,
            endMs: Number(span['endTimeUnixNano']) / 1e6,
            attributes: valuesOf(span['attributes']!),
            resource: of,
            links: (span['links']! as Decoded[]).map((link) => ({
              traceId: hex(link['traceId']),
              spanId: hex(link['spanId']),
            })),
            status: Number(span['status']?.['code'] ?? 0),
          });
        }
      }
    }
  }

  #takeMetrics(request: Decoded): void {
    for (const { resource, scopeMetrics } of request['resourceMetrics']! as Decoded[]) {
      const of = valuesOf(resource!['attributes']!);
      const metrics = (scopeMetrics! as Decoded[]).flatMap(({ metrics: each }) => (each! as Decoded[]).map(metricOf));
      this.metrics.set(String(of['service.instance.id']), metrics);
    }
  }
}

function metricOf(metric: Decoded): ReceivedMetric {
  const { name, description, unit, gauge, sum, histogram } = metric;
  if (sum?.['isMonotonic'] === (false as never)) throw new Error(`${String(name)} is a sum that may fall`);
  const points = ((gauge ?? sum ?? histogram)!['dataPoints']! as Decoded[]).map((point): ReceivedPoint => ({
    labels: valuesOf(point['attributes']!),
    value: point['asDouble'] ?? (point['asInt'] === undefined ? undefined : Number(point['asInt'])),
    counts: ((point['bucketCounts'] as Decoded[] | undefined) ?? []).map(Number),
    bounds: ((point['explicitBounds'] as Decoded[] | undefined) ?? []).map(Number),
    sum: point['sum'],
  }));
  const type = gauge ? 'gauge' : sum ? 'counter' : 'histogram';
  return { name: name!, description: description!, unit: unit!, type, points };
}

function valuesOf(pairs: readonly Decoded[]): Values {
  return Object.fromEntries(
    pairs.map(({ key, value }) => {
      // The name of the field that is set.
      const kind = value!['value'] as string;
      const given = value![kind]!;
      return [key!, kind === 'intValue' ? Number(given) : (given as string | number | boolean)];
    }),
  );
}

function hex(bytes: unknown): string {
  return Buffer.from((bytes as Uint8Array | undefined) ?? []).toString('hex');
}
