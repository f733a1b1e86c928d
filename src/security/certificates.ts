// Certificates, keys and CAs in PEM form: read, judged, and what is wrong with them said so that a person can mend it.
// Owns: every check that can be made before a connection is: what is missing, unreadable, no PEM, encrypted, out of date, not
// each other's, not signed by the CA, not for the name. All that is wrong is found in one go.
// HAZARD: a chain is judged by name and signature only, as far as its files tell. Revocation is not looked at, here or anywhere.

import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/** A path, or PEM itself (a Buffer, or text that holds a BEGIN line). Paths are read again when they change. */
export type PemSource = string | Buffer;

/** `cert`: own chain, leaf first; `key`: the leaf's; `ca`: whom to trust, one or many. Without `ca`: what Node trusts. */
export interface TlsSources {
  readonly cert?: PemSource | undefined;
  readonly key?: PemSource | undefined;
  readonly ca?: PemSource | undefined;
}

export type TlsPart = keyof TlsSources;

export interface TlsMaterial {
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly ca: Buffer | undefined;
}

export interface TlsProblem {
  readonly part: TlsPart;
  readonly expected: string;
  readonly got: string;
  readonly remedy: string;
}

/** What `status` and logs tell of a certificate. */
export interface CertificateFacts {
  readonly part: 'cert' | 'ca';
  readonly subject: string;
  /** SAN entries as they are written: `DNS:eu-1.example.net`, `IP Address:10.0.0.1`. */
  readonly names: readonly string[];
  readonly notAfterMs: number;
}

export interface TlsExpectations {
  readonly nowMs: number;
  /** One of these names or addresses must stand in the own certificate; none given: any will do. */
  readonly names?: readonly string[];
  /** The own certificate must be signed by `ca`: the other sides trust the same one. */
  readonly signedByCa?: boolean;
}

