// What the runner and its workers say to each other, over the channel that Node gives to forked processes.

export interface WorkerSettings {
  readonly region: string;
  readonly addresses: readonly string[];
  readonly namespace: string;
  readonly collection: string;
  readonly keys: number;
  readonly valueBytes: number;
  readonly seed: number;
  /** Closed loop: as many ops under way as `inFlight`, whatever the rate. Else an open loop at the rate that is told. */
  readonly closedLoop: boolean;
  /** Open loop, to begin with; this worker's share. */
  readonly opsPerSecond: number;
  readonly inFlight: number;
  /** This worker's share; 0: none. */
  readonly readsPerSecond: number;
}

/** Times are of CLOCK_MONOTONIC, in microseconds. Work starts at `start`; what starts within the window is measured. */
export interface Schedule {
  readonly startMicros: number;
  readonly windowFromMicros: number;
  readonly windowToMicros: number;
}

export type ToWorker =
  | { readonly do: 'setup'; readonly settings: WorkerSettings }
  /** Writes every key once: its share of them. */
  | { readonly do: 'preload'; readonly share: number; readonly of: number }
  | { readonly do: 'run'; readonly schedule: Schedule }
  /** From now on. Not answered. */
  | { readonly do: 'rate'; readonly opsPerSecond: number }
  /** Answers when that many probes of the window have come from other regions, or no more are waited for. */
  | { readonly do: 'finish'; readonly probes: number; readonly withinMs: number };

export type FromWorker =
  | { readonly is: 'ready' }
  | { readonly is: 'preloaded' }
  /** The window is over and everything is answered. */
  | { readonly is: 'sent'; readonly result: SendResult }
  | { readonly is: 'received'; readonly result: ReceiveResult }
  /** Every REPORT_MS while it runs, unasked. */
  | { readonly is: 'progress'; readonly progress: Progress }
  | { readonly is: 'failed'; readonly message: string };

export const REPORT_MS = 250;

export interface Progress {
  /** Of the probes that came since the last report; undefined: none came. */
  readonly lagMsP90: number | undefined;
  /** How late the next op starts already. */
  readonly behindMs: number;
}

export interface SendResult {
  /** Acknowledged within the window, whenever they started. */
  readonly accepted: number;
  readonly failed: number;
  /** Of all that was acknowledged, warm-up included, and so what the regions hold. */
  readonly acceptedInAll: number;
  /** Probes that were acknowledged and started within the window. */
  readonly probes: number;
  /** HdrHistogram, compressed, base64; microseconds from the start of the call, or from the intended start in an open loop. */
  readonly ack: string;
  /** The same for each second of the window in which ops started. */
  readonly ackBySecond: readonly string[];
  /** Local reads of the window, from the intended start. */
  readonly read: string;
  /** Reads that failed, or found nothing. */
  readonly failedReads: number;
}

export interface ReceiveResult {
  /** Probes of other regions that started within the window. */
  readonly probes: number;
  /** Write to delivery, microseconds, all peers of this region. */
  readonly lag: string;
  /** The same for each second of the window, p99: whether lag grew. */
  readonly lagP99MsBySecond: readonly number[];
}
