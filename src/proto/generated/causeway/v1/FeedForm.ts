// Original file: proto/causeway/v1/data.proto

export const FeedForm = {
  FEED_FORM_UNSPECIFIED: 'FEED_FORM_UNSPECIFIED',
  FEED_FORM_OP: 'FEED_FORM_OP',
  FEED_FORM_VALUE: 'FEED_FORM_VALUE',
} as const;

export type FeedForm =
  | 'FEED_FORM_UNSPECIFIED'
  | 0
  | 'FEED_FORM_OP'
  | 1
  | 'FEED_FORM_VALUE'
  | 2

export type FeedForm__Output = typeof FeedForm[keyof typeof FeedForm]
