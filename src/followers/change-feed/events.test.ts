// Which events the changes of the journal make, and what they say.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AvroType } from '../../codec/avro.ts';
import { AvroSource } from '../../codec/avro-bytes.ts';
import type { FeedDetails, JournalRecord } from '../../namespace/journal.ts';
import { eventOf, eventTypeOf } from './events.ts';
import { eventSchema } from './schema.ts';

const feed: FeedDetails = { type: 'block', contentType: 'text/plain', modifiedMs: 5 };
const written: JournalRecord = {
  operation: 'entry-written',
  atMs: Date.UTC(2026, 1, 3, 4, 5, 6, 7),
  account: 'acct',
  container: 'box',
  name: 'a/b ü.txt',
  id: '00112233445566778899aabbccddeeff',
  etag: '0x8DE050D46915765',
  length: 16,
  by: 'PutBlob',
  requestId: '8131be7c-a01e-0054-20f6-36cf5b000000',
  clientRequestId: 'mine',
  feed,
};
const id = '000000000000012300000002';
const context = { id, timeMs: written.atMs, containerCreatedMs: Date.UTC(2025, 9, 6) };

function tell(changes: Partial<JournalRecord>, details: Partial<FeedDetails> = {}) {
  const record = { ...written, ...changes, feed: { ...feed, ...details } };
  const type = eventTypeOf(record);
  assert.ok(type);
  const event = eventOf(record, type, context);
  const bytes = new AvroType(eventSchema).encode(event);
  assert.deepEqual(new AvroType(eventSchema).decode(new AvroSource(bytes)), event, 'it is told as it is');
  return event;
}

test('an event has the fields of the documented schema', () => {
  assert.deepEqual(tell({}), {
    schemaVersion: 6,
    topic:
      '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/causeway/providers/Microsoft.Storage/storageAccounts/acct',
    subject: '/blobServices/default/containers/box/blobs/a/b ü.txt',
    eventType: 'BlobCreated',
    eventTime: '2026-02-03T04:05:06.0070000Z',
    id: '00112233-0000-0000-0000-012300000002',
    data: {
      api: 'PutBlob',
      clientRequestId: 'mine',
      requestId: written.requestId,
      etag: '0x8DE050D46915765',
      contentType: 'text/plain',
      contentLength: 16,
      blobType: 'BlockBlob',
      blobVersion: null,
      containerVersion: '01DC36542890C000',
      blobTier: null,
      url: '',
      sequencer: '000000000000000000000000000000000000012300000002',
      previousInfo: null,
      snapshot: null,
      blobPropertiesUpdated: null,
      asyncOperationInfo: null,
      blobTagsUpdated: null,
      restorePointMarker: null,
      storageDiagnostics: {
        bid: '00000000-0000-0000-0000-000000000000',
        seq: '(291,2)',
        sid: '00000000-0000-0000-0000-000000000000',
      },
    },
  });
});

test('each kind of change makes its event, under the name of its operation', () => {
  const cases: [JournalRecord['operation'], string, string | undefined, string?][] = [
    ['entry-written', 'PutBlobFromUrl', 'BlobCreated', 'PutBlob'],
    ['entry-written', 'PutBlockList', 'BlobCreated', 'PutBlockList'],
    ['entry-written', 'CopyBlobFromUrl', 'BlobCreated', 'CopyBlob'],
    ['entry-changed', 'SetBlobMetadata', 'BlobPropertiesUpdated', 'SetBlobMetadata'],
    ['entry-changed', 'SetBlobProperties', 'BlobPropertiesUpdated', 'SetBlobProperties'],
    ['entry-retagged', 'SetBlobTags', 'BlobPropertiesUpdated', 'SetBlobTags'],
    ['entry-deleted', 'DeleteBlob', 'BlobDeleted', 'DeleteBlob'],
    ['past-deleted', 'DeleteBlob', 'BlobDeleted', 'DeleteBlob'],
    ['entry-undeleted', 'UndeleteBlob', 'BlobCreated', 'UndeleteBlob'],
    ['snapshot-created', 'SnapshotBlob', 'BlobSnapshotCreated', 'SnapshotBlob'],
    ['entry-tiered', 'SetBlobTier', 'BlobTierChanged', 'SetBlobTier'],
    ['entry-tiered', 'rehydration', 'BlobTierChanged', 'SetBlobTier'],
    ['entry-rehydrating', 'SetBlobTier', 'BlobAsyncOperationInitiated', 'SetBlobTier'],
    ['entry-changed', 'AppendBlock', 'AppendBlobDataUpdated', 'AppendBlock'],
    ['entry-changed', 'SealAppendBlob', 'BlobPropertiesUpdated', 'UnspecifiedApi'],
    ['restore-point', 'RestoreBlobRanges', 'RestorePointMarkerCreated', 'CreateRestorePointMarker'],
    ['entry-leased', 'LeaseBlob', undefined],
    ['entry-changed', 'PutPage', undefined],
    ['entry-changed', 'SetBlobLegalHold', undefined],
    ['container-created', 'CreateContainer', undefined],
  ];
  for (const [operation, by, type, api] of cases) {
    assert.equal(eventTypeOf({ ...written, operation, by }), type, `${operation} by ${by}`);
    if (type !== undefined) assert.equal(tell({ operation, by }).data.api, api);
  }
});

test('versions, snapshots and tiers are told with what was before', () => {
  const before = { etag: '0x1', length: 3, modifiedMs: 4, tier: 'Hot', version: '2026-01-01T00:00:00.0000000Z' };
  const version = '2026-02-01T00:00:00.0000000Z';
  assert.deepEqual(tell({}, { version, before }).data.previousInfo, {
    BlobVersion: version,
    LastVersion: before.version,
    PreviousTier: 'Hot',
  });
  const tiered = tell({ operation: 'entry-tiered', by: 'SetBlobTier' }, { tier: 'Cool', before });
  assert.equal(tiered.data.blobTier, 'Cool');
  assert.equal(tiered.data.previousInfo?.PreviousTier, 'Hot');
  assert.equal(tell({}, { tier: 'P10' }).data.blobTier, 'UnspecifiedBlobTier');
  const time = '2026-02-02T00:00:00.0000000Z';
  assert.equal(tell({ operation: 'snapshot-created' }, { past: 'snapshot', time }).data.snapshot, time);
  const old = tell({ operation: 'past-deleted' }, { past: 'version', time, version });
  assert.deepEqual([old.data.blobVersion, old.data.snapshot], [time, null]);
  assert.deepEqual(tell({ operation: 'entry-rehydrating' }, { rehydration: 'Hot' }).data.asyncOperationInfo, {
    DestinationTier: 'Hot',
    WasAsyncOperation: 'true',
  });
});

test('what is missing or foreign is left out, and a request of the server itself has no id', () => {
  const { requestId: _, ...record } = written;
  const event = eventOf(record, 'BlobTierChanged', { ...context, containerCreatedMs: written.atMs + 1 });
  assert.equal(event.data.requestId, '00000000-0000-0000-0000-000000000000');
  assert.equal(event.data.containerVersion, null, 'a container that was made later is another one');
});
