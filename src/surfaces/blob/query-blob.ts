// Query Blob Contents: the records of a blob that a query selects, in frames of an Avro file.
import { existsSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { AvroSchema } from '../../codec/avro.ts';
import { AvroFileWriter } from '../../codec/avro-file.ts';
import { checkReadable, readContent } from '../../namespace/read.ts';
import type { Entry } from '../../namespace/records.ts';
import { checkState } from '../../namespace/states.ts';
import type { Store } from '../../namespace/store.ts';
import { EngineLostError } from '../../tables/query/engine-process.ts';
import { QueryPool } from '../../tables/query/pool.ts';
import type { QueryEvent, QueryFault } from '../../tables/query/protocol.ts';
import { memoryRoot, queryDirectories } from '../../tables/query/scratch.ts';
import type { QuerySlot } from '../../tables/query/slot.ts';
import type { Answer, AnswerChunk } from '../http/answer.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { noteAccess, type OpenedBlob, openBlob } from './get-blob.ts';
import { entryHeaders } from './headers-out.ts';
import { parseQueryRequest, type QueryRequest, queryRefused, queryRequestBytesMax } from './query-request.ts';

const records = 'com.microsoft.azure.storage.queryBlobContents';

/** As the service writes it: SDKs take the records by these names. */
const schema: AvroSchema = [
  {
    type: 'record',
    name: `${records}.resultData`,
    doc: 'Result data in the format that the query asks for.',
    fields: [{ name: 'data', type: 'bytes' }],
  },
  {
    type: 'record',
    name: `${records}.error`,
    doc: 'An error that occurred while the query was processed.',
    fields: [
      { name: 'fatal', type: 'boolean', doc: 'The query goes no further.' },
      { name: 'name', type: 'string', doc: 'The name of the error' },
      { name: 'description', type: 'string', doc: 'A description of the error' },
      { name: 'position', type: 'long', doc: 'The offset in the blob of the record where the error occurred' },
    ],
  },
  {
    type: 'record',
    name: `${records}.progress`,
    doc: 'How far the query is',
    fields: [
      { name: 'bytesScanned', type: 'long', doc: 'The number of bytes that were scanned' },
      { name: 'totalBytes', type: 'long', doc: 'The number of bytes to be scanned' },
    ],
  },
  {
    type: 'record',
    name: `${records}.end`,
    doc: 'The last message of the answer: all results were sent.',
    fields: [{ name: 'totalBytes', type: 'long', doc: 'The number of bytes that were scanned' }],
  },
];

interface Pools {
  readonly disk: QueryPool;
  readonly memory: QueryPool;
}

const pools = new WeakMap<Store, Pools>();

/** A gateway that is asked for no query has no process for one. */
function poolsOf({ store, settings }: BlobCall): Pools {
  let found = pools.get(store);
  if (found === undefined) {
    const { queriesMax, queryQueueMax, queryMemoryBytes: memoryBytes, queryTimeoutMs: timeoutMs } = settings;
    const places = { queriesMax, queryQueueMax, memoryBytes, timeoutMs };
    const { disk, memory } = queryDirectories(settings.data);
    found = {
      disk: new QueryPool({ ...places, bytesMax: settings.queryBytesMax, directory: disk, isPrivate: false }),
      memory: new QueryPool({ ...places, bytesMax: memoryBytes, directory: memory, isPrivate: true }),
    };
    pools.set(store, found);
  }
  return found;
}

export async function queryBlob(call: BlobCall): Promise<Answer> {
  const body = await call.body.whole(queryRequestBytesMax);
  if (body === undefined) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${queryRequestBytesMax}` });
  const request = parseQueryRequest(body);
  const found = await openBlob(call);
  if (found.kind === 'answer') return found.answer;
  const { record } = found.entry;
  if (record.type !== 'block') throw new BlobError('InvalidBlobType');
  const state = checkState('read', record);
  if (state.kind !== 'ok') throw failureError(state);
  const pool = poolFor(call, found.entry);
  noteAccess(call, record);
  const run = await call.hold((gone) => startQuery(call, pool, found, request, gone));
  return {
    status: 200,
    headers: {
      ...entryHeaders(record, call.nowMs),
      // They are of the blob's content, and this is another.
      'Content-Type': 'avro/binary',
      'Content-Encoding': undefined,
      'Content-Language': undefined,
      'Content-Disposition': undefined,
    },
    body: { length: undefined, chunks: frames(run, record.length, call.store.random.bytes(16)) },
  };
}

function poolFor(call: BlobCall, { record }: Entry): QueryPool {
  const { disk, memory } = poolsOf(call);
  const isSealed = record.encryption !== undefined;
  if (isSealed && !existsSync(memoryRoot)) {
    throw new BlobError('InvalidOperation', {}, 'Content under a key of its own cannot be queried on this server.');
  }
  const bytesMax = isSealed ? call.settings.queryMemoryBytes : call.settings.queryBytesMax;
  if (record.length > bytesMax) {
    const message = 'The blob is longer than a query can read.';
    throw new BlobError('OutOfRangeInput', { MaxLimit: `${bytesMax}` }, message);
  }
  return isSealed ? memory : disk;
}

/** A query that runs, and the slot in which it does. */
interface Running {
  readonly slot: QuerySlot;
  readonly events: AsyncGenerator<QueryEvent>;
}

/** Begins the query, as far as it can be known whether it fits the blob. */
async function startQuery(
  call: BlobCall,
  pool: QueryPool,
  found: Extract<OpenedBlob, { kind: 'entry' }>,
  { query, input, output }: QueryRequest,
  gone: AbortSignal,
): Promise<Running> {
  const bytes = found.entry.record.length;
  const late = AbortSignal.timeout(call.settings.queryTimeoutMs);
  const slot = await pool.acquire({ account: call.target.account, bytes }, AbortSignal.any([gone, late]));
  if (slot === undefined) throw new BlobError('ServerBusy');
  // A client that leaves gives the place back, also while it is answered, and with that ends whatever runs there.
  const leave = (): void => void slot[Symbol.asyncDispose]();
  gone.addEventListener('abort', leave, { once: true });
  if (gone.aborted) leave();
  try {
    const { file, path } = await slot.content();
    await spool(call, found, file, slot.ended);
    const { memoryBytes, scratchBytesMax } = slot.limits;
    const { scratch } = slot;
    const job = { path, bytes, scratch, query, input, output, nowMs: call.nowMs, memoryBytes, scratchBytesMax };
    const events = slot.run(job);
    for (;;) {
      const next = await events.next();
      if (next.done) throw new Error('a query ended without a word');
      const event = next.value;
      if (event.kind === 'refused') throw queryRefused(event.problem);
      if (event.kind === 'started') break;
    }
    return { slot, events };
  } catch (error) {
    await slot[Symbol.asyncDispose]();
    const isOver = error instanceof EngineLostError && error.loss !== 'crashed';
    throw isOver ? new BlobError('OperationTimedOut') : error;
  }
}

/** The content as a file, for the engine to read it as often as it needs to. */
async function spool(
  { store, target }: BlobCall,
  { entry, unsealer }: Extract<OpenedBlob, { kind: 'entry' }>,
  file: FileHandle,
  stop: AbortSignal,
): Promise<void> {
  if (entry.record.encryption !== undefined) await checkReadable(store, target.account, entry);
  for await (const chunk of readContent(store, entry, 0, entry.record.length, unsealer)) {
    try {
      stop.throwIfAborted();
      for (let at = 0; at < chunk.bytes.length; ) at += (await file.write(chunk.bytes, at)).bytesWritten;
    } finally {
      chunk.release();
    }
  }
}

async function* frames(run: Running, totalBytes: number, sync: Buffer): AsyncGenerator<AnswerChunk> {
  const file = new AvroFileWriter(schema, { sync });
  const chunk = (bytes: Buffer): AnswerChunk => ({ bytes, release: () => undefined });
  const frame = (kind: string, value: unknown): AnswerChunk => chunk(file.block([{ [`${records}.${kind}`]: value }]));
  const fault = ({ fatal, name, description, position }: Omit<QueryFault, 'kind'>): AnswerChunk =>
    frame('error', { fatal, name, description, position });
  await using _slot = run.slot;
  yield chunk(file.header());
  let isFirst = true;
  let isWhole = false;
  for await (const event of run.events) {
    // As the service does: an SDK fails on an error that is the first record of all.
    if (isFirst && event.kind === 'error') yield frame('resultData', { data: Buffer.alloc(0) });
    isFirst = false;
    isWhole = event.kind === 'done';
    if (event.kind === 'data') yield frame('resultData', { data: event.bytes });
    else if (event.kind === 'progress') yield frame('progress', { bytesScanned: event.scanned, totalBytes });
    else if (event.kind === 'error') yield fault(event);
  }
  // The reader is gone.
  if (!isWhole) return;
  // SDKs wait for the last record, also behind an error.
  yield frame('progress', { bytesScanned: totalBytes, totalBytes });
  yield frame('end', { totalBytes });
}
