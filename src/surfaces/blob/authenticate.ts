// Who sends a request, and may they: Shared Key, SAS or nobody, then the one decision of identity/authorize.ts.

import { parseIsoTime } from '../../codec/http-date.ts';
import { type AccountKey, parseAccountKey } from '../../identity/account-key.ts';
import { type Action, authorize, type DenialReason, type Principal, type Resource } from '../../identity/authorize.ts';
import { parseSas } from '../../identity/sas.ts';
import { verifySharedKey } from '../../identity/shared-key.ts';
import { type SasOutcome, type StoredAccessPolicy, sasFailureCodes, verifySas } from '../../identity/verify-sas.ts';
import { getAccount } from '../../namespace/accounts.ts';
import { readContainer } from '../../namespace/containers.ts';
import type { AccountRecord, ContainerRecord, StoredPolicy } from '../../namespace/records.ts';
import type { Store } from '../../namespace/store.ts';
import type { Peer } from './call.ts';
import { BlobError, type ErrorCode } from './errors.ts';
import { one, type Query, type Target } from './request.ts';

export interface Credentials {
  readonly method: string;
  readonly rawPath: string;
  readonly query: Query;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly target: Target;
  readonly peer: Peer;
}

interface KnownAccount {
  readonly record: AccountRecord;
  readonly keys: readonly AccountKey[];
  readonly readMs: number;
}

/** A rotated key stops working within this time. */
const accountCacheMs = 1000;
const accountsCachedMax = 1000;

export class Authenticator {
  readonly #store: Store;
  readonly #skewMs: number;
  readonly #accounts = new Map<string, KnownAccount>();

  constructor(store: Store, skewMs: number) {
    this.#store = store;
    this.#skewMs = skewMs;
  }

  /** Throws `BlobError` for credentials that are wrong; none at all is somebody anonymous. */
  async principal(request: Credentials): Promise<Principal> {
    const nowMs = this.#store.clock.now();
    const authorization = request.headers.authorization;
    const hasSas = request.query.has('sig');
    if (authorization === undefined && !hasSas) return { kind: 'anonymous' };
    const account = await this.account(request.target.account);
    // An unknown account looks like a wrong signature: nobody learns which accounts there are.
    const accountKeys = account?.keys ?? [];
    if (authorization !== undefined) return this.#sharedKey(request, authorization, accountKeys, nowMs);
    return this.#sas(request, accountKeys, nowMs);
  }

  async account(name: string): Promise<KnownAccount | undefined> {
    const nowMs = this.#store.clock.now();
    const cached = this.#accounts.get(name);
    if (cached !== undefined && nowMs - cached.readMs < accountCacheMs && nowMs >= cached.readMs) return cached;
    const record = await getAccount(this.#store, name);
    if (record === undefined) {
      this.#accounts.delete(name);
      return undefined;
    }
    if (this.#accounts.size >= accountsCachedMax) this.#accounts.clear();
    const keys = record.keys.map((key) => parseAccountKey(key)).filter((key) => key !== undefined);
    const known = { record, keys, readMs: nowMs };
    this.#accounts.set(name, known);
    return known;
  }

  #sharedKey(request: Credentials, authorization: string, keys: readonly AccountKey[], nowMs: number): Principal {
    if (!/^SharedKey(Lite)? /.test(authorization)) {
      // A bearer token over plain HTTP, or a scheme nobody knows.
      throw new BlobError('InvalidAuthenticationInfo');
    }
    const signed = { ...request, account: request.target.account };
    const outcome = verifySharedKey(signed, authorization, keys, nowMs, this.#skewMs);
    switch (outcome.kind) {
      case 'ok':
        return { kind: 'account-key', account: outcome.account };
      case 'signature-mismatch':
        throw authenticationFailed(
          `The MAC signature found in the HTTP request is not the same as any computed signature. Server used following string to sign: '${withoutSecrets(outcome.stringToSign)}'.`,
        );
      case 'date-skewed':
        throw authenticationFailed(`Request date header too old or too far ahead: '${outcome.date}'`);
      case 'date-missing':
        throw authenticationFailed('The Date header or the x-ms-date header is mandatory.');
      case 'wrong-account':
        throw authenticationFailed('The account of the authorization is not the account of the address.');
      case 'malformed':
        throw new BlobError('InvalidAuthenticationInfo', { AuthenticationErrorDetail: outcome.reason });
    }
  }

  async #sas(request: Credentials, keys: readonly AccountKey[], nowMs: number): Promise<Principal> {
    const sas = parseSas(request.query);
    if (sas.kind === 'none') return { kind: 'anonymous' };
    if (sas.kind === 'user-delegation') throw authenticationFailed('User delegation signatures are not served.');
    if (sas.kind === 'malformed') throw authenticationFailed(sas.detail);
    const { account, container } = request.target;
    const needsPolicy = sas.kind === 'service' && sas.identifier !== undefined && container !== undefined;
    const policies = needsPolicy ? await this.#policies(account, container) : [];
    const outcome = verifySas(sas, { account, ...resourceOf(request) }, keys, policies, {
      nowMs,
      clientIp: request.peer.address,
      protocol: request.peer.protocol,
    });
    if (outcome.kind === 'ok') return { kind: 'sas', grant: outcome.grant };
    throw sasError(outcome);
  }

  async #policies(account: string, container: string): Promise<StoredAccessPolicy[]> {
    const record = await this.container(account, container);
    return (record?.policies ?? []).map(policyOf);
  }

