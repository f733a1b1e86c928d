// The descriptor set of the API, as committed (proto/descriptors.binpb, made by scripts/contract.mjs), for those who ask a node
// what it speaks. Files are handed out byte for byte as the compiler wrote them; decoded here only to know what is in them.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { packageRoot } from './load.ts';

export interface DescriptorFile {
  readonly name: string;
  readonly dependencies: readonly string[];
  /** A serialized google.protobuf.FileDescriptorProto. */
  readonly bytes: Uint8Array;
}

export interface Descriptors {
  /** Full names, e.g. `causeway.v1.Data`. */
  readonly services: readonly string[];
  fileByName(name: string): DescriptorFile | undefined;
  /** Of a service, method, message or enum, by its full name without a leading dot. */
  fileBySymbol(symbol: string): DescriptorFile | undefined;
  /** The file and all that it imports, itself first, each once. */
  withImports(file: DescriptorFile): DescriptorFile[];
}

interface Named {
  readonly name: string;
}

interface MessageDescriptor extends Named {
  readonly nestedType: readonly MessageDescriptor[];
  readonly enumType: readonly Named[];
}

interface FileDescriptor extends Named {
  readonly package: string;
  readonly dependency: readonly string[];
  readonly messageType: readonly MessageDescriptor[];
  readonly enumType: readonly Named[];
  readonly service: readonly (Named & { readonly method: readonly Named[] })[];
}

let loaded: Descriptors | undefined;

/** Read at the first call. */
export function descriptors(): Descriptors {
  loaded ??= read(readFileSync(join(packageRoot(), 'proto', 'descriptors.binpb')));
  return loaded;
}

function read(set: Uint8Array): Descriptors {
  const json = createRequire(import.meta.url)('protobufjs/google/protobuf/descriptor.json') as protobuf.INamespace;
  const fileType = protobuf.Root.fromJSON(json).lookupType('google.protobuf.FileDescriptorProto');
  const files = new Map<string, DescriptorFile>();
  const symbols = new Map<string, DescriptorFile>();
  const services: string[] = [];

  const reader = protobuf.Reader.create(set);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    // FileDescriptorSet.file; it has no other field.
    if (tag >>> 3 !== 1) {
      reader.skipType(tag & 7);
      continue;
    }
    const bytes = reader.bytes();
    const decoded = fileType.toObject(fileType.decode(bytes), { defaults: true, arrays: true }) as FileDescriptor;
    const file: DescriptorFile = { name: decoded.name, dependencies: decoded.dependency, bytes };
    files.set(file.name, file);
    const scope = decoded.package === '' ? '' : `${decoded.package}.`;
    const addMessage = (within: string, message: MessageDescriptor): void => {
      const name = within + message.name;
      symbols.set(name, file);
      for (const nested of message.nestedType) addMessage(`${name}.`, nested);
      for (const nested of message.enumType) symbols.set(`${name}.${nested.name}`, file);
    };
    for (const message of decoded.messageType) addMessage(scope, message);
    for (const { name } of decoded.enumType) symbols.set(scope + name, file);
    for (const { name, method } of decoded.service) {
      services.push(scope + name);
      symbols.set(scope + name, file);
      for (const each of method) symbols.set(`${scope}${name}.${each.name}`, file);
    }
  }

  return {
    services: services.toSorted(),
    fileByName: (name) => files.get(name),
    fileBySymbol: (symbol) => symbols.get(symbol),
    withImports: (file) => {
      const found = new Set([file]);
      for (const each of found) {
        for (const name of each.dependencies) {
          const imported = files.get(name);
          if (imported !== undefined) found.add(imported);
        }
      }
      return [...found];
    },
  };
}
