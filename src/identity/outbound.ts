// Tokens with which this server asks others for something: a client secret, a certificate, a projected token, or IMDS.
import { readFileSync } from 'node:fs';
import type { AccessToken, GetTokenOptions, TokenCredential, TokenCredentialOptions } from '@azure/identity';
import { type Clock, systemClock } from '../base/clock.ts';

interface Registered {
  readonly tenantId: string;
  readonly clientId: string;
  /** Another cloud, or a stand-in; https only. */
  readonly authorityHost?: string;
  /** PEM of who signs for `authorityHost`, where the system does not know it. */
  readonly caFile?: string;
}

export type OutboundIdentity =
  /** The secret stands in a file of its own, and is read again for each new token: it may be rotated there. */
  | ({ readonly kind: 'client-secret'; readonly secretFile: string } & Registered)
  /** PEM: the certificate and its private key. */
  | ({ readonly kind: 'certificate'; readonly certificateFile: string } & Registered)
  /** The token that the platform projects into a file, and renews there. */
  | ({ readonly kind: 'workload-identity'; readonly tokenFile: string } & Registered)
  /** `clientId` is that of a user-assigned identity; without it the system's own is asked for. */
  | { readonly kind: 'managed-identity'; readonly clientId?: string };

export interface TokenSource {
  token(scope: string, signal?: AbortSignal): Promise<{ readonly token: string; readonly expiresMs: number }>;
}

/** A new token is asked for this long before the old one ends; until then a failure costs nothing. */
const refreshEarlyMs = 5 * 60_000;
/** After a failed refresh the next one waits, while the old token is still good. */
const refreshPauseMs = 30_000;
const tokensMax = 64;

/**
 * A credential as Azure's clients take it. It asks once for however many wait, keeps a token until shortly before its
 * end, and goes on with the old one while the other side cannot give a new one. Nothing is loaded or asked before the
 * first token is wanted. Rejects with the error of `@azure/identity`, which names no secret.
 */
export function createTokenSource(
  identity: OutboundIdentity,
  clock: Clock = systemClock,
  open: (identity: OutboundIdentity) => Promise<TokenCredential> = openCredential,
): TokenCredential & TokenSource {
  return new CachedCredential(identity, clock, open);
}

interface Kept {
  current: AccessToken | undefined;
  asking: Promise<AccessToken> | undefined;
  retryMs: number;
}

class CachedCredential implements TokenCredential, TokenSource {
  readonly #identity: OutboundIdentity;
  readonly #clock: Clock;
  readonly #open: (identity: OutboundIdentity) => Promise<TokenCredential>;
  readonly #kept = new Map<string, Kept>();

  constructor(
    identity: OutboundIdentity,
    clock: Clock,
    open: (identity: OutboundIdentity) => Promise<TokenCredential>,
  ) {
    this.#identity = identity;
    this.#clock = clock;
    this.#open = open;
  }

  async token(scope: string, signal?: AbortSignal): Promise<{ readonly token: string; readonly expiresMs: number }> {
    const { token, expiresOnTimestamp } = await this.getToken(scope, signal && { abortSignal: signal });
    return { token, expiresMs: expiresOnTimestamp };
  }

  async getToken(scopes: string | string[], options: GetTokenOptions = {}): Promise<AccessToken> {
    // A challenge with claims wants a token that no cache has.
    if (options.claims !== undefined) return await this.#ask(scopes, options);
    const key = JSON.stringify([[scopes].flat(), options.tenantId ?? '']);
    let kept = this.#kept.get(key);
    if (kept === undefined) {
      if (this.#kept.size >= tokensMax) this.#kept.clear();
      kept = { current: undefined, asking: undefined, retryMs: 0 };
      this.#kept.set(key, kept);
    }
    const nowMs = this.#clock.now();
    const { current } = kept;
    if (current !== undefined && nowMs < refreshMs(current)) return current;
    if (current !== undefined && nowMs < current.expiresOnTimestamp) {
      // Good for a while yet: nobody waits for its successor.
      if (kept.asking === undefined && nowMs >= kept.retryMs)
        this.#refresh(kept, scopes, options).catch(() => undefined);
      return current;
    }
    return await abortable(kept.asking ?? this.#refresh(kept, scopes, options), options.abortSignal);
  }

  async #refresh(kept: Kept, scopes: string | string[], options: GetTokenOptions): Promise<AccessToken> {
    // One that waits may go away; the others still want the token.
    const { abortSignal: _, ...rest } = options;
    kept.asking = this.#ask(scopes, rest);
    try {
      kept.current = await kept.asking;
      return kept.current;
    } catch (error) {
      kept.retryMs = this.#clock.now() + refreshPauseMs;
      throw error;
    } finally {
      kept.asking = undefined;
    }
  }

  async #ask(scopes: string | string[], options: GetTokenOptions): Promise<AccessToken> {
    // A new credential each time: what it reads from files (a secret, a certificate) may have been replaced.
    const token = await (await this.#open(this.#identity)).getToken(scopes, options);
    if (token === null) throw new Error('the identity has no token for this scope');
    return token;
  }
}

function refreshMs({ refreshAfterTimestamp, expiresOnTimestamp }: AccessToken): number {
  return Math.min(refreshAfterTimestamp ?? Number.POSITIVE_INFINITY, expiresOnTimestamp - refreshEarlyMs);
}

async function abortable<T>(work: Promise<T>, signal: GetTokenOptions['abortSignal']): Promise<T> {
  if (signal === undefined) return await work;
  work.catch(() => undefined);
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(new DOMException('The wait for a token was given up.', 'AbortError'));
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** The credential of `@azure/identity`, which is loaded only now: it is large, and few servers need it. */
async function openCredential(identity: OutboundIdentity): Promise<TokenCredential> {
  const azure = await import('@azure/identity');
  if (identity.kind === 'managed-identity') {
    const { clientId } = identity;
    return clientId === undefined
      ? new azure.ManagedIdentityCredential()
      : new azure.ManagedIdentityCredential({ clientId });
  }
  const { tenantId, clientId, authorityHost, caFile } = identity;
  const options: TokenCredentialOptions & { disableInstanceDiscovery?: boolean } = {
    // An authority that was named is meant: Microsoft's is not asked whether it knows it.
    ...(authorityHost !== undefined && { authorityHost, disableInstanceDiscovery: true }),
    ...(caFile !== undefined && { tlsOptions: { ca: readFileSync(caFile, 'utf8') } }),
  };
  switch (identity.kind) {
    case 'client-secret': {
      const secret = readFileSync(identity.secretFile, 'utf8').trim();
      return new azure.ClientSecretCredential(tenantId, clientId, secret, options);
    }
    case 'certificate':
      return new azure.ClientCertificateCredential(
        tenantId,
        clientId,
        { certificatePath: identity.certificateFile },
        options,
      );
    case 'workload-identity':
      return new azure.WorkloadIdentityCredential({
        tenantId,
        clientId,
        tokenFilePath: identity.tokenFile,
        ...options,
      });
  }
}
