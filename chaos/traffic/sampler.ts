// Asks every region now and then how it is: for the plots, and for whoever reads the history of a finding. Of several nodes each is asked, and what is
// worst counts.

import { adminClient, type AdminClient, type NodeStatus } from '../../src/client/index.ts';
import { rest, type Desk, type Worker } from './desk.ts';

const EVERY_MS = 500;
const ASK_MS_MAX = 450;

export class Sampler implements Worker {
  readonly #desk: Desk;
  readonly #region: string;
  readonly #admins: readonly AdminClient[];

  constructor(desk: Desk, region: string) {
    this.#desk = desk;
    this.#region = region;
    const { addresses } = desk.stage.region(region);
    this.#admins = addresses.map((address) =>
      adminClient(address, { deadlineMs: ASK_MS_MAX, connectTimeoutMs: ASK_MS_MAX }),
    );
  }

  async run(stop: AbortSignal): Promise<void> {
    const { recorder } = this.#desk;
    while (!stop.aborted) {
      // That one does not answer is what is written down.
      const asked = await Promise.all(this.#admins.map((admin) => admin.status().catch(() => undefined)));
      const statuses = asked.filter((status) => status !== undefined);
      const lagMs: Record<string, number> = {};
      for (const { region, lagMs: told } of statuses.flatMap(({ peers }) => peers))
        if (told !== undefined) lagMs[region] = Math.max(Math.round(told), lagMs[region] ?? 0);
      recorder.add({
        kind: 'sample',
        region: this.#region,
        atMs: recorder.nowMs(),
        state: stateOf(statuses, asked.length),
        lagMs,
        alarms: [...new Set(statuses.flatMap(({ alarms }) => alarms.map(({ code }) => code)))],
      });
      await rest(EVERY_MS, stop);
    }
  }

  close(): void {
    for (const admin of this.#admins) admin.close();
  }
}

function stateOf(statuses: readonly NodeStatus[], nodes: number): string {
  if (statuses.length === 0) return 'down';
  const strange = statuses.find(({ state }) => state !== 'ready');
  return strange?.state ?? (statuses.length < nodes ? 'ready, a node down' : 'ready');
}
