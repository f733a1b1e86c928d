// Members' reports of one shard: what makes a tombstone collectable (I9) and an origin's end known (DESIGN 7).
//
// A report counts once our durable vector has reached the member's own op `seq`: then everything that the member sequenced before it
// reported is here, and everything after it was sequenced by somebody who had seen all below the floor.

import type { OriginId, RegionId } from '../record/ids.ts';
import type { ReadonlyVector } from '../record/vector.ts';
import type { MemberReport } from './beat.ts';

/** Reports of one member that wait for their seq; at the bound the second newest goes, as with promises (origins.ts). */
const PENDING_REPORTS_MAX = 8;

interface Member {
  counted: MemberReport | undefined;
  /** Per origin, the highest stamp of any counted report: what was passed stays passed. Infinity: its end is reached. */
  readonly passed: Map<OriginId, number>;
  pending: MemberReport[];
}

export class Reports {
  readonly #members = new Map<RegionId, Member>();
  readonly #required: readonly RegionId[];

  /** `others`: every member but ourselves. */
  constructor(others: readonly RegionId[]) {
    this.#required = others;
    for (const region of others) this.#members.set(region, { counted: undefined, passed: new Map(), pending: [] });
  }

  /** A report was heard, from whomever. Reports of regions that are no members are not ours to count. */
  hear(report: MemberReport, durable: ReadonlyVector): void {
    const member = this.#members.get(report.member);
    if (member === undefined) return;
    if (member.counted !== undefined && report.stamp <= member.counted.stamp) return;
    if (member.pending.some((known) => known.stamp === report.stamp)) return;
    member.pending.push(report);
    this.#count(member, durable);
    if (member.pending.length > PENDING_REPORTS_MAX) {
      member.pending.sort((a, b) => a.stamp - b.stamp).splice(-2, 1);
    }
  }

  /** The durable vector moved. */
  advance(durable: ReadonlyVector): void {
    for (const member of this.#members.values()) {
      if (member.pending.length > 0) this.#count(member, durable);
    }
  }

  #count(member: Member, durable: ReadonlyVector): void {
    const waiting: MemberReport[] = [];
    for (const report of member.pending) {
      if ((durable.get(report.origin) ?? 0) < report.seq) {
        waiting.push(report);
        continue;
      }
      if (member.counted === undefined || report.stamp > member.counted.stamp) member.counted = report;
      for (const { origin, stamp } of report.counted) {
        if (stamp > (member.passed.get(origin) ?? 0)) member.passed.set(origin, stamp);
      }
      for (const origin of report.reached) member.passed.set(origin, Infinity);
    }
    member.pending = waiting;
  }

  /** How far every other member has passed an origin: 0 until all of them have reported on it. */
  passed(origin: OriginId): number {
    let passed = Infinity;
    for (const region of this.#required) passed = Math.min(passed, this.#members.get(region)!.passed.get(origin) ?? 0);
    return passed;
  }

  /** Which of the other members has passed the least of an origin; undefined when there is none. */
  slowest(origin: OriginId): RegionId | undefined {
    let slowest: RegionId | undefined;
    let least = Infinity;
    for (const region of this.#required) {
      const passed = this.#members.get(region)!.passed.get(origin) ?? 0;
      if (slowest !== undefined && passed >= least) continue;
      slowest = region;
      least = passed;
    }
    return slowest;
  }

  /** The latest counted report of every other member; undefined while one is missing. */
  everyCounted(): readonly MemberReport[] | undefined {
    const all: MemberReport[] = [];
    for (const region of this.#required) {
      const report = this.#members.get(region)!.counted;
      if (report === undefined) return undefined;
      all.push(report);
    }
    return all;
  }

  /** The newest report known of each member, to be passed on. */
  newest(): MemberReport[] {
    const reports: MemberReport[] = [];
    for (const member of this.#members.values()) {
      let newest = member.counted;
      for (const report of member.pending) if (newest === undefined || report.stamp > newest.stamp) newest = report;
      if (newest !== undefined) reports.push(newest);
    }
    return reports;
  }

  hasReached(origin: OriginId): boolean {
    const reports = this.everyCounted();
    return reports !== undefined && this.passed(origin) === Infinity;
  }
}
