// Asks every region now and then how it is: for the plots, and for whoever reads the history of a finding.

import { adminClient, type AdminClient, type NodeStatus } from '../../src/client/index.ts';
import { rest, type Desk, type Worker } from './desk.ts';

const EVERY_MS = 500;
const ASK_MS_MAX = 450;

export class Sampler implements Worker {
  readonly #desk: Desk;
  readonly #region: string;
  readonly #admin: AdminClient;

  constructor(desk: Desk, region: string) {
    this.#desk = desk;
    this.#region = region;
    const { address } = desk.stage.region(region);
    this.#admin = adminClient(address, { deadlineMs: ASK_MS_MAX, connectTimeoutMs: ASK_MS_MAX });
  }

  async run(stop: AbortSignal): Promise<void> {
    const { recorder } = this.#desk;
    while (!stop.aborted) {
      let status: NodeStatus | undefined;
      try {
        status = await this.#admin.status();
      } catch {
        // That it does not answer is what is written down.
      }
      const lagMs: Record<string, number> = {};
      for (const peer of status?.peers ?? []) if (peer.lagMs !== undefined) lagMs[peer.region] = Math.round(peer.lagMs);
      recorder.add({
        kind: 'sample',
        region: this.#region,
        atMs: recorder.nowMs(),
        state: status?.state ?? 'down',
        lagMs,
        alarms: status?.alarms.map(({ code }) => code) ?? [],
      });
      await rest(EVERY_MS, stop);
    }
  }

  close(): void {
    this.#admin.close();
  }
}
