// What lies in deploy/kubernetes is what Kubernetes and kustomize take, by the schemas in deploy/schemas: without kubectl, a cluster or a network.
// node scripts/manifests.mjs    says what is not
// What kustomize makes of it all, and whether it fits together, is for test/deploy/kubernetes.test.ts.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Ajv } from 'ajv';
import { parseAllDocuments } from 'yaml';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const DIRECTORY = join(root, 'deploy/kubernetes');
const KUSTOMIZATION = 'kustomization.yaml';

/** @typedef {{ resources?: string[], components?: string[], configMapGenerator?: { files?: string[] }[] }} Kustomization */

/** @param {string} name */
const schema = (name) => JSON.parse(readFileSync(join(root, 'deploy/schemas', name), 'utf8'));

const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
const validKustomization = ajv.compile(schema('kustomization.json'));
const kubernetes = schema('kubernetes.json');
ajv.addSchema(kubernetes);

/** Definitions of kinds that stand alone, by version and kind. @type {Map<string, string>} */
const KINDS = new Map();
for (const [name, definition] of Object.entries(kubernetes.$defs)) {
  const { apiVersion, kind } = definition.properties ?? {};
  if (apiVersion?.const !== undefined && definition.required?.includes('kind')) {
    KINDS.set(`${apiVersion.const} ${kind.const}`, name);
  }
}

/**
 * @param {import('ajv').ErrorObject[] | null | undefined} errors
 * @returns {string[]}
 */
function told(errors) {
  return (errors ?? []).map(({ instancePath, message, params }) => {
    const detail = params['additionalProperty'] ?? params['allowedValues'] ?? params['allowedValue'];
    return `${instancePath || '/'} ${message}${detail === undefined ? '' : `: ${detail}`}`;
  });
}

/**
 * @param {unknown} manifest as it is parsed
 * @returns {string[]} nothing when a cluster that has the kind would take it
 */
export function manifestProblems(manifest) {
  const { apiVersion, kind } = /** @type {{ apiVersion?: string, kind?: string }} */ (manifest ?? {});
  const name = KINDS.get(`${apiVersion} ${kind}`);
  if (name === undefined) {
    return [`no schema of ${apiVersion} ${kind}: scripts/manifest-schemas.mjs has those that are used`];
  }
  const valid = ajv.getSchema(`${kubernetes.$id}#/$defs/${name}`);
  return valid?.(manifest) === true ? [] : told(valid?.errors);
}

/**
 * As kubectl reads it: YAML 1.1, in which `on` is no text.
 * @param {string} text
 * @returns {{ documents: unknown[], problems: string[] }}
 */
function parsed(text) {
  const documents = [...parseAllDocuments(text, { version: '1.1' })];
  return {
    documents: documents.map((document) => document.toJS()),
    problems: documents.flatMap(({ errors, warnings }) => [...errors, ...warnings].map(({ message }) => message)),
  };
}

/**
 * @param {string} [directory]
 * @returns {string[]} each with the file that it is in
 */
export function manifestFileProblems(directory = DIRECTORY) {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile())
    .toSorted();
  const kustomizations = files.filter((path) => path.endsWith(`/${KUSTOMIZATION}`));
  /** @type {string[]} */
  const problems = [];
  const say = (/** @type {string} */ path, /** @type {string[]} */ says) =>
    problems.push(...says.map((each) => `${relative(root, path)}: ${each}`));
  if (kustomizations.length === 0) say(directory, [`there is no ${KUSTOMIZATION} in it`]);

  /** @type {Set<string>} */
  const manifests = new Set();
  const used = new Set(kustomizations);
  for (const path of kustomizations) {
    const { documents, problems: found } = parsed(readFileSync(path, 'utf8'));
    say(path, found);
    if (documents.length !== 1 || !validKustomization(documents[0])) {
      say(path, documents.length === 1 ? told(validKustomization.errors) : ['it has to be one document']);
      continue;
    }
    const { resources = [], components = [], configMapGenerator = [] } = /** @type {Kustomization} */ (documents[0]);
    const at = (/** @type {string} */ name) => join(dirname(path), name);
    for (const resource of resources.map(at))
      if (!kustomizations.includes(join(resource, KUSTOMIZATION))) manifests.add(resource);
    const contents = configMapGenerator.flatMap(({ files: names = [] }) =>
      names.map((name) => at(name.replace(/^[^=]*=/, ''))),
    );
    for (const file of contents) used.add(file);
    for (const needed of [
      ...resources.map(at),
      ...components.map((name) => join(at(name), KUSTOMIZATION)),
      ...contents,
    ]) {
      if (!existsSync(needed)) say(path, [`${relative(dirname(path), needed)} is not there`]);
    }
  }
  for (const path of manifests) {
    used.add(path);
    if (!files.includes(path)) continue; // said above
    const { documents, problems: found } = parsed(readFileSync(path, 'utf8'));
    say(path, found);
    for (const document of documents) {
      const { kind, metadata } = /** @type {{ kind?: string, metadata?: { name?: string } }} */ (document ?? {});
      say(
        path,
        manifestProblems(document).map((each) => `${kind} ${metadata?.name}: ${each}`),
      );
    }
  }
  for (const path of files) if (!used.has(path)) say(path, [`no ${KUSTOMIZATION} names it`]);
  return problems;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const problems = manifestFileProblems();
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
