// Versions and entity tags, and what If-Match and If-None-Match make of a read or a write.
//
// The tag of a register-lww is its version: two reads with the same tag have the same bytes, in whatever region, and a write can be
// conditional on it (compare-and-set within the region that answers). Of the other types it is a hash of the representation: good
// for caches, and refused as a condition on a write, because nothing could check it atomically.

import { createHash } from 'node:crypto';
import { CausewayError } from '../../errors/errors.ts';
import type { View } from '../../merge/types.ts';
import { isOriginId, type Dot, type Version } from '../../record/ids.ts';
import type { MergeTypeName } from '../../record/op.ts';
import type { Condition } from '../../region/region.ts';

const DOTS_MAX = 1024;

/** `eu-west~0f3a5b7c9d1e.7.1000000`: origin, seq, stamp. */
export function versionText({ origin, seq, stamp }: Version): string {
  return `${origin}.${seq}.${stamp}`;
}

/** undefined: no node wrote this. */
export function parseVersion(text: string): Version | undefined {
  const [, origin = '', seqText = '', stampText = ''] = /^([^.]+)\.([1-9]\d{0,15})\.([1-9]\d{0,15})$/.exec(text) ?? [];
  const seq = Number(seqText);
  const stamp = Number(stampText);
  if (!isOriginId(origin) || !Number.isSafeInteger(seq) || !Number.isSafeInteger(stamp)) return undefined;
  return { origin, seq, stamp };
}

export function entityTag(view: View, representation: Uint8Array): string {
  if (view.type === 'register-lww') return `"${versionText(view.version)}"`;
  return `"${createHash('sha256').update(representation).digest('base64url').slice(0, 22)}"`;
}

interface TagList {
  readonly any: boolean;
  readonly tags: readonly { readonly weak: boolean; readonly value: string }[];
}

/** Throws CausewayError INVALID_ARGUMENT. */
function parseTags(header: string, text: string): TagList {
  const trimmed = text.trim();
  if (trimmed === '*') return { any: true, tags: [] };
  const tags: { weak: boolean; value: string }[] = [];
  const pattern = /\s*(W\/)?"([\x21\x23-\x7e]*)"\s*(?:,|$)/gy;
  while (pattern.lastIndex < trimmed.length) {
    const match = pattern.exec(trimmed);
    if (match === null) {
      throw new CausewayError(
        'INVALID_ARGUMENT',
        `${header} has the form "tag", with its quotes, or *; got ${text.slice(0, 100)}`,
        {
          hint: 'send the ETag of an answer exactly as it came',
        },
      );
    }
    tags.push({ weak: match[1] !== undefined, value: match[2]! });
  }
  return { any: false, tags };
}

/** What a read answers instead of 200; undefined: nothing. Throws CausewayError INVALID_ARGUMENT, or PRECONDITION_FAILED for If-Match. */
export function readCondition(
  ifMatch: string | undefined,
  ifNoneMatch: string | undefined,
  tag: string | undefined,
): 'not-modified' | undefined {
  const bare = tag?.slice(1, -1);
  if (ifMatch !== undefined) {
    const { any, tags } = parseTags('If-Match', ifMatch);
    const holds = bare !== undefined && (any || tags.some(({ weak, value }) => !weak && value === bare));
    if (!holds)
      throw new CausewayError(
        'PRECONDITION_FAILED',
        `If-Match is ${ifMatch}, and the tag is ${tag ?? 'none: the key is absent'}`,
      );
  }
  if (ifNoneMatch === undefined || bare === undefined) return undefined;
  const { any, tags } = parseTags('If-None-Match', ifNoneMatch);
  return any || tags.some(({ value }) => value === bare) ? 'not-modified' : undefined;
}

/** The condition of a write, checked where the write is sequenced. Throws CausewayError INVALID_ARGUMENT or PRECONDITION_FAILED. */
export function writeCondition(
  type: MergeTypeName,
  ifMatch: string | undefined,
  ifNoneMatch: string | undefined,
): Condition | undefined {
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw new CausewayError(
      'INVALID_ARGUMENT',
      'a write has at most one condition; this one has If-Match and If-None-Match',
    );
  }
  if (ifNoneMatch !== undefined) {
    if (parseTags('If-None-Match', ifNoneMatch).any) return { kind: 'absent' };
    throw new CausewayError(
      'INVALID_ARGUMENT',
      'If-None-Match on a write is *, which stands for: only if the key is absent',
    );
  }
  if (ifMatch === undefined) return undefined;
  const { any, tags } = parseTags('If-Match', ifMatch);
  if (any) return { kind: 'exists' };
  if (type !== 'register-lww') {
    throw new CausewayError(
      'INVALID_ARGUMENT',
      `If-Match on a ${type} is *: only a register-lww can be compared by version`,
      {
        hint: 'its changes merge, so they need no condition',
      },
    );
  }
  const [tag] = tags;
  if (tag === undefined || tags.length > 1) {
    throw new CausewayError('INVALID_ARGUMENT', `If-Match on a write has one tag; this one has ${tags.length}`);
  }
  if (tag.weak) {
    throw new CausewayError('PRECONDITION_FAILED', 'a weak tag (W/"…") matches nothing', {
      hint: 'something between you and the node, perhaps one that compresses, weakened the ETag: send it without W/',
    });
  }
  const version = parseVersion(tag.value);
  // Well formed as a tag, so it is a condition, which does not hold: whatever it is the tag of, this key never had it.
  if (version === undefined) {
    throw new CausewayError(
      'PRECONDITION_FAILED',
      `no value of a register-lww has the tag "${tag.value.slice(0, 100)}"`,
      {
        hint: 'send the ETag of an answer exactly as it came',
      },
    );
  }
  return { kind: 'version', version };
}

/** Causeway-Observed: the versions that the writer of a register-mv has read and replaces, with commas. Throws CausewayError. */
export function observedDots(text: string): Dot[] {
  const dots = text.split(',').map((part) => {
    const version = parseVersion(part.trim().replace(/^"(.*)"$/, '$1'));
    if (version === undefined) {
      throw new CausewayError(
        'INVALID_ARGUMENT',
        `Causeway-Observed has the versions of siblings, with commas; got '${part.trim().slice(0, 100)}'`,
        {
          hint: "take each sibling's `version` from a read",
        },
      );
    }
    return { origin: version.origin, seq: version.seq };
  });
  if (dots.length > DOTS_MAX) {
    throw new CausewayError(
      'TOO_LARGE',
      `Causeway-Observed has at most ${DOTS_MAX} versions; this one has ${dots.length}`,
    );
  }
  return dots;
}
