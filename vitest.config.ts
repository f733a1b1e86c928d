import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { defineConfig } from 'vitest/config';

/** See test/support/property-seed.ts. */
function propertySeed(): number {
  const asked = process.env['PROPERTY_SEED'];
  if (asked === 'random') return randomInt(1_000_000_000);
  if (asked !== undefined) {
    if (!/^\d{1,9}$/u.test(asked))
      throw new Error(`PROPERTY_SEED is '${asked}'; expected 'random' or a number up to 999999999`);
    return Number.parseInt(asked, 10);
  }
  try {
    const tree = execFileSync('git', ['rev-parse', 'HEAD^{tree}'], { cwd: import.meta.dirname, stdio: 'pipe' });
    return Number.parseInt(tree.toString().slice(0, 7), 16);
  } catch {
    // Not a checkout: a source archive.
    return 1;
  }
}

const seed = propertySeed();
console.log(`properties draw from seed ${seed} (PROPERTY_SEED)`);

export default defineConfig({
  test: {
    environment: 'node',
    setupFiles: ['test/support/property-seed.ts'],
    provide: { propertySeed: seed },
    // dist/ is never collected: compiled tests would run beside their sources.
    include: ['test/**/*.test.ts', 'chaos/**/*.test.ts'],
    // Processes and not threads: a test that crashes, changes directory or leaks a handle cannot touch its neighbours.
    pool: 'forks',
    // Two even on more cores: several tests start whole regions as processes of their own.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    reporters: ['default'],
    // A stray `only` would make a green run mean nothing.
    allowOnly: false,
    passWithNoTests: false,
  },
});
