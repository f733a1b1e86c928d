// gRPC server reflection, v1 and v1alpha: what grpcurl, buf curl, Postman and their like ask before they call anything.
// Answers from the committed descriptor set, about the services of this listener. Health and reflection itself are not described:
// every tool brings them along.
// Ours rather than @grpc/reflection, whose answers `buf curl` does not take.
// Reference: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md

import type { ServerDuplexStream, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { CausewayError, GRPC_STATUS, toCausewayError } from '../errors/errors.ts';
import { descriptors, type DescriptorFile } from '../proto/descriptors.ts';
import { authorize, draining, type ServiceEnv } from './env.ts';
import { toStatus } from './status.ts';

/** Of one request: a name. */
const REQUEST_BYTES_MAX = 4096;

/** The same messages in both versions. */
const { nested } = protobuf.Root.fromJSON({
  nested: {
    ExtensionRequest: {
      fields: { containingType: { id: 1, type: 'string' }, extensionNumber: { id: 2, type: 'int32' } },
    },
    Request: {
      oneofs: {
        message: {
          oneof: [
            'fileByFilename',
            'fileContainingSymbol',
            'fileContainingExtension',
            'extensionNumbers',
            'listServices',
          ],
        },
      },
      fields: {
        host: { id: 1, type: 'string' },
        fileByFilename: { id: 3, type: 'string' },
        fileContainingSymbol: { id: 4, type: 'string' },
        fileContainingExtension: { id: 5, type: 'ExtensionRequest' },
        extensionNumbers: { id: 6, type: 'string' },
        listServices: { id: 7, type: 'string' },
      },
    },
    Files: { fields: { fileDescriptorProto: { id: 1, rule: 'repeated', type: 'bytes' } } },
    ExtensionNumbers: {
      fields: { baseTypeName: { id: 1, type: 'string' }, extensionNumber: { id: 2, rule: 'repeated', type: 'int32' } },
    },
    Service: { fields: { name: { id: 1, type: 'string' } } },
    Services: { fields: { service: { id: 1, rule: 'repeated', type: 'Service' } } },
    ErrorResponse: { fields: { errorCode: { id: 1, type: 'int32' }, errorMessage: { id: 2, type: 'string' } } },
    Response: {
      fields: {
        validHost: { id: 1, type: 'string' },
        originalRequest: { id: 2, type: 'Request' },
        files: { id: 4, type: 'Files' },
        extensionNumbers: { id: 5, type: 'ExtensionNumbers' },
        services: { id: 6, type: 'Services' },
        error: { id: 7, type: 'ErrorResponse' },
      },
    },
  },
} as protobuf.INamespace);
const requestType = nested!['Request'] as protobuf.Type;
const responseType = nested!['Response'] as protobuf.Type;

interface Request {
  readonly host: string;
  readonly message?:
    'fileByFilename' | 'fileContainingSymbol' | 'fileContainingExtension' | 'extensionNumbers' | 'listServices';
  readonly fileByFilename?: string;
  readonly fileContainingSymbol?: string;
  readonly fileContainingExtension?: { readonly containingType: string };
  readonly extensionNumbers?: string;
}

type Call = ServerDuplexStream<Buffer, Buffer>;

const same = (bytes: Buffer): Buffer => bytes;

/** One per version of the protocol. `services`: full names of those of the listener. */
export function reflectionServices(
  env: ServiceEnv,
  services: readonly string[],
): { definition: ServiceDefinition; implementation: UntypedServiceImplementation }[] {
  return ['grpc.reflection.v1', 'grpc.reflection.v1alpha'].map((version) => ({
    definition: {
      ServerReflectionInfo: {
        path: `/${version}.ServerReflection/ServerReflectionInfo`,
        requestStream: true,
        responseStream: true,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    },
    implementation: { ServerReflectionInfo: (call: Call) => converse(env, services, call) },
  }));
}

function converse(env: ServiceEnv, services: readonly string[], call: Call): void {
  const stream = { drain: () => end(draining()) };
  const end = (error: CausewayError): void => {
    env.load.remove(stream);
    call.emit('error', toStatus(error));
  };
  const over = (): void => env.load.remove(stream);
  try {
    authorize(env, call, 'topology', undefined);
  } catch (error) {
    end(toCausewayError(error));
    return;
  }
  call.on('data', (bytes: Buffer) => {
    let request: Request;
    try {
      if (bytes.length > REQUEST_BYTES_MAX)
        throw new Error(`it has ${bytes.length} bytes, the limit is ${REQUEST_BYTES_MAX}`);
      request = requestType.toObject(requestType.decode(bytes), { oneofs: true, defaults: false }) as Request;
    } catch (error) {
      end(new CausewayError('INVALID_ARGUMENT', `this is no ServerReflectionRequest: ${(error as Error).message}`));
      return;
    }
    const response = { validHost: request.host ?? '', originalRequest: request, ...answer(services, request) };
    // A peer that asks without reading its answers is not asked to go on.
    const more = call.write(responseType.encode(responseType.fromObject(response)).finish() as Buffer);
    if (!more) {
      call.pause();
      call.once('drain', () => call.resume());
    }
  });
  call.on('end', () => {
    over();
    call.end();
  });
  call.on('cancelled', over);
  call.on('close', over);
  env.load.add(stream);
}

function answer(services: readonly string[], request: Request): object {
  const all = descriptors();
  switch (request.message) {
    case 'listServices':
      return {
        services: { service: all.services.filter((name) => services.includes(name)).map((name) => ({ name })) },
      };
    case 'fileByFilename':
      return files(all.fileByName(request.fileByFilename ?? ''), `file '${request.fileByFilename}'`);
    case 'fileContainingSymbol':
      return files(all.fileBySymbol(request.fileContainingSymbol ?? ''), `symbol '${request.fileContainingSymbol}'`);
    case 'extensionNumbers': {
      // The protocol is proto3: nothing in it can be extended.
      const baseTypeName = request.extensionNumbers ?? '';
      return all.fileBySymbol(baseTypeName) === undefined
        ? notFound(`type '${baseTypeName}'`)
        : { extensionNumbers: { baseTypeName, extensionNumber: [] } };
    }
    case 'fileContainingExtension':
      return notFound(`extension of '${request.fileContainingExtension?.containingType}'`);
    default:
      return { error: { errorCode: GRPC_STATUS.INVALID_ARGUMENT, errorMessage: 'the request asks for nothing' } };
  }
}

function files(file: DescriptorFile | undefined, what: string): object {
  if (file === undefined) return notFound(what);
  return {
    files: {
      fileDescriptorProto: descriptors()
        .withImports(file)
        .map(({ bytes }) => bytes),
    },
  };
}

function notFound(what: string): object {
  return { error: { errorCode: GRPC_STATUS.NOT_FOUND, errorMessage: `this node has no ${what}` } };
}
