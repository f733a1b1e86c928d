// How much a client may have on its way to a node before the node has taken it: HTTP/2's flow control windows.
// With HTTP/2's own 64 KiB a producer 100 ms away gets 0.36 MB/s through, whatever the wire can carry. The gRPC library
// has an option for it that its client heeds and its server (1.14.7) does not, and hands out neither its HTTP/2 servers nor their sessions.

import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

interface Maker {
  createHttp2Server?: (...args: unknown[]) => Http2Server;
}

/**
 * From now on each connection, and each stream of it, may have `bytes` on its way that are not read. To be called before the server
 * binds. What a client sends beyond what handlers read is held in memory: at most so much a connection.
 */
export function widenWindows(server: Server, bytes: number): void {
  const maker = server as unknown as Maker;
  const create = maker.createHttp2Server;
  // A later version may call it otherwise; uploads over a long wire are slow then, and a test says so.
  if (create === undefined) return;
  maker.createHttp2Server = (...args) => {
    const made = create.apply(server, args);
    made.on('session', (session: ServerHttp2Session) => {
      session.settings({ initialWindowSize: bytes });
      session.setLocalWindowSize(bytes);
    });
    return made;
  };
}
