// A node's configuration: flags over environment over file over defaults, checked as a whole before anything starts.
// Every problem is reported at once, with the place that the value came from.

import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { LineCounter, isMap, isScalar, parse, parseDocument, type Document } from 'yaml';
import { z } from 'zod';
import { CausewayError } from '../errors/errors.ts';
import { crossChecks, type Parts } from './checks.ts';
import { ENV_PREFIX, OPTIONS, bare, optionByEnv, optionByPath, type Option } from './options.ts';
import {
  configInvalid,
  findingsOf,
  pathText,
  shown,
  valueAt,
  type Finding,
  type Path,
  type Problem,
} from './problems.ts';
import { configSchema, type Config, type ParsedConfig } from './schema.ts';
import { closest } from './suggest.ts';

export type ValueOrigin =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string; readonly line: number | undefined }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'flag'; readonly flag: string };

/** A value from the command line: `--data-dir /var/x`, or `--set limits.batchOpsMax=100`. */
export interface FlagValue {
  readonly path: string;
  readonly flag: string;
  readonly text: string;
}

export interface ConfigSources {
  readonly file?:
    | { readonly name: string; readonly text: string; /** for relative paths in it */ readonly directory: string }
    | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: readonly FlagValue[];
  /** For relative paths in flags and environment. */
  readonly directory: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Of an option's path; for a list, of the list as a whole. */
  readonly originOf: (path: string) => ValueOrigin;
}

/** A config is some pages of text; more than this is another file. */
const FILE_BYTES_MAX = 1024 * 1024;

/** Of the environment, but not options of a node. */
const OTHER_ENV = new Set([
  'CAUSEWAY_CONFIG',
  'CAUSEWAY_ENDPOINT',
  'CAUSEWAY_CA',
  'CAUSEWAY_CERT',
  'CAUSEWAY_KEY',
  'CAUSEWAY_SERVER_NAME',
]);

/** Kubernetes puts these into every container beside a Service named causeway or causeway-something. */
const KUBERNETES_ENV =
  /^CAUSEWAY_(?:[A-Z0-9]+_)*(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)?)$/;

