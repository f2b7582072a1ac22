// A stand-in of Azure Key Vault's REST API (keys: get, wrap, unwrap) that checks what it is sent, and can be revoked.
import {
  constants,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './certificates.ts';

interface Version {
  readonly id: string;
  readonly privateKey: KeyObject;
  enabled: boolean;
}

const apiVersion = /^\d{1,2}\.\d(-preview\.\d)?$|^\d{4}-\d\d-\d\d$/;

export class KeyVaultStandIn implements AsyncDisposable {
  readonly #server: Server;
  readonly #keys = new Map<string, Version[]>();
  readonly #accepts: (token: string) => boolean;
  readonly #tenant: string;
  /** What was wrong with requests; a test ends with none. */
  readonly complaints: string[] = [];
  /** The calls that were answered with 200, as "wrapkey NAME VERSION". */
  readonly calls: string[] = [];
  /** A status that everything is answered with, so many times. */
  failures: { status: number; times: number; code?: string } = { status: 0, times: 0 };
  url = '';

  /** `accepts` says which bearer tokens it takes; they are those of the tenant that its challenge names. */
  static async start(
    certificate: Certificate,
    accepts: (token: string) => boolean,
    tenant = '00000000-0000-0000-0000-00000000abcd',
  ): Promise<KeyVaultStandIn> {
    const made = new KeyVaultStandIn(certificate, accepts, tenant);
    await new Promise<void>((resolve) => made.#server.listen(0, '127.0.0.1', resolve));
    made.url = `https://localhost:${(made.#server.address() as AddressInfo).port}`;
    return made;
  }

  private constructor({ certificate, key }: Certificate, accepts: (token: string) => boolean, tenant: string) {
    this.#accepts = accepts;
    this.#tenant = tenant;
    this.#server = createServer({ cert: certificate, key }, (request, response) => {
      this.#serve(request, response).catch((error) => {
        this.complaints.push(String(error));
        response.destroy();
      });
    });
  }

  /** Makes a key, or a new version of it; answers the version. */
  rotate(name: string): string {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const versions = this.#keys.get(name) ?? [];
    const id = (versions.length + 1).toString(16).padStart(32, '0');
    this.#keys.set(name, [...versions, { id, privateKey, enabled: true }]);
    return id;
  }

  setEnabled(name: string, enabled: boolean): void {
    for (const version of this.#keys.get(name) ?? []) version.enabled = enabled;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = new URL(request.url ?? '/', this.url);
    const { authorization } = request.headers;
    if (authorization === undefined) {
      // As the service does: the first request of a client comes without a token, and must not bring a body either.
      if (body.length > 0) this.complaints.push('a body was sent without a token');
      response.setHeader(
        'WWW-Authenticate',
        `Bearer authorization="https://login.example/${this.#tenant}", resource="https://vault.azure.net"`,
      );
      return answer(response, 401, error('Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.'));
    }
    if (this.failures.times > 0) {
      this.failures.times--;
      const { status, code = 'Failing' } = this.failures;
      return answer(response, status, error(code, 'as the test wants it'));
    }
    if (!authorization.startsWith('Bearer ') || !this.#accepts(authorization.slice(7)))
      return answer(response, 401, error('Unauthorized', 'AKV10022'));
    if (!apiVersion.test(url.searchParams.get('api-version') ?? '')) {
      this.complaints.push(`api-version ${url.searchParams.get('api-version')}`);
      return answer(response, 400, error('BadParameter', 'api-version'));
    }
    const [, keys, name = '', ...rest] = url.pathname.replace(/\/$/, '').split('/');
    const operation = rest.at(-1) === 'wrapkey' || rest.at(-1) === 'unwrapkey' ? rest.pop() : undefined;
    const versions = this.#keys.get(name);
    const version =
      rest[0] === undefined || rest[0] === '' ? versions?.at(-1) : versions?.find(({ id }) => id === rest[0]);
    if (keys !== 'keys' || version === undefined) return answer(response, 404, error('KeyNotFound', 'no such key'));
    if (operation === undefined) {
      if (request.method !== 'GET') this.complaints.push(`${request.method} of a key`);
      return answer(response, 200, this.#bundle(name, version));
    }
    if (request.method !== 'POST') this.complaints.push(`${request.method} ${operation}`);
    if (!version.enabled)
      return answer(response, 403, error('Forbidden', 'Operation is not allowed on a disabled key.', 'KeyDisabled'));
    const { alg, value } = JSON.parse(body.toString()) as { alg?: string; value?: string };
    if (alg !== 'RSA-OAEP-256' || !/^[\w-]+$/.test(value ?? '')) {
      this.complaints.push(`${operation} with ${alg}`);
      return answer(response, 400, error('BadParameter', 'alg or value'));
    }
    const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
    const given = Buffer.from(value as string, 'base64url');
    let result: Buffer;
    try {
      result =
        operation === 'wrapkey'
          ? publicEncrypt({ key: createPublicKey(version.privateKey), ...padding }, given)
          : privateDecrypt({ key: version.privateKey, ...padding }, given);
    } catch {
      return answer(response, 400, error('BadParameter', 'the value cannot be unwrapped'));
    }
    if (operation === 'wrapkey' && given.length !== 32) this.complaints.push(`wraps ${given.length} bytes`);
    this.calls.push(`${operation} ${name} ${version.id}`);
    const kid = `${this.url}/keys/${name}/${version.id}`;
    return answer(response, 200, { kid, value: result.toString('base64url') });
  }

  #bundle(name: string, version: Version): object {
    const { n, e } = createPublicKey(version.privateKey).export({ format: 'jwk' });
    const kid = `${this.url}/keys/${name}/${version.id}`;
    return {
      key: { kid, kty: 'RSA', key_ops: ['wrapKey', 'unwrapKey'], n, e },
      attributes: {
        enabled: version.enabled,
        created: 1_700_000_000,
        updated: 1_700_000_000,
        recoveryLevel: 'Recoverable',
      },
    };
  }
}

function error(code: string, message: string, inner?: string): object {
  return { error: { code, message, ...(inner !== undefined && { innererror: { code: inner } }) } };
}

function answer(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}
