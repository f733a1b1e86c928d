// What a reader saw of a key, as a document for programs and as one line for people.

import type { View } from '../client/types.ts';
import type { VersionParts } from './origin-words.ts';
import { jsonBytes, printable, timeOfStamp, versionText } from './words.ts';

export function viewDocument(view: View | undefined): object {
  if (view === undefined) return { value: null };
  switch (view.type) {
    case 'register-lww':
      return {
        value: jsonBytes(view.value),
        ...versionDocument(view.version),
        ...(view.expiresAtMs === undefined ? {} : { expiresAt: new Date(view.expiresAtMs).toISOString() }),
      };
    case 'register-mv':
      return {
        values: view.siblings.map(({ value, version }) => ({ value: jsonBytes(value), ...versionDocument(version) })),
      };
    case 'counter-pn':
      return { value: view.value };
    case 'set-aw':
      return { elements: view.elements.map(jsonBytes) };
    case 'map-lww':
      return {
        fields: Object.fromEntries(view.fields.map(({ field, value }) => [field, jsonBytes(value)])),
        versions: Object.fromEntries(view.fields.map(({ field, version }) => [field, versionText(version)])),
      };
  }
}

function versionDocument(version: VersionParts): { readonly version: string; readonly writtenAt: string } {
  return { version: versionText(version), writtenAt: timeOfStamp(version.stamp) };
}

/** On one line, as causeway put takes it where that is possible. */
export function viewLine(view: View): string {
  switch (view.type) {
    case 'register-lww':
      return oneLine(view.value);
    case 'register-mv':
      return view.siblings.map(({ value }) => oneLine(value)).join(' | ');
    case 'counter-pn':
      return String(view.value);
    case 'set-aw':
      return view.elements.map(oneLine).join(' ');
    case 'map-lww':
      return view.fields.map(({ field, value }) => `${field}=${oneLine(value)}`).join(' ');
  }
}

export function oneLine(value: Uint8Array): string {
  return printable(value).replaceAll(/[\r\n\t]+/g, ' ');
}

/** bounded: every write up to there is in the answer; stable: none after it either. */
export function asOfDocument(stamp: number | undefined): object {
  return stamp === undefined ? {} : { asOfStamp: stamp, asOf: timeOfStamp(stamp) };
}
