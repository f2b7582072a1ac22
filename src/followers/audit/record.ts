// What a record of the audit log says: the columns of Azure's StorageBlobLogs table, and the log's own records.

/** A column that does not apply is left out. Sizes are bytes. */
export interface AuditRecord {
  readonly Type: 'StorageBlobLogs';
  /** When the request came. */
  readonly TimeGenerated: string;
  readonly AccountName?: string | undefined;
  readonly Category: 'StorageRead' | 'StorageWrite' | 'StorageDelete';
  readonly OperationName: string;
  readonly OperationVersion?: string | undefined;
  readonly OperationCount?: number | undefined;
  readonly SchemaVersion?: string | undefined;
  readonly ServiceType: 'blob';
  /** `HTTP/1.1` or `HTTPS`, as the table has them: `HTTP` or `HTTPS`. */
  readonly Protocol: 'HTTP' | 'HTTPS';
  readonly TlsVersion?: string | undefined;
  readonly StatusCode: number;
  readonly StatusText: string;
  readonly AuthenticationType: string;
  /** Hashes of what was presented, never the thing itself. */
  readonly AuthenticationHash?: string | undefined;
  readonly AuthorizationDetails?: unknown;
  readonly RequesterObjectId?: string | undefined;
  readonly RequesterTenantId?: string | undefined;
  readonly RequesterAppId?: string | undefined;
  readonly RequesterUpn?: string | undefined;
  readonly RequesterAudience?: string | undefined;
  readonly RequesterTokenIssuer?: string | undefined;
  /** Of a user delegation signature: whom it was made out to. */
  readonly DelegatedUserObjectId?: string | undefined;
  readonly DelegatedUserTenantId?: string | undefined;
  /** Address and port. */
  readonly CallerIpAddress: string;
  /** Signatures in it read XXXXX. */
  readonly Uri: string;
  readonly ObjectKey?: string | undefined;
  readonly SourceUri?: string | undefined;
  readonly CorrelationId: string;
  readonly ClientRequestId?: string | undefined;
  /** The records of the change in the journal, `,` between them. */
  readonly JournalId?: string | undefined;
  readonly DurationMs: number;
  readonly ServerLatencyMs: number;
  readonly RequestHeaderSize: number;
  readonly RequestBodySize: number;
  readonly ResponseHeaderSize: number;
  readonly ResponseBodySize: number;
  readonly ContentLengthHeader?: number | undefined;
  readonly RequestMd5?: string | undefined;
  readonly ResponseMd5?: string | undefined;
  readonly Etag?: string | undefined;
  readonly LastModifiedTime?: string | undefined;
  readonly ConditionsUsed?: string | undefined;
  readonly UserAgentHeader?: string | undefined;
  readonly ReferrerHeader?: string | undefined;
  readonly AccessTier?: string | undefined;
  readonly SourceAccessTier?: string | undefined;
  readonly RehydratePriority?: string | undefined;
  readonly SasExpiryStatus?: string | undefined;
}

/** In the order of an export's columns. */
export const auditColumns = [
  'TimeGenerated',
  'AccountName',
  'Category',
  'OperationName',
  'OperationVersion',
  'OperationCount',
  'SchemaVersion',
  'ServiceType',
  'Protocol',
  'TlsVersion',
  'StatusCode',
  'StatusText',
  'AuthenticationType',
  'AuthenticationHash',
  'AuthorizationDetails',
  'RequesterObjectId',
  'RequesterTenantId',
  'RequesterAppId',
  'RequesterUpn',
  'RequesterAudience',
  'RequesterTokenIssuer',
  'DelegatedUserObjectId',
  'DelegatedUserTenantId',
  'CallerIpAddress',
  'Uri',
  'ObjectKey',
  'SourceUri',
  'CorrelationId',
  'ClientRequestId',
  'JournalId',
  'DurationMs',
  'ServerLatencyMs',
  'RequestHeaderSize',
  'RequestBodySize',
  'ResponseHeaderSize',
  'ResponseBodySize',
  'ContentLengthHeader',
  'RequestMd5',
  'ResponseMd5',
  'Etag',
  'LastModifiedTime',
  'ConditionsUsed',
  'UserAgentHeader',
  'ReferrerHeader',
  'AccessTier',
  'SourceAccessTier',
  'RehydratePriority',
  'SasExpiryStatus',
] as const satisfies readonly (keyof AuditRecord)[];

/** The last record of a chain that another one knows of. */
export interface Head {
  readonly chain: string;
  readonly seq: number;
  readonly hash: string;
}

/** What the log says of itself, between the records of requests. */
export type OwnRecord =
  /** The first of a file; `Others`, in a chain's first file, are the heads of the chains that there were. */
  | {
      readonly Type: 'AuditFile';
      readonly TimeGenerated: string;
      readonly Chain: string;
      readonly File: number;
      readonly Previous: string;
      readonly Others?: readonly Head[];
    }
  /** A file that was deleted for its age, or for room. */
  | {
      readonly Type: 'AuditTrimmed';
      readonly TimeGenerated: string;
      readonly Chain: string;
      readonly File: number;
      readonly LastSeq: number;
      readonly LastHash: string;
    }
  /** Records that could not be kept while the disk failed (`auditOnFailure` is `continue`). */
  | {
      readonly Type: 'AuditGap';
      readonly TimeGenerated: string;
      readonly Records: number;
      readonly From: string;
      readonly To: string;
    }
  | { readonly Type: 'AuditClosed'; readonly TimeGenerated: string };
