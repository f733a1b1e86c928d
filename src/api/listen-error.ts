// Why a listener could not have its address, for people.

import { CausewayError } from '../errors/errors.ts';

export function listenError(listen: string, error: Error): CausewayError {
  const occupied = /EADDRINUSE/.test(error.message);
  const forbidden = /EACCES/.test(error.message);
  return new CausewayError('CONFIG_INVALID', `cannot listen on ${listen}: ${error.message}`, {
    cause: error,
    hint: occupied
      ? 'another process has this port: stop it, or choose another port'
      : forbidden
        ? 'ports below 1024 need a privilege: choose another port'
        : 'the address has the form host:port, and the host is one of this machine',
  });
}
