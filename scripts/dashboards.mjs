// node scripts/dashboards.mjs            writes deploy/grafana/*.json
// node scripts/dashboards.mjs --check    says which of them are not as this file has them
//
// Grafana's own JSON repeats everything for every panel; what a dashboard says is here, once. Units are Grafana's ids.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const directory = join(dirname(dirname(fileURLToPath(import.meta.url))), 'deploy/grafana');

/**
 * @typedef {{ expr: string, legend: string }} Query
 * @typedef {{ title: string, says: string, unit: string, queries: Query[], kind?: 'timeseries' | 'stat', width?: number, max?: number, bad?: number }} Panel
 * @typedef {{ uid: string, title: string, says: string, rows: Record<string, Panel[]> }} Dashboard
 */

const HERE = 'region=~"$region"';
const RATE = '[$__rate_interval]';

/** @param {string} expr @param {string} legend @returns {Query} */
const q = (expr, legend) => ({ expr, legend });

/** A histogram's quantile by some labels. @param {number} quantile @param {string} name @param {string} by */
const quantile = (quantile, name, by) =>
  `histogram_quantile(${quantile}, sum by (le, ${by}) (rate(${name}_bucket{${HERE}}${RATE})))`;

/** @param {string} name @param {string} by @param {string} [more] */
const rate = (name, by, more = '') => `sum by (${by}) (rate(${name}{${HERE}${more}}${RATE}))`;

