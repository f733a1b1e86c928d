// grpc.health.v1: the whole node ('') and each service. SERVING says that reads and writes are taken here; a peer that is
// lost changes nothing about that.

import type { Server } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

export class Health {
  readonly #services: readonly string[];
  readonly #implementation: HealthImplementation;

  constructor(services: readonly string[]) {
    this.#services = ['', ...services];
    this.#implementation = new HealthImplementation(
      Object.fromEntries(this.#services.map((service) => [service, 'NOT_SERVING' as const])),
    );
  }

  addTo(server: Server): void {
    this.#implementation.addToServer(server);
  }

  set(serving: boolean): void {
    for (const service of this.#services) this.#implementation.setStatus(service, serving ? 'SERVING' : 'NOT_SERVING');
  }
}
