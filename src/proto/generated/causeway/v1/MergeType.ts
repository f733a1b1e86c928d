// Original file: proto/causeway/v1/data.proto

export const MergeType = {
  MERGE_TYPE_UNSPECIFIED: 'MERGE_TYPE_UNSPECIFIED',
  MERGE_TYPE_REGISTER_LWW: 'MERGE_TYPE_REGISTER_LWW',
  MERGE_TYPE_REGISTER_MV: 'MERGE_TYPE_REGISTER_MV',
  MERGE_TYPE_COUNTER_PN: 'MERGE_TYPE_COUNTER_PN',
  MERGE_TYPE_SET_AW: 'MERGE_TYPE_SET_AW',
  MERGE_TYPE_MAP_LWW: 'MERGE_TYPE_MAP_LWW',
} as const;

export type MergeType =
  | 'MERGE_TYPE_UNSPECIFIED'
  | 0
  | 'MERGE_TYPE_REGISTER_LWW'
  | 1
  | 'MERGE_TYPE_REGISTER_MV'
  | 2
  | 'MERGE_TYPE_COUNTER_PN'
  | 3
  | 'MERGE_TYPE_SET_AW'
  | 4
  | 'MERGE_TYPE_MAP_LWW'
  | 5

export type MergeType__Output = typeof MergeType[keyof typeof MergeType]
