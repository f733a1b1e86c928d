// Whose clock is wrong.
// Owns: the guard against remote stamps from the future, the estimate of every peer's clock offset, and the verdict on our own.
// I5  a stamp that is too far ahead is held, never clamped and never absorbed: one poisoned clock would else push every
//     region's stamps ahead for ever.
// HAZARD: an offset is only as good as the path is symmetric: the error is at most half the round trip. maxSkewMs has to be
//         well above that.

import { msOfStamp } from './hlc.ts';

/** Is a stamp more than `maxSkewMs` ahead of our clock? */
export function isTooFarAhead(stamp: number, nowMs: number, maxSkewMs: number): boolean {
  return msOfStamp(stamp) > nowMs + maxSkewMs;
}

/** Of a stamp that a peer names: its clock may be right, is wrong, or nobody can tell. */
export type StampVerdict = 'right' | 'wrong' | 'unclear';

/**
 * Is it the clock of whoever names this stamp that is wrong? A healthy one may be `maxSkewMs` ahead of ours, and may have believed as much again. What lies
 * beyond may as well be a clock of ours that is behind. That is told by the peers' offsets to ours, in ms: whether more of them confirm our clock than
 * contradict it. Whose stamp it is has a say only where its clock confirms ours: it may have been set right since.
 */
export function judgeStamp(
  stamp: number,
  from: string,
  nowMs: number,
  offsetsByPeer: ReadonlyMap<string, number>,
  maxSkewMs: number,
): StampVerdict {
  if (!isTooFarAhead(stamp, nowMs, 2 * maxSkewMs)) return 'right';
  let confirming = 0;
  for (const [peer, offsetMs] of offsetsByPeer) {
    if (Math.abs(offsetMs) <= maxSkewMs) confirming++;
    else if (peer !== from) confirming--;
  }
  if (confirming === 0) return 'unclear';
  return confirming > 0 ? 'wrong' : 'right';
}

/** One exchange with a peer, in Unix ms: sent here, received there, sent there, received here. */
export interface OffsetExchange {
  readonly sentMs: number;
  readonly remoteReceivedMs: number;
  readonly remoteSentMs: number;
  readonly receivedMs: number;
}

export interface OffsetSample {
  /** Peer's clock minus ours: positive when the peer is ahead. */
  readonly offsetMs: number;
  readonly rttMs: number;
}

/** As in NTP: what both ways have in common is the round trip, what they differ by is the offset. */
export function offsetOf(exchange: OffsetExchange): OffsetSample {
  const { sentMs, remoteReceivedMs, remoteSentMs, receivedMs } = exchange;
  return {
    offsetMs: (remoteReceivedMs - sentMs + (remoteSentMs - receivedMs)) / 2,
    rttMs: receivedMs - sentMs - (remoteSentMs - remoteReceivedMs),
  };
}

/** Samples kept per peer. A stepped clock, ours or theirs, is believed after at most this many exchanges. */
export const OFFSET_WINDOW = 16;
/** Peers kept. Beyond it the one that was silent for longest is forgotten. */
export const OFFSET_PEERS_MAX = 64;

/** The offsets of all peers. The sample with the shortest round trip in the window counts: queueing only ever adds to it. */
export class PeerOffsets {
  // In the order in which the peers were last heard, oldest first.
  readonly #windows = new Map<string, OffsetSample[]>();

  /** Takes an exchange in, unless a clock stepped during it (its round trip is negative, or not a number). */
  add(peer: string, exchange: OffsetExchange): void {
    const sample = offsetOf(exchange);
    if (!(sample.rttMs >= 0) || !Number.isFinite(sample.offsetMs)) return;
    const window = this.#windows.get(peer) ?? [];
    window.push(sample);
    if (window.length > OFFSET_WINDOW) window.shift();
    this.#windows.delete(peer);
    this.#windows.set(peer, window);
    if (this.#windows.size > OFFSET_PEERS_MAX) {
      const [oldest] = this.#windows.keys();
      this.#windows.delete(oldest!);
    }
  }

  /** The best sample of a peer; the newest of equal ones. */
  best(peer: string): OffsetSample | undefined {
    let best: OffsetSample | undefined;
    for (const sample of this.#windows.get(peer) ?? []) {
      if (best === undefined || sample.rttMs <= best.rttMs) best = sample;
    }
    return best;
  }

  /** A peer that left, or whose connection was lost: its old samples say nothing about its clock when it returns. */
  forget(peer: string): void {
    this.#windows.delete(peer);
  }

  offsets(): Map<string, number> {
    const offsets = new Map<string, number>();
    for (const peer of this.#windows.keys()) offsets.set(peer, this.best(peer)!.offsetMs);
    return offsets;
  }
}

export type ClockVerdict =
  | { readonly kind: 'ok' }
  | {
      readonly kind: 'unsynced';
      /** The median of the peers that agree, minus our clock: negative when ours is ahead. */
      readonly offsetMs: number;
      readonly peersAgreeing: number;
      readonly peersTotal: number;
    };

/**
 * Is it our clock that is wrong? Only if more than half of the peers heard from, and at least two, are off on the same side
 * by more than `maxSkewMs`: with one peer, or with peers on both sides, nobody can tell who is wrong.
 */
export function judgeOwnClock(offsetsByPeer: ReadonlyMap<string, number>, maxSkewMs: number): ClockVerdict {
  const offsets = [...offsetsByPeer.values()];
  const ahead = offsets.filter((offset) => offset > maxSkewMs);
  const behind = offsets.filter((offset) => offset < -maxSkewMs);
  const agreeing = ahead.length > behind.length ? ahead : behind;
  if (offsets.length < 2 || agreeing.length * 2 <= offsets.length) return { kind: 'ok' };
  agreeing.sort((a, b) => a - b);
  const middle = agreeing.length >> 1;
  const offsetMs = agreeing.length % 2 === 1 ? agreeing[middle]! : (agreeing[middle - 1]! + agreeing[middle]!) / 2;
  return { kind: 'unsynced', offsetMs, peersAgreeing: agreeing.length, peersTotal: offsets.length };
}
