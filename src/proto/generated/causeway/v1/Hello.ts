// Original file: proto/causeway/v1/replication.proto


export interface Hello {
  'protocolVersion'?: (number);
  'protocolVersionMin'?: (number);
  'clusterId'?: (string);
  'region'?: (string);
  'node'?: (string);
  'settingsHash'?: (string);
  'features'?: (string)[];
  'instance'?: (string);
}

export interface Hello__Output {
  'protocolVersion': (number);
  'protocolVersionMin': (number);
  'clusterId': (string);
  'region': (string);
  'node': (string);
  'settingsHash': (string);
  'features': (string)[];
  'instance': (string);
}
