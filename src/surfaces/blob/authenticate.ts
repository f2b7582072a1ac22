// Who sends a request, and may they: Shared Key, SAS, token or nobody, then the one decision of identity/authorize.ts.
import { createSecretKey } from 'node:crypto';
import { parseIsoTime } from '../../codec/http-date.ts';
import type { AccountKey } from '../../identity/account-key.ts';
import type { Action, Resource } from '../../identity/actions.ts';
import type { Access, Holder } from '../../identity/assignments.ts';
import {
  authorize,
  type Decision,
  type DenialReason,
  type EntraPrincipal,
  type Principal,
} from '../../identity/authorize.ts';
import { delegationKeyValue } from '../../identity/delegation-key.ts';
import { type AnySas, type DelegationKeyFields, parseSas } from '../../identity/sas.ts';
import { verifySharedKey } from '../../identity/shared-key.ts';
import { audienceOf, type TokenSettings, TokenVerifier } from '../../identity/tokens.ts';
import {
  type Delegation,
  type SasOutcome,
  type StoredAccessPolicy,
  sasFailureCodes,
  verifySas,
} from '../../identity/verify-sas.ts';
import { signsAsBefore } from '../../identity/version-differences.ts';
import { readBlobFacts } from '../../namespace/blob-facts.ts';
import { readContainer } from '../../namespace/containers.ts';
import { delegatorGroups } from '../../namespace/delegation.ts';
import type { AccessRecord, ContainerRecord, StoredPolicy } from '../../namespace/records.ts';
import type { BlobFacts, Permit } from '../../namespace/states.ts';
import type { Awaitable, Store } from '../../namespace/store.ts';
import { type Allowed, bothAllowed } from './allowed.ts';
import type { Peer } from './call.ts';
import { BlobError, type ErrorCode } from './errors.ts';
import { type KnownAccount, KnownAccounts } from './known-accounts.ts';
import type { Query, Target } from './request.ts';
import { furtherActions, requestFacts, resourceOf, type Sets, stateOf } from './request-facts.ts';

export interface Credentials {
  readonly method: string;
  readonly rawPath: string;
  readonly query: Query;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Names and values in turn, where they are known: of two of one name, `headers` has one. */
  readonly rawHeaders?: readonly string[];
  readonly target: Target;
  readonly peer: Peer;
  /** That the request is served as. */
  readonly version: string;
}

export interface AuthenticatorSettings extends TokenSettings {
  /** Further audiences that tokens may be made out to; `{account}` stands for the account's name. */
  readonly entraAudiences: readonly string[];
}

const setsNothing: Sets = {};
const noAccess: AccessRecord = { assignments: [], roles: [] };
const onlyIfNewToo = { onlyIfNew: true } as const;
const notOnlyIfNew = { onlyIfNew: false } as const;

/** `known` is the account of the request as it was when the request came: see `enter`. */
export class Authenticator {
  readonly #store: Store;
  readonly #settings: AuthenticatorSettings;
  readonly #tokens: TokenVerifier;
  readonly #accounts: KnownAccounts;

  constructor(store: Store, settings: AuthenticatorSettings) {
    this.#store = store;
    this.#settings = settings;
    this.#accounts = new KnownAccounts(store);
    this.#tokens = new TokenVerifier(settings, store.wallClock);
  }

  /** What a 401 says of where tokens are had; undefined where none are taken. */
  get challenge(): string | undefined {
    return this.#tokens.challenge;
  }

  /**
   * The account as it is now, undefined where there is none. Throws for an address that it does not let in: before the
   * request is told anything else.
   */
  enter(account: string, peer: Peer): Awaitable<KnownAccount | undefined> {
    const known = this.#accounts.read(account);
    return known instanceof Promise ? known.then((read) => admitted(read, peer)) : admitted(known, peer);
  }

  /** Throws `BlobError` for credentials that are wrong; none at all is somebody anonymous. */
  principal(known: KnownAccount | undefined, request: Credentials): Awaitable<Principal> {
    const authorization = authorizationOf(request);
    const sas = parseSas(request.query);
    if (authorization !== undefined) {
      // The header decides. Only a signature that is bound to a user is more than the token that comes with it.
      if (!isBearer(authorization)) return this.#sharedKey(known, request, authorization);
      if (sas.kind !== 'delegated' || sas.userOid === undefined) return this.#bearer(request, authorization);
    }
    switch (sas.kind) {
      case 'none':
        return { kind: 'anonymous' };
      case 'malformed':
        throw authenticationFailed(sas.detail);
      default:
        return this.#sas(known, request, sas, authorization);
    }
  }

