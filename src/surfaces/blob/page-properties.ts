// What Set Blob Properties says of a page blob alone: its length and its sequence number.
import type { PageProperties } from '../../namespace/pages.ts';
import { pageBlobLength } from './create-page-blob.ts';
import { BlobError } from './errors.ts';
import { headerError, wholeNumber } from './headers-in.ts';
import type { Headers } from './request.ts';

/** Undefined where the request has none of it. */
export function pageProperties(headers: Headers): PageProperties | undefined {
  const length = pageBlobLength(headers);
  const sequence = sequenceChange(headers);
  if (length === undefined && sequence === undefined) return undefined;
  return { ...(length !== undefined && { length }), ...(sequence && { sequence }) };
}

function sequenceChange(headers: Headers): PageProperties['sequence'] {
  const name = 'x-ms-blob-sequence-number';
  const text = headers['x-ms-sequence-number-action'];
  const number = wholeNumber(headers, name);
  if (text === undefined || text === '') {
    if (number !== undefined)
      throw new BlobError('MissingRequiredHeader', { HeaderName: 'x-ms-sequence-number-action' });
    return undefined;
  }
  const action = text.toLowerCase();
  if (action === 'increment') {
    if (number !== undefined) throw headerError(name, headers[name]);
    return { action };
  }
  if (action !== 'max' && action !== 'update') throw headerError('x-ms-sequence-number-action', text);
  if (number === undefined) throw new BlobError('MissingRequiredHeader', { HeaderName: name });
  return { action, number };
}

const contentNames = [
  'cache-control',
  'content-type',
  'content-md5',
  'content-encoding',
  'content-language',
  'content-disposition',
];

/** Whether the request sets any of the properties that are set together; if not, they stay. */
export function setsContentHeaders(headers: Headers): boolean {
  return contentNames.some((name) => headers[`x-ms-blob-${name}`] !== undefined);
}
