// NATS and Redis for tests and the demo: real servers, the system's own where they are new enough, else Debian's packages unpacked into .cache.
// A server listens on loopback, on a port that it was given and that was free just before, with its data in a folder of its own that goes when it
// is stopped, unless somebody has named the folder. It is ended by its pid, at the latest when the process that started it exits.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { unpacked } from './debian-packages.mjs';

const NATS_MIN = [2, 10];
const REDIS_MIN = [6, 2];
/** The first release of Debian whose NATS is new enough; its packages run on older ones, the program is linked statically. */
const NATS_SUITE = 'trixie';
const REDIS_PACKAGES = [
  'redis-server',
  'redis-tools',
  'libjemalloc2',
  'liblua5.1-0',
  'liblzf1',
  'lua-bitop',
  'lua-cjson',
];
const START_MS_MAX = 20_000;
const STOP_MS_MAX = 10_000;
const LOOPBACK = '127.0.0.1';

/**
 * A program, and what its environment needs.
 * @typedef {{ path: string, version: string, env: Record<string, string> }} Program
 */

/**
 * Where a server is to be. Default: a temporary folder that goes when it is stopped, and ports that are free now; whoever means to restart one
 * later has ports that nobody takes meanwhile.
 * @typedef {{ folder?: string, ports?: readonly number[] }} Place
 */

/**
 * A started server.
 * @typedef {object} Server
 * @property {string} host
 * @property {number} port
 * @property {number} pid
 * @property {string} directory what it keeps, its configuration and its output
 * @property {() => string} output what it has said so far
 * @property {() => Promise<void>} kill as a crash: at once, the data stays
 * @property {() => Promise<void>} pause it stands still from then on; connections stay open
 * @property {() => void} resume
 * @property {() => Promise<void>} restart again on its port and its data, after kill()
 * @property {() => Promise<void>} stop ends it and removes its data, unless they are in a folder that was named
 */

/**
 * nats-server ≥ 2.10; a sentence when there is none to be had here. CAUSEWAY_NATS_SERVER names another one.
 * @returns {Program | string}
 */
export function natsServer() {
  return (
    program(process.env['CAUSEWAY_NATS_SERVER'], {}, NATS_MIN) ??
    onPath('nats-server', NATS_MIN) ??
    fromDebian('nats-server', ['nats-server'], NATS_SUITE, NATS_MIN)
  );
}

/**
 * redis-server ≥ 6.2; a sentence when there is none to be had here. CAUSEWAY_REDIS_SERVER names another one.
 * @returns {Program | string}
 */
export function redisServer() {
  return (
    program(process.env['CAUSEWAY_REDIS_SERVER'], {}, REDIS_MIN) ??
    onPath('redis-server', REDIS_MIN) ??
    fromDebian('redis-server', REDIS_PACKAGES, undefined, REDIS_MIN)
  );
}

/**
 * @param {string} name
 * @param {number[]} least
 */
