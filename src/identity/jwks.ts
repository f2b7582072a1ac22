// The public keys of an issuer: found through its discovery document, kept, rolled over; with a bound on every wait and size.
import { type CryptoKey, importJWK, type JWK } from 'jose';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';

export const tokenAlgorithms = ['RS256', 'PS256', 'ES256'] as const;
export type TokenAlgorithm = (typeof tokenAlgorithms)[number];

export type KeyOutcome =
  | { readonly kind: 'key'; readonly key: CryptoKey; readonly issuer: string }
  /** The issuer publishes no such key. */
  | { readonly kind: 'unknown-key' }
  /** The issuer is not reached, or answers what is none of its documents. */
  | { readonly kind: 'unavailable'; readonly detail: string };

/** GETs a document of an issuer as JSON. Throws for whatever goes wrong. */
export type Fetcher = (url: string) => Promise<unknown>;

const fetchTimeoutMs = 5000;
const documentBytesMax = 512 * 1024;
const keysMax = 100;
/** Keys are looked at again after this time, so that one that was withdrawn is forgotten. */
const refreshMs = 60 * 60_000;
/** While the issuer cannot be reached, keys of this age are still believed. */
const keptMsMax = 24 * 60 * 60_000;
/** An unknown key makes this server ask again, but no oftener than this, however many tokens name one. */
export const refetchPauseMs = 30_000;

const discoverySchema = z.object({ issuer: z.string().min(1).max(512), jwks_uri: z.string().min(1).max(2048) });
const keySchema = z.looseObject({
  kty: z.enum(['RSA', 'EC']),
  kid: z.string().min(1).max(256),
  use: z.literal('sig').optional(),
  alg: z.enum(tokenAlgorithms).optional(),
  /** Microsoft's sets hold keys of several issuers, and say whose. */
  issuer: z.string().max(512).optional(),
});
const setSchema = z.object({ keys: z.array(z.unknown()).max(keysMax) });
type Published = z.infer<typeof keySchema>;

interface Keys {
  readonly issuer: string;
  readonly published: ReadonlyMap<string, Published>;
  readonly imported: Map<string, CryptoKey>;
  readonly fetchedMs: number;
}

/** The keys of one issuer. */
export class IssuerKeys {
  readonly #discoveryUrl: string;
  readonly #tenant: string;
  readonly #clock: Clock;
  readonly #fetch: Fetcher;
  #keys: Keys | undefined;
  #triedMs = Number.NEGATIVE_INFINITY;
  #problem = 'nothing was fetched yet';
  #fetching: Promise<void> | undefined;

  constructor(discoveryUrl: string, tenant: string, clock: Clock, fetcher: Fetcher = fetchJson) {
    this.#discoveryUrl = discoveryUrl;
    this.#tenant = tenant;
    this.#clock = clock;
    this.#fetch = fetcher;
  }

  async key(kid: string, algorithm: TokenAlgorithm): Promise<KeyOutcome> {
    const age = this.#clock.now() - (this.#keys?.fetchedMs ?? Number.NEGATIVE_INFINITY);
    if (age >= refreshMs || age < 0 || this.#keys?.published.has(kid) !== true) await this.#refetch();
    const keys = this.#keys;
    const nowMs = this.#clock.now();
    if (keys === undefined || nowMs - keys.fetchedMs >= keptMsMax)
      return { kind: 'unavailable', detail: this.#problem };
    const published = keys.published.get(kid);
    if (published === undefined) return { kind: 'unknown-key' };
    if (published.alg !== undefined && published.alg !== algorithm) return { kind: 'unknown-key' };
    const { issuer } = keys;
    if (published.issuer !== undefined && !namesIssuer(published.issuer, issuer, this.#tenant))
      return { kind: 'unknown-key' };
    const id = `${algorithm} ${kid}`;
    let key = keys.imported.get(id);
    if (key === undefined) {
      try {
        key = (await importJWK(published as JWK, algorithm)) as CryptoKey;
      } catch {
        // A key of another kind than the algorithm's.
        return { kind: 'unknown-key' };
      }
      keys.imported.set(id, key);
    }
    return { kind: 'key', key, issuer };
  }

  /** Asks again, unless that was tried a moment ago; whoever comes meanwhile waits for the same answer. */
  async #refetch(): Promise<void> {
    const nowMs = this.#clock.now();
    if (this.#fetching === undefined && nowMs - this.#triedMs >= 0 && nowMs - this.#triedMs < refetchPauseMs) return;
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = undefined;
    });
    await this.#fetching;
  }

  async #load(): Promise<void> {
    this.#triedMs = this.#clock.now();
    try {
      const discovery = discoverySchema.parse(await this.#fetch(this.#discoveryUrl));
      // The document decides which `iss` is believed: it may speak for the tenant that was asked for, and for no other.
      if (!discovery.issuer.toLowerCase().split('/').includes(this.#tenant)) {
        throw new Error('the discovery document names the issuer of another tenant');
      }
      if (!isSecureLike(this.#discoveryUrl, discovery.jwks_uri)) throw new Error('the keys are not offered by https');
      const { keys } = setSchema.parse(await this.#fetch(discovery.jwks_uri));
      const published = new Map<string, Published>();
      for (const one of keys) {
        // Keys for other uses, and kinds that are not taken here, stand in the same set.
        const key = keySchema.safeParse(one);
        if (key.success && !Object.hasOwn(key.data, 'd')) published.set(key.data.kid, key.data);
      }
      if (published.size === 0) throw new Error('the issuer offers no key that can be used');
      this.#keys = { issuer: discovery.issuer, published, imported: new Map(), fetchedMs: this.#clock.now() };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? ((error as Error).cause as NodeJS.ErrnoException)?.code;
      this.#problem = code ?? (error instanceof z.ZodError ? 'not the expected document' : (error as Error).message);
    }
  }
}

function namesIssuer(written: string, issuer: string, tenant: string): boolean {
  return written.replace('{tenantid}', tenant).toLowerCase() === issuer.toLowerCase();
}

/** The keys come the way the document came, or better. */
function isSecureLike(discoveryUrl: string, keysUrl: string): boolean {
  const keys = URL.parse(keysUrl);
  if (keys?.protocol === 'https:') return true;
  const discovery = new URL(discoveryUrl);
  return keys?.protocol === 'http:' && discovery.protocol === 'http:' && keys.hostname === discovery.hostname;
}

export async function fetchJson(url: string): Promise<unknown> {
  const answer = await fetch(url, {
    headers: { Accept: 'application/json' },
    // Where a redirect leads nobody has trusted.
    redirect: 'error',
    signal: AbortSignal.timeout(fetchTimeoutMs),
  });
  if (answer.status !== 200 || answer.body === null) {
    await answer.body?.cancel();
    throw new Error(`the issuer answered with the status ${answer.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.length;
    if (bytes > documentBytesMax) throw new Error('the document of the issuer is too long');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}
