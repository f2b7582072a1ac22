// Every error the Blob surface answers: Azure's documented code, status and message, and the XML around them.
import { crc64ToBase64 } from '../../codec/crc64.ts';
import { formatIsoTime } from '../../codec/http-date.ts';
import type { XmlElement } from '../../codec/xml-read.ts';
import { escapeXml, xmlDeclaration } from '../../codec/xml-write.ts';
import type { Failure, FailureKind } from '../../namespace/failure.ts';
import type { Answer } from '../http/answer.ts';

/** Azure: "Status and error codes" and "Blob service error codes". */
const codes = {
  AllBatchSubRequestsShouldBeSameApi: [400, 'All batch subrequests should be the same api.'],
  AccountIsDisabled: [403, 'The specified account is disabled.'],
  AuthenticationFailed: [
    403,
    'Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.',
  ],
  AuthorizationFailure: [403, 'This request is not authorized to perform this operation.'],
  AuthorizationPermissionMismatch: [
    403,
    'This request is not authorized to perform this operation using this permission.',
  ],
  AuthorizationProtocolMismatch: [403, 'This request is not authorized to perform this operation using this protocol.'],
  AuthorizationResourceTypeMismatch: [
    403,
    'This request is not authorized to perform this operation using this resource type.',
  ],
  AuthorizationServiceMismatch: [403, 'This request is not authorized to perform this operation using this service.'],
  AuthorizationSourceIPMismatch: [
    403,
    'This request is not authorized to perform this operation using this source IP {0}.',
  ],
  BlobAlreadyExists: [409, 'The specified blob already exists.'],
  BlobArchived: [409, 'This operation is not permitted on an archived blob.'],
  AppendPositionConditionNotMet: [412, 'The append position condition specified was not met.'],
  BlobBeingRehydrated: [409, 'This operation is not permitted because the blob is being rehydrated.'],
  BlobImmutableDueToLegalHold: [
    409,
    'This operation is not permitted as the blob is immutable due to one or more legal holds.',
  ],
  BlobImmutableDueToPolicy: [409, 'This operation is not permitted as the blob is immutable due to a policy.'],
  BlobIsSealed: [409, 'The blob is sealed and its contents cannot be modified.'],
  BlobOperationNotSupported: [409, 'Blob operation is not supported.'],
  BlobOverwritten: [409, 'The blob has been recreated since the previous snapshot was taken.'],
  BlobNotFound: [404, 'The specified blob does not exist.'],
  BlobCustomerSpecifiedEncryptionMismatch: [
    409,
    'The given customer specified encryption does not match the encryption used to encrypt the blob.',
  ],
  BlobDoesNotUseCustomerSpecifiedEncryption: [
    409,
    'The blob is not encrypted with customer specified encryption, but one was provided in the request.',
  ],
  BlobUsesCustomerSpecifiedEncryption: [
    409,
    'The blob is encrypted with customer specified encryption, but it was not provided in the request.',
  ],
  BlockCountExceedsLimit: [409, 'The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.'],
  BothCrc64AndMd5HeaderPresent: [400, 'Both x-ms-content-crc64 header and content-md5 header are present.'],
  BothCrc64AndMd5RangeHeaderPresent: [
    400,
    'Both x-ms-range-get-content-crc64 header and x-ms-range-get-content-md5 header are present.',
  ],
  BlockListTooLong: [400, 'The block list may not contain more than 50,000 blocks.'],
  CannotVerifyCopySource: [404, 'The specified blob does not exist.'],
  ConditionHeadersNotSupported: [400, 'Condition headers are not supported.'],
  ConditionNotMet: [412, 'The condition specified using HTTP conditional header(s) is not met.'],
  ContainerAlreadyExists: [409, 'The specified container already exists.'],
  ContainerImmutabilityPolicyLocked: [
    409,
    'The requested operation is not permitted as the container has a locked immutability policy.',
  ],
  ContainerHasLegalHold: [409, 'The requested operation is not permitted as the container has a legal hold.'],
  ContainerProtectedFromDeletion: [
    409,
    'The container is protected from deletion by an immutability policy or a hold.',
  ],
  ContainerNotFound: [404, 'The specified container does not exist.'],
  CopyIdMismatch: [409, 'The specified copy ID did not match the copy ID for the pending copy operation.'],
  CorsPreflightFailure: [403, 'CORS not enabled or no matching rule found for this request.'],
  Crc64Mismatch: [
    400,
    'The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.',
  ],
  EmptyMetadataKey: [400, 'The key for one of the metadata key-value pairs is empty.'],
  EncryptionScopeDisabled: [403, 'The encryption scope is disabled.'],
  ExceedsMaxBatchRequestCount: [400, 'The batch operation exceeds maximum number of allowed subrequests.'],
  FeatureVersionMismatch: [409, 'The operation for the resource is not supported by the request version.'],
  HierarchicalNamespaceNotEnabled: [400, 'This operation is only supported on a hierarchical namespace account.'],
  IncrementalCopyBlobMismatch: [
    409,
    'The specified source blob is different than the copy source of the existing incremental copy blob.',
  ],
  IncrementalCopyOfEarlierVersionSnapshotNotAllowed: [
    409,
    'The specified snapshot is earlier than the last snapshot copied into the incremental copy blob.',
  ],
  IncrementalCopySourceMustBeSnapshot: [409, 'The source for incremental copy request must be a snapshot.'],
  InsufficientAccountPermissions: [
    403,
    'The account being accessed does not have sufficient permissions to execute this operation.',
  ],
  InternalError: [500, 'The server encountered an internal error. Please retry the request.'],
  InvalidAuthenticationInfo: [
    400,
    'Authentication information is not given in the correct format. Check the value of Authorization header.',
  ],
  InvalidBlobOrBlock: [400, 'The specified blob or block content is invalid.'],
  InvalidBlobTier: [400, 'The specified blob tier is invalid.'],
  InvalidBlobType: [409, 'The blob type is invalid for this operation.'],
  InvalidBlockId: [400, 'The specified block ID is invalid. The block ID must be Base64-encoded.'],
  InvalidBlockList: [400, 'The specified block list is invalid.'],
  InvalidHeaderValue: [400, 'The value for one of the HTTP headers is not in the correct format.'],
  InvalidInput: [400, 'One of the request inputs is not valid.'],
  InvalidMd5: [
    400,
    'The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64 encoded.',
  ],
  InvalidMetadata: [400, 'The metadata specified is invalid. It has characters that are not permitted.'],
  InvalidOperation: [409, 'This operation is not permitted.'],
  InvalidPageRange: [416, 'The page range specified is invalid.'],
  InvalidTags: [400, 'The tags specified are invalid. It contains characters that are not permitted.'],
  InvalidQueryParameterValue: [400, 'Value for one of the query parameters specified in the request URI is invalid.'],
  InvalidRange: [416, 'The range specified is invalid for the current size of the resource.'],
  // Sic.
  InvalidResourceName: [400, 'The specifed resource name contains invalid characters.'],
  InvalidSourceBlobUrl: [409, 'The source URL for copy is invalid.'],
  InvalidUri: [400, 'The requested URI does not represent any resource on the server.'],
  InvalidXmlDocument: [400, 'XML specified is not syntactically valid.'],
  InvalidXmlNodeValue: [400, 'The value for one of the XML nodes is not in the correct format.'],
  KeyVaultAccessTokenCannotBeAcquired: [
    403,
    'The key vault access token cannot be acquired using the identity of the resource.',
  ],
  KeyVaultEncryptionKeyNotFound: [403, 'The key vault key is not found to unwrap the encryption key.'],
  KeyVaultVaultNotFound: [403, 'The key vault vault is not found.'],
  KeyBasedAuthenticationNotPermitted: [403, 'Key based authentication is not permitted on this storage account.'],
  LeaseAlreadyBroken: [409, 'The lease has already been broken and cannot be broken again.'],
  LeaseAlreadyPresent: [409, 'There is already a lease present.'],
  LeaseIdMismatchWithBlobOperation: [412, 'The lease ID specified did not match the lease ID for the blob.'],
  LeaseIdMismatchWithContainerOperation: [412, 'The lease ID specified did not match the lease ID for the container.'],
  LeaseIdMismatchWithLeaseOperation: [409, 'The lease ID specified did not match the lease ID for the blob/container.'],
  LeaseIdMissing: [412, 'There is currently a lease on the blob and no lease ID was specified in the request.'],
  LeaseIsBreakingAndCannotBeAcquired: [
    409,
    'The lease ID matched, but the lease is currently in breaking state and cannot be acquired until it is broken.',
  ],
  LeaseIsBreakingAndCannotBeChanged: [
    409,
    'The lease ID matched, but the lease is currently in breaking state and cannot be changed.',
  ],
  LeaseIsBrokenAndCannotBeRenewed: [
    409,
    'The lease ID matched, but the lease has been broken explicitly and cannot be renewed.',
  ],
  LeaseLost: [412, 'A lease ID was specified, but the lease for the blob has expired.'],
  LeaseNotPresentWithBlobOperation: [412, 'There is currently no lease on the blob.'],
  LeaseNotPresentWithContainerOperation: [412, 'There is currently no lease on the container.'],
  LeaseNotPresentWithLeaseOperation: [409, 'There is currently no lease on the blob/container.'],
  Md5Mismatch: [
    400,
    'The MD5 value specified in the request did not match with the MD5 value calculated by the server.',
  ],
  MetadataTooLarge: [400, 'The metadata specified exceeds the maximum size allowed (8 KiB).'],
  MissingContentLengthHeader: [411, 'Content-Length HTTP header is missing.'],
  MissingRequiredHeader: [400, "An HTTP header that's mandatory for this request is not specified."],
  MissingRequiredQueryParameter: [400, 'A query parameter that is mandatory for this request is not specified.'],
  MultipleConditionHeadersNotSupported: [400, 'Multiple condition headers are not supported.'],
  NoAuthenticationInformation: [
    401,
    'Server failed to authenticate the request. Please refer to the information in the www-authenticate header.',
  ],
  MaxBlobSizeConditionNotMet: [412, 'The max blob size condition specified was not met.'],
  OperationNotAllowedOnIncrementalCopyBlob: [
    409,
    'The specified operation is not allowed on an incremental copy blob.',
  ],
  OperationNotAllowedOnRootBlob: [403, 'The specified operation is not allowed on root blob.'],
  PermanentDeleteIsOff: [409, 'Permanent delete is off on the storage account.'],
  PreviousSnapshotCannotBeNewer: [
    409,
    'The prevsnapshot query parameter value is newer than the snapshot of the request.',
  ],
  PreviousSnapshotNotFound: [409, 'The previous snapshot is not found.'],
  SequenceNumberConditionNotMet: [412, 'The sequence number condition specified was not met.'],
  SnapshotsPresent: [409, 'This operation is not permitted because the blob has snapshots.'],
  VersioningRequired: [409, 'The container does not have immutability with versioning enabled.'],
  NoPendingCopyOperation: [409, 'There is currently no pending copy operation.'],
  NotImplemented: [501, 'The requested operation is not implemented on the specified resource.'],
  OperationTimedOut: [500, 'The operation could not be completed within the permitted time.'],
  OutOfRangeInput: [400, 'One of the request inputs is out of range.'],
  OutOfRangeQueryParameterValue: [
    400,
    'One of the query parameters specified in the request URI is outside the permissible range.',
  ],
  PublicAccessNotPermitted: [409, 'Public access is not permitted on this storage account.'],
  RequestBodyTooLarge: [413, 'The request body is too large and exceeds the maximum permissible limit.'],
  RequestForbiddenByContainerEncryptionPolicy: [403, 'The request is forbidden by the container encryption policy.'],
  RequestUrlFailedToParse: [400, 'The url in the request could not be parsed.'],
  ResourceNotFound: [404, 'The specified resource does not exist.'],
  ServerBusy: [503, 'The server is currently unable to receive requests. Please retry your request.'],
  SourceConditionNotMet: [412, 'The source condition specified using HTTP conditional header(s) is not met.'],
  TargetConditionNotMet: [412, 'The target condition specified using HTTP conditional header(s) is not met.'],
  UnauthorizedBlobOverwrite: [403, 'This request is not authorized to perform blob overwrites.'],
  UnsatisfiableCondition: [400, 'The request includes an unsatisfiable condition for this operation.'],
  UnsupportedHeader: [400, 'One of the HTTP headers specified in the request is not supported.'],
  WebContentNotFound: [404, 'The requested content does not exist.'],
  UnsupportedHttpVerb: [405, "The resource doesn't support specified Http Verb."],
  UnsupportedQueryParameter: [400, 'One of the query parameters specified in the request URI is not supported.'],
} as const satisfies Record<string, readonly [status: number, message: string]>;

