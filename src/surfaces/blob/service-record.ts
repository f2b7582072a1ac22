// The properties of an account's Blob service as they are stored, and what holds where nothing was ever set.

export interface Retention {
  readonly enabled: boolean;
  readonly days?: number;
}

export interface Logging {
  readonly version: string;
  readonly delete: boolean;
  readonly read: boolean;
  readonly write: boolean;
  readonly retention: Retention;
}

export interface Metrics {
  readonly version: string;
  readonly enabled: boolean;
  readonly includeApis?: boolean;
  readonly retention: Retention;
}

export interface CorsRule {
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly allowedHeaders: readonly string[];
  readonly exposedHeaders: readonly string[];
  readonly maxAgeS: number;
}

export interface DeleteRetention extends Retention {
  readonly allowPermanentDelete?: boolean;
}

export interface StaticWebsite {
  readonly enabled: boolean;
  readonly indexDocument?: string;
  readonly defaultIndexDocumentPath?: string;
  readonly errorDocument404Path?: string;
}

export interface BlobService {
  readonly logging: Logging;
  readonly hourMetrics: Metrics;
  readonly minuteMetrics: Metrics;
  readonly cors: readonly CorsRule[];
  readonly defaultServiceVersion?: string;
  readonly deleteRetention: DeleteRetention;
  readonly staticWebsite: StaticWebsite;
}

const off = { enabled: false } as const;

const defaults: BlobService = {
  logging: { version: '1.0', delete: false, read: false, write: false, retention: off },
  hourMetrics: { version: '1.0', enabled: false, retention: off },
  minuteMetrics: { version: '1.0', enabled: false, retention: off },
  cors: [],
  deleteRetention: off,
  staticWebsite: off,
};

/** What an account's `blobService` means; this surface is the only one that writes it. */
export function blobServiceOf(stored: unknown): BlobService {
  return stored === undefined ? defaults : { ...defaults, ...(stored as Partial<BlobService>) };
}
