import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as conventions from '@opentelemetry/semantic-conventions/incubating';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/config/version.ts';
import * as ours from '../../src/tracing/attributes.ts';

test('what the semantic conventions have a word for is called as they call it', () => {
  expect({
    [ours.MESSAGING_SYSTEM]: conventions.ATTR_MESSAGING_SYSTEM_NAME,
    [ours.MESSAGING_OPERATION]: conventions.ATTR_MESSAGING_OPERATION_TYPE,
    [ours.MESSAGING_DESTINATION]: conventions.ATTR_MESSAGING_DESTINATION_NAME,
    [ours.MESSAGING_BATCH_COUNT]: conventions.ATTR_MESSAGING_BATCH_MESSAGE_COUNT,
    [ours.MESSAGING_MESSAGE_ID]: conventions.ATTR_MESSAGING_MESSAGE_ID,
    [ours.RPC_SYSTEM]: conventions.ATTR_RPC_SYSTEM_NAME,
    [ours.RPC_METHOD]: conventions.ATTR_RPC_METHOD,
    [ours.HTTP_METHOD]: conventions.ATTR_HTTP_REQUEST_METHOD,
    [ours.HTTP_ROUTE]: conventions.ATTR_HTTP_ROUTE,
    [ours.ERROR_TYPE]: conventions.ATTR_ERROR_TYPE,
  }).toSatisfy((names: Record<string, string>) => Object.entries(names).every(([own, theirs]) => own === theirs));
});

test('everything else is ours by its name, and stands in docs/TRACING.md', () => {
  const names = Object.entries(ours).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as const] : [],
  );
  const known = new Set<unknown>(Object.values(conventions));
  const text = readFileSync(join(packageRoot(), 'docs/TRACING.md'), 'utf8');
  for (const [name, value] of names) {
    if (!known.has(value)) expect(value, name).toMatch(/^causeway\./);
    expect(text, `docs/TRACING.md has ${value}`).toContain(`\`${value}\``);
  }
  for (const span of Object.values(ours.SPANS)) expect(text, `docs/TRACING.md has ${span}`).toContain(`\`${span}\``);
});
