// What the JetStream log keeps in memory of one shard.

import type { ShardId } from '../record/ids.ts';
import { BatchIndex } from './batch-index.ts';
import type { FrameIndex } from './jetstream-frame.ts';
import type { OpenedStream } from './jetstream-stream.ts';
import type { AppendOutcome, LogEntry } from './log.ts';
import { PositionIndex } from './position-index.ts';
import { CachedTail } from './tail-cache.ts';

const MESSAGES_A_POINT = 32;

export interface PendingAppend {
  readonly expectOffset: number;
  readonly entries: readonly LogEntry[];
  readonly done: (outcome: AppendOutcome) => void;
  /** When it was made, its offset was the next one. */
  readonly fits: boolean;
}

export class JetStreamTrack {
  readonly shard: ShardId;
  readonly stream: OpenedStream;
  /** The last message that is known to be stored, and the last entry in it. */
  lastSequence = 0;
  tail = 0;
  /** The highest sequence that the servers ever told of; what lies above lastSequence was appended by others. */
  seen = 0;
  /** The last entry that is stored or asked to be: what an append must follow. */
  assigned = 0;
  /** A lease was appended to this stream. */
  proven = false;
  bytes = 0;
  /** Waiting, oldest first; what is on its way is not among them. */
  queue: PendingAppend[] = [];
  /** Who waits for what others have appended. */
  refreshes: (() => void)[] = [];
  /** A message is on its way, or the end of the stream is being looked for. */
  busy = false;
  /** Times in a row that the stream was not what we know it to be. */
  doubts = 0;
  readonly sequences = new PositionIndex(MESSAGES_A_POINT);
  readonly batches = new BatchIndex();
  readonly cached = new CachedTail();

  constructor(shard: ShardId, stream: OpenedStream) {
    this.shard = shard;
    this.stream = stream;
  }

  get idle(): boolean {
    return !this.busy && this.queue.length === 0;
  }

  /** The message behind the last one is there. */
  add(sequence: number, index: FrameIndex, bytes: number): void {
    this.lastSequence = sequence;
    this.seen = Math.max(this.seen, sequence);
    this.tail = index.firstOffset + index.count - 1;
    if (index.hasLease) this.proven = true;
    this.bytes += bytes;
    this.sequences.add(index.firstOffset, sequence);
    for (const batch of index.batches) this.batches.add(batch, index.firstOffset);
  }
}
