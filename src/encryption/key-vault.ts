// Keys of customers in Azure Key Vault, or in what speaks its REST API: they wrap and unwrap there, and never leave it.
import type { TokenCredential } from '@azure/identity';
import type { CryptographyClient, CryptographyClientOptions } from '@azure/keyvault-keys';
import { KeyError, type KeyProblem, type KeyProvider, type WrappedKey } from '../namespace/keyring.ts';

const algorithm = 'RSA-OAEP-256';
const clientsMax = 1000;

export interface KeyVaultOptions {
  readonly credential: TokenCredential;
  /** For one call, its retries and the token included. */
  readonly timeoutMs?: number;
  /** A vault that is none of Azure's own names says in its challenge which tokens it takes: whether that is believed. */
  readonly anyVault?: boolean;
  readonly client?: CryptographyClientOptions & { readonly tlsOptions?: { readonly ca?: string } };
}

export class KeyVault implements KeyProvider {
  readonly #options: KeyVaultOptions;
  readonly #clients = new Map<string, CryptographyClient>();

  constructor(options: KeyVaultOptions) {
    this.#options = options;
  }

  async wrap(keyUrl: string | undefined, key: Buffer): Promise<WrappedKey> {
    const url = keyUrl as string;
    return await this.#ask(url, async (abortSignal) => {
      // A client of its own: one that is kept would keep the version that it found first.
      const { result, keyID } = await (await this.#client(url)).wrapKey(algorithm, key, { abortSignal });
      const keyVersion = /\/keys\/[^/]+\/([^/]+)\/?$/.exec(keyID ?? '')?.[1];
      if (keyVersion === undefined) throw new KeyError('unavailable', `${url} did not say which version wrapped`);
      return { wrapped: Buffer.from(result), keyVersion };
    });
  }

  async unwrap(keyUrl: string | undefined, { wrapped, keyVersion }: WrappedKey): Promise<Buffer> {
    const url = `${keyUrl}/${keyVersion}`;
    return await this.#ask(url, async (abortSignal) => {
      let client = this.#clients.get(url);
      if (client === undefined) {
        if (this.#clients.size >= clientsMax) this.#clients.clear();
        client = await this.#client(url);
        this.#clients.set(url, client);
      }
      return Buffer.from((await client.unwrapKey(algorithm, wrapped, { abortSignal })).result);
    });
  }

  async #client(url: string): Promise<CryptographyClient> {
    const { credential, anyVault, client } = this.#options;
    // Loaded when the first key is asked for: it takes some 40 MB of memory.
    const keyVaultKeys = await import('@azure/keyvault-keys');
    return new keyVaultKeys.CryptographyClient(url, credential, {
      retryOptions: { maxRetries: 2, retryDelayInMs: 200, maxRetryDelayInMs: 2000 },
      disableChallengeResourceVerification: anyVault === true,
      ...client,
    });
  }

  async #ask<T>(url: string, work: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await work(AbortSignal.timeout(this.#options.timeoutMs ?? 10_000));
    } catch (error) {
      if (error instanceof KeyError) throw error;
      this.#clients.delete(url);
      // The error itself may hold the request, and so the token: only what it says in short is passed on.
      const { statusCode, code, name } = error as { statusCode?: number; code?: string; name?: string };
      const said = [statusCode, code ?? name].filter((part) => part !== undefined).join(' ');
      throw new KeyError(problemOf(error as FailedCall), `the key ${url} is not to be had: ${said}`);
    }
  }
}

interface FailedCall {
  readonly statusCode?: number;
  readonly code?: string;
  readonly name?: string;
  readonly cause?: FailedCall;
}

function problemOf(error: FailedCall): KeyProblem {
  const { statusCode, code, name } = error;
  if (code === 'ENOTFOUND' || error.cause?.code === 'ENOTFOUND') return 'vault-not-found';
  if (name === 'AuthenticationError' || name === 'CredentialUnavailableError' || statusCode === 401) return 'no-token';
  // 400: not what this key wrapped. 403: disabled, expired, or no right to it. 404: deleted.
  if (statusCode === 400 || statusCode === 403 || statusCode === 404 || statusCode === 409) return 'key-not-found';
  return 'unavailable';
}
