// Generates TypeScript types from proto/causeway/v1 into src/proto/generated, and the descriptor set for reflection (contract.mjs);
// --check only says whether the types are fresh.
// The types are committed, so that a build needs no generator and a review sees what a change of the protocol does.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeDescriptors } from './contract.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const PROTO_ROOT = 'proto';
const PROTO_PACKAGE = 'causeway/v1';
const GENERATED = 'src/proto/generated';

/** The same options must be given to whatever decodes at run time, or the types lie. */
const OPTIONS = ['--longs=Number', '--enums=String', '--defaults', '--oneofs', '--importFileExtension=.ts'];

/** @param {string} outDir */
function generate(outDir) {
  const protoDir = join(root, PROTO_ROOT, PROTO_PACKAGE);
  const protos = existsSync(protoDir) ? readdirSync(protoDir).filter((name) => name.endsWith('.proto')) : [];
  if (protos.length === 0) throw new Error(`no .proto files in ${PROTO_ROOT}/${PROTO_PACKAGE}`);

  const loader = createRequire(import.meta.url).resolve('@grpc/proto-loader/package.json');
  const bin = join(dirname(loader), JSON.parse(readFileSync(loader, 'utf8')).bin['proto-loader-gen-types']);
  const inputs = protos.toSorted().map((name) => `${PROTO_PACKAGE}/${name}`);
  const done = spawnSync(process.execPath, [bin, ...OPTIONS, '-I', PROTO_ROOT, '-O', outDir, ...inputs], {
    cwd: root,
    encoding: 'utf8',
  });
  if (done.error) throw done.error;
  // The generator reports a mistake in a .proto on stderr and still exits 0.
  if (done.status !== 0 || /error/i.test(done.stderr)) {
    throw new Error(`proto-loader-gen-types failed:\n${done.stdout}${done.stderr}`);
  }
}

/**
 * Every file below the directory, by its relative name.
 * @param {string} directory
 * @returns {Map<string, string>}
 */
function contents(directory) {
  /** @type {Map<string, string>} */
  const files = new Map();
  if (!existsSync(directory)) return files;
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.ts')) files.set(name, readFileSync(join(directory, name), 'utf8').replaceAll('\r\n', '\n'));
  }
  return files;
}

async function main() {
  const target = join(root, GENERATED);
  const fresh = mkdtempSync(join(tmpdir(), 'causeway-proto-'));
  try {
    if (!process.argv.includes('--check')) {
      // Elsewhere first: a mistake in a .proto must not leave the committed types half replaced.
      generate(fresh);
      rmSync(target, { recursive: true, force: true });
      generate(target);
      console.log(`generated ${contents(target).size} files in ${GENERATED}`);
      const { ok, output } = await writeDescriptors();
      if (!ok) throw new Error(output);
      return;
    }
    generate(fresh);
    const [wanted, committed] = [contents(fresh), contents(target)];
    const stale = [...new Set([...wanted.keys(), ...committed.keys()])]
      .filter((name) => wanted.get(name) !== committed.get(name))
      .toSorted();
    if (stale.length === 0) return;
    console.error(`${GENERATED} does not match proto/: run \`npm run generate\` and commit the result.`);
    for (const name of stale) {
      const what = !committed.has(name) ? 'missing' : !wanted.has(name) ? 'left over' : 'different';
      console.error(`  ${what}: ${name}`);
    }
    process.exitCode = 1;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
