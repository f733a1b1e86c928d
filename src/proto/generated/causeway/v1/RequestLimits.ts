// Original file: proto/causeway/v1/data.proto


export interface RequestLimits {
  'keyBytesMax'?: (number);
  'valueBytesMax'?: (number);
  'opsPerRequestMax'?: (number);
  'requestBytesMax'?: (number);
  'streamMessageBytesMax'?: (number);
  'keysPerReadMax'?: (number);
  'scanPageSizeMax'?: (number);
}

export interface RequestLimits__Output {
  'keyBytesMax': (number);
  'valueBytesMax': (number);
  'opsPerRequestMax': (number);
  'requestBytesMax': (number);
  'streamMessageBytesMax': (number);
  'keysPerReadMax': (number);
  'scanPageSizeMax': (number);
}
