// Who is how far behind whom, how far away, and how far apart their clocks are.

import type { JSX } from 'preact';
import { cluster, sinceMs } from '../data/live.ts';
import { bytes, count, signed, span } from '../format.ts';
import { HEALTH_WORDS, waysOf, type Way } from '../health.ts';
import { Card } from '../parts/card.tsx';
import { HealthMark } from '../parts/health-mark.tsx';

export function Matrix(): JSX.Element {
  const { regions } = cluster.value!;
  const ways = waysOf(cluster.value!, sinceMs.value);
  return (
    <Card
      title="Region to region"
      note="a row: how far the region is behind, how long a round trip takes, how far the other's clock is ahead"
    >
      <div class="scrolls">
        <table class="matrix stacks">
          <thead>
            <tr>
              <th scope="col">
                <span class="dim">behind →</span>
              </th>
              {regions.map(({ name }) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {regions.map(({ name: row }) => (
              <tr key={row}>
                <th scope="row">{row}</th>
                {regions.map(({ name: column }) =>
                  row === column ? (
                    <td key={column} class="self" aria-label="itself" />
                  ) : (
                    <Cell key={column} way={ways.find(({ region, origin }) => region === row && origin === column)!} />
                  ),
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function Cell({ way }: { way: Way }): JSX.Element {
  const { health, peer, fresh, text, origin, region } = way;
  const link = peer === undefined || peer.link === 'up' ? '' : peer.link;
  return (
    <td
      class={`cell ${fresh ? '' : 'stale'}`}
      data-cell={`${region} ${origin}`}
      data-label={`behind ${origin}`}
      title={text === '' ? undefined : text}
    >
      <span class="lag">
        <HealthMark health={health} label={`${HEALTH_WORDS[health]},`} /> {fresh ? span(peer?.lagMs) : ''}
        {link === '' || !fresh ? null : <span class="link-state"> {link}</span>}
      </span>
      {peer === undefined || !fresh ? (
        <span class="dim">{region} does not answer</span>
      ) : (
        <dl>
          <div>
            <dt>RTT</dt>
            <dd>{span(peer.rttMs)}</dd>
          </div>
          <div>
            <dt>clock</dt>
            <dd>{signed(peer.offsetMs)}</dd>
          </div>
          <div>
            <dt>to send</dt>
            <dd title={peer.backlogBytes === null ? undefined : `about ${bytes(peer.backlogBytes)}`}>
              {count(peer.backlogOps)}
            </dd>
          </div>
        </dl>
      )}
    </td>
  );
}
