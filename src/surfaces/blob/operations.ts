// The table of the Blob API's operations: how each is recognised, what it needs permission for, who serves it.
import type { Answer } from '../http/answer.ts';
import { getAccountInfo } from './account-info.ts';
import { appendBlockOf } from './append-block.ts';
import { appendBlockFromUrl } from './append-block-from-url.ts';
import { batch } from './batch.ts';
import type { BlobCall, Call, ContainerCall } from './call.ts';
import { getContainerAcl, setContainerAcl } from './container-acl.ts';
import { abortCopy, copyBlob, copyBlobFromUrl, putBlobFromUrl } from './copy-blob.ts';
import { createContainer } from './create-container.ts';
import { deleteBlob, undeleteBlob } from './delete-blob.ts';
import { deleteContainer } from './delete-container.ts';
import { getBlob, getBlobMetadata, getBlobProperties } from './get-blob.ts';
import { getBlockList } from './get-block-list.ts';
import { getContainer } from './get-container.ts';
import { deleteImmutabilityPolicy, setImmutabilityPolicy, setLegalHold } from './immutability.ts';
import { incrementalCopy } from './incremental-copy.ts';
import { leaseBlob } from './lease-blob.ts';
import { leaseContainer } from './lease-container.ts';
import { listBlobs } from './list-blobs.ts';
import { listContainers } from './list-containers.ts';
import {
  type Choice,
  deleteAction,
  fromUrl,
  leaseAction,
  syncFromUrl,
  typedFromUrl,
  wholeBlob,
} from './operation-choice.ts';
import { getPageRanges } from './page-ranges.ts';
import { putBlob } from './put-blob.ts';
import { putBlock } from './put-block.ts';
import { putBlockFromUrl } from './put-block-from-url.ts';
import { putBlockList } from './put-block-list.ts';
import { putPage } from './put-page.ts';
import { putPageFromUrl } from './put-page-from-url.ts';
import { queryBlob } from './query-blob.ts';
import { restoreContainer } from './restore-container.ts';
import { sealBlob } from './seal-blob.ts';
import { getServiceProperties, setServiceProperties } from './service-properties.ts';
import { getServiceStats } from './service-stats.ts';
import { setBlobMetadata, setBlobProperties, setBlobTier } from './set-blob.ts';
import { setBlobExpiry } from './set-blob-expiry.ts';
import { setContainerMetadata } from './set-container-metadata.ts';
import { snapshotBlob } from './snapshot-blob.ts';
import { findBlobsByTags, getBlobTags, setBlobTags, tagsInBody } from './tags.ts';
import { getUserDelegationKey } from './user-delegation-key.ts';

type ServiceOperation = Choice & {
  readonly level: 'service';
  readonly restype?: string;
  readonly handle: (call: Call) => Promise<Answer>;
};
type ContainerOperation = Choice & {
  readonly level: 'container';
  readonly restype?: string;
  readonly handle: (call: ContainerCall) => Promise<Answer>;
};
type BlobOperation = Choice & {
  readonly level: 'blob';
  readonly restype?: string;
  readonly handle: (call: BlobCall) => Promise<Answer>;
};

export type Operation = ServiceOperation | ContainerOperation | BlobOperation;