  #sharedKey(known: KnownAccount | undefined, request: Credentials, authorization: string): Principal {
    if (!/^SharedKey(Lite)? /.test(authorization)) throw new BlobError('InvalidAuthenticationInfo');
    refuseKeys(known);
    const signed = { ...request, account: request.target.account };
    // An unknown account looks like a wrong signature: nobody learns which accounts there are.
    const keys = known?.keys ?? [];
    const outcome = verifySharedKey(
      signed,
      authorization,
      keys,
      this.#store.wallClock.now(),
      this.#settings.clockSkewMs,
    );
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

  async #bearer({ peer, target }: Credentials, authorization: string): Promise<EntraPrincipal> {
    // Whoever sees a token has it. Only within one machine nobody else does.
    if (peer.protocol !== 'https' && peer.isLoopback !== true)
      throw authenticationFailed('Authentication scheme Bearer is not allowed with HTTP.');
    const token = authorization.slice('Bearer'.length).trim();
    const isAudience = audienceOf(target.account, this.#settings.entraAudiences);
    const outcome = await this.#tokens.verify(token, isAudience);
    switch (outcome.kind) {
      case 'ok': {
        const { oid, tid, groups, appId, appRoles, upn } = outcome.identity;
        return {
          kind: 'entra',
          oid,
          tid,
          groups,
          appRoles,
          ...(appId !== undefined && { appId }),
          ...(upn !== undefined && { upn }),
        };
      }
      case 'refused':
        throw new BlobError(
          'InvalidAuthenticationInfo',
          { AuthenticationErrorDetail: outcome.detail },
          'Server failed to authenticate the request. Please refer to the information in the www-authenticate header.',
          {},
          401,
        );
      case 'unavailable':
        throw new BlobError(
          'ServerBusy',
          { Reason: outcome.detail },
          'The keys of the issuer of the token cannot be had at the moment. Please retry your request.',
        );
    }
  }

