// node scripts/manifest-schemas.mjs    writes deploy/schemas/kubernetes.json
//
// JSON schemas of the kinds that deploy/kubernetes uses, so that a manifest can be checked without a cluster, kubectl or a network. The npm packages
// named below are made from the OpenAPI document of Kubernetes and the CRDs of the Prometheus operator; they have types and compiled checks, but no
// schemas. Shapes are read from the types, whole numbers and patterns from the checks. Closed (a name that is misspelt is an error), without status.
// They are fetched into a temporary directory: nothing else here needs the second one.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetched } from './tools.mjs';

/** @typedef {{ [keyword: string]: unknown }} Schema */

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const PATH = 'deploy/schemas/kubernetes.json';
const PACKAGES = ['kubernetes-models@5.1.0', '@kubernetes-models/prometheus-operator@6.0.0'];
const SOURCE =
  `Written by scripts/manifest-schemas.mjs from ${PACKAGES.join(' and ')}, which are made from the OpenAPI document of ` +
  'Kubernetes and from the CRDs of the Prometheus operator (both Apache-2.0).';

/** Where their types are, by package. */
const KINDS = {
  'kubernetes-models': [
    'apps/v1/StatefulSet',
    'autoscaling/v2/HorizontalPodAutoscaler',
    'networking.k8s.io/v1/NetworkPolicy',
    'policy/v1/PodDisruptionBudget',
    'v1/ConfigMap',
    'v1/Service',
  ],
  '@kubernetes-models/prometheus-operator': ['monitoring.coreos.com/v1/ServiceMonitor'],
};

/** Filled in by the API server. */
const NOT_WRITTEN = ['managedFields', 'status'];

/** Reads the types of packages below `modules`, and what they refer to. */
class Reader {
  /** @type {Record<string, Schema>} */
  definitions = {};
  #modules;

  /** @param {string} modules */
  constructor(modules) {
    this.#modules = modules;
  }