/** @type {Dashboard[]} */
export const DASHBOARDS = [
  {
    uid: 'causeway-overview',
    title: 'Causeway: overview',
    says: 'Are all regions there, how far are they apart, and do they take what they are given?',
    rows: {
      Now: [
        {
          title: 'Nodes ready',
          says: 'Of those that are scraped.',
          unit: 'short',
          kind: 'stat',
          width: 4,
          queries: [q(`sum(causeway_node_ready{${HERE}})`, 'ready')],
        },
        {
          title: 'Worst lag',
          says: 'By watermark, of any region behind any other. It grows while nothing is heard.',
          unit: 's',
          kind: 'stat',
          width: 4,
          bad: 5,
          queries: [q(`max(causeway_replication_lag_seconds{${HERE}})`, 'lag')],
        },
        {
          title: 'Alarms',
          says: 'That are raised now; docs/OPERATIONS.md says what each asks for.',
          unit: 'short',
          kind: 'stat',
          width: 4,
          bad: 1,
          queries: [q(`sum(causeway_alarms{${HERE}})`, 'alarms')],
        },
        {
          title: 'Writes accepted',
          says: 'Durable in their own region, all regions together.',
          unit: 'ops',
          kind: 'stat',
          width: 4,
          queries: [q(`sum(rate(causeway_ops_accepted_total{${HERE}}${RATE}))`, 'writes')],
        },
        {
          title: 'Refused',
          says: 'Ops that were refused or failed, whatever the reason.',
          unit: 'ops',
          kind: 'stat',
          width: 4,
          bad: 1,
          queries: [q(`sum(rate(causeway_ops_refused_total{${HERE}}${RATE})) or vector(0)`, 'refused')],
        },
        {
          title: 'Live keys',
          says: 'In the region that has most.',
          unit: 'short',
          kind: 'stat',
          width: 4,
          queries: [q(`max(sum by (region) (causeway_keys{${HERE}}))`, 'keys')],
        },
      ],
      Regions: [
        {
          title: 'Lag',
          says: 'How far each region is behind each other one, by watermark.',
          unit: 's',
          bad: 5,
          queries: [
            q(`max by (region, origin) (causeway_replication_lag_seconds{${HERE}})`, '{{region}} behind {{origin}}'),
          ],
        },
        {
          title: 'Writes accepted',
          says: 'By the region that took them.',
          unit: 'ops',
          queries: [q(rate('causeway_ops_accepted_total', 'region'), '{{region}}')],
        },
        {
          title: 'Writes refused, by code',
          says: 'OVERLOADED is load that was shed; READ_ONLY a full disk; CLOCK_UNSYNCED a clock.',
          unit: 'ops',
          queries: [q(rate('causeway_ops_refused_total', 'region, code'), '{{region}} {{code}}')],
        },
        {
          title: 'Answers, 99th percentile',
          says: 'From a request to its answer, by RPC, all regions.',
          unit: 's',
          queries: [q(quantile(0.99, 'causeway_rpc_duration_seconds', 'rpc'), '{{rpc}}')],
        },
        {
          title: 'Conflicts',
          says: 'Verdicts by the region that wrote the loser, by merge type.',
          unit: 'ops',
          queries: [q(rate('causeway_conflicts_total', 'region, type'), '{{region}} {{type}}')],
        },
        {
          title: 'State',
          says: 'What each node says of itself; only states other than ready are drawn.',
          unit: 'short',
          queries: [q(`causeway_node_state{${HERE}, state!="ready"} == 1`, '{{node}} {{state}}')],
        },
      ],
    },
  },
  {
    uid: 'causeway-replication',
    title: 'Causeway: replication',
    says: 'What goes between regions: lag, backlog, links, bytes, clocks, and what stands still.',
    rows: {
      Lag: [
        {
          title: 'Lag by watermark',
          says: 'The honest one: it grows by a second a second while nothing is heard, and is +Inf while nothing of a region counts.',
          unit: 's',
          bad: 5,
          queries: [
            q(`max by (region, origin) (causeway_replication_lag_seconds{${HERE}})`, '{{region}} behind {{origin}}'),
          ],
        },
        {
          title: 'Lag per op, median',
          says: "From the stamp of an op to being visible here, of ops that arrived. The clocks' offset is in it.",
          unit: 's',
          queries: [
            q(quantile(0.5, 'causeway_replication_op_lag_seconds', 'region, origin'), '{{region}} from {{origin}}'),
          ],
        },
        {
          title: 'Lag per op, 99th percentile',
          says: 'The same, of the slowest hundredth.',
          unit: 's',
          queries: [
            q(quantile(0.99, 'causeway_replication_op_lag_seconds', 'region, origin'), '{{region}} from {{origin}}'),
          ],
        },
      ],
      Canaries: [
        {
          title: 'Round trip of canaries, median',
          says: "Writes of Causeway's own that the peer answers: through both logs, both ways. Only while tracing is on.",
          unit: 's',
          queries: [
            q(quantile(0.5, 'causeway_canary_round_trip_seconds', 'region, peer'), '{{region}} to {{peer}} and back'),
          ],
        },
        {
          title: 'Round trip of canaries, 99th percentile',
          says: 'The same, of the slowest hundredth.',
          unit: 's',
          queries: [
            q(quantile(0.99, 'causeway_canary_round_trip_seconds', 'region, peer'), '{{region}} to {{peer}} and back'),
          ],
        },
        {
          title: 'Canaries without an answer',
          says: 'Within half a minute. A peer that is away has a few.',
          unit: 'short',
          queries: [
            q(
              `sum by (region, peer) (increase(causeway_canaries_lost_total{${HERE}}${RATE}))`,
              '{{region}} to {{peer}}',
            ),
          ],
        },
      ],
      Backlog: [
        {
          title: 'Not acknowledged, ops',
          says: 'Of this region, by peer. A peer that is away costs a cursor on the log and no memory.',
          unit: 'short',
          queries: [q(`sum by (region, peer) (causeway_replication_backlog_ops{${HERE}})`, '{{region}} to {{peer}}')],
        },
        {
          title: 'Not acknowledged, bytes',
          says: 'About.',
          unit: 'bytes',
          queries: [q(`sum by (region, peer) (causeway_replication_backlog_bytes{${HERE}})`, '{{region}} to {{peer}}')],
        },
        {
          title: 'Applied',
          says: 'Ops of other regions that became visible here.',
          unit: 'ops',
          queries: [q(rate('causeway_ops_applied_total', 'region, origin'), '{{region}} from {{origin}}')],
        },
      ],
      Links: [
        {
          title: 'Links that are not up',
          says: 'By the region that fetches and the peer that it fetches from.',
          unit: 'short',
          queries: [q(`causeway_link_state{${HERE}, state!="up"} == 1`, '{{region}} to {{peer}}: {{state}}')],
        },
        {
          title: 'Links that ended',
          says: 'How often one that was up went down.',
          unit: 'short',
          queries: [
            q(`sum by (region, peer) (increase(causeway_link_drops_total{${HERE}}${RATE}))`, '{{region}} to {{peer}}'),
          ],
        },
        {
          title: 'Use of the window',
          says: 'What is under way and not answered, of what the peer allows. At 1 the wire is full: raise limits.linkWindowBytes there.',
          unit: 'percentunit',
          max: 1,
          queries: [
            q(
              `sum by (region, peer) (causeway_link_window_used_bytes{${HERE}}) / (sum by (region, peer) (causeway_link_window_bytes{${HERE}}) > 0)`,
              '{{region}} to {{peer}}',
            ),
          ],
        },
        {
          title: 'Sent over the wire',
          says: 'Heartbeats included, compressed where that was agreed.',
          unit: 'Bps',
          queries: [q(rate('causeway_link_sent_wire_bytes_total', 'region, peer'), '{{region}} to {{peer}}')],
        },
        {
          title: 'Wire bytes per byte of batches',
          says: 'Below 1 compression saves something; far above 1 a link carries heartbeats only.',
          unit: 'none',
          queries: [
            q(
              `${rate('causeway_link_received_wire_bytes_total', 'region, peer')} / (${rate('causeway_link_received_bytes_total', 'region, peer')} > 0)`,
              '{{region}} from {{peer}}',
            ),
            q(
              `${rate('causeway_link_sent_wire_bytes_total', 'region, peer')} / (${rate('causeway_link_sent_bytes_total', 'region, peer')} > 0)`,
              '{{region}} to {{peer}}',
            ),
          ],
        },
        {
          title: 'Batches that came in vain',
          says: 'Duplicates, and those that were not kept; both are ordinary after a reconnect.',
          unit: 'ops',
          queries: [
            q(rate('causeway_batches_duplicate_total', 'region'), '{{region}} duplicate'),
            q(rate('causeway_batches_refused_total', 'region, origin'), '{{region}} not kept, from {{origin}}'),
          ],
        },
      ],
      'What stands still': [
        {
          title: 'Parked batches',
          says: 'That wait for something that they depend on.',
          unit: 'short',
          queries: [q(`sum by (region) (causeway_batches_parked{${HERE}})`, '{{region}}')],
        },
        {
          title: 'Held streams',
          says: 'For the clock, for a fork, or in quarantine.',
          unit: 'short',
          bad: 1,
          queries: [q(`sum by (region, kind) (causeway_origins_held{${HERE}})`, '{{region}} {{kind}}')],
        },
        {
          title: 'Same vector, other digest',
          says: '1 where regions that have applied the same writes hold different data. It must stay empty.',
          unit: 'short',
          bad: 1,
          queries: [
            q(
              '(max by (cluster, shard) (causeway_shard_vector_hash) == min by (cluster, shard) (causeway_shard_vector_hash)) * 0 + 1 and on (cluster, shard) (max by (cluster, shard) (causeway_shard_digest) != min by (cluster, shard) (causeway_shard_digest))',
              '{{cluster}} shard {{shard}}',
            ),
          ],
        },
      ],
      Clocks: [
        {
          title: 'Offset',
          says: "The peer's clock minus this region's.",
          unit: 's',
          queries: [q(`causeway_clock_offset_seconds{${HERE}}`, '{{region}} sees {{peer}}')],
        },
        {
          title: 'Stamps ahead of the clock',
          says: "The peer's newest stamp, and the node's own hybrid clock, before this machine's clock. Beyond the bound a stream is held.",
          unit: 's',
          queries: [
            q(`causeway_clock_skew_seconds{${HERE}}`, '{{region}} sees {{peer}}'),
            q(`causeway_clock_ahead_seconds{${HERE}}`, '{{region}} itself'),
            q(`max(causeway_clock_skew_max_seconds{${HERE}})`, 'bound'),
          ],
        },
        {
          title: 'Round trip',
          says: 'Of heartbeats; a busy peer answers late over the best of wires.',
          unit: 's',
          queries: [q(`causeway_clock_round_trip_seconds{${HERE}}`, '{{region}} to {{peer}}')],
        },
      ],
    },
  },
  {
    uid: 'causeway-node',
    title: 'Causeway: node',
    says: 'What callers see of each node, and what it takes of its machine.',
    rows: {
      gRPC: [
        {
          title: 'Requests',
          says: 'Answered, by RPC. Of WriteStream each message counts.',
          unit: 'reqps',
          queries: [q(rate('causeway_rpc_requests_total', 'node, rpc'), '{{node}} {{rpc}}')],
        },
        {
          title: 'Errors, by code',
          says: 'Of whole requests; ops that were refused within an OK answer are counted beside.',
          unit: 'reqps',
          queries: [
            q(rate('causeway_rpc_requests_total', 'node, rpc, code', ', code!="OK"'), '{{node}} {{rpc}} {{code}}'),
          ],
        },
        {
          title: 'Duration, median',
          says: 'From a request to its answer.',
          unit: 's',
          queries: [q(quantile(0.5, 'causeway_rpc_duration_seconds', 'node, rpc'), '{{node}} {{rpc}}')],
        },
        {
          title: 'Duration, 99th percentile',
          says: 'A write waits for its commit; with `regions: n` for others too.',
          unit: 's',
          queries: [q(quantile(0.99, 'causeway_rpc_duration_seconds', 'node, rpc'), '{{node}} {{rpc}}')],
        },
        {
          title: 'In flight',
          says: 'Not answered yet, and open streams.',
          unit: 'short',
          queries: [q(`causeway_rpc_in_flight{${HERE}} > 0`, '{{node}} {{rpc}}')],
        },
        {
          title: 'Subscriptions',
          says: 'To the change feed, gRPC and HTTP.',
          unit: 'short',
          queries: [q(`causeway_subscriptions{${HERE}}`, '{{node}}')],
        },
      ],
      HTTP: [
        {
          title: 'Requests',
          says: 'By route and status.',
          unit: 'reqps',
          queries: [
            q(
              rate('causeway_http_requests_total', 'node, route, method, status'),
              '{{node}} {{method}} {{route}} {{status}}',
            ),
          ],
        },
        {
          title: 'Duration, 99th percentile',
          says: 'To the end of the answer; watches have none.',
          unit: 's',
          queries: [q(quantile(0.99, 'causeway_http_request_duration_seconds', 'node, route'), '{{node}} {{route}}')],
        },
        {
          title: 'In flight',
          says: 'Watches included.',
          unit: 'short',
          queries: [q(`causeway_http_in_flight{${HERE}}`, '{{node}}')],
        },
      ],
      Load: [
        {
          title: 'Use of the bounds',
          says: 'At 1 what is new is refused as OVERLOADED: requests that are held, ops before the log, keys before the store.',
          unit: 'percentunit',
          max: 1,
          bad: 0.8,
          queries: [
            q(`causeway_api_pending_bytes{${HERE}} / causeway_api_pending_bytes_max{${HERE}}`, '{{node}} requests'),
            q(
              `causeway_ops_in_flight_bytes{${HERE}} / causeway_ops_in_flight_bytes_max{${HERE}}`,
              '{{node}} before the log',
            ),
            q(
              `causeway_store_backlog_keys{${HERE}} / causeway_store_backlog_keys_max{${HERE}}`,
              '{{node}} before the store',
            ),
          ],
        },
        {
          title: 'Event loop delay, 99th percentile',
          says: 'How long a request waits before anybody looks at it.',
          unit: 's',
          queries: [q(quantile(0.99, 'causeway_event_loop_delay_seconds', 'node'), '{{node}}')],
        },
        {
          title: 'CPU',
          says: 'Cores in use. One thread does most of it.',
          unit: 'none',
          queries: [q(`rate(process_cpu_seconds_total{${HERE}}${RATE})`, '{{node}}')],
        },
        {
          title: 'Memory',
          says: 'In RAM, of that the heap, and buffers outside of it.',
          unit: 'bytes',
          queries: [
            q(`process_resident_memory_bytes{${HERE}}`, '{{node}} RAM'),
            q(`process_heap_bytes{${HERE}}`, '{{node}} heap'),
            q(`process_external_memory_bytes{${HERE}}`, '{{node}} buffers'),
          ],
        },
        {
          title: 'Writes and retries',
          says: 'Accepted, and retries that were answered with their first result.',
          unit: 'ops',
          queries: [
            q(rate('causeway_ops_accepted_total', 'node'), '{{node}} accepted'),
            q(rate('causeway_ops_retried_total', 'node'), '{{node}} retried'),
          ],
        },
        {
          title: 'Uptime',
          says: 'Since the process started.',
          unit: 's',
          queries: [q(`time() - process_start_time_seconds{${HERE}}`, '{{node}}')],
        },
      ],
      State: [
        {
          title: 'Keys and tombstones',
          says: 'Live keys, and what is kept to beat late arrivals.',
          unit: 'short',
          queries: [
            q(`causeway_keys{${HERE}}`, '{{node}} keys'),
            q(`causeway_tombstones{${HERE}}`, '{{node}} tombstones'),
          ],
        },
        {
          title: 'Idempotency table and conflict journal',
          says: 'Entries that are kept.',
          unit: 'short',
          queries: [
            q(`causeway_idempotency_entries{${HERE}}`, '{{node}} retries'),
            q(`causeway_conflict_journal_entries{${HERE}}`, '{{node}} conflicts'),
          ],
        },
        {
          title: 'Shards',
          says: 'Owned, and of those the ones that take writes.',
          unit: 'short',
          queries: [
            q(`causeway_shards{${HERE}}`, '{{node}} owned'),
            q(`causeway_shards_open{${HERE}}`, '{{node}} open'),
          ],
        },
        {
          title: 'Dropped collections',
          says: 'Keys of them that are deleted, a second, and shards in which some were found at the last look.',
          unit: 'short',
          queries: [
            q(`rate(causeway_swept_keys_total{${HERE}}[$__rate_interval])`, '{{node}} keys a second'),
            q(`causeway_unswept_shards{${HERE}}`, '{{node}} shards'),
          ],
        },
      ],
    },
  },
  {
    uid: 'causeway-engines',
    title: 'Causeway: engines',
    says: 'The log that makes writes durable, the store that reads come from, and the disk under both.',
    rows: {
      Log: [
        {
          title: 'fdatasync, median and 99th percentile',
          says: 'What a write waits for at least.',
          unit: 's',
          queries: [
            q(quantile(0.5, 'causeway_log_sync_seconds', 'node'), '{{node}} median'),
            q(quantile(0.99, 'causeway_log_sync_seconds', 'node'), '{{node}} 99th'),
          ],
        },
        {
          title: 'Commits',
          says: 'Groups of appends, each with one fdatasync; and batches of own writes.',
          unit: 'ops',
          queries: [
            q(`sum by (node) (rate(causeway_log_sync_seconds_count{${HERE}}${RATE}))`, '{{node}} commits'),
            q(rate('causeway_batches_sealed_total', 'node'), '{{node}} batches'),
          ],
        },
        {
          title: 'Size of a commit, 99th percentile',
          says: 'In bytes: large ones are load that shares the disk.',
          unit: 'bytes',
          queries: [q(quantile(0.99, 'causeway_log_commit_bytes', 'node'), '{{node}}')],
        },
        {
          title: 'Entries of a commit',
          says: 'On average, all shards together.',
          unit: 'none',
          queries: [
            q(
              `sum by (node) (rate(causeway_log_commit_entries_sum{${HERE}}${RATE})) / sum by (node) (rate(causeway_log_commit_entries_count{${HERE}}${RATE}))`,
              '{{node}}',
            ),
          ],
        },
        {
          title: 'Bytes of the log',
          says: 'All of history, until snapshots exist.',
          unit: 'bytes',
          queries: [q(`causeway_log_bytes{${HERE}}`, '{{node}}')],
        },
        {
          title: 'State of the log',
          says: 'Only states other than ready are drawn, and a log that is not durable.',
          unit: 'short',
          bad: 1,
          queries: [
            q(`causeway_log_state{${HERE}, state!="ready"} == 1`, '{{node}} {{state}}'),
            q(`1 - causeway_log_durable{${HERE}}`, '{{node}} not durable'),
          ],
        },
      ],
      Store: [
        {
          title: 'Bytes of the store',
          says: 'A cache of the log.',
          unit: 'bytes',
          queries: [q(`causeway_store_bytes{${HERE}}`, '{{node}}')],
        },
        {
          title: 'Silence of the store',
          says: 'A store on a server that has answered nothing of what it was asked. From a second on it is away, and what is not in memory is refused.',
          unit: 's',
          queries: [q(`causeway_store_silent_seconds{${HERE}}`, '{{node}}')],
        },
        {
          title: 'Keys that the store lacks',
          says: 'They are answered from memory; beyond the bound writes are refused.',
          unit: 'short',
          queries: [q(`causeway_store_backlog_keys{${HERE}}`, '{{node}}')],
        },
        {
          title: 'Key states in memory',
          says: 'By the bytes of their encoding; the objects take two to four times as much.',
          unit: 'bytes',
          queries: [q(`causeway_state_cache_bytes{${HERE}}`, '{{node}}')],
        },
        {
          title: 'Rebuilds',
          says: 'Shards of the store that were made anew from the log, and shards that began again.',
          unit: 'short',
          bad: 1,
          queries: [
            q(`increase(causeway_store_rebuilds_total{${HERE}}[1h])`, '{{node}} store, in an hour'),
            q(`increase(causeway_shard_restarts_total{${HERE}}[1h])`, '{{node}} shards, in an hour'),
          ],
        },
      ],
      Disk: [
        {
          title: 'Free',
          says: 'Of the file system of the data directory.',
          unit: 'bytes',
          queries: [q(`causeway_disk_free_bytes{${HERE}}`, '{{node}}')],
        },
        {
          title: 'Used',
          says: 'At 1 the node takes no writes, and nothing from its peers.',
          unit: 'percentunit',
          max: 1,
          bad: 0.9,
          queries: [q(`1 - causeway_disk_free_bytes{${HERE}} / causeway_disk_size_bytes{${HERE}}`, '{{node}}')],
        },
      ],
    },
  },
];

