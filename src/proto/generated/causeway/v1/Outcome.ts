// Original file: proto/causeway/v1/data.proto

export const Outcome = {
  OUTCOME_UNSPECIFIED: 'OUTCOME_UNSPECIFIED',
  OUTCOME_NOT_APPLIED: 'OUTCOME_NOT_APPLIED',
  OUTCOME_APPLIED_LOCALLY: 'OUTCOME_APPLIED_LOCALLY',
  OUTCOME_UNKNOWN: 'OUTCOME_UNKNOWN',
} as const;

export type Outcome =
  | 'OUTCOME_UNSPECIFIED'
  | 0
  | 'OUTCOME_NOT_APPLIED'
  | 1
  | 'OUTCOME_APPLIED_LOCALLY'
  | 2
  | 'OUTCOME_UNKNOWN'
  | 3

export type Outcome__Output = typeof Outcome[keyof typeof Outcome]
