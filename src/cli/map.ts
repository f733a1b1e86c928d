// causeway map: fields of a map-lww.

import { EXIT_CODES } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { changeOf } from './intents.ts';
import { collectionType, keysMissing, noteStale, withClient } from './nodes.ts';
import { addReadFlags, readOptions, type ReadFlags } from './read-flags.ts';
import { durationMs, jsonBytes, keyName, printable, versionText, type KeyName } from './words.ts';
import { addWriteFlags, change, wrongType, type WriteFlags } from './write.ts';

export const addMap: AddCommand = (program, act) => {
  const map = program
    .command('map')
    .description('write, read and remove fields of a map')
    .addHelpText(
      'after',
      examples(
        ['causeway map set demo/flights/f1 gate=B12 status=boarding', 'these fields, the others stay'],
        ['causeway map get demo/flights/f1 gate', 'one field'],
        ['causeway map rm demo/flights/f1 gate', 'one field less'],
      ),
    );

  addWriteFlags(
    map
      .command('set')
      .description('write fields and leave the others')
      .argument('<namespace/collection/key>', 'which map', keyName)
      .argument('<field=value...>', 'fields, or one JSON object'),
  )
    .option('--ttl <duration>', 'these fields are gone after this long', durationMs)
    .addHelpText(
      'after',
      examples(
        ['causeway map set demo/flights/f1 gate=B12 status=boarding', 'two fields in one write'],
        [`causeway map set demo/flights/f1 '{"gate":"B12","delay":5}'`, 'the same as JSON'],
      ),
    )
    .action(act(setFields));

  addReadFlags(
    map
      .command('get')
      .description('read all fields, or those that are named')
      .argument('<namespace/collection/key>', 'which map', keyName)
      .argument('[fields...]', 'only these'),
  )
    .addHelpText(
      'after',
      `${examples(
        ['causeway map get demo/flights/f1', 'field=value, one per line'],
        ['causeway map get demo/flights/f1 gate', 'the value alone'],
        ['causeway map get demo/flights/f1 --json', 'with the version of each field'],
      )}
Exits 5 when the key, or a field that was named, has no value.
`,
    )
    .action(act(getFields));

  addWriteFlags(
    map
      .command('rm')
      .description('remove fields')
      .argument('<namespace/collection/key>', 'which map', keyName)
      .argument('<fields...>', 'which fields'),
  )
    .addHelpText('after', examples(['causeway map rm demo/flights/f1 gate delay', 'the other fields stay']))
    .action(act(removeFields));
};

function setFields(
  context: Context,
  name: KeyName,
  values: readonly string[],
  flags: WriteFlags & { readonly ttl?: number },
): Promise<void> {
  const { namespace, collection, key } = name;
  const expiry = flags.ttl === undefined ? {} : { expiresAtMs: context.system.clock.nowMs() + flags.ttl };
  const make = () => {
    const made = changeOf('map-lww', `${namespace}/${collection}`, values, {});
    if (made.kind !== 'map-update') throw new Error(`a map is changed by ${made.kind}`);
    const put = made.put.map(([field, value]) => ({ field, value, ...expiry }));
    return [{ collection, key, intent: { kind: 'map-update' as const, put, remove: [] } }];
  };
  return change(context, name, flags, make, { only: 'map-lww' });
}

function removeFields(context: Context, name: KeyName, fields: readonly string[], flags: WriteFlags): Promise<void> {
  const { collection, key } = name;
  const intent = { kind: 'map-update', put: [], remove: fields } as const;
  return change(context, name, flags, () => [{ collection, key, intent }], { only: 'map-lww' });
}

function getFields(context: Context, name: KeyName, wanted: readonly string[], flags: ReadFlags): Promise<number> {
  const { terminal } = context;
  const { namespace, collection, key } = name;
  return withClient(context, namespace, flags, async (client) => {
    const type = await collectionType(client, collection);
    if (type !== 'map-lww') throw wrongType(name, type, 'map-lww');
    const { views, stale } = await client.read(collection, [key], readOptions(flags));
    const [view] = views;
    const all = view?.type === 'map-lww' ? view.fields : [];
    const fields = wanted.length === 0 ? all : all.filter(({ field }) => wanted.includes(field));
    const absent = wanted.filter((field) => fields.every((found) => found.field !== field));
    const missing = view === undefined || absent.length > 0;
    if (terminal.json) {
      terminal.document({
        ...name,
        fields: Object.fromEntries(fields.map(({ field, value }) => [field, jsonBytes(value)])),
        versions: Object.fromEntries(fields.map(({ field, version }) => [field, versionText(version)])),
        missing: absent,
        region: client.endpoint()?.region,
        stale,
        session: client.session(),
      });
      return missing ? EXIT_CODES.notFound : EXIT_CODES.ok;
    }
    if (stale) noteStale(terminal);
    for (const { field, value } of fields)
      terminal.line(wanted.length === 1 ? printable(value) : `${field}=${printable(value)}`);
    if (!missing) return EXIT_CODES.ok;
    const whole = `${namespace}/${collection}/${key}`;
    throw keysMissing(view === undefined ? [whole] : absent.map((field) => `${whole} field ${field}`), client);
  });
}
