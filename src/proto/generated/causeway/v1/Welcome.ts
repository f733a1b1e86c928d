// Original file: proto/causeway/v1/replication.proto

import type { WelcomeShard as _causeway_v1_WelcomeShard, WelcomeShard__Output as _causeway_v1_WelcomeShard__Output } from '../../causeway/v1/WelcomeShard.ts';

export interface Welcome {
  'protocolVersion'?: (number);
  'region'?: (string);
  'node'?: (string);
  'instance'?: (string);
  'features'?: (string)[];
  'shards'?: (_causeway_v1_WelcomeShard)[];
}

export interface Welcome__Output {
  'protocolVersion': (number);
  'region': (string);
  'node': (string);
  'instance': (string);
  'features': (string)[];
  'shards': (_causeway_v1_WelcomeShard__Output)[];
}
