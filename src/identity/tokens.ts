// Bearer tokens of Entra ID: whether one is what it says, by its issuer's keys, and what it says.
import { createHash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import type { Clock } from '../base/clock.ts';
import { type Fetcher, fetchJson, IssuerKeys, type TokenAlgorithm, tokenAlgorithms } from './jwks.ts';

/** What is kept of a token: never the token. */
export interface TokenIdentity {
  /** Object id of the user, service principal or managed identity. */
  readonly oid: string;
  readonly tid: string;
  readonly sub: string | undefined;
  /** The application that the token was given to. */
  readonly appId: string | undefined;
  readonly groups: readonly string[];
  /** The principal is in more groups than a token can name: group assignments do not reach it. */
  readonly groupsOverflow: boolean;
  /** Roles of the application, not of the account: shown, never decided by. */
  readonly appRoles: readonly string[];
  readonly upn: string | undefined;
  readonly idtyp: string | undefined;
  /** Resource id of the machine or service that a managed identity belongs to. */
  readonly managedIdentity: string | undefined;
  readonly audience: readonly string[];
  readonly expiresMs: number;
}

export type TokenOutcome =
  | { readonly kind: 'ok'; readonly identity: TokenIdentity }
  | { readonly kind: 'refused'; readonly detail: string }
  /** The issuer's keys cannot be had: nobody gets in, and it may be otherwise soon. */
  | { readonly kind: 'unavailable'; readonly detail: string };

export interface TokenSettings {
  /** Tenants whose tokens are believed; none: no token is. */
  readonly entraTenants: readonly string[];
  /** Where their discovery documents are. */
  readonly entraAuthority: string;
  readonly clockSkewMs: number;
}

const tokenCharactersMax = 16 * 1024;
const skewMsMax = 5 * 60_000;
/** A token that was verified is believed this long without looking at it again: so long a withdrawn key may work on. */
const keptMsMax = 2 * 60_000;
const keptMax = 4096;
const groupsMax = 512;
const tokenForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const guid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** The Azure Storage application: what version 2 tokens have for an audience. */
const storageApplication = 'e406a681-f3d4-42a8-90b6-c2b029497af1';
const storageResource = 'https://storage.azure.com';

interface Kept {
  readonly identity: TokenIdentity;
  readonly notBeforeMs: number;
  readonly untilMs: number;
}

export class TokenVerifier {
  readonly #authority: string;
  readonly #skewMs: number;
  readonly #clock: Clock;
  /** By tenant, the issuers of version 1 and of version 2 tokens. */
  readonly #issuers = new Map<string, { readonly v1: IssuerKeys; readonly v2: IssuerKeys }>();
  readonly #kept = new Map<string, Kept>();

  constructor(settings: TokenSettings, clock: Clock, fetcher: Fetcher = fetchJson) {
    this.#authority = settings.entraAuthority.replace(/\/+$/, '');
    this.#skewMs = Math.min(settings.clockSkewMs, skewMsMax);
    this.#clock = clock;
    for (const given of settings.entraTenants) {
      const tenant = given.toLowerCase();
      const keysAt = (path: string): IssuerKeys =>
        new IssuerKeys(`${this.#authority}/${tenant}${path}/.well-known/openid-configuration`, tenant, clock, fetcher);
      this.#issuers.set(tenant, { v1: keysAt(''), v2: keysAt('/v2.0') });
    }
  }

  /** For `WWW-Authenticate`: where a client without a (good) token is sent; undefined where no tokens are taken. */
  get challenge(): string | undefined {
    const [tenant] = this.#issuers.keys();
    if (tenant === undefined) return undefined;
    return `Bearer authorization_uri=${this.#authority}/${tenant}/oauth2/authorize resource_id=${storageResource}`;
  }

  async verify(token: string, isAudience: (audience: string) => boolean): Promise<TokenOutcome> {
    if (token.length > tokenCharactersMax || !tokenForm.test(token)) return refused('The token is not well formed.');
    const digest = createHash('sha256').update(token).digest('base64');
    const nowMs = this.#clock.now();
    let kept = this.#kept.get(digest);
    if (kept === undefined || nowMs >= kept.untilMs || nowMs < kept.notBeforeMs) {
      this.#kept.delete(digest);
      const fresh = await this.#verifyFresh(token);
      if ('kind' in fresh) return fresh;
      kept = fresh;
      const [oldest] = this.#kept.keys();
      if (this.#kept.size >= keptMax && oldest !== undefined) this.#kept.delete(oldest);
      this.#kept.set(digest, kept);
    }
    const { identity } = kept;
    if (!identity.audience.some(isAudience)) return refused('Audience validation failed. Audience did not match.');
    return { kind: 'ok', identity };
  }

  async #verifyFresh(token: string): Promise<Kept | Exclude<TokenOutcome, { kind: 'ok' }>> {
    let algorithm: TokenAlgorithm | undefined;
    let kid: string | undefined;
    let unverified: JWTPayload;
    try {
      const header = decodeProtectedHeader(token);
      algorithm = tokenAlgorithms.find((one) => one === header.alg);
      kid = header.kid;
      unverified = decodeJwt(token);
    } catch {
      return refused('The token is not well formed.');
    }
    // "none" and every HMAC end here: a public key is no secret.
    if (algorithm === undefined) return refused('Signature validation failed. The algorithm is not supported.');
    if (typeof kid !== 'string') return refused('Signature validation failed. The token names no key.');
    const tenant = text(unverified.tid)?.toLowerCase();
    const issuers = tenant === undefined ? undefined : this.#issuers.get(tenant);
    if (issuers === undefined || tenant === undefined) return refused(issuerMismatch);
    const issuer = unverified.ver === '2.0' ? issuers.v2 : issuers.v1;
    const found = await issuer.key(kid, algorithm);
    if (found.kind === 'unavailable') return { kind: 'unavailable', detail: found.detail };
    if (found.kind === 'unknown-key') return refused('Signature validation failed. Signature key not found.');
    const nowMs = this.#clock.now();
    try {
      const { payload } = await jwtVerify(token, found.key, {
        algorithms: [algorithm],
        issuer: found.issuer,
        clockTolerance: this.#skewMs / 1000,
        currentDate: new Date(nowMs),
        requiredClaims: ['exp', 'nbf', 'aud', 'iss', 'oid', 'tid'],
      });
      return this.#keep(payload, tenant, nowMs);
    } catch (error) {
      return refused(reasonOf(error));
    }
  }

  #keep(payload: JWTPayload, tenant: string, nowMs: number): Kept | Exclude<TokenOutcome, { kind: 'ok' }> {
    const oid = text(payload.oid)?.toLowerCase();
    if (oid === undefined || !guid.test(oid)) return refused('The token names no object.');
    const names = payload._claim_names;
    // Over 200 groups Entra ID names none of them ("groups overage claim"), or says so by `hasgroups`.
    const groupsOverflow =
      (typeof names === 'object' && names !== null && 'groups' in names) || payload.hasgroups === true;
    const expiresMs = (payload.exp as number) * 1000;
    return {
      identity: {
        oid,
        tid: tenant,
        sub: text(payload.sub),
        appId: text(payload.appid) ?? text(payload.azp),
        groups: groupsOverflow ? [] : list(payload.groups).map((group) => group.toLowerCase()),
        groupsOverflow,
        appRoles: list(payload.roles),
        upn: text(payload.upn) ?? text(payload.preferred_username),
        idtyp: text(payload.idtyp),
        managedIdentity: text(payload.xms_mirid),
        audience: [payload.aud ?? []].flat(),
        expiresMs,
      },
      notBeforeMs: (payload.nbf as number) * 1000 - this.#skewMs,
      untilMs: Math.min(nowMs + keptMsMax, expiresMs + this.#skewMs),
    };
  }
}

/**
 * What a token must be meant for: storage as such, or this account. The host of the request does not count: whoever holds
 * a token that was made for another service could name that service there. Other names of this server are configured.
 */
export function audienceOf(account: string, configured: readonly string[]): (audience: string) => boolean {
  return (audience) => {
    if (audience === storageApplication) return true;
    const named = audience.toLowerCase().replace(/\/$/, '');
    return (
      named === storageResource ||
      named === `https://${account}.blob.core.windows.net` ||
      named === `https://${account}.dfs.core.windows.net` ||
      configured.some((one) => named === one.replaceAll('{account}', account).toLowerCase().replace(/\/$/, ''))
    );
  };
}

const issuerMismatch = 'Issuer validation failed. Issuer did not match.';

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'Lifetime validation failed. The token is expired.';
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return 'Signature validation failed. Signature verification failed.';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'iss') return issuerMismatch;
    if (error.claim === 'nbf' && error.reason === 'check_failed')
      return 'Lifetime validation failed. The token is not yet valid.';
    return `The claim ${error.claim} is missing or not valid.`;
  }
  if (error instanceof errors.JOSEError) return 'The token is not well formed.';
  throw error;
}

function refused(detail: string): { readonly kind: 'refused'; readonly detail: string } {
  return { kind: 'refused', detail };
}

function text(claim: unknown): string | undefined {
  return typeof claim === 'string' && claim !== '' && claim.length <= 1024 ? claim : undefined;
}

function list(claim: unknown): string[] {
  if (!Array.isArray(claim)) return [];
  return claim.filter((one): one is string => text(one) !== undefined).slice(0, groupsMax);
}
