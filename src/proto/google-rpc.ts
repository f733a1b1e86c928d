// The error model that clients of every language read: google.rpc.Status with its details, in trailing metadata.
// Owns: the messages of it that we use, by the numbers of googleapis' google/rpc/status.proto and error_details.proto. They are
// written down here rather than taken in as .proto files because nothing else of them is needed.
// Reference: https://google.aip.dev/193

import protobuf from 'protobufjs';

/** Where it stands in a call's trailing metadata. */
export const STATUS_DETAILS_KEY = 'grpc-status-details-bin';

const TYPE_URL = 'type.googleapis.com/google.rpc.';

export interface RpcStatus {
  readonly code: number;
  /** The same as the call's status text: some libraries refuse the details when it is not. */
  readonly message: string;
  readonly errorInfo?: {
    readonly reason: string;
    readonly domain: string;
    readonly metadata: Readonly<Record<string, string>>;
  };
  readonly retryDelayMs?: number;
  readonly fieldViolations?: readonly { readonly field: string; readonly description: string }[];
}

const { nested } = protobuf.Root.fromJSON({
  nested: {
    Any: { fields: { typeUrl: { id: 1, type: 'string' }, value: { id: 2, type: 'bytes' } } },
    Status: {
      fields: {
        code: { id: 1, type: 'int32' },
        message: { id: 2, type: 'string' },
        details: { id: 3, rule: 'repeated', type: 'Any' },
      },
    },
    ErrorInfo: {
      fields: {
        reason: { id: 1, type: 'string' },
        domain: { id: 2, type: 'string' },
        metadata: { id: 3, keyType: 'string', type: 'string' },
      },
    },
    Duration: { fields: { seconds: { id: 1, type: 'int64' }, nanos: { id: 2, type: 'int32' } } },
    RetryInfo: { fields: { retryDelay: { id: 1, type: 'Duration' } } },
    FieldViolation: { fields: { field: { id: 1, type: 'string' }, description: { id: 2, type: 'string' } } },
    BadRequest: { fields: { fieldViolations: { id: 1, rule: 'repeated', type: 'FieldViolation' } } },
  },
} as protobuf.INamespace);

function type(name: 'Status' | 'ErrorInfo' | 'RetryInfo' | 'BadRequest'): protobuf.Type {
  return nested![name] as protobuf.Type;
}

export function encodeRpcStatus({ code, message, errorInfo, retryDelayMs, fieldViolations }: RpcStatus): Buffer {
  const details: object[] = [];
  const add = (name: 'ErrorInfo' | 'RetryInfo' | 'BadRequest', value: object): void => {
    details.push({ typeUrl: TYPE_URL + name, value: encode(type(name), value) });
  };
  if (errorInfo !== undefined) add('ErrorInfo', errorInfo);
  if (retryDelayMs !== undefined) {
    const seconds = Math.floor(retryDelayMs / 1000);
    add('RetryInfo', { retryDelay: { seconds, nanos: Math.round((retryDelayMs - seconds * 1000) * 1e6) } });
  }
  if (fieldViolations !== undefined) add('BadRequest', { fieldViolations });
  return encode(type('Status'), { code, message, details });
}

/** Details that are not known here are passed over. Throws on malformed bytes. */
export function decodeRpcStatus(bytes: Uint8Array): RpcStatus {
  const decoded = decode(type('Status'), bytes) as {
    code: number;
    message: string;
    details: { typeUrl: string; value: Uint8Array }[];
  };
  let status: RpcStatus = { code: decoded.code, message: decoded.message };
  for (const { typeUrl, value } of decoded.details) {
    switch (typeUrl) {
      case `${TYPE_URL}ErrorInfo`:
        status = { ...status, errorInfo: decode(type('ErrorInfo'), value) as NonNullable<RpcStatus['errorInfo']> };
        break;
      case `${TYPE_URL}RetryInfo`: {
        const { retryDelay } = decode(type('RetryInfo'), value) as {
          retryDelay: { seconds: number; nanos: number } | null;
        };
        if (retryDelay !== null) {
          status = { ...status, retryDelayMs: retryDelay.seconds * 1000 + retryDelay.nanos / 1e6 };
        }
        break;
      }
      case `${TYPE_URL}BadRequest`:
        status = { ...status, ...(decode(type('BadRequest'), value) as Pick<RpcStatus, 'fieldViolations'>) };
        break;
    }
  }
  return status;
}

function encode(of: protobuf.Type, value: object): Buffer {
  return of.encode(of.fromObject(value)).finish() as Buffer;
}

function decode(of: protobuf.Type, bytes: Uint8Array): object {
  return of.toObject(of.decode(bytes), { defaults: true, longs: Number });
}
