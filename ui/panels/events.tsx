// What happened lately, in every region, newest first.

import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import type { EventMessage, EventsMessage } from '../../src/api/http/page/messages.ts';
import { ask } from '../data/api.ts';
import { cluster } from '../data/live.ts';
import { moment, timeOfDay } from '../format.ts';
import type { Health } from '../health.ts';
import { Card } from '../parts/card.tsx';
import { HealthMark } from '../parts/health-mark.tsx';
import { useAsked } from '../parts/use-asked.ts';
import { linkTo } from '../route.ts';

type Told = EventMessage & { readonly region: string };

const MARKS: Readonly<Record<EventMessage['level'], Health>> = { info: 'good', warn: 'slow', error: 'bad' };
const LEVEL_WORDS: Readonly<Record<EventMessage['level'], string>> = {
  info: 'news',
  warn: 'warning',
  error: 'problem',
};
/** In beats of the live figures. */
const EVERY = 2;
const RECENT = 8;
const SHOWN_MAX = 400;

/** What each region told last: one that is down now has told what it has told. */
const known = signal<ReadonlyMap<string, EventsMessage>>(new Map());

async function learn(): Promise<void> {
  const regions = (cluster.peek()?.regions ?? []).filter(({ node, problem }) => node !== null && problem === '');
  await Promise.all(
    regions.map(async ({ name }) => {
      try {
        const told = await ask<EventsMessage>('/ui/api/events', { region: name });
        known.value = new Map(known.peek()).set(name, told);
      } catch {
        // The region is shown as not answering; its events stay as they were.
      }
    }),
  );
}

function useEvents(): readonly Told[] {
  useAsked('events', learn, EVERY);
  return [...known.value]
    .flatMap(([region, { events }]) => events.map((event) => ({ ...event, region })))
    .toSorted((a, b) => b.atMs - a.atMs || b.id - a.id);
}

export function RecentEvents(): JSX.Element {
  const events = useEvents();
  return (
    <Card title="Events" note={<a href={linkTo('events')}>all of them</a>} class="half">
      <Timeline events={events.slice(0, RECENT)} />
    </Card>
  );
}

const level = signal('');
const region = signal('');

export function Events(): JSX.Element {
  const events = useEvents().filter(
    (event) => (level.value === '' || event.level !== 'info') && (region.value === '' || event.region === region.value),
  );
  return (
    <Card
      title="Events"
      note="states, alarms, links and what else the nodes said, since each of them started"
      tools={
        <div class="form">
          <label>
            Region{' '}
            <select value={region.value} onChange={(event) => (region.value = event.currentTarget.value)}>
              <option value="">all</option>
              {cluster.value!.regions.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <label>
            Show{' '}
            <select value={level.value} onChange={(event) => (level.value = event.currentTarget.value)}>
              <option value="">everything</option>
              <option value="warn">warnings and problems</option>
            </select>
          </label>
        </div>
      }
    >
      <Timeline events={events.slice(0, SHOWN_MAX)} />
    </Card>
  );
}

function Timeline({ events }: { events: readonly Told[] }): JSX.Element {
  if (events.length === 0) return <p class="empty">Nothing happened.</p>;
  return (
    <ol class="timeline">
      {events.map(({ id, region: of, atMs, level: how, message, times }) => (
        <li key={`${of} ${id} ${atMs}`} class={how}>
          <time dateTime={new Date(atMs).toISOString()} title={moment(atMs)}>
            {timeOfDay(atMs)}
          </time>
          <HealthMark health={MARKS[how]} label={LEVEL_WORDS[how]} />
          <b>{of}</b>
          <span>
            {message}
            {times > 1 ? <span class="dim"> ({times} times)</span> : null}
          </span>
        </li>
      ))}
    </ol>
  );
}