  /** @param {string} path of the types, without their ending @param {boolean} written whether manifests of this kind stand alone */
  read(path, written) {
    const commented = readFileSync(join(this.#modules, `${path}.d.ts`), 'utf8');
    const types = commented.replaceAll(/\/\*\*[\s\S]*?\*\//g, '');
    // Classes say of these two that they are what the interface says.
    const text = types.replaceAll(
      /\bI\w+\["(apiVersion|kind)"\]/g,
      (_, name) => new RegExp(`"${name}"\\??: ([^;]+);`).exec(types)?.[1] ?? '',
    );
    const name = /export type \{ I\w+ as I(\w+),/.exec(text)?.[1];
    if (name === undefined) throw new Error(`${path}.d.ts says no name`);
    if (this.definitions[name] !== undefined) return name;
    this.definitions[name] = {}; // some refer to themselves
    /** @type {Record<string, string>} */
    const imports = {};
    for (const [, type = '', from = ''] of text.matchAll(/import \{ I(\w+) \} from "([^"]+)"/g)) {
      imports[type] = from.startsWith('.') ? join(dirname(path), from.replace(/\.js$/, '')) : from;
    }
    const package_ = /^(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
    const checks = readFileSync(join(this.#modules, `${package_}/_schemas/${name}.js`), 'utf8');
    const parser = new Types(text, (type) => {
      const from = imports[type];
      if (from === undefined) throw new Error(`${path}.d.ts does not import ${type}`);
      return this.read(from, false);
    });
    this.definitions[name] = parser.schema(checks, written);
    return name;
  }
}

/** One file of types: `export type IX = …;`, or a class, which has the properties of all interfaces that it extends. */
class Types {
  /** @type {string[]} */
  #tokens = [];
  #text;
  #refer;

  /** @param {string} text @param {(type: string) => string} refer gives the name of the definition */
  constructor(text, refer) {
    this.#text = text;
    this.#refer = refer;
  }

  /** @param {string} checks @param {boolean} written @returns {Schema} */
  schema(checks, written) {
    const alias = /export type I\w+ = ([^;]+;)/.exec(this.#text)?.[1];
    const pattern = /params:\{pattern:("(?:[^"\\]|\\.)*")\}/.exec(checks)?.[1];
    if (alias !== undefined) {
      const schema = this.#parse(alias);
      return pattern === undefined ? schema : { ...schema, pattern: JSON.parse(pattern) };
    }
    const body = /declare class [^{]* implements \w+ (\{[\s\S]*?)\n    (?:static |constructor\()/.exec(this.#text)?.[1];
    if (body === undefined) throw new Error(`neither a type nor a class: ${this.#text.slice(0, 200)}`);
    const schema = this.#parse(`${body}}`);
    const properties = /** @type {Record<string, Schema>} */ (schema['properties'] ?? {});
    for (const name of NOT_WRITTEN) delete properties[name];
    for (const [name, property] of Object.entries(properties)) {
      if (property['type'] === 'number' && isWhole(checks, name)) property['type'] = 'integer';
    }
    // A template of a kind inside another one needs no name of its kind.
    const required = /** @type {string[]} */ (schema['required'] ?? []);
    const needed = required.filter((name) => written || properties[name]?.['const'] === undefined);
    delete schema['required'];
    if (needed.length > 0) schema['required'] = needed;
    return schema;
  }

  /** @param {string} source @returns {Schema} */
  #parse(source) {
    this.#tokens = source.match(/"(?:[^"\\]|\\.)*"|[\w.-]+|\S/g) ?? [];
    return this.#union();
  }

  /** @param {string} [expected] */
  #next(expected) {
    const token = this.#tokens.shift();
    if (token === undefined || (expected !== undefined && token !== expected)) {
      throw new Error(`${expected ?? 'more'} was expected, not ${token}, before ${this.#tokens.slice(0, 9).join(' ')}`);
    }
    return token;
  }

  /** @returns {Schema} */
  #union() {
    const members = [this.#type()];
    while (this.#tokens[0] === '|') {
      this.#next('|');
      members.push(this.#type());
    }
    const [first] = members;
    if (first !== undefined && members.length === 1) return first;
    if (members.every((member) => 'const' in member)) return { enum: members.map((member) => member['const']) };
    if (members.every((member) => typeof member['type'] === 'string')) {
      return { type: members.map((member) => member['type']) };
    }
    return { anyOf: members };
  }

  /** @returns {Schema} */
  #type() {
    const token = this.#next();
    if (token === '{') return this.#object();
    if (token.startsWith('"')) return { const: JSON.parse(token) };
    if (token === 'Array') {
      this.#next('<');
      const items = this.#union();
      this.#next('>');
      return { type: 'array', items };
    }
    if (['string', 'number', 'boolean'].includes(token)) return { type: token };
    if (['any', 'unknown'].includes(token)) return {};
    if (token.startsWith('I')) return { $ref: `#/$defs/${this.#refer(token.slice(1))}` };
    throw new Error(`the type ${token} is not known here`);
  }

  /** @returns {Schema} */
  #object() {
    /** @type {Record<string, Schema>} */
    const properties = {};
    /** @type {string[]} */
    const required = [];
    /** @type {unknown} */
    let additionalProperties = false;
    while (this.#tokens[0] !== '}') {
      const token = this.#next();
      if (token === '[') {
        for (const part of ['key', ':', 'string', ']', ':']) this.#next(part);
        additionalProperties = this.#union();
      } else {
        const name = JSON.parse(token);
        if (this.#tokens[0] === '?') this.#next('?');
        else required.push(name);
        this.#next(':');
        properties[name] = this.#union();
      }
      this.#next(';');
    }
    this.#next('}');
    const open = additionalProperties !== false;
    return {
      type: 'object',
      ...(open ? {} : { properties }),
      ...(required.length > 0 ? { required } : {}),
      additionalProperties,
    };
  }
}

/** What is checked of a property stands in a function of the file. @param {string} checks @param {string} property */
function isWhole(checks, property) {
  const name = new RegExp(`(validate\\d+)\\(data\\.${property},`).exec(checks)?.[1];
  if (name === undefined) return false;
  const body = checks.slice(checks.indexOf(`function ${name}(`));
  return body.slice(0, body.indexOf(`return ${name}.errors`)).includes('type:"integer"');
}

/** Without what only the properties refer to that were left out. @param {Record<string, Schema>} all @param {string[]} from */
function reached(all, from) {
  const names = new Set(from);
  for (const name of names) {
    for (const [, to = ''] of JSON.stringify(all[name]).matchAll(/"#\/\$defs\/(\w+)"/g)) names.add(to);
  }
  return Object.fromEntries([...names].toSorted().map((name) => [name, all[name] ?? {}]));
}

/** One definition a line. @param {Record<string, Schema>} definitions */
function printed(definitions) {
  const lines = Object.entries(definitions).map(
    ([name, schema]) => `    ${JSON.stringify(name)}: ${JSON.stringify(schema)}`,
  );
  const head = { $schema: 'http://json-schema.org/draft-07/schema#', $id: 'kubernetes.json', $comment: SOURCE };
  return `${JSON.stringify(head, undefined, 2).slice(0, -2)},\n  "$defs": {\n${lines.join(',\n')}\n  }\n}\n`;
}

async function main() {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-schemas-'));
  try {
    const script = `require('node:fs').cpSync(process.env.PATH.split(':')[0] + '/..', ${JSON.stringify(directory)}, { recursive: true })`;
    const { ok, output } = await fetched(PACKAGES, ['node', '-e', script]);
    if (!ok || !existsSync(join(directory, 'kubernetes-models'))) throw new Error(output);
    const reader = new Reader(directory);
    const written = Object.entries(KINDS).flatMap(([name, kinds]) =>
      kinds.map((kind) => reader.read(`${name}/${kind}`, true)),
    );
    writeFileSync(join(root, PATH), printed(reached(reader.definitions, written)));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
