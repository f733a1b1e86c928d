// The frame: who answers, whether it is of now, and the panels.

import { computed } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';
import { cluster, connected, failure, nowMs, sinceMs } from './data/live.ts';
import { age, timeOfDay } from './format.ts';
import { regionHealth } from './health.ts';
import { Conflicts } from './panels/conflicts.tsx';
import { Events } from './panels/events.tsx';
import { Feed } from './panels/feed.tsx';
import { Keys } from './panels/keys.tsx';
import { Overview } from './panels/overview.tsx';
import { Shards } from './panels/shards.tsx';
import { Traces } from './panels/traces.tsx';
import { linkTo, route } from './route.ts';
import { nextTheme, theme } from './theme.ts';

const PANELS: readonly { readonly name: string; readonly title: string; readonly Panel: () => JSX.Element }[] = [
  { name: 'overview', title: 'Overview', Panel: Overview },
  { name: 'shards', title: 'Shards', Panel: Shards },
  { name: 'conflicts', title: 'Conflicts', Panel: Conflicts },
  { name: 'feed', title: 'Feed', Panel: Feed },
  { name: 'keys', title: 'Key history', Panel: Keys },
  { name: 'traces', title: 'Traces', Panel: Traces },
  { name: 'events', title: 'Events', Panel: Events },
];

/** Said to who does not see the page change. */
const spoken = computed(() => {
  if (cluster.value !== undefined && !connected.value) return 'The connection to the node is lost.';
  const down = (cluster.value?.regions ?? []).filter((region) => regionHealth(region, 0) === 'down');
  return down.length === 0 ? 'All regions answer.' : `${down.map(({ name }) => name).join(' and ')}: no answer.`;
});

export function App(): JSX.Element {
  const main = useRef<HTMLElement>(null);
  const { panel } = route.value;
  const { title, Panel } = PANELS.find(({ name }) => name === panel) ?? PANELS[0]!;
  const first = useRef(true);
  useEffect(() => {
    document.title = `${title} · Causeway`;
    // After a change of panel, and not at the start, reading goes on at its top.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
    scrollTo(0, 0);
  }, [title]);
  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <header class="top">
        <div class="top-line">
          <a class="brand" href={linkTo('overview')}>
            <Mark />
            <span>Causeway</span>
          </a>
          <span class="cluster">
            {cluster.value === undefined ? '' : cluster.value.clusterId}
            {cluster.value === undefined ? null : <span class="dim"> as {cluster.value.node} sees it</span>}
          </span>
          <Connection />
          <button type="button" class="quiet" onClick={nextTheme} aria-label={`Colours: ${theme.value}. Change`}>
            <ThemeIcon /> <span class="wide-only">{theme.value}</span>
          </button>
        </div>
        <nav aria-label="Panels">
          {PANELS.map(({ name, title: text }) => (
            <a
              key={name}
              href={linkTo(name)}
              aria-current={
                name === (PANELS.find((each) => each.name === panel)?.name ?? 'overview') ? 'page' : undefined
              }
            >
              {text}
            </a>
          ))}
        </nav>
      </header>
      <Lost />
      <main id="content" ref={main} tabIndex={-1} class={connected.value || cluster.value === undefined ? '' : 'lost'}>
        <h1 class="hidden">{title}</h1>
        {cluster.value === undefined ? <Waiting /> : <Panel />}
      </main>
      <p class="hidden" role="status" aria-live="polite">
        {spoken}
      </p>
    </>
  );
}

function Connection(): JSX.Element {
  if (cluster.value === undefined) return <span class="pill unknown">connecting …</span>;
  if (connected.value) {
    return (
      <span class="pill good" data-testid="connection">
        <i class="beat" aria-hidden="true" /> live
      </span>
    );
  }
  return (
    <span class="pill down" data-testid="connection">
      no connection, {age(sinceMs.value)} old
    </span>
  );
}

/** Says it in words, in place of figures that stand still. */
function Lost(): JSX.Element | null {
  if (cluster.value === undefined || connected.value) return null;
  const at = timeOfDay(Date.now() - (performance.now() - nowMs.value) - sinceMs.value);
  return (
    <div class="banner" role="alert" data-testid="lost">
      <strong>No connection to {cluster.value.node}.</strong> Everything below is as it was at {at},{' '}
      {age(sinceMs.value)} ago{failure.value === '' ? '' : ` (${failure.value})`}. The page asks again every second.
    </div>
  );
}

function Waiting(): JSX.Element {
  if (failure.value === '') return <p class="empty">Asking the node …</p>;
  return (
    <p class="empty" role="alert">
      <strong>The node does not answer:</strong> {failure.value}. The page asks again every second.
    </p>
  );
}

function Mark(): JSX.Element {
  return (
    <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true" class="mark">
      <rect width="32" height="32" rx="7" />
      <path d="M3 21h26M5 21a5.5 5.5 0 0 1 11 0M16 21a5.5 5.5 0 0 1 11 0" />
      <path d="M3 13h26" opacity=".55" />
    </svg>
  );
}

function ThemeIcon(): JSX.Element {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M8 1.5a6.5 6.5 0 0 1 0 13z" fill="currentColor" />
    </svg>
  );
}
