// Node's flags for a process that runs a node: how V8 collects its garbage.
//
// V8's helper threads (four in every process, however few cores there are) make a pause short where a core is free for each. Where several
// processes share one or two cores, as regions on one machine and small containers do, they take turns at the same cores and wait for
// each other with the main thread stopped: docs/BENCHMARKS.md has the figures. The young generation is larger than V8's own, so that
// what an op leaves behind is dead by the time it is looked at.
//
// V8 takes these at the start of a process only: bin/causeway gives them, and whoever else starts nodes.

import { availableParallelism } from 'node:os';

/** With more cores than this the helpers are worth it. */
const CORES_SHARED_MAX = 2;

export function serveFlags(cores = availableParallelism()): readonly string[] {
  // The old generation may grow to four times what lives in it before it is marked: a node's heap is small beside what it caches.
  const flags = ['--max-semi-space-size=32', '--heap-growing-percent=300'];
  return cores > CORES_SHARED_MAX ? flags : [...flags, '--single-threaded-gc'];
}
