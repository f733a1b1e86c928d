// One watch: a region's feed to one HTTP client, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
//
//   event: ready     once, when the watch stands; its id is where it begins
//   event: entry     a watch of one key that begins now: what the key holds
//   event: change    an op that this region has applied
//   event: failure   why the stream ends; then it ends
//   :                a comment, now and then, that keeps the connection
//
// An id is a cursor, valid in every region. It stands on the last event of what is sent together and at least every ID_EVERY_BYTES, so a client
// that comes back with the last id that it saw misses nothing and sees at most that much again (each change has its version to tell).
//
// Bounds (I12): what is encoded and not taken by the connection is at most about subscriberBufferBytesMax plus one call of the feed; at
// the bound the feed waits, and the watcher costs the region a cursor (I8). One that takes nothing for watchStallMs is cut.

import { stampOfMs } from '../../clock/hlc.ts';
import { CausewayError } from '../../errors/errors.ts';
import type { OpDescription } from '../../merge/types.ts';
import { shardParts, type OriginId, type ShardId } from '../../record/ids.ts';
import type { FeedEvent, FeedSink, FeedSubscription, SubscribeRequest } from '../../region/region.ts';
import type { TimerHandle } from '../../system/system.ts';
import { authorize, draining, type Drainable } from '../env.ts';
import { checkKey, checkName, tooLarge } from '../limits.ts';
import { cursorToText } from '../tokens.ts';
import { versionText } from './conditions.ts';
import { errorJson } from './errors.ts';
import type { Exchange, HttpEnv, Target } from './exchange.ts';
import type { Parameters } from './parameters.ts';
import { elementJson, entryJson, valueJson } from './values.ts';

const COLLECTIONS_MAX = 256;
const ID_EVERY_BYTES = 16 * 1024;
/** The 200 waits this long for the feed to find out that it cannot begin, so that a cursor that is gone is a 410 and not a 200 that ends. */
const OPEN_MS = 25;
/** What an EventSource waits before it comes back. */
const RETRY_MS = 1000;

/** A watch is asked for by what is accepted, as browsers do, or by name. */
export function wantsWatch(exchange: Exchange, parameters: Parameters): boolean {
  if (exchange.request.method !== 'GET') return false;
  return parameters.flag('watch') || /text\/event-stream/i.test(exchange.header('Accept') ?? '');
}

/** Of one key, of a collection or of a namespace, as far as the path goes. */
export function watch(exchange: Exchange, target: Target, parameters: Parameters): void {
  const { env } = exchange;
  const { namespace, collection, key } = target;
  const prefix = parameters.one('prefix') ?? '';
  const nameError =
    checkName('namespace', namespace) ??
    (collection === '' ? undefined : checkName('collection', collection)) ??
    (key === '' ? undefined : checkKey(key)) ??
    (prefix === '' ? undefined : checkKey(prefix));
  if (nameError !== undefined) throw nameError;
  authorize(env, exchange, 'subscribe', namespace);
  const collections = collection === '' ? parameters.all('collection') : [collection];
  if (collections.length > COLLECTIONS_MAX) {
    throw tooLarge('a watch', 'collections', COLLECTIONS_MAX, collections.length, 'name none to follow all');
  }
  let unknown = env.catalog.checkNamespace(namespace);
  for (const name of collections) unknown ??= env.catalog.checkCollection(namespace, name);
  if (unknown !== undefined) throw unknown;
  const start = parameters.feedStart(namespace);
  const fromMs = parameters.fromMs();
  const request: SubscribeRequest = {
    namespace,
    collections,
    keyPrefix: key === '' ? prefix : key,
    start,
    form: parameters.feedForm(),
  };
  const refusal = env.load.refusal(0);
  if (refusal !== undefined) throw refusal;
  if (env.load.streams >= env.limits.subscribersMax) {
    throw new CausewayError('OVERLOADED', `the node has ${env.load.streams} streams, its limit`, {
      retryAfterMs: 1000,
    });
  }
  const stream = new Watch(exchange, env, request, key === '' ? undefined : key, fromMs);
  stream.start(target);
}

