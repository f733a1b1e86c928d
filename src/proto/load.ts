// The protocol at run time: proto/causeway/v1/*.proto, parsed once, and gRPC service definitions made from it.
// Owns: where the .proto files are found, how 64-bit integers are decoded, and what becomes of bytes that do not decode.
// Every 64-bit integer of the protocol is at most 2^53 - 1 and is a plain number here; what may be larger (counters) travels
// as decimal text.
// HAZARD: protobufjs keeps the choice of Long for the whole process, so nothing else in it may rely on `long` objects.

import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

// Without Long, readers give numbers. The cast: the library's types do not know that it may be absent.
(protobuf.util as { Long: unknown }).Long = undefined;
protobuf.configure();

const PROTO_FOLDER = join('proto', 'causeway', 'v1');

/** The package's root: the same file runs as src/proto/load.ts and as dist/src/proto/load.js, and may be installed anywhere. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    if (existsSync(join(folder, PROTO_FOLDER))) return folder;
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`the folder ${PROTO_FOLDER} is missing beside or above ${import.meta.url}`);
    folder = parent;
  }
}

let loaded: protobuf.Root | undefined;

/** Everything in proto/causeway/v1. Parsed at the first call. */
export function protoRoot(): protobuf.Root {
  if (loaded !== undefined) return loaded;
  const base = packageRoot();
  const root = new protobuf.Root();
  // Imports are written from the proto folder: import "causeway/v1/record.proto".
  root.resolvePath = (_origin, target) => (target.startsWith(base) ? target : join(base, 'proto', target));
  const files = readdirSync(join(base, PROTO_FOLDER)).filter((name) => name.endsWith('.proto'));
  root.loadSync(files.toSorted().map((name) => join(base, PROTO_FOLDER, name)));
  root.resolveAll();
  loaded = root;
  return root;
}

const types = new Map<string, protobuf.Type>();

/** E.g. `causeway.v1.WriteRequest`. Its encode and decode are generated code; decode throws on malformed bytes. */
export function messageType(fullName: string): protobuf.Type {
  let type = types.get(fullName);
  if (type === undefined) {
    type = protoRoot().lookupType(fullName);
    types.set(fullName, type);
  }
  return type;
}

/** Turns one message into bytes and back. `decode` throws on malformed bytes. */
export interface Codec<T> {
  readonly encode: (message: T) => Buffer;
  readonly decode: (bytes: Uint8Array) => T;
}

/** Stands for a message that did not decode, so that a service can answer INVALID_ARGUMENT: what a deserializer throws,
 *  grpc-js answers with INTERNAL, which would put the blame on the server. */
export class MalformedMessage {
  readonly type: string;
  readonly reason: string;
  constructor(type: string, reason: string) {
    this.type = type;
    this.reason = reason;
  }
}

/** What proto-loader-gen-types was told (scripts/generate-proto-types.mjs), so that its types are true here. */
const OBJECT_OPTIONS: protobuf.IConversionOptions = { longs: Number, enums: String, defaults: true, oneofs: true };

/** Plain objects of the generated types: enums as names, defaults filled in. For messages that are not on a hot path;
 *  those use Type.encode and Type.decode, or their own walk over the bytes. */
export function objectCodec<In extends object, Out>(
  fullName: string,
): { encode(message: In): Buffer; decode(bytes: Uint8Array): Out } {
  const type = messageType(fullName);
  return {
    encode: (message) => type.encode(type.fromObject(message)).finish() as Buffer,
    decode: (bytes) => type.toObject(type.decode(bytes), OBJECT_OPTIONS) as Out,
  };
}

/** Shaped like a MethodDefinition of grpc-js. Requests may be MalformedMessage where they are received. */
export interface WireMethod<Req, Res> {
  readonly path: string;
  readonly originalName: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: Req) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Req | MalformedMessage;
  readonly responseSerialize: (message: Res) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Res;
}

/**
 * One method of a service in the .proto files: its path and which sides stream come from there. `codecs` replaces the
 * generated message objects by others, e.g. bytes that a hot path walks itself.
 * Beyond `requestBytesMax` a request is malformed without being decoded.
 */
export function wireMethod<Req, Res>(
  service: string,
  name: string,
  codecs: {
    request?: { readonly encode: (message: Req) => Buffer; readonly decode: (bytes: Buffer) => Req };
    response?: { readonly encode: (message: Res) => Buffer; readonly decode: (bytes: Buffer) => Res };
    requestBytesMax?: number;
  } = {},
): WireMethod<Req, Res> {
  const method = protoRoot().lookupService(service).methods[name];
  if (method === undefined) throw new Error(`the service ${service} has no method ${name}`);
  const requestType = method.resolvedRequestType;
  const responseType = method.resolvedResponseType;
  if (requestType === null || responseType === null) throw new Error(`${service}.${name} is not resolved`);
  const request = codecs.request ?? plainCodec<Req>(requestType);
  const response = codecs.response ?? plainCodec<Res>(responseType);
  const bytesMax = codecs.requestBytesMax ?? Infinity;
  const requestName = requestType.fullName.slice(1);
  return {
    path: `/${service}/${name}`,
    originalName: name.charAt(0).toLowerCase() + name.slice(1),
    requestStream: method.requestStream ?? false,
    responseStream: method.responseStream ?? false,
    requestSerialize: request.encode,
    requestDeserialize: (bytes) => {
      if (bytes.length > bytesMax) {
        return new MalformedMessage(requestName, `a message of ${bytes.length} bytes, the limit is ${bytesMax}`);
      }
      try {
        return request.decode(bytes);
      } catch (error) {
        return new MalformedMessage(requestName, error instanceof Error ? error.message : String(error));
      }
    },
    responseSerialize: response.encode,
    responseDeserialize: response.decode,
  };
}

/** Messages as protobufjs makes them: enums as numbers, absent fields as defaults on the prototype. */
function plainCodec<T>(type: protobuf.Type): {
  readonly encode: (message: T) => Buffer;
  readonly decode: (bytes: Buffer) => T;
} {
  return {
    encode: (message) => type.encode(message as protobuf.Message).finish() as Buffer,
    decode: (bytes) => type.decode(bytes) as T,
  };
}

/** Bytes as they are: for a side that encodes or walks a message itself. */
export const rawCodec: Codec<Buffer> = {
  encode: (message) => message,
  decode: (bytes) => bytes as Buffer,
};
