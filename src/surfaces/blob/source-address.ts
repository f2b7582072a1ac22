// Where a copy's source lies: on this server, or on another one that may be copied from.
import { isIP } from 'node:net';
import { BlobError } from './errors.ts';
import { headerError } from './headers-in.ts';
import { type ParsedRequest, parseQuery, parseTarget } from './request.ts';

/** A source on another server, in the terms of a request to it. */
export interface RemoteAddress {
  readonly protocol: 'http:' | 'https:';
  /** As the URL standard writes it, IPv6 without brackets: what was checked is what is connected to. */
  readonly hostname: string;
  /** Empty for the protocol's own. */
  readonly port: string;
  /** As it was given, with the query. */
  readonly path: string;
}

export type SourceAddress =
  /** In the terms of a request to this server. */
  | ({ readonly kind: 'local' } & Pick<ParsedRequest, 'rawPath' | 'query' | 'target'>)
  | { readonly kind: 'remote'; readonly address: RemoteAddress };

/** `host` is what the request calls this server; `copySourceHosts` is the setting of that name. */
export function parseSource(url: string, host: string | undefined, copySourceHosts: readonly string[]): SourceAddress {
  const form = /^(https?):\/\/([^/?#]+)(\/[^?#]*)?(?:\?([^#]*))?$/i.exec(url);
  if (form === null) throw headerError('x-ms-copy-source', 'not an absolute URL');
  const [, scheme, authority, rawPath = '/', search = ''] = form as unknown as [
    string,
    string,
    string,
    string?,
    string?,
  ];
  if (isSameServer(authority, host)) {
    const query = parseQuery(search);
    return { kind: 'local', rawPath, query, target: parseTarget(rawPath, authority, query) };
  }
  const server = serverOf(scheme.toLowerCase() as 'http' | 'https', authority);
  if (server === undefined || !isAllowed(server.hostname, copySourceHosts)) {
    throw new BlobError('CannotVerifyCopySource', {}, 'The copy source is not on this server.', {}, 400);
  }
  const path = search === '' ? rawPath : `${rawPath}?${search}`;
  // What no request line can hold.
  if (!/^[\x21-\x7e\x80-\xff]+$/.test(path)) throw headerError('x-ms-copy-source', 'not an absolute URL');
  return { kind: 'remote', address: { ...server, path } };
}

/** Of this server, without its name: `/account/container/blob`, as versions before 2012-02-12 write it. */
export function parseSourcePath(path: string): Extract<SourceAddress, { kind: 'local' }> {
  const [rawPath = '', search = ''] = path.split('?');
  const query = parseQuery(search);
  return { kind: 'local', rawPath, query, target: parseTarget(rawPath, undefined, query) };
}

/** Of a query, what may be told: the state that is read, and what a signature allows, never what proves it. */
const toldParameters = new Set(
  'snapshot versionid sv ss srt sr st se sp spr sip si ses sdd skoid sktid skt ske sks skv saoid suoid scid'.split(' '),
);

/** As `x-ms-copy-source` of the copy tells of it later. */
export function toldSource(url: string): string {
  const [address = '', search = ''] = url.split('?', 2);
  const told = search.split('&').filter((part) => toldParameters.has(part.split('=', 1)[0]?.toLowerCase() ?? ''));
  return told.length === 0 ? address : `${address}?${told.join('&')}`;
}

/** The same host and port, or another account of the same host-style suffix. */
function isSameServer(authority: string, host: string | undefined): boolean {
  if (host === undefined) return false;
  const suffix = (name: string): string => name.toLowerCase().replace(/^[a-z0-9]{3,24}\.blob\./, '*.blob.');
  return suffix(authority) === suffix(host);
}

/** Undefined for user information, for escapes, and for whatever else could be read in two ways. */
function serverOf(scheme: 'http' | 'https', authority: string): Omit<RemoteAddress, 'path'> | undefined {
  if (!/^[a-z0-9._-]+(:\d{1,5})?$|^\[[0-9a-f:.]+\](:\d{1,5})?$/i.test(authority)) return undefined;
  let url: URL;
  try {
    url = new URL(`${scheme}://${authority}/`);
  } catch {
    return undefined;
  }
  return { protocol: `${scheme}:`, hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port };
}

/** A name ends in one of the hosts at a dot, or is one of them; an address has to be one of them. `*` is every host. */
function isAllowed(hostname: string, copySourceHosts: readonly string[]): boolean {
  return copySourceHosts.some((given) => {
    const host = given.toLowerCase();
    if (host === '*' || host === hostname) return true;
    if (isIP(hostname) !== 0) return false;
    return hostname.endsWith(host.startsWith('.') ? host : `.${host}`);
  });
}