/** Reads the file; throws CONFIG_INVALID when it cannot be read. */
export function readConfigFile(path: string): NonNullable<ConfigSources['file']> {
  try {
    const text = readFileSync(path, 'utf8');
    return { name: basename(path), text, directory: dirname(resolve(path)) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EACCES'
          ? 'this user may not read it'
          : code === 'EISDIR'
            ? 'it is a directory'
            : (error as Error).message;
    throw new CausewayError('CONFIG_INVALID', `cannot read the config file ${path}: ${reason}`, {
      hint: 'Name it with --config FILE. examples/ holds files to start from.',
      cause: error,
    });
  }
}

/** Throws CONFIG_INVALID with every problem in `details.problems`. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const problems: Problem[] = [];
  const file = sources.file === undefined ? undefined : readYaml(sources.file.name, sources.file.text);
  problems.push(...(file?.problems ?? []));

  const raw = structuredClone(file?.value ?? {});
  const set = new Map<string, ValueOrigin>();
  for (const { option, text, origin } of [...fromEnv(sources.env, problems), ...fromFlags(sources.flags, problems)]) {
    const value = option.kind === 'text' ? text : yamlValue(text);
    if (setAt(raw, option.path.split('.'), value)) set.set(option.path, origin);
  }

  const locate = (finding: { readonly at: Path; readonly key?: boolean }): string => {
    for (let length = finding.at.length; length > 0; length--) {
      const origin = set.get(pathText(finding.at.slice(0, length)));
      if (origin !== undefined) return originText(origin);
    }
    if (file === undefined) return '';
    // A value that is missing has no place of its own: the entry or section that lacks it has.
    for (let length = finding.at.length; length > 0; length--) {
      const line = file.lineOf(finding.at.slice(0, length), finding.key === true && length === finding.at.length);
      if (line !== undefined) return `${file.name}:${line}`;
    }
    return file.name;
  };

  // A file that is no YAML says nothing reliable about what is in it.
  if (file === undefined || file.readable) {
    const parsed = configSchema.safeParse(raw);
    const findings: Finding[] = parsed.success ? [] : findingsOf(parsed.error, raw);
    findings.push(...crossChecks((validParts(configSchema, raw) ?? {}) as Parts<ParsedConfig>));
    for (const { at, expected, got, remedy, key } of findings) {
      problems.push({ path: pathText(at), where: locate({ at, key: key === true }), expected, got, remedy });
    }
    if (parsed.success && problems.length === 0) {
      const originOf = (path: string): ValueOrigin => {
        const given = set.get(path);
        if (given !== undefined) return given;
        const steps = path.split('.');
        if (file === undefined || valueAt(file.value, steps) === undefined) return { kind: 'default' };
        return { kind: 'file', file: file.name, line: file.lineOf(steps, true) };
      };
      const directoryOf = (path: string): string =>
        originOf(path).kind === 'file' ? sources.file!.directory : sources.directory;
      return { config: complete(parsed.data, directoryOf), originOf };
    }
  }
  throw configInvalid(inReadingOrder(problems), sources.file?.name ?? 'the configuration');
}

/** Checks a configuration that a program made; defaults as in a file. For demo, bench, tests. */
export function configFrom(value: z.input<typeof configSchema>, directory = process.cwd()): Config {
  return loadConfig({
    file: { name: 'the configuration', text: JSON.stringify(value), directory },
    env: {},
    flags: [],
    directory,
  }).config;
}

export function originText(origin: ValueOrigin): string {
  switch (origin.kind) {
    case 'default':
      return 'default';
    case 'file':
      return origin.line === undefined ? origin.file : `${origin.file}:${origin.line}`;
    case 'environment':
      return origin.name;
    case 'flag':
      return origin.flag;
  }
}

/** Those of the file from its top to its end, then the others as they came. */
function inReadingOrder(problems: readonly Problem[]): Problem[] {
  const line = ({ where }: Problem): number => Number(/:(\d+)(?::\d+)?$/.exec(where)?.[1] ?? Infinity);
  return problems.toSorted((a, b) => (line(a) === line(b) ? 0 : line(a) - line(b)));
}

/** The defaults that are made from other options. `directoryOf` says what a relative path in an option is relative to. */
function complete(parsed: ParsedConfig, directoryOf: (path: string) => string): Config {
  const { listeners, links, tracing, otlp, nats, redis } = parsed;
  const fileAt = (path: string, file: string | undefined): string | undefined =>
    file === undefined ? undefined : resolve(directoryOf(path), file);
  const regions = parsed.regions ?? [
    {
      name: parsed.region,
      peers: [parsed.listeners.peers.address],
      clients: [parsed.listeners.clients.address],
      http: [],
    },
  ];
  return deepFreeze({
    ...parsed,
    node: parsed.node ?? `${parsed.region}-1`,
    dataDir: resolve(directoryOf('dataDir'), parsed.dataDir),
    listeners: Object.fromEntries(
      Object.entries(listeners).map(([name, listener]) => [
        name,
        { ...listener, tls: withPaths(listener.tls, `listeners.${name}.tls`, directoryOf) },
      ]),
    ) as typeof listeners,
    links: { ...links, tls: withPaths(links.tls, 'links.tls', directoryOf) },
    tracing: { ...tracing, file: fileAt('tracing.file', tracing.file) },
    otlp: { ...otlp, headersFile: fileAt('otlp.headersFile', otlp.headersFile) },
    nats: {
      ...nats,
      passwordFile: fileAt('nats.passwordFile', nats.passwordFile),
      nkeyFile: fileAt('nats.nkeyFile', nats.nkeyFile),
      credsFile: fileAt('nats.credsFile', nats.credsFile),
      tls: withPaths(nats.tls, 'nats.tls', directoryOf),
    },
    redis: {
      ...redis,
      passwordFile: fileAt('redis.passwordFile', redis.passwordFile),
      tls: withPaths(redis.tls, 'redis.tls', directoryOf),
    },
    regions,
    placements: parsed.placements ?? [{ id: 1, name: 'default', shards: 8, regions: regions.map(({ name }) => name) }],
  });
}

function withPaths<T extends { cert?: string | undefined; key?: string | undefined; ca?: string | undefined }>(
  tls: T | undefined,
  path: string,
  directoryOf: (path: string) => string,
): T | undefined {
  if (tls === undefined) return undefined;
  const resolved = { ...tls };
  for (const part of ['cert', 'key', 'ca'] as const) {
    const file = tls[part];
    if (file !== undefined) resolved[part] = resolve(directoryOf(`${path}.${part}`), file);
  }
  return resolved;
}

interface YamlFile {
  readonly name: string;
  /** False: the text is no YAML, and `value` says nothing. */
  readonly readable: boolean;
  readonly value: Record<string, unknown>;
  readonly problems: readonly Problem[];
  lineOf(path: Path, key: boolean): number | undefined;
}

function readYaml(name: string, text: string): YamlFile {
  const unreadable = (problem: Omit<Problem, 'path'>): YamlFile => ({
    name,
    readable: false,
    value: {},
    problems: [{ path: '', ...problem }],
    lineOf: () => undefined,
  });
  if (text.length > FILE_BYTES_MAX) {
    return unreadable({
      where: name,
      expected: 'at most 1 MiB of YAML',
      got: `${text.length} characters`,
      remedy: 'Is this the right file?',
    });
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems = document.errors.map((error): Problem => {
    const { line, col } = lines.linePos(error.pos[0]);
    const duplicate = error.code === 'DUPLICATE_KEY';
    const tabs = error.code === 'TAB_AS_INDENT';
    return {
      path: '',
      where: `${name}:${line}:${col}`,
      expected: duplicate ? 'each option once' : 'YAML',
      got: duplicate ? 'the same key a second time' : lowerFirst(error.message),
      remedy: duplicate ? 'Remove one of the two.' : tabs ? 'Indent with spaces.' : undefined,
    };
  });
  const syntax = document.errors.filter(({ code }) => code !== 'DUPLICATE_KEY');
  let value: unknown;
  try {
    value = syntax.length > 0 ? {} : document.toJS();
  } catch (error) {
    // Aliases that multiply.
    return unreadable({
      where: name,
      expected: 'YAML of a sensible size',
      got: lowerFirst((error as Error).message),
      remedy: 'Write repeated parts out.',
    });
  }
  value ??= {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    return unreadable({
      where: `${name}:1`,
      expected: 'a mapping of options',
      got: shown(value),
      remedy: "Write one 'option: value' per line.",
    });
  }
  return {
    name,
    readable: syntax.length === 0,
    // `collections:` with nothing behind it is what a person writes who has none yet.
    value: nullsAsAbsent(value) as Record<string, unknown>,
    problems,
    lineOf: (path, key) => lineOf(document, lines, path, key),
  };
}

function lineOf(document: Document, lines: LineCounter, path: Path, key: boolean): number | undefined {
  const last = path.at(-1);
  if (key && typeof last === 'string') {
    const above = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
    const pair = isMap(above) ? above.items.find((item) => isScalar(item.key) && item.key.value === last) : undefined;
    const range = isScalar(pair?.key) ? pair.key.range : undefined;
    return range === undefined || range === null ? undefined : lines.linePos(range[0]).line;
  }
  const node = document.getIn(path, true) as { readonly range?: readonly number[] | null } | undefined;
  const start = node?.range?.[0];
  return start === undefined ? undefined : lines.linePos(start).line;
}

interface Given {
  readonly option: Option;
  readonly text: string;
  readonly origin: ValueOrigin;
}

function fromEnv(env: ConfigSources['env'], problems: Problem[]): Given[] {
  const given: Given[] = [];
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(ENV_PREFIX) || text === undefined) continue;
    const option = optionByEnv(name);
    if (option !== undefined) {
      given.push({ option, text, origin: { kind: 'environment', name } });
      continue;
    }
    if (OTHER_ENV.has(name) || KUBERNETES_ENV.test(name)) continue;
    const guess = closest(
      name.slice(ENV_PREFIX.length),
      OPTIONS.map((each) => each.env.slice(ENV_PREFIX.length)),
    );
    problems.push({
      path: '',
      where: 'environment',
      expected: `variables that begin with ${ENV_PREFIX} to be options`,
      got: name,
      remedy:
        guess === undefined
          ? 'Unset it; `causeway config schema --options` lists them all.'
          : `Did you mean ${ENV_PREFIX}${guess}?`,
    });
  }
  return given;
}