function onPath(name, least) {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  for (const directory of directories) {
    const found = directory === '' ? undefined : program(join(directory, name), {}, least);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * @param {string} name
 * @param {string[]} packages
 * @param {string | undefined} suite
 * @param {number[]} least
 */
function fromDebian(name, packages, suite, least) {
  const found = unpacked(name, packages, suite);
  if (typeof found === 'string') return found;
  const { directory } = found;
  const libraries = join(directory, 'usr/lib');
  // The libraries that came with it; those of the system are found as ever.
  const paths = existsSync(libraries) ? readdirSync(libraries).filter((each) => each.includes('-linux-')) : [];
  const env = { LD_LIBRARY_PATH: paths.map((each) => join(libraries, each)).join(':') };
  for (const bin of ['usr/sbin', 'usr/bin']) {
    const unpackedOne = program(join(directory, bin, name), env, least);
    if (unpackedOne !== undefined) return unpackedOne;
  }
  return `Debian's ${name} in ${directory} does not run here, or is older than ${least.join('.')}`;
}

/**
 * @param {string | undefined} path
 * @param {Record<string, string>} env
 * @param {number[]} least
 * @returns {Program | undefined}
 */
function program(path, env, least) {
  if (path === undefined || !existsSync(path)) return undefined;
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8', env: { ...process.env, ...env } });
  const found = status === 0 ? /v=?(\d+)\.(\d+)\.(\d+)/.exec(stdout) : null;
  if (found === null) return undefined;
  const [major = 0, minor = 0] = found.slice(1).map(Number);
  const [leastMajor = 0, leastMinor = 0] = least;
  if (major < leastMajor || (major === leastMajor && minor < leastMinor)) return undefined;
  return { path, version: found.slice(1).join('.'), env };
}

/**
 * Free TCP ports on loopback, all different.
 * @param {number} count
 * @returns {Promise<number[]>}
 */
async function freePorts(count) {
  const held = await Promise.all(
    Array.from(
      { length: count },
      () =>
        /** @type {Promise<import('node:net').Server>} */ (
          new Promise((resolve, reject) => {
            const server = createServer();
            server.on('error', reject).listen(0, LOOPBACK, () => resolve(server));
          })
        ),
    ),
  );
  const ports = held.map((server) => /** @type {import('node:net').AddressInfo} */ (server.address()).port);
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/**
 * A nats-server with JetStream.
 * @param {Place & { config?: string, syncInterval?: string, maxPayload?: string }} [options] `ports`: two
 *   `config`: more lines of its configuration, e.g. users or TLS
 *   `syncInterval`: of JetStream. Default `always`: an ack follows fsync
 *   `maxPayload`: of a message. Default 20MB: what a log entry has at most, and its header
 * @returns {Promise<Server & { url: string, monitor: string }>} `url` for clients; `monitor` serves /varz
 */
export async function startNats({ config = '', syncInterval = 'always', maxPayload = '20MB', folder, ports } = {}) {
  const [port = 0, monitor = 0] = ports ?? (await freePorts(2));
  const server = await started(natsServer(), 'nats', port, folder, (directory) => {
    writeFileSync(
      join(directory, 'nats.conf'),
      [
        `listen: ${LOOPBACK}:${port}`,
        `http: ${LOOPBACK}:${monitor}`,
        `max_payload: ${maxPayload}`,
        'max_pending: 64MB',
        `jetstream { store_dir: "${join(directory, 'jetstream')}", sync_interval: "${syncInterval}", max_mem: 64MB, max_file: 4GB }`,
        config,
        '',
      ].join('\n'),
    );
    return ['--config', join(directory, 'nats.conf')];
  });
  return Object.assign(server, { url: `nats://${LOOPBACK}:${port}`, monitor: `http://${LOOPBACK}:${monitor}` });
}

/**
 * A cluster of nats-servers with JetStream, each knowing the others.
 * @param {number} size
 * @param {Place & { syncInterval?: string }} [options] `ports`: three for each; in `folder` each has one of its own. `syncInterval`: see startNats
 * @returns {Promise<(Server & { url: string, monitor: string })[]>}
 */
export async function startNatsCluster(size, { syncInterval = 'always', folder, ports } = {}) {
  const all = ports ?? (await freePorts(3 * size));
  const routes = all.slice(0, size);
  const urls = routes.map((port) => `nats://${LOOPBACK}:${port}`).join(', ');
  return Promise.all(
    routes.map((port, i) =>
      startNats({
        syncInterval,
        ports: all.slice(size + 2 * i, size + 2 * i + 2),
        ...(folder === undefined ? {} : { folder: join(folder, `n${i + 1}`) }),
        config: `server_name: n${i + 1}\ncluster { name: test, listen: ${LOOPBACK}:${port}, routes: [${urls}] }`,
      }),
    ),
  );
}

/**
 * A redis-server that never evicts.
 * @param {Place & { args?: readonly string[] }} [options] `ports`: two.
 *   `args`: more options, e.g. ['--appendonly', 'yes']. Default: nothing is kept across a restart
 * @returns {Promise<Server>}
 */
export async function startRedis({ args = [], folder, ports } = {}) {
  const [port = 0, bus = 0] = ports ?? (await freePorts(2));
  return started(redisServer(), 'redis', port, folder, (directory) => [
    ...['--port', `${port}`, '--bind', LOOPBACK, '--dir', directory],
    // A Cluster's own port: the default is 10,000 above, where there may be none. A node alone does not learn its address from others.
    ...(args.includes('--cluster-enabled') ? ['--cluster-port', `${bus}`, '--cluster-announce-ip', LOOPBACK] : []),
    ...['--save', '', '--maxmemory-policy', 'noeviction', '--daemonize', 'no'],
    ...args,
  ]);
}

/**
 * A Sentinel that watches one master, by itself, and soon thinks that it is down.
 * @param {Server} master
 * @param {string} name what it calls it
 * @param {Place} [place] `ports`: one
 * @returns {Promise<Server>}
 */
export async function startSentinel(master, name, { folder, ports } = {}) {
  const [port = 0] = ports ?? (await freePorts(1));
  return started(redisServer(), 'sentinel', port, folder, (directory) => {
    const lines = [
      `port ${port}`,
      `bind ${LOOPBACK}`,
      `dir ${directory}`,
      `sentinel monitor ${name} ${LOOPBACK} ${master.port} 1`,
      `sentinel down-after-milliseconds ${name} 1000`,
      `sentinel failover-timeout ${name} 5000`,
    ];
    writeFileSync(join(directory, 'sentinel.conf'), `${lines.join('\n')}\n`);
    return [join(directory, 'sentinel.conf'), '--sentinel'];
  });
}

/**
 * @param {Program | string} found
 * @param {string} name
 * @param {number} port
 * @param {string | undefined} folder
 * @param {(directory: string) => string[]} argsFor
 * @returns {Promise<Server>}
 */
async function started(found, name, port, folder, argsFor) {
  if (typeof found === 'string') throw new Error(found);
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  const directory = folder ?? mkdtempSync(join(tmpdir(), `causeway-${name}-`));
  const remove = () => {
    if (folder === undefined) rmSync(directory, { recursive: true, force: true });
  };
  const args = argsFor(directory);
  const outputPath = join(directory, 'output.log');
  const output = () => (existsSync(outputPath) ? readFileSync(outputPath, 'utf8') : '');
  /** @type {import('node:child_process').ChildProcess} */
  let child;
  /** @type {Promise<void>} */
  let ended = Promise.resolve();
  const endWithUs = () => void child.kill('SIGKILL');

  const start = async () => {
    child = spawn(found.path, args, {
      cwd: directory,
      env: { ...process.env, ...found.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const write = (/** @type {Buffer} */ text) => writeFileSync(outputPath, text, { flag: 'a' });
    child.stdout?.on('data', write);
    child.stderr?.on('data', write);
    ended = new Promise((resolve) => void child.on('close', () => resolve()));
    const untilMs = Date.now() + START_MS_MAX;
    while (!(await answers(port))) {
      if (child.exitCode !== null || Date.now() > untilMs) {
        child.kill('SIGKILL');
        await ended;
        throw new Error(`${name} did not start on port ${port}: ${output().slice(-2000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  /** @param {NodeJS.Signals} signal */
  const end = async (signal) => {
    child.kill(signal);
    // One that is paused hears nothing else.
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(patience);
  };

  process.on('exit', endWithUs);
  try {
    await start();
  } catch (error) {
    process.off('exit', endWithUs);
    remove();
    throw error;
  }
  return {
    host: LOOPBACK,
    port,
    get pid() {
      return child.pid ?? 0;
    },
    directory,
    output,
    kill: () => end('SIGKILL'),
    pause: async () => {
      child.kill('SIGSTOP');
      while (!standsStill(child.pid ?? 0)) await new Promise((resolve) => setTimeout(resolve, 1));
    },
    resume: () => void child.kill('SIGCONT'),
    restart: start,
    stop: async () => {
      process.off('exit', endWithUs);
      await end('SIGKILL');
      remove();
    },
  };
}

/**
 * All threads of it. Where there is no /proc a signal that was sent has to do.
 * @param {number} pid
 */
function standsStill(pid) {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return true;
  return readdirSync(tasks).every((task) => /\) [TZX]/.test(readFileSync(join(tasks, task, 'stat'), 'utf8')));
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function answers(port) {
  return new Promise((resolve) => {
    const socket = connect({ host: LOOPBACK, port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
