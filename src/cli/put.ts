// causeway put: one change of one key, whatever the merge type of its collection is.

import { readFileSync } from 'node:fs';
import type { Condition, Intent, MergeType, Op } from '../client/types.ts';
import { CausewayError } from '../errors/errors.ts';
import { examples, usage, type AddCommand, type Context } from './context.ts';
import { changeOf, type Change } from './intents.ts';
import type { VersionParts } from './origin-words.ts';
import { durationMs, keyName, versionOf, type KeyName } from './words.ts';
import { addWriteFlags, change, type WriteFlags } from './write.ts';

interface Flags extends WriteFlags {
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
  readonly delete?: true;
  readonly file?: string;
  readonly ttl?: number;
  readonly ifAbsent?: true;
  readonly ifExists?: true;
  readonly ifVersion?: VersionParts;
}

export const addPut: AddCommand = (program, act) => {
  addWriteFlags(
    program
      .command('put')
      .description('write a key: a value, a number to add, elements, fields, by the merge type of its collection')
      .argument('<namespace/collection/key>', 'which key; it may have slashes of its own', keyName)
      .argument('[values...]', "what to write; '-' reads the value from standard input"),
  )
    .option('--add <element>', 'set-aw: an element to add; repeatable', collect)
    .option('--remove <name>', 'set-aw: an element, map-lww: a field to remove; repeatable', collect)
    .option('--delete', 'the key reads as absent afterwards')
    .option('--file <path>', 'registers: the value is what the file holds')
    .option('--ttl <duration>', 'registers, elements, fields: gone after this long', durationMs)
    .option('--if-absent', 'only if the key has no value in this region')
    .option('--if-exists', 'only if the key has a value in this region')
    .option('--if-version <version>', 'register-lww: only if this is the version, as get --json prints it', versionOf)
    .addHelpText(
      'after',
      examples(
        [`causeway put demo/profiles/anna '{"city":"Oslo"}'`, 'a register (last writer wins)'],
        ['causeway put demo/profiles/anna --file anna.json --if-absent', 'only if there is none yet'],
        ['causeway put demo/counters/likes +5', 'a counter'],
        ['causeway put demo/sets/tags blue green --remove red', 'a set'],
        ['causeway put demo/flights/f1 gate=B12 status=boarding', 'fields of a map'],
        ['causeway put demo/profiles/anna --delete', 'any type'],
        ['causeway put demo/counters/likes -1 --durability regions:1', 'durable in another region too'],
      ),
    )
    .action(act(put));
};

async function put(context: Context, name: KeyName, values: readonly string[], flags: Flags): Promise<void> {
  const { system } = context;
  const content = contentOf(values, flags);
  const words = content === undefined ? values : values.filter((value) => value !== '-');
  const make = (type: MergeType): Op[] => {
    const made = changeOf(type, `${name.namespace}/${name.collection}`, words, { ...flags, content });
    return opsOf(name, made, flags, system.clock.nowMs());
  };
  await change(context, name, flags, make);
}

function contentOf(values: readonly string[], { file }: Flags): Uint8Array | undefined {
  if (file !== undefined && values.includes('-')) throw usage("expected one of --file and '-', got both");
  // File descriptor 0 is standard input; readFileSync takes it to its end.
  if (values.includes('-')) return readFileSync(0);
  if (file === undefined) return undefined;
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CausewayError('INVALID_ARGUMENT', `cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function opsOf({ collection, key }: KeyName, change: Change, flags: Flags, nowMs: number): Op[] {
  const intents = intentsOf(change, flags.ttl === undefined ? undefined : nowMs + flags.ttl);
  const condition = conditionOf(flags);
  if (condition !== undefined && intents.length > 1) {
    throw usage('a condition holds for one change; add and remove elements in two commands');
  }
  return intents.map((intent) => ({
    collection,
    key,
    intent,
    ...(condition === undefined ? {} : { condition }),
  }));
}

function intentsOf(change: Change, expiresAtMs: number | undefined): Intent[] {
  const expiry = expiresAtMs === undefined ? {} : { expiresAtMs };
  const noExpiry = (what: string): void => {
    if (expiresAtMs !== undefined) throw usage(`--ttl has no meaning for ${what}`);
  };
  switch (change.kind) {
    case 'put':
      return [{ kind: 'put', value: change.value, ...expiry }];
    case 'delete':
      noExpiry('--delete');
      return [{ kind: 'delete' }];
    case 'increment':
      noExpiry('a counter');
      return [{ kind: 'increment', by: change.by }];
    case 'set-update': {
      const intents: Intent[] = [];
      if (change.remove.length > 0) intents.push({ kind: 'set-remove', elements: change.remove });
      if (change.add.length > 0) intents.push({ kind: 'set-add', elements: change.add, ...expiry });
      return intents;
    }
    case 'map-update':
      return [
        {
          kind: 'map-update',
          put: change.put.map(([field, value]) => ({ field, value, ...expiry })),
          remove: change.remove,
        },
      ];
  }
}

function conditionOf({ ifAbsent, ifExists, ifVersion }: Flags): Condition | undefined {
  const conditions: Condition[] = [];
  if (ifAbsent) conditions.push({ kind: 'absent' });
  if (ifExists) conditions.push({ kind: 'exists' });
  if (ifVersion !== undefined) conditions.push({ kind: 'version', version: ifVersion });
  if (conditions.length > 1) throw usage('expected at most one of --if-absent, --if-exists and --if-version');
  return conditions[0];
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
