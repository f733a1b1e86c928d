// Nodes of which others told us: not among the client's endpoints, but of a region that is.
// Owns: which of them have been found where they were said to be.
// HAZARD: a node's address is for the other nodes of its region. From here it may lead nowhere, or elsewhere: it counts once the node has said its name there.
// Bound: TOLD_MAX nodes; beyond, one that is new is not gone to. Connected when somebody asks for it, not when it is told of.

import type { GetTopologyResponse__Output } from '../proto/generated/causeway/v1/GetTopologyResponse.ts';
import type { Endpoint } from './endpoint.ts';

const TOLD_MAX = 256;

interface Told {
  readonly region: string;
  readonly node: string;
  readonly address: string;
  /** Made when it is first asked for. */
  endpoint: Endpoint | undefined;
  /** Under way. */
  finding: Promise<Endpoint | undefined> | undefined;
}

export class ToldNodes {
  readonly #connect: (address: string, region: string) => Endpoint;
  readonly #told = new Map<string, Told>();

  /** `connect`: no connection is made before the endpoint is used. */
  constructor(connect: (address: string, region: string) => Endpoint) {
    this.#connect = connect;
  }

  note({ region, nodes }: Pick<GetTopologyResponse__Output, 'region' | 'nodes'>): void {
    for (const { name, address } of nodes) this.#note(region, name, address);
  }

  #note(region: string, node: string, address: string): Told | undefined {
    const known = this.#told.get(address);
    if (known?.region === region && known.node === node) return known;
    if (!isAddress(address) || (known === undefined && this.#told.size >= TOLD_MAX)) return undefined;
    const told = { region, node, address, endpoint: known?.endpoint, finding: undefined };
    this.#told.set(address, told);
    return told;
  }

  /** The node at its address, when it says its name there within `timeoutMs`. */
  find(region: string, node: string, address: string, endMs: number): Promise<Endpoint | undefined> {
    const told = this.#note(region, node, address);
    return told === undefined ? Promise.resolve(undefined) : this.#find(told, endMs);
  }

  #find(told: Told, endMs: number): Promise<Endpoint | undefined> {
    const { region, node } = told;
    const endpoint = (told.endpoint ??= this.#connect(told.address, region));
    const isIt = (): Endpoint | undefined => (isNode(endpoint, region, node) ? endpoint : undefined);
    if (isIt() !== undefined) return Promise.resolve(endpoint);
    told.finding ??= endpoint
      .topology('', { endMs })
      .then(isIt, () => undefined)
      .finally(() => {
        told.finding = undefined;
      });
    return told.finding;
  }

  /** Looks for those of a region that have not been found yet; `found` is called for each that is. */
  findAll(region: string, endMs: number, found: () => void): void {
    for (const told of this.#told.values()) {
      if (told.region !== region || this.#isFound(told)) continue;
      void this.#find(told, endMs).then((endpoint) => {
        if (endpoint !== undefined) found();
      });
    }
  }

  #isFound({ endpoint, region, node }: Told): boolean {
    return endpoint !== undefined && isNode(endpoint, region, node);
  }

  /** Found, of this region. */
  *of(region: string): Iterable<Endpoint> {
    for (const told of this.#told.values()) if (told.region === region && this.#isFound(told)) yield told.endpoint!;
  }

  close(): void {
    for (const { endpoint } of this.#told.values()) endpoint?.close();
  }
}

export function isNode(endpoint: Endpoint, region: string, node: string): boolean {
  return endpoint.node === node && endpoint.region === region;
}

export function isAddress(text: string): boolean {
  return /^.+:[0-9]{1,5}$/.test(text);
}
