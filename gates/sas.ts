// Shared Key requests and shared access signatures for gates, written from the documentation and apart from src/, so that
// a mistake there is not shared.

import { createHmac } from 'node:crypto';
import type { ServerAccess } from './gate.ts';

const signingVersion = '2021-12-02';

export interface AccountSasOptions {
  readonly permissions?: string;
  readonly services?: string;
  readonly resourceTypes?: string;
  readonly startsAt?: Date;
  readonly expiresAt?: Date;
  readonly protocol?: string;
  readonly ip?: string;
}

/** The query string, without "?", of an account SAS. Learn: "Create an account SAS", version 2020-12-06 and later. */
export function accountSas(access: Pick<ServerAccess, 'account' | 'key'>, options: AccountSasOptions = {}): string {
  const permissions = options.permissions ?? 'rwdxlacuptf';
  const services = options.services ?? 'b';
  const types = options.resourceTypes ?? 'sco';
  const start = options.startsAt ? isoSeconds(options.startsAt) : '';
  const expiry = isoSeconds(options.expiresAt ?? inHours(12));
  const protocol = options.protocol ?? 'https,http';
  const ip = options.ip ?? '';
  const encryptionScope = '';
  const fields = [
    access.account,
    permissions,
    services,
    types,
    start,
    expiry,
    ip,
    protocol,
    signingVersion,
    encryptionScope,
  ];
  const query = new URLSearchParams({ sv: signingVersion, ss: services, srt: types, sp: permissions });
  if (start) query.set('st', start);
  query.set('se', expiry);
  if (ip) query.set('sip', ip);
  query.set('spr', protocol);
  query.set('sig', hmac(access.key, `${fields.join('\n')}\n`));
  return query.toString().replaceAll('+', '%20');
}

export interface ServiceSasOptions {
  readonly container: string;
  /** A blob's name for `sr=b`; without it the SAS is for the container. */
  readonly blob?: string;
  readonly permissions?: string;
  readonly startsAt?: Date;
  readonly expiresAt?: Date;
  readonly protocol?: string;
  readonly ip?: string;
  /** A stored access policy's id (`si`); it then gives what is not given here. */
  readonly policy?: string;
}

/** The query string, without "?", of a service SAS signed with the account key. Learn: "Create a service SAS". */
export function serviceSas(access: Pick<ServerAccess, 'account' | 'key'>, options: ServiceSasOptions): string {
  const resource = options.blob === undefined ? 'c' : 'b';
  const path = options.blob === undefined ? options.container : `${options.container}/${options.blob}`;
  const permissions = options.permissions ?? (options.policy ? '' : 'r');
  const start = options.startsAt ? isoSeconds(options.startsAt) : '';
  const expiry = options.expiresAt || !options.policy ? isoSeconds(options.expiresAt ?? inHours(12)) : '';
  const protocol = options.protocol ?? 'https,http';
  const policy = options.policy ?? '';
  const ip = options.ip ?? '';
  const canonical = `/blob/${access.account}/${path}`;
  const snapshot = '';
  const encryptionScope = '';
  const overrides = ['', '', '', '', '']; // cache-control, disposition, encoding, language, type
  const fields = [permissions, start, expiry, canonical, policy, ip, protocol, signingVersion, resource, snapshot];
  const query = new URLSearchParams({ sv: signingVersion, sr: resource });
  if (permissions) query.set('sp', permissions);
  if (start) query.set('st', start);
  if (expiry) query.set('se', expiry);
  if (ip) query.set('sip', ip);
  if (policy) query.set('si', policy);
  query.set('spr', protocol);
  query.set('sig', hmac(access.key, [...fields, encryptionScope, ...overrides].join('\n')));
  return query.toString().replaceAll('+', '%20');
}

export interface SignedRequest {
  readonly method: string;
  /** Decoded, without the account: `container/blob`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal;
}

/** A path-style request with Shared Key. Learn: "Authorize with Shared Key", "Blob, Queue, and File Services". */
export function signedRequest(access: ServerAccess, request: SignedRequest): Promise<Response> {
  const url = blobUrl(access, request.path);
  for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
  const headers = new Headers(request.headers);
  headers.set('x-ms-date', new Date().toUTCString());
  if (!headers.has('x-ms-version')) headers.set('x-ms-version', signingVersion);
  const length = request.body?.byteLength ?? 0;
  const canonicalHeaders = [...headers]
    .filter(([name]) => name.startsWith('x-ms-'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value}\n`);
  const canonicalQuery = Object.entries(request.query ?? {})
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `\n${name}:${value}`);
  // A path-style address names the account twice: once as the account, once in the path.
  const resource = `/${access.account}${url.pathname}${canonicalQuery.join('')}`;
  const plain = ['Content-Encoding', 'Content-Language', 'Content-Length', 'Content-MD5', 'Content-Type', 'Date'];
  const conditions = ['If-Modified-Since', 'If-Match', 'If-None-Match', 'If-Unmodified-Since', 'Range'];
  const standard = [...plain, ...conditions].map((name) => {
    if (name === 'Content-Length') return length === 0 ? '' : String(length);
    return headers.get(name) ?? '';
  });
  const toSign = `${[request.method, ...standard].join('\n')}\n${canonicalHeaders.join('')}${resource}`;
  headers.set('authorization', `SharedKey ${access.account}:${hmac(access.key, toSign)}`);
  const init: RequestInit = { method: request.method, headers };
  if (request.body) init.body = request.body;
  else if (request.method === 'PUT' || request.method === 'POST') init.body = new Uint8Array(0);
  if (request.signal) init.signal = request.signal;
  return fetch(url, init);
}

/** The path-style address of a container or a blob, each part of its name percent-encoded. */
export function blobUrl(access: Pick<ServerAccess, 'blob' | 'account'>, path: string): URL {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return new URL(`${access.blob}/${access.account}${encoded ? `/${encoded}` : ''}`);
}

export async function createContainer(access: ServerAccess, name: string): Promise<void> {
  const response = await signedRequest(access, { method: 'PUT', path: name, query: { restype: 'container' } });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`creating ${name}: ${response.status} ${text.slice(0, 300)}`);
}

function hmac(key: string, text: string): string {
  return createHmac('sha256', Buffer.from(key, 'base64')).update(text, 'utf8').digest('base64');
}

function isoSeconds(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

function inHours(hours: number): Date {
  return new Date(Date.now() + hours * 3_600_000);
}
