// npm run test:containers: the suite in containers. Asks for an engine first, builds the image from this checkout, then runs test/containers.
// Exits 4 with the reason where no engine is to be had.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { containerEngine, docker, images } from '../deploy/containers/engine.mjs';

const EXIT_UNAVAILABLE = 4;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const IMAGE = 'causeway-test/causeway';

/** @param {string} line */
const say = (line) => void process.stderr.write(`containers: ${line}\n`);

const engine = await containerEngine();
if (typeof engine === 'string') {
  say(`the suite did not run: ${engine}`);
  process.exit(EXIT_UNAVAILABLE);
}
say(
  `an engine ${engine.own ? 'of our own, from Debian' : 'that runs here'}, version ${docker(engine, ['version', '--format', '{{.Server.Version}}'])}`,
);
try {
  const under = images(engine, say);
  say(`building the image on ${under.base}`);
  const network = engine.own ? ['--network', 'host'] : [];
  docker(
    engine,
    ['build', ...network, '--build-arg', `BASE=${under.base}`, '--file', 'deploy/Dockerfile', '--tag', IMAGE, '.'],
    { cwd: root },
  );
  process.exitCode = await suite(under);
} finally {
  await engine.stop();
}

/**
 * @param {{ nats: string, redis: string }} under
 * @returns {Promise<number>}
 */
function suite({ nats, redis }) {
  const { host, path } = /** @type {import('../deploy/containers/engine.mjs').Engine} */ (engine);
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'vitest.containers.config.ts'];
  const child = spawn(process.execPath, [...args, ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: path,
      DOCKER_HOST: host,
      // Its reaper is an image that is fetched; the suite ends what it starts.
      TESTCONTAINERS_RYUK_DISABLED: 'true',
      TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1',
      CAUSEWAY_TEST_IMAGE: IMAGE,
      CAUSEWAY_TEST_NATS_IMAGE: nats,
      CAUSEWAY_TEST_REDIS_IMAGE: redis,
    },
  });
  // Ctrl-C reaches the suite by itself; we wait for it and end the engine.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});
  return new Promise((resolve) => void child.on('close', (code) => resolve(code ?? 1)));
}
