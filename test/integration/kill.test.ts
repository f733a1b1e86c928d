// kill -9 under load with real processes. `npm run chaos:kill -- --kills 300` is the long version.

import { expect, test } from 'vitest';
import { runKills } from '../../chaos/cluster/kill.ts';

test(
  'I1: ten kills at random moments under load lose nothing that was acknowledged',
  { timeout: 300_000 },
  async () => {
    const seed = Date.now() % 2 ** 32;
    // First, so that it is there when the test is interrupted.
    console.log(`seed ${seed}; again: npm run chaos:kill -- --kills 10 --seed ${seed}`);
    const report = await runKills({ kills: 10, seed, say: () => {} });
    expect(report.findings, `logs and data: ${report.directory}`).toEqual([]);
    expect(report).toMatchObject({ kills: 10, converged: true });
    // A run that wrote nothing would prove nothing.
    expect(report.ops.acknowledged).toBeGreaterThan(1000);
  },
);
