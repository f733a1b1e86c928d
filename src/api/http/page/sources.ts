// What a node has for its page beyond its region. compose.ts hands it in.

import type { NodeFigures } from '../../../region/figures.ts';
import type { EventMessage, HistoryMessage, TraceMessage } from './messages.ts';
import type { Neighbours, Place } from './neighbours.ts';

export interface PageSources {
  /** All regions of the cluster, in the order of the configuration. */
  readonly places: readonly Place[];
  readonly neighbours: Neighbours;
  figures(): NodeFigures;
  history(sinceMs: number): HistoryMessage;
  /** Oldest first. */
  events(): readonly EventMessage[];
  /** Newest first; undefined: nothing is traced. */
  readonly recentTraces: ((limit: number) => readonly TraceMessage[]) | undefined;
}
