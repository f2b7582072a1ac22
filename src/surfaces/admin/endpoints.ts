// Addresses that a client can use: of the Blob API, of an account, of its website, and the connection string with them.
import { isIP, isIPv6 } from 'node:net';

export interface EndpointSettings {
  readonly host: string;
  readonly blobPort: number;
  readonly tlsCertificate: string;
  /** `HOST`, `HOST:PORT` or `https://HOST[:PORT]`; '' for the address that is listened on. */
  readonly publicHost: string;
}

/** `scheme://host:port` of the Blob API. What `publicHost` does not say is the listener's own. */
export function blobEndpoint({ host, blobPort, tlsCertificate, publicHost }: EndpointSettings): string {
  const scheme = tlsCertificate === '' ? 'http' : 'https';
  if (publicHost === '') return `${scheme}://${reachable(host)}:${blobPort}`;
  const given = /^(?:(https?):\/\/)?(.*)$/.exec(publicHost) as RegExpExecArray;
  const name = isIPv6(given[2] as string) ? `[${given[2]}]` : (given[2] as string);
  const hasPort = /:\d+$/.test(name);
  // Whoever names a scheme has something in front that speaks it, at its own port.
  if (given[1] !== undefined) return `${given[1]}://${name}`;
  return `${scheme}://${name}${hasPort ? '' : `:${blobPort}`}`;
}

/** An address that a client on this machine can connect to, as it stands in a URL. */
export function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIPv6(host) ? `[${host}]` : host;
}

export const accountEndpoint = (blob: string, account: string): string => `${blob}/${account}`;

/** A website is found by the host's name, so where there is none but loopback's there is no address for it. */
export function websiteEndpoint(blob: string, account: string): string | undefined {
  const url = new URL(blob);
  const bare = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'))) url.hostname = 'localhost';
  else if (isIP(bare) !== 0) return undefined;
  return `${url.protocol}//${account}.web.${url.host}/`;
}

/** In the form that Azure's tools and SDKs read. */
export function connectionString(blob: string, account: string, key: string): string {
  const protocol = blob.slice(0, blob.indexOf(':'));
  const endpoint = accountEndpoint(blob, account);
  return `DefaultEndpointsProtocol=${protocol};AccountName=${account};AccountKey=${key};BlobEndpoint=${endpoint};`;
}

/** The path-style address of a container or a blob. */
export function resourceUrl(blob: string, account: string, container?: string, name?: string): string {
  const parts = [container, ...(name === undefined ? [] : name.split('/'))].filter((part) => part !== undefined);
  return [accountEndpoint(blob, account), ...parts.map(encodeURIComponent)].join('/');
}
