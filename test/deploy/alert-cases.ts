// For each alert a story in samples of 15 s: it is quiet, fires, and is over. promtool.test.ts makes a test of Prometheus' own of them.

export interface AlertCase {
  readonly alert: string;
  /** Series → values, as promtool notes them. */
  readonly series: Readonly<Record<string, string>>;
  /** When it does not fire, when it does, and when not any more. */
  readonly quietAt: string;
  readonly firesAt: string;
  readonly overAt: string;
  /** Of the alert, beside its severity. */
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
}

const EU = { cluster: 'shop', region: 'eu', node: 'eu-1', instance: 'eu-1:7402', job: 'causeway' };
const US = { cluster: 'shop', region: 'us', node: 'us-1', instance: 'us-1:7402', job: 'causeway' };

function series(name: string, ...labels: readonly Readonly<Record<string, string>>[]): string {
  const text = Object.entries(Object.assign({}, ...labels) as Record<string, string>)
    .map(([label, value]) => `${label}="${value}"`)
    .join(', ');
  return `${name}{${text}}`;
}

export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'CausewayLag',
    // Five minutes well, then growing by a second a second as while nothing is heard, then small again.
    series: { [series('causeway_replication_lag_seconds', EU, { origin: 'us' })]: '0.1x20 15+15x11 0.2x40' },
    quietAt: '5m',
    firesAt: '7m30s',
    overAt: '9m',
    labels: { ...EU, origin: 'us' },
    summary: 'eu is 2m 30s behind us',
  },
  {
    alert: 'CausewayLagLong',
    // Nothing of the other region counts: beyond every bound.
    series: { [series('causeway_replication_lag_seconds', EU, { origin: 'us' })]: `0.1x20 ${'Inf '.repeat(40)}0.2x40` },
    quietAt: '9m',
    firesAt: '12m',
    overAt: '17m',
    labels: { ...EU, origin: 'us' },
    summary: 'eu is +Inf behind us',
  },
  {
    alert: 'CausewayRegionUnreachable',
    series: {
      [series('causeway_link_state', EU, { peer: 'ap', state: 'up' })]: '1x20 0x40 1x20',
      [series('causeway_link_state', US, { peer: 'ap', state: 'up' })]: '1x24 0x40 1x20',
      // That one of them reaches is enough.
      [series('causeway_link_state', EU, { peer: 'us', state: 'up' })]: '0x80',
      [series(
        'causeway_link_state',
        { cluster: 'shop', region: 'ap', node: 'ap-1', job: 'causeway' },
        { peer: 'us', state: 'up' },
      )]: '1x80',
    },
    quietAt: '6m30s',
    firesAt: '8m',
    overAt: '16m',
    labels: { cluster: 'shop', peer: 'ap' },
    summary: 'No region reaches ap',
  },
  {
    alert: 'CausewayLinkDown',
    series: { [series('causeway_link_state', EU, { peer: 'us', state: 'up' })]: '1x20 0x40 1x20' },
    quietAt: '9m',
    firesAt: '11m',
    overAt: '16m',
    labels: { ...EU, peer: 'us', state: 'up' },
    summary: 'eu has no link to us',
  },
  {
    alert: 'CausewayNodeDown',
    series: { 'up{job="causeway", instance="eu-1:7402"}': '1x20 0x20 1x20', 'up{job="other", instance="x"}': '0x60' },
    quietAt: '5m',
    firesAt: '7m',
    overAt: '11m',
    labels: { job: 'causeway', instance: 'eu-1:7402' },
    summary: 'eu-1:7402 answers no scrape',
  },
  {
    alert: 'CausewayStreamHeld',
    series: {
      [series('causeway_origins_held', EU, { kind: 'clock' })]: '0x20 8x20 0x20',
      [series('causeway_origins_held', EU, { kind: 'fork' })]: '0x60',
    },
    quietAt: '5m',
    firesAt: '6m',
    overAt: '11m',
    labels: { ...EU, kind: 'clock' },
    summary: 'eu holds 8 streams whose stamps are too far ahead',
  },
  {
    alert: 'CausewayQuarantine',
    series: { [series('causeway_origins_held', EU, { kind: 'quarantine' })]: '0x20 1x20 0x20' },
    quietAt: '5m45s',
    firesAt: '7m',
    overAt: '11m',
    labels: { ...EU, kind: 'quarantine' },
    summary: 'eu cannot read 1 streams',
  },
  {
    alert: 'CausewayDivergence',
    series: {
      // Writes go on: other vectors, other digests. Then the vectors are the same, and the digests not. Then they are.
      [series('causeway_shard_vector_hash', EU, { shard: '1/3' })]: '1+1x20 50x40',
      [series('causeway_shard_vector_hash', US, { shard: '1/3' })]: '2+1x20 50x40',
      [series('causeway_shard_digest', EU, { shard: '1/3' })]: '100+7x20 400x20 500x20',
      [series('causeway_shard_digest', US, { shard: '1/3' })]: '107+7x20 401x20 500x20',
      // Another cluster has a shard of that name, and another shard is in order.
      [series('causeway_shard_vector_hash', { cluster: 'other' }, { shard: '1/3' })]: '50x60',
      [series('causeway_shard_digest', { cluster: 'other' }, { shard: '1/3' })]: '7x60',
      [series('causeway_shard_vector_hash', EU, { shard: '1/4' })]: '9x60',
      [series('causeway_shard_vector_hash', US, { shard: '1/4' })]: '9x60',
      [series('causeway_shard_digest', EU, { shard: '1/4' })]: '9x60',
      [series('causeway_shard_digest', US, { shard: '1/4' })]: '9x60',
    },
    quietAt: '5m',
    firesAt: '9m',
    overAt: '12m',
    labels: { cluster: 'shop', shard: '1/3' },
    summary: 'Regions that have applied the same writes hold different data in shard 1/3',
  },
  {
    alert: 'CausewayFork',
    series: { [series('causeway_origins_held', EU, { kind: 'fork' })]: '0x20 1x20 0x20' },
    quietAt: '4m45s',
    firesAt: '6m',
    overAt: '11m',
    labels: { ...EU, kind: 'fork' },
    summary: 'eu has found two histories of one origin',
  },
  {
    alert: 'CausewayClockSkew',
    series: {
      // Behind counts as well as ahead.
      [series('causeway_clock_offset_seconds', EU, { peer: 'us' })]: '0.01x20 -0.6x20 0.01x20',
      [series('causeway_clock_offset_seconds', EU, { peer: 'ap' })]: '0.4x60',
      [series('causeway_clock_skew_max_seconds', EU)]: '2x60',
    },
    quietAt: '6m',
    firesAt: '8m',
    overAt: '11m',
    labels: { ...EU, peer: 'us' },
    summary: 'The clocks of eu and us differ by 600ms',
  },
  {
    alert: 'CausewayClockUnsynced',
    series: { [series('causeway_alarms', EU, { alarm: 'clock-unsynced' })]: '0x20 1x20 0x20' },
    quietAt: '4m45s',
    firesAt: '6m',
    overAt: '11m',
    labels: { ...EU, alarm: 'clock-unsynced' },
    summary: 'eu-1 of eu takes no writes because of its clock',
  },
  {
    alert: 'CausewayDiskLow',
    series: {
      [series('causeway_disk_free_bytes', EU)]: '53687091200x20 5368709120x60 53687091200x200',
      [series('causeway_disk_size_bytes', EU)]: '107374182400x300',
    },
    quietAt: '10m',
    firesAt: '17m',
    // The forecast looks back six hours: it believes in the end only when that is past.
    overAt: '70m',
    labels: EU,
    summary: 'The disk of eu-1 has 5GiB left, or will be full within a day',
  },
  {
    alert: 'CausewayReadOnly',
    series: {
      [series('causeway_log_state', EU, { state: 'ready' })]: '1x20 0x20 1x20',
      [series('causeway_log_state', EU, { state: 'read-only' })]: '0x20 1x20 0x20',
    },
    quietAt: '4m45s',
    firesAt: '6m',
    overAt: '11m',
    labels: { ...EU, state: 'read-only' },
    summary: 'The log of eu-1 is read-only',
  },
  {
    alert: 'CausewayStoreAway',
    series: { [series('causeway_alarms', EU, { alarm: 'store-away' })]: '0x20 1x20 0x20' },
    quietAt: '5m',
    firesAt: '6m',
    overAt: '11m',
    labels: { ...EU, alarm: 'store-away' },
    summary: 'The store of eu-1 does not answer',
  },
  {
    alert: 'CausewayRestartLoop',
    series: { [series('process_start_time_seconds', EU)]: '100x20 500x4 600x4 700x4 800x200' },
    quietAt: '6m',
    firesAt: '9m',
    overAt: '45m',
    labels: EU,
    summary: 'eu-1 of eu has started 4 times in half an hour',
  },
  {
    alert: 'CausewayRebuildLoop',
    series: {
      [series('causeway_shard_restarts_total', EU)]: '0x20 0+1x20 20x100',
      [series('causeway_store_rebuilds_total', EU)]: '8x140',
      [series('causeway_shards', EU)]: '8x140',
    },
    quietAt: '5m',
    firesAt: '10m',
    overAt: '29m',
    labels: EU,
    summary: 'Shards of eu-1 are made anew again and again',
  },
  {
    alert: 'CausewayOverload',
    series: {
      [series('causeway_ops_refused_total', EU, { code: 'OVERLOADED' })]: '0x20 0+1500x40 60000x60',
      [series('causeway_ops_refused_total', EU, { code: 'INVALID_ARGUMENT' })]: '0+1500x120',
      [series('causeway_rpc_requests_total', EU, { rpc: 'WriteStream', code: 'OVERLOADED' })]: '0x20 0+150x40 6000x60',
    },
    quietAt: '6m',
    firesAt: '15m',
    overAt: '26m',
    labels: { cluster: 'shop', region: 'eu', node: 'eu-1' },
    summary: 'eu-1 of eu refuses 110 requests a second',
  },
];
