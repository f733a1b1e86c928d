// causeway doctor: looks at everything that usually goes wrong, and says what to do.

import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { NodeStatus } from '../client/index.ts';
import { EXIT_CODES, isCausewayError } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { diagnoseDisk, diagnoseNode, diagnoseRuntime, diagnoseTogether, type Finding } from './diagnosis.ts';
import { configFromFlags } from './node-flags.ts';
import { withAdmin } from './nodes.ts';

interface Flags {
  readonly config?: string;
}

export const addDoctor: AddCommand = (program, act) => {
  program
    .command('doctor')
    .description('look at what usually goes wrong: nodes, links, clocks, disks, configuration')
    .option('-c, --config <file>', 'also this configuration, and the disk that it names')
    .addHelpText(
      'after',
      `${examples(
        ['causeway doctor', 'the node at 127.0.0.1:7400'],
        ['causeway doctor -e us-1:7400,eu-1:7400', 'several, and what differs between them'],
        ['causeway doctor --config node.yaml', 'also a configuration and its disk'],
        ['causeway doctor --json | jq .findings', 'for programs'],
      )}
Exits 0 when nothing is bad (warnings may be there), 7 when something is.
`,
    )
    .action(act(doctor));
};

async function doctor(context: Context, flags: Flags): Promise<number> {
  const { terminal } = context;
  const findings: Finding[] = [diagnoseRuntime(process.versions.node)];
  if (flags.config !== undefined) findings.push(...configFindings(context, flags.config));
  const statuses: NodeStatus[] = [];
  await Promise.all(
    context.endpoints.map(async (endpoint) => {
      try {
        const status = await withAdmin(context, endpoint, (admin) => admin.status());
        statuses.push(status);
        findings.push(...diagnoseNode(endpoint, status));
      } catch (error) {
        if (!isCausewayError(error)) throw error;
        findings.push({
          level: 'bad',
          where: endpoint,
          says: `does not answer: ${error.message}`,
          advice: 'Is it running, and is this its listener for clients (not for peers)?',
        });
      }
    }),
  );
  findings.push(...diagnoseTogether(statuses));
  const bad = findings.filter(({ level }) => level === 'bad').length;
  const warnings = findings.filter(({ level }) => level === 'warn').length;
  if (terminal.json) terminal.document({ bad, warnings, findings });
  else for (const line of linesOf(findings, bad, warnings, terminal)) terminal.line(line);
  return bad > 0 ? EXIT_CODES.findings : EXIT_CODES.ok;
}

const MARKS = { ok: 'ok  ', warn: 'warn', bad: 'BAD ' } as const;

function linesOf(
  findings: readonly Finding[],
  bad: number,
  warnings: number,
  { good, warn, bad: red, dim }: Context['terminal'],
): string[] {
  const paint = { ok: good, warn, bad: red };
  const lines = findings.flatMap(({ level, where, says, advice }) => [
    `${paint[level](MARKS[level])} ${where}: ${says}`,
    ...(advice === undefined ? [] : [dim(`     → ${advice}`)]),
  ]);
  const end = bad === 0 && warnings === 0 ? good('nothing found') : `${bad} bad, ${warnings} to look at`;
  return [...lines, end];
}

function configFindings(context: Context, path: string): Finding[] {
  try {
    const { config } = configFromFlags(context, {}, path);
    return [{ level: 'ok', where: path, says: 'the configuration has no mistakes' }, diskFinding(config.dataDir)];
  } catch (error) {
    if (!isCausewayError(error, 'CONFIG_INVALID')) throw error;
    return [
      { level: 'bad', where: path, says: error.message, ...(error.hint === undefined ? {} : { advice: error.hint }) },
    ];
  }
}

/** Of the directory, or of the nearest one above that is there: a node makes what is missing. */
function diskFinding(directory: string): Finding {
  let at = directory;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  try {
    accessSync(at, constants.W_OK);
    const { bavail, blocks, bsize } = statfsSync(at);
    return diagnoseDisk(directory, bavail * bsize, blocks * bsize);
  } catch (error) {
    return {
      level: 'bad',
      where: directory,
      says: `cannot be written: ${(error as Error).message}`,
      advice: 'Name a directory with dataDir that the user of the node may write to.',
    };
  }
}
