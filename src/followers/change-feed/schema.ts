// The Avro schema of a change event, as the service's own files have it (schema version 6, of October 2025).
import type { AvroSchema } from '../../codec/avro.ts';

export const schemaVersion = 6;

const eventTypes = [
  'UnspecifiedEventType',
  'BlobCreated',
  'BlobDeleted',
  'BlobPropertiesUpdated',
  'BlobSnapshotCreated',
  'Control',
  'BlobTierChanged',
  'BlobAsyncOperationInitiated',
  'RestorePointMarkerCreated',
  // Named by the clients for version 6; the files that were seen do not list it yet.
  'AppendBlobDataUpdated',
] as const;

const apis = [
  'UnspecifiedApi',
  'PutBlob',
  'PutBlockList',
  'CopyBlob',
  'DeleteBlob',
  'SetBlobMetadata',
  'ControlEvent',
  'UndeleteBlob',
  'SetBlobProperties',
  'SnapshotBlob',
  'SetBlobTier',
  'AbortCopyBlob',
  'SetBlobTags',
  'CreateRestorePointMarker',
  'AppendBlock',
] as const;

const blobTypes = ['UnspecifiedBlobType', 'BlockBlob', 'PageBlob', 'AppendBlob'] as const;
const tiers = ['UnspecifiedBlobTier', 'Hot', 'Cool', 'Archive', 'Cold'] as const;

export type EventType = (typeof eventTypes)[number];
export type Api = (typeof apis)[number];
export type BlobType = (typeof blobTypes)[number];
export type Tier = (typeof tiers)[number];

export const isTier = (text: string): text is Tier => (tiers as readonly string[]).includes(text);

type Texts = Readonly<Record<string, string>>;

export interface ChangeEvent {
  readonly schemaVersion: number;
  readonly topic: string;
  readonly subject: string;
  readonly eventType: EventType;
  readonly eventTime: string;
  readonly id: string;
  readonly data: {
    readonly api: Api;
    readonly clientRequestId: string;
    readonly requestId: string;
    readonly etag: string;
    readonly contentType: string;
    readonly contentLength: number;
    readonly blobType: BlobType;
    readonly blobVersion: string | null;
    readonly containerVersion: string | null;
    readonly blobTier: Tier | null;
    readonly url: string;
    readonly sequencer: string;
    readonly previousInfo: Texts | null;
    readonly snapshot: string | null;
    readonly blobPropertiesUpdated: Readonly<Record<string, { current: string; previous: string }>> | null;
    readonly asyncOperationInfo: Texts | null;
    readonly blobTagsUpdated: { readonly previous: Texts; readonly current: Texts } | null;
    readonly restorePointMarker: Texts | null;
    readonly storageDiagnostics: Texts;
  };
}

const enumOf = (name: string, symbols: readonly string[]): AvroSchema => ({
  type: 'enum',
  name,
  symbols,
  default: symbols[0] as string,
});
const optional = (name: string, type: AvroSchema) => ({ name, type: ['null', type], default: null });
const text = (name: string) => ({ name, type: 'string', default: '' });
const texts: AvroSchema = { type: 'map', values: 'string' };

export const eventSchema: AvroSchema = {
  type: 'record',
  name: 'BlobChangeEvent',
  namespace: 'Microsoft.Storage',
  fields: [
    { name: 'schemaVersion', type: 'long', default: 4 },
    text('topic'),
    text('subject'),
    { name: 'eventType', type: enumOf('EventTypeEnum', eventTypes) },
    text('eventTime'),
    text('id'),
    {
      name: 'data',
      type: {
        type: 'record',
        name: 'BlobChangeEventData',
        fields: [
          { name: 'api', type: enumOf('ApiEnum', apis), default: apis[0] },
          text('clientRequestId'),
          text('requestId'),
          text('etag'),
          text('contentType'),
          { name: 'contentLength', type: 'long', default: 0 },
          { name: 'blobType', type: enumOf('BlobTypeEnum', blobTypes), default: blobTypes[0] },
          optional('blobVersion', 'string'),
          optional('containerVersion', 'string'),
          optional('blobTier', enumOf('BlobTierEnum', tiers)),
          text('url'),
          text('sequencer'),
          optional('previousInfo', texts),
          optional('snapshot', 'string'),
          optional('blobPropertiesUpdated', {
            type: 'map',
            values: { type: 'record', name: 'values', fields: [text('current'), text('previous')] },
          }),
          optional('asyncOperationInfo', texts),
          optional('blobTagsUpdated', { type: 'map', values: texts }),
          optional('restorePointMarker', texts),
          { name: 'storageDiagnostics', type: texts, default: {} },
        ],
      },
    },
  ],
};
