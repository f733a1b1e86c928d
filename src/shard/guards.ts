// The engine's safety guards, each switchable by the simulator only: a suite that does not notice a missing guard proves nothing.
// Production never writes to this object; chaos/sim does, for `npm run sim -- --without <guard>` and `npm run chaos:mutants`.

export const GUARDS = {
  /** I2: a batch at or below the vector is a duplicate. */
  duplicateCheck: true,
  /** I2: a batch above the next seq is a gap. */
  gapCheck: true,
  /** I4: a batch waits until its deps are here. */
  depsCheck: true,
  /** I4: what a session writes waits until what it has seen is here. */
  sessionWait: true,
  /** I4: applying anything remote seals the open batch first. */
  batchSeal: true,
  /** I5: stamps and promises stay below a bound in the log, and a successor starts above it. */
  stampLease: true,
  /** I6: every start opens a new random incarnation. */
  newIncarnation: true,
  /** I9: tombstones wait for every member's report, not only for local watermarks. */
  tombstoneReports: true,
  /** An origin's end is the maximum over all members. */
  closingMaximum: true,
  /** I9, I14: what a region was told when it asked where it may begin binds who told it. */
  bindingBeginning: true,
  /** A frozen origin is taken as far as those hold it whose disks still do. */
  vouchedTail: true,
  /** I5: a stamp too far ahead holds its stream. */
  clockGuard: true,
  /** A batch names the checksum of its origin's previous one. */
  forkCheck: true,
  /** I14: a watermark counts only once the vector has reached its seq. */
  watermarkSeq: true,
  /** A retry is answered with the first result. */
  idempotencyTable: true,
  /** I2: what is not read again of the ops that were remembered is forgotten, not new. */
  rereadHorizon: true,
  /** A conflict's row goes into the store together with the states that it is about. */
  journalRows: true,
  /** I1: no client is told of what is not durable. */
  durableOnly: true,
  /** No reader sees what is not durable. */
  durableReads: true,
};

export type GuardName = keyof typeof GUARDS;
