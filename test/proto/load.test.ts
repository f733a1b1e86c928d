import { readdirSync, readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { MalformedMessage, messageType, objectCodec, protoRoot, rawCodec, wireMethod } from '../../src/proto/load.ts';

const FOLDER = new URL('../../proto/causeway/v1/', import.meta.url);

describe('the protocol', () => {
  test('64-bit integers are plain numbers up to 2^53 - 1', () => {
    const type = messageType('causeway.v1.Version');
    const bytes = type.encode({ origin: 'a~000000000000', seq: 1, stamp: Number.MAX_SAFE_INTEGER } as never).finish();
    expect(type.decode(bytes)).toMatchObject({ seq: 1, stamp: Number.MAX_SAFE_INTEGER });
  });

  test('every field and enum value has a comment', () => {
    const missing: string[] = [];
    const visit = (file: string, namespace: protobuf.NamespaceBase): void => {
      for (const object of namespace.nestedArray) {
        if (object instanceof protobuf.Type) {
          for (const field of object.fieldsArray) {
            if (field.comment === null) missing.push(`${file}: ${object.name}.${field.name}`);
          }
        }
        if (object instanceof protobuf.Enum) {
          for (const name of Object.keys(object.values)) {
            if (!object.comments[name]) missing.push(`${file}: ${object.name}.${name}`);
          }
        }
        if (object instanceof protobuf.Namespace) visit(file, object);
      }
    };
    for (const file of readdirSync(FOLDER)) {
      const source = readFileSync(new URL(file, FOLDER), 'utf8');
      // Comments count only with this option, which the types of protobufjs do not know.
      const options = { alternateCommentMode: true } as protobuf.IParseOptions;
      visit(file, protobuf.parse(source, options).root);
    }
    expect(missing).toEqual([]);
  });

  test('no 64-bit integer of a message is signed, so that none decodes to a negative number by surprise', () => {
    const signed: string[] = [];
    const visit = (namespace: protobuf.NamespaceBase): void => {
      for (const object of namespace.nestedArray) {
        if (object instanceof protobuf.Type) {
          for (const { name, type } of object.fieldsArray) {
            if (type === 'int64' || type === 'sfixed64') signed.push(`${object.name}.${name}`);
          }
        }
        if (object instanceof protobuf.Namespace) visit(object);
      }
    };
    visit(protoRoot());
    expect(signed).toEqual([]);
  });
});

describe('wireMethod', () => {
  test('takes path and streams from the .proto file', () => {
    const { path, requestStream, responseStream } = wireMethod('causeway.v1.Data', 'WriteStream');
    expect({ path, requestStream, responseStream }).toEqual({
      path: '/causeway.v1.Data/WriteStream',
      requestStream: true,
      responseStream: true,
    });
    expect(wireMethod('causeway.v1.Data', 'Subscribe')).toMatchObject({ requestStream: false, responseStream: true });
  });

  test('gives malformed bytes as a value', () => {
    const method = wireMethod('causeway.v1.Data', 'Read');
    const request = method.requestDeserialize(Buffer.from([0xff, 0xff, 0xff]));
    expect(request).toBeInstanceOf(MalformedMessage);
    expect(request).toMatchObject({ type: 'causeway.v1.ReadRequest' });
  });

  test('does not decode what is above its bound', () => {
    const method = wireMethod('causeway.v1.Data', 'Write', {
      request: rawCodec,
      response: rawCodec,
      requestBytesMax: 10,
    });
    expect(method.requestDeserialize(Buffer.alloc(10))).toBeInstanceOf(Buffer);
    expect(method.requestDeserialize(Buffer.alloc(11))).toMatchObject({
      reason: expect.stringContaining('11 bytes') as string,
    });
  });

  test('refuses a method that is not there', () => {
    expect(() => wireMethod('causeway.v1.Data', 'Reed')).toThrow(/no method Reed/);
  });
});

test('objectCodec gives what the generated types say: enums by name, defaults filled in', () => {
  const codec = objectCodec<object, object>('causeway.v1.ReadRequest');
  expect(codec.decode(codec.encode({ keys: ['a'], consistency: 'CONSISTENCY_CAUSAL' }))).toEqual({
    namespace: '',
    collection: '',
    keys: ['a'],
    consistency: 'CONSISTENCY_CAUSAL',
    session: null,
    stableStamp: 0,
    allowStale: false,
    deadlineMs: 0,
    maxStaleMs: 0,
  });
});