export type ErrorCode = keyof typeof codes;

export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(codes, text);

/** Thrown where parsing a request finds what cannot be served; handled once, by the dispatcher. */
export class BlobError extends Error {
  readonly errorCode: ErrorCode;
  readonly status: number;
  readonly details: Readonly<Record<string, string>>;
  /** Headers that the answer carries besides. */
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    errorCode: ErrorCode,
    details: Readonly<Record<string, string>> = {},
    message?: string,
    headers: Readonly<Record<string, string>> = {},
    status: number = codes[errorCode][0],
  ) {
    super(message ?? codes[errorCode][1]);
    this.status = status;
    this.errorCode = errorCode;
    this.details = details;
    this.headers = headers;
  }
}

/** Of a document that breaks a rule; `element` is the one in which it does. */
export function documentError({ end }: Pick<XmlElement, 'end'>, reason: string): BlobError {
  const place = { LineNumber: `${end.line}`, LinePosition: `${end.position}` };
  return new BlobError('InvalidXmlDocument', { ...place, Reason: reason });
}

const operationSuffix = { entry: 'BlobOperation', container: 'ContainerOperation', lease: 'LeaseOperation' } as const;

type CodeOf = { readonly [K in FailureKind]: ErrorCode | ((failure: Extract<Failure, { kind: K }>) => ErrorCode) };

