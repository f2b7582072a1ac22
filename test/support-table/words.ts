// The words of the support table: what is said of an operation, names that several have, and what is missing of them everywhere.

/** What is listed and not marked is done. */
export type Mark =
  | { readonly status: 'partial'; readonly why: string }
  /** `ignored`: a request that has it is answered as if it had not. `refused`: it is answered with an error. `never sent`: of answers. */
  | { readonly status: 'not'; readonly how: 'ignored' | 'refused' | 'never sent'; readonly why: string };

export type Marks = Readonly<Record<string, Mark>>;

export interface Documented {
  readonly title: string;
  /** The last part of its address in the reference; absent: only the specification of the SDKs has it. */
  readonly page?: string;
  /** Rows of src/surfaces/blob/operations.ts, by name. */
  readonly rows: readonly string[];
  /** Names, with blanks between them. `restype` and `comp` go without saying. */
  readonly query?: string;
  readonly request?: string;
  readonly response?: string;
  /** What is missing of the operation itself. */
  readonly missing?: string;
  /** Not served; what is answered instead. */
  readonly instead?: { readonly code: string; readonly why: string };
  readonly marks?: { readonly query?: Marks; readonly request?: Marks; readonly response?: Marks };
}

export const version = '2026-10-06';

export const partial = (why: string): Mark => ({ status: 'partial', why });
export const ignored = (why: string): Mark => ({ status: 'not', how: 'ignored', why });
export const refused = (why: string): Mark => ({ status: 'not', how: 'refused', why });
export const neverSent = (why: string): Mark => ({ status: 'not', how: 'never sent', why });

export const times = 'if-modified-since if-unmodified-since';
export const conditions = `${times} if-match if-none-match x-ms-if-tags`;
export const lease = 'x-ms-lease-id';
export const key = 'x-ms-encryption-key x-ms-encryption-key-sha256 x-ms-encryption-algorithm';
export const sealing = `${key} x-ms-encryption-scope`;
export const metadata = 'x-ms-meta-name';
export const sums = 'content-md5 x-ms-content-crc64';
export const structured = 'x-ms-structured-body x-ms-structured-content-length';
export const retention = 'x-ms-immutability-policy-until-date x-ms-immutability-policy-mode x-ms-legal-hold';
export const expiry = 'x-ms-expiry-option x-ms-expiry-time';
export const content =
  'x-ms-blob-cache-control x-ms-blob-content-type x-ms-blob-content-md5 x-ms-blob-content-encoding ' +
  'x-ms-blob-content-language x-ms-blob-content-disposition';
export const sourceConditions =
  'x-ms-source-if-modified-since x-ms-source-if-unmodified-since x-ms-source-if-match x-ms-source-if-none-match';
export const source = `x-ms-copy-source x-ms-copy-source-authorization x-ms-file-request-intent ${sourceConditions}`;
export const sourceKey =
  'x-ms-source-encryption-key x-ms-source-encryption-key-sha256 x-ms-source-encryption-algorithm';
export const sequence = 'x-ms-if-sequence-number-le x-ms-if-sequence-number-lt x-ms-if-sequence-number-eq';

export const stamp = 'etag last-modified';
export const sealed = 'x-ms-request-server-encrypted x-ms-encryption-key-sha256 x-ms-encryption-scope';
export const sourceErrors = 'x-ms-copy-source-status-code x-ms-copy-source-error-code';
export const hnsAnswers = 'x-ms-owner x-ms-group x-ms-permissions x-ms-acl x-ms-resource-type x-ms-expiry-time';
export const replication = 'x-ms-or-policy-id x-ms-or-policy-rule';

export const noHns = 'no account here has a hierarchical namespace';
export const intent: Marks = {
  'x-ms-file-request-intent': refused('it is for sources in Azure Files, with their own permissions'),
};
export const onThisServer = 'compared with sources on this server; of another server it is not asked';
export const sourceKeyHere: Marks = Object.fromEntries(
  sourceKey.split(' ').map((name) => [name, partial('for sources on this server; not sent to another one')]),
);
export const onlineTiers = 'Hot, Cool, Cold and Archive; Smart and the tiers of premium accounts are refused';
export const tierOfBlock: Marks = { 'x-ms-access-tier': partial(onlineTiers) };
export const emptyMd5: Marks = {
  'content-md5': ignored('the request has no body; x-ms-source-content-md5 checks the bytes that are copied'),
};
export const copiedSums: Marks = {
  'content-md5': partial('where x-ms-source-content-md5 was sent'),
  'x-ms-content-crc64': partial(
    'where the bytes are read: not of content that is shared with its source, unless a sum of it was sent',
  ),
};
export const hnsOut: Marks = Object.fromEntries(hnsAnswers.split(' ').map((name) => [name, neverSent(noHns)]));
export const readOut: Marks = {
  ...hnsOut,
  'x-ms-or-policy-id': neverSent('there is no object replication'),
  'x-ms-or-policy-rule': neverSent('there is no object replication'),
  'x-ms-copy-status-description': neverSent('only copies that succeeded are kept'),
  'x-ms-smart-access-tier': neverSent('there is no smart tier'),
};
export const upn: Marks = { 'x-ms-upn': ignored(noHns) };

export const blobAnswer =
  `${stamp} ${metadata} content-type content-encoding content-language content-disposition cache-control content-md5 ` +
  'accept-ranges x-ms-creation-time x-ms-blob-type x-ms-blob-sequence-number x-ms-blob-committed-block-count ' +
  'x-ms-copy-completion-time x-ms-copy-status-description x-ms-copy-id x-ms-copy-progress x-ms-copy-source ' +
  'x-ms-copy-status x-ms-lease-duration x-ms-lease-state x-ms-lease-status x-ms-server-encrypted ' +
  'x-ms-encryption-key-sha256 x-ms-encryption-scope';
export const stateAnswer =
  'x-ms-version-id x-ms-is-current-version x-ms-tag-count x-ms-blob-sealed x-ms-last-access-time ' +
  `${retention} ${replication} ${hnsAnswers} x-ms-smart-access-tier`;
export const tierAnswer = 'x-ms-access-tier x-ms-access-tier-inferred x-ms-access-tier-change-time';

/** Of every operation, and not repeated there. */
export const common: Required<Pick<Documented, 'query' | 'request' | 'response' | 'marks'>> = {
  query: 'timeout',
  request: 'authorization date x-ms-date x-ms-version x-ms-client-request-id content-length host origin',
  response:
    'x-ms-request-id x-ms-version x-ms-client-request-id date server content-length x-ms-error-code www-authenticate ' +
    'access-control-allow-origin access-control-expose-headers access-control-allow-credentials vary',
  marks: {
    query: {
      timeout: partial(
        'bounds the wait for the server and for the body, of any length; what has begun to be stored or sent goes on, ' +
          'and without it a request has as long as the server gives any (docs/operating.md)',
      ),
    },
  },
};

/** The names in a list of them. */
export const namesOf = (text = ''): string[] => text.split(' ').filter(Boolean);
