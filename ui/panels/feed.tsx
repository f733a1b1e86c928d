// The change feed of the region whose node this is: as it comes, or again from a point on.

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { JSX } from 'preact';
import { msOfStamp, regionOf } from '../../src/cli/origin-words.ts';
import { changes, cursor, feedState, KEPT_MAX, readFeed, seen, stopFeed, type Change } from '../data/feed.ts';
import { cluster } from '../data/live.ts';
import { count, moment, timeOfDay } from '../format.ts';
import { Card } from '../parts/card.tsx';
import { linkTo } from '../route.ts';

const MINUTE_MS = 60_000;

const scope = signal('');
const prefix = signal('');
const from = signal('now');
const at = signal('');
const within = signal('');

function namespaces(): string[] {
  return [
    ...new Set(
      cluster.value!.regions.flatMap(({ node }) => (node?.collections ?? []).map(({ namespace }) => namespace)),
    ),
  ].toSorted();
}

function begin(after = ''): void {
  const [namespace = '', collection = ''] = (scope.value === '' ? (namespaces()[0] ?? '') : scope.value).split('/');
  const minutes = /^(\d+) min$/.exec(from.value);
  const start =
    minutes !== null
      ? String(cluster.value!.nowMs - Number(minutes[1]) * MINUTE_MS)
      : from.value === 'time'
        ? String(Date.parse(at.value))
        : from.value;
  const point = from.value === 'cursor' ? at.value.trim() : after;
  void readFeed({ namespace, collection, prefix: prefix.value, from: start, cursor: point });
}

export function Feed(): JSX.Element {
  useEffect(() => stopFeed, []);
  const collections =
    cluster.value!.regions.find(({ name }) => name === cluster.value!.region)?.node?.collections ?? [];
  const state = feedState.value;
  const chosen = scope.value === '' ? (namespaces()[0] ?? '') : scope.value;
  const shown = changes.value.filter(({ key }) => within.value === '' || key.includes(within.value));
  const needsAt = from.value === 'time' || from.value === 'cursor';
  return (
    <Card
      title="Change feed"
      note={`of ${cluster.value!.region}: every region's writes, in the order in which they are applied here`}
    >
      <form
        class="form bar"
        onSubmit={(event) => {
          event.preventDefault();
          begin();
        }}
      >
        <label>
          Of{' '}
          <select value={chosen} onChange={(event) => (scope.value = event.currentTarget.value)}>
            {namespaces().map((name) => (
              <option key={name} value={name}>
                {name}, everything
              </option>
            ))}
            {collections.map(({ namespace, name }) => (
              <option key={`${namespace}/${name}`} value={`${namespace}/${name}`}>
                {namespace}/{name}
              </option>
            ))}
          </select>
        </label>
        <label>
          Key begins with{' '}
          <input type="search" value={prefix.value} onInput={(event) => (prefix.value = event.currentTarget.value)} />
        </label>
        <label>
          From{' '}
          <select value={from.value} onChange={(event) => (from.value = event.currentTarget.value)}>
            <option value="now">now on</option>
            <option value="1 min">a minute ago</option>
            <option value="15 min">15 minutes ago</option>
            <option value="beginning">the beginning</option>
            <option value="time">a time …</option>
            <option value="cursor">a cursor …</option>
          </select>
        </label>
        {needsAt ? (
          <label>
            {from.value === 'time' ? 'Time' : 'Cursor'}{' '}
            <input
              required
              type={from.value === 'time' ? 'datetime-local' : 'text'}
              step="1"
              value={at.value}
              onInput={(event) => (at.value = event.currentTarget.value)}
            />
          </label>
        ) : null}
        <button type="submit" class="main">
          {from.value === 'now' ? 'Follow' : 'Replay'}
        </button>
        {state.kind === 'open' || state.kind === 'opening' ? (
          <button type="button" onClick={stopFeed}>
            Stop
          </button>
        ) : null}
        {state.kind === 'waiting' || (state.kind === 'ended' && cursor.value !== '') ? (
          <button type="button" onClick={() => begin(cursor.value)} disabled={from.value === 'cursor'}>
            Go on
          </button>
        ) : null}
      </form>
      <div class="form bar">
        <p role="status">{wordsOf()}</p>
        <label>
          Of these, keys with{' '}
          <input type="search" value={within.value} onInput={(event) => (within.value = event.currentTarget.value)} />
        </label>
      </div>
      {shown.length === 0 ? (
        <p class="empty">
          {state.kind === 'open' ? 'Nothing yet.' : 'Follow what is written from now on, or replay what was.'}
        </p>
      ) : (
        <div class="scrolls">
          <table class="stacks feed">
            <thead>
              <tr>
                <th scope="col">written</th>
                <th scope="col">in</th>
                <th scope="col">key</th>
                <th scope="col">change</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((change) => (
                <Row key={change.n} change={change} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {cursor.value === '' ? null : (
        <details>
          <summary>Cursor: the point that was reached, good in every region</summary>
          <code class="long">{cursor.value}</code>
        </details>
      )}
    </Card>
  );
}

function wordsOf(): string {
  const state = feedState.value;
  const many = `${count(seen.value)} change${seen.value === 1 ? '' : 's'}`;
  switch (state.kind) {
    case 'idle':
      return '';
    case 'opening':
      return 'Opening …';
    case 'open':
      return `Open: ${many}${seen.value > KEPT_MAX && from.value === 'now' ? `, the last ${KEPT_MAX} are shown` : ''}.`;
    case 'waiting':
      return `${many}; there may be more.`;
    case 'ended':
      return `Ended after ${many}: ${state.why}.`;
  }
}

function Row({ change }: { change: Change }): JSX.Element {
  const { collection, key, version, op } = change;
  const [origin = '', , stamp = '0'] = version.split('.');
  const writtenMs = msOfStamp(Number(stamp));
  const [namespace = ''] = (scope.value === '' ? (namespaces()[0] ?? '') : scope.value).split('/');
  return (
    <tr>
      <td data-label="written">
        <time title={moment(writtenMs)}>{timeOfDay(writtenMs)}</time>
      </td>
      <td data-label="in">{regionOf(origin)}</td>
      <td data-label="key">
        <a href={linkTo('keys', { namespace, collection, key })}>
          {collection}/{key}
        </a>
      </td>
      <td data-label="change" class="change">
        <span class="kind">{op.kind}</span> <code>{opText(op)}</code>
      </td>
    </tr>
  );
}

const TEXT_MAX = 240;

function opText({ kind, ...rest }: Change['op']): string {
  const text = textOf(kind, rest);
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}

/** docs/HTTP.md, Watching, `form=op`. */
function textOf(kind: string, { value, by, elements, set, remove }: Readonly<Record<string, unknown>>): string {
  if (kind === 'put') return valueText(value);
  if (kind === 'increment') return String(by).startsWith('-') ? String(by) : `+${String(by)}`;
  if (Array.isArray(elements)) return elements.map(valueText).join(' ');
  const put = Object.entries((set ?? {}) as Record<string, unknown>).map(([field, of]) => `${field}=${valueText(of)}`);
  const removed = Array.isArray(remove) ? remove.map((field) => `removed ${String(field)}`) : [];
  return [...put, ...removed].join('  ');
}

/** docs/HTTP.md, Values inside documents. */
function valueText(value: unknown): string {
  const { $text, $base64 } = (value ?? {}) as { $text?: unknown; $base64?: unknown };
  if (typeof $text === 'string') return $text;
  if (typeof $base64 === 'string') return `base64 ${$base64}`;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
