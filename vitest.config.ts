import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
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
