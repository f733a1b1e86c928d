// Texts and bytes of a history: how the client's words are written down, and read back for the reference specification.

import type { Intent, Op, View } from '../../src/client/index.ts';
import type { Intent as MergeIntent } from '../../src/merge/types.ts';
import type { OriginId, Version } from '../../src/record/ids.ts';
import type { VersionRecord, ViewRecord, WriteIntent } from './records.ts';

export function keyName(collection: string, key: string): string {
  return `${collection}/${key}`;
}

export function dotText({ origin, seq }: { readonly origin: string; readonly seq: number }): string {
  return `${origin}:${seq}`;
}

/** `region~incarnation` → `region`. */
export function regionOf(origin: string): string {
  return origin.slice(0, origin.lastIndexOf('~'));
}

/** As src/record orders them; the brand is all that a record's version lacks. */
export function versionOf(version: VersionRecord): Version {
  return { ...version, origin: version.origin as OriginId };
}

export function versionRecord({ origin, seq, stamp }: VersionRecord): VersionRecord {
  return { origin, seq, stamp };
}

const TRACE_BYTES = 25;
const TRACE_MAGIC = 0x43574348;

/** A trace context that carries the number of an op, so that it is known again in every log and feed. */
export function traceOfOp(op: number): Uint8Array {
  const trace = Buffer.alloc(TRACE_BYTES);
  trace.writeUInt32LE(TRACE_MAGIC, 0);
  trace.writeUIntLE(op, 4, 6);
  return trace;
}

/** 0: the trace is none of ours. */
export function opOfTrace(trace: Uint8Array | undefined): number {
  if (trace?.length !== TRACE_BYTES) return 0;
  const bytes = Buffer.from(trace.buffer, trace.byteOffset, trace.byteLength);
  return bytes.readUInt32LE(0) === TRACE_MAGIC ? bytes.readUIntLE(4, 6) : 0;
}

/** What the client is given. */
export function clientOp(
  op: number,
  collection: string,
  key: string,
  intent: WriteIntent,
  idempotencyKey?: string,
): Op {
  const intentBytes = intentOf(intent) as Intent;
  return { collection, key, intent: intentBytes, trace: traceOfOp(op), idempotencyKey };
}

export function intentOf(intent: WriteIntent): MergeIntent {
  switch (intent.kind) {
    case 'put':
      return { kind: 'put', value: Buffer.from(intent.value.padEnd(intent.bytes ?? 0)) };
    case 'delete':
      return intent;
    case 'increment':
      return { kind: 'increment', by: BigInt(intent.by) };
    case 'set-add':
    case 'set-remove':
      return { kind: intent.kind, elements: intent.elements.map((element) => Buffer.from(element)) };
    case 'map-update': {
      const put = Object.entries(intent.put).map(([field, value]) => ({ field, value: Buffer.from(value) }));
      return { kind: 'map-update', put, remove: intent.remove };
    }
  }
}

export function viewRecord(view: View): ViewRecord {
  switch (view.type) {
    case 'register-lww':
      return { type: view.type, value: textOf(view.value), version: versionRecord(view.version) };
    case 'register-mv': {
      const siblings = view.siblings.map(({ value, version }) => ({
        value: textOf(value),
        version: versionRecord(version),
      }));
      return { type: view.type, siblings };
    }
    case 'counter-pn':
      return { type: view.type, value: String(view.value) };
    case 'set-aw':
      return { type: view.type, elements: view.elements.map(textOf) };
    case 'map-lww': {
      const fields = view.fields.map(({ field, value, version }) => ({
        field,
        value: textOf(value),
        version: versionRecord(version),
      }));
      return { type: view.type, fields };
    }
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString().trimEnd();
}
