// Page tokens of a scan: opaque to callers, the last key and what it belongs to inside. A key means the same everywhere, so a token is
// good in every region, for ever.
// Form: base64url without padding of JSON [format, hash of namespace, collection and prefix, key].

import { CausewayError } from '../errors/errors.ts';
import { textHash } from '../record/hash.ts';
import { checkKey } from './limits.ts';

const FORMAT = 1;
/** A key of 1 KiB whose every byte is escaped in JSON, in base64, and some. */
const TOKEN_CHARACTERS_MAX = 10_000;

/** What a token is good for. */
export interface ScanScope {
  readonly namespace: string;
  readonly collection: string;
  readonly prefix: string;
}

/** Empty: there are no more pages. */
export function pageToken(scope: ScanScope, next: string | undefined): string {
  if (next === undefined) return '';
  return Buffer.from(JSON.stringify([FORMAT, hashOf(scope), next])).toString('base64url');
}

/** The key to go on behind; undefined: from the beginning. Throws CausewayError INVALID_ARGUMENT. */
export function keyOfPageToken(scope: ScanScope, token: string): string | undefined {
  if (token === '') return undefined;
  const parts = token.length > TOKEN_CHARACTERS_MAX ? undefined : parse(token);
  if (parts === undefined) {
    throw new CausewayError('INVALID_ARGUMENT', 'the page token is none that a node wrote', {
      details: { field: 'page_token' },
      hint: 'use it exactly as it was given, or start from the beginning',
    });
  }
  const [format, hash, key] = parts;
  if (format !== FORMAT) {
    throw new CausewayError('INVALID_ARGUMENT', `the page token is of format ${format}; this node knows ${FORMAT}`, {
      details: { field: 'page_token' },
    });
  }
  if (hash !== hashOf(scope)) {
    throw new CausewayError('INVALID_ARGUMENT', 'the page token is of another namespace, collection or prefix', {
      details: { field: 'page_token' },
      hint: 'ask for all pages of a scan with the same namespace, collection and prefix',
    });
  }
  const keyError = checkKey(key);
  if (keyError !== undefined) throw keyError;
  return key;
}

function parse(token: string): readonly [format: number, hash: string, key: string] | undefined {
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (!Array.isArray(parts)) return undefined;
    const [format, hash, key] = parts as unknown[];
    return typeof format === 'number' && typeof hash === 'string' && typeof key === 'string'
      ? [format, hash, key]
      : undefined;
  } catch {
    return undefined;
  }
}

function hashOf({ namespace, collection, prefix }: ScanScope): string {
  return textHash(JSON.stringify([namespace, collection, prefix]));
}