const COLUMNS = 24;
const HEIGHT = 8;

/** @param {Dashboard} dashboard */
function jsonOf({ uid, title, says, rows }) {
  const datasource = { type: 'prometheus', uid: '${datasource}' };
  /** @type {object[]} */
  const panels = [];
  let id = 1;
  let y = 0;
  for (const [row, members] of Object.entries(rows)) {
    panels.push({
      id: id++,
      type: 'row',
      title: row,
      collapsed: false,
      panels: [],
      gridPos: { h: 1, w: COLUMNS, x: 0, y },
    });
    y++;
    let x = 0;
    for (const panel of members) {
      const w = panel.width ?? 8;
      const h = panel.kind === 'stat' ? 4 : HEIGHT;
      if (x + w > COLUMNS) {
        x = 0;
        y += h;
      }
      panels.push(panelOf(panel, { id: id++, datasource, gridPos: { h, w, x, y } }));
      x += w;
    }
    y += members.at(-1)?.kind === 'stat' ? 4 : HEIGHT;
  }
  return {
    uid,
    title,
    description: says,
    tags: ['causeway'],
    timezone: 'utc',
    schemaVersion: 39,
    editable: true,
    refresh: '15s',
    time: { from: 'now-1h', to: 'now' },
    links: [
      {
        title: 'Causeway',
        type: 'dashboards',
        tags: ['causeway'],
        asDropdown: false,
        includeVars: true,
        keepTime: true,
      },
    ],
    templating: {
      list: [
        { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
        {
          name: 'region',
          label: 'Region',
          type: 'query',
          datasource,
          query: { query: 'label_values(causeway_build_info, region)', refId: 'region' },
          refresh: 2,
          sort: 1,
          multi: true,
          includeAll: true,
          allValue: '.*',
          current: { text: 'All', value: '$__all' },
        },
      ],
    },
    panels,
  };
}

/** @param {Panel} panel @param {object} place */
function panelOf({ title, says, unit, queries, kind = 'timeseries', max, bad }, place) {
  const steps = [{ color: 'green', value: null }, ...(bad === undefined ? [] : [{ color: 'red', value: bad }])];
  const defaults = {
    unit,
    min: unit === 's' && title === 'Offset' ? undefined : 0,
    max,
    thresholds: { mode: 'absolute', steps },
  };
  return {
    ...place,
    type: kind,
    title,
    description: says,
    fieldConfig: {
      defaults:
        kind === 'stat'
          ? defaults
          : {
              ...defaults,
              custom: {
                lineWidth: 1,
                fillOpacity: 8,
                showPoints: 'never',
                thresholdsStyle: { mode: bad === undefined ? 'off' : 'line' },
              },
            },
      overrides: [],
    },
    options:
      kind === 'stat'
        ? {
            reduceOptions: { calcs: ['lastNotNull'] },
            colorMode: bad === undefined ? 'none' : 'value',
            graphMode: 'area',
          }
        : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      expr,
      legendFormat: legend,
      ...(kind === 'stat' ? { instant: true } : {}),
    })),
  };
}

/** File name → text. */
export function dashboardFiles() {
  return new Map(
    DASHBOARDS.map((dashboard) => [
      `${dashboard.uid.replace('causeway-', '')}.json`,
      `${JSON.stringify(jsonOf(dashboard), null, 2)}\n`,
    ]),
  );
}

function main() {
  const check = process.argv.includes('--check');
  for (const [name, text] of dashboardFiles()) {
    const path = join(directory, name);
    if (!check) writeFileSync(path, text);
    else if (readFileSync(path, 'utf8') !== text) {
      console.error(
        `deploy/grafana/${name} is not as scripts/dashboards.mjs has it: run \`node scripts/dashboards.mjs\``,
      );
      process.exitCode = 1;
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
