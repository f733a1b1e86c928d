// causeway get: what a region has for some keys.

import { InvalidArgumentError } from 'commander';
import type { Consistency, View } from '../client/types.ts';
import { CausewayError, EXIT_CODES } from '../errors/errors.ts';
import { examples, usage, type AddCommand, type Context } from './context.ts';
import { collectionType, withClient } from './nodes.ts';
import { table, type Terminal } from './terminal.ts';
import {
  durationMs,
  jsonBytes,
  keyName,
  printable,
  timeOfStamp,
  versionText,
  type KeyName,
  type VersionParts,
} from './words.ts';

interface Flags {
  readonly consistency: Consistency;
  readonly session?: string;
  readonly allowStale?: true;
  readonly raw?: true;
}

export const addGet: AddCommand = (program, act) => {
  program
    .command('get')
    .description('read keys')
    .argument('<namespace/collection/key...>', 'which keys; several of one collection are read at once', allKeyNames)
    .option(
      '--consistency <level>',
      'local (what this region has), causal (at least what the session has seen), bounded:DURATION (at most so far behind ' +
        'every other region) or stable (one cut that nothing can change any more)',
      level,
      'local',
    )
    .option('--session <token>', 'what the session has seen, as put --json prints it; means --consistency causal')
    .option('--allow-stale', 'causal: at the deadline answer with what is there, marked stale')
    .option('--raw', "a register's bytes as they are, without a line end")
    .addHelpText(
      'after',
      `${examples(
        ['causeway get demo/profiles/anna', 'the value'],
        ['causeway get demo/profiles/anna --json', 'with its version and a session token'],
        ['causeway get demo/profiles/anna demo/profiles/bob', 'several keys'],
        ['causeway get demo/profiles/anna --session "$TOKEN"', 'read your own write, in any region'],
        [
          'causeway get demo/profiles/anna --consistency bounded:2s',
          'at most two seconds behind any region, or a refusal',
        ],
        ['causeway get demo/files/logo.png --raw > logo.png', 'bytes'],
      )}
Exits 5 when a key has no value.
`,
    )
    .action(act(get));
};

async function get(context: Context, names: readonly KeyName[], flags: Flags): Promise<number> {
  const { terminal } = context;
  const { namespace, collection } = names[0]!;
  if (names.some((name) => name.namespace !== namespace || name.collection !== collection)) {
    throw usage('expected keys of one collection; read others with a command of their own');
  }
  const consistency = flags.session === undefined || flags.consistency !== 'local' ? flags.consistency : 'causal';
  return withClient(context, namespace, { session: flags.session }, async (client) => {
    const type = await collectionType(client, collection);
    const keys = names.map(({ key }) => key);
    const { views, stale, asOfStamp } = await client.read(collection, keys, {
      consistency,
      allowStale: flags.allowStale ?? false,
    });
    const missing = keys.filter((_, i) => views[i] === undefined);
    if (terminal.json) {
      const values = keys.map((key, i) => ({ key, ...viewDocument(views[i]) }));
      const head = {
        namespace,
        collection,
        type,
        region: client.endpoint()?.region,
        stale,
        ...asOfDocument(asOfStamp),
        session: client.session(),
      };
      terminal.document(names.length === 1 ? { ...head, ...values[0] } : { ...head, values });
      return missing.length === 0 ? EXIT_CODES.ok : EXIT_CODES.notFound;
    }
    if (stale) terminal.note(terminal.warn('stale: this region has not reached what the session has seen'));
    for (const [i, key] of keys.entries()) {
      const view = views[i];
      if (view === undefined) continue;
      if (names.length > 1) terminal.line(terminal.bold(`${collection}/${key}`));
      show(view, terminal, flags.raw === true);
    }
    if (missing.length > 0) {
      const list = missing.map((key) => `${namespace}/${collection}/${key}`).join(', ');
      throw new CausewayError(
        'KEY_NOT_FOUND',
        `${list} ${missing.length === 1 ? 'has' : 'have'} no value in ${client.endpoint()?.region ?? 'this region'}`,
        {
          hint: 'If it was written elsewhere a moment ago it may still be on its way: see `causeway status` for the lag, or read with --session.',
        },
      );
    }
    return EXIT_CODES.ok;
  });
}

function show(view: View, terminal: Terminal, raw: boolean): void {
  switch (view.type) {
    case 'register-lww':
      if (raw) terminal.raw(view.value);
      else terminal.line(printable(view.value));
      return;
    case 'register-mv':
      if (view.siblings.length > 1) {
        terminal.note(
          terminal.warn(`${view.siblings.length} concurrent values; the next put replaces those it has seen`),
        );
      }
      for (const { value } of view.siblings) {
        if (raw) terminal.raw(value);
        else terminal.line(printable(value));
      }
      return;
    case 'counter-pn':
      terminal.line(String(view.value));
      return;
    case 'set-aw':
      for (const element of view.elements) terminal.line(printable(element));
      return;
    case 'map-lww': {
      const rows = view.fields.map(({ field, value }) => [
        terminal.person ? terminal.bold(field) : `${field}=${printable(value)}`,
        printable(value),
      ]);
      // Programs get what put takes.
      for (const line of terminal.person ? table(rows) : rows.map(([line]) => line!)) terminal.line(line);
      return;
    }
  }
}

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

/** bounded: every write up to there is in the answer; stable: none after it either. */
function asOfDocument(stamp: number | undefined): object {
  return stamp === undefined ? {} : { asOfStamp: stamp, asOf: timeOfStamp(stamp) };
}

function allKeyNames(text: string, before: readonly KeyName[] = []): readonly KeyName[] {
  return [...before, keyName(text)];
}

function level(text: string): Consistency {
  if (text === 'local' || text === 'causal' || text === 'stable') return text;
  const bound = /^bounded:(.+)$/.exec(text)?.[1];
  if (bound !== undefined) return { maxStaleMs: durationMs(bound) };
  throw new InvalidArgumentError('Expected local, causal, stable or bounded:DURATION, for example bounded:2s.');
}
