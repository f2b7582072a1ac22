// Service SAS for tests, signed as the documentation says ("Create a service SAS", version 2020-12-06 and later).
import { createHmac } from 'node:crypto';
import { developmentAccount, developmentKey } from './sas.ts';

export interface BlobSasWishes {
  /** b: a blob, c: a container, d: a directory. */
  readonly resource: 'b' | 'c' | 'd';
  readonly container: string;
  /** As the store knows it; none for a container. */
  readonly name?: string;
  readonly permissions: string;
  /** Of a directory: how deep it lies. */
  readonly depth?: number;
  readonly expires?: Date;
  /** Whom it is for alone, and over what. */
  readonly addresses?: string;
  readonly protocols?: 'https' | 'https,http';
}

const version = '2022-11-02';

/** The query string without `?`. */
export function blobSas(wishes: BlobSasWishes): string {
  const { resource, container, name, permissions, depth, expires, addresses = '', protocols = '' } = wishes;
  const expiry = `${(expires ?? new Date(Date.now() + 3_600_000)).toISOString().slice(0, 19)}Z`;
  const path = `/blob/${developmentAccount}/${container}${name === undefined ? '' : `/${name}`}`;
  // Permissions, start, expiry, resource, identifier, addresses, protocols, version, resource type, snapshot, scope,
  // and the five headers of an answer.
  const fields = [
    permissions,
    '',
    expiry,
    path,
    '',
    addresses,
    protocols,
    version,
    resource,
    '',
    '',
    '',
    '',
    '',
    '',
    '',
  ];
  const signature = createHmac('sha256', Buffer.from(developmentKey, 'base64'))
    .update(fields.join('\n'))
    .digest('base64');
  return new URLSearchParams({
    sv: version,
    sp: permissions,
    se: expiry,
    sr: resource,
    ...(addresses !== '' && { sip: addresses }),
    ...(protocols !== '' && { spr: protocols }),
    ...(depth !== undefined && { sdd: `${depth}` }),
    sig: signature,
  }).toString();
}
