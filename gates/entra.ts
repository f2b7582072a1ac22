// A Causeway over TLS that believes the tokens of a local issuer, and service principals with one role each.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { makeAuthority, makeCertificate } from '../test/support/certificates.ts';
import { type IssuerClient, startIssuer } from '../test/support/issuer.ts';
import type { GateContext, RunningServer } from './gate.ts';
import { causeway, type Manager, managerOf } from './manage.ts';

export const roles = {
  owner: 'Storage Blob Data Owner',
  contributor: 'Storage Blob Data Contributor',
  reader: 'Storage Blob Data Reader',
  delegator: 'Storage Blob Delegator',
} as const;

/** The container that some principals are bound to, and the prefix in it. */
export const scope = { container: 'scoped', prefix: 'mine/' } as const;

/** Who there is: an object id each, a secret, and what it may. */
const assignments = {
  owner: { role: roles.owner },
  contributor: { role: roles.contributor },
  reader: { role: roles.reader },
  nobody: undefined,
  /** Its role is taken away in the middle of a check. */
  leaving: { role: roles.reader },
  container: { role: roles.contributor, container: scope.container },
  prefix: { role: roles.contributor, container: scope.container, prefix: scope.prefix },
} as const;

export type Who = keyof typeof assignments;
export type Principal = IssuerClient & { readonly secret: string; readonly assignment: string };

export interface EntraStage {
  readonly server: RunningServer;
  readonly manager: Manager;
  readonly tenant: string;
  /** `authorityHost` of a credential. */
  readonly authorityHost: string;
  /** The PEM file of who signed the certificates of both; this process trusts it already. */
  readonly caPath: string;
  readonly principals: Readonly<Record<Who, Principal>>;
  /** A token that would be right if another tenant's issuer had made it. */
  strangerToken(): Promise<string>;
  close(): Promise<void>;
}

/** What a script in another language needs to know, as JSON. It holds secrets of this run only. */
export function describeStage(stage: EntraStage, strangerToken: string): string {
  const { access } = stage.server;
  return JSON.stringify({
    blob: access.blob,
    account: access.account,
    key: access.key,
    admin: stage.manager.admin,
    adminToken: stage.manager.token,
    tenant: stage.tenant,
    authorityHost: stage.authorityHost,
    ca: stage.caPath,
    container: scope.container,
    prefix: scope.prefix,
    strangerToken,
    principals: stage.principals,
  });
}

export async function startEntra(
  context: Pick<GateContext, 'workDir' | 'startServer'>,
  options: { names?: readonly string[] } = {},
): Promise<EntraStage> {
  const directory = join(context.workDir, 'certificates');
  const authority = makeAuthority(directory);
  // What NODE_EXTRA_CA_CERTS does for an application, for the rest of this process.
  setDefaultCACertificates([...getCACertificates('default'), authority.certificate]);
  const loopback = ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1'];
  const certificate = makeCertificate(authority, directory, 'server', {
    names: [...loopback, ...(options.names ?? []).map((name) => `DNS:${name}`)],
  });
  const names = Object.keys(assignments) as Who[];
  const clients = names.map(
    (who) => [who, { clientId: randomUUID(), oid: randomUUID(), secret: randomUUID() }] as const,
  );
  const issuer = await startIssuer({
    clients: clients.map(([, client]) => client),
    tls: { key: certificate.key, cert: certificate.certificate },
  });
  const setting = {
    tlsCertificate: certificate.certificatePath,
    tlsKey: certificate.keyPath,
    entraTenants: issuer.tenant,
    entraAuthority: issuer.url,
  };
  const server = await context.startServer({
    name: 'entra',
    args: Object.entries(setting).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
    env: { NODE_EXTRA_CA_CERTS: authority.certificatePath },
  });
  const manager = await managerOf(server);
  const { account } = server.access;
  const principals: [Who, Principal][] = [];
  for (const [who, client] of clients) {
    const wanted = assignments[who];
    const body = { principal: client.oid, ...wanted };
    // One by the command line, as the documentation shows it; the others by the API, which is the same table.
    const made =
      who === 'owner'
        ? await causeway(server, 'access', 'assign', account, '--principal', client.oid, '--role', roles.owner)
        : wanted && (await manager.request('POST', `accounts/${account}/role-assignments`, body));
    principals.push([who, { ...client, assignment: String(made?.id ?? '') }]);
  }
  return {
    server,
    manager,
    tenant: issuer.tenant,
    authorityHost: issuer.url,
    caPath: authority.certificatePath,
    principals: Object.fromEntries(principals) as Record<Who, Principal>,
    strangerToken: () =>
      issuer.token(randomUUID(), { claims: { iss: `${issuer.url}/${randomUUID()}/`, tid: randomUUID() } }),
    close: async () => {
      await issuer[Symbol.asyncDispose]();
    },
  };
}
