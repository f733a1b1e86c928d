// What the commands that change one key have in common: their flags, the call, and what they print.

import type { Command } from 'commander';
import type { MergeType, Op, WriteAck } from '../client/types.ts';
import { CausewayError, isCausewayError } from '../errors/errors.ts';
import type { Context } from './context.ts';
import { collectionType, withClient } from './nodes.ts';
import { addSessionFlags, type SessionFlags } from './session.ts';
import { viewDocument } from './view-words.ts';
import { durability, span, versionText, type DurabilityWord, type KeyName } from './words.ts';

export interface WriteFlags extends SessionFlags {
  readonly durability: DurabilityWord;
  readonly idempotencyKey?: string;
}

export function addWriteFlags(command: Command): Command {
  return addSessionFlags(
    command
      .option('--durability <level>', 'local, applied or regions:N', durability, 'local')
      .option('--idempotency-key <key>', 'makes a repetition of this very command harmless'),
  );
}

export interface ChangeOptions {
  /** The one merge type that the command is for; undefined: it takes any. */
  readonly only?: MergeType;
  /** The key after the change is the result: printed instead of `ok`. */
  readonly result?: (ack: WriteAck) => string;
}

/** Writes the ops that `make` gives for the collection's merge type, in order, and prints what became of them. */
export async function change(
  context: Context,
  name: KeyName,
  flags: WriteFlags,
  make: (type: MergeType) => readonly Op[],
  { only, result }: ChangeOptions = {},
): Promise<void> {
  const { terminal, system } = context;
  await withClient(context, name.namespace, flags, async (client) => {
    const type = await collectionType(client, name.collection);
    if (only !== undefined && type !== only) throw wrongType(name, type, only);
    const ops = withKeys(make(type), flags.idempotencyKey);
    const startMs = system.clock.monotonicMs();
    const results = await client.write(ops, { durability: flags.durability, returnValue: result !== undefined });
    const failed = results.find((each) => isCausewayError(each));
    if (failed !== undefined) throw failed;
    const acks = results.flatMap((each) => (isCausewayError(each) ? [] : [each]));
    const last = acks.at(-1)!;
    const tookMs = system.clock.monotonicMs() - startMs;
    const duplicate = acks.every((ack) => ack.duplicate);
    const at = client.endpoint();
    if (terminal.json) {
      terminal.document({
        namespace: name.namespace,
        collection: name.collection,
        key: name.key,
        ...(last.after === undefined ? {} : viewDocument(last.after.view)),
        shard: last.shard,
        version: versionText(last.version),
        duplicate,
        durability: flags.durability,
        region: at?.region,
        tookMs,
        session: client.session(),
      });
      return;
    }
    const repeated = duplicate ? ', which had been written before' : '';
    terminal.line(result?.(last) ?? `${terminal.good('ok')} ${name.collection}/${name.key}${repeated}`);
    terminal.note(
      terminal.dim(
        `${durabilityText(flags.durability)}, ${at?.region ?? at?.address ?? ''}, ${span(tookMs)}, version ${versionText(last.version)}`,
      ),
    );
  });
}

export function withKeys(ops: readonly Op[], key: string | undefined): readonly Op[] {
  if (key === undefined) return ops;
  // Two ops of one command are two ops, of one repetition.
  return ops.map((op, i) => ({ ...op, idempotencyKey: i === 0 ? key : `${key}/${i}` }));
}

const COMMANDS_OF: Readonly<Record<MergeType, string>> = {
  'register-lww': 'causeway put and get',
  'register-mv': 'causeway put and get',
  'counter-pn': 'causeway incr',
  'set-aw': 'causeway set',
  'map-lww': 'causeway map',
};

export function wrongType({ namespace, collection }: KeyName, is: MergeType, wanted: MergeType): CausewayError {
  return new CausewayError(
    'WRONG_OPERATION',
    `${namespace}/${collection} is a ${is}; this command is for a ${wanted}`,
    { outcome: 'not-applied', hint: `For a ${is} there is ${COMMANDS_OF[is]}; put writes every type.` },
  );
}

function durabilityText(level: DurabilityWord): string {
  if (level === 'local') return 'durable';
  if (level === 'applied') return 'durable and visible';
  return `durable here and in ${level.regions} other region${level.regions === 1 ? '' : 's'}`;
}
