// Writes that lost to one that had not seen them: both versions side by side, and how to give the loser back.

import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { regionOf, msOfStamp } from '../../src/cli/origin-words.ts';
import type {
  ConflictMessage,
  ConflictsMessage,
  KeyMessage,
  OpMessage,
  VersionMessage,
} from '../../src/api/http/page/messages.ts';
import { ask } from '../data/api.ts';
import { answering, cluster } from '../data/live.ts';
import { count, moment, span, timeOfDay } from '../format.ts';
import { Card } from '../parts/card.tsx';
import { Command } from '../parts/command.tsx';
import { Op, Preview } from '../parts/preview.tsx';
import { useAsked } from '../parts/use-asked.ts';
import { linkTo } from '../route.ts';

interface Filter {
  readonly region: string;
  readonly collection: string;
  readonly prefix: string;
}

interface Listed {
  readonly told: readonly ConflictsMessage[];
  readonly failed: readonly string[];
}

const PAGE_SIZE = 30;
/** In beats of the live figures. */
const EVERY = 3;
const WRITES_LOOKED_AT = 200;

const filter = signal<Filter>({ region: '', collection: '', prefix: '' });
const pages = signal(1);
const opened = signal('');

function idOf({ shard, loser, field }: ConflictMessage): string {
  return `${shard}:${loser.origin}:${loser.seq}${field === null ? '' : ` ${field}`}`;
}

