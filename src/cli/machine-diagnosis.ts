// What doctor makes of a machine: its disk, its ports, its way to others, the clocks of nodes. Pure: what was found in, findings out.

import type { Finding } from './diagnosis.ts';
import type { DiskFound, PortFound } from './machine.ts';
import { span } from './words.ts';

/** Below it a log may soon be full, which makes a region read-only. */
const FREE_BYTES_MIN = 1024 ** 3;
const FREE_SHARE_MIN = 0.05;
/** A commit waits for at least one fdatasync; on a disk of its own it takes a tenth of a millisecond to a few. */
const SYNC_MS_WARN = 20;

/** File systems that promise less than the log needs (statfs(2)). */
const FILE_SYSTEMS: Readonly<Record<number, readonly [name: string, level: 'warn' | 'bad', says: string]>> = {
  0x6969: ['NFS', 'bad', 'fdatasync need not mean it, and the store maps its files'],
  0x517b: ['SMB', 'bad', 'fdatasync need not mean it, and the store maps its files'],
  0xff534d42: ['CIFS', 'bad', 'fdatasync need not mean it, and the store maps its files'],
  0xfe534d42: ['SMB2', 'bad', 'fdatasync need not mean it, and the store maps its files'],
  0x01021994: ['tmpfs', 'warn', 'it is memory: everything is gone with the machine'],
  0x794c7630: ['overlayfs', 'warn', "it is a container's own layer: gone with the container unless it is a volume"],
  0x65735546: ['FUSE', 'warn', 'what fdatasync means there is up to a program'],
};

export function diagnoseDisk(directory: string, { freeBytes, allBytes, type, syncMs }: DiskFound): Finding[] {
  const findings: Finding[] = [];
  const low = freeBytes < FREE_BYTES_MIN || freeBytes < allBytes * FREE_SHARE_MIN;
  const free = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB of ${(allBytes / 1024 ** 3).toFixed(1)} are free`;
  findings.push(
    low
      ? { level: 'warn', where: directory, says: free, advice: 'A region whose disk is full takes no writes.' }
      : { level: 'ok', where: directory, says: free },
  );
  const odd = FILE_SYSTEMS[type];
  if (odd !== undefined) {
    const [name, level, says] = odd;
    findings.push({ level, where: directory, says: `is on ${name}: ${says}`, advice: 'Put dataDir on a local disk.' });
  }
  const sync = `a small write and its fdatasync take ${span(syncMs)}`;
  findings.push(
    syncMs > SYNC_MS_WARN
      ? {
          level: 'warn',
          where: directory,
          says: sync,
          advice: 'Every write waits for at least one: a faster disk, or one that nobody else uses.',
        }
      : { level: 'ok', where: directory, says: sync },
  );
  return findings;
}

export function diagnoseNoDisk(directory: string, reason: string): Finding {
  return {
    level: 'bad',
    where: directory,
    says: `cannot be written: ${reason}`,
    advice: 'Name a directory with dataDir that the user of the node may write to.',
  };
}

/** `isNode`: a node of this region answers there. undefined: it was not, or could not be, asked. */
export function diagnosePort(option: string, address: string, found: PortFound, isNode: boolean | undefined): Finding {
  const where = `${option} ${address}`;
  if (found.kind === 'free') return { level: 'ok', where, says: 'is free: the node is not running here' };
  if (found.kind === 'refused') {
    return {
      level: 'bad',
      where,
      says: `cannot be listened on: ${found.code}`,
      advice:
        found.code === 'EACCES'
          ? 'Choose a port above 1023, or give the user the right to.'
          : 'Is it an address of this machine? 0.0.0.0 is all of them.',
    };
  }
  if (isNode === true) return { level: 'ok', where, says: 'is taken, by a node of this region' };
  return {
    level: isNode === false ? 'bad' : 'ok',
    where,
    says: isNode === false ? 'is taken, and no node of this region answers there' : 'is taken, by the node if it runs',
    ...(isNode === false ? { advice: 'Stop what listens there, or choose another port.' } : {}),
  };
}

export function diagnoseReach(region: string, address: string, failure: string | undefined): Finding {
  const where = `${region} ${address}`;
  return failure === undefined
    ? { level: 'ok', where, says: 'can be reached from here' }
    : {
        level: 'bad',
        where,
        says: `cannot be reached from here: ${failure}`,
        advice:
          'Does that region run? Is its listener for peers on an address that this machine can reach, and no firewall between?',
      };
}

export interface ClockReading {
  readonly where: string;
  /** Its clock minus this machine's, corrected for half the round trip. */
  readonly offsetMs: number;
  readonly rttMs: number;
  /** maxSkewMs of the node; 0: not known. */
  readonly maxSkewMs: number;
}

/** Of nodes against each other: that this machine's clock is off is worth a word, and no more. */
export function diagnoseClocks(readings: readonly ClockReading[]): Finding[] {
  const findings: Finding[] = [];
  const [first] = readings;
  if (first === undefined) return findings;
  const lowest = readings.reduce((a, b) => (b.offsetMs < a.offsetMs ? b : a), first);
  const highest = readings.reduce((a, b) => (b.offsetMs > a.offsetMs ? b : a), first);
  const apartMs = highest.offsetMs - lowest.offsetMs;
  // As exact as half of each round trip.
  const doubtMs = (highest.rttMs + lowest.rttMs) / 2;
  const bounds = readings.flatMap(({ maxSkewMs }) => (maxSkewMs === 0 ? [] : [maxSkewMs]));
  const maxSkewMs = bounds.length === 0 ? 2000 : Math.min(...bounds);
  if (readings.length > 1) {
    const says = `${highest.where} is ${span(apartMs)} ahead of ${lowest.where}, to within ${span(doubtMs)}`;
    const advice = 'Check NTP on both. Stamps decide who wins; beyond maxSkewMs streams are held and writes refused.';
    if (apartMs - doubtMs > maxSkewMs) findings.push({ level: 'bad', where: 'clocks', says, advice });
    else if (apartMs - doubtMs > maxSkewMs / 4) findings.push({ level: 'warn', where: 'clocks', says, advice });
    else
      findings.push({
        level: 'ok',
        where: 'clocks',
        says: `of ${readings.length} nodes are within ${span(Math.max(apartMs, doubtMs))}`,
      });
  }
  const middleMs = readings.toSorted((a, b) => a.offsetMs - b.offsetMs)[readings.length >> 1]!.offsetMs;
  if (Math.abs(middleMs) - first.rttMs > maxSkewMs / 4) {
    const says = `this machine's clock is ${span(Math.abs(middleMs))} ${middleMs > 0 ? 'behind' : 'ahead of'} the nodes'`;
    findings.push({ level: 'warn', where: 'here', says, advice: 'It matters only where a node runs here: check NTP.' });
  }
  return findings;
}
