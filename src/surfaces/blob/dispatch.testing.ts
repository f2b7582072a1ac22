// Whole requests through the dispatcher over a store in memory: signed, by a SAS, or by nobody, and what they are answered.
import assert from 'node:assert/strict';
import { createLogger } from '../../base/log.ts';
import { type AccountKey, parseAccountKey, sign } from '../../identity/account-key.ts';
import { parseSas } from '../../identity/sas.ts';
import { sharedKeyStringToSign } from '../../identity/shared-key.ts';
import { sasStringToSign } from '../../identity/verify-sas.ts';
import type { Answer } from '../http/answer.ts';
import { type Hold, holdNobody } from '../http/hold.ts';
import { openTestSurface, serviceCall, type TestSurface, testAccount, testSettings } from './call.testing.ts';
import type { BlobSettings, Peer } from './call.ts';
import { BlobDispatcher } from './dispatch.ts';
import { parseQuery, parseTarget } from './request.ts';
import { newestVersion } from './versions.ts';

export const testKey = parseAccountKey('a2V5') as AccountKey;
export const secondKey = parseAccountKey('a2V5Mg==') as AccountKey;
/** Of nobody here. */
export const otherKey = parseAccountKey('b3RoZXIga2V5') as AccountKey;
export const host = '127.0.0.1:10000';
const logger = createLogger({ logLevel: 'silent', requestLog: false });

export interface WholeRequest {
  readonly method?: string;
  /** Percent-encoded, with the account and the query. */
  readonly url: string;
  /** What the request line says instead; the signature is of `url`. */
  readonly line?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Signs by Shared Key; `null` leaves the request as it is. */
  readonly key?: AccountKey | null;
  readonly account?: string;
  readonly peer?: Partial<Peer>;
  readonly hold?: Hold;
  /** Changes what is sent after it was signed. */
  readonly tamper?: (headers: Record<string, string>) => void;
}

export interface Answered {
  readonly status: number;
  readonly code: string | undefined;
  readonly headers: Answer['headers'];
  readonly text: string;
}

export class TestClient {
  readonly surface: TestSurface;
  readonly dispatcher: BlobDispatcher;

  constructor(surface: TestSurface, settings: Partial<BlobSettings> = {}) {
    this.surface = surface;
    this.dispatcher = new BlobDispatcher(surface.store, { ...testSettings, ...settings }, logger);
  }

  async send(request: WholeRequest): Promise<Answered> {
    const { method = 'GET', url, body = '', key = testKey, account = testAccount } = request;
    const headers: Record<string, string> = { host, 'x-ms-version': '2024-11-04' };
    if (method === 'PUT' || method === 'POST') headers['content-length'] = `${Buffer.byteLength(body)}`;
    if (key !== null) headers['x-ms-date'] = new Date(this.surface.clock.now()).toUTCString();
    for (const [name, value] of Object.entries(request.headers ?? {})) {
      if (value === '') delete headers[name];
      else headers[name] = value;
    }
    if (key !== null) {
      const [rawPath = '', search = ''] = url.split('?');
      const toSign = sharedKeyStringToSign(
        {
          method,
          rawPath,
          query: parseQuery(search),
          headers: lowered(headers),
          account: testAccount,
          version: headers['x-ms-version'] ?? newestVersion,
        },
        'SharedKey',
      );
      headers.authorization = `SharedKey ${account}:${sign(toSign, key).toString('base64')}`;
    }
    request.tamper?.(headers);
    const { answer } = await this.dispatcher.dispatch({
      method,
      url: request.line ?? url,
      headers: lowered(headers),
      rawHeaders: Object.entries(headers).flat(),
      body: serviceCall(this.surface, { body }).body,
      peer: { address: '127.0.0.1', protocol: 'http', ...request.peer },
      hold: request.hold ?? holdNobody,
    });
    const code = answer.headers['x-ms-error-code'];
    return {
      status: answer.status,
      code: code === undefined ? undefined : `${code}`,
      headers: answer.headers,
      text: await textOf(answer.body),
    };
  }

  put(url: string, body: string | Buffer = 'x', headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
    return this.send({ method: 'PUT', url, body, headers: { 'x-ms-blob-type': 'BlockBlob', ...headers } });
  }

  async container(name: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const made = await this.send({ method: 'PUT', url: `/${testAccount}/${name}?restype=container`, headers });
    if (made.status !== 201) throw new Error(`the container was not made: ${made.status} ${made.code}`);
  }
}

function lowered(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

async function textOf(body: Answer['body']): Promise<string> {
  if (body === undefined) return '';
  if (typeof body === 'string' || Buffer.isBuffer(body)) return body.toString();
  const chunks: Buffer[] = [];
  for await (const { bytes, release } of body.chunks) {
    chunks.push(Buffer.from(bytes));
    release();
  }
  return Buffer.concat(chunks).toString();
}

/** With a store of its own, where the container `docs` is. */
export async function withClient(work: (client: TestClient, surface: TestSurface) => Promise<void>): Promise<void> {
  await using surface = await openTestSurface();
  const client = new TestClient(surface);
  await client.container('docs');
  await work(client, surface);
}

/** Sends what must be refused with this status and code. */
export async function refused(
  client: TestClient,
  request: WholeRequest,
  status: number,
  code: string,
): Promise<Answered> {
  const answered = await client.send(request);
  const what = `${request.method} ${request.url}: ${answered.text}`;
  assert.deepEqual([answered.status, answered.code], [status, code], what);
  return answered;
}

/** A query that is signed for the path's container and blob; `fields` as they stand in it, but for `sig`. */
export function sasFor(path: string, fields: Readonly<Record<string, string>>, key = testKey): string {
  const query = new Map(Object.entries(fields).map(([name, value]) => [name, [value]]));
  const parsed = parseSas(new Map([...query, ['sig', [`${'A'.repeat(43)}=`]]]));
  if (parsed.kind !== 'account' && parsed.kind !== 'service') throw new Error(`no SAS: ${JSON.stringify(parsed)}`);
  const { account, container, blob } = parseTarget(path, host, new Map([['restype', ['container']]]));
  const target = { account, ...(container !== undefined && { container }), ...(blob !== undefined && { blob }) };
  const signature = sign(sasStringToSign(parsed, target), key).toString('base64');
  const pairs = [...Object.entries(fields), ['sig', signature] as const];
  return pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
}
