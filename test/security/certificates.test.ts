// Each mistake that files can have, in the words that a person gets; several at once, all of them.

import { X509Certificate } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isFor, readTls, sansOf, type TlsSources, type TlsExpectations } from '../../src/security/certificates.ts';
import { Pki } from '../support/pki.ts';

const DAY_MS = 86_400_000;

function problems(sources: TlsSources, expect: Partial<TlsExpectations> = {}): string[] {
  return readTls(sources, { nowMs: Date.now(), ...expect }).problems.map(
    ({ part, expected, got, remedy }) => `${part}: expected ${expected}; got ${got}. ${remedy}`,
  );
}

test('a good set is read whole, with what it says about itself', () => {
  const pki = new Pki();
  const ca = pki.ca();
  const pair = pki.issue(ca, { names: ['DNS:eu-1.example.net', 'IP:10.0.0.1'] });
  const reading = readTls(
    { ...pair, ca: ca.cert },
    { nowMs: Date.now(), names: ['eu-1.example.net'], signedByCa: true },
  );
  expect(reading.problems).toEqual([]);
  expect(reading.material.cert).toEqual(readFileSync(pair.cert));
  expect(reading.certificates).toMatchObject([
    { part: 'cert', subject: 'CN=node', names: ['DNS:eu-1.example.net', 'IP Address:10.0.0.1'] },
    { part: 'ca', subject: 'CN=test-ca' },
  ]);
  expect(reading.certificates[0]!.notAfterMs).toBeGreaterThan(Date.now() + 29 * DAY_MS);
  // PEM itself does as well as a path, and an address is a name.
  expect(
    problems({ cert: readFileSync(pair.cert), key: readFileSync(pair.key, 'utf8') }, { names: ['10.0.0.1'] }),
  ).toEqual([]);
  // Nothing at all is a client that trusts what Node trusts.
  expect(problems({})).toEqual([]);
});

