// What doctor looks at, and what it makes of it. Pure: answers in, findings out.

import type { NodeStatus } from '../client/index.ts';
import { span } from './words.ts';

export interface Finding {
  /** `bad`: something does not work or will not survive. `warn`: worth a look. */
  readonly level: 'ok' | 'warn' | 'bad';
  /** A node's address, a file, or `here`. */
  readonly where: string;
  readonly says: string;
  /** What to do about it. */
  readonly advice?: string;
}

/** As replication promises (DESIGN): above it somebody should look. */
const LAG_MS_MAX = 5000;
/** A quarter of the default maxSkewMs. */
const CLOCK_MS_WARN = 500;
const NODE_MIN = [20, 19] as const;
/** Earlier than the node itself warns: who runs doctor has the time to renew. */
const CERTIFICATE_MS_LEFT = 30 * 86_400_000;

/** Of one node's status: everything that is wrong, or one line that nothing is. */
export function diagnoseNode(endpoint: string, status: NodeStatus): Finding[] {
  const findings: Finding[] = [];
  const add = (level: 'warn' | 'bad', says: string, advice?: string): void => {
    findings.push({
      level,
      where: `${status.region} (${endpoint})`,
      says,
      ...(advice === undefined ? {} : { advice }),
    });
  };
  if (status.state !== 'ready') {
    const waits = ['starting', 'catching-up', 'asking-members'].includes(status.state);
    add(waits ? 'warn' : 'bad', `is ${status.state}${status.stateReason === '' ? '' : `: ${status.stateReason}`}`);
  }
  if (!status.log.durable) {
    add(
      'bad',
      `its log is not durable (${status.log.detail})`,
      'Acknowledged writes are lost in a crash: use a log on a disk that syncs.',
    );
  }
  for (const { code, message, sinceMs } of status.alarms) {
    add(
      'bad',
      `alarm ${code}, for ${span(Math.max(0, status.nowMs - sinceMs))}: ${message}`,
      'docs/OPERATIONS.md, Alarms, says what each one asks for.',
    );
  }
  if (status.collections.length === 0) add('warn', 'has no collections: nothing can be written');
  for (const peer of status.peers) {
    const { link } = peer;
    if (link.kind === 'refused') {
      add(
        'bad',
        `its link to ${peer.region} is refused (${link.reason}): ${link.message}`,
        'Compare `causeway config print --settings` of the two regions.',
      );
    } else if (link.kind !== 'up') {
      const reason = link.kind === 'down' ? `: ${link.reason}` : '';
      add(
        'bad',
        `its link to ${peer.region} is ${link.kind}${reason}`,
        'Is that region running, and can its peers listener be reached from here?',
      );
    }
    if (link.kind === 'up' && peer.lagMs === undefined) add('warn', `has had no promise of ${peer.region} yet`);
    if ((peer.lagMs ?? 0) > LAG_MS_MAX) {
      add(
        'warn',
        `is ${span(peer.lagMs!)} behind ${peer.region}`,
        '`causeway status --shards` shows which shard holds it back.',
      );
    }
    const offsetMs = peer.clock?.offsetMs ?? 0;
    if (Math.abs(offsetMs) > CLOCK_MS_WARN) {
      add(
        'warn',
        `the clock of ${peer.region} is ${span(Math.abs(offsetMs))} ${offsetMs > 0 ? 'ahead of' : 'behind'} its own`,
        'Check NTP on both; above maxSkewMs writes wait or are refused.',
      );
    }
  }
  for (const { use, part, subject, notAfterMs } of status.certificates) {
    const leftMs = notAfterMs - status.nowMs;
    if (leftMs > CERTIFICATE_MS_LEFT) continue;
    const what = `${use}.tls.${part} (${subject})`;
    const advice = 'Put a new one in its place: it is read again without a restart.';
    if (leftMs < 0) add('bad', `${what} has expired`, advice);
    else add('warn', `${what} expires in ${span(leftMs)}`, advice);
  }
  if (findings.length > 0) return findings;
  const links =
    status.peers.length === 0 ? 'no peers' : `linked to ${status.peers.map(({ region }) => region).join(', ')}`;
  return [{ level: 'ok', where: `${status.region} (${endpoint})`, says: `ready, durable, ${links}` }];
}

/** What only shows beside each other. */
export function diagnoseTogether(statuses: readonly NodeStatus[]): Finding[] {
  const findings: Finding[] = [];
  const versions = new Map<string, string[]>();
  for (const { version, region } of statuses) versions.set(version, [...(versions.get(version) ?? []), region]);
  if (versions.size > 1) {
    const list = [...versions].map(([version, regions]) => `${version} in ${regions.join(', ')}`).join('; ');
    findings.push({
      level: 'warn',
      where: 'versions',
      says: `differ: ${list}`,
      advice: 'Fine during an upgrade; finish it.',
    });
  }
  const logs = new Map<string, string[]>();
  for (const { log, region } of statuses) logs.set(log.engine, [...(logs.get(log.engine) ?? []), region]);
  if (logs.size > 1) {
    const list = [...logs].map(([engine, regions]) => `${engine} in ${regions.join(', ')}`).join('; ');
    findings.push({
      level: 'warn',
      where: 'engines',
      says: `differ: ${list}`,
      advice: 'Each region is as durable as its own log: `causeway status` says what each promises.',
    });
  }
  const names = new Map<string, number>();
  for (const { collections } of statuses) {
    for (const { namespace, name, id, type } of collections) {
      const text = `${namespace}/${name} (${type}, id ${id})`;
      names.set(text, (names.get(text) ?? 0) + 1);
    }
  }
  const partly = [...names].filter(([, n]) => n < statuses.length).map(([name]) => name);
  if (partly.length > 0) {
    findings.push({
      level: 'warn',
      where: 'collections',
      says: `not in every region that was asked: ${partly.slice(0, 5).join(', ')}${partly.length > 5 ? ' …' : ''}`,
      advice:
        'Right when their namespace is placed so, or while one that was just created is on its way; else compare the configurations.',
    });
  }
  return findings;
}

export function diagnoseRuntime(nodeVersion: string): Finding {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const old = major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1]);
  return old
    ? {
        level: 'bad',
        where: 'here',
        says: `Node ${nodeVersion} is too old`,
        advice: `Causeway needs ${NODE_MIN.join('.')} or newer.`,
      }
    : { level: 'ok', where: 'here', says: `Node ${nodeVersion}` };
}
