// A container engine and the images that the suite in containers stands on: those that are here, else what Debian's packages and this machine make.
// Nothing of the system is changed: an engine of our own keeps all that it has in a folder in /tmp, makes no rule of a firewall, and ends with us.

import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { unpacked } from '../../scripts/debian-packages.mjs';
import { natsServer, redisServer } from '../../scripts/servers.mjs';

const PACKAGES = [
  ...['docker.io', 'containerd', 'runc', 'libdevmapper1.02.1'],
  // Within a container it makes the rules by which names are looked up; in the system's own network it is told to make none.
  ...['iptables', 'libip4tc2', 'libip6tc2', 'libxtables12', 'libnftnl11', 'libmnl0', 'libnfnetlink0'],
  'libnetfilter-conntrack3',
];
const SOCKET = '/var/run/docker.sock';
const INTERFACES = '/sys/class/net';
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;
/** Networks of tests, away from those that machines are usually on. */
const ADDRESSES = 'base=10.213.0.0/17,size=24';
const BRIDGE = '10.213.255.1/24';
/** What bin/causeway, npm and the Dockerfile's RUN lines call. */
const PROGRAMS = [
  'sh',
  'cat',
  'chown',
  'dirname',
  'env',
  'id',
  'ls',
  'mkdir',
  'nproc',
  'readlink',
  'sleep',
  'touch',
  'uname',
];

/**
 * @typedef {{ host: string, own: boolean, docker: string, path: string, stop: () => Promise<void> }} Engine
 * `docker` is the client's program; `own` whether it was started here, where no image can be assumed to be had.
 */

/**
 * The engine that answers, else one of our own; a sentence when there is none to be had here.
 * @returns {Promise<Engine | string>}
 */
export async function containerEngine() {
  const host = process.env['DOCKER_HOST'] ?? `unix://${SOCKET}`;
  if (await answers(host)) {
    const docker = onPath('docker');
    return docker === undefined
      ? `an engine answers at ${host}, and its client (docker) is not installed`
      : { host, own: false, docker, path: process.env['PATH'] ?? '', stop: () => Promise.resolve() };
  }
  if (process.env['DOCKER_HOST'] !== undefined) return `no engine answers at DOCKER_HOST=${host}`;
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return `no engine answers at ${host}, and one of our own needs root on Linux`;
  const found = unpacked('container-engine', PACKAGES);
  if (typeof found === 'string') return `no engine answers at ${host}; ${found}`;
  return started(found.directory);
}

/**
 * @param {string} directory where the packages are unpacked
 * @returns {Promise<Engine | string>}
 */