describe('mistakes', () => {
  test('files that are missing or no files, all at once', () => {
    const pki = new Pki();
    expect(problems({ cert: pki.path('a.crt'), key: pki.directory, ca: pki.path('ca.crt') })).toEqual([
      `cert: expected a file with a certificate in PEM form; got ${pki.path('a.crt')}: there is no such file. Correct the path, or put the file there.`,
      `key: expected a file with a private key in PEM form; got ${pki.directory}: it is a directory. Name the file in it.`,
      `ca: expected a file with CA certificates in PEM form; got ${pki.path('ca.crt')}: there is no such file. Correct the path, or put the file there.`,
    ]);
  });

  test.skipIf(process.getuid?.() === 0)('a key that this user may not read', () => {
    const pki = new Pki();
    const pair = pki.issue(pki.ca());
    chmodSync(pair.key, 0o000);
    expect(problems({ ...pair })[0]).toMatch(/^key: .*this user may not read it/);
  });

  test('a certificate without its key, and a key without its certificate', () => {
    const pki = new Pki();
    const { cert, key } = pki.issue(pki.ca());
    expect(problems({ cert })).toEqual(['key: expected a key with the cert; got none. Name both, or neither.']);
    expect(problems({ key })).toEqual(['cert: expected a cert with the key; got none. Name both, or neither.']);
  });

  test('files that are something else: swapped, DER, cut off, encrypted', () => {
    const pki = new Pki();
    const { cert, key } = pki.issue(pki.ca());
    expect(problems({ cert: key, key: cert })).toEqual([
      `cert: expected at least one CERTIFICATE block in PEM form; got ${key} with a PRIVATE KEY. Are two of the files swapped?`,
      `key: expected an unencrypted private key in PEM form; got ${cert}, which is a certificate. Are cert and key swapped?`,
    ]);
    writeFileSync(pki.path('der'), new X509Certificate(readFileSync(cert)).raw);
    expect(problems({ ca: pki.path('der') })[0]).toMatch(/with none\. Convert it: openssl x509 -inform der/);
    const whole = readFileSync(cert, 'utf8');
    writeFileSync(pki.path('cut'), whole.replace(/\n.*\n-----END/, '\n-----END'));
    expect(problems({ ca: pki.path('cut') })[0]).toMatch(
      /^ca: expected certificates that can be decoded; got .*cut, certificate 1: /,
    );
    writeFileSync(
      pki.path('locked'),
      '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n',
    );
    expect(problems({ cert, key: pki.path('locked') })[0]).toMatch(/which is encrypted\. Take the passphrase off/);
  });

  test("another certificate's key, and a chain in the wrong order", () => {
    const pki = new Pki();
    const ca = pki.ca();
    const [one, other] = [pki.issue(ca, { commonName: 'one' }), pki.issue(ca, { commonName: 'other' })];
    expect(problems({ cert: one.cert, key: other.key })).toEqual([
      `key: expected the private key of ${one.cert} (CN=one); got ${other.key}, the key of another certificate. Use the pair that was made together.`,
    ]);
    writeFileSync(pki.path('chain'), readFileSync(ca.cert, 'utf8') + readFileSync(one.cert, 'utf8'));
    expect(problems({ cert: pki.path('chain'), key: one.key })[0]).toMatch(/in place 2\. Reorder the file\.$/);
  });

  test('one that has expired, and one whose time has not come', () => {
    const pki = new Pki();
    const ca = pki.ca();
    const pair = pki.issue(ca, { days: 1 });
    const after = problems({ ...pair, ca: ca.cert }, { nowMs: Date.now() + 2 * DAY_MS });
    expect(after).toHaveLength(1);
    expect(after[0]).toMatch(
      /^cert: expected a certificate that has not expired; got .* \(CN=node\), which expired on /,
    );
    const before = problems({ ...pair, ca: ca.cert }, { nowMs: Date.now() - DAY_MS });
    expect(before.map((line) => line.split(':')[0])).toEqual(['cert', 'ca']);
    expect(before[0]).toMatch(/Is this machine's clock behind\?/);
    // An old CA beside the new one is how CAs are exchanged.
    expect(problems({ ca: ca.cert }, { nowMs: Date.now() + 40 * DAY_MS })[0]).toMatch(/which expired on/);
  });

  test('a name that the other side will not find', () => {
    const pki = new Pki();
    const pair = pki.issue(pki.ca(), { names: ['DNS:eu-1.example.net'] });
    expect(problems({ ...pair }, { names: ['us-1.example.net', '10.0.0.9'] })).toEqual([
      `cert: expected a certificate for 'us-1.example.net' or '10.0.0.9' (subject alternative name); got ${pair.cert}, for DNS:eu-1.example.net. The other side would refuse it: take one for that name, or say with serverName which name it has.`,
    ]);
    const nameless = pki.issue(pki.ca(), { names: [] });
    expect(problems({ ...nameless }, { names: ['node'] })[0]).toMatch(/for no name at all/);
  });

  test('a CA that did not sign the certificate, where both sides trust the same', () => {
    const pki = new Pki();
    const [ours, theirs] = [pki.ca('ours'), pki.ca('theirs')];
    const pair = pki.issue(ours);
    expect(problems({ ...pair, ca: theirs.cert }, { signedByCa: true })).toEqual([
      `ca: expected the CA that signed ${pair.cert}, since the other side trusts the same one; got ${theirs.cert}, which holds CN=theirs; the certificate is from CN=ours. Add the CA of the certificate to the file, or take a certificate that it has signed.`,
    ]);
    writeFileSync(pki.path('both'), readFileSync(theirs.cert, 'utf8') + readFileSync(ours.cert, 'utf8'));
    expect(problems({ ...pair, ca: pki.path('both') }, { signedByCa: true })).toEqual([]);
  });
});

test('a certificate is for its SANs, never for its subject; wildcards cover one label', () => {
  const pki = new Pki();
  const { cert } = pki.issue(pki.ca(), { commonName: 'cn.example.net', names: ['DNS:*.example.org', 'IP:10.0.0.1'] });
  const certificate = new X509Certificate(readFileSync(cert));
  expect(sansOf(certificate)).toEqual(['DNS:*.example.org', 'IP Address:10.0.0.1']);
  expect(isFor(certificate, ['eu.example.org'])).toBe(true);
  expect(isFor(certificate, ['a.eu.example.org', '10.0.0.1'])).toBe(true);
  expect(isFor(certificate, ['cn.example.net', '10.0.0.2', 'example.org'])).toBe(false);
});
