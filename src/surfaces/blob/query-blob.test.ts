// Query Blob Contents over a store in memory, with a real engine: frames, refusals, limits.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openAvroFile } from '../../codec/avro-file.ts';
import type { Answer } from '../http/answer.ts';
import { containerCall, openTestSurface, refusal, type TestSurface, testSettings } from './call.testing.ts';
import type { BlobCall, BlobSettings } from './call.ts';
import { createContainer } from './create-container.ts';
import { putBlob } from './put-blob.ts';
import { queryBlob } from './query-blob.ts';

type Surface = TestSurface & { readonly settings: BlobSettings };

async function open(settings: Partial<BlobSettings> = {}): Promise<Surface> {
  const surface = await openTestSurface();
  const data = await mkdtemp(join(tmpdir(), 'causeway-query-blob-'));
  await createContainer(containerCall(surface, 'box', { method: 'PUT' }));
  return {
    ...surface,
    settings: { ...testSettings, data, ...settings },
    async [Symbol.asyncDispose]() {
      await surface[Symbol.asyncDispose]();
      await rm(data, { recursive: true, force: true });
    },
  };
}

function call(surface: Surface, method: string, body: string | Buffer, headers: Record<string, string> = {}): BlobCall {
  const request = { method, blob: 'a', body, headers };
  return { ...containerCall(surface, 'box', request), settings: surface.settings } as BlobCall;
}

async function put(surface: Surface, content: string): Promise<void> {
  const headers = { 'x-ms-blob-type': 'BlockBlob', 'content-length': `${Buffer.byteLength(content)}` };
  await putBlob(call(surface, 'PUT', content, headers));
}

const request = (sql: string, more = ''): string =>
  `<QueryRequest><QueryType>SQL</QueryType><Expression>${sql}</Expression>${more}</QueryRequest>`;

const ask = (surface: Surface, sql: string, more?: string): Promise<Answer> =>
  queryBlob(call(surface, 'POST', request(sql, more)));

const records = 'com.microsoft.azure.storage.queryBlobContents.';

async function framesOf(answer: Answer): Promise<Record<string, Record<string, unknown>>[]> {
  assert.ok(typeof answer.body === 'object' && 'chunks' in answer.body);
  const chunks: Buffer[] = [];
  for await (const chunk of answer.body.chunks) {
    chunks.push(Buffer.from(chunk.bytes));
    chunk.release();
  }
  return openAvroFile(Buffer.concat(chunks)).values as Record<string, Record<string, unknown>>[];
}

const named = (frames: Awaited<ReturnType<typeof framesOf>>, kind: string): Record<string, unknown>[] =>
  frames.map((frame) => frame[`${records}${kind}`]).filter((frame) => frame !== undefined);

const dataOf = (frames: Awaited<ReturnType<typeof framesOf>>): string =>
  Buffer.concat(named(frames, 'resultData').map(({ data }) => data as Buffer)).toString();

const filesLeft = async (surface: Surface): Promise<string[]> => await readdir(join(surface.settings.data, 'query'));

test('what a query selects comes in the frames that SDKs read, and nothing stays behind', async () => {
  await using surface = await open();
  await put(surface, '100,pizza\n300,400\n500,600\n');
  const answer = await ask(surface, 'SELECT _1 FROM BlobStorage WHERE _2 &gt; 250');
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['Content-Type'], 'avro/binary');
  assert.equal(answer.headers['Content-Length'], undefined);
  assert.match(`${answer.headers.ETag}`, /^"0x/);
  const frames = await framesOf(answer);
  assert.equal(dataOf(frames), '300\n500\n');
  assert.deepEqual(
    named(frames, 'error').map(({ name, fatal, position }) => [name, fatal, position]),
    [['InvalidTypeConversion', false, 0]],
  );
  assert.deepEqual(named(frames, 'progress').at(-1), { bytesScanned: 26, totalBytes: 26 });
  assert.deepEqual(Object.values(frames.at(-1) ?? {}), [{ totalBytes: 26 }]);
  assert.deepEqual(await filesLeft(surface), []);
});

