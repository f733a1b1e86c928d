// What a write did to its key, for people and for programs.

import type { FeedOp } from '../client/index.ts';
import { oneLine } from './view-words.ts';
import { jsonBytes } from './words.ts';

export function opText(op: FeedOp): string {
  const list = (elements: readonly Uint8Array[]): string => elements.map(oneLine).join(' ');
  switch (op.kind) {
    case 'put':
      return oneLine(op.value);
    case 'delete':
      return 'deleted';
    case 'increment':
      return op.by < 0n ? String(op.by) : `+${op.by}`;
    case 'set-add':
      return `added ${list(op.elements)}`;
    case 'set-remove':
      return `removed ${list(op.elements)}`;
    case 'map-update': {
      const put = op.put.map(({ field, value }) => `${field}=${oneLine(value)}`);
      return [...put, ...op.remove.map((field) => `removed ${field}`)].join(' ');
    }
    case 'unknown':
      return '(a change that this version does not know)';
  }
}

export function opDocument(op: FeedOp): object {
  switch (op.kind) {
    case 'put':
      return { kind: op.kind, value: jsonBytes(op.value) };
    case 'set-add':
    case 'set-remove':
      return { kind: op.kind, elements: op.elements.map(jsonBytes) };
    case 'map-update':
      return {
        kind: op.kind,
        put: Object.fromEntries(op.put.map(({ field, value }) => [field, jsonBytes(value)])),
        remove: op.remove,
      };
    case 'increment':
    case 'delete':
    case 'unknown':
      return op;
  }
}
