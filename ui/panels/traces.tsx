// Writes that were sampled, from the producer to every region, as waterfalls.

import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import type { TracesMessage } from '../../src/api/http/page/messages.ts';
import { ask } from '../data/api.ts';
import { answering, cluster } from '../data/live.ts';
import { moment, span as spanText, timeOfDay } from '../format.ts';
import { Card } from '../parts/card.tsx';
import { HealthMark } from '../parts/health-mark.tsx';
import { useAsked } from '../parts/use-asked.ts';
import { route } from '../route.ts';
import { waterfallsOf, type Bar, type Waterfall } from './waterfall.ts';

const TRACES = 50;
/** In beats of the live figures. */
const EVERY = 3;
/** Below it nobody would see a bar. */
const WIDTH_MIN = 0.004;

const opened = signal('');

interface Told {
  readonly on: boolean;
  readonly falls: readonly Waterfall[];
  readonly failed: readonly string[];
}

async function learn(): Promise<Told> {
  const { regions, silent } = answering();
  const failed: string[] = [...silent];
  const told = await Promise.all(
    regions.map((name) =>
      ask<TracesMessage>('/ui/api/traces', { region: name, limit: TRACES }).catch((error: unknown) => {
        failed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      }),
    ),
  );
  const answers = told.flatMap((each) => each ?? []);
  return {
    on: answers.some(({ on }) => on),
    falls: waterfallsOf(answers.flatMap(({ traces }) => traces)).slice(0, TRACES),
    failed,
  };
}

export function Traces(): JSX.Element {
  const asked = useAsked('traces', learn, EVERY);
  const wanted = route.value.query.get('trace') ?? '';
  const falls = asked.value?.falls ?? [];
  const chosen = falls.find(({ traceId }) => traceId === (opened.value === '' ? wanted : opened.value)) ?? falls[0];
  return (
    <div class="grid">
      <Card title="Traces" note="of writes that were sampled, newest first" class="list">
        {(asked.value?.failed ?? []).map((problem) => (
          <p key={problem} class="problem">
            {problem}
          </p>
        ))}
        {asked.value === undefined ? <p class="empty">Asking …</p> : null}
        {asked.value !== undefined && falls.length === 0 ? <Nothing on={asked.value.on} /> : null}
        <ul class="rows">
          {falls.map((fall) => (
            <li key={fall.traceId}>
              <button type="button" aria-pressed={fall === chosen} onClick={() => (opened.value = fall.traceId)}>
                <time title={moment(fall.startMs)}>{timeOfDay(fall.startMs)}</time>
                <span class="key">{fall.name}</span>
                <span class="dim">
                  {fall.error ? <HealthMark health="bad" label="with an error" /> : null} {spanText(fall.durationMs)},{' '}
                  {fall.bars.length} spans, {fall.regions.length} {fall.regions.length === 1 ? 'region' : 'regions'}
                </span>
              </button>
            </li>
          ))}
        </ul>
      </Card>
      {chosen === undefined ? null : <Fall fall={chosen} />}
    </div>
  );
}

function Nothing({ on }: { on: boolean }): JSX.Element {
  if (on) return <p class="empty">Nothing has been sampled yet.</p>;
  return (
    <p class="empty">
      Tracing is off. It costs next to nothing while it is: set <code>tracing.enabled</code> in the configuration of the
      nodes (docs/TRACING.md) and start them again. The history of one key is told without it, under Key history.
    </p>
  );
}

function Fall({ fall }: { fall: Waterfall }): JSX.Element {
  const { traceId, startMs, durationMs, bars, regions } = fall;
  return (
    <Card
      title={fall.name}
      note={`${spanText(durationMs)} from ${moment(startMs)}; regions: ${regions.join(', ')}`}
      class="detail"
    >
      <ol class="waterfall">
        {bars.map((bar) => (
          <Row key={bar.span.spanId} bar={bar} regions={regions} />
        ))}
      </ol>
      <p class="dim small">
        trace <code>{traceId}</code>
      </p>
    </Card>
  );
}

function Row({ bar, regions }: { bar: Bar; regions: readonly string[] }): JSX.Element {
  const { span, depth, left, width } = bar;
  const all = cluster.value!.regions.map(({ name }) => name);
  const series = Math.max(0, all.includes(span.region) ? all.indexOf(span.region) : regions.indexOf(span.region)) % 7;
  const attributes = Object.entries(span.attributes);
  return (
    <li>
      <details>
        <summary>
          <span class="span-name" style={{ paddingInlineStart: `${depth * 0.75}rem` }}>
            {span.error === undefined ? null : <HealthMark health="bad" label="error" />} {span.name}{' '}
            <span class="dim">{span.region}</span>
          </span>
          <span class="track" aria-hidden="true">
            <span
              class={`bar series-${series}`}
              style={{ left: `${left * 100}%`, width: `${Math.max(WIDTH_MIN, width) * 100}%` }}
            />
          </span>
          <span class="number">{spanText(span.durationMs)}</span>
        </summary>
        <dl class="facts">
          <div>
            <dt>kind</dt>
            <dd>{span.kind}</dd>
          </div>
          {span.error === undefined ? null : (
            <div>
              <dt>error</dt>
              <dd>{span.error}</dd>
            </div>
          )}
          {attributes.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{String(value)}</dd>
            </div>
          ))}
          {span.links.map((link) => (
            <div key={link.spanId}>
              <dt>linked to</dt>
              <dd>
                {link.traceId.slice(0, 8)}…/{link.spanId}
              </dd>
            </div>
          ))}
        </dl>
      </details>
    </li>
  );
}
