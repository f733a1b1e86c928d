// causeway trace: the history of one key across regions. Who wrote what, when it was accepted, when each region had it, which write lost and why.

import type { AdminClient, FeedOp, NodeConflict, NodeKeyChange, NodeKeyHistory, View } from '../client/index.ts';
import { CausewayError, EXIT_CODES } from '../errors/errors.ts';
import type { System } from '../system/system.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { storyOf, type Fate, type KeyStory, type Landing, type Testimony, type WriteStory } from './key-story.ts';
import { askEach, type Answer } from './nodes.ts';
import { opDocument, opText } from './op-words.ts';
import { msOfStamp, regionOf } from './origin-words.ts';
import { addRegionFlags, regionContext, type RegionFlags } from './region-endpoints.ts';
import { viewDocument, viewLine } from './view-words.ts';
import { count, keyName, loserText, span, timeOfStamp, versionText, wholeNumber, type KeyName } from './words.ts';

interface Flags extends RegionFlags {
  readonly limit: number;
}

type Story = KeyStory<FeedOp, View>;
type Write = WriteStory<FeedOp>;

/** Beyond the limit: each region's log has the newest writes in an order of its own. */
const MARGIN = 50;
const PAGE_SIZE_MAX = 1000;
const WRITES_DEFAULT = '20';

export const addTrace: AddCommand = (program, act) => {
  addRegionFlags(program.command('trace'))
    .description('the history of a key across regions: who wrote what, where it is, which write lost and why')
    .argument('<namespace/collection/key>', 'the key', keyName)
    .option('--limit <n>', 'the newest so many writes', wholeNumber(1, 10_000), Number(WRITES_DEFAULT))
    .addHelpText(
      'after',
      `${examples(
        ['causeway trace demo/profiles/anna', 'as the region at 127.0.0.1:7400 has it in its log'],
        ['causeway trace demo/profiles/anna -e us-1:7400,eu-1:7400', 'in all of them, side by side'],
        ['causeway trace demo/profiles/anna --config node.yaml', 'in all regions of a configuration'],
        ['causeway trace demo/profiles/anna --json | jq .writes', 'for programs'],
      )}
Each write: when its region accepted it (its stamp), then when each region that was asked had it, by that region's clock. What landed a while ago is told
between two moments. LOST: the write that displaced it had not seen it; only the region that wrote the loser knows, so ask all regions. --timeout
bounds how long each region may look through its log.
Exits 5 when no region that was asked knows the key, 4 when one of them does not answer.
`,
    )
    .action(act(trace));
};

async function trace(asked: Context, name: KeyName, flags: Flags): Promise<number> {
  const context = await regionContext(asked, flags);
  const { terminal, system, timeoutMs } = context;
  const answers = await askEach(context, (admin) => testify(admin, name, flags.limit, timeoutMs, system));
  const testimonies = answers.flatMap((answer) => ('value' in answer ? [answer.value] : []));
  const failed = answers.flatMap((answer) => ('error' in answer ? [answer] : []));
  const story = storyOf(testimonies, flags.limit);
  if (failed.length === 0 && story.writes.length === 0 && story.values.every(({ value }) => value === undefined)) {
    throw unheardOf(name, story);
  }
  if (terminal.json) terminal.document(documentOf(name, story, failed));
  else for (const line of linesOf(name, story, failed, terminal)) terminal.line(line);
  return failed.length > 0 ? EXIT_CODES.unavailable : EXIT_CODES.ok;
}

/** Everything that one region has to say, within the time. */
async function testify(
  admin: AdminClient,
  name: KeyName,
  limit: number,
  timeoutMs: number,
  { clock }: System,
): Promise<Testimony<FeedOp, View>> {
  const endMs = clock.monotonicMs() + timeoutMs;
  const inTime = (): boolean => clock.monotonicMs() < endMs;
  const wanted = limit + MARGIN;
  const pageSize = Math.min(wanted, PAGE_SIZE_MAX);
  let page: NodeKeyHistory = await admin.keyHistory(name, { pageSize });
  const history = page;
  const changes: NodeKeyChange[] = [...page.changes];
  while (page.nextPageToken !== undefined && changes.length < wanted && inTime()) {
    page = await admin.keyHistory(name, { pageSize, pageToken: page.nextPageToken });
    changes.push(...page.changes);
  }
  const conflicts: NodeConflict[] = [];
  let pageToken: string | undefined;
  let journalFromMs = 0;
  do {
    const { namespace, collection, key } = name;
    const listed = await admin.listConflicts({ namespace, collection, keyPrefix: key, pageSize: 1000, pageToken });
    conflicts.push(...listed.conflicts.filter((conflict) => conflict.key === key));
    journalFromMs = listed.droppedUntilMs ?? 0;
    pageToken = listed.nextPageToken;
  } while (pageToken !== undefined && conflicts.length < wanted && inTime());
  return {
    region: history.region,
    history,
    changes,
    whole: page.nextPageToken === undefined,
    conflicts,
    journalFromMs,
  };
}

function unheardOf({ namespace, collection, key }: KeyName, { older }: Story): CausewayError {
  return new CausewayError(
    'KEY_NOT_FOUND',
    `no region that was asked knows a write to ${namespace}/${collection}/${key}`,
    {
      hint: older
        ? 'Not all of their logs was looked through: --timeout 1m looks further back.'
        : 'Keys are told apart by case and by every character: `causeway scan` lists them.',
    },
  );
}

