// The suite in containers, apart from `npm test`: scripts/containers.mjs prepares what it stands on and runs it.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/containers/**/*.suite.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 300_000,
    allowOnly: false,
    passWithNoTests: false,
    // What comes after a failure would fail of the same, minutes later.
    bail: 1,
  },
});