test('what cannot be served is refused before the answer begins', async () => {
  await using surface = await open({ queryBytesMax: 64 });
  assert.equal(await refusal(ask(surface, 'SELECT * FROM BlobStorage')), 'BlobNotFound');
  await put(surface, 'a,b\n');
  assert.equal(await refusal(ask(surface, 'SELECT * FROM other')), 'InvalidInput');
  assert.equal(await refusal(ask(surface, 'SELECT nope FROM BlobStorage')), 'InvalidInput');
  assert.equal(await refusal(queryBlob(call(surface, 'POST', '<QueryRequest>'))), 'InvalidXmlDocument');
  const xml = '<QueryRequest><QueryType>XPath</QueryType><Expression>x</Expression></QueryRequest>';
  assert.equal(await refusal(queryBlob(call(surface, 'POST', xml))), 'InvalidXmlNodeValue');
  const arrow = '<InputSerialization><Format><Type>arrow</Type></Format></InputSerialization>';
  assert.equal(await refusal(ask(surface, 'SELECT * FROM BlobStorage', arrow)), 'InvalidXmlNodeValue');
  const since = { 'if-match': '"0x1"' };
  const conditional = queryBlob(call(surface, 'POST', request('SELECT * FROM BlobStorage'), since));
  assert.equal(await refusal(conditional), 'ConditionNotMet');
  await put(surface, 'a,b\n'.repeat(20));
  assert.equal(await refusal(ask(surface, 'SELECT * FROM BlobStorage')), 'OutOfRangeInput');
  assert.deepEqual(await filesLeft(surface), []);
});

test('a blob that is no Parquet file, and JSON that is none, are errors in the stream', async () => {
  await using surface = await open();
  await put(surface, 'hello');
  for (const type of ['parquet', 'json']) {
    const input = `<InputSerialization><Format><Type>${type}</Type></Format></InputSerialization>`;
    const frames = await framesOf(await ask(surface, 'SELECT * FROM BlobStorage', input));
    assert.deepEqual(
      named(frames, 'error').map(({ name, fatal }) => [name, fatal]),
      [['ParseError', true]],
    );
    assert.equal(named(frames, 'end').length, 1);
  }
});

/** What each `%` stands for is tried out within the others. */
const endless = `SELECT COUNT(*) FROM BlobStorage WHERE _1 LIKE '%a%a%a%' || _2`;
const endlessContent = `${'a'.repeat(1_000_000)},b\n`;

test('a query that takes too long is ended, and its place is free again', async () => {
  await using surface = await open({ queryTimeoutMs: 6000 });
  await put(surface, endlessContent);
  const frames = await ask(surface, endless).then(framesOf);
  const [error] = named(frames, 'error');
  assert.deepEqual([error?.name, error?.fatal], ['OperationTimedOut', true]);
  assert.equal(named(frames, 'end').length, 1);
  assert.equal(dataOf(await framesOf(await ask(surface, 'SELECT _2 FROM BlobStorage'))), 'b\n');
  assert.deepEqual(await filesLeft(surface), []);
});

test('more queries than may wait are answered that the server is busy', async () => {
  await using surface = await open({ queriesMax: 1, queryQueueMax: 1 });
  // More than is kept for a reader that does not read.
  const content = 'abcdefgh\n'.repeat(500_000);
  await put(surface, content);
  const first = await ask(surface, 'SELECT * FROM BlobStorage');
  const second = ask(surface, 'SELECT _1 FROM BlobStorage LIMIT 1');
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(await refusal(ask(surface, 'SELECT * FROM BlobStorage')), 'ServerBusy');
  assert.equal(dataOf(await framesOf(first)), content);
  const third = await second;
  // A short result does not keep its place for a reader that does not read.
  assert.equal(dataOf(await framesOf(await ask(surface, 'SELECT COUNT(*) FROM BlobStorage'))), '500000\n');
  assert.equal(dataOf(await framesOf(third)), 'abcdefgh\n');
});

test('a reader that goes away ends the query', async () => {
  await using surface = await open();
  await put(surface, 'abcdefgh\n'.repeat(200_000));
  const { body } = await ask(surface, 'SELECT * FROM BlobStorage');
  assert.ok(typeof body === 'object' && 'chunks' in body);
  for await (const _ of body.chunks) break;
  assert.deepEqual(await filesLeft(surface), []);
  assert.equal(dataOf(await framesOf(await ask(surface, 'SELECT _1 FROM BlobStorage LIMIT 1'))), 'abcdefgh\n');
});

test('a reader that goes away while nothing comes gives its place back at once', async () => {
  await using surface = await open({ queriesMax: 1 });
  await put(surface, endlessContent);
  const leaving = new AbortController();
  const { body } = await queryBlob({
    ...call(surface, 'POST', request(endless)),
    hold: (work) => work(leaving.signal),
  });
  leaving.abort();
  assert.equal(dataOf(await framesOf(await ask(surface, 'SELECT _2 FROM BlobStorage'))), 'b\n');
  assert.ok(typeof body === 'object' && 'chunks' in body);
  const kinds: string[] = [];
  for await (const { bytes } of body.chunks) kinds.push(bytes.includes('totalBytes') ? 'header' : 'frame');
  assert.equal(kinds.filter((kind) => kind === 'header').length, 1);
  assert.deepEqual(await filesLeft(surface), []);
});