function documentOf(
  name: KeyName,
  story: Story,
  failed: readonly { endpoint: string; error: CausewayError }[],
): object {
  return {
    ...name,
    type: story.type,
    shard: story.shard,
    writes: story.writes.map((write) => ({
      region: write.region,
      version: versionText(write.version),
      acceptedAt: timeOfStamp(write.version.stamp),
      op: opDocument(write.op),
      ...(write.trace === undefined ? {} : { trace: Buffer.from(write.trace).toString('hex') }),
      heldBy: write.heldBy,
      landings: write.landings,
      fates: write.fates.map((fate) => fateDocument(fate)),
      ...(write.fates.some(({ kind }) => kind === 'lost') ? { conflict: loserText(story.shard, write.version) } : {}),
    })),
    values: story.values.map(({ region, value }) => ({ region, ...viewDocument(value) })),
    older: story.older,
    failed: failed.map(({ endpoint, error }) => ({ endpoint, code: error.code, message: error.message })),
  };
}

function fateDocument(fate: Fate): object {
  switch (fate.kind) {
    case 'visible':
      return fate;
    case 'lost':
      return { ...fate, to: versionText(fate.to), region: regionOf(fate.to.origin) };
    case 'replaced':
      return { ...fate, by: versionText(fate.by), region: regionOf(fate.by.origin) };
  }
}

function linesOf(
  { namespace, collection, key }: KeyName,
  story: Story,
  failed: readonly Extract<Answer<unknown>, { error: unknown }>[],
  terminal: Context['terminal'],
): string[] {
  const { bold, bad, dim, warn } = terminal;
  const lines = [`${bold(`${namespace}/${collection}/${key}`)} ${dim(`${story.type}, shard ${story.shard}`)}`];
  lines.push(...valueLines(story, terminal));
  if (story.older) lines.push('', dim('older writes are not shown: --limit shows more, --timeout looks further back'));
  for (const write of story.writes) lines.push('', ...writeLines(write, story, terminal));
  if (story.writes.length === 0) lines.push('', dim('no write to it in the logs that were looked through'));
  for (const { endpoint, error } of failed) lines.push('', bad(`${endpoint} does not answer: ${error.message}`));
  const asked = new Set(story.values.map(({ region }) => region));
  const silent = [...new Set(story.writes.map(({ region }) => region))].filter((region) => !asked.has(region));
  if (silent.length > 0) {
    lines.push(
      '',
      warn(`${silent.join(', ')} wrote too and was not asked: which of its writes lost is not known here`),
    );
  }
  return lines;
}

function valueLines({ values }: Story, { dim, warn }: Context['terminal']): string[] {
  const texts = new Map<string, string[]>();
  for (const { region, value } of values) {
    const text = value === undefined ? 'absent' : viewLine(value);
    texts.set(text, [...(texts.get(text) ?? []), region]);
  }
  const lines = [...texts].map(([text, regions]) => `${dim(`now in ${regions.join(', ')}:`)} ${text}`);
  return texts.size > 1 ? [...lines, warn('the regions do not show the same: some write is still on its way')] : lines;
}

function writeLines(write: Write, { shard }: Story, { bold, dim, good, bad }: Context['terminal']): string[] {
  const lines = [
    `${dim(timeText(write.acceptedAtMs))} ${bold(write.region)} ${opText(write.op)}  ${dim(versionText(write.version))}`,
  ];
  for (const landing of write.landings) lines.push(`    ${landingText(landing, write)}`);
  for (const fate of write.fates) {
    switch (fate.kind) {
      case 'visible':
        lines.push(good(`    is what readers see${fate.fields === undefined ? '' : ` of ${fate.fields.join(', ')}`}`));
        break;
      case 'lost': {
        const what = fate.field === undefined ? 'LOST' : `LOST in ${fate.field}`;
        const to = `${regionOf(fate.to.origin)}'s ${fate.deleted ? 'delete' : 'write'} of ${timeText(msOfStamp(fate.to.stamp))}`;
        lines.push(bad(`    ${what} to ${to}, which had not seen it`));
        lines.push(
          dim(`      causeway conflicts show ${loserText(shard, write.version)}; conflicts restore gives it back`),
        );
        break;
      }
      case 'replaced': {
        const by = `${regionOf(fate.by.origin)}'s write of ${timeText(msOfStamp(fate.by.stamp))}`;
        const known = fate.noConflict ? `; no conflict in the journal of ${write.region}` : '';
        lines.push(dim(`    replaced by ${by}${known}`));
        break;
      }
    }
  }
  return lines;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 23);
}

function landingText(landing: Landing, { heldBy }: Write): string {
  const { region, kind, offset = 0, afterMs, beforeMs = 0 } = landing;
  switch (kind) {
    case 'own':
      return `in ${region} accepted then, at ${count(offset)} of its log${heldBy.length === 0 ? '' : `; also held by ${heldBy.join(', ')}`}`;
    case 'landed':
      if (afterMs === beforeMs) return `in ${region} ${spanText(beforeMs)} later`;
      return afterMs === undefined
        ? `in ${region} at most ${spanText(beforeMs)} later`
        : `in ${region} between ${spanText(afterMs)} and ${spanText(beforeMs)} later`;
    case 'missing':
      return `in ${region} not yet`;
    case 'unknown':
      return `in ${region} not looked back so far`;
  }
}

/** Of two clocks: a little less than nothing is their offset. */
function spanText(ms: number): string {
  return ms < 0 ? `-${span(-ms)}` : span(ms);
}
