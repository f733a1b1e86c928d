// How values become bytes. A codec of your own is an object with these two functions.

import { CausewayError } from '../errors/errors.ts';

export interface Codec<T> {
  encode(value: T): Uint8Array;
  /** May throw; the read then fails with CORRUPT. */
  decode(bytes: Uint8Array): T;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Values that JSON can hold. */
export function json<T>(): Codec<T> {
  return {
    encode: (value) => {
      const text = JSON.stringify(value) as string | undefined;
      if (text === undefined)
        throw new CausewayError('INVALID_ARGUMENT', `JSON has no form for a value of type ${typeof value}`);
      return Buffer.from(text);
    },
    decode: (bytes) => JSON.parse(decoder.decode(bytes)) as T,
  };
}

export const text: Codec<string> = {
  encode: (value) => Buffer.from(value),
  decode: (bytes) => decoder.decode(bytes),
};

export const bytes: Codec<Uint8Array> = {
  encode: (value) => value,
  decode: (value) => value,
};

/** The codec's decode, with a failure that names the key. */
export function decodeWith<T>(codec: Codec<T>, value: Uint8Array, collection: string, key: string): T {
  try {
    return codec.decode(value);
  } catch (error) {
    throw new CausewayError('CORRUPT', `the value of '${key}' in '${collection}' is not what the codec expects`, {
      cause: error,
      hint: 'read it with the codec that it was written with',
    });
  }
}