async function started(directory) {
  const state = mkdtempSync(join(tmpdir(), 'causeway-engine-'));
  const interfaces = new Set(readdirSync(INTERFACES));
  // The link of that name is made by the package's own script, which does not run here.
  mkdirSync(join(state, 'bin'));
  symlinkSync(join(directory, 'usr/sbin/xtables-legacy-multi'), join(state, 'bin/iptables'));
  const path = [
    join(state, 'bin'),
    join(directory, 'usr/bin'),
    join(directory, 'usr/sbin'),
    process.env['PATH'] ?? '',
  ].join(delimiter);
  const libraries = ['lib', 'usr/lib']
    .map((each) => join(directory, each))
    .filter((each) => existsSync(each))
    .flatMap((each) =>
      readdirSync(each)
        .filter((name) => name.includes('-linux-'))
        .map((name) => join(each, name)),
    );
  const socket = join(state, 'docker.sock');
  let output = '';
  const child = spawn(
    join(directory, 'usr/sbin/dockerd'),
    [
      ...['--host', `unix://${socket}`, '--data-root', join(state, 'data'), '--exec-root', join(state, 'exec')],
      ...[
        '--pidfile',
        join(state, 'pid'),
        '--iptables=false',
        '--ip6tables=false',
        '--ip-forward=false',
        '--bip',
        BRIDGE,
      ],
      ...['--default-address-pool', ADDRESSES],
    ],
    {
      env: {
        ...process.env,
        PATH: path,
        LD_LIBRARY_PATH: libraries.join(':'),
        XTABLES_LIBDIR: libraries.map((each) => join(each, 'xtables')).find((each) => existsSync(each)),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C is for the suite, which ends its containers before it ends the engine.
      detached: true,
    },
  );
  const keep = (/** @type {Buffer} */ text) => (output = (output + text.toString()).slice(-4000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise((resolve) => void child.on('close', resolve));
  child.on('error', keep);
  const endWithUs = () => void child.kill('SIGTERM');
  process.on('exit', endWithUs);
  const host = `unix://${socket}`;
  /** @type {Engine} */
  const engine = { host, own: true, docker: join(directory, 'usr/bin/docker'), path, stop: () => stop() };
  const removeContainers = () => {
    try {
      const left = docker(engine, ['ps', '--all', '--quiet']);
      if (left !== '') docker(engine, ['rm', '--force', '--volumes', ...left.split('\n')]);
    } catch {
      // An engine that does not answer ends without it.
    }
  };
  const stop = async () => {
    process.off('exit', endWithUs);
    removeContainers();
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(patience);
    unmount(state);
    removeInterfaces(interfaces);
    rmSync(state, { recursive: true, force: true });
  };
  const untilMs = Date.now() + START_MS_MAX;
  while (!(await answers(host))) {
    if (child.exitCode !== null || Date.now() > untilMs) {
      await stop();
      return `Debian's engine does not start here: ${output.trim().split('\n').slice(-3).join(' | ')}`;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return engine;
}

/**
 * Bridges, and the ends of wires to containers, that were not there before: the engine leaves some of them.
 * @param {ReadonlySet<string>} before
 */
function removeInterfaces(before) {
  for (const name of readdirSync(INTERFACES)) {
    if (!before.has(name) && /^(?:br-[0-9a-f]{12}|veth[0-9a-f]{7}|docker0)$/.test(name))
      spawnSync('ip', ['link', 'delete', name]);
  }
}

/**
 * What the engine left mounted: else its folder could not be removed.
 * @param {string} state
 */
function unmount(state) {
  const mounted = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((place) => place.startsWith(`${state}/`));
  for (const place of mounted.toReversed()) spawnSync('umount', [place]);
}

/**
 * @param {string} host
 * @returns {Promise<boolean>}
 */
function answers(host) {
  const where = host.startsWith('unix://')
    ? { socketPath: host.slice('unix://'.length) }
    : { host: new URL(host).hostname, port: new URL(host).port };
  return new Promise((resolve) => {
    const asked = request({ ...where, path: '/_ping', timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
    asked.end();
  });
}

/**
 * Runs its client to the end. Throws with what it said when it fails.
 * @param {Engine} engine
 * @param {string[]} args
 * @param {{ input?: Buffer, cwd?: string }} [options]
 */
export function docker({ host, docker: program, path }, args, { input, cwd } = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    input,
    cwd,
    // BuildKit is a program of its own, which not every client has beside it.
    env: { ...process.env, PATH: path, DOCKER_HOST: host, DOCKER_BUILDKIT: '0' },
    maxBuffer: 64 * 1024 * 1024,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Error(`docker ${args.slice(0, 2).join(' ')}: ${`${stdout}${stderr}`.trim().slice(-2000)}`);
  return stdout.trim();
}

/**
 * The images under the suite: those that the environment names, those that can be had, else made of this machine's own programs.
 * @param {Engine} engine
 * @param {(line: string) => void} say
 * @returns {{ base: string, nats: string, redis: string }}
 */
export function images(engine, say) {
  return {
    base: image(engine, say, 'CAUSEWAY_BASE_IMAGE', 'node:24.21.0-bookworm-slim', 'causeway-test/node', nodeFiles),
    nats: image(engine, say, 'CAUSEWAY_NATS_IMAGE', 'nats:2.14.3-alpine', 'causeway-test/nats', natsFiles),
    redis: image(engine, say, 'CAUSEWAY_REDIS_IMAGE', 'redis:8.0.3-alpine', 'causeway-test/redis', redisFiles),
  };
}

/**
 * @param {Engine} engine
 * @param {(line: string) => void} say
 * @param {string} variable
 * @param {string} usual
 * @param {string} made
 * @param {(root: string) => string[]} fill puts files under the root, and says what to change of the image
 */
function image(engine, say, variable, usual, made, fill) {
  const named = process.env[variable];
  if (named !== undefined) return named;
  const has = (/** @type {string[]} */ ...args) => {
    try {
      docker(engine, args);
      return true;
    } catch {
      return false;
    }
  };
  if (has('image', 'inspect', usual)) return usual;
  if (!engine.own && has('pull', usual)) return usual;
  if (has('image', 'inspect', made)) return made;
  say(`${usual} cannot be had here: ${made} is made of this machine's programs (${variable} names another image)`);
  const root = mkdtempSync(join(tmpdir(), 'causeway-image-'));
  // It becomes the image's root, which others than root go through.
  chmodSync(root, 0o755);
  try {
    const changes = fill(root).flatMap((change) => ['--change', change]);
    const tar = spawnSync('tar', ['--create', '--numeric-owner', '--owner=0', '--group=0', '.'], {
      cwd: root,
      maxBuffer: 1024 ** 3,
    });
    if (tar.status !== 0) throw new Error(`tar: ${tar.stderr.toString()}`);
    docker(engine, ['import', ...changes, '-', made], { input: tar.stdout });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  return made;
}

/** @param {string} root */
function nodeFiles(root) {
  withLibraries(root, [process.execPath, ...PROGRAMS.map((name) => onPath(name) ?? name)]);
  const npm = dirname(dirname(realpathSync(onPath('npm') ?? '/usr/bin/npm')));
  cpSync(npm, join(root, 'usr/lib/node_modules/npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/bin/npm'));
  // npm asks the registry from within a build, and trusts it as this machine does.
  const trusted = '/etc/ssl/certs/ca-certificates.crt';
  if (existsSync(trusted)) cpSync(realpathSync(trusted), join(root, trusted), { recursive: true });
  return ['ENV PATH=/usr/bin', `ENV NODE_EXTRA_CA_CERTS=${trusted}`];
}

/** Parts of the C library beside libc.so.6 itself, which the native parts of packages are linked with. */
const LIBC_PARTS = ['librt.so.1', 'libutil.so.1', 'libresolv.so.2', 'libnss_dns.so.2', 'libnss_files.so.2'];

/** @param {string} root */
function natsFiles(root) {
  const found = natsServer();
  if (typeof found === 'string') throw new Error(found);
  withLibraries(root, [found.path]);
  mkdirSync(join(root, 'data'), { recursive: true });
  return ['ENV PATH=/usr/bin', 'ENTRYPOINT ["nats-server"]'];
}

/** @param {string} root */
function redisFiles(root) {
  const found = redisServer();
  if (typeof found === 'string') throw new Error(found);
  withLibraries(root, [found.path, join(dirname(found.path), 'redis-cli')], found.env);
  mkdirSync(join(root, 'data'), { recursive: true });
  return ['ENV PATH=/usr/bin', 'WORKDIR /data'];
}

/**
 * Programs in /usr/bin, and what they are linked with where their loader looks for it.
 * @param {string} root
 * @param {string[]} programs
 * @param {Record<string, string>} [env]
 */
function withLibraries(root, programs, env = {}) {
  for (const each of ['usr/bin', 'usr/lib', 'usr/lib64', 'etc', 'tmp', 'root', 'proc', 'sys', 'dev'])
    mkdirSync(join(root, each), { recursive: true });
  for (const each of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${each}`, join(root, each));
  for (const program of programs) {
    cpSync(realpathSync(program), join(root, 'usr/bin', basename(program)));
    const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8', env: { ...process.env, ...env } });
    for (const [, library = ''] of stdout.matchAll(/(?:=> |^\s+)(\/\S+)/gm)) {
      const isLoader = /\/ld-linux[^/]*$/.test(library);
      const target = join(root, isLoader ? 'usr/lib64' : 'usr/lib', basename(library));
      if (!existsSync(target)) cpSync(realpathSync(library), target);
      if (basename(library) !== 'libc.so.6') continue;
      for (const part of LIBC_PARTS) {
        const path = join(dirname(library), part);
        if (existsSync(path)) cpSync(realpathSync(path), join(root, 'usr/lib', part));
      }
    }
  }
}

/** @param {string} name */
function onPath(name) {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/bin', '/usr/sbin'];
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}
