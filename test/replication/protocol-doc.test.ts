// docs/PROTOCOL.md is read by people who write their own clients and tools: its examples and tables are those of the code.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERROR_CODES, EXIT_CODES, GRPC_STATUS } from '../../src/errors/errors.ts';
import { LOG_ENTRY_KINDS } from '../../src/log/log.ts';
import { MERGES } from '../../src/merge/merge.ts';
import { decodeBatch, encodeBatch, OrderedDeps, readBatchHeader } from '../../src/record/batch.ts';
import { partitionText, shardOf, textHash } from '../../src/record/hash.ts';
import { originId, regionId, shardId } from '../../src/record/ids.ts';
import { MERGE_TYPE_CODES, type Op } from '../../src/record/op.ts';

const text = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');

/** What follows a `checked:` mark, up to the next empty line. */
function marked(name: string): string[] {
  const [, after] = text.split(`<!-- checked: ${name} -->\n`);
  if (after === undefined) throw new Error(`docs/PROTOCOL.md has no mark ${name}`);
  return after.slice(0, after.indexOf('\n\n')).split('\n');
}

function cells(row: string): string[] {
  return row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'));
}

test('the shards of the examples', () => {
  const rows = marked('shards').slice(2).map(cells);
  expect(rows.length).toBeGreaterThan(5);
  for (const [namespace = '', collection = '', key = '', hash, of8, of1024] of rows) {
    expect([key, textHash(partitionText(namespace, collection, key))]).toEqual([key, hash]);
    expect(shardOf(namespace, collection, key, 1, 8)).toBe(`1/${of8}`);
    expect(shardOf(namespace, collection, key, 1, 1024)).toBe(`1/${of1024}`);
  }
});

test('the batch of the example, byte for byte', () => {
  const bytes = Buffer.from(
    marked('batch')
      .filter((line) => /^[0-9a-f]+$/.test(line))
      .join(''),
    'hex',
  );
  const op: Op = {
    collection: { namespace: 'shop', name: 'carts', id: 1, type: 'register-lww' },
    key: 'anna',
    payload: Buffer.from('016869', 'hex'),
    idempotency: { kind: 'key', key: 'o-1' },
  };
  const deps = new OrderedDeps([originId(regionId('us'), 1)], [4]);
  const encoded = encodeBatch({
    shard: shardId(1, 3),
    origin: originId(regionId('eu'), 0x0f3a5b7c9d1e),
    firstSeq: 7,
    firstStamp: 1_000_000,
    deps,
    depsBefore: undefined,
    previousChecksum: Buffer.from('0102030405060708', 'hex'),
    ops: [op],
  });
  expect(encoded.toString('hex')).toBe(bytes.toString('hex'));
  const decoded = decodeBatch(bytes, readBatchHeader(bytes), OrderedDeps.empty);
  expect(decoded.located.all()).toEqual([{ ...op, trace: undefined, schemaId: undefined }]);
});

test('every error code, in order, with what it means', () => {
  const statuses = new Map<number, string>(Object.entries(GRPC_STATUS).map(([name, code]) => [code, name]));
  const expected = Object.entries(ERROR_CODES).map(([code, facts]) => [
    code,
    statuses.get(facts.grpcStatus),
    facts.retriable ? 'yes' : 'no',
    facts.outcome,
    String(facts.exitCode),
    facts.meaning,
  ]);
  expect(marked('errors').slice(2).map(cells)).toEqual(expected);
});

test('exit codes, log entries and merge types', () => {
  for (const code of Object.values(EXIT_CODES)) expect(text).toMatch(new RegExp(`Exit codes of the CLI:.*\\b${code} `));
  for (const [kind, code] of Object.entries(LOG_ENTRY_KINDS)) expect(text).toContain(`| ${code} | ${kind} |`);
  for (const [type, code] of Object.entries(MERGE_TYPE_CODES)) {
    const { stateVersion } = MERGES[type as keyof typeof MERGES];
    expect(text).toContain(`| ${code} | \`${type}\` | ${stateVersion} |`);
  }
});
