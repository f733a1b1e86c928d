// causeway doctor: looks at everything that usually goes wrong, and says what to do.

import type { NodeStatus } from '../client/index.ts';
import { HTTP_OFF, type Config } from '../config/schema.ts';
import { EXIT_CODES, isCausewayError } from '../errors/errors.ts';
import { NodeTls } from '../security/node-tls.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { diagnoseNode, diagnoseRuntime, diagnoseTogether, type Finding } from './diagnosis.ts';
import {
  diagnoseClocks,
  diagnoseDisk,
  diagnoseNoDisk,
  diagnosePort,
  diagnoseReach,
  type ClockReading,
} from './machine-diagnosis.ts';
import { nearestThere, tryConnect, tryDisk, tryListen } from './machine.ts';
import { configFromFlags } from './node-flags.ts';
import { withAdmin } from './nodes.ts';

interface Flags {
  readonly config?: string;
}

export const addDoctor: AddCommand = (program, act) => {
  program
    .command('doctor')
    .description('look at what usually goes wrong: nodes, links, clocks, versions; configuration, ports, disk')
    .option(
      '-c, --config <file>',
      'also this configuration: its files, ports, disk, and the way to its peers, from this machine',
    )
    .addHelpText(
      'after',
      `${examples(
        ['causeway doctor', 'the node at 127.0.0.1:7400'],
        ['causeway doctor -e us-1:7400,eu-1:7400', 'several, and what differs between them'],
        ['causeway doctor --config node.yaml', 'before the first start: a configuration and its machine'],
        ['causeway doctor --json | jq .findings', 'for programs'],
      )}
With --config and without -e a node that does not run yet is no finding. It writes and syncs a small file in dataDir, or in the nearest directory above that is
there, and removes it. Exits 0 when nothing is bad (warnings may be there), 7 when something is.
`,
    )
    .action(act(doctor));
};

async function doctor(context: Context, flags: Flags): Promise<number> {
  const { terminal } = context;
  const findings: Finding[] = [diagnoseRuntime(process.versions.node)];
  const config = flags.config === undefined ? undefined : configOf(context, flags.config, findings);
  // Before the first start nobody answers, and that is as it should be.
  const asked = config !== undefined && !context.endpointsGiven ? await running(context, config) : context.endpoints;
  const statuses: NodeStatus[] = [];
  const clocks: ClockReading[] = [];
  await Promise.all(
    asked.map(async (endpoint) => {
      try {
        const { status, clock } = await look(context, endpoint);
        statuses.push(status);
        clocks.push(clock);
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
  findings.push(...diagnoseTogether(statuses), ...diagnoseClocks(clocks));
  if (config !== undefined) findings.push(...(await machineFindings(context, config, statuses)));
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

/** undefined: it has mistakes, which are findings now. */
function configOf(context: Context, path: string, findings: Finding[]): Config | undefined {
  try {
    const { config } = configFromFlags(context, {}, path);
    findings.push({ level: 'ok', where: path, says: 'the configuration has no mistakes' });
    return config;
  } catch (error) {
    findings.push(configFinding(path, error));
    return undefined;
  }
}

function configFinding(where: string, error: unknown): Finding {
  if (!isCausewayError(error, 'CONFIG_INVALID')) throw error;
  return { level: 'bad', where, says: error.message, ...(error.hint === undefined ? {} : { advice: error.hint }) };
}

/** Its own node, if something listens there. */
async function running({ timeoutMs, system }: Context, { listeners }: Config): Promise<string[]> {
  const { address } = listeners.clients;
  return (await tryConnect(reachable(address), timeoutMs, system)) === undefined ? [reachable(address)] : [];
}

/** Every address of the machine is also this one. */
function reachable(address: string): string {
  return address.replace(/^(0\.0\.0\.0|\[::\]):/, '127.0.0.1:');
}

async function look(context: Context, endpoint: string): Promise<{ status: NodeStatus; clock: ClockReading }> {
  const { clock } = context.system;
  return withAdmin(context, endpoint, async (admin) => {
    const status = await admin.status();
    // Asked again: the first call has made the connection, which says nothing about clocks.
    const [beganMs, beganAtMs] = [clock.monotonicMs(), clock.nowMs()];
    const { nowMs } = await admin.ping();
    const rttMs = clock.monotonicMs() - beganMs;
    const offsetMs = nowMs - (beganAtMs + rttMs / 2);
    return { status, clock: { where: status.region, offsetMs, rttMs, maxSkewMs: status.clock.maxSkewMs } };
  });
}

async function machineFindings(context: Context, config: Config, statuses: readonly NodeStatus[]): Promise<Finding[]> {
  const { system, timeoutMs } = context;
  const findings: Finding[] = [diskFindings(context, config.dataDir)].flat();
  try {
    void new NodeTls(config, system, () => {});
    if (Object.values(config.listeners).some(({ tls }) => tls !== undefined) || config.links.tls !== undefined) {
      findings.push({ level: 'ok', where: 'tls', says: 'its certificates and keys fit each other' });
    }
  } catch (error) {
    findings.push(configFinding('tls', error));
  }
  const runs = statuses.some(({ region, node }) => region === config.region && node === config.node);
  for (const [name, { address }] of Object.entries(config.listeners)) {
    if (address === HTTP_OFF || address.endsWith(':0')) continue;
    // Only the listener for clients was asked who it is; without an answer there the others are not the node's either.
    const isNode = runs ? true : name === 'clients' ? false : undefined;
    findings.push(diagnosePort(`listeners.${name}`, address, await tryListen(address), isNode));
  }
  const others = config.regions.filter(({ name }) => name !== config.region);
  const reach = others.flatMap(({ name, peers }) =>
    peers.map(async (address) => diagnoseReach(name, address, await tryConnect(address, timeoutMs, system))),
  );
  return [...findings, ...(await Promise.all(reach))];
}

function diskFindings({ system }: Context, directory: string): Finding[] {
  try {
    return diagnoseDisk(directory, tryDisk(nearestThere(directory), system));
  } catch (error) {
    return [diagnoseNoDisk(directory, (error as Error).message)];
  }
}
