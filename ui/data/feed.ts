// A region's change feed, read from a point on: server-sent events by fetch, because an EventSource would come back by itself and could not wait.
// Bounded: about TAKEN_MAX changes of a replay, then it waits with its cursor; live, the last KEPT_MAX.

import { signal } from '@preact/signals';
import { messageOf, url } from './api.ts';

export interface Change {
  readonly n: number;
  readonly collection: string;
  readonly key: string;
  /** `origin.seq.stamp` */
  readonly version: string;
  readonly op: { readonly kind: string; readonly [member: string]: unknown };
}

export interface FeedQuestion {
  readonly namespace: string;
  readonly collection: string;
  readonly prefix: string;
  /** `now`, `beginning`, a date, Unix ms; '' with a cursor. */
  readonly from: string;
  readonly cursor: string;
}

export type FeedState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'opening' }
  | { readonly kind: 'open' }
  /** A replay has given as much as is shown at once. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'ended'; readonly why: string };

const TAKEN_MAX = 200;
export const KEPT_MAX = 150;
const DRAW_MS = 400;

/** Newest first when it follows; oldest first when it replays. */
export const changes = signal<readonly Change[]>([]);
export const feedState = signal<FeedState>({ kind: 'idle' });
/** Of what has been read: the point to go on from, in any region. */
export const cursor = signal('');
export const seen = signal(0);

let open: AbortController | undefined;

export function stopFeed(): void {
  open?.abort();
  if (feedState.peek().kind === 'open' || feedState.peek().kind === 'opening')
    feedState.value = { kind: 'ended', why: 'stopped' };
}

export async function readFeed(question: FeedQuestion): Promise<void> {
  stopFeed();
  const own = new AbortController();
  open = own;
  const live = question.from === 'now' && question.cursor === '';
  changes.value = [];
  seen.value = 0;
  cursor.value = question.cursor;
  feedState.value = { kind: 'opening' };
  // Signals are set now and then: each time the table is made anew, and a busy feed brings thousands of changes a second.
  let taken = 0;
  let reached = question.cursor;
  let fresh: Change[] = [];
  let drawing: ReturnType<typeof setTimeout> | undefined;
  const draw = (): void => {
    drawing = undefined;
    if (open !== own) return;
    const all = live ? [...fresh.toReversed(), ...changes.peek()] : [...changes.peek(), ...fresh];
    fresh = [];
    seen.value = taken;
    cursor.value = reached;
    changes.value = live ? all.slice(0, KEPT_MAX) : all;
  };
  const end = (state: FeedState): void => {
    if (open === own) feedState.value = state;
  };
  try {
    const { namespace, collection, prefix, from, cursor: after } = question;
    const path = `/v1/${encodeURIComponent(namespace)}`;
    const query = { watch: 'true', form: 'op', collection, prefix, ...(after === '' ? { from } : { cursor: after }) };
    const response = await fetch(url(path, query), { headers: { Accept: 'text/event-stream' }, signal: own.signal });
    if (!response.ok || response.body === null) {
      throw new Error(messageOf(await response.text()) ?? `the node answered ${response.status}`);
    }
    end({ kind: 'open' });
    for await (const { name, id, data } of eventsOf(response.body)) {
      if (id !== undefined) reached = id;
      if (name === 'failure') throw new Error(messageOf(data) ?? 'the feed ended');
      if (name === 'change') {
        taken++;
        fresh.push({ ...(JSON.parse(data) as Omit<Change, 'n'>), n: taken });
        if (live && fresh.length > KEPT_MAX) fresh.shift();
      }
      drawing ??= setTimeout(draw, DRAW_MS);
      // Not before an id: without one there is no point to go on from.
      if (!live && taken >= TAKEN_MAX && id !== undefined) {
        end({ kind: 'waiting' });
        return;
      }
    }
    end({ kind: 'ended', why: 'the node closed it' });
  } catch (error) {
    if (!own.signal.aborted) end({ kind: 'ended', why: error instanceof Error ? error.message : String(error) });
  } finally {
    clearTimeout(drawing);
    draw();
    own.abort();
  }
}

interface ServerEvent {
  readonly name: string;
  readonly id: string | undefined;
  readonly data: string;
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html, as the node writes them: each field on one line. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    for (let end = rest.indexOf('\n\n'); end !== -1; end = rest.indexOf('\n\n')) {
      yield eventOf(rest.slice(0, end));
      rest = rest.slice(end + 2);
    }
  }
}

export function eventOf(block: string): ServerEvent {
  let [name, id, data]: [string, string | undefined, string] = ['', undefined, ''];
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice(7);
    else if (line.startsWith('id: ')) id = line.slice(4);
    else if (line.startsWith('data: ')) data = line.slice(6);
  }
  return { name, id, data };
}
