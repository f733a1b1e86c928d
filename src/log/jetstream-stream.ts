// The stream of one shard: made once, read back, compared, and asked how it is.
// Owns: what a stream must be for an acknowledgement to mean what I1 says, and who tells that it is another one than before.
//
// Name     causeway-<cluster>-<region>-<placement>-<index>
// Subject  causeway.<cluster>.<region>.<placement>.<index>.<incarnation>: a publish that was made for one incarnation of the stream finds nobody
//          when the stream has been deleted and made again, whatever its sequence is by then.
// The incarnation is random, and stands in the stream's metadata and in every message.

import { CausewayError } from '../errors/errors.ts';
import { PASSING_API_ERRORS, type ApiAnswer, type Requests } from '../nats/requests.ts';
import { shardParts, type RegionId, type ShardId } from '../record/ids.ts';

const INCARNATION = 'causeway-incarnation';
const NO_SUCH_STREAM = 10_059;
const NAME_IN_USE = 10_058;
const NO_ROOM = 10_047;
const ASK_MS_MAX = 3000;

/** As JetStream's API has it. */
interface StreamConfig {
  readonly name: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export interface StreamInfo {
  readonly config: StreamConfig;
  readonly state: {
    readonly first_seq: number;
    readonly last_seq: number;
    readonly messages: number;
    readonly bytes: number;
    readonly num_deleted?: number;
  };
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly name: string; readonly current: boolean; readonly offline?: boolean }[];
  };
}

export interface StreamsOptions {
  readonly clusterId: string;
  readonly region: RegionId;
  readonly replicas: number;
  /** Of each shard's stream. */
  readonly bytesMax: number;
  /** JetStream's domain, where the servers have one. */
  readonly domain?: string;
}

export interface NotNow {
  readonly notNow: CausewayError | undefined;
}

export interface OpenedStream {
  readonly name: string;
  readonly subject: string;
  readonly incarnation: number;
  readonly info: StreamInfo;
  readonly created: boolean;
}

export class Streams {
  readonly #requests: Requests;
  readonly #options: StreamsOptions;
  readonly #api: string;

  constructor(requests: Requests, options: StreamsOptions) {
    this.#requests = requests;
    this.#options = options;
    this.#api = options.domain === undefined ? '$JS.API' : `$JS.${options.domain}.API`;
  }

  nameOf(shard: ShardId): string {
    return this.#tokens(shard).join('-');
  }

