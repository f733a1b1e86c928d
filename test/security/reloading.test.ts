// Files that change under a running process: what is taken, what is left, and what is said.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ReloadingTls, type TlsNotice } from '../../src/security/reloading.ts';
import type { System } from '../../src/system/system.ts';
import { realSystem } from '../../src/system/real.ts';
import { Pki } from '../support/pki.ts';

const DAY_MS = 86_400_000;

/** A clock that is set by hand, and timers that run when they are told to. */
function manual(): { system: System; at: { ms: number }; due: (() => void)[] } {
  const at = { ms: Date.now() };
  const due: (() => void)[] = [];
  const real = realSystem();
  const system: System = {
    ...real,
    clock: { nowMs: () => at.ms, monotonicMs: () => at.ms },
    timers: {
      ...real.timers,
      every: (_ms, fn) => {
        due.push(fn);
        return { cancel: () => void due.splice(due.indexOf(fn), 1) };
      },
    },
  };
  return { system, at, due };
}

function opened(
  sources: Parameters<typeof ReloadingTls.open>[0],
  options: Parameters<typeof ReloadingTls.open>[1],
): ReloadingTls {
  const tls = ReloadingTls.open(sources, options);
  if (!(tls instanceof ReloadingTls)) throw new Error(JSON.stringify(tls));
  return tls;
}

test('new files are taken when the pair is whole, and every listener hears of it', () => {
  const pki = new Pki();
  const ca = pki.ca();
  const [first, second] = [pki.issue(ca, { commonName: 'first' }), pki.issue(ca, { commonName: 'second' })];
  const files = pki.install('node', first);
  const notices: TlsNotice[] = [];
  const { system, due } = manual();
  const tls = opened({ ...files, ca: ca.cert }, { system, notice: (notice) => notices.push(notice) });
  const heard: (Buffer | undefined)[] = [];
  const end = tls.onChange(({ cert }) => heard.push(cert));
  tls.start();
  const look = due[0]!;
  look();
  expect(notices).toEqual([]);

  // Half of the pair: not yet.
  writeFileSync(files.key, readFileSync(second.key));
  look();
  look();
  expect(tls.material.key).toEqual(readFileSync(first.key));
  expect(notices).toMatchObject([{ kind: 'unusable', problems: [{ part: 'key' }] }]);
  expect(heard).toEqual([]);

  writeFileSync(files.cert, readFileSync(second.cert));
  look();
  expect(heard).toEqual([readFileSync(second.cert)]);
  expect(tls.certificates[0]).toMatchObject({ subject: 'CN=second' });
  expect(notices.at(-1)).toMatchObject({ kind: 'reloaded' });

  // A file that is gone leaves what there was.
  rmSync(files.cert);
  look();
  expect(tls.material.cert).toEqual(readFileSync(second.cert));
  expect(notices.at(-1)).toMatchObject({ kind: 'unusable', problems: [{ part: 'cert' }] });

  end();
  pki.install('node', first);
  look();
  expect(heard).toHaveLength(1);
  tls.stop();
  expect(due).toEqual([]);
});

test('what expires is warned about from two weeks before its end, once a day, and when it has', () => {
  const pki = new Pki();
  const pair = pki.issue(pki.ca(), { days: 20 });
  const notices: TlsNotice[] = [];
  const { system, at, due } = manual();
  const start = at.ms;
  const tls = opened(pair, { system, notice: (notice) => notices.push(notice) });
  tls.start();
  const daysLeft = (): unknown[] => notices.splice(0).map((notice) => notice.kind === 'expiring' && notice.daysLeft);
  const onDay = (day: number): unknown[] => {
    at.ms = start + day * DAY_MS + 60_000;
    due[0]!();
    due[0]!();
    return daysLeft();
  };
  expect(onDay(5)).toEqual([]);
  expect(onDay(6)).toEqual([13]);
  expect(onDay(6.5)).toEqual([]);
  expect(onDay(7)).toEqual([12]);
  expect(onDay(21)).toEqual([-2]);
});

test('what is no file is not looked at again', () => {
  const pki = new Pki();
  const pair = pki.issue(pki.ca());
  const { system, due } = manual();
  opened({ cert: readFileSync(pair.cert), key: readFileSync(pair.key) }, { system }).start();
  expect(due).toEqual([]);
});

test('mistakes are told instead of opened', () => {
  const { system } = manual();
  expect(ReloadingTls.open({ ca: '/nowhere/ca.crt' }, { system })).toMatchObject([{ part: 'ca' }]);
});
