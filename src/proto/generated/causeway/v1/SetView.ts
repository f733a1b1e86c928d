// Original file: proto/causeway/v1/data.proto


export interface SetView {
  'elements'?: (Buffer | Uint8Array | string)[];
}

export interface SetView__Output {
  'elements': (Buffer)[];
}