/** The newest of each region that answers, up to so many pages. */
async function list({ region, collection: full, prefix }: Filter, pagesMax: number): Promise<Listed> {
  const [namespace = '', collection = ''] = full.split('/');
  const { regions: all, silent } = answering();
  const regions = all.filter((name) => region === '' || name === region);
  const told: ConflictsMessage[] = [];
  const failed: string[] = [...silent];
  await Promise.all(
    regions.map(async (name) => {
      let pageToken: string | undefined;
      const conflicts: ConflictMessage[] = [];
      try {
        for (let page = 0; page < pagesMax; page++) {
          const answer: ConflictsMessage = await ask('/ui/api/conflicts', {
            region: name,
            namespace,
            collection,
            prefix,
            pageSize: PAGE_SIZE,
            pageToken,
          });
          conflicts.push(...answer.conflicts);
          pageToken = answer.nextPageToken ?? undefined;
          if (page === pagesMax - 1 || pageToken === undefined) {
            told.push({ ...answer, conflicts });
            break;
          }
        }
      } catch (error) {
        failed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }),
  );
  return { told, failed };
}

export function Conflicts(): JSX.Element {
  const asked = useAsked(JSON.stringify([filter.value, pages.value]), () => list(filter.value, pages.value), EVERY);
  const told = asked.value?.told ?? [];
  const rows = told
    .flatMap(({ conflicts }) => conflicts)
    .toSorted((a, b) => b.atMs - a.atMs)
    .slice(0, pages.value * PAGE_SIZE);
  const total = told.reduce((sum, each) => sum + each.total, 0);
  const dropped = told.reduce((sum, each) => sum + each.dropped, 0);
  const more =
    told.some(({ nextPageToken }) => nextPageToken !== null) ||
    told.flatMap(({ conflicts }) => conflicts).length > rows.length;
  const chosen = rows.find((row) => idOf(row) === opened.value) ?? rows[0];
  const set = (change: Partial<Filter>): void => {
    filter.value = { ...filter.value, ...change };
    pages.value = 1;
  };
  const collections = [
    ...new Set(
      cluster.value!.regions.flatMap(({ node }) =>
        (node?.collections ?? []).map(({ namespace, name }) => `${namespace}/${name}`),
      ),
    ),
  ].toSorted();
  return (
    <div class="grid">
      <Card
        title="Conflicts"
        note={`${count(total)} in the journals${dropped > 0 ? `, ${count(dropped)} older ones dropped for want of room` : ''}`}
        class="list"
        tools={
          <div class="form">
            <label>
              Lost in{' '}
              <select value={filter.value.region} onChange={(event) => set({ region: event.currentTarget.value })}>
                <option value="">any region</option>
                {cluster.value!.regions.map(({ name }) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
            <label>
              Collection{' '}
              <select
                value={filter.value.collection}
                onChange={(event) => set({ collection: event.currentTarget.value })}
              >
                <option value="">all</option>
                {collections.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
            <label>
              Key begins with{' '}
              <input
                type="search"
                value={filter.value.prefix}
                onInput={(event) => set({ prefix: event.currentTarget.value })}
              />
            </label>
          </div>
        }
      >
        {(asked.value?.failed ?? []).map((problem) => (
          <p key={problem} class="problem">
            {problem}
          </p>
        ))}
        {rows.length === 0 ? (
          <p class="empty">
            {asked.busy && asked.value === undefined
              ? 'Asking …'
              : 'No conflicts: no write lost to one that had not seen it.'}
          </p>
        ) : (
          <ul class="rows">
            {rows.map((row) => (
              <li key={idOf(row)}>
                <button type="button" aria-pressed={row === chosen} onClick={() => (opened.value = idOf(row))}>
                  <time title={moment(row.atMs)}>{timeOfDay(row.atMs)}</time>
                  <span class="key">
                    {row.collection}/{row.key}
                    {row.field === null ? '' : ` · ${row.field}`}
                  </span>
                  <span class="dim">
                    {regionOf(row.winner.origin)} over {regionOf(row.loser.origin)}
                  </span>
                </button>
              </li>
            ))}
          </ul>
        )}
        {more ? (
          <button type="button" class="more" onClick={() => pages.value++}>
            Older ones
          </button>
        ) : null}
      </Card>
      {chosen === undefined ? null : <Versions key={idOf(chosen)} conflict={chosen} />}
    </div>
  );
}

/** What the winner wrote: from the log of any region that still has it. */
async function winnerOf({ namespace, collection, key, winner }: ConflictMessage): Promise<OpMessage | undefined> {
  const writer = regionOf(winner.origin);
  const { regions } = answering();
  for (const name of regions.toSorted((a, b) => Number(b === writer) - Number(a === writer))) {
    const told = await ask<KeyMessage>('/ui/api/key', {
      region: name,
      namespace,
      collection,
      key,
      limit: WRITES_LOOKED_AT,
    }).catch(() => undefined);
    const found = told?.changes.find(({ version }) => version.origin === winner.origin && version.seq === winner.seq);
    if (found !== undefined) return found.op;
  }
  return undefined;
}

function Versions({ conflict }: { conflict: ConflictMessage }): JSX.Element {
  const { loser, winner, loserValue, winnerDeletes, namespace, collection, key, field, atMs, shard, type } = conflict;
  const winning = useAsked(idOf(conflict), () => winnerOf(conflict));
  const place = cluster.value!.regions.find(({ name }) => name === regionOf(loser.origin));
  const endpoint = place?.clients ? `-e ${place.clients} ` : '';
  const fieldFlag = field === null ? '' : ` --field '${field}'`;
  return (
    <Card
      title={`${namespace}/${collection}/${key}${field === null ? '' : ` · ${field}`}`}
      note={`${type}, judged ${moment(atMs)} in ${regionOf(loser.origin)}`}
      class="detail"
    >
      <div class="versions">
        <section aria-label="The write that lost">
          <h3>
            <span class="state down">lost</span>
          </h3>
          <Written version={loser} />
          <div class="written">{loserValue === null ? <em>a delete</em> : <Preview value={loserValue} />}</div>
        </section>
        <section aria-label="The write that won">
          <h3>
            <span class="state good">won</span>
          </h3>
          <Written version={winner} after={winner.stamp - loser.stamp} />
          <div class="written">
            {winnerDeletes ? <em>a delete</em> : <Winning op={winning.value} busy={winning.busy} field={field} />}
          </div>
        </section>
      </div>
      <p>
        {regionOf(winner.origin)} had not seen the other write when it took its own, so nobody chose between the two:
        the later stamp won. To write what was lost again:
      </p>
      <Command text={`causeway ${endpoint}conflicts restore ${shard}:${loser.origin}:${loser.seq}${fieldFlag}`} />
      <p>
        <a href={linkTo('keys', { namespace, collection, key })}>Everything that was written to this key</a>
      </p>
    </Card>
  );
}

function Written({ version, after }: { version: VersionMessage; after?: number }): JSX.Element {
  return (
    <dl class="facts">
      <div>
        <dt>in</dt>
        <dd>{regionOf(version.origin)}</dd>
      </div>
      <div>
        <dt>at</dt>
        <dd>
          {moment(msOfStamp(version.stamp))}
          {after === undefined ? null : <span class="dim"> {span(after / 4096)} later</span>}
        </dd>
      </div>
      <div>
        <dt>version</dt>
        <dd class="small">
          {version.stamp}-{version.seq}@{version.origin}
        </dd>
      </div>
    </dl>
  );
}

function Winning({ op, busy, field }: { op: OpMessage | undefined; busy: boolean; field: string | null }): JSX.Element {
  if (op === undefined)
    return <span class="dim">{busy ? 'Looking in the logs …' : 'not found in the newest of the logs'}</span>;
  if (op.kind !== 'map-update' || field === null) return <Op op={op} />;
  const put = op.put.find((each) => each.field === field);
  return put === undefined ? <Op op={op} /> : <Preview value={put.value} />;
}
