// The other regions' nodes, asked over HTTP on behalf of a page. A browser then has to reach one node and one only: no second origin, no CORS, and one
// certificate or token; and whoever is let in at the door of this node sees what this node may see.
//
// Only addresses of the configuration are asked, only for paths of the page's own interface, and never with what a browser sent but its query.
//
// I12 one question a region at a time for its figures, whatever the number of pages; every question has a deadline, every answer a bound.

import { Agent, request as plainRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { parseAddress } from '../../../config/address.ts';
import { CausewayError } from '../../../errors/errors.ts';
import type { System } from '../../../system/system.ts';
import type { NodeMessage, PlaceMessage } from './messages.ts';

/** Figures are asked for when somebody wants them and these are older. */
const FRESH_MS = 700;
const FIGURES_MS_MAX = 2500;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const CONNECTIONS_MAX = 8;

export interface Place extends PlaceMessage {
  /** Its HTTP listeners, `host:port`; the first that answers is kept to. */
  readonly http: readonly string[];
}

export interface NeighbourTls {
  /** As it is now: files are read again when they change. */
  readonly context: () => SecureContextOptions;
  /** The name that certificates there must have, when it is not the host's. */
  readonly serverNameAt: (region: string) => string | undefined;
}

export interface NeighboursOptions {
  readonly places: readonly Place[];
  readonly system: System;
  /** Without TLS when absent. */
  readonly tls?: NeighbourTls | undefined;
  /** When a region stops answering, or answers again. */
  readonly onChange: (region: string, problem: string) => void;
}

export interface NeighbourAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** What is known of a region from itself. */
export interface Known {
  node: NodeMessage | null;
  /** By the monotonic clock. */
  atMs: number;
  problem: string;
  askedAtMs: number;
  asking: Promise<void> | undefined;
}

export class Neighbours {
  readonly #options: NeighboursOptions;
  readonly #agent: Agent;
  readonly #known = new Map<string, Known>();

  constructor(options: NeighboursOptions) {
    const sockets = { keepAlive: true, maxSockets: CONNECTIONS_MAX, maxFreeSockets: 2 };
    this.#options = options;
    this.#agent = options.tls === undefined ? new Agent(sockets) : new SecureAgent(sockets);
  }

  stop(): void {
    this.#agent.destroy();
  }

  /** Its figures as last told; asks for newer ones when these are old. Never rejects. */
  figures(place: Place): { readonly known: Readonly<Known>; readonly newer: Promise<void> } {
    const known = this.#of(place.name);
    const nowMs = this.#options.system.clock.monotonicMs();
    if (known.asking === undefined && nowMs - known.askedAtMs >= FRESH_MS) {
      known.askedAtMs = nowMs;
      known.asking = this.#learn(place, known).finally(() => (known.asking = undefined));
    }
    return { known, newer: known.asking ?? Promise.resolve() };
  }

  #of(region: string): Known {
    let known = this.#known.get(region);
    if (known === undefined) {
      known = { node: null, atMs: 0, problem: '', askedAtMs: -Infinity, asking: undefined };
      this.#known.set(region, known);
    }
    return known;
  }

  async #learn(place: Place, known: Known): Promise<void> {
    const { system, onChange } = this.#options;
    const { problem: before } = known;
    try {
      const { status, body } = await this.ask(place, '/ui/api/node', FIGURES_MS_MAX);
      if (status !== 200) throw new Error(`it answered ${status}`);
      const node = JSON.parse(body.toString()) as NodeMessage;
      if (node.region !== place.name) throw new Error(`the node there is of ${String(node.region).slice(0, 40)}`);
      known.node = node;
      known.atMs = system.clock.monotonicMs();
      known.problem = '';
    } catch (error) {
      known.problem = (error as Error).message.replace(`${place.name} does not answer: `, '');
    }
    if ((before === '') !== (known.problem === '')) onChange(place.name, known.problem);
  }

  /** Rejects with CausewayError UNAVAILABLE when no address answers in time. */
  async ask(place: Place, path: string, deadlineMs: number): Promise<NeighbourAnswer> {
    const { clock } = this.#options.system;
    const endMs = clock.monotonicMs() + deadlineMs;
    const failures: string[] = [];
    for (const address of place.http) {
      const leftMs = endMs - clock.monotonicMs();
      if (leftMs <= 0) break;
      try {
        return await this.#askAt(place.name, address, path, leftMs);
      } catch (error) {
        failures.push(`${address}: ${(error as Error).message}`);
      }
    }
    if (failures.length > 0) {
      throw new CausewayError('UNAVAILABLE', `${place.name} does not answer: ${failures.join('; ')}`);
    }
    throw new CausewayError('UNAVAILABLE', `no HTTP address of ${place.name} is configured`, {
      hint: 'regions[].http says where the HTTP listeners of a region are',
    });
  }

  #askAt(region: string, address: string, path: string, deadlineMs: number): Promise<NeighbourAnswer> {
    const { tls, system } = this.#options;
    const { host, port } = parseAddress(address)!;
    return new Promise((resolve, reject) => {
      const options = { host, port, path, agent: this.#agent, headers: { Accept: 'application/json' } };
      let request: ClientRequest;
      if (tls === undefined) request = plainRequest(options);
      else {
        const servername = tls.serverNameAt(region);
        const named = servername === undefined ? {} : { servername };
        request = secureRequest({ ...options, ...tls.context(), ...named });
      }
      const late = system.timers.after(deadlineMs, () =>
        request.destroy(new Error(`no answer within ${Math.round(deadlineMs)} ms`)),
      );
      const fail = (error: Error): void => {
        late.cancel();
        reject(error);
      };
      request.on('error', fail);
      request.on('response', (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > ANSWER_BYTES_MAX)
            request.destroy(new Error(`its answer has more than ${ANSWER_BYTES_MAX} bytes`));
          else chunks.push(chunk);
        });
        response.on('error', fail);
        response.on('end', () => {
          late.cancel();
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) });
        });
      });
      request.end();
    });
  }
}