function fromFlags(flags: readonly FlagValue[], problems: Problem[]): Given[] {
  const given: Given[] = [];
  for (const { path, flag, text } of flags) {
    const option = optionByPath(path);
    if (option !== undefined) {
      given.push({ option, text, origin: { kind: 'flag', flag } });
      continue;
    }
    const guess = closest(
      path,
      OPTIONS.map((each) => each.path),
    );
    problems.push({
      path: '',
      where: flag,
      expected: 'the path of an option',
      got: shown(path),
      remedy: guess === undefined ? '`causeway config schema --options` lists them all.' : `Did you mean '${guess}'?`,
    });
  }
  return given;
}

/** A number, true, false or a list, as it would stand in the file; what is none of them stays the text that it is. */
function yamlValue(text: string): unknown {
  try {
    return nullsAsAbsent(parse(text, { prettyErrors: false }));
  } catch {
    return text;
  }
}

/** False when something on the way is no mapping; the schema says so then. */
function setAt(root: Record<string, unknown>, path: readonly string[], value: unknown): boolean {
  let at = root;
  for (const step of path.slice(0, -1)) {
    const next = (at[step] ??= {});
    if (typeof next !== 'object' || next === null || Array.isArray(next)) return false;
    at = next as Record<string, unknown>;
  }
  at[path.at(-1)!] = value;
  return true;
}

function nullsAsAbsent(value: unknown): unknown {
  if (value === null) return undefined;
  if (Array.isArray(value)) return value.map(nullsAsAbsent);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, nullsAsAbsent(each)]));
}

/** What of a value is valid by itself; lists keep their places. */
function validParts(schema: z.core.$ZodType, value: unknown): unknown {
  const inner = bare(schema);
  if (value === undefined) {
    const whole = z.safeParse(schema, undefined);
    return whole.success ? whole.data : undefined;
  }
  if (inner instanceof z.ZodObject) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
    const shape = inner.shape as Record<string, z.core.$ZodType>;
    return Object.fromEntries(
      Object.entries(shape).map(([key, each]) => [key, validParts(each, (value as Record<string, unknown>)[key])]),
    );
  }
  if (inner instanceof z.ZodArray) {
    return Array.isArray(value) ? value.map((each) => validParts(inner.element, each)) : undefined;
  }
  const parsed = z.safeParse(schema, value);
  return parsed.success ? parsed.data : undefined;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) deepFreeze(each);
  return Object.freeze(value);
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