  #sas(
    known: KnownAccount | undefined,
    request: Credentials,
    sas: AnySas,
    authorization: string | undefined,
  ): Awaitable<Principal> {
    if (sas.kind === 'delegated') return this.#delegated(known, request, sas, authorization);
    refuseKeys(known);
    const { account, container } = request.target;
    if (sas.kind === 'service' && sas.identifier !== undefined && container !== undefined) {
      return this.#policies(account, container).then((policies) => this.#signed(known, request, sas, policies));
    }
    return this.#signed(known, request, sas, []);
  }

  #signed(
    known: KnownAccount | undefined,
    request: Credentials,
    sas: AnySas,
    policies: readonly StoredAccessPolicy[],
  ): Principal {
    const outcome = this.#verify(request, sas, known?.keys ?? [], policies);
    if (outcome.kind !== 'ok') throw sasError(outcome);
    return { kind: 'sas', grant: outcome.grant };
  }

  #verify(
    request: Credentials,
    sas: AnySas,
    keys: readonly AccountKey[],
    policies: readonly StoredAccessPolicy[],
  ): SasOutcome {
    return verifySas(sas, resourceOf(request), keys, policies, {
      nowMs: this.#store.wallClock.now(),
      clientIp: request.peer.address,
      protocol: request.peer.protocol,
      headers: request.headers,
      query: request.query,
    });
  }

  async #delegated(
    known: KnownAccount | undefined,
    request: Credentials,
    sas: Extract<AnySas, { kind: 'delegated' }>,
    authorization: string | undefined,
  ): Promise<Principal> {
    const { account } = request.target;
    const secret = known?.record.delegationSecret;
    const outcome = this.#verify(request, sas, delegationKeys(secret, account, sas.key), []);
    if (outcome.kind !== 'ok') throw sasError(outcome);
    const { grant } = outcome;
    if (grant.delegation === undefined) return { kind: 'sas', grant };
    await this.#checkBound(request, grant.delegation, authorization);
    return { kind: 'sas', grant, delegators: await this.#delegators(account, grant.delegation) };
  }

  /** A signature that is bound to a user is of no use to whoever does not hold a token of that user. */
  async #checkBound(request: Credentials, { boundTo }: Delegation, authorization: string | undefined): Promise<void> {
    if (boundTo === undefined) return;
    if (authorization === undefined) throw authenticationFailed('The signature needs a token of the user in sduoid.');
    const bearer = await this.#bearer(request, authorization);
    if (bearer.oid !== boundTo.oid || bearer.tid !== boundTo.tid)
      throw authenticationFailed('The token is not of the user that the signature is bound to.');
  }

  /** All of them must be allowed: who made the signature, and whom it was made for without having been checked. */
  async #delegators(account: string, { oid, unauthorizedOid }: Delegation): Promise<Holder[]> {
    const nowMs = this.#store.wallClock.now();
    const groups = await this.#store.engine.snapshot((view) => delegatorGroups(view, account, oid, nowMs));
    const delegator = { oid, groups };
    return unauthorizedOid === undefined ? [delegator] : [delegator, { oid: unauthorizedOid, groups: [] }];
  }

  async #policies(account: string, container: string): Promise<StoredAccessPolicy[]> {
    const record = await this.container(account, container);
    return (record?.policies ?? []).map(policyOf);
  }

  container(account: string, container: string): Promise<ContainerRecord | undefined> {
    return this.#store.engine.snapshot((view) => readContainer(view, { account, container }));
  }

  /** Throws the documented refusal. */
  authorize(
    known: KnownAccount | undefined,
    principal: Principal,
    action: Action,
    request: Credentials,
    sets: Sets = setsNothing,
  ): Awaitable<Allowed> {
    // Most requests are of a key: what it may do is known at once.
    const isPlain =
      principal.kind === 'account-key' || (principal.kind === 'sas' && principal.delegators === undefined);
    const isPublic = known?.record.settings?.publicAccess !== false;
    if (isPlain && isPublic) {
      const further = furtherActions(request, action, sets);
      if (further.length === 0) {
        return enforce(authorize(principal, action, resourceOf(request)), principal) ? onlyIfNewToo : notOnlyIfNew;
      }
    }
    return this.#authorize(known, principal, action, request, sets);
  }

  async #authorize(
    known: KnownAccount | undefined,
    principal: Principal,
    action: Action,
    request: Credentials,
    sets: Sets,
  ): Promise<Allowed> {
    const resource = resourceOf(request);
    const isPublic = known?.record.settings?.publicAccess !== false;
    const further = furtherActions(request, action, sets);
    if (principal.kind === 'anonymous') {
      const decided = await this.#anonymous(principal, action, resource, isPublic);
      // Tags are never public: who reads for nothing must not ask by them either.
      for (const one of further) await this.#anonymous(principal, one, resource, isPublic);
      return decided;
    }
    const isByRole = principal.kind === 'entra' || (principal.kind === 'sas' && principal.delegators !== undefined);
    let allowed: Allowed = notOnlyIfNew;
    for (const one of [action, ...further]) {
      const next = isByRole
        ? await this.#byRole(known, principal, one, resource, request, sets)
        : { onlyIfNew: enforce(authorize(principal, one, resource), principal) };
      allowed = bothAllowed(allowed, next);
    }
    if (!isPublic && (action === 'container/create' || action === 'container/set-acl')) refusePublic(request.headers);
    return allowed;
  }

  async #byRole(
    known: KnownAccount | undefined,
    principal: Principal,
    action: Action,
    resource: Resource,
    request: Credentials,
    sets: Sets,
  ): Promise<Allowed> {
    const { assignments, roles } =
      known === undefined ? noAccess : await this.#accounts.access(resource.account, known);
    const asked = await requestFacts(request, sets);
    const access: Access = { assignments, roles, request: asked, nowMs: this.#store.wallClock.now() };
    const decision = authorize(principal, action, resource, access);
    const { account, container, blob } = resource;
    if (decision.kind !== 'needs-blob' || container === undefined || blob === undefined) {
      return { onlyIfNew: enforce(decision, principal) };
    }
    const at = stateOf(resource);
    const name = { account, container, blob, ...(at && { at }) };
    const given = (facts: BlobFacts): Decision => authorize(principal, action, resource, { ...access, blob: facts });
    // Told before a body is taken in; what is acted on is decided about where it is opened.
    const onlyIfNew = enforce(given(await readBlobFacts(this.#store, name)), principal);
    return { onlyIfNew, permit: (facts) => permitted(given(facts)) };
  }

  async #anonymous(principal: Principal, action: Action, resource: Resource, isPublic: boolean) {
    const { account, container } = resource;
    const record = container === undefined ? undefined : await this.container(account, container);
    const level = record?.publicAccess ?? 'none';
    const decision = authorize(principal, action, { ...resource, publicAccess: isPublic ? level : 'none' });
    if (decision.kind !== 'denied') return { onlyIfNew: enforce(decision, principal) };
    if (level !== 'none' && !isPublic) throw new BlobError('PublicAccessNotPermitted');
    const isRead = action === 'blob/read' || action === 'container/read' || action === 'container/list';
    // What is not public does not exist for somebody who says nothing of himself, unless he could get himself a token.
    if (isRead && this.challenge === undefined) throw new BlobError('ResourceNotFound');
    return { onlyIfNew: enforce(decision, principal) };
  }
}

function admitted(known: KnownAccount | undefined, peer: Peer): KnownAccount | undefined {
  if (known !== undefined && !known.network.admits(peer.address)) throw new BlobError('AuthorizationFailure');
  return known;
}

/** The one `Authorization`; two of them are refused, for the rest of the way might believe the other. */
function authorizationOf({ headers, rawHeaders = [] }: Credentials): string | undefined {
  if (headers.authorization === undefined) return undefined;
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]?.toLowerCase() === 'authorization') count++;
  if (count > 1) {
    const detail = 'There is more than one Authorization header.';
    throw new BlobError('InvalidAuthenticationInfo', { AuthenticationErrorDetail: detail });
  }
  return headers.authorization;
}