/** How the namespace's outcomes read in this protocol. */
const codeOf: CodeOf = {
  'account-not-found': 'AuthenticationFailed',
  'account-exists': 'InvalidOperation',
  'container-not-found': 'ContainerNotFound',
  'container-exists': 'ContainerAlreadyExists',
  'entry-not-found': 'BlobNotFound',
  'entry-exists': 'BlobAlreadyExists',
  'condition-not-met': 'ConditionNotMet',
  'not-modified': 'ConditionNotMet',
  'overwrite-forbidden': 'UnauthorizedBlobOverwrite',
  'not-permitted': 'AuthorizationPermissionMismatch',
  'lease-id-missing': 'LeaseIdMissing',
  'lease-mismatch': ({ operation }) => `LeaseIdMismatchWith${operationSuffix[operation]}` as ErrorCode,
  'lease-not-present': ({ operation }) => `LeaseNotPresentWith${operationSuffix[operation]}` as ErrorCode,
  'lease-lost': 'LeaseLost',
  'lease-present': 'LeaseAlreadyPresent',
  'lease-breaking': ({ operation }) =>
    operation === 'acquire' ? 'LeaseIsBreakingAndCannotBeAcquired' : 'LeaseIsBreakingAndCannotBeChanged',
  'lease-broken': 'LeaseIsBrokenAndCannotBeRenewed',
  'lease-broken-already': 'LeaseAlreadyBroken',
  'block-list-invalid': 'InvalidBlockList',
  'block-count-exceeded': 'BlockListTooLong',
  'block-id-length': 'InvalidBlobOrBlock',
  'blocks-staged-exceeded': 'BlockCountExceedsLimit',
  'quota-exceeded': 'InsufficientAccountPermissions',
  'body-length': 'InvalidInput',
  'body-too-large': 'RequestBodyTooLarge',
  'md5-mismatch': 'Md5Mismatch',
  'crc64-mismatch': 'Crc64Mismatch',
  'source-range': 'InvalidRange',
  'no-space': 'ServerBusy',
  'blob-type': 'InvalidBlobType',
  'snapshots-present': 'SnapshotsPresent',
  'current-version': 'OperationNotAllowedOnRootBlob',
  archived: 'BlobArchived',
  'past-state': 'BlobOperationNotSupported',
  rehydrating: 'BlobBeingRehydrated',
  'immutable-by-policy': 'BlobImmutableDueToPolicy',
  'immutable-by-hold': 'BlobImmutableDueToLegalHold',
  'container-protected': 'ContainerProtectedFromDeletion',
  'container-renamed': 'InvalidInput',
  'restore-off': 'InvalidOperation',
  'restore-time': 'InvalidInput',
  'restore-running': 'InvalidOperation',
  'policy-locked': 'BlobImmutableDueToPolicy',
  'policy-in-the-past': 'InvalidInput',
  'versioning-needed': 'VersioningRequired',
  'permanent-delete-off': 'PermanentDeleteIsOff',
  sealed: 'BlobIsSealed',
  'append-position': 'AppendPositionConditionNotMet',
  'append-too-large': 'MaxBlobSizeConditionNotMet',
  'page-range': 'InvalidPageRange',
  'sequence-number': 'SequenceNumberConditionNotMet',
  'previous-snapshot': 'PreviousSnapshotNotFound',
  'incremental-copy': 'OperationNotAllowedOnIncrementalCopyBlob',
  'incremental-mismatch': 'IncrementalCopyBlobMismatch',
  'incremental-earlier': 'IncrementalCopyOfEarlierVersionSnapshotNotAllowed',
  'incremental-source': 'IncrementalCopySourceMustBeSnapshot',
  contended: 'ServerBusy',
  'given-up': 'OperationTimedOut',
  'encryption-mismatch': ({ reason }) =>
    reason === 'key-missing'
      ? 'BlobUsesCustomerSpecifiedEncryption'
      : reason === 'key-not-used'
        ? 'BlobDoesNotUseCustomerSpecifiedEncryption'
        : 'BlobCustomerSpecifiedEncryptionMismatch',
};

