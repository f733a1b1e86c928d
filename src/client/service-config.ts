// What gRPC itself may try again for a client, and how: the service config of gRPC (gRFC A6), by method.
// Only calls that change nothing. A write is tried again by calls.ts and producer.ts, which know what became of it, in which region,
// and under which idempotency key; so the channels that carry writes have gRPC's retries off, which would keep copies of what streams
// carry. calls.ts keeps to the same policy for what only reads over them, before it goes to another endpoint.
// docs/examples/service-config.json is the same for clients in other languages; a test holds the two together.

export const READ_RETRIES = { attemptsMax: 3, backoffMsMin: 50, backoffMsMax: 500, multiplier: 2 };

const RETRY_POLICY = {
  maxAttempts: READ_RETRIES.attemptsMax,
  initialBackoff: `${READ_RETRIES.backoffMsMin / 1000}s`,
  maxBackoff: `${READ_RETRIES.backoffMsMax / 1000}s`,
  backoffMultiplier: READ_RETRIES.multiplier,
  // A node that sheds load says when to come again, and one that will not do it next time either says that (pushback).
  retryableStatusCodes: ['UNAVAILABLE'],
};

export const SERVICE_CONFIG = {
  methodConfig: [
    {
      name: [
        { service: 'causeway.v1.Data', method: 'Read' },
        { service: 'causeway.v1.Data', method: 'Scan' },
        { service: 'causeway.v1.Data', method: 'GetTopology' },
        // By name: RestoreConflict writes.
        { service: 'causeway.v1.Admin', method: 'Ping' },
        { service: 'causeway.v1.Admin', method: 'Status' },
        { service: 'causeway.v1.Admin', method: 'Digests' },
        { service: 'causeway.v1.Admin', method: 'Conflicts' },
        { service: 'causeway.v1.Admin', method: 'ListConflicts' },
        { service: 'causeway.v1.Admin', method: 'GetConflict' },
        { service: 'causeway.v1.Admin', method: 'WatchConflicts' },
      ],
      retryPolicy: RETRY_POLICY,
    },
  ],
  // Of a channel: when about half of its calls fail, nothing is tried again until it gets better.
  retryThrottling: { maxTokens: 10, tokenRatio: 0.1 },
};
