// Reflection on a real listener: a client that knows nothing but the address learns the whole protocol and uses it.

import { describe, expect, test } from 'vitest';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { bidi, failure, raw, serve, unary } from '../support/api.ts';

/** Written by hand from the public definition of grpc.reflection.v1, so that a wrong field number of ours cannot hide. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message ServerReflectionRequest {
    string host = 1;
    oneof message_request {
      string file_by_filename = 3;
      string file_containing_symbol = 4;
      ExtensionRequest file_containing_extension = 5;
      string all_extension_numbers_of_type = 6;
      string list_services = 7;
    }
  }
  message ExtensionRequest { string containing_type = 1; int32 extension_number = 2; }
  message ServerReflectionResponse {
    string valid_host = 1;
    ServerReflectionRequest original_request = 2;
    oneof message_response {
      FileDescriptorResponse file_descriptor_response = 4;
      ExtensionNumberResponse all_extension_numbers_response = 5;
      ListServiceResponse list_services_response = 6;
      ErrorResponse error_response = 7;
    }
  }
  message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
  message ExtensionNumberResponse { string base_type_name = 1; repeated int32 extension_number = 2; }
  message ListServiceResponse { repeated ServiceResponse service = 1; }
  message ServiceResponse { string name = 1; }
  message ErrorResponse { int32 error_code = 1; string error_message = 2; }
`);
const Request = root.lookupType('ServerReflectionRequest');
const Response = root.lookupType('ServerReflectionResponse');

interface Answer {
  readonly originalRequest: object;
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: Uint8Array[] };
  readonly allExtensionNumbersResponse?: object;
  readonly listServicesResponse?: { readonly service: { readonly name: string }[] };
  readonly errorResponse?: { readonly errorCode: number; readonly errorMessage: string };
}

/** One stream, its answers in order. */
async function ask(address: string, version: string, requests: object[]): Promise<Answer[]> {
  const call = bidi(raw(address), `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);
  for (const request of requests) call.write(Request.encode(Request.fromObject(request)).finish() as Buffer);
  call.end();
  const answers: Answer[] = [];
  for await (const bytes of call) answers.push(Response.toObject(Response.decode(bytes as Buffer)) as Answer);
  return answers;
}

describe.each(['v1', 'v1alpha'])('reflection %s', (version) => {
  test('lists what this listener serves, and not what regions say to each other', async () => {
    const { address } = await serve();
    const [answer] = await ask(address, version, [{ listServices: '' }]);
    expect(answer!.listServicesResponse!.service.map(({ name }) => name)).toEqual([
      'causeway.v1.Admin',
      'causeway.v1.Data',
    ]);
    expect(answer!.originalRequest).toEqual({ listServices: '' });
  });

  test('hands out files with all that they import, by name and by symbol', async () => {
    const { address } = await serve();
    const answers = await ask(address, version, [
      { fileContainingSymbol: 'causeway.v1.Data' },
      { fileContainingSymbol: 'causeway.v1.Data.Write' },
      { fileContainingSymbol: 'causeway.v1.WriteOp' },
      { fileByFilename: 'causeway/v1/data.proto' },
    ]);
    const sets = answers.map(({ fileDescriptorResponse }) => fileDescriptorResponse!.fileDescriptorProto);
    for (const set of sets) {
      const names = set.map(
        (bytes) => (descriptor.FileDescriptorProto.decode(bytes) as unknown as { name: string }).name,
      );
      expect(names).toEqual(['causeway/v1/data.proto', 'causeway/v1/record.proto']);
    }

    // Enough to write with, for a client that has read nothing else.
    const file = sets[0]!.map((bytes) => descriptor.FileDescriptorProto.decode(bytes));
    const learnt = (protobuf.Root as unknown as FromDescriptor).fromDescriptor({ file });
    const [WriteRequest, WriteResponse] = ['WriteRequest', 'WriteResponse'].map((name) =>
      learnt.lookupType(`causeway.v1.${name}`),
    ) as [protobuf.Type, protobuf.Type];
    const ops = [{ collection: 0, key: 'anna', put: Buffer.from('1') }];
    const request = { namespace: 'app', collections: ['profiles'], ops, want_versions: true };
    const bytes = WriteRequest.encode(WriteRequest.fromObject(request)).finish() as Buffer;
    const answered = WriteResponse.decode(await unary(raw(address), '/causeway.v1.Data/Write', bytes));
    expect(WriteResponse.toObject(answered, { defaults: true })).toMatchObject({
      failed: [],
      op_seq: [expect.any(Number)],
    });
  });

  test('says what it does not have', async () => {
    const { address } = await serve();
    const answers = await ask(address, version, [
      { fileContainingSymbol: 'causeway.v1.Nothing' },
      { fileByFilename: 'nothing.proto' },
      { fileContainingExtension: { containingType: 'causeway.v1.WriteOp', extensionNumber: 100 } },
      { allExtensionNumbersOfType: 'causeway.v1.WriteOp' },
      { allExtensionNumbersOfType: 'Nothing' },
      {},
    ]);
    expect(answers.map(({ errorResponse }) => errorResponse?.errorCode)).toEqual([5, 5, 5, undefined, 5, 3]);
    expect(answers[0]!.errorResponse!.errorMessage).toBe("this node has no symbol 'causeway.v1.Nothing'");
    expect(answers[3]!.allExtensionNumbersResponse).toEqual({ baseTypeName: 'causeway.v1.WriteOp' });
  });
});

interface FromDescriptor {
  fromDescriptor(set: object): protobuf.Root;
}

test('a request that is none ends the stream with what is wrong', async () => {
  const { address } = await serve();
  const call = bidi(raw(address), '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo');
  call.write(Buffer.alloc(5000));
  const error = await failure(
    (async () => {
      for await (const _ of call);
    })(),
    'INVALID_ARGUMENT',
  );
  expect(error.message).toContain('5000 bytes, the limit is 4096');
});
