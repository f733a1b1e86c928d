// Original file: proto/causeway/v1/data.proto

import type { Outcome as _causeway_v1_Outcome, Outcome__Output as _causeway_v1_Outcome__Output } from '../../causeway/v1/Outcome.ts';

export interface ErrorDetail {
  'code'?: (string);
  'message'?: (string);
  'hint'?: (string);
  'outcome'?: (_causeway_v1_Outcome);
  'retriable'?: (boolean);
  'retryAfterMs'?: (number);
  'detailsJson'?: (string);
  '_retryAfterMs'?: "retryAfterMs";
}

export interface ErrorDetail__Output {
  'code': (string);
  'message': (string);
  'hint': (string);
  'outcome': (_causeway_v1_Outcome__Output);
  'retriable': (boolean);
  'retryAfterMs'?: (number);
  'detailsJson': (string);
  '_retryAfterMs'?: "retryAfterMs";
}