  container(account: string, container: string): Promise<ContainerRecord | undefined> {
    return this.#store.engine.snapshot((view) => readContainer(view, { account, container }));
  }

  /** Throws the documented refusal; answers whether only a new blob may be made. */
  async authorize(principal: Principal, action: Action, request: Credentials): Promise<{ onlyIfNew: boolean }> {
    const resource: Resource = { account: request.target.account, ...resourceOf(request) };
    if (principal.kind !== 'anonymous') return decide(principal, action, resource);
    const { container } = request.target;
    const record = container === undefined ? undefined : await this.container(resource.account, container);
    return decide(principal, action, { ...resource, ...(record && { publicAccess: record.publicAccess }) });
  }
}

function resourceOf({ target, query }: Credentials): Omit<Resource, 'account'> {
  const prefix = target.blob === undefined ? one(query, 'prefix') : undefined;
  const snapshot = one(query, 'snapshot');
  const version = one(query, 'versionid');
  return {
    ...(target.container !== undefined && { container: target.container }),
    ...(target.blob !== undefined && { blob: target.blob }),
    ...(prefix !== undefined && { prefix }),
    ...(snapshot !== undefined && { snapshot }),
    ...(version !== undefined && { version }),
  };
}

const denials: Readonly<Record<DenialReason, ErrorCode>> = {
  permission: 'AuthorizationPermissionMismatch',
  'resource-type': 'AuthorizationResourceTypeMismatch',
  scope: 'AuthorizationFailure',
  anonymous: 'NoAuthenticationInformation',
  account: 'AuthorizationFailure',
};

function decide(principal: Principal, action: Action, resource: Resource): { onlyIfNew: boolean } {
  const decision = authorize(principal, action, resource);
  switch (decision.kind) {
    case 'allowed':
      return { onlyIfNew: false };
    case 'allowed-only-if-new':
      return { onlyIfNew: true };
    case 'denied': {
      const isRead = action === 'blob/read' || action === 'container/read' || action === 'container/list';
      // What is not public does not exist for somebody who says nothing of himself.
      throw new BlobError(decision.reason === 'anonymous' && isRead ? 'ResourceNotFound' : denials[decision.reason]);
    }
  }
}

function sasError(failure: Exclude<SasOutcome, { kind: 'ok' }>): BlobError {
  const { code } = sasFailureCodes[failure.kind];
  switch (failure.kind) {
    case 'sas-ip-mismatch':
      return new BlobError(
        code,
        {},
        `This request is not authorized to perform this operation using this source IP ${failure.clientIp}.`,
      );
    case 'sas-protocol-mismatch':
    case 'sas-service-mismatch':
      return new BlobError(code);
    case 'sas-policy-conflict':
      return new BlobError(code, { QueryParameterName: failure.parameter, Reason: failure.detail });
    default:
      return new BlobError(code, { AuthenticationErrorDetail: failure.detail });
  }
}

/** What the request itself brought and no answer should repeat: a source's signature or token, a key to encrypt with. */
function withoutSecrets(stringToSign: string): string {
  return stringToSign
    .replace(/([?&]sig=)[^&\s]*/gi, '$1REDACTED')
    .replace(/^(x-ms-(?:copy-source-authorization|encryption-key)):.*$/gim, '$1:REDACTED');
}

function authenticationFailed(detail: string): BlobError {
  return new BlobError('AuthenticationFailed', { AuthenticationErrorDetail: detail });
}

function policyOf(policy: StoredPolicy): StoredAccessPolicy {
  const startMs = policy.start === undefined ? undefined : parseIsoTime(policy.start);
  const expiryMs = policy.expiry === undefined ? undefined : parseIsoTime(policy.expiry);
  return {
    id: policy.id,
    ...(startMs !== undefined && { startMs }),
    ...(expiryMs !== undefined && { expiryMs }),
    ...(policy.permission !== undefined && { permissions: policy.permission }),
  };
}
