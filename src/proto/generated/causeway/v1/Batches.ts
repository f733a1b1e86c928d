// Original file: proto/causeway/v1/replication.proto


export interface Batches {
  'batches'?: (Buffer | Uint8Array | string)[];
  'compression'?: (number);
  'unpackedBytes'?: (number);
  'packed'?: (Buffer | Uint8Array | string);
}

export interface Batches__Output {
  'batches': (Buffer)[];
  'compression': (number);
  'unpackedBytes': (number);
  'packed': (Buffer);
}
