// Credentials as `nsc` makes them: an operator, an account with JetStream, and users of it, as JWTs signed with nkeys.

import { createHash } from 'node:crypto';
import { nkeys } from 'nats';

type Pair = ReturnType<typeof nkeys.createUser>;

function jwt(issuer: Pair, subject: Pair, name: string, nats: object): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const claims = { iat: 1_700_000_000, iss: issuer.getPublicKey(), sub: subject.getPublicKey(), name, nats };
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('hex');
  const signed = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode({ jti, ...claims })}`;
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString('base64url')}`;
}

function creds(account: Pair, user: Pair, name: string): string {
  const token = jwt(account, user, name, { type: 'user', version: 2, subs: -1, data: -1, payload: -1 });
  const seed = Buffer.from(user.getSeed()).toString();
  return `-----BEGIN NATS USER JWT-----\n${token}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
}

/** The lines of a server's configuration, the credentials of a user that it knows, and those of another account's. */
export function credsFor(name: string): { readonly config: string; readonly good: string; readonly stranger: string } {
  const [operator, account, other, system] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
    nkeys.createAccount(),
  ];
  const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const store = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountJwt = (of: Pair, extra: object): string =>
    jwt(operator, of, 'account', { type: 'account', version: 2, limits: { ...limits, ...extra } });
  const config = [
    `operator: ${jwt(operator, operator, 'operator', { type: 'operator', version: 2, system_account: system.getPublicKey() })}`,
    `system_account: ${system.getPublicKey()}`,
    'resolver: MEMORY',
    `resolver_preload { ${account.getPublicKey()}: ${accountJwt(account, store)}, ${system.getPublicKey()}: ${accountJwt(system, {})} }`,
  ].join('\n');
  return { config, good: creds(account, nkeys.createUser(), name), stranger: creds(other, nkeys.createUser(), name) };
}
