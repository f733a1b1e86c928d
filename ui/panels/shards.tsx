// Which node owns which shard in which region, and whether regions have applied the same.

import type { JSX } from 'preact';
import type { RegionMessage, ShardMessage } from '../../src/api/http/page/messages.ts';
import { cluster, sinceMs } from '../data/live.ts';
import { count } from '../format.ts';
import { freshNode } from '../health.ts';
import { Card } from '../parts/card.tsx';
import { HealthMark } from '../parts/health-mark.tsx';

export function Shards(): JSX.Element {
  const { regions } = cluster.value!;
  const told = regions.map((region) => ({ region, shards: region.node?.shards ?? [] }));
  const names = [...new Set(told.flatMap(({ shards }) => shards.map(({ shard }) => shard)))].toSorted(byNumbers);
  const held = told.flatMap(({ region, shards }) =>
    shards.flatMap(({ shard, held: all }) => all.map((each) => ({ ...each, shard, region: region.name }))),
  );
  return (
    <div class="grid">
      {held.length === 0 ? null : (
        <ul class="alarms" aria-label="Streams that are held">
          {held.map(({ region, shard, origin, message }) => (
            <li key={`${region} ${shard} ${origin}`}>
              <HealthMark health="bad" label="held" /> <b>{region}</b> holds <code>{origin}</code> in shard {shard}:{' '}
              {message}
            </li>
          ))}
        </ul>
      )}
      <Card
        title="Shards and their owners"
        note="the node that sequences and applies each, what it has applied, and whether that is the same as elsewhere"
      >
        <div class="scrolls">
          <table class="stacks">
            <thead>
              <tr>
                <th scope="col">shard</th>
                {regions.map((region) => (
                  <th
                    key={region.name}
                    scope="col"
                    class={freshNode(region, sinceMs.value) === undefined ? 'stale' : ''}
                  >
                    {region.name}
                  </th>
                ))}
                <th scope="col">content</th>
              </tr>
            </thead>
            <tbody>
              {names.map((name) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  {told.map(({ region, shards }) => (
                    <Owned key={region.name} region={region} shard={shards.find(({ shard }) => shard === name)} />
                  ))}
                  <Same
                    all={told.map(({ region, shards }) => ({
                      region,
                      shard: shards.find(({ shard }) => shard === name),
                    }))}
                  />
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <p class="dim footnote">
          Figures of different regions are looked at one after the other, so under load a shard is hardly ever at the
          same ops everywhere. <code>causeway verify</code> pins a moment and proves it.
        </p>
      </Card>
    </div>
  );
}

function byNumbers(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

function Owned({ region, shard }: { region: RegionMessage; shard: ShardMessage | undefined }): JSX.Element {
  const stale = freshNode(region, sinceMs.value) === undefined;
  if (shard === undefined) {
    return (
      <td data-label={region.name} class="dim">
        {region.node === null ? 'not known' : 'does not hold it'}
      </td>
    );
  }
  const { owner, open, ops, parkedBatches, tombstones } = shard;
  return (
    <td data-label={region.name} class={stale ? 'stale' : ''}>
      <span>
        {owner} {open ? null : <span class="state slow">takes no writes</span>}
      </span>
      <span class="dim small">
        {count(ops)} ops{parkedBatches > 0 ? `, ${count(parkedBatches)} batches waiting` : ''}
        {tombstones > 0 ? `, ${count(tombstones)} tombstones` : ''}
      </span>
    </td>
  );
}

function Same({
  all,
}: {
  all: readonly { readonly region: RegionMessage; readonly shard: ShardMessage | undefined }[];
}): JSX.Element {
  const fresh = all.flatMap(({ region, shard }) =>
    shard === undefined || freshNode(region, sinceMs.value) === undefined ? [] : [shard],
  );
  const holders = all.filter(({ shard }) => shard !== undefined).length;
  const sameOps = new Set(fresh.map(({ vectorHash }) => vectorHash)).size <= 1;
  const sameDigest = new Set(fresh.map(({ digest }) => digest)).size <= 1;
  const [health, says] =
    fresh.length < 2
      ? (['unknown', 'nobody to compare with'] as const)
      : !sameOps
        ? (['unknown', 'ops on their way'] as const)
        : !sameDigest
          ? (['bad', 'same ops, digests differ'] as const)
          : (['good', fresh.length === holders ? 'the same' : `the same in ${fresh.length}`] as const);
  return (
    <td data-label="content">
      <HealthMark health={health} label="" /> {says}
    </td>
  );
}
