// What the machine did: CPU and memory of processes, and the controls that say what this machine could do at all.
// Linux only (/proc), as the benchmark is.

import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

/** USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** User and system time since its start. */
export function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / TICKS_PER_SECOND;
}

export function rssMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kib ?? 0) / 1024);
}

/** One clock for all processes of a machine: CLOCK_MONOTONIC, in microseconds. */
export function nowMicros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  readonly kernel: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
  };
}

export interface Control {
  /** 256 bytes appended and fdatasync, one after the other. */
  readonly fdatasyncPerSecond: number;
  /** 256 bytes there and back over loopback TCP, one after the other, both ends in one process. */
  readonly loopbackRoundTripsPerSecond: number;
  /** One way over loopback TCP in 64 KiB writes. */
  readonly loopbackMBPerSecond: number;
}

const CONTROL_MS = 500;

/** `directory` is where the regions keep their logs: the same disk. */
export async function measureControl(directory: string): Promise<Control> {
  return {
    fdatasyncPerSecond: fdatasyncRate(directory),
    loopbackRoundTripsPerSecond: await roundTripRate(),
    loopbackMBPerSecond: await throughput(),
  };
}

function fdatasyncRate(directory: string): number {
  const own = mkdtempSync(join(directory, 'control-'));
  const fd = openSync(join(own, 'file'), 'w');
  const record = Buffer.alloc(256, 7);
  const startMs = performance.now();
  let count = 0;
  while (performance.now() - startMs < CONTROL_MS) {
    writeSync(fd, record);
    fdatasyncSync(fd);
    count++;
  }
  const seconds = (performance.now() - startMs) / 1000;
  closeSync(fd);
  rmSync(own, { recursive: true });
  return Math.round(count / seconds);
}

async function roundTripRate(): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', noDelay: true });
  const record = Buffer.alloc(256, 7);
  const startMs = performance.now();
  const count = await new Promise<number>((resolve) => {
    let trips = 0;
    let bytes = 0;
    socket.on('data', (some) => {
      bytes += some.length;
      if (bytes < record.length) return;
      bytes = 0;
      trips++;
      if (performance.now() - startMs >= CONTROL_MS) resolve(trips);
      else socket.write(record);
    });
    socket.write(record);
  });
  const seconds = (performance.now() - startMs) / 1000;
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  return Math.round(count / seconds);
}

async function throughput(): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024, 7);
  let bytes = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (some) => (bytes += some.length));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1' });
  const startMs = performance.now();
  await new Promise<void>((resolve) => {
    const push = (): void => {
      while (socket.write(chunk)) if (performance.now() - startMs >= CONTROL_MS) return resolve();
      if (performance.now() - startMs >= CONTROL_MS) resolve();
    };
    socket.on('drain', push).on('connect', push);
  });
  const seconds = (performance.now() - startMs) / 1000;
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  return Math.round(bytes / seconds / 1e6);
}
