// deploy/Dockerfile as its stages, and the tree that its last one would be: what COPY takes, without an engine.

import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DockerfileParser, type Copy, type Instruction } from 'dockerfile-ast';
import { packageRoot } from '../../src/config/version.ts';

interface CopyStep {
  /** The stage that it takes from; undefined: the build's context. */
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly to: string;
}

interface Stage {
  readonly name: string | undefined;
  readonly image: string;
  readonly instructions: readonly Instruction[];
  readonly copies: readonly CopyStep[];
}

export const DOCKERFILE = readFileSync(join(packageRoot(), 'deploy/Dockerfile'), 'utf8');

export function stages(text = DOCKERFILE): Stage[] {
  const found: { name: string | undefined; image: string; instructions: Instruction[] }[] = [];
  const file = DockerfileParser.parse(text);
  const froms = file.getFROMs();
  for (const instruction of file.getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      const from = froms[found.length]!;
      found.push({ name: from.getBuildStage() ?? undefined, image: from.getImage() ?? '', instructions: [] });
    } else found.at(-1)?.instructions.push(instruction);
  }
  return found.map((stage) => ({
    ...stage,
    copies: stage.instructions.filter((each) => each.getKeyword() === 'COPY').map((each) => copyStep(each as Copy)),
  }));
}

function copyStep(copy: Copy): CopyStep {
  const words = copy.getArguments().map((argument) => argument.getValue());
  return { from: copy.getFromFlag()?.getValue() ?? undefined, sources: words.slice(0, -1), to: words.at(-1)! };
}

/** The arguments of the only such instruction; undefined when there is none, or more than one. */
export function only(stage: Stage, keyword: string): string[] | undefined {
  const found = stage.instructions.filter((each) => each.getKeyword() === keyword);
  return found.length === 1 ? found[0]!.getArguments().map((argument) => argument.getValue()) : undefined;
}

/** Packages without which the program cannot do, by their place: those that the lock file does not mark as for development. */
export function productionPackages(): string[] {
  const lock = JSON.parse(readFileSync(join(packageRoot(), 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean; link?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev, link }]) => /^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path) && dev !== true && link !== true)
    .map(([path]) => path);
}

/**
 * The last stage's files under `root`, whose /causeway is `root`/causeway: from the context what COPY takes, from the stage before it what its
 * commands would have left there: dist/ as this checkout has it, and the packages of production, linked.
 */
export function assemble(root: string): string {
  const home = join(root, 'causeway');
  mkdirSync(home, { recursive: true });
  const last = stages().at(-1)!;
  for (const { from, sources, to } of last.copies) {
    for (const source of sources) {
      if (from === 'packages' && source === '/causeway') assemblePackages(home);
      else if (from === 'build') copy(source.replace(/^\/causeway\//, ''), home, to);
      else if (from === undefined) copy(source, home, to);
      else throw new Error(`nobody knows what COPY --from=${from} ${source} brings`);
    }
  }
  return home;
}

function assemblePackages(home: string): void {
  const stage = stages().find(({ name }) => name === 'packages')!;
  for (const { sources, to } of stage.copies) for (const source of sources) copy(source, home, to);
  for (const path of productionPackages()) {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    symlinkSync(join(packageRoot(), path), join(home, path));
  }
}

/** As COPY does: a file into a directory that is named with a slash, anything else to the name. */
function copy(source: string, home: string, to: string): void {
  const target = to.endsWith('/') ? join(home, to, source.split('/').at(-1)!) : join(home, to);
  cpSync(join(packageRoot(), source), target, { recursive: true });
}
