// I10  no byte about a shard crosses to a region outside its placement: not its batches, and not its vectors or beats either.

import type { RegionId, ShardId } from '../../src/record/ids.ts';
import { peekShard } from '../../src/record/batch.ts';
import type { Down, Up } from '../../src/replication/messages.ts';
import { holds } from './violation.ts';

export class ResidencyCheck {
  readonly #members: (shard: ShardId) => readonly RegionId[];

  constructor(members: (shard: ShardId) => readonly RegionId[]) {
    this.#members = members;
  }

  sent(from: string, to: string, message: Up | Down): void {
    for (const shard of shardsOf(message)) {
      for (const site of [from, to]) {
        holds(
          this.#members(shard).includes(site as RegionId),
          'I10',
          () => `${from} sent ${to} a ${message.kind} about shard ${shard}, and ${site} is not in its placement`,
        );
      }
    }
  }
}

function shardsOf(message: Up | Down): ShardId[] {
  switch (message.kind) {
    case 'want':
      return [message.shard];
    case 'ack':
    case 'welcome':
    case 'beat':
    case 'begin':
    case 'begun':
      return message.shards.map(({ shard }) => shard);
    case 'batches':
      return message.batches.map((bytes) => peekShard(bytes)!);
    case 'hello':
    case 'credit':
    case 'ping':
    case 'compress':
    case 'refuse':
      return [];
  }
}
