// causeway config: look at a configuration without starting anything.

import type { Command } from 'commander';
import { stringify } from 'yaml';
import { configJsonSchema, optionRows, optionsMarkdown } from '../config/describe.ts';
import { settingsHash, settingsText } from '../config/hash.ts';
import { originText } from '../config/load.ts';
import { OPTIONS } from '../config/options.ts';
import { NodeTls } from '../security/node-tls.ts';
import { valueAt } from '../config/problems.ts';
import { examples, type AddCommand } from './context.ts';
import { addNodeFlags, configFromFlags, type NodeFlags } from './node-flags.ts';
import { table } from './terminal.ts';

export const addConfig: AddCommand = (program, act) => {
  const config = program
    .command('config')
    .description("check, print and explain a node's configuration")
    .addHelpText(
      'after',
      examples(
        ['causeway config check examples/us-east.yaml', 'every mistake at once, with its line'],
        ['causeway config print examples/us-east.yaml --show-origin', 'what holds, and why'],
        ['causeway config schema --options', 'every option with its default'],
      ),
    );

  addNodeFlags(config.command('check [file]'))
    .description('report every mistake; exit 0 when there is none, 3 otherwise')
    .option('--files', 'read the certificates and keys that it names, too')
    .addHelpText(
      'after',
      examples(
        ['causeway config check examples/us-east.yaml', 'a file'],
        ['causeway config check node.yaml --set leaseMs=500', 'a file and what a flag would make of it'],
        ['causeway config check node.yaml --files', 'and its certificates, where they are'],
      ),
    )
    .action(
      act((context, file: string | undefined, flags: NodeFlags) => {
        const loaded = configFromFlags(context, flags, file).config;
        if (flags['files'] === true) void new NodeTls(loaded, context.system, () => {});
        const { region, regions, placements, collections } = loaded;
        const hash = settingsHash(loaded);
        if (context.terminal.json) context.terminal.document({ ok: true, settingsHash: hash });
        else {
          const shards = placements.reduce((sum, placement) => sum + placement.shards, 0);
          context.terminal.line(
            `${context.terminal.good('ok')}: ${region}, one of ${regions.length} region(s); ${shards} shards, ${collections.length} collection(s)`,
          );
          context.terminal.line(`settings hash ${hash} (equal in every region, or they refuse each other)`);
          if (collections.length === 0) context.terminal.note('note: without collections nothing can be written.');
        }
        return Promise.resolve();
      }),
    );

  addNodeFlags(config.command('print [file]'))
    .description('print the configuration as it holds, defaults included')
    .option('--show-origin', 'with each value the file and line, variable or flag that set it')
    .option('--settings', 'only what must be equal in every region, one per line: compare two nodes with diff')
    .addHelpText(
      'after',
      examples(
        ['causeway config print node.yaml', 'as YAML'],
        ['causeway config print node.yaml --show-origin', 'where each value comes from'],
        [
          'diff <(causeway config print a.yaml --settings) <(causeway config print b.yaml --settings)',
          'why two nodes refuse each other',
        ],
      ),
    )
    .action(
      act((context, file: string | undefined, flags: NodeFlags) => {
        const { terminal } = context;
        const { config: loaded, originOf } = configFromFlags(context, flags, file);
        const origins = OPTIONS.map(({ path }) => ({
          path,
          value: valueAt(loaded, path.split('.')),
          origin: originText(originOf(path)),
        }));
        if (flags['settings'] === true) terminal.raw(settingsText(loaded));
        else if (flags['showOrigin'] !== true) {
          if (terminal.json) terminal.document(loaded);
          else terminal.raw(stringify(loaded));
        } else if (terminal.json) terminal.document(origins);
        else {
          const rows = origins.map(({ path, value, origin }) => [
            path,
            origin === 'default' ? terminal.dim(origin) : origin,
            typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean),
          ]);
          for (const line of table(rows)) terminal.line(line);
        }
        return Promise.resolve();
      }),
    );

  addSchema(config, act);
};

function addSchema(config: Command, act: Parameters<AddCommand>[1]): void {
  config
    .command('schema')
    .description('print the JSON Schema of the config file, for editors and checkers')
    .option('--options', 'the options as a table instead')
    .option('--markdown', 'the options as the table of docs/OPERATIONS.md instead')
    .addHelpText(
      'after',
      examples(
        ['causeway config schema > causeway.schema.json', 'then: # yaml-language-server: $schema=causeway.schema.json'],
        ['causeway config schema --options', 'names, variables, defaults, what they cost'],
      ),
    )
    .action(
      act((context, flags: { readonly options?: true; readonly markdown?: true }) => {
        const { terminal } = context;
        if (flags.markdown) terminal.line(optionsMarkdown());
        else if (!flags.options) terminal.document(configJsonSchema());
        else if (terminal.json) terminal.document(optionRows());
        else {
          for (const { path, env, defaultText, range, is, cost } of optionRows()) {
            terminal.line(`${terminal.bold(path)}${env === '' ? '' : `  ${terminal.dim(env)}`}`);
            terminal.line(`    ${is}${cost === '' ? '' : ` Cost: ${cost}`}`);
            terminal.line(`    ${range}; default: ${defaultText.replaceAll('**', '')}`);
          }
        }
        return Promise.resolve();
      }),
    );
}
