// How numbers, times and bytes are said and read on the command line.

import type { VersionParts } from './origin-words.ts';
import { InvalidArgumentError } from 'commander';
import { ADDRESS_EXPECTED, parseAddress } from '../config/address.ts';

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `5s`, `2m`, `1h`, `7d`; a bare number is seconds. */
export function durationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim());
  if (match === null) throw new InvalidArgumentError(`Expected a duration such as 500ms, 5s, 2m, 1h or 7d.`);
  return Math.round(Number(match[1]) * MS_PER_UNIT[match[2] ?? 's']!);
}

/** `host:port`, or several with commas between. */
export function addresses(text: string): string[] {
  const parts = text.split(',').map((part) => part.trim());
  for (const part of parts) {
    if ((parseAddress(part)?.port ?? 0) === 0) {
      throw new InvalidArgumentError(`Expected ${ADDRESS_EXPECTED}, several with commas between; got '${part}'.`);
    }
  }
  return parts;
}

export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(
        `Expected a whole number from ${min}${max < Number.MAX_SAFE_INTEGER ? ` to ${max}` : ' on'}.`,
      );
    }
    return value;
  };
}

export interface KeyName {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
}

/** `namespace/collection/key`; the key may have slashes of its own. */
export function keyName(text: string): KeyName {
  const [namespace, collection, ...rest] = text.split('/');
  const key = rest.join('/');
  if (namespace === undefined || namespace === '' || collection === undefined || collection === '' || key === '') {
    throw new InvalidArgumentError(`Expected namespace/collection/key, for example demo/profiles/anna.`);
  }
  return { namespace, collection, key };
}

export function allKeyNames(text: string, before: readonly KeyName[] = []): readonly KeyName[] {
  return [...before, keyName(text)];
}

export interface KeyRange {
  readonly namespace: string;
  /** undefined: all of the namespace. */
  readonly collection: string | undefined;
  readonly prefix: string;
}

/** `namespace`, `namespace/collection` or `namespace/collection/key-prefix`. */
export function keyRange(text: string): KeyRange {
  const [namespace = '', collection, ...prefix] = text.split('/');
  if (namespace === '')
    throw new InvalidArgumentError('Expected namespace, namespace/collection or namespace/collection/key-prefix.');
  return { namespace, collection: collection === '' ? undefined : collection, prefix: prefix.join('/') };
}

/** `namespace/collection`. */
export function collectionName(text: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = '', ...rest] = text.split('/');
  if (namespace === '' || name === '' || rest.length > 0) {
    throw new InvalidArgumentError('Expected namespace/collection, for example demo/profiles.');
  }
  return { namespace, name };
}

/** Digits in groups of three. */
export function count(value: number): string {
  return value.toLocaleString('en-US').replaceAll(',', ' ');
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function bytes(value: number): string {
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return `${unit === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** A span of time, as short as it can be said without being wrong. */
export function span(ms: number): string {
  if (ms < 1) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
  return `${Math.floor(ms / 86_400_000)} d ${Math.floor((ms % 86_400_000) / 3_600_000)} h`;
}

/** UTF-8 without control characters is shown as text; anything else is shown as what it is. */
export function printable(value: Uint8Array): string {
  const text = asText(value);
  // Tabs and line ends are the value's own; escape sequences would act on the reader's terminal.
  if (text !== undefined && !/[^\P{Cc}\t\n\r]/u.test(text)) return text;
  return `base64:${Buffer.from(value).toString('base64')}`;
}

/** For programs: text where it is text, else marked as base64. */
export function jsonBytes(value: Uint8Array): string | { readonly base64: string } {
  return asText(value) ?? { base64: Buffer.from(value).toString('base64') };
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function asText(value: Uint8Array): string | undefined {
  try {
    return decoder.decode(value);
  } catch {
    return undefined;
  }
}

/** `stamp-seq@origin`: what put and get print and --if-version takes. */
export function versionText({ stamp, seq, origin }: VersionParts): string {
  return `${stamp}-${seq}@${origin}`;
}

export function versionOf(text: string): VersionParts {
  const match = /^(\d{1,16})-(\d{1,16})@([a-z0-9-]+~[0-9a-f]{12})$/.exec(text);
  if (match === null) {
    throw new InvalidArgumentError(
      'Expected a version as `causeway get --json` prints it, stamp-seq@region~incarnation.',
    );
  }
  return { stamp: Number(match[1]), seq: Number(match[2]), origin: match[3]! };
}

export interface LoserParts {
  readonly shard: string;
  readonly origin: string;
  readonly seq: number;
}

/** `placement/index:region~incarnation:seq`: what `conflicts list` prints, and show and restore take. */
export function loserText(shard: string, { origin, seq }: { readonly origin: string; readonly seq: number }): string {
  return `${shard}:${origin}:${seq}`;
}

export function loserOf(text: string): LoserParts {
  const match = /^(\d{1,5}\/\d{1,4}):([a-z0-9-]+~[0-9a-f]{12}):(\d{1,16})$/.exec(text);
  if (match === null) {
    throw new InvalidArgumentError(
      'Expected a conflict as `causeway conflicts list` prints it, for example 1/3:eu-west~0f3a5b7c9d1e:17.',
    );
  }
  return { shard: match[1]!, origin: match[2]!, seq: Number(match[3]) };
}

/** Stamps count milliseconds since 2020, times 4096 (docs/PROTOCOL.md). */
export function timeOfStamp(stamp: number): string {
  return new Date(Date.UTC(2020, 0, 1) + Math.floor(stamp / 4096)).toISOString();
}

export type DurabilityWord = 'local' | 'applied' | { readonly regions: number };

/** `local`, `applied` or `regions:2`. */
export function durability(text: string): DurabilityWord {
  if (text === 'local' || text === 'applied') return text;
  const match = /^regions:([1-9]\d?)$/.exec(text);
  if (match === null) {
    throw new InvalidArgumentError(
      'Expected local (durable in this region), applied (and visible to its reads) or regions:N (and durable in N others).',
    );
  }
  return { regions: Number(match[1]) };
}
