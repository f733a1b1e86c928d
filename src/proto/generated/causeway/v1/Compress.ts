// Original file: proto/causeway/v1/replication.proto


export interface Compress {
  'frames'?: (boolean);
}

export interface Compress__Output {
  'frames': (boolean);
}