class Watch implements FeedSink, Drainable {
  readonly #exchange: Exchange;
  readonly #env: HttpEnv;
  readonly #request: SubscribeRequest;
  /** Only this one: the feed knows prefixes. */
  readonly #key: string | undefined;
  /** With `from` a time: what is older is left out also after a reconnect, whose cursor may lack shards that had nothing newer. */
  readonly #afterStamp: number;
  /** What the client has been given, per shard: the next id. */
  readonly #position = new Map<ShardId, Map<OriginId, number>>();
  /** As an id. */
  #beginning = '';
  #subscription: FeedSubscription | undefined;
  /** Events that the connection has not been given. */
  #out: string[] = [];
  #outBytes = 0;
  #sinceIdBytes = 0;
  /** Given to the connection and not taken. */
  #writingBytes = 0;
  #takenAtMs: number;
  #waiting = false;
  #flushDue = false;
  #open = false;
  #closed = false;
  #opening: TimerHandle | undefined;
  readonly #heartbeat: TimerHandle;

  constructor(
    exchange: Exchange,
    env: HttpEnv,
    request: SubscribeRequest,
    key: string | undefined,
    fromMs: number | undefined,
  ) {
    this.#exchange = exchange;
    this.#env = env;
    this.#request = request;
    this.#key = key;
    this.#afterStamp = fromMs === undefined ? 0 : stampOfMs(fromMs);
    if (request.start.kind === 'cursor') {
      for (const [shard, vector] of request.start.cursor) this.#position.set(shard, new Map(vector));
    }
    this.#takenAtMs = env.system.clock.monotonicMs();
    this.#heartbeat = env.system.timers.every(env.http.heartbeatMs, () => this.#beat());
    exchange.response.once('close', () => this.#close());
    env.load.add(this);
  }

  start(target: Target): void {
    const { region, system } = this.#env;
    if (this.#closed) return;
    this.#beginning = this.#cursor();
    const subscription = region.subscribe(this.#request, this);
    if (this.#closed) {
      subscription.cancel();
      return;
    }
    this.#subscription = subscription;
    if (this.#request.start.kind === 'now') {
      this.#beginNow();
      this.#beginning = this.#cursor();
    }
    // From the state as it is behind the beginning, so nothing between the two is missed.
    if (this.#key !== undefined && this.#request.start.kind === 'now') this.#tellEntry(target);
    this.#opening = system.timers.after(OPEN_MS, () => this.#openStream());
  }

  /** Where `now` is, in every shard: a cursor that lacks a shard would begin that one at its beginning. */
  #beginNow(): void {
    const { region } = this.#env;
    const placementId = region.placementOf(this.#request.namespace)?.placementId;
    for (const { shard, origins } of region.status().shards) {
      // Keys of `_system` are in every placement.
      if (placementId !== undefined && shardParts(shard).placementId !== placementId) continue;
      if (this.#position.has(shard)) continue;
      this.#position.set(shard, new Map(origins.map(({ origin, seq }) => [origin, seq])));
    }
  }

  #tellEntry({ namespace, collection, key }: Target): void {
    const { region } = this.#env;
    const type = region.collection(namespace, collection)!.type;
    const read = { namespace, collection, keys: [key], consistency: { kind: 'local' } as const, deadlineMs: 0 };
    region.read(read, (result) => {
      if (this.#closed) return;
      if (result instanceof CausewayError) this.failed(result);
      else
        this.#put(
          frame(
            'entry',
            `{"collection":${JSON.stringify(collection)},"entry":${entryJson(key, type, result.views[0])}}`,
          ),
        );
    });
  }

  events(events: readonly FeedEvent[], shard: ShardId, cursor: ReadonlyMap<OriginId, number>): boolean {
    if (this.#closed) return false;
    let position = this.#position.get(shard);
    if (position === undefined) this.#position.set(shard, (position = new Map<OriginId, number>()));
    const wanted = events.filter((event) => this.#wants(event));
    for (const [i, event] of wanted.entries()) {
      const data = changeJson(event, this.#request.form);
      // Events come in log order: of this one's origin, everything up to it has been given or passed over.
      raise(position, event.version.origin, event.version.seq);
      const last = i === wanted.length - 1;
      if (last) for (const [origin, seq] of cursor) raise(position, origin, seq);
      this.#sinceIdBytes = last ? 0 : this.#sinceIdBytes + data.length;
      if (!last && this.#sinceIdBytes < ID_EVERY_BYTES) {
        this.#put(frame('change', data));
        continue;
      }
      this.#put(frame('change', data, this.#cursor()));
      this.#sinceIdBytes = 0;
    }
    if (wanted.length === 0) {
      for (const [origin, seq] of cursor) raise(position, origin, seq);
      // Without data nothing is dispatched, and the client's last id moves all the same.
      if (cursor.size > 0) this.#put(`id: ${this.#cursor()}\n\n`);
    }
    this.#waiting = this.#writingBytes + this.#outBytes >= this.#env.limits.subscriberBufferBytesMax;
    return !this.#waiting;
  }

  failed(error: CausewayError): void {
    if (this.#closed) return;
    if (!this.#open) {
      this.#exchange.fail(error);
      this.#close();
      return;
    }
    this.#put(frame('failure', errorJson(error)));
    this.#flush(true);
    this.#close();
    this.#exchange.response.end();
  }

  drain(): void {
    this.failed(draining());
  }

  #wants({ key, version }: FeedEvent): boolean {
    return (this.#key === undefined || key === this.#key) && version.stamp >= this.#afterStamp;
  }

  #cursor(): string {
    return cursorToText(this.#position, this.#request.namespace, this.#env.clusterId);
  }

  #openStream(): void {
    if (this.#closed || this.#open) return;
    this.#open = true;
    this.#opening?.cancel();
    this.#exchange.openStream({
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      // nginx would collect what it gets.
      'X-Accel-Buffering': 'no',
    });
    const { namespace } = this.#request;
    const ready = `{"region":"${this.#env.region.id}","namespace":"${namespace}"}`;
    this.#out.unshift(`retry: ${RETRY_MS}\n${frame('ready', ready, this.#beginning)}`);
    this.#flush(false);
  }

  #put(text: string): void {
    this.#out.push(text);
    this.#outBytes += Buffer.byteLength(text);
    if (this.#flushDue || this.#writingBytes > 0) return;
    this.#flushDue = true;
    queueMicrotask(() => {
      this.#flushDue = false;
      this.#openStream();
      this.#flush(false);
    });
  }

  /** `all`: also while the connection has not taken the last. */
  #flush(all: boolean): void {
    if (!this.#open || this.#closed || this.#out.length === 0 || (this.#writingBytes > 0 && !all)) return;
    const bytes = Buffer.from(this.#out.join(''));
    this.#out = [];
    this.#outBytes = 0;
    if (this.#writingBytes === 0) this.#takenAtMs = this.#env.system.clock.monotonicMs();
    this.#writingBytes += bytes.length;
    this.#exchange.response.write(bytes, () => {
      this.#writingBytes -= bytes.length;
      this.#takenAtMs = this.#env.system.clock.monotonicMs();
      if (this.#closed) return;
      this.#flush(false);
      if (!this.#waiting || this.#writingBytes + this.#outBytes > this.#env.limits.subscriberBufferBytesMax / 2) return;
      this.#waiting = false;
      this.#subscription?.resume();
    });
  }

  #beat(): void {
    if (!this.#open) return;
    if (this.#writingBytes === 0) this.#put(':\n\n');
    else if (this.#env.system.clock.monotonicMs() - this.#takenAtMs >= this.#env.http.watchStallMs) {
      this.#exchange.response.destroy();
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#opening?.cancel();
    this.#heartbeat.cancel();
    this.#env.load.remove(this);
    this.#subscription?.cancel();
    this.#subscription = undefined;
  }
}

function raise(position: Map<OriginId, number>, origin: OriginId, seq: number): void {
  position.set(origin, Math.max(seq, position.get(origin) ?? 0));
}

/** `data` is of one line. */
function frame(event: string, data: string, id?: string): string {
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`;
}

function changeJson({ collection, key, version, op, view }: FeedEvent, form: 'op' | 'value'): string {
  const head = `"collection":"${collection.name}","key":${JSON.stringify(key)},"version":"${versionText(version)}"`;
  if (form === 'op') return `{${head},"op":${opJson(op)}}`;
  return `{${head},"op":{"kind":"${op.kind}"},"entry":${entryJson(key, collection.type, view)}}`;
}

function opJson(op: OpDescription): string {
  switch (op.kind) {
    case 'put': {
      const expiry = op.expiresAtMs === undefined ? '' : `,"expiresAtMs":${op.expiresAtMs}`;
      return `{"kind":"put","value":${valueJson(op.value)}${expiry}}`;
    }
    case 'delete':
      return '{"kind":"delete"}';
    case 'increment':
      return `{"kind":"increment","by":"${op.by}"}`;
    case 'set-add':
    case 'set-remove':
      return `{"kind":"${op.kind}","elements":[${op.elements.map(elementJson).join(',')}]}`;
    case 'map-update': {
      const set = op.put.map(({ field, value }) => `${JSON.stringify(field)}:${valueJson(value)}`);
      return `{"kind":"map-update","set":{${set.join(',')}},"remove":${JSON.stringify(op.remove)}}`;
    }
  }
}
