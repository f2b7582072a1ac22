// Operations on the service and on containers, as the REST reference and the SDKs' specification list them.
import { type Documented, ignored, lease, metadata, noHns, partial, refused, stamp, times, upn } from './words.ts';

export const service: readonly Documented[] = [
  {
    title: 'List Containers',
    page: 'list-containers2',
    rows: ['ListContainers'],
    query: 'prefix marker maxresults include',
    response: 'content-type',
  },
  {
    title: 'Set Blob Service Properties',
    page: 'set-blob-service-properties',
    rows: ['SetBlobServiceProperties'],
    missing: 'HourMetrics and MinuteMetrics are kept and nothing is written for them',
  },
  {
    title: 'Get Blob Service Properties',
    page: 'get-blob-service-properties',
    rows: ['GetBlobServiceProperties'],
    response: 'content-type',
  },
  {
    title: 'Preflight Blob Request',
    page: 'preflight-blob-request',
    rows: ['PreflightBlobRequest'],
    request: 'origin access-control-request-method access-control-request-headers',
    response:
      'access-control-allow-origin access-control-allow-methods access-control-allow-headers access-control-max-age ' +
      'access-control-allow-credentials',
  },
  {
    title: 'Get Blob Service Stats',
    page: 'get-blob-service-stats',
    rows: ['GetBlobServiceStats'],
    instead: {
      code: 'InvalidQueryParameterValue',
      why: 'no account here is replicated to a secondary address; the answer is that of a primary address',
    },
  },
  {
    title: 'Get Account Information',
    page: 'get-account-information',
    rows: ['GetAccountInformation'],
    response: 'x-ms-sku-name x-ms-account-kind x-ms-is-hns-enabled',
  },
  {
    title: 'Get User Delegation Key',
    page: 'get-user-delegation-key',
    rows: ['GetUserDelegationKey'],
    response: 'content-type',
  },
  {
    title: 'Blob Batch',
    page: 'blob-batch',
    rows: ['BlobBatch'],
    request: 'content-type',
    response: 'content-type',
  },
  {
    title: 'Find Blobs by Tags',
    page: 'find-blobs-by-tags',
    rows: ['FindBlobsByTags'],
    query: 'where marker maxresults include',
    response: 'content-type',
    marks: { query: { include: partial('none; versions is refused: current blobs only are found') } },
  },
];

export const containers: readonly Documented[] = [
  {
    title: 'Create Container',
    page: 'create-container',
    rows: ['CreateContainer'],
    request: `${metadata} x-ms-blob-public-access x-ms-default-encryption-scope x-ms-deny-encryption-scope-override`,
    response: stamp,
  },
  {
    title: 'Get Container Properties',
    page: 'get-container-properties',
    rows: ['GetContainerProperties'],
    request: lease,
    response:
      `${stamp} ${metadata} x-ms-lease-status x-ms-lease-state x-ms-lease-duration x-ms-blob-public-access ` +
      'x-ms-has-immutability-policy x-ms-has-legal-hold x-ms-immutable-storage-with-versioning-enabled ' +
      'x-ms-default-encryption-scope x-ms-deny-encryption-scope-override',
  },
  {
    title: 'Get Container Metadata',
    page: 'get-container-metadata',
    rows: ['GetContainerMetadata'],
    request: lease,
    response: `${stamp} ${metadata}`,
  },
  {
    title: 'Set Container Metadata',
    page: 'set-container-metadata',
    rows: ['SetContainerMetadata'],
    request: `${lease} ${metadata} if-modified-since`,
    response: stamp,
  },
  {
    title: 'Get Container ACL',
    page: 'get-container-acl',
    rows: ['GetContainerAcl'],
    request: lease,
    response: `${stamp} content-type x-ms-blob-public-access`,
  },
  {
    title: 'Set Container ACL',
    page: 'set-container-acl',
    rows: ['SetContainerAcl'],
    request: `${lease} ${times} x-ms-blob-public-access`,
    response: stamp,
  },
  {
    title: 'Delete Container',
    page: 'delete-container',
    rows: ['DeleteContainer'],
    request: `${lease} ${times}`,
  },
  {
    title: 'Lease Container',
    page: 'lease-container',
    rows: ['LeaseContainer'],
    request: `${lease} ${times} x-ms-lease-action x-ms-lease-break-period x-ms-lease-duration x-ms-proposed-lease-id`,
    response: `${stamp} x-ms-lease-id x-ms-lease-time`,
  },
  {
    title: 'Restore Container',
    page: 'restore-container',
    rows: ['RestoreContainer'],
    request: 'x-ms-deleted-container-name x-ms-deleted-container-version',
  },
  {
    title: 'Rename Container',
    rows: [],
    query: '',
    request: 'x-ms-source-container-name x-ms-source-lease-id',
    instead: {
      code: 'InvalidQueryParameterValue',
      why: 'it stands in the specification of the SDKs and not in the reference',
    },
    marks: {
      request: {
        'x-ms-source-container-name': refused('the operation is'),
        'x-ms-source-lease-id': refused('the operation is'),
      },
    },
  },
  {
    title: 'List Blobs',
    page: 'list-blobs',
    rows: ['ListBlobs'],
    query: 'prefix delimiter marker maxresults include showonly startfrom endbefore',
    request: 'accept x-ms-upn',
    response: 'content-type',
    marks: {
      query: {
        include: partial(`permissions adds nothing: ${noHns}`),
        showonly: partial(`deleted; files and directories are refused: ${noHns}`),
      },
      request: {
        accept: ignored('application/vnd.apache.arrow.stream: the list is XML, and says so'),
        ...upn,
      },
    },
  },
];
