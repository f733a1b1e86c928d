// Original file: proto/causeway/v1/data.proto


export interface Elements {
  'elements'?: (Buffer | Uint8Array | string)[];
}

export interface Elements__Output {
  'elements': (Buffer)[];
}