export const operations: readonly Operation[] = [
  {
    level: 'service',
    method: 'GET',
    comp: 'list',
    name: 'ListContainers',
    action: 'service/list',
    handle: listContainers,
  },
  {
    level: 'service',
    method: 'GET',
    restype: 'service',
    comp: 'properties',
    name: 'GetBlobServiceProperties',
    action: 'service/read',
    handle: getServiceProperties,
  },
  {
    level: 'service',
    method: 'PUT',
    restype: 'service',
    comp: 'properties',
    name: 'SetBlobServiceProperties',
    action: 'service/write',
    handle: setServiceProperties,
  },
  {
    level: 'service',
    method: 'GET',
    restype: 'service',
    comp: 'stats',
    name: 'GetBlobServiceStats',
    action: 'service/read',
    handle: getServiceStats,
  },
  {
    level: 'service',
    method: 'GET',
    restype: 'account',
    comp: 'properties',
    name: 'GetAccountInformation',
    action: 'service/info',
    handle: getAccountInfo,
  },
  {
    level: 'service',
    method: 'HEAD',
    restype: 'account',
    comp: 'properties',
    name: 'GetAccountInformation',
    action: 'service/info',
    handle: getAccountInfo,
  },
  {
    level: 'service',
    method: 'POST',
    restype: 'service',
    comp: 'userdelegationkey',
    name: 'GetUserDelegationKey',
    action: 'service/delegation-key',
    handle: getUserDelegationKey,
  },
  { level: 'service', method: 'POST', comp: 'batch', name: 'BlobBatch', action: 'service/batch', handle: batch },
  // An SDK that sees a path in the account's address takes the account for a container.
  {
    level: 'service',
    method: 'POST',
    restype: 'container',
    comp: 'batch',
    name: 'BlobBatch',
    action: 'service/batch',
    handle: batch,
  },
  {
    level: 'service',
    method: 'GET',
    comp: 'blobs',
    name: 'FindBlobsByTags',
    action: 'service/filter',
    handle: findBlobsByTags,
  },

  {
    level: 'container',
    method: 'GET',
    restype: 'account',
    comp: 'properties',
    name: 'GetAccountInformation',
    action: 'service/info',
    handle: getAccountInfo,
  },
  {
    level: 'container',
    method: 'HEAD',
    restype: 'account',
    comp: 'properties',
    name: 'GetAccountInformation',
    action: 'service/info',
    handle: getAccountInfo,
  },
  {
    level: 'container',
    method: 'PUT',
    restype: 'container',
    name: 'CreateContainer',
    action: 'container/create',
    handle: createContainer,
  },
  {
    level: 'container',
    method: 'DELETE',
    restype: 'container',
    name: 'DeleteContainer',
    action: 'container/delete',
    handle: deleteContainer,
  },
  {
    level: 'container',
    method: 'GET',
    restype: 'container',
    name: 'GetContainerProperties',
    action: 'container/read',
    handle: getContainer,
  },
  {
    level: 'container',
    method: 'HEAD',
    restype: 'container',
    name: 'GetContainerProperties',
    action: 'container/read',
    handle: getContainer,
  },
  {
    level: 'container',
    method: 'GET',
    restype: 'container',
    comp: 'metadata',
    name: 'GetContainerMetadata',
    action: 'container/read',
    handle: getContainer,
  },
  {
    level: 'container',
    method: 'HEAD',
    restype: 'container',
    comp: 'metadata',
    name: 'GetContainerMetadata',
    action: 'container/read',
    handle: getContainer,
  },
  {
    level: 'container',
    method: 'PUT',
    restype: 'container',
    comp: 'metadata',
    name: 'SetContainerMetadata',
    action: 'container/write',
    handle: setContainerMetadata,
  },
  {
    level: 'container',
    method: 'GET',
    restype: 'container',
    comp: 'acl',
    name: 'GetContainerAcl',
    action: 'container/acl',
    handle: getContainerAcl,
  },
  {
    level: 'container',
    method: 'HEAD',
    restype: 'container',
    comp: 'acl',
    name: 'GetContainerAcl',
    action: 'container/acl',
    handle: getContainerAcl,
  },
  {
    level: 'container',
    method: 'PUT',
    restype: 'container',
    comp: 'acl',
    name: 'SetContainerAcl',
    action: 'container/set-acl',
    handle: setContainerAcl,
  },
  {
    level: 'container',
    method: 'PUT',
    restype: 'container',
    comp: 'lease',
    name: 'LeaseContainer',
    action: leaseAction('container'),
    handle: leaseContainer,
  },
  {
    level: 'container',
    method: 'GET',
    restype: 'container',
    comp: 'list',
    name: 'ListBlobs',
    action: 'container/list',
    handle: listBlobs,
  },
  {
    level: 'container',
    method: 'POST',
    restype: 'container',
    comp: 'batch',
    name: 'BlobBatch',
    action: 'service/batch',
    handle: batch,
  },
  {
    level: 'container',
    method: 'GET',
    restype: 'container',
    comp: 'blobs',
    name: 'FindBlobsByTags',
    action: 'container/filter',
    handle: findBlobsByTags,
  },
  {
    level: 'container',
    method: 'PUT',
    restype: 'container',
    comp: 'undelete',
    name: 'RestoreContainer',
    action: 'container/undelete',
    handle: restoreContainer,
  },

  {
    level: 'blob',
    method: 'GET',
    restype: 'account',
    comp: 'properties',
    name: 'GetAccountInformation',
    action: 'service/info',
    handle: getAccountInfo,
  },
  {
    level: 'blob',
    method: 'HEAD',
    restype: 'account',
    comp: 'properties',
    name: 'GetAccountInformation',
    action: 'service/info',
    handle: getAccountInfo,
  },
  { level: 'blob', method: 'GET', name: 'GetBlob', action: 'blob/read', handle: getBlob },
  { level: 'blob', method: 'HEAD', name: 'GetBlobProperties', action: 'blob/read', handle: getBlobProperties },
  {
    level: 'blob',
    method: 'PUT',
    when: typedFromUrl,
    name: 'PutBlobFromUrl',
    action: 'blob/create',
    sets: wholeBlob,
    handle: putBlobFromUrl,
  },
  {
    level: 'blob',
    method: 'PUT',
    when: syncFromUrl,
    name: 'CopyBlobFromUrl',
    action: 'blob/create',
    sets: wholeBlob,
    handle: copyBlobFromUrl,
  },
  {
    level: 'blob',
    method: 'PUT',
    when: fromUrl,
    name: 'CopyBlob',
    action: 'blob/create',
    sets: wholeBlob,
    handle: copyBlob,
  },
  { level: 'blob', method: 'PUT', name: 'PutBlob', action: 'blob/create', sets: wholeBlob, handle: putBlob },
  { level: 'blob', method: 'DELETE', name: 'DeleteBlob', action: deleteAction, handle: deleteBlob },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'block',
    when: fromUrl,
    name: 'PutBlockFromUrl',
    action: 'blob/write',
    handle: putBlockFromUrl,
  },
  { level: 'blob', method: 'PUT', comp: 'block', name: 'PutBlock', action: 'blob/write', handle: putBlock },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'blocklist',
    name: 'PutBlockList',
    action: 'blob/write',
    sets: wholeBlob,
    handle: putBlockList,
  },
  { level: 'blob', method: 'GET', comp: 'blocklist', name: 'GetBlockList', action: 'blob/read', handle: getBlockList },
  {
    level: 'blob',
    method: 'GET',
    comp: 'metadata',
    name: 'GetBlobMetadata',
    action: 'blob/read',
    handle: getBlobMetadata,
  },
  {
    level: 'blob',
    method: 'HEAD',
    comp: 'metadata',
    name: 'GetBlobMetadata',
    action: 'blob/read',
    handle: getBlobMetadata,
  },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'metadata',
    name: 'SetBlobMetadata',
    action: 'blob/write',
    handle: setBlobMetadata,
  },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'properties',
    name: 'SetBlobProperties',
    action: 'blob/write',
    handle: setBlobProperties,
  },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'tier',
    name: 'SetBlobTier',
    action: 'blob/write',
    sets: { tier: true },
    handle: setBlobTier,
  },
  { level: 'blob', method: 'PUT', comp: 'lease', name: 'LeaseBlob', action: leaseAction('blob'), handle: leaseBlob },
  { level: 'blob', method: 'PUT', comp: 'copy', name: 'AbortCopyBlob', action: 'blob/write', handle: abortCopy },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'snapshot',
    name: 'SnapshotBlob',
    action: 'blob/snapshot',
    handle: snapshotBlob,
  },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'undelete',
    name: 'UndeleteBlob',
    action: 'blob/undelete',
    handle: undeleteBlob,
  },
  { level: 'blob', method: 'GET', comp: 'tags', name: 'GetBlobTags', action: 'blob/tags-read', handle: getBlobTags },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'tags',
    name: 'SetBlobTags',
    action: 'blob/tags-write',
    sets: (request) => ({ tags: () => tagsInBody(request) }),
    handle: setBlobTags,
  },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'appendblock',
    when: fromUrl,
    name: 'AppendBlockFromUrl',
    action: 'blob/add',
    handle: appendBlockFromUrl,
  },
  { level: 'blob', method: 'PUT', comp: 'appendblock', name: 'AppendBlock', action: 'blob/add', handle: appendBlockOf },
  { level: 'blob', method: 'PUT', comp: 'seal', name: 'SealAppendBlob', action: 'blob/write', handle: sealBlob },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'page',
    when: fromUrl,
    name: 'PutPageFromUrl',
    action: 'blob/write',
    handle: putPageFromUrl,
  },
  { level: 'blob', method: 'PUT', comp: 'page', name: 'PutPage', action: 'blob/write', handle: putPage },
  { level: 'blob', method: 'GET', comp: 'pagelist', name: 'GetPageRanges', action: 'blob/read', handle: getPageRanges },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'incrementalcopy',
    name: 'IncrementalCopyBlob',
    action: 'blob/write',
    handle: incrementalCopy,
  },
  { level: 'blob', method: 'POST', comp: 'query', name: 'QueryBlobContents', action: 'blob/read', handle: queryBlob },
  { level: 'blob', method: 'PUT', comp: 'expiry', name: 'SetBlobExpiry', action: 'blob/write', handle: setBlobExpiry },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'immutabilitypolicies',
    name: 'SetBlobImmutabilityPolicy',
    action: 'blob/immutability',
    handle: setImmutabilityPolicy,
  },
  {
    level: 'blob',
    method: 'DELETE',
    comp: 'immutabilitypolicies',
    name: 'DeleteBlobImmutabilityPolicy',
    action: 'blob/immutability',
    handle: deleteImmutabilityPolicy,
  },
  {
    level: 'blob',
    method: 'PUT',
    comp: 'legalhold',
    name: 'SetBlobLegalHold',
    action: 'blob/immutability',
    handle: setLegalHold,
  },
];
