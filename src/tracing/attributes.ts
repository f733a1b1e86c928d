// Names of attributes and of spans. Those of OpenTelemetry's semantic conventions (1.45) are held to its package by test/tracing/attributes.test.ts;
// what they have no word for begins with `causeway.`. docs/TRACING.md has them all for readers.

export const MESSAGING_SYSTEM = 'messaging.system.name';
export const MESSAGING_OPERATION = 'messaging.operation.type';
export const MESSAGING_DESTINATION = 'messaging.destination.name';
export const MESSAGING_BATCH_COUNT = 'messaging.batch.message_count';
export const MESSAGING_MESSAGE_ID = 'messaging.message.id';
export const RPC_SYSTEM = 'rpc.system.name';
export const RPC_METHOD = 'rpc.method';
export const HTTP_METHOD = 'http.request.method';
export const HTTP_ROUTE = 'http.route';
export const ERROR_TYPE = 'error.type';

/** Of the region that the span was made in. */
export const REGION = 'causeway.region';
export const NODE = 'causeway.node';
/** `region~incarnation` that sequenced the write. */
export const ORIGIN = 'causeway.origin';
export const SHARD = 'causeway.shard';
/** The write's stamp, a hybrid logical clock's. */
export const HLC = 'causeway.hlc';
/** Origin and seq: the write's name, the same in every region. */
export const DOT = 'causeway.dot';
/** From the write's stamp to being visible here, by this node's clock. */
export const LAG_MS = 'causeway.lag_ms';
/** `won` or `lost`: a write that neither had seen was judged against this one when it landed. */
export const CONFLICT = 'causeway.conflict';
/** The retry of a write that was sequenced before. */
export const DUPLICATE = 'causeway.duplicate';
export const PEER = 'causeway.peer';
/** Passed on by a region that did not write it. */
export const RELAYED = 'causeway.relayed';
export const BATCH_BYTES = 'causeway.batch.bytes';
export const BATCH_COUNT = 'causeway.batch.count';
export const LINKS_DROPPED = 'causeway.links.dropped';

export const SPANS = {
  sequence: 'causeway.sequence',
  append: 'causeway.append',
  apply: 'causeway.apply',
  link: 'causeway.link',
  feed: 'causeway.feed',
  canary: 'causeway.canary',
  /** Stages of many writes together: each a trace of its own, with links to the writes' spans. */
  batchAppend: 'causeway.batch.append',
  batchLink: 'causeway.batch.link',
} as const;

/** Of whole batches rather than of one write. */
export function isBatchSpan(name: string): boolean {
  return name === SPANS.batchAppend || name === SPANS.batchLink;
}
