// From a record of the journal to the event that the change feed tells of it ("Change feed", Event record schemas).
import type { FeedDetails, JournalOperation, JournalRecord } from '../../namespace/journal.ts';
import { type Api, type BlobType, type ChangeEvent, type EventType, isTier, schemaVersion } from './schema.ts';

/** What is known beside the record. */
export interface EventContext {
  /** The record's id: it sorts as the changes were made. */
  readonly id: string;
  /** Not before the segment that it stands in. */
  readonly timeMs: number;
  /** When the container was made that has the name now. */
  readonly containerCreatedMs: number | undefined;
}

const blobTypes: Readonly<Record<FeedDetails['type'], BlobType>> = {
  block: 'BlockBlob',
  append: 'AppendBlob',
  page: 'PageBlob',
};

/** Operations under the names that the feed has for them. */
const apis: Readonly<Record<string, Api>> = {
  PutBlob: 'PutBlob',
  PutBlobFromUrl: 'PutBlob',
  PutBlockList: 'PutBlockList',
  CopyBlob: 'CopyBlob',
  CopyBlobFromUrl: 'CopyBlob',
  IncrementalCopyBlob: 'CopyBlob',
  AbortCopyBlob: 'AbortCopyBlob',
  DeleteBlob: 'DeleteBlob',
  UndeleteBlob: 'UndeleteBlob',
  SetBlobMetadata: 'SetBlobMetadata',
  SetBlobProperties: 'SetBlobProperties',
  SetBlobTags: 'SetBlobTags',
  SetBlobTier: 'SetBlobTier',
  rehydration: 'SetBlobTier',
  SnapshotBlob: 'SnapshotBlob',
  AppendBlock: 'AppendBlock',
  AppendBlockFromUrl: 'AppendBlock',
};

/** Changes that the feed does not tell of: pages as they are written, retention, and reads that leave a trace. */
const untold: ReadonlySet<string> = new Set([
  'PutPage',
  'PutPageFromUrl',
  'ClearPages',
  'LeaseBlob',
  'SetBlobImmutabilityPolicy',
  'DeleteBlobImmutabilityPolicy',
  'SetBlobLegalHold',
  'last-access',
]);

const types: Readonly<Partial<Record<JournalOperation, EventType>>> = {
  'entry-written': 'BlobCreated',
  'entry-undeleted': 'BlobCreated',
  'entry-changed': 'BlobPropertiesUpdated',
  'entry-retagged': 'BlobPropertiesUpdated',
  'entry-deleted': 'BlobDeleted',
  'past-deleted': 'BlobDeleted',
  'entry-tiered': 'BlobTierChanged',
  'entry-rehydrating': 'BlobAsyncOperationInitiated',
  'snapshot-created': 'BlobSnapshotCreated',
  'restore-point': 'RestorePointMarkerCreated',
};

/** Which event a change makes; undefined: none. */
export function eventTypeOf({ operation, by = '' }: JournalRecord): EventType | undefined {
  if (untold.has(by)) return undefined;
  if (operation === 'entry-changed' && apis[by] === 'AppendBlock') return 'AppendBlobDataUpdated';
  return types[operation];
}

const noSubscription = '00000000-0000-0000-0000-000000000000';
const noGuid = noSubscription;
const guid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

export function topicOf(account: string): string {
  return `/subscriptions/${noSubscription}/resourceGroups/causeway/providers/Microsoft.Storage/storageAccounts/${account}`;
}

export function eventOf(record: JournalRecord, eventType: EventType, context: EventContext): ChangeEvent {
  const { account, container = '', name, by = '', operation, requestId = '' } = record;
  const feed = record.feed;
  const isSnapshot = feed?.past === 'snapshot';
  const isVersion = feed?.past === 'version';
  const blobVersion = isVersion ? feed.time : feed?.version;
  const tier = feed?.tier;
  const api = operation === 'restore-point' ? 'CreateRestorePointMarker' : (apis[by] ?? 'UnspecifiedApi');
  const { commit, place } = stampOf(context.id);
  return {
    schemaVersion,
    topic: topicOf(account),
    subject: `/blobServices/default/containers/${container}${name === undefined ? '' : `/blobs/${name}`}`,
    eventType,
    eventTime: timeOf(context.timeMs),
    id: eventId(context.id, record.id),
    data: {
      api,
      clientRequestId: record.clientRequestId ?? '',
      // Clients read it as a GUID; work of the server's own has none.
      requestId: guid.test(requestId) ? requestId : noGuid,
      etag: record.etag ?? '',
      contentType: feed?.contentType ?? 'application/octet-stream',
      contentLength: record.length ?? 0,
      blobType: feed === undefined ? 'UnspecifiedBlobType' : blobTypes[feed.type],
      blobVersion: blobVersion ?? null,
      containerVersion: containerVersion(context.containerCreatedMs, record.atMs),
      blobTier: tier === undefined ? null : isTier(tier) ? tier : 'UnspecifiedBlobTier',
      // The server does not know by which address its clients reach it.
      url: '',
      sequencer: context.id.padStart(48, '0'),
      previousInfo: previousInfo(feed, eventType),
      snapshot: isSnapshot ? (feed.time ?? null) : null,
      blobPropertiesUpdated: null,
      asyncOperationInfo:
        feed?.rehydration === undefined ? null : { DestinationTier: feed.rehydration, WasAsyncOperation: 'true' },
      blobTagsUpdated: null,
      restorePointMarker: null,
      storageDiagnostics: { bid: noGuid, seq: `(${commit},${place})`, sid: noGuid },
    },
  };
}

function previousInfo(feed: FeedDetails | undefined, eventType: EventType): Readonly<Record<string, string>> | null {
  const before = feed?.before;
  if (feed === undefined || before === undefined) return null;
  const info: Record<string, string> = {};
  if (before.version !== undefined && before.version !== feed.version) {
    if (feed.version !== undefined) info.BlobVersion = feed.version;
    info.LastVersion = before.version;
  }
  if (before.tier !== undefined && (eventType === 'BlobTierChanged' || before.tier !== feed.tier)) {
    info.PreviousTier = before.tier;
  }
  return Object.keys(info).length === 0 ? null : info;
}

/** With the seven digits that the service writes. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '0000Z');
}

/** In the form of a GUID: all of the record's id, and the first half of the blob's, which tells stores apart. */
function eventId(id: string, entry = ''): string {
  const own = entry.slice(0, 8).padStart(8, '0');
  return `${own}-${id.slice(0, 4)}-${id.slice(4, 8)}-${id.slice(8, 12)}-${id.slice(12)}`;
}

function stampOf(id: string): { commit: bigint; place: number } {
  return { commit: BigInt(`0x${id.slice(0, 16)}`), place: Number.parseInt(id.slice(16), 16) };
}

const fileTimeAtEpoch = 116_444_736_000_000_000n;

/** As the service names it: when the container was made, in 100 ns since 1601. */
function containerVersion(createdMs: number | undefined, atMs: number): string | null {
  // A container that is younger than the change is another one.
  if (createdMs === undefined || createdMs > atMs) return null;
  return (BigInt(createdMs) * 10_000n + fileTimeAtEpoch).toString(16).toUpperCase().padStart(16, '0');
}
