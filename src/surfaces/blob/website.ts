// Static websites: `$web` of an account, read by anybody at the account's web host ("Static website hosting").
import type { Answer } from '../http/answer.ts';
import type { BlobCall, Call } from './call.ts';
import { BlobError } from './errors.ts';
import { getBlob, getBlobProperties } from './get-blob.ts';
import type { Headers } from './request.ts';
import type { StaticWebsite } from './service-record.ts';

/** A page, the index document of a directory, or the page that says that there is none. */
export async function serveWebsite(call: Call, site: StaticWebsite, path: string): Promise<Answer> {
  if (call.method !== 'GET' && call.method !== 'HEAD') {
    throw new BlobError('UnsupportedHttpVerb', {}, undefined, { Allow: 'GET,HEAD,OPTIONS' });
  }
  if (!site.enabled) throw notThere();
  for (const name of candidates(path, site)) {
    const found = await read(call, name);
    if (found !== undefined) return found;
  }
  const page = site.errorDocument404Path === undefined ? undefined : withoutSlash(site.errorDocument404Path);
  // The page of an error has neither ranges nor conditions.
  const shown = page === undefined ? undefined : await read({ ...call, headers: {} }, page);
  if (shown === undefined) throw notThere();
  return { ...shown, status: 404 };
}

function notThere(): BlobError {
  return new BlobError('WebContentNotFound');
}

function candidates(path: string, { indexDocument, defaultIndexDocumentPath }: StaticWebsite): string[] {
  const name = withoutSlash(path);
  if (name === '' && defaultIndexDocumentPath !== undefined) return [withoutSlash(defaultIndexDocumentPath)];
  if (indexDocument === undefined) return name === '' ? [] : [name];
  if (name === '' || name.endsWith('/')) return [`${name}${indexDocument}`];
  return [name, `${name}/${indexDocument}`];
}

function withoutSlash(path: string): string {
  return path.replace(/^\/+/, '');
}

/** What a browser asks with. Conditions on tags and leases are for who may know of them, and here nobody is asked. */
function plainHeaders(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('x-ms-')));
}

async function read(call: Call, name: string): Promise<Answer | undefined> {
  if (name === '') return undefined;
  const { account } = call.target;
  const target = { account, container: '$web', blob: name };
  const page: BlobCall = { ...call, query: new Map(), headers: plainHeaders(call.headers), target };
  try {
    return await (call.method === 'HEAD' ? getBlobProperties(page) : getBlob(page));
  } catch (error) {
    const isMissing =
      error instanceof BlobError && (error.errorCode === 'BlobNotFound' || error.errorCode === 'ContainerNotFound');
    if (isMissing) return undefined;
    throw error;
  }
}
