// The history of a key across regions: who wrote what, when each region had it, which write lost and why. The story is the command line's
// (src/cli/key-story.ts): `causeway trace` and this panel cannot tell two.

import { useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { KeyMessage, OpMessage, ValueMessage } from '../../src/api/http/page/messages.ts';
import {
  storyOf,
  type Fate,
  type KeyStory,
  type Landing,
  type Testimony,
  type WriteStory,
} from '../../src/cli/key-story.ts';
import { msOfStamp, regionOf } from '../../src/cli/origin-words.ts';
import { ask } from '../data/api.ts';
import { answering, cluster } from '../data/live.ts';
import { count, moment, span } from '../format.ts';
import { Card } from '../parts/card.tsx';
import { Command } from '../parts/command.tsx';
import { Op, Value } from '../parts/preview.tsx';
import { useAsked } from '../parts/use-asked.ts';
import { linkTo, route } from '../route.ts';

interface Name {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
}

interface Answer {
  readonly story: KeyStory<OpMessage, ValueMessage>;
  readonly failed: readonly string[];
}

const WRITES_STEP = 20;
/** In beats of the live figures. */
const EVERY = 3;

export function testimonyOf(told: KeyMessage): Testimony<OpMessage, ValueMessage> {
  return {
    region: told.region,
    history: { shard: told.shard, type: told.type, value: told.value ?? undefined, logStart: told.logStart },
    changes: told.changes.map(({ traceId, landedAfterMs, ...change }) => ({
      ...change,
      trace: traceId ?? undefined,
      landedAfterMs: landedAfterMs ?? undefined,
    })),
    whole: told.whole,
    conflicts: told.conflicts.map(({ field, ...conflict }) => ({ ...conflict, field: field ?? undefined })),
    journalFromMs: told.journalFromMs,
  };
}

async function tell(name: Name, limit: number): Promise<Answer | undefined> {
  if (name.key === '') return undefined;
  const { regions, silent } = answering();
  const failed: string[] = [...silent];
  const told = await Promise.all(
    regions.map((region) =>
      ask<KeyMessage>('/ui/api/key', { region, ...name, limit }).catch((error: unknown) => {
        failed.push(`${region}: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      }),
    ),
  );
  const testimonies = told.flatMap((each) => (each === undefined ? [] : [testimonyOf(each)]));
  return { story: storyOf(testimonies, limit), failed };
}

export function Keys(): JSX.Element {
  const { query } = route.value;
  const name = {
    namespace: query.get('namespace') ?? '',
    collection: query.get('collection') ?? '',
    key: query.get('key') ?? '',
  };
  const [limit, setLimit] = useState(WRITES_STEP);
  const asked = useAsked(JSON.stringify([name, limit]), () => tell(name, limit), EVERY);
  const collections = [
    ...new Set(
      cluster.value!.regions.flatMap(({ node }) =>
        (node?.collections ?? []).map((each) => `${each.namespace}/${each.name}`),
      ),
    ),
  ].toSorted();
  const chosen = name.collection === '' ? collections[0] : `${name.namespace}/${name.collection}`;
  return (
    <div class="grid">
      <Card title="Key history" note="across all regions, newest first">
        <form
          class="form bar"
          onSubmit={(event) => {
            event.preventDefault();
            const { collection: full, key } = event.currentTarget.elements as unknown as Record<
              string,
              HTMLInputElement
            >;
            const [namespace = '', collection = ''] = full!.value.split('/');
            location.hash = linkTo('keys', { namespace, collection, key: key!.value });
          }}
        >
          <label>
            Collection{' '}
            <select name="collection" key={chosen} value={chosen}>
              {collections.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
          <label>
            Key{' '}
            <input name="key" required key={name.key} defaultValue={name.key} spellcheck={false} autocomplete="off" />
          </label>
          <button type="submit" class="main">
            Tell
          </button>
        </form>
        {name.key === '' ? (
          <p class="empty">Name a key: its writes in every region, which are visible, and which lost to what.</p>
        ) : (
          <Told name={name} asked={asked.value} problem={asked.problem} />
        )}
        {asked.value?.story.older === true && asked.value.story.writes.length >= limit ? (
          <button type="button" class="more" onClick={() => setLimit(limit + WRITES_STEP)}>
            Older writes
          </button>
        ) : null}
      </Card>
    </div>
  );
}

function Told({ name, asked, problem }: { name: Name; asked: Answer | undefined; problem: string }): JSX.Element {
  if (asked === undefined) return <p class="empty">{problem === '' ? 'Asking every region …' : problem}</p>;
  const { story, failed } = asked;
  const values = new Map<string, { readonly value: ValueMessage | undefined; readonly regions: string[] }>();
  for (const { region, value } of story.values) {
    const as = JSON.stringify(value ?? null);
    const found = values.get(as);
    if (found === undefined) values.set(as, { value, regions: [region] });
    else found.regions.push(region);
  }
  return (
    <>
      {failed.map((each) => (
        <p key={each} class="problem">
          {each}
        </p>
      ))}
      <dl class="facts">
        <div>
          <dt>type</dt>
          <dd>
            {story.type}, shard {story.shard}
          </dd>
        </div>
        {[...values.values()].map(({ value, regions }) => (
          <div key={regions.join()}>
            <dt>now in {regions.join(', ')}</dt>
            <dd>
              <Value value={value ?? null} />
            </dd>
          </div>
        ))}
      </dl>
      {values.size > 1 ? (
        <p class="problem">The regions do not show the same: some write is still on its way.</p>
      ) : null}
      {story.writes.length === 0 ? <p class="empty">No write to it in the logs that were looked through.</p> : null}
      <ol class="writes">
        {story.writes.toReversed().map((write) => (
          <Write key={`${write.version.origin} ${write.version.seq}`} write={write} name={name} shard={story.shard} />
        ))}
      </ol>
    </>
  );
}

function Write({ write, name, shard }: { write: WriteStory<OpMessage>; name: Name; shard: string }): JSX.Element {
  const { region, version, acceptedAtMs, op, trace, landings, fates, heldBy } = write;
  return (
    <li
      class={
        fates.some(({ kind }) => kind === 'visible')
          ? 'visible'
          : fates.some(({ kind }) => kind === 'lost')
            ? 'lost-write'
            : ''
      }
    >
      <p class="head">
        <time>{moment(acceptedAtMs)}</time> <b>{region}</b>{' '}
        {fates.map((fate, i) => (
          <FateMark key={i} fate={fate} region={region} />
        ))}
      </p>
      <div class="written">
        <Op op={op} />
      </div>
      <ul class="landings" aria-label="Where it is">
        {landings.map((landing) => (
          <li key={landing.region}>
            <b>{landing.region}</b> {landingText(landing)}
            {landing.kind === 'own' && heldBy.length > 0 ? (
              <span class="dim">, also held by {heldBy.join(', ')}</span>
            ) : null}
          </li>
        ))}
      </ul>
      <p class="dim small">
        version {version.stamp}-{version.seq}@{version.origin}
        {trace === undefined ? null : (
          <>
            {' · '}
            <a href={linkTo('traces', { trace: String(trace) })}>trace {String(trace).slice(0, 8)}</a>
          </>
        )}
      </p>
      {fates.some(({ kind }) => kind === 'lost') ? (
        <Restore region={region} id={`${shard}:${version.origin}:${version.seq}`} name={name} />
      ) : null}
    </li>
  );
}

function Restore({ region, id }: { region: string; id: string; name: Name }): JSX.Element {
  const clients = cluster.value!.regions.find((each) => each.name === region)?.clients;
  return <Command text={`causeway ${clients ? `-e ${clients} ` : ''}conflicts restore ${id}`} />;
}

function FateMark({ fate, region }: { fate: Fate; region: string }): JSX.Element {
  switch (fate.kind) {
    case 'visible':
      return (
        <span class="state good">
          is what readers see{fate.fields === undefined ? '' : ` of ${fate.fields.join(', ')}`}
        </span>
      );
    case 'lost':
      return (
        <span class="state down">
          lost{fate.field === undefined ? '' : ` in ${fate.field}`} to {regionOf(fate.to.origin)}'s{' '}
          {fate.deleted ? 'delete' : 'write'} of {moment(msOfStamp(fate.to.stamp))}, which had not seen it
        </span>
      );
    case 'replaced':
      return (
        <span class="state unknown">
          replaced by {regionOf(fate.by.origin)}'s write of {moment(msOfStamp(fate.by.stamp))}
          {fate.noConflict ? `; no conflict in the journal of ${region}` : ''}
        </span>
      );
  }
}

function landingText({ kind, offset = 0, afterMs, beforeMs = 0 }: Landing): string {
  switch (kind) {
    case 'own':
      return `accepted it then, at ${count(offset)} of its log`;
    case 'landed':
      if (afterMs === beforeMs) return `had it ${span(beforeMs)} later`;
      return afterMs === undefined
        ? `had it at most ${span(beforeMs)} later`
        : `had it between ${span(afterMs)} and ${span(beforeMs)} later`;
    case 'missing':
      return 'does not have it yet';
    case 'unknown':
      return 'did not look back so far';
  }
}
