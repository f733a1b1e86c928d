// The options for readers: as JSON Schema (editors complete and check YAML with it) and as the table of docs/OPERATIONS.md.

import { z } from 'zod';
import { ENTRY_FIELDS, OPTIONS, factsOf, type EntryField, type Option } from './options.ts';
import { bytesText, configSchema, grouped } from './schema.ts';

export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      const facts = factsOf(zodSchema);
      if (facts === undefined) return;
      jsonSchema.description = facts.cost === undefined ? facts.is : `${facts.is} Cost: ${facts.cost}`;
    },
  });
}

export interface OptionRow {
  readonly path: string;
  readonly env: string;
  readonly defaultText: string;
  readonly range: string;
  readonly is: string;
  readonly cost: string;
}

export function optionRows(): OptionRow[] {
  const rows: OptionRow[] = [];
  for (const option of OPTIONS) {
    rows.push(row(option, option.env));
    for (const field of ENTRY_FIELDS) if (field.path.startsWith(`${option.path}[]`)) rows.push(row(field, ''));
  }
  return rows;
}

/** The lines between the two marks in docs/OPERATIONS.md. */
export function optionsMarkdown(): string {
  const lines = optionRows().map(
    ({ path, env, defaultText, range, is, cost }) =>
      `| \`${path}\`${env === '' ? '' : `<br>\`${env}\``} | ${cell(defaultText)} | ${cell(range)} | ${cell(is)} | ${cell(cost)} |`,
  );
  return [
    '| option, variable | default | values | what it is | what it costs |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

function row({ path, facts, required, fallback }: Option | EntryField, env: string): OptionRow {
  const bytes = path.toLowerCase().includes('bytes');
  const range = bytes
    ? facts.expected.replaceAll(/[\d,]{4,}/g, (number) => bytesText(Number(number.replaceAll(',', ''))))
    : facts.expected;
  return { path, env, defaultText: defaultText(), range, is: facts.is, cost: facts.cost ?? '' };

  function defaultText(): string {
    if (facts.defaultText !== undefined) return facts.defaultText;
    if (Array.isArray(fallback)) return 'none';
    if (typeof fallback === 'number') return bytes ? bytesText(fallback) : grouped(fallback);
    if (fallback !== undefined) return String(fallback as string | boolean);
    return required ? '**required**' : 'none';
  }
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
