// A value that somebody wrote, as text: never as markup.

import type { JSX } from 'preact';
import type { OpMessage, PreviewMessage, ValueMessage } from '../../src/api/http/page/messages.ts';
import { bytes } from '../format.ts';

export function Preview({ value }: { value: PreviewMessage }): JSX.Element {
  const note = value.form === 'base64' ? 'bytes, as base64' : value.cut ? 'the beginning' : '';
  return (
    <span class="value">
      <code>{value.text === '' ? '(empty)' : value.text}</code>
      {note === '' ? null : (
        <span class="dim">
          {' '}
          {note} of {bytes(value.bytes)}
        </span>
      )}
    </span>
  );
}

function Previews({ values, more }: { values: readonly PreviewMessage[]; more: number }): JSX.Element {
  return (
    <>
      {values.map((value, i) => (
        <>
          {i === 0 ? null : ' '}
          <Preview key={i} value={value} />
        </>
      ))}
      {more > 0 ? <span class="dim"> and {more} more</span> : null}
    </>
  );
}

export function Op({ op }: { op: OpMessage }): JSX.Element {
  switch (op.kind) {
    case 'put':
      return <Preview value={op.value} />;
    case 'delete':
      return <em>deleted</em>;
    case 'increment':
      return <code>{op.by.startsWith('-') ? op.by : `+${op.by}`}</code>;
    case 'set-add':
    case 'set-remove':
      return (
        <>
          {op.kind === 'set-add' ? 'added ' : 'removed '}
          <Previews values={op.elements} more={op.more} />
        </>
      );
    case 'map-update':
      return (
        <span class="fields">
          {op.put.map(({ field, value }) => (
            <span key={field}>
              <b>{field}</b> <Preview value={value} />
            </span>
          ))}
          {op.remove.map((field) => (
            <span key={`-${field}`}>
              removed <b>{field}</b>
            </span>
          ))}
          {op.more > 0 ? <span class="dim">and {op.more} more</span> : null}
        </span>
      );
  }
}

export function Value({ value }: { value: ValueMessage | null }): JSX.Element {
  if (value === null) return <em>absent</em>;
  switch (value.type) {
    case 'register-lww':
      return <Preview value={value.value} />;
    case 'register-mv':
      return <Previews values={value.siblings.map((sibling) => sibling.value)} more={0} />;
    case 'counter-pn':
      return <code>{value.value}</code>;
    case 'set-aw':
      return <Previews values={value.elements} more={value.more} />;
    case 'map-lww':
      return (
        <span class="fields">
          {value.fields.map(({ field, value: of }) => (
            <span key={field}>
              <b>{field}</b> <Preview value={of} />
            </span>
          ))}
        </span>
      );
  }
}
