// A node of each region: named by -e a,b,c, or taken from a configuration.

import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CausewayError } from '../errors/errors.ts';
import type { Context } from './context.ts';
import { addresses } from './words.ts';

export interface RegionFlags {
  readonly endpoints?: readonly string[];
  readonly config?: string;
}

export function addRegionFlags(command: Command): Command {
  return command
    .option('--endpoints <a,b,c>', 'a node of each region; the same as --endpoint', addresses)
    .option('-c, --config <file>', 'take them from a config file: the clients of its regions');
}

/** Asks these. Throws CausewayError CONFIG_INVALID. */
export async function regionContext(context: Context, { endpoints, config }: RegionFlags): Promise<Context> {
  const named = endpoints ?? (config === undefined ? context.endpoints : await clientsIn(config));
  return { ...context, endpoints: named, endpointsGiven: true };
}

/** Of each region the first. Loosely read: the file is somebody else's, and only addresses are wanted. */
async function clientsIn(path: string): Promise<string[]> {
  const { parse } = await import('yaml');
  const content = parse(readText(path)) as {
    readonly regions?: readonly { readonly name?: string; readonly clients?: readonly string[] }[];
  } | null;
  const found = (content?.regions ?? []).flatMap(({ clients }) => clients?.slice(0, 1) ?? []);
  if (found.length > 0) return found.flatMap(addresses);
  throw new CausewayError('CONFIG_INVALID', `expected regions with their clients in ${path}, and found none`, {
    hint: 'regions[].clients says where clients reach a region; or name a node of each with -e a:7400,b:7400.',
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CausewayError('CONFIG_INVALID', `cannot read the config file ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
