// HTTP requests that no SDK sends: any header, any path, signed with Shared Key or Shared Key Lite, or not at all.

import { createHmac } from 'node:crypto';
import { type IncomingHttpHeaders, request } from 'node:http';
import type { ServerAccess } from '../gate.ts';

export interface RawRequest {
  readonly method: string;
  /** Percent-encoded, without the account: `/container/blob`; `/` is the account itself. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Replaces what is made here (`x-ms-date`, `x-ms-version`); an empty value leaves the header out. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly sign?: 'SharedKey' | 'SharedKeyLite' | 'none';
  readonly key?: string;
  /** The account that signs, if it is not the one that is addressed. */
  readonly account?: string;
  /** A Host header that names the account: the path then does not. */
  readonly host?: string;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Names as they were sent, and values, in turns. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly text: string;
  readonly code: string | undefined;
}

const versionDefault = '2021-12-02';

export function raw(access: ServerAccess, what: RawRequest): Promise<RawAnswer> {
  const body = Buffer.from(what.body ?? '');
  const headers: Record<string, string> = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': versionDefault };
  for (const [name, value] of Object.entries(what.headers ?? {})) headers[name.toLowerCase()] = value;
  for (const [name, value] of Object.entries(headers)) if (value === '') delete headers[name];
  if (what.method === 'PUT' || what.method === 'POST') headers['content-length'] = String(body.length);
  const query = Object.entries(what.query ?? {});
  const path = what.host ? what.path : `/${access.account}${what.path}`;
  if (what.host) headers.host = what.host;
  const sign = what.sign ?? 'SharedKey';
  if (sign !== 'none') {
    const toSign = sign === 'SharedKey' ? full(what, headers, path, access) : lite(what, headers, path, access);
    const key = Buffer.from(what.key ?? access.key, 'base64');
    const signature = createHmac('sha256', key).update(toSign, 'utf8').digest('base64');
    headers.authorization = `${sign} ${what.account ?? access.account}:${signature}`;
  }
  // Signed by name in lower case, sent as written.
  const asWritten = new Map(Object.keys(what.headers ?? {}).map((name) => [name.toLowerCase(), name]));
  const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [asWritten.get(name) ?? name, value]));
  const search = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
  const base = new URL(access.blob);
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const outgoing = request(
    {
      host: base.hostname,
      port: base.port,
      method: what.method,
      path: search ? `${path}?${search}` : path,
      headers: sent,
    },
    (answer) => {
      const chunks: Buffer[] = [];
      answer.on('error', reject);
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        const all = Buffer.concat(chunks);
        const code = answer.headers['x-ms-error-code'];
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          rawHeaders: answer.rawHeaders,
          body: all,
          text: all.toString('utf8'),
          code: typeof code === 'string' ? code : undefined,
        });
      });
    },
  );
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

// Learn: "Authorize with Shared Key", 2015-02-21 and later (an empty Content-Length for 0).
function full(what: RawRequest, headers: Record<string, string>, path: string, access: ServerAccess): string {
  const plain = ['content-encoding', 'content-language', 'content-length', 'content-md5', 'content-type', 'date'];
  const conditions = ['if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range'];
  const standard = [...plain, ...conditions].map((name) => {
    const value = headers[name] ?? '';
    return name === 'content-length' && value === '0' ? '' : value;
  });
  const query = Object.entries(what.query ?? {})
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `\n${name}:${value}`);
  const resource = `/${what.account ?? access.account}${path}${query.join('')}`;
  return `${[what.method, ...standard].join('\n')}\n${extension(headers)}${resource}`;
}

// The same page: "Shared Key Lite format for 2009-09-19 and later"; only comp of the query is signed.
function lite(what: RawRequest, headers: Record<string, string>, path: string, access: ServerAccess): string {
  const standard = ['content-md5', 'content-type', 'date'].map((name) => headers[name] ?? '');
  const comp = what.query?.comp;
  const resource = `/${what.account ?? access.account}${path}${comp ? `?comp=${comp}` : ''}`;
  return `${[what.method, ...standard].join('\n')}\n${extension(headers)}${resource}`;
}

function extension(headers: Record<string, string>): string {
  return Object.keys(headers)
    .filter((name) => name.startsWith('x-ms-'))
    .sort()
    .map((name) => `${name}:${headers[name]}\n`)
    .join('');
}