  #tokens(shard: ShardId): string[] {
    const { clusterId, region } = this.#options;
    const { placementId, index } = shardParts(shard);
    // What a subject's token, or a stream's name, may not hold.
    const cluster = clusterId.replaceAll(/[^A-Za-z0-9_-]/g, '_');
    return ['causeway', cluster, region, `${placementId}`, `${index}`];
  }

  info(name: string): Promise<ApiAnswer<StreamInfo>> {
    return this.#requests.ask<StreamInfo>(`${this.#api}.STREAM.INFO.${name}`, '', { timeoutMs: ASK_MS_MAX });
  }

  /** Where a message is asked for by its sequence, of any replica. */
  directGet(name: string): string {
    return `${this.#api}.DIRECT.GET.${name}`;
  }

  /** A message by its sequence, as the leader has it. */
  async message(name: string, sequence: number): Promise<ApiAnswer<Buffer>> {
    const payload = JSON.stringify({ seq: sequence });
    const subject = `${this.#api}.STREAM.MSG.GET.${name}`;
    const answer = await this.#requests.ask<{ message: { data?: string } }>(subject, payload, {
      timeoutMs: ASK_MS_MAX,
    });
    return answer.kind === 'ok'
      ? { kind: 'ok', value: Buffer.from(answer.value.message.data ?? '', 'base64') }
      : answer;
  }

  /** The shard's stream as it is, made if it is not there. Throws CausewayError: CONFIG_INVALID (it is not what it must be, or cannot be made),
   *  UNAVAILABLE (JetStream does not answer). `notNow`: it may be tried again; with the reason, when JetStream has given one. */
  async open(shard: ShardId, newIncarnation: () => number): Promise<OpenedStream | NotNow> {
    const name = this.nameOf(shard);
    let created = false;
    let answer = await this.info(name);
    if (answer.kind === 'error' && answer.code === NO_SUCH_STREAM) {
      const made = await this.#requests.ask(
        `${this.#api}.STREAM.CREATE.${name}`,
        JSON.stringify(this.#configFor(shard, newIncarnation())),
        { timeoutMs: ASK_MS_MAX },
      );
      created = made.kind === 'ok';
      // Another node of the region may have been faster; what it has made is compared like any other.
      if (made.kind === 'error' && PASSING_API_ERRORS.has(made.code)) return { notNow: cannotMake(name, made) };
      if (made.kind === 'error' && made.code !== NAME_IN_USE && made.status !== 503) throw cannotMake(name, made);
      if (made.kind === 'error' && made.code === NO_ROOM) throw cannotMake(name, made);
      answer = await this.info(name);
    }
    if (answer.kind === 'error' && answer.status !== 503 && answer.code !== NO_SUCH_STREAM) {
      throw new CausewayError('CONFIG_INVALID', `JetStream does not tell about stream ${name}: ${answer.message}`);
    }
    if (answer.kind !== 'ok') return { notNow: undefined };
    const info = answer.value;
    const incarnation = incarnationOf(info);
    if (incarnation === undefined) {
      throw new CausewayError('CONFIG_INVALID', `stream ${name} exists, and was not made by Causeway`, {
        hint: `Rename or delete it: this name is the log of shard ${shard}.`,
      });
    }
    const expected = this.#configFor(shard, incarnation);
    const drifted = differences(expected, info.config);
    if (drifted.length > 0) {
      throw new CausewayError('CONFIG_INVALID', `stream ${name} is not as it must be: ${drifted.join('; ')}`, {
        hint: 'Change the stream (`nats stream edit`) or, where that is what is wanted, the configuration of this node.',
      });
    }
    return { name, subject: this.#subjectOf(shard, incarnation), incarnation, info, created };
  }

  #subjectOf(shard: ShardId, incarnation: number): string {
    return [...this.#tokens(shard), hex(incarnation)].join('.');
  }

  #configFor(shard: ShardId, incarnation: number): StreamConfig {
    return {
      name: this.nameOf(shard),
      description: `Causeway: the log of shard ${shard} in ${this.#options.region}`,
      subjects: [this.#subjectOf(shard, incarnation)],
      retention: 'limits',
      storage: 'file',
      num_replicas: this.#options.replicas,
      discard: 'new',
      max_bytes: this.#options.bytesMax,
      max_msgs: -1,
      max_age: 0,
      max_msg_size: -1,
      max_msgs_per_subject: -1,
      compression: 'none',
      deny_delete: true,
      deny_purge: false,
      allow_rollup_hdrs: false,
      allow_direct: true,
      no_ack: false,
      metadata: { [INCARNATION]: hex(incarnation) },
    };
  }
}

export function isGone(answer: ApiAnswer<StreamInfo>): boolean {
  return answer.kind === 'error' && answer.code === NO_SUCH_STREAM;
}

export function incarnationOf({ config }: StreamInfo): number | undefined {
  const text = config.metadata?.[INCARNATION];
  return text !== undefined && /^[0-9a-f]{12}$/.test(text) ? Number.parseInt(text, 16) : undefined;
}

function hex(incarnation: number): string {
  return incarnation.toString(16).padStart(12, '0');
}

/** What no stream of ours has: each would let go of entries, change them, or acknowledge them before they are stored. */
const FORBIDDEN: Readonly<Record<string, readonly unknown[]>> = {
  mirror: [undefined],
  sources: [undefined],
  subject_transform: [undefined],
  sealed: [undefined, false],
  discard_new_per_subject: [undefined, false],
  persist_mode: [undefined, '', 'default'],
  allow_msg_ttl: [undefined, false],
};

/** Sentences: field, what was expected, what was found. */
function differences(expected: StreamConfig, found: StreamConfig): string[] {
  const drifted: string[] = [];
  for (const [field, value] of Object.entries(expected)) {
    // JetStream leaves out what is false or nothing. It adds lines of its own to metadata.
    if (field === 'metadata' || field === 'description') continue;
    const there = found[field] ?? (value === false ? false : undefined);
    if (JSON.stringify(there) === JSON.stringify(value)) continue;
    drifted.push(`expected ${field} ${JSON.stringify(value)}, found ${JSON.stringify(found[field])}`);
  }
  for (const [field, allowed] of Object.entries(FORBIDDEN)) {
    if (!allowed.includes(found[field])) drifted.push(`expected no ${field}, found ${JSON.stringify(found[field])}`);
  }
  return drifted;
}

function cannotMake(name: string, { code, message }: { code: number; message: string }): CausewayError {
  return new CausewayError('CONFIG_INVALID', `JetStream does not make stream ${name}: ${message} (${code})`, {
    hint:
      code === NO_ROOM
        ? 'Each stream reserves its maximum: give JetStream more room (max_file), or the streams less.'
        : 'See what the account of this node may do, and how many servers the cluster has.',
  });
}
