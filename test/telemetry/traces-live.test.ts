// One write, followed by a collector through three regions that really run: through the relay of a third region while two are cut off from each other, and through a
// restart of the region that wrote it before anybody else had it.

import * as api from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { Wires } from '../../chaos/cluster/wires.ts';
import { connect, openTelemetry, type Causeway } from '../../src/client/index.ts';
import { startRegions, type LiveRegions } from '../support/live-nodes.ts';
import { OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const REGIONS = ['eu', 'us', 'ap'] as const;
const wires = new Wires();
let collector: OtlpReceiver;
let live: LiveRegions;
let provider: TracerProvider;
const clients: Causeway[] = [];

beforeAll(async () => {
  collector = await OtlpReceiver.listen();
  live = await startRegions(REGIONS, {
    wire: wires.lay,
    config: { tracing: { enabled: true, ratio: 0, canaryMs: 0 }, otlp: { endpoint: collector.endpoint } },
  });
  // What a program sets up for itself.
  const exporter = new OTLPTraceExporter({ url: `${collector.endpoint}/v1/traces` });
  provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  api.trace.setGlobalTracerProvider(provider);
});

afterEach(() => wires.heal());

afterAll(async () => {
  for (const client of clients) client.close();
  await live?.stop();
  await provider?.shutdown();
  await wires.close();
  await collector?.close();
});

function client(region: string): Causeway {
  const { node } = live.regions.find(({ name }) => name === region)!;
  const made = connect({
    endpoints: [node.clients],
    namespace: 'demo',
    deadlineMs: 30_000,
    tracer: openTelemetry(api),
  });
  clients.push(made);
  return made;
}

/** Consumers of one key in all regions; each handles what it is given. */
function follow(key: string): { readonly seen: Map<string, Uint8Array | undefined>; end(): void } {
  const seen = new Map<string, Uint8Array | undefined>();
  const subscriptions = REGIONS.map((region) =>
    client(region).subscribe({
      keyPrefix: key,
      from: 'beginning',
      onEvents: ({ events }) => {
        for (const { trace } of events) seen.set(region, trace);
      },
    }),
  );
  return {
    seen,
    end: () => {
      for (const subscription of subscriptions) subscription.close();
    },
  };
}

async function until(holds: () => boolean, what: () => string): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`not within 60 s: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** As `region name` of each span on the way from the root. */
function pathOf(span: ReceivedSpan, all: readonly ReceivedSpan[]): string {
  const parent = all.find(({ spanId }) => spanId === span.parentSpanId);
  const name = `${String(span.attributes['causeway.region'] ?? 'program')} ${span.name}`;
  return parent === undefined ? name : `${pathOf(parent, all)} > ${name}`;
}

function paths(traceId: string): string[] {
  const spans = collector.trace(traceId);
  return spans.map((span) => pathOf(span, spans)).toSorted();
}

const SEND = 'program send demo/profiles';
const INGEST = `${SEND} > eu causeway.v1.Data/WriteStream`;

/** What every write's trace has at least, whichever way it took. */
const STAGES = [
  SEND,
  INGEST,
  `${INGEST} > eu causeway.sequence`,
  ...REGIONS.flatMap((region) => {
    const append = `${INGEST} > ${region} causeway.append`;
    const apply = `${append} > ${region} causeway.apply`;
    const feed = `${apply} > ${region} causeway.feed`;
    return [append, apply, feed, `${feed} > program process demo/profiles`];
  }),
];

async function written(key: string): Promise<{ readonly traceId: string; readonly dot: string }> {
  const producer = client('eu').producer();
  const ack = await producer.sendAndWait({
    collection: 'profiles',
    key,
    intent: { kind: 'put', value: Buffer.from('1') },
  });
  await producer.close();
  const dot = `${ack.version.origin}:${ack.version.seq}`;
  const isSend = ({ name, attributes }: ReceivedSpan): boolean =>
    name === 'send demo/profiles' && attributes['messaging.message.id'] === dot;
  await until(
    () => collector.spans.some(isSend),
    () => 'the span of the program that wrote',
  );
  return { traceId: collector.spans.find(isSend)!.traceId, dot };
}

function complete(traceId: string): Promise<void> {
  return until(
    () => STAGES.every((stage) => paths(traceId).includes(stage)),
    () =>
      `missing: ${STAGES.filter((stage) => !paths(traceId).includes(stage)).join('\n')}\nhas:\n${paths(traceId).join('\n')}`,
  );
}

test('every stage in every region is in the trace of the program that wrote, and links to what was done for many writes together', async () => {
  const following = follow('straight');
  const { traceId, dot } = await written('straight');
  await complete(traceId);
  following.end();
  const spans = collector.trace(traceId);
  const links = spans.filter(({ name }) => name === 'causeway.link');
  // A batch may be sent twice, and be passed on by others.
  for (const peer of ['us', 'ap'])
    expect(links.map(({ attributes }) => attributes)).toContainEqual(
      expect.objectContaining({ 'causeway.region': 'eu', 'causeway.peer': peer }),
    );
  for (const span of spans.filter(({ name }) => /^causeway\.(append|apply|link|sequence|feed)$/.test(name))) {
    expect(span.attributes, span.name).toMatchObject({ 'causeway.dot': dot, 'causeway.origin': dot.split(':')[0] });
    expect(span.endMs, span.name).toBeGreaterThanOrEqual(span.startMs);
    expect(span.resource, span.name).toMatchObject({ 'service.name': 'causeway', 'service.namespace': 'live' });
  }
  // A remote apply is found from its batch, and the batch from it.
  const [there] = spans.filter(
    ({ name, attributes }) => name === 'causeway.append' && attributes['causeway.region'] === 'us',
  );
  expect(there!.kind).toBe(5);
  const batch = collector.spans.find(({ spanId }) => spanId === there!.links[0]!.spanId)!;
  expect(batch).toMatchObject({ name: 'causeway.batch.append', parentSpanId: '', traceId: there!.links[0]!.traceId });
  expect(batch.links).toContainEqual({ traceId, spanId: there!.spanId });
  for (const { name, attributes } of spans.filter((span) => span.name === 'causeway.apply'))
    expect(attributes['causeway.lag_ms'], name).toBeGreaterThanOrEqual(0);
});

test('through a relay: two regions that do not reach each other are in one trace', async () => {
  const following = follow('relayed');
  wires.cut('eu', 'us', 'reset');
  const { traceId } = await written('relayed');
  await complete(traceId);
  following.end();
  const links = collector.trace(traceId).filter(({ name }) => name === 'causeway.link');
  const relayed = links.filter(({ attributes }) => attributes['causeway.relayed'] === true);
  expect(relayed.map(({ attributes }) => [attributes['causeway.region'], attributes['causeway.peer']])).toContainEqual([
    'ap',
    'us',
  ]);
});

test('through a restart: the log has kept the context of a write that nobody else had', async () => {
  wires.isolate('eu', 'reset');
  const { traceId } = await written('restarted');
  const before = paths(traceId);
  expect(before.filter((path) => /\b(us|ap) causeway/.test(path))).toEqual([]);
  await live.regions[0]!.restart();
  wires.heal();
  const following = follow('restarted');
  // Where it was written nobody remembers after the restart when it was applied: the feed hangs on the ingest there.
  const stages = STAGES.map((stage) =>
    stage.replace('eu causeway.append > eu causeway.apply > eu causeway.feed', 'eu causeway.feed'),
  );
  await until(
    () => stages.every((stage) => paths(traceId).includes(stage)),
    () =>
      `missing: ${stages.filter((stage) => !paths(traceId).includes(stage)).join('\n')}\nhas:\n${paths(traceId).join('\n')}`,
  );
  following.end();
  expect(following.seen.size).toBe(3);
});
