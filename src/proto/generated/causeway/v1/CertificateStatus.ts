// Original file: proto/causeway/v1/admin.proto

import type { Long } from '@grpc/proto-loader';

export interface CertificateStatus {
  'use'?: (string);
  'part'?: (string);
  'subject'?: (string);
  'notAfterMs'?: (number | string | Long);
}

export interface CertificateStatus__Output {
  'use': (string);
  'part': (string);
  'subject': (string);
  'notAfterMs': (number);
}
