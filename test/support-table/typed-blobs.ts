// Operations on blobs of one type, as the REST reference and the SDKs' specification list them.
import {
  conditions,
  content,
  type Documented,
  emptyMd5,
  intent,
  key,
  lease,
  metadata,
  neverSent,
  retention,
  sealed,
  sealing,
  sequence,
  source,
  sourceErrors,
  sourceKey,
  sourceKeyHere,
  stamp,
  structured,
  sums,
  tierOfBlock,
  times,
} from './words.ts';

export const typed: readonly Documented[] = [
  {
    title: 'Put Block',
    page: 'put-block',
    rows: ['PutBlock'],
    query: 'blockid',
    request: `${sums} ${structured} ${sealing} ${lease}`,
    response: `${sums} ${sealed} x-ms-structured-body`,
  },
  {
    title: 'Put Block From URL',
    page: 'put-block-from-url',
    rows: ['PutBlockFromUrl'],
    query: 'blockid',
    request: `${source} x-ms-source-range x-ms-source-content-md5 x-ms-source-content-crc64 ${sourceKey} ${sealing} ${lease}`,
    response: `${sums} ${sealed} ${sourceErrors}`,
    marks: { request: { ...intent, ...sourceKeyHere } },
  },
  {
    title: 'Put Block List',
    page: 'put-block-list',
    rows: ['PutBlockList'],
    request: `${sums} ${content} ${metadata} x-ms-tags x-ms-access-tier ${retention} ${sealing} ${lease} ${conditions}`,
    response: `${stamp} ${sums} x-ms-version-id ${sealed}`,
    marks: { request: tierOfBlock },
  },
  {
    title: 'Get Block List',
    page: 'get-block-list',
    rows: ['GetBlockList'],
    query: 'snapshot versionid blocklisttype',
    request: `${lease} x-ms-if-tags`,
    response: `${stamp} content-type x-ms-blob-content-length`,
  },
  {
    title: 'Query Blob Contents',
    page: 'query-blob-contents',
    rows: ['QueryBlobContents'],
    query: 'snapshot versionid',
    request: `${key} ${lease} ${conditions}`,
    response:
      `${stamp} ${metadata} content-type cache-control accept-ranges x-ms-blob-type x-ms-copy-completion-time ` +
      'x-ms-copy-status-description x-ms-copy-id x-ms-copy-progress x-ms-copy-source x-ms-copy-status ' +
      'x-ms-lease-duration x-ms-lease-state x-ms-lease-status x-ms-server-encrypted x-ms-encryption-key-sha256 ' +
      'x-ms-encryption-scope',
    marks: {
      response: { 'x-ms-copy-status-description': neverSent('only copies that succeeded are kept') },
    },
  },
  {
    title: 'Append Block',
    page: 'append-block',
    rows: ['AppendBlock'],
    request: `${sums} ${structured} x-ms-blob-condition-maxsize x-ms-blob-condition-appendpos ${sealing} ${lease} ${conditions}`,
    response: `${stamp} ${sums} x-ms-blob-append-offset x-ms-blob-committed-block-count ${sealed} x-ms-structured-body`,
  },
  {
    title: 'Append Block From URL',
    page: 'append-block-from-url',
    rows: ['AppendBlockFromUrl'],
    request:
      `${source} x-ms-source-range x-ms-source-content-md5 x-ms-source-content-crc64 ${sourceKey} content-md5 ` +
      `x-ms-blob-condition-maxsize x-ms-blob-condition-appendpos ${sealing} ${lease} ${conditions}`,
    response: `${stamp} ${sums} x-ms-blob-append-offset x-ms-blob-committed-block-count ${sealed} ${sourceErrors}`,
    marks: { request: { ...intent, ...sourceKeyHere, ...emptyMd5 } },
  },
  {
    title: 'Append Blob Seal',
    page: 'append-blob-seal',
    rows: ['SealAppendBlob'],
    request: `x-ms-blob-condition-appendpos ${lease} ${times} if-match if-none-match`,
    response: `${stamp} x-ms-blob-sealed`,
  },
  {
    title: 'Put Page',
    page: 'put-page',
    rows: ['PutPage'],
    request: `x-ms-page-write range x-ms-range ${sums} ${structured} ${sequence} ${sealing} ${lease} ${conditions}`,
    response: `${stamp} ${sums} x-ms-blob-sequence-number ${sealed} x-ms-structured-body`,
  },
  {
    title: 'Put Page From URL',
    page: 'put-page-from-url',
    rows: ['PutPageFromUrl'],
    request:
      `x-ms-page-write range x-ms-range ${source} x-ms-source-range x-ms-source-content-md5 ` +
      `x-ms-source-content-crc64 ${sourceKey} ${sequence} ${sealing} ${lease} ${conditions}`,
    response: `${stamp} ${sums} x-ms-blob-sequence-number ${sealed} ${sourceErrors}`,
    marks: { request: { ...intent, ...sourceKeyHere } },
  },
  {
    title: 'Get Page Ranges',
    page: 'get-page-ranges',
    rows: ['GetPageRanges'],
    query: 'snapshot versionid marker maxresults prevsnapshot',
    request: `range x-ms-range x-ms-previous-snapshot-url ${lease} ${conditions}`,
    response: `${stamp} content-type x-ms-blob-content-length`,
  },
  {
    title: 'Incremental Copy Blob',
    page: 'incremental-copy-blob',
    rows: ['IncrementalCopyBlob'],
    request: `x-ms-copy-source ${conditions}`,
    response: `${stamp} x-ms-copy-id x-ms-copy-status`,
    missing: 'a source on another server is refused, and so is one under a key that its copy cannot have',
  },
];
