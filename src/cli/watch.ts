// causeway watch: the changes of a namespace as they are applied in a region.

import type { FeedEvent, FeedStart } from '../client/index.ts';
import { EXIT_CODES } from '../errors/errors.ts';
import { examples, usage, type AddCommand, type Context } from './context.ts';
import { collectionType, withClient } from './nodes.ts';
import { opDocument, opText } from './op-words.ts';
import { regionOf } from './origin-words.ts';
import { jsonLine, type Terminal } from './terminal.ts';
import { viewDocument } from './view-words.ts';
import { durationMs, keyRange, timeOfStamp, versionText, wholeNumber, type KeyRange } from './words.ts';

interface Flags {
  readonly from: string;
  readonly value?: true;
  readonly count?: number;
  readonly idle?: number;
}

export const addWatch: AddCommand = (program, act) => {
  program
    .command('watch')
    .description('follow changes, in causal order, until Ctrl-C')
    .argument('<namespace[/collection[/key-prefix]]>', 'what to follow', keyRange)
    .option('--from <where>', 'beginning, now, a time (2026-01-31T12:00:00Z), a while ago (10m), or a cursor', 'now')
    .option('--value', 'with each change the merged value that the region then held')
    .option('--count <n>', 'end after so many changes', wholeNumber(1))
    .option('--idle <duration>', 'end when nothing has come for so long', durationMs)
    .addHelpText(
      'after',
      `${examples(
        ['causeway watch demo', 'everything in a namespace, from now on'],
        ['causeway watch demo/flights --from beginning', 'one collection, with its history'],
        ['causeway watch demo/flights/2001-01 --from 10m', 'keys that begin so, from ten minutes ago'],
        ['causeway watch demo --json | jq .key', 'for programs: one JSON document per line'],
        ['causeway watch demo --from "$CURSOR" -e us-1:7400', 'go on in another region, without a gap'],
      )}
At its end it prints a cursor on stderr, with --json each line has one: --from takes it, in any region.
If a node goes away it goes on at the next of -e a,b,c.
`,
    )
    .action(act(watch));
};

async function watch(context: Context, what: KeyRange, flags: Flags): Promise<number> {
  const { terminal, system } = context;
  const from = startOf(flags.from, system.clock.nowMs());
  return withClient(context, what.namespace, {}, async (client) => {
    // A name that is wrong is said at once, instead of silence for ever.
    if (what.collection !== undefined) await collectionType(client, what.collection);
    else await client.topology();
    const stop = new AbortController();
    const subscription = client.subscribe({
      from,
      form: flags.value ? 'value' : 'op',
      keyPrefix: what.prefix,
      signal: stop.signal,
      ...(what.collection === undefined ? {} : { collections: [what.collection] }),
      onRetry: (error) => terminal.note(terminal.warn(`${error.message}; trying again`)),
    });
    const end = (): void => stop.abort();
    process.once('SIGINT', end);
    process.once('SIGTERM', end);
    const idle = idleTimer(context, flags.idle, end);
    let cursor: string | undefined;
    let seen = 0;
    try {
      for await (const event of subscription) {
        idle.again();
        ({ cursor } = event);
        const text = terminal.json ? jsonLine(eventDocument(what.namespace, event)) : `${eventLine(event, terminal)}\n`;
        if (!terminal.raw(text)) await terminal.drained();
        seen++;
        if (seen === flags.count) break;
      }
    } finally {
      idle.stop();
      process.off('SIGINT', end);
      process.off('SIGTERM', end);
    }
    if (cursor !== undefined && !terminal.json) terminal.note(terminal.dim(`go on with --from ${cursor}`));
    return EXIT_CODES.ok;
  });
}

function eventLine({ collection, key, op, version, value }: FeedEvent, { dim, bold }: Terminal): string {
  const merged = value === undefined ? '' : `  ${dim('=')} ${JSON.stringify(viewDocument(value), bigintText)}`;
  return `${dim(timeOfStamp(version.stamp).slice(0, 23))} ${dim(regionOf(version.origin))} ${bold(`${collection}/${key}`)} ${opText(op)}${merged}`;
}

function eventDocument(namespace: string, event: FeedEvent): object {
  const { collection, type, key, shard, op, version, value } = event;
  return {
    namespace,
    collection,
    type,
    key,
    shard,
    region: regionOf(version.origin),
    version: versionText(version),
    writtenAt: timeOfStamp(version.stamp),
    op: opDocument(op),
    ...(value === undefined ? {} : { merged: viewDocument(value) }),
    cursor: event.cursor,
  };
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

function startOf(text: string, nowMs: number): FeedStart {
  if (text === 'beginning' || text === 'now') return text;
  if (/^\d+(?:\.\d+)?(?:ms|s|m|h|d)$/.test(text)) return new Date(nowMs - durationMs(text));
  if (/^\d{4}-\d{2}-\d{2}/.test(text)) {
    const time = new Date(text);
    if (Number.isNaN(time.getTime()))
      throw usage(`--from: expected a time such as 2026-01-31T12:00:00Z, got '${text}'`);
    return time;
  }
  // Shorter than any cursor: a word that is meant to be one of the above.
  if (text.length < 12) {
    throw usage(`--from: expected beginning, now, a time, a while ago such as 10m, or a cursor; got '${text}'`);
  }
  return { cursor: text };
}

function idleTimer({ system }: Context, idleMs: number | undefined, end: () => void): { again(): void; stop(): void } {
  if (idleMs === undefined) return { again: () => {}, stop: () => {} };
  let timer = system.timers.after(idleMs, end);
  return {
    again: () => {
      timer.cancel();
      timer = system.timers.after(idleMs, end);
    },
    stop: () => timer.cancel(),
  };
}
