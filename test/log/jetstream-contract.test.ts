// The log's contract on a real NATS server.

import { describe } from 'vitest';
import { startNats } from '../../scripts/servers.mjs';
import { runLogContract } from '../contract/log.ts';
import { natsFound, sharedServer } from '../support/servers.ts';
import { jetStreamBench } from './jetstream-support.ts';

if (typeof natsFound === 'string') console.warn(`the contract of the JetStream log is skipped: ${natsFound}`);

describe.skipIf(typeof natsFound === 'string')('on NATS', () => {
  const server = sharedServer(natsFound, () => startNats());
  runLogContract('JetStream', () => Promise.resolve(jetStreamBench(server())));
});
