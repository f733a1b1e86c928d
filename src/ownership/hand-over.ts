// What a node does next about one shard (decision 30). Pure: nodes that know the same do what fits together; while they do not, claims by compare-and-set decide, and the
// log's fence behind them.
//
// - A shard that nobody serves is claimed at once: by whoever shall have it, whether it has read its log or not.
// - A shard that somebody serves stays there until whoever shall have it has read its log, and says so by a bid. A bid is for one claim, named by its revision: what was read under an
//   earlier claim says nothing.
// - A holder waits for a bid as long as it may (BID_MS_MAX): a node that does not know of bids, or cannot read, gets the shard without one.
// - While nobody could begin a shard, because the store that its state is read from does not answer, a holder that serves it from memory keeps it, bid or none.

/** While the holder goes on serving. Far longer than a log that is remembered takes to read. */
const BID_MS_MAX = 30_000;
/** While the holder is on its way out. Of nats-kv.ts's LEAVE_MS_MAX. */
const LEAVING_BID_MS_MAX = 8000;

/** Who may have it has read its log, as it was under this claim or later. */
export interface Bid {
  readonly node: string;
  readonly revision: number;
}

export interface Situation {
  readonly node: string;
  /** Who shall have it; undefined: there is nobody. */
  readonly wanted: string | undefined;
  /** '': given up. undefined: nobody ever had it. */
  readonly claim: { readonly holder: string; readonly revision: number } | undefined;
  /** Nobody is to be expected to serve it any more. */
  readonly isFree: boolean;
  /** This node serves it. */
  readonly serves: boolean;
  /** This node is on its way out. */
  readonly leaves: boolean;
  readonly bid: Bid | undefined;
  /** Whoever took it could not begin: the store does not answer. */
  readonly cannotBegin: boolean;
  /** For how long it was to go to `wanted`, and could have. */
  readonly wantedForMs: number;
}

/** `serve`: it is ours, and stays so. `give-up`: ours, and to be drained. `follow`: another's, and to be ours: read its log, then bid. `wait`: not ours to do anything. */
export type Step = 'serve' | 'give-up' | 'claim' | 'follow' | 'wait';

export function nextStep(situation: Situation): Step {
  const { node, wanted, claim, isFree, serves } = situation;
  if (claim?.holder === node) {
    if (wanted === node) return 'serve';
    // What nobody is served by now may as well begin at the other node.
    if (wanted === undefined || !serves) return 'give-up';
    return isAwaited(situation) ? 'serve' : 'give-up';
  }
  if (wanted !== node) return 'wait';
  return isFree ? 'claim' : 'follow';
}

function isAwaited({ wanted, claim, bid, leaves, cannotBegin, wantedForMs }: Situation): boolean {
  if (cannotBegin && !leaves) return true;
  if (bid?.node === wanted && bid?.revision === claim?.revision) return false;
  return wantedForMs < (leaves ? LEAVING_BID_MS_MAX : BID_MS_MAX);
}

export function encodeBid({ node, revision }: Bid): string {
  return `${node} ${revision}`;
}

/** undefined: of a version that we do not know. */
export function decodeBid(text: string): Bid | undefined {
  const [node = '', revision = '', ...rest] = text.split(' ');
  if (node === '' || !/^\d+$/.test(revision) || rest.length > 0) return undefined;
  return { node, revision: Number(revision) };
}
