// A stand-in for Entra ID with real keys: discovery documents, key sets, a token endpoint, rollover, and tokens of any kind.
import { type KeyObject, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  decodeJwt,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';

export interface IssuerClient {
  readonly clientId: string;
  /** The object id of its service principal: who it is to a server. */
  readonly oid: string;
  /** What it proves itself by: a secret, a certificate's public key, or tokens of another issuer that federate with it. */
  readonly secret?: string;
  readonly publicKey?: KeyObject;
  readonly subject?: string;
  readonly groups?: readonly string[];
}

export interface IssuerOptions {
  readonly tenant?: string;
  readonly clients?: readonly IssuerClient[];
  /** PEM; without them it speaks http. */
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly nowMs?: () => number;
}

export interface Minting {
  readonly claims?: JWTPayload;
  /** Of the header, beside what belongs to the key. */
  readonly header?: Readonly<Record<string, unknown>>;
  readonly version?: '1.0' | '2.0';
  readonly lifetimeS?: number;
  /** Signs with another key than the one that the header names. */
  readonly key?: CryptoKey;
}

interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly published: JWK;
}

export interface Issuer extends AsyncDisposable {
  readonly tenant: string;
  /** For `entraAuthority` and for the `authorityHost` of SDKs. */
  readonly url: string;
  /** A token that a server of Blob storage believes, but for what `minting` changes. */
  token(oid: string, minting?: Minting): Promise<string>;
  /** A new signing key. The old one is published on unless it is withdrawn. */
  rollover(withdraw?: boolean): Promise<void>;
  /** The key set as it is published. */
  readonly keys: readonly JWK[];
  /** Paths that were asked for, in order. */
  readonly asked: readonly string[];
  /** How many tokens its endpoint gave out. */
  readonly issued: number;
  /** Answers every request with this status; undefined: as it should. */
  fail(status: number | undefined): void;
  /** What its discovery documents call it, where it lies. */
  lie(issuer: string | undefined): void;
}

const storage = 'https://storage.azure.com';

export async function startIssuer(options: IssuerOptions = {}): Promise<Issuer> {
  const { tenant = randomUUID(), clients = [], tls, nowMs = Date.now } = options;
  const asked: string[] = [];
  let issued = 0;
  let failing: number | undefined;
  let lie: string | undefined;
  let signing = await newKey();
  let published: JWK[] = [signing.published];

  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request).then(
      ({ status, body }) => {
        response.writeHead(status, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify(body));
      },
      (error: unknown) => {
        response.writeHead(500);
        response.end(String(error));
      },
    );
  };
  const server = tls === undefined ? createServer(serve) : createSecureServer(tls, serve);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  const issuerOf = (version: string): string => `${url}/${tenant}/${version === '2.0' ? 'v2.0' : ''}`;

  async function answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const { pathname } = new URL(request.url as string, url);
    asked.push(pathname);
    if (failing !== undefined) return { status: failing, body: { error: 'failing' } };
    switch (pathname) {
      case `/${tenant}/.well-known/openid-configuration`:
        return { status: 200, body: document('1.0') };
      case `/${tenant}/v2.0/.well-known/openid-configuration`:
        return { status: 200, body: document('2.0') };
      case `/${tenant}/discovery/keys`:
        return { status: 200, body: { keys: published } };
      case `/${tenant}/oauth2/v2.0/token`:
        return request.method === 'POST' ? await grant(request) : { status: 405, body: {} };
      default:
        return { status: 404, body: { error: 'not_found' } };
    }
  }

  function document(version: '1.0' | '2.0') {
    return {
      issuer: lie ?? issuerOf(version),
      jwks_uri: `${url}/${tenant}/discovery/keys`,
      authorization_endpoint: `${url}/${tenant}/oauth2/v2.0/authorize`,
      token_endpoint: `${url}/${tenant}/oauth2/v2.0/token`,
      token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
      response_types_supported: ['code', 'id_token', 'token'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
      tenant_region_scope: null,
    };
  }

  async function grant(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const form = new URLSearchParams(await textOf(request));
    const client = clients.find(({ clientId }) => clientId === form.get('client_id'));
    if (form.get('grant_type') !== 'client_credentials') return refused('unsupported_grant_type');
    if (client === undefined || !(await isProven(client, form))) return refused('invalid_client');
    const resource = (form.get('scope') ?? '').split(' ').find((scope) => scope.endsWith('/.default'));
    if (resource === undefined) return refused('invalid_scope');
    const lifetimeS = 3600;
    issued++;
    const claims = {
      aud: resource.slice(0, -'/.default'.length),
      appid: client.clientId,
      idtyp: 'app',
      ...(client.groups !== undefined && { groups: client.groups }),
    };
    const accessToken = await token(client.oid, { claims, lifetimeS });
    return { status: 200, body: { token_type: 'Bearer', expires_in: lifetimeS, access_token: accessToken } };
  }

  async function isProven(client: IssuerClient, form: URLSearchParams): Promise<boolean> {
    const secret = form.get('client_secret');
    if (secret !== null) return client.secret !== undefined && secret === client.secret;
    const assertion = form.get('client_assertion');
    if (assertion === null) return false;
    if (form.get('client_assertion_type') !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') return false;
    try {
      if (client.publicKey !== undefined) {
        const { payload } = await jwtVerify(assertion, client.publicKey, {
          issuer: client.clientId,
          currentDate: new Date(nowMs()),
          clockTolerance: 5,
        });
        return payload.sub === client.clientId;
      }
      return client.subject !== undefined && decodeJwt(assertion).sub === client.subject;
    } catch {
      return false;
    }
  }

  async function token(oid: string, minting: Minting = {}): Promise<string> {
    const { claims = {}, header = {}, version = '1.0', lifetimeS = 3600, key = signing.privateKey } = minting;
    const nowS = Math.floor(nowMs() / 1000);
    const payload: JWTPayload = {
      iss: issuerOf(version),
      aud: storage,
      sub: oid,
      oid,
      tid: tenant,
      ver: version,
      iat: nowS,
      nbf: nowS,
      exp: nowS + lifetimeS,
      ...claims,
    };
    return await new SignJWT(payload)
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: signing.kid, ...header })
      .sign(key);
  }

  return {
    tenant,
    url,
    asked,
    token,
    get keys() {
      return published;
    },
    get issued() {
      return issued;
    },
    async rollover(withdraw = false) {
      signing = await newKey();
      published = withdraw ? [signing.published] : [...published, signing.published];
    },
    fail(status) {
      failing = status;
    },
    lie(issuer) {
      lie = issuer;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

function refused(error: string): { status: number; body: unknown } {
  return { status: 400, body: { error, error_description: `AADSTS0000: ${error}` } };
}

async function newKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const kid = randomUUID();
  return { kid, privateKey, published: { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'RS256' } };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
