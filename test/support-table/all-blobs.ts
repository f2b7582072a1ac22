// Operations on blobs of every type, as the REST reference and the SDKs' specification list them.
import {
  blobAnswer,
  conditions,
  content,
  copiedSums,
  type Documented,
  emptyMd5,
  expiry,
  intent,
  key,
  lease,
  metadata,
  neverSent,
  noHns,
  onThisServer,
  partial,
  readOut,
  refused,
  retention,
  sealed,
  sealing,
  source,
  sourceConditions,
  sourceErrors,
  sourceKey,
  sourceKeyHere,
  stamp,
  stateAnswer,
  structured,
  sums,
  tierAnswer,
  tierOfBlock,
  upn,
} from './words.ts';

export const blobs: readonly Documented[] = [
  {
    title: 'Put Blob',
    page: 'put-blob',
    rows: ['PutBlob'],
    request:
      `x-ms-blob-type ${content} content-type content-encoding content-language cache-control ${sums} ${structured} ` +
      `${metadata} x-ms-tags x-ms-access-tier ${retention} ${sealing} ${lease} ${conditions} ` +
      `x-ms-blob-content-length x-ms-blob-sequence-number ${expiry}`,
    response: `${stamp} ${sums} x-ms-version-id ${sealed} x-ms-structured-body`,
    marks: {
      request: {
        ...tierOfBlock,
        'x-ms-expiry-option': refused(noHns),
        'x-ms-expiry-time': refused(noHns),
      },
    },
  },
  {
    title: 'Put Blob From URL',
    page: 'put-blob-from-url',
    rows: ['PutBlobFromUrl'],
    request:
      `x-ms-blob-type ${source} x-ms-source-if-tags x-ms-source-content-md5 x-ms-source-content-crc64 ` +
      `x-ms-copy-source-blob-properties x-ms-copy-source-tag-option ${sourceKey} ${content} content-md5 ${metadata} ` +
      `x-ms-tags x-ms-access-tier ${sealing} ${lease} ${conditions}`,
    response: `${stamp} ${sums} x-ms-version-id ${sealed} ${sourceErrors}`,
    marks: {
      request: {
        ...intent,
        ...sourceKeyHere,
        ...tierOfBlock,
        ...emptyMd5,
        'x-ms-source-if-tags': partial(onThisServer),
      },
      response: copiedSums,
    },
  },
  {
    title: 'Get Blob',
    page: 'get-blob',
    rows: ['GetBlob'],
    query: 'snapshot versionid',
    request:
      'range x-ms-range x-ms-range-get-content-md5 x-ms-range-get-content-crc64 x-ms-structured-body x-ms-upn ' +
      `${key} ${lease} ${conditions}`,
    response: `${blobAnswer} content-range x-ms-blob-content-md5 x-ms-content-crc64 ${stateAnswer} ${tierAnswer} ${structured}`,
    marks: {
      request: upn,
      response: {
        ...readOut,
      },
    },
  },
  {
    title: 'Get Blob Properties',
    page: 'get-blob-properties',
    rows: ['GetBlobProperties'],
    query: 'snapshot versionid',
    request: `x-ms-upn ${key} ${lease} ${conditions}`,
    response:
      `${blobAnswer} content-length ${stateAnswer} ${tierAnswer} x-ms-archive-status x-ms-rehydrate-priority ` +
      'x-ms-incremental-copy x-ms-copy-destination-snapshot',
    marks: { request: upn, response: readOut },
  },
  {
    title: 'Set Blob Properties',
    page: 'set-blob-properties',
    rows: ['SetBlobProperties'],
    request: `${content} x-ms-blob-content-length x-ms-sequence-number-action x-ms-blob-sequence-number ${sealing} ${lease} ${conditions}`,
    response: `${stamp} x-ms-blob-sequence-number`,
  },
  {
    title: 'Get Blob Metadata',
    page: 'get-blob-metadata',
    rows: ['GetBlobMetadata'],
    query: 'snapshot versionid',
    request: `${key} ${lease} ${conditions}`,
    response: `${stamp} ${metadata}`,
  },
  {
    title: 'Set Blob Metadata',
    page: 'set-blob-metadata',
    rows: ['SetBlobMetadata'],
    request: `${metadata} ${sealing} ${lease} ${conditions}`,
    response: `${stamp} x-ms-version-id ${sealed}`,
  },
  {
    title: 'Get Blob Tags',
    page: 'get-blob-tags',
    rows: ['GetBlobTags'],
    query: 'snapshot versionid',
    request: `${lease} x-ms-if-tags x-ms-blob-if-modified-since x-ms-blob-if-unmodified-since x-ms-blob-if-match x-ms-blob-if-none-match`,
    response: 'content-type',
  },
  {
    title: 'Set Blob Tags',
    page: 'set-blob-tags',
    rows: ['SetBlobTags'],
    query: 'versionid',
    request: `${sums} ${lease} x-ms-if-tags x-ms-blob-if-modified-since x-ms-blob-if-unmodified-since x-ms-blob-if-match x-ms-blob-if-none-match`,
  },
  {
    title: 'Lease Blob',
    page: 'lease-blob',
    rows: ['LeaseBlob'],
    request: `x-ms-lease-action ${lease} x-ms-lease-break-period x-ms-lease-duration x-ms-proposed-lease-id ${conditions}`,
    response: `${stamp} x-ms-lease-id x-ms-lease-time`,
  },
  {
    title: 'Snapshot Blob',
    page: 'snapshot-blob',
    rows: ['SnapshotBlob'],
    request: `${metadata} ${sealing} ${lease} ${conditions}`,
    response: `${stamp} x-ms-snapshot x-ms-version-id x-ms-request-server-encrypted`,
  },
  {
    title: 'Copy Blob',
    page: 'copy-blob',
    rows: ['CopyBlob'],
    request:
      `x-ms-copy-source ${sourceConditions} x-ms-source-if-tags ${metadata} x-ms-tags x-ms-access-tier ` +
      `x-ms-rehydrate-priority x-ms-seal-blob ${retention} ${lease} ${conditions}`,
    response: `${stamp} x-ms-version-id x-ms-copy-id x-ms-copy-status ${sourceErrors}`,
    missing:
      'the copy is done when it is answered, also from another server: x-ms-copy-status is never pending, and the source ' +
      'may have 5,000 MiB',
    marks: {
      request: { ...tierOfBlock, 'x-ms-source-if-tags': partial(onThisServer) },
    },
  },
  {
    title: 'Copy Blob From URL',
    page: 'copy-blob-from-url',
    rows: ['CopyBlobFromUrl'],
    request:
      `x-ms-requires-sync ${source} x-ms-source-content-md5 x-ms-copy-source-tag-option ${metadata} x-ms-tags ` +
      `x-ms-access-tier x-ms-encryption-scope ${retention} ${lease} ${conditions}`,
    response: `${stamp} ${sums} x-ms-version-id x-ms-copy-id x-ms-copy-status x-ms-encryption-scope ${sourceErrors}`,
    marks: {
      request: { ...intent, ...tierOfBlock },
      response: copiedSums,
    },
  },
  {
    title: 'Abort Copy Blob',
    page: 'abort-copy-blob',
    rows: ['AbortCopyBlob'],
    query: 'copyid',
    request: `x-ms-copy-action ${lease}`,
    missing: 'no copy is ever pending, so it answers NoPendingCopyOperation where the blob and the lease are in order',
  },
  {
    title: 'Delete Blob',
    page: 'delete-blob',
    rows: ['DeleteBlob'],
    query: 'snapshot versionid deletetype',
    request:
      `x-ms-delete-snapshots x-ms-access-tier-if-modified-since x-ms-access-tier-if-unmodified-since ${lease} ` +
      conditions,
    response: 'x-ms-delete-type-permanent',
  },
  { title: 'Undelete Blob', page: 'undelete-blob', rows: ['UndeleteBlob'] },
  {
    title: 'Set Blob Tier',
    page: 'set-blob-tier',
    rows: ['SetBlobTier'],
    query: 'snapshot versionid',
    request: `x-ms-access-tier x-ms-rehydrate-priority ${lease} x-ms-if-tags`,
    marks: { request: tierOfBlock },
  },
  {
    title: 'Set Blob Immutability Policy',
    page: 'set-blob-immutability-policy',
    rows: ['SetBlobImmutabilityPolicy'],
    query: 'snapshot versionid',
    request: 'x-ms-immutability-policy-until-date x-ms-immutability-policy-mode if-unmodified-since',
    response: 'x-ms-immutability-policy-until-date x-ms-immutability-policy-mode',
  },
  {
    title: 'Delete Blob Immutability Policy',
    page: 'delete-blob-immutability-policy',
    rows: ['DeleteBlobImmutabilityPolicy'],
    query: 'snapshot versionid',
  },
  {
    title: 'Set Blob Legal Hold',
    page: 'set-blob-legal-hold',
    rows: ['SetBlobLegalHold'],
    query: 'snapshot versionid',
    request: 'x-ms-legal-hold',
    response: 'x-ms-legal-hold',
  },
  {
    title: 'Set Blob Expiry',
    page: 'set-blob-expiry',
    rows: ['SetBlobExpiry'],
    request: expiry,
    response: stamp,
    instead: { code: 'HierarchicalNamespaceNotEnabled', why: noHns },
    marks: {
      request: { 'x-ms-expiry-option': refused('the operation is'), 'x-ms-expiry-time': refused('the operation is') },
      response: { etag: neverSent(noHns), 'last-modified': neverSent(noHns) },
    },
  },
];
