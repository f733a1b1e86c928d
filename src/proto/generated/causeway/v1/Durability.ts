// Original file: proto/causeway/v1/data.proto

export const Durability = {
  DURABILITY_UNSPECIFIED: 'DURABILITY_UNSPECIFIED',
  DURABILITY_LOCAL: 'DURABILITY_LOCAL',
  DURABILITY_REGIONS: 'DURABILITY_REGIONS',
  DURABILITY_APPLIED: 'DURABILITY_APPLIED',
} as const;

export type Durability =
  | 'DURABILITY_UNSPECIFIED'
  | 0
  | 'DURABILITY_LOCAL'
  | 1
  | 'DURABILITY_REGIONS'
  | 2
  | 'DURABILITY_APPLIED'
  | 3

export type Durability__Output = typeof Durability[keyof typeof Durability]
