// The flags that say how a node is configured: --config, --set and short forms for the options set most often.

import type { Command } from 'commander';
import { loadConfig, readConfigFile, type FlagValue, type LoadedConfig } from '../config/load.ts';
import type { Context } from './context.ts';

interface ShortForm {
  readonly flag: string;
  readonly argument?: string;
  readonly path: string;
  readonly says: string;
}

const SHORT_FORMS: readonly ShortForm[] = [
  { flag: 'region', argument: 'name', path: 'region', says: 'which region this node is' },
  { flag: 'node', argument: 'name', path: 'node', says: "the node's name" },
  { flag: 'data-dir', argument: 'path', path: 'dataDir', says: 'where log and store live' },
  { flag: 'clients', argument: 'host:port', path: 'listeners.clients.address', says: 'listen here for clients' },
  { flag: 'peers', argument: 'host:port', path: 'listeners.peers.address', says: 'listen here for peer regions' },
  { flag: 'http', argument: 'host:port', path: 'listeners.http.address', says: 'listen here for HTTP (default: off)' },
  { flag: 'log-level', argument: 'level', path: 'log.level', says: 'trace, debug, info, warn, error, fatal or silent' },
  {
    flag: 'trace-file',
    argument: 'path',
    path: 'tracing.file',
    says: 'record traces, and append them here (JSON lines)',
  },
  { flag: 'allow-fresh-start', path: 'allowFreshStart', says: 'take writes although no member could be asked' },
];

export interface NodeFlags {
  readonly config?: string;
  readonly set?: readonly string[];
  readonly [flag: string]: unknown;
}

export function addNodeFlags(command: Command): Command {
  command
    .option('-c, --config <file>', 'the config file (YAML); CAUSEWAY_CONFIG names one too')
    .option('--set <path=value>', 'any option by its path, e.g. limits.batchOpsMax=1000; repeatable', collect);
  for (const { flag, argument, says } of SHORT_FORMS) {
    command.option(argument === undefined ? `--${flag}` : `--${flag} <${argument}>`, says);
  }
  return command;
}

/** Throws CONFIG_INVALID with everything that is wrong. `file` is given by commands that take it as an argument. */
export function configFromFlags(context: Context, flags: NodeFlags, file?: string): LoadedConfig {
  const path = file ?? flags.config ?? context.env['CAUSEWAY_CONFIG'];
  const values: FlagValue[] = [];
  for (const assignment of flags.set ?? []) {
    const equals = assignment.indexOf('=');
    const name = equals < 0 ? assignment : assignment.slice(0, equals);
    values.push({ path: name, flag: `--set ${name}`, text: equals < 0 ? 'true' : assignment.slice(equals + 1) });
  }
  for (const { flag, path: option } of SHORT_FORMS) {
    const value = flags[flag.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())];
    if (value !== undefined) values.push({ path: option, flag: `--${flag}`, text: String(value as string | true) });
  }
  return loadConfig({
    file: path === undefined || path === '' ? undefined : readConfigFile(path),
    env: context.env,
    flags: values,
    directory: process.cwd(),
  });
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
