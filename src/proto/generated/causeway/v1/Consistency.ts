// Original file: proto/causeway/v1/data.proto

export const Consistency = {
  CONSISTENCY_UNSPECIFIED: 'CONSISTENCY_UNSPECIFIED',
  CONSISTENCY_LOCAL: 'CONSISTENCY_LOCAL',
  CONSISTENCY_CAUSAL: 'CONSISTENCY_CAUSAL',
  CONSISTENCY_BOUNDED: 'CONSISTENCY_BOUNDED',
  CONSISTENCY_STABLE: 'CONSISTENCY_STABLE',
} as const;

export type Consistency =
  | 'CONSISTENCY_UNSPECIFIED'
  | 0
  | 'CONSISTENCY_LOCAL'
  | 1
  | 'CONSISTENCY_CAUSAL'
  | 2
  | 'CONSISTENCY_BOUNDED'
  | 3
  | 'CONSISTENCY_STABLE'
  | 4

export type Consistency__Output = typeof Consistency[keyof typeof Consistency]
