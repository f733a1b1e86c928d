// Original file: proto/causeway/v1/data.proto

import type { WriteStreamResult as _causeway_v1_WriteStreamResult, WriteStreamResult__Output as _causeway_v1_WriteStreamResult__Output } from '../../causeway/v1/WriteStreamResult.ts';

export interface WriteStreamResponse {
  'results'?: (_causeway_v1_WriteStreamResult)[];
}

export interface WriteStreamResponse__Output {
  'results': (_causeway_v1_WriteStreamResult__Output)[];
}
