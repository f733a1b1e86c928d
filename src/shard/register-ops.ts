// The last-writer-wins ops of one batch on its way to the log: what they will make of their registers once they have landed.
// Owns: the numbers by which a register names the newest op in flight of its key (RegisterTable.newest), and what stands behind one.

import { beats, DELETE, PUT, PUT_EXPIRING, readExpiring, RegisterLww } from '../merge/register-lww.ts';
import { textOf } from '../merge/codec.ts';
import type { LaneSums, RegisterTable } from '../merge/register-table.ts';
import { BATCH_OPS_MAX } from '../record/batch.ts';
import type { LocatedOps } from '../record/located-ops.ts';
import type { OriginId, Version } from '../record/ids.ts';

/** Of one batch. */
export class RegisterOps {
  /** The number of its first op, whether that is of a register or not. */
  readonly first: number;
  readonly table: RegisterTable;
  readonly ops: LocatedOps;
  readonly origin: OriginId;
  readonly #originNumber: number;
  readonly #firstSeq: number;
  readonly #firstStamp: number;
  /** Op by op where its register is; -1: of another type, or it has lost. */
  readonly places: number[] = [];

  constructor(first: number, table: RegisterTable, ops: LocatedOps, firstVersion: Version) {
    this.first = first;
    this.table = table;
    this.ops = ops;
    this.origin = firstVersion.origin;
    this.#originNumber = table.origin(firstVersion.origin);
    this.#firstSeq = firstVersion.seq;
    this.#firstStamp = firstVersion.stamp;
  }

  stampOf(i: number): number {
    return this.#firstStamp + i;
  }

  versionOf(i: number): Version {
    return { origin: this.origin, seq: this.#firstSeq + i, stamp: this.#firstStamp + i };
  }

  state(i: number): RegisterLww {
    const payload = this.ops.payload(i);
    const version = this.versionOf(i);
    if (payload[0] === DELETE) return new RegisterLww(version, undefined, undefined);
    const { expiresAtMs, valueAt } =
      payload[0] === PUT_EXPIRING ? readExpiring(payload) : { expiresAtMs: undefined, valueAt: 1 };
    return new RegisterLww(version, textOf(payload, valueAt), expiresAtMs);
  }

  /** The next op is none of a register, or it has lost. */
  skip(): void {
    this.places.push(-1);
  }

  /** The next op is the newest of this register. */
  take(place: number): void {
    this.table.setNewest(place, this.first + this.places.length);
    this.places.push(place);
  }

  /** The batch is durable. Returns by how much the number of keys with a value grows; `due` hears of places with something to collect. */
  land(sums: LaneSums, landed: number[], due: (place: number) => void): number {
    const { table, ops, places, first } = this;
    // They were near when the batch was taken, and a few thousand others have been since.
    table.bringNear(places);
    let grown = 0;
    for (let i = 0; i < places.length; i++) {
      const place = places[i]!;
      if (place < 0) continue;
      const newest = table.newest(place);
      if (newest === first + i) table.setNewest(place, 0);
      // A later op of the same batch has the key.
      else if (newest < first + places.length) continue;
      grown += table.land(place, ops, i, this.#originNumber, this.#firstSeq + i, this.#firstStamp + i, sums);
      landed.push(place);
      if (ops.bytes[ops.payloadAt(i)] !== PUT) due(place);
    }
    return grown;
  }
}

/** Those of all batches in flight. */
export class RegisterSpeculations {
  #next = 1;
  /** By rising `first`. */
  readonly #inFlight: RegisterOps[] = [];

  begin(table: RegisterTable, ops: LocatedOps, firstVersion: Version): RegisterOps {
    const begun = new RegisterOps(this.#next, table, ops, firstVersion);
    // Whoever is open may grow to as many.
    this.#next += BATCH_OPS_MAX;
    this.#inFlight.push(begun);
    return begun;
  }

  end(ended: RegisterOps): void {
    this.#inFlight.splice(this.#inFlight.indexOf(ended), 1);
  }

  /** Of a number that is not 0. */
  #of(newest: number): RegisterOps {
    for (let i = this.#inFlight.length - 1; ; i--) {
      const ops = this.#inFlight[i]!;
      if (ops.first <= newest) return ops;
    }
  }

  /** Would an op of this version displace the newest there is? */
  beats(table: RegisterTable, place: number, stamp: number, origin: OriginId): boolean {
    const newest = table.newest(place);
    if (newest === 0) {
      return !table.isPresent(place) || beats(stamp, origin, table.stamp(place), table.originId(table.originOf(place)));
    }
    const ops = this.#of(newest);
    return beats(stamp, origin, ops.stampOf(newest - ops.first), ops.origin);
  }

  /** The newest origin's; undefined: there is no version. */
  latestOrigin(table: RegisterTable, place: number): OriginId | undefined {
    const newest = table.newest(place);
    if (newest !== 0) return this.#of(newest).origin;
    return table.isPresent(place) ? table.originId(table.originOf(place)) : undefined;
  }

  latest(table: RegisterTable, place: number): RegisterLww | undefined {
    const newest = table.newest(place);
    if (newest === 0) return table.state(place);
    const ops = this.#of(newest);
    return ops.state(newest - ops.first);
  }
}