const messageOf: { readonly [K in FailureKind]?: string } = {
  'quota-exceeded': 'The quota of the container would be exceeded.',
  'policy-in-the-past': 'The retention must end in the future.',
  'policy-locked': 'A locked immutability policy can only be extended.',
  'container-renamed': 'A deleted container is restored under its own name.',
  'no-space': 'The server has no space left to store the request.',
};

export function failureCode(failure: Failure): ErrorCode {
  const code = codeOf[failure.kind] as ErrorCode | ((failure: Failure) => ErrorCode);
  return typeof code === 'function' ? code(failure) : code;
}

/** The error that a failure of the namespace is in this protocol. */
export function failureError(failure: Failure): BlobError {
  return new BlobError(failureCode(failure), detailsOf(failure), messageOf[failure.kind]);
}

/** The elements of an error's body that a client can act on. */
function detailsOf(failure: Failure): Readonly<Record<string, string>> {
  switch (failure.kind) {
    case 'md5-mismatch': {
      const base64 = (sum: Uint8Array): string => Buffer.from(sum).toString('base64');
      return { UserSpecifiedMd5: base64(failure.given), ServerCalculatedMd5: base64(failure.computed) };
    }
    case 'crc64-mismatch':
      return {
        UserSpecifiedCrc: crc64ToBase64(failure.given),
        ServerCalculatedCrc: crc64ToBase64(failure.computed),
      };
    default:
      return {};
  }
}

/** A conditional read that found nothing new is answered without a body. */
export function notModified(): Answer {
  return { status: 304, reason: codes.ConditionNotMet[1], headers: { 'x-ms-error-code': 'ConditionNotMet' } };
}

/** A status line names no more than the first line of a message, and no character that might end it. */
function reasonOf({ message }: BlobError): string {
  return (message.split('\n', 1)[0] as string).replace(/[^\x20-\x7e]/g, '?');
}

export function errorAnswer(error: BlobError, requestId: string, nowMs: number): Answer {
  const { status } = error;
  const details = Object.entries(error.details).map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`);
  const message = `${error.message}\nRequestId:${requestId}\nTime:${formatIsoTime(nowMs)}`;
  const body = `${xmlDeclaration}<Error><Code>${error.errorCode}</Code><Message>${escapeXml(message)}</Message>${details.join('')}</Error>`;
  return {
    status,
    reason: reasonOf(error),
    headers: {
      'Content-Type': 'application/xml',
      ...(status === 503 && { 'Retry-After': 1 }),
      ...error.headers,
      'x-ms-error-code': error.errorCode,
      ...(error.errorCode === 'NoAuthenticationInformation' && { 'WWW-Authenticate': 'SharedKey' }),
    },
    body,
  };
}
