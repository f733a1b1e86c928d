// Original file: proto/causeway/v1/admin.proto

import type { CollectionInfo as _causeway_v1_CollectionInfo, CollectionInfo__Output as _causeway_v1_CollectionInfo__Output } from '../../causeway/v1/CollectionInfo.ts';
import type { Version as _causeway_v1_Version, Version__Output as _causeway_v1_Version__Output } from '../../causeway/v1/Version.ts';
import type { Long } from '@grpc/proto-loader';

export interface Collection {
  'namespace'?: (string);
  'collection'?: (_causeway_v1_CollectionInfo | null);
  'state'?: (string);
  'source'?: (string);
  'description'?: (string);
  'defaultExpiryMs'?: (number | string | Long);
  'created'?: (_causeway_v1_Version | null);
  'createdBy'?: (string)[];
  'dropped'?: (_causeway_v1_Version | null);
  'settled'?: (boolean);
}

export interface Collection__Output {
  'namespace': (string);
  'collection': (_causeway_v1_CollectionInfo__Output | null);
  'state': (string);
  'source': (string);
  'description': (string);
  'defaultExpiryMs': (number);
  'created': (_causeway_v1_Version__Output | null);
  'createdBy': (string)[];
  'dropped': (_causeway_v1_Version__Output | null);
  'settled': (boolean);
}