const isBearer = (authorization: string): boolean => /^Bearer(?: |$)/i.test(authorization);

function delegationKeys(secret: string | undefined, account: string, fields: DelegationKeyFields): AccountKey[] {
  if (secret === undefined) return [];
  return [createSecretKey(delegationKeyValue(Buffer.from(secret, 'base64'), account, fields))];
}

function refuseKeys(known: KnownAccount | undefined): void {
  if (known?.record.settings?.sharedKeyAccess === false) throw new BlobError('KeyBasedAuthenticationNotPermitted');
}

function refusePublic(headers: Credentials['headers']): void {
  if ((headers['x-ms-blob-public-access'] ?? '') !== '') throw new BlobError('PublicAccessNotPermitted');
}

const denials: Readonly<Record<DenialReason, ErrorCode>> = {
  permission: 'AuthorizationPermissionMismatch',
  'resource-type': 'AuthorizationResourceTypeMismatch',
  scope: 'AuthorizationFailure',
  anonymous: 'NoAuthenticationInformation',
  account: 'AuthorizationFailure',
  role: 'AuthorizationPermissionMismatch',
  'token-only': 'AuthenticationFailed',
};

function permitted({ kind }: Decision): ReturnType<Permit> {
  if (kind === 'allowed') return kind;
  return kind === 'allowed-only-if-new' ? 'only-if-new' : 'denied';
}

/** Throws for what is denied; answers whether only something new may be made. */
function enforce(decision: Decision, principal: Principal): boolean {
  switch (decision.kind) {
    case 'allowed':
      return false;
    case 'allowed-only-if-new':
      return true;
    case 'needs-blob':
      // Asked for again although it was given: nothing was allowed.
      throw new BlobError('AuthorizationPermissionMismatch');
    case 'denied':
      if (decision.reason === 'token-only')
        throw authenticationFailed('Only authentication scheme Bearer is supported');
      // Older signatures were told that there is nothing.
      if (principal.kind === 'sas' && signsAsBefore(principal.grant.version, 'refusals'))
        throw new BlobError('ResourceNotFound');
      throw new BlobError(denials[decision.reason]);
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
    .replace(/^(x-ms-(?:copy-source-authorization|(?:source-)?encryption-key)):.*$/gim, '$1:REDACTED');
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
