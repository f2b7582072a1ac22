// What the bare address says to a browser, to curl, and to a probe: a line of text. It is no request of the API.
import type { Answer } from '../http/answer.ts';
import type { ParsedRequest } from './request.ts';

const line =
  'This is Causeway: the REST API of Azure Blob Storage. An account is at /ACCOUNT, a blob at /ACCOUNT/CONTAINER/BLOB.\n';

/** Undefined for what names an account or may be meant for the API: then the API answers, as the service would. */
export function greeting({ method, rawPath, query, headers, target }: ParsedRequest): Answer | undefined {
  const isBare = target.account === '' && rawPath === '/' && query.size === 0;
  if (!isBare || (method !== 'GET' && method !== 'HEAD') || headers.authorization !== undefined) return undefined;
  for (const name in headers) if (name.startsWith('x-ms-')) return undefined;
  return { status: 200, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: line };
}