export interface TlsReading {
  readonly material: TlsMaterial;
  readonly certificates: readonly CertificateFacts[];
  /** Empty: usable. */
  readonly problems: readonly TlsProblem[];
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
/** A chain or bundle; more is another file. */
const PEM_BYTES_MAX = 4 * 1024 * 1024;

/** Reads and judges; never throws for what is in the files. */
export function readTls(sources: TlsSources, expect: TlsExpectations): TlsReading {
  const problems: TlsProblem[] = [];
  const read = (part: TlsPart): Buffer | undefined => readPem(part, sources[part], problems);
  const material = { cert: read('cert'), key: read('key'), ca: read('ca') };

  for (const [has, lacks] of [['cert', 'key'] as const, ['key', 'cert'] as const]) {
    if (sources[has] !== undefined && sources[lacks] === undefined) {
      problems.push({
        part: lacks,
        expected: `a ${lacks} with the ${has}`,
        got: 'none',
        remedy: `Name both, or neither.`,
      });
    }
  }

  const chain = parseCertificates('cert', sources.cert, material.cert, problems);
  const trusted = parseCertificates('ca', sources.ca, material.ca, problems);
  const key = parseKey(sources.key, material.key, problems);
  const [leaf] = chain;
  if (leaf !== undefined) {
    if (key !== undefined) problems.push(...judgePair(sources, chain, key));
    problems.push(...judgeTime('cert', sources.cert, leaf, expect.nowMs));
    problems.push(...judgeNames(sources.cert, leaf, expect.names ?? []));
    if (expect.signedByCa === true && trusted.length > 0 && !isSigned(chain, trusted)) {
      problems.push({
        part: 'ca',
        expected: `the CA that signed ${named(sources.cert)}, since the other side trusts the same one`,
        got: `${named(sources.ca)}, which holds ${trusted.map(subjectOf).join(' and ')}; the certificate is from ${oneLine(leaf.issuer)}`,
        remedy: 'Add the CA of the certificate to the file, or take a certificate that it has signed.',
      });
    }
  }
  // One that still holds is enough: bundles carry the old CA beside the new one while certificates are exchanged.
  const alive = trusted.filter((ca) => judgeTime('ca', sources.ca, ca, expect.nowMs).length === 0);
  if (trusted.length > 0 && alive.length === 0)
    problems.push(...judgeTime('ca', sources.ca, trusted[0]!, expect.nowMs));

  return {
    material,
    certificates: [
      ...chain.map((certificate) => factsOf('cert', certificate)),
      ...(alive.length > 0 ? alive : trusted).map((certificate) => factsOf('ca', certificate)),
    ],
    problems,
  };
}

/** Whether what the sources hold now is this, byte for byte. Much cheaper than judging it again: bundles of CAs are long. */
export function isUnchanged(sources: TlsSources, material: TlsMaterial): boolean {
  return (['cert', 'key', 'ca'] as const).every((part) => {
    const bytes = readPem(part, sources[part], []);
    const before = material[part];
    return bytes === undefined || before === undefined ? bytes === before : bytes.equals(before);
  });
}

/** Whether the certificate (its SANs) is for one of these names or IP addresses. */
export function isFor(certificate: X509Certificate, names: readonly string[]): boolean {
  return names.some((name) =>
    isIP(name) === 0
      ? certificate.checkHost(name, { subject: 'never' }) !== undefined
      : certificate.checkIP(name) !== undefined,
  );
}

/** SAN entries, one each. */
export function sansOf({ subjectAltName }: X509Certificate): readonly string[] {
  return subjectAltName === undefined ? [] : subjectAltName.split(', ');
}

export function subjectOf(certificate: X509Certificate): string {
  const [san] = sansOf(certificate);
  return oneLine(certificate.subject) || san || 'a certificate without a subject';
}

export function isPem(source: PemSource): boolean {
  return Buffer.isBuffer(source) || source.includes('-----BEGIN ');
}

function readPem(part: TlsPart, source: PemSource | undefined, problems: TlsProblem[]): Buffer | undefined {
  if (source === undefined) return undefined;
  if (isPem(source)) return Buffer.from(source);
  const expected = `a file with ${part === 'key' ? 'a private key' : part === 'ca' ? 'CA certificates' : 'a certificate'} in PEM form`;
  try {
    const bytes = readFileSync(source as string);
    if (bytes.length <= PEM_BYTES_MAX) return bytes;
    problems.push({
      part,
      expected,
      got: `${named(source)} with ${bytes.length} bytes`,
      remedy: 'Is this the right file?',
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const [got, remedy] = UNREADABLE[code ?? ''] ?? [message, 'Check the path.'];
    problems.push({ part, expected, got: `${named(source)}: ${got}`, remedy });
  }
  return undefined;
}

const UNREADABLE: Readonly<Record<string, readonly [got: string, remedy: string]>> = {
  ENOENT: ['there is no such file', 'Correct the path, or put the file there.'],
  EACCES: ['this user may not read it', 'Let the user that runs this read it (for a key: nobody else).'],
  EISDIR: ['it is a directory', 'Name the file in it.'],
  ENOTDIR: ['something on its path is a file', 'Correct the path.'],
};

function parseCertificates(
  part: 'cert' | 'ca',
  source: PemSource | undefined,
  pem: Buffer | undefined,
  problems: TlsProblem[],
): X509Certificate[] {
  if (pem === undefined) return [];
  const blocks = pem.toString('latin1').match(PEM_CERTIFICATE) ?? [];
  const expected = 'at least one CERTIFICATE block in PEM form';
  if (blocks.length === 0) {
    const other = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(pem.toString('latin1'))?.[1];
    problems.push({
      part,
      expected,
      got: `${named(source)} with ${other === undefined ? 'none' : `a ${other}`}`,
      remedy: other === undefined ? 'Convert it: openssl x509 -inform der -in FILE.' : 'Are two of the files swapped?',
    });
    return [];
  }
  const certificates: X509Certificate[] = [];
  for (const [i, block] of blocks.entries()) {
    try {
      certificates.push(new X509Certificate(block));
    } catch (error) {
      problems.push({
        part,
        expected: 'certificates that can be decoded',
        got: `${named(source)}, certificate ${i + 1}: ${(error as Error).message}`,
        remedy: 'Was the file cut off or edited? Copy it again.',
      });
    }
  }
  return certificates;
}

function parseKey(
  source: PemSource | undefined,
  pem: Buffer | undefined,
  problems: TlsProblem[],
): KeyObject | undefined {
  if (pem === undefined) return undefined;
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const text = pem.toString('latin1');
    const encrypted = /ENCRYPTED/.test(text);
    const certificate = /BEGIN CERTIFICATE/.test(text);
    problems.push({
      part: 'key',
      expected: 'an unencrypted private key in PEM form',
      got: `${named(source)}${encrypted ? ', which is encrypted' : certificate ? ', which is a certificate' : `: ${(error as Error).message}`}`,
      remedy: encrypted
        ? 'Take the passphrase off (openssl pkey -in FILE) and keep the file readable by this user alone.'
        : certificate
          ? 'Are cert and key swapped?'
          : 'Is this the right file, whole?',
    });
    return undefined;
  }
}

function judgePair(sources: TlsSources, chain: readonly X509Certificate[], key: KeyObject): TlsProblem[] {
  if (chain[0]!.checkPrivateKey(key)) return [];
  const later = chain.findIndex((certificate) => certificate.checkPrivateKey(key));
  return [
    later > 0
      ? {
          part: 'cert',
          expected: 'the own certificate first, then those that signed it',
          got: `${named(sources.cert)} with the certificate of the key in place ${later + 1}`,
          remedy: 'Reorder the file.',
        }
      : {
          part: 'key',
          expected: `the private key of ${named(sources.cert)} (${subjectOf(chain[0]!)})`,
          got: `${named(sources.key)}, the key of another certificate`,
          remedy: 'Use the pair that was made together.',
        },
  ];
}

function judgeTime(
  part: 'cert' | 'ca',
  source: PemSource | undefined,
  certificate: X509Certificate,
  nowMs: number,
): TlsProblem[] {
  const [fromMs, toMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (nowMs > toMs) {
    return [
      {
        part,
        expected: 'a certificate that has not expired',
        got: `${named(source)} (${subjectOf(certificate)}), which expired on ${dayOf(toMs)}`,
        remedy: 'Renew it; the files are read again when they change.',
      },
    ];
  }
  if (nowMs < fromMs) {
    return [
      {
        part,
        expected: 'a certificate that is valid already',
        got: `${named(source)} (${subjectOf(certificate)}), valid from ${new Date(fromMs).toISOString()}`,
        remedy: "Is this machine's clock behind? Otherwise wait, or take another one.",
      },
    ];
  }
  return [];
}

function judgeNames(source: PemSource | undefined, leaf: X509Certificate, names: readonly string[]): TlsProblem[] {
  if (names.length === 0 || isFor(leaf, names)) return [];
  const has = sansOf(leaf);
  return [
    {
      part: 'cert',
      expected: `a certificate for ${names.map((name) => `'${name}'`).join(' or ')} (subject alternative name)`,
      got: `${named(source)}, for ${has.length === 0 ? 'no name at all' : has.join(', ')}`,
      remedy: 'The other side would refuse it: take one for that name, or say with serverName which name it has.',
    },
  ];
}

/** Whether the chain leads to a trusted certificate, by the certificates that are in both files. */
function isSigned(chain: readonly X509Certificate[], trusted: readonly X509Certificate[]): boolean {
  let at = chain[0]!;
  for (let steps = 0; steps <= chain.length; steps++) {
    const current = at;
    if (trusted.some((ca) => ca.fingerprint256 === current.fingerprint256 || signed(current, ca))) return true;
    const next = chain.find((other) => other !== current && signed(current, other));
    if (next === undefined) return false;
    at = next;
  }
  return false;
}

function signed(certificate: X509Certificate, by: X509Certificate): boolean {
  return certificate.checkIssued(by) && certificate.verify(by.publicKey);
}

function factsOf(part: 'cert' | 'ca', certificate: X509Certificate): CertificateFacts {
  return {
    part,
    subject: subjectOf(certificate),
    names: sansOf(certificate),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

function named(source: PemSource | undefined): string {
  return source === undefined ? 'nothing' : isPem(source) ? 'what was given' : (source as string);
}

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ');
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
